"""Where things may lie: the output apart from the input, the re-link table apart from both."""

from __future__ import annotations

from pathlib import Path

from overread.core.errors import OverreadError, Refused


def check_places(source: Path, out: Path, link: Path | None) -> None:
    """Refuse what would change the input or let the re-link table travel with the output. Links are followed."""
    if not source.is_dir():
        raise OverreadError(f"{source} is not a folder.", "give the folder that holds the images")
    inside, written = source.resolve(), out.resolve()
    if written == inside:
        raise Refused("in-place", "Input and output are the same folder; originals are never changed.", "name a new folder")
    if written.is_relative_to(inside):
        raise Refused(
            "output-in-input", f"{out} lies inside {source}: the next run would take it for input.", "name a folder elsewhere"
        )
    if inside.is_relative_to(written):
        raise Refused("input-in-output", f"{source} lies inside {out}.", "name a new folder elsewhere")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refused(
            "not-empty", f"{out} is not empty; what lies there was not checked.", "name a new folder, or empty it yourself"
        )
    if link is not None:
        _check_link(inside, written, link)


def _check_link(inside: Path, written: Path, link: Path) -> None:
    table = link.resolve()
    if table.is_dir():
        raise OverreadError(f"{link} is a folder.", "name a file, for instance link.csv in a private folder")
    if table.is_relative_to(written) or table.parent == written.parent:
        raise Refused(
            "link-beside-output",
            f"The re-link table {link.name} would lie below or beside the output: whoever gets the folder could get the names.",
            "put it in a private folder elsewhere",
        )
    if table.is_relative_to(inside):
        raise Refused(
            "link-in-input", f"The re-link table {link.name} would lie inside the input.", "put it in a private folder elsewhere"
        )
