"""`overread update`: new patients and corrected labels as a new version of the cohort; nobody changes partition."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from overread.cohort.check import read_files
from overread.cohort.draft import LeftOut, Step
from overread.cohort.gather import Gathered, gather
from overread.cohort.identity import Link, read_key, read_links
from overread.cohort.index import places_of, read_index, read_splits
from overread.cohort.overlap import find_overlap, refuse_overlap
from overread.cohort.partition import Division
from overread.cohort.progress import Progress
from overread.cohort.seal import read_summary
from overread.cohort.store import Known, Stored, store
from overread.core.errors import OverreadError
from overread.record.ledger import Ledger
from overread.workflow.cohorts.places import divide_again
from overread.workflow.cohorts.requests import request_of
from overread.workflow.cohorts.summary import partition_table, table_lines
from overread.workflow.external import external_cohorts, home_of, label_of
from overread.workflow.project import Project, Summary
from overread.workflow.scoring.openings import correction_lines

SHOWN = 10


def update(folder: str | Path, *, reason: str = "", leak_override: str = "", progress: Progress | None = None) -> Project:
    """Look at the images, masks and sheet of a project again; what changed stands in `project.summary`.

    folder         a project, or an external cohort of one: DIR/external/NAME
    reason         why, for the ledger: above all by whom and how truths were read again
    leak_override  why a patient may be in the project and in an external cohort; for the ledger
    """
    project = Project.open(Path(folder).resolve())
    home = home_of(project)
    known = _known(project)
    links = read_links(project.path)
    _refuse_missing_folder(project)
    request = request_of(project)
    gathered = gather(replace(request, said=replace(request.said, one_class=home is not None)), progress)
    _refuse_another_question(project, gathered)
    _refuse_moved_patients(gathered, links)
    overlaps = _overlaps(project, home, gathered, links, leak_override)
    splits = read_splits(project.path)
    gone = _gone(gathered, [x for x in links if x.case_id not in splits.get("retired", {})])
    division = divide_again(project, gathered, splits, links)
    changed = _changes(gathered, division, links, gone)
    with _beside(project.path) as beside:
        stored = store(
            beside,
            gathered,
            division,
            splits["seed"],
            known=known,
            reason="update",
            changed=changed,
            steps=gone,
            progress=progress,
        )
        if any(stored.changed.values()) and home is None:
            _record(Ledger(beside / "cohort" / "ledger.jsonl"), stored, {}, reason, overlaps, leak_override)
    if any(stored.changed.values()) and home is not None:
        _record(home.ledger, stored, {"of": label_of(project)}, reason, overlaps, leak_override)
    return Project(project.path, _summary(project, home, gathered, division, stored))


def _overlaps(project: Project, home: Project | None, gathered: Gathered, links: Sequence[Link], override: str) -> int:
    """New cases that the project and an external cohort of it would both have: refused, or counted where accepted."""
    known = {link.original_name for link in links}
    new = {d.name for d in gathered.drafts if d.name not in known}
    others = [("the project", home)] if home is not None else [(label_of(o), o) for o in external_cohorts(project)]
    count = 0
    for name, other in others:
        found = find_overlap(other.path, gathered, new)
        if not override:
            refuse_overlap(found, "the new cases", name, "--leak-override")
        count += len(found)
    return count


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A copy of the cohort beside the project; on leaving without an error it takes the cohort's place."""
    try:
        beside = Path(tempfile.mkdtemp(prefix=".updating-", dir=folder))
    except OSError as error:
        raise OverreadError(
            f"The project {folder} cannot be changed: {error.strerror or error}.", "make the folder writable, or copy the project"
        ) from error
    try:
        shutil.copytree(folder / "cohort", beside / "cohort", ignore=shutil.ignore_patterns("cache"))
        yield beside
        ledger = Ledger(folder / "cohort" / "ledger.jsonl")
        with ledger.held() if ledger.path.exists() else nullcontext():  # an external cohort has none
            _refuse_written_meanwhile(ledger.path, beside / "cohort" / "ledger.jsonl")
            _put_in_place(folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _refuse_written_meanwhile(now: Path, copied: Path) -> None:
    """An opening that was written down while the copy was made would be lost with the ledger that it stands in."""
    if now.exists() and not copied.read_bytes().startswith(now.read_bytes()):
        raise OverreadError(
            "The ledger was written to while the cohort was being updated, by an evaluation for example; nothing was changed.",
            "wait until it has ended, then run the same command again",
        )


def _put_in_place(folder: Path, beside: Path) -> None:
    if (folder / "cohort" / "cache").exists():
        os.replace(folder / "cohort" / "cache", beside / "cohort" / "cache")
    try:
        os.replace(folder / "cohort", beside / "before")
        os.replace(beside / "cohort", folder / "cohort")
    except BaseException:  # an interrupt between the two must not leave a project without a cohort
        if not (folder / "cohort").exists():
            os.replace(beside / "before", folder / "cohort")
        raise


def _known(project: Project) -> Known:
    digests = {c: d for part in read_summary(project.path)["parts"].values() for c, d in part["digests"].items()}
    return Known(
        read_key(project.path),
        read_links(project.path),
        places_of(read_splits(project.path)),
        {row.case.case_id: (row.digest, digests.get(row.case.case_id, "")) for row in read_index(project.path)},
        read_files(project.path),
    )


def _refuse_missing_folder(project: Project) -> None:
    given = project.settings.images.folder
    if not (project.path / given).exists():
        raise OverreadError(
            f"The image folder {given} of this project does not exist (images.folder in {project.path / 'project.toml'}).",
            "put it back, or correct images.folder there if it was moved",
        )


def _refuse_another_question(project: Project, gathered: Gathered) -> None:
    asked, found = project.question, gathered.question
    if asked.task != found.task or set(asked.classes) != set(found.classes):
        raise OverreadError(
            f"The truth now asks another question: {found.task} of {', '.join(found.classes)}; the project asks "
            f"{asked.task} of {', '.join(asked.classes)}.",
            "make a new project with `overread init`: models of the two cannot be compared",
        )


def _refuse_moved_patients(gathered: Gathered, links: Sequence[Link]) -> None:
    """A case that now names another patient could end on two sides of the split."""
    before = {link.original_name: link.original_patient for link in links}
    moved = [d for d in gathered.drafts if before.get(d.name, d.patient) != d.patient]
    if moved:
        first = moved[0]
        raise OverreadError(
            f"{len(moved)} cases name another patient than before; {first.name} was of '{before[first.name]}' and is now of "
            f"'{first.patient}'. Partitions were frozen by patient.",
            "put the patient back, or make a new project with `overread init`",
        )


def _gone(gathered: Gathered, links: Sequence[Link]) -> list[Step]:
    """Cases of the last version that are no longer there or no longer usable, as a step of the data flow."""
    present = {d.name for d in gathered.drafts}
    gone = tuple(LeftOut(link.original_name, "was in an earlier version") for link in links if link.original_name not in present)
    return [Step("still there since the last version", len(gathered.drafts), gone)] if gone else []


def _changes(gathered: Gathered, division: Division, links: Sequence[Link], gone: Sequence[Step]) -> dict[str, Any]:
    names, patients = {link.original_name for link in links}, {link.original_patient for link in links}
    placed = [d for d, p in zip(gathered.drafts, division.place, strict=True) if p is not None]
    new = [d for d in placed if d.name not in names]
    return {
        "new_patients": len({d.patient for d in new if d.patient not in patients}),
        "new_cases": len(new),
        "new_exams_of_known_patients": sum(d.patient in patients for d in new),
        "removed_cases": sum(len(s.left_out) for s in gone),
    }


def _record(ledger: Ledger, stored: Stored, of: Mapping[str, str], reason: str, overlaps: int, leak_override: str) -> None:
    version = stored.version
    counts = {k: len(v) if isinstance(v, list) else v for k, v in stored.changed.items()}
    ledger.append(
        "updated",
        cohort=version["digest"],
        splits=version["splits"],
        version=version["version"],
        changed=counts,
        **of,
        **({"reason": reason} if reason else {}),
    )
    if overlaps:
        ledger.append("overlap accepted", reason=leak_override, cases=overlaps, **of)


def _summary(project: Project, home: Project | None, gathered: Gathered, division: Division, stored: Stored) -> Summary:
    changed, version = stored.changed, stored.version
    table = partition_table(gathered, division)
    names = {case_id: name for name, case_id in stored.case_ids.items()}
    lines = [f"Version {version['version']} of the cohort: {version['cases']} cases, {version['patients']} patients"]
    for key, text in (
        ("new_patients", "new patients"),
        ("new_cases", "new cases"),
        ("new_exams_of_known_patients", "of them exams of known patients, in their patient's partition"),
        ("removed_cases", "cases no longer there"),
    ):
        if changed[key]:
            lines.append(f"  {changed[key]:>5}  {text}")
    for key, text in (("corrected_truths", "corrected truths"), ("changed_images", "changed images")):
        cases = changed[key]
        if cases:
            some = ", ".join(f"{c} ({names[c]})" for c in cases[:SHOWN])
            lines.append(f"  {len(cases):>5}  {text}: {some}{' ...' if len(cases) > SHOWN else ''}")
    if len(lines) == 1:
        lines.append("  nothing changed")
    left = sum(place is None for place in division.place)
    if left:
        lines.append(f"  {left:>5}  cases have no place in the split: {division.left}")
    if changed["corrected_truths"]:
        lines += correction_lines(home or project, "internal" if home is None else label_of(project))
    follow = project.command("train", "--name", "NEW") if home is None else home.command("external", project.path.name)
    lines += [
        "",
        "Partitions (nobody changed partition)",
        *table_lines(table),
        "",
        f"Next: {follow}",
    ]
    return Summary(tuple(lines), {"version": version["version"], "changed": dict(changed), "parts": table})
