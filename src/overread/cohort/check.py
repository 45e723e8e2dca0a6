"""Are the files still those that came in? Size and time are looked at first; content only where these differ."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from overread.cohort.progress import Progress, counted
from overread.core.errors import OverreadError
from overread.record.files import digest_file, write_with

SHOWN = 5


@dataclass(frozen=True)
class FileVersion:
    """One file as it was when it came in. Paths are private: the table lies in cohort/private/.

    root  "images", "truth" or "sheet": what the path is relative to
    """

    root: str
    path: str
    size: int
    mtime_ns: int
    sha256: str


def record_files(
    files: Iterable[tuple[str, str]], roots: dict[str, Path], progress: Progress | None = None, known: Sequence[FileVersion] = ()
) -> list[FileVersion]:
    """Size, time and content digest of every file; `known` versions with equal size and time are not read again."""
    wanted = sorted(set(files))
    before = {(v.root, v.path): v for v in known}

    def version(place: tuple[str, str]) -> FileVersion:
        root, path = place
        status = os.stat(roots[root] / path)
        old = before.get(place)
        if old is not None and (old.size, old.mtime_ns) == (status.st_size, status.st_mtime_ns):
            return old
        return FileVersion(root, path, status.st_size, status.st_mtime_ns, digest_file(roots[root] / path))

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(counted(pool.map(version, wanted), len(wanted), "digesting files", progress))


def files_path(project_dir: Path) -> Path:
    return Path(project_dir) / "cohort" / "private" / "files.parquet"


def write_files(project_dir: Path, versions: Sequence[FileVersion]) -> None:
    table = pd.DataFrame([asdict(v) for v in versions], columns=list(FileVersion.__dataclass_fields__))
    path = files_path(project_dir)
    write_with(path, lambda beside: table.to_parquet(beside, index=False))
    os.chmod(path, 0o600)


def read_files(project_dir: Path) -> list[FileVersion]:
    rows = pd.read_parquet(files_path(project_dir)).to_dict("records")
    return [FileVersion(r["root"], r["path"], int(r["size"]), int(r["mtime_ns"]), r["sha256"]) for r in rows]


def find_changes(
    project_dir: Path, images_folder: Path, truth_folder: Path | None, sheet: Path | None = None
) -> dict[str, list[str]]:
    """Files that are "missing" or "changed" since they came in; a new date alone is no change.

    A sheet that is gone is no loss: its truths came in.
    """
    roots = {"images": Path(images_folder), "truth": Path(truth_folder) if truth_folder else Path(images_folder)}
    if sheet is not None and sheet.exists():
        roots["sheet"] = sheet.parent
    changes: dict[str, list[str]] = {"missing": [], "changed": []}
    for version in read_files(project_dir):
        if version.root not in roots:
            continue
        path = roots[version.root] / version.path
        try:
            status = path.stat()
        except OSError:
            changes["missing"].append(version.path)
            continue
        if (status.st_size, status.st_mtime_ns) == (version.size, version.mtime_ns):
            continue
        if status.st_size != version.size or digest_file(path) != version.sha256:
            changes["changed"].append(version.path)
    return changes


def check_unchanged(project_dir: Path, images_folder: Path, truth_folder: Path | None, sheet: Path | None = None) -> None:
    """Stop where an image, a label file or the sheet is no longer the one that came in; say which."""
    if not files_path(project_dir).exists():
        raise OverreadError(f"There is no cohort in {project_dir}.", "make the project with `overread init`")
    changes = find_changes(project_dir, images_folder, truth_folder, sheet)
    if not any(changes.values()):
        return
    parts = [
        f"{_files(len(paths))} {'missing' if kind == 'missing' else 'changed'}: {_some(paths)}"
        for kind, paths in changes.items()
        if paths
    ]
    raise OverreadError(
        f"The data differ from those that came in with this version of the cohort. {'; '.join(parts)}.",
        f"put the files back, or take the change in as a new version with `overread update {shlex.quote(str(project_dir))}`",
    )


def _files(number: int) -> str:
    return "1 file is" if number == 1 else f"{number} files are"


def _some(paths: Sequence[str]) -> str:
    rest = len(paths) - SHOWN
    return ", ".join(paths[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
