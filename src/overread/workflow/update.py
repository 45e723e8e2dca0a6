"""`overread update`: new patients and corrected labels as a new version of the cohort; nobody changes partition."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from overread.cohort.ask import Said
from overread.cohort.check import read_files
from overread.cohort.draft import Draft, LeftOut, Step
from overread.cohort.folders import headers_path
from overread.cohort.gather import Gathered, gather
from overread.cohort.given import given_split
from overread.cohort.identity import Link, read_key, read_links
from overread.cohort.index import read_index, read_splits
from overread.cohort.labels.values import How
from overread.cohort.partition import Division, Wish, strata_of
from overread.cohort.progress import Progress
from overread.cohort.request import Request
from overread.cohort.seal import read_summary
from overread.cohort.split import folds_by_group, linked_groups, split_by_group
from overread.cohort.store import Known, store
from overread.core.errors import OverreadError
from overread.record.ledger import Ledger
from overread.workflow.init_summary import PARTITION_NAMES, partition_table, table_lines
from overread.workflow.project import Project, Summary

SHOWN = 10


def update(folder: str | Path, *, progress: Progress | None = None) -> Project:
    """Look at the images, masks and sheet of a project again; what changed stands in `project.summary`."""
    project = Project.open(Path(folder).resolve())
    known = _known(project)
    links = read_links(project.path)
    _refuse_missing_folder(project)
    gathered = gather(_request(project), progress)
    _refuse_another_question(project, gathered)
    _refuse_moved_patients(gathered, links)
    splits = read_splits(project.path)
    gone = _gone(gathered, [x for x in links if x.case_id not in splits.get("retired", {})])
    division = _divide(project, gathered, splits, links)
    changed = _changes(gathered, links, gone)
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
        if any(stored.changed.values()):
            _record(beside, stored.version, stored.changed)
    return Project(project.path, _summary(project, gathered, division, stored.changed, stored.case_ids, stored.version))


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
        if (folder / "cohort" / "cache").exists():
            os.replace(folder / "cohort" / "cache", beside / "cohort" / "cache")
        try:
            os.replace(folder / "cohort", beside / "before")
            os.replace(beside / "cohort", folder / "cohort")
        except BaseException:  # an interrupt between the two must not leave a project without a cohort
            if not (folder / "cohort").exists():
                os.replace(beside / "before", folder / "cohort")
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _known(project: Project) -> Known:
    digests = {c: d for part in read_summary(project.path)["parts"].values() for c, d in part["digests"].items()}
    return Known(
        read_key(project.path),
        read_links(project.path),
        _places(read_splits(project.path)),
        {row.case.case_id: (row.digest, digests.get(row.case.case_id, "")) for row in read_index(project.path)},
        read_files(project.path),
    )


def _places(splits: Mapping[str, Any]) -> dict[str, str | int]:
    """case_id -> partition or fold, of those that are gone too."""
    return {**(splits.get("partition") or splits["fold"]), **splits.get("retired", {})}


def _request(project: Project) -> Request:
    """What `init` was asked, from the settings."""
    s = project.settings
    task, question = s.question.task, s.question
    said = Said(
        task,
        s.truth.label_columns,
        s.truth.names,
        question.classes,
        question.values,
        question.positive,
        question.exclusive,
        question.ordered,
        question.units,
        question.unit,
        question.sided,
    )
    sheet = project.path / s.truth.sheet if s.truth.sheet else None
    return Request(
        (project.path / s.images.folder).resolve(),
        project.truth_folder if project.truth_folder != project.images_folder else None,
        sheet,
        said,
        s.truth.id_column,
        s.cohort.group_by,
        s.cohort.site,
        s.cohort.scanner,
        s.cohort.date,
        s.cohort.side,
        s.cohort.covariates,
        s.images.series,
        question.aggregation,
        question.index_exam,
        s.images.gaps,
        s.images.tilt,
        How(s.truth.reader, s.truth.method, s.truth.date),
        headers=headers_path(project.path),
        channels=s.images.channels,
        missing=s.images.missing,
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


def _divide(project: Project, gathered: Gathered, splits: Mapping[str, Any], links: Sequence[Link]) -> Division:
    """Everybody known stays; new exams inherit; new patients are drawn beside those that are there."""
    drafts = gathered.drafts
    patients = [d.patient or d.name for d in drafts]
    case_of = {link.original_name: link.case_id for link in links}
    place_of_case = _places(splits)
    known = [place_of_case.get(case_of.get(d.name, "")) for d in drafts]
    patient_place = {link.original_patient: place_of_case[link.case_id] for link in links if link.case_id in place_of_case}
    groups = linked_groups(patients, [s.digest for s in gathered.seen])
    fixed = _fixed_groups(drafts, groups, patients, patient_place)
    strata, by = strata_of(gathered.question, [gathered.truths[d.name] for d in drafts], [s.voxels for s in gathered.seen])
    seed, wish = int(splits["seed"]), Wish(tuning=project.settings.split.tuning)
    if "fold" in splits:
        count = len(set(splits["fold"].values()))
        drawn: list[str | int] = list(folds_by_group(groups, strata, count, seed, {g: int(f) for g, f in fixed.items()}))
        place = [k if k is not None else d for k, d in zip(known, drawn, strict=True)]
        tuning = _tuning(splits, case_of, drafts, groups, strata, [int(p) for p in place], wish, seed)
        return Division("folds", tuple(place), tuple(groups), tuning, by, (), {}, ())
    if splits["scheme"] == "given":
        given = given_split(_given_by(project), gathered)
        named = given.place if given is not None and given.scheme == "partitions" else {}
        place = [p or fixed.get(g) or named.get(k) or "training" for k, (p, g) in enumerate(zip(known, groups, strict=True))]
    else:
        split = project.settings.split
        shares = {"training": 1 - split.tuning - split.internal, "tuning": split.tuning, "internal": split.internal}
        new = split_by_group(groups, strata, shares, seed, {g: str(p) for g, p in fixed.items()})
        place = [k or n for k, n in zip(known, new, strict=True)]
    return Division(splits["scheme"], tuple(place), tuple(groups), {}, by, (), {}, ())


def _given_by(project: Project) -> str | Path | None:
    """The file or column that gave the split, where it is still there."""
    given = project.settings.split.given
    return project.path / given if given and (project.path / given).is_file() else given


def _fixed_groups(
    drafts: Sequence[Draft], groups: Sequence[str], patients: Sequence[str], patient_place: Mapping[str, str | int]
) -> dict[str, str | int]:
    """group -> the partition that a patient of it has already; refused where a new image ties two partitions together."""
    fixed: dict[str, str | int] = {}
    for k, (group, patient) in enumerate(zip(groups, patients, strict=True)):
        place = patient_place.get(patient)
        if place is None:
            continue
        if fixed.setdefault(group, place) != place:
            raise OverreadError(
                f"A new image of {drafts[k].name} is identical to one of a patient in another partition "
                f"({PARTITION_NAMES.get(str(place), place)} against {PARTITION_NAMES.get(str(fixed[group]), fixed[group])}).",
                "find out whose image it is, and take the copy out of the folder",
            )
    return fixed


def _tuning(
    splits: Mapping[str, Any],
    case_of: Mapping[str, str],
    drafts: Sequence[Draft],
    groups: Sequence[str],
    strata: Sequence[Sequence[Any]],
    place: Sequence[int],
    wish: Wish,
    seed: int,
) -> dict[int, tuple[str, ...]]:
    """For each fold the groups that tune: those that did, and a share of the new ones."""
    tuning = {}
    for fold in sorted(set(place)):
        tuned = set(splits["tuning"].get(str(fold), ()))
        fixed = {
            g: "tuning" if case_of[d.name] in tuned else "training"
            for d, g in zip(drafts, groups, strict=True)
            if d.name in case_of
        }
        rest = [k for k, p in enumerate(place) if p != fold]
        shares = {"training": 1 - wish.tuning, "tuning": wish.tuning}
        drawn = split_by_group([groups[k] for k in rest], [strata[k] for k in rest], shares, seed, fixed)
        tuning[fold] = tuple(sorted({groups[k] for k, p in zip(rest, drawn, strict=True) if p == "tuning"}))
    return tuning


def _changes(gathered: Gathered, links: Sequence[Link], gone: Sequence[Step]) -> dict[str, Any]:
    names, patients = {link.original_name for link in links}, {link.original_patient for link in links}
    new = [d for d in gathered.drafts if d.name not in names]
    return {
        "new_patients": len({d.patient for d in new if d.patient not in patients}),
        "new_cases": len(new),
        "new_exams_of_known_patients": sum(d.patient in patients for d in new),
        "removed_cases": sum(len(s.left_out) for s in gone),
    }


def _record(folder: Path, version: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    counts = {k: len(v) if isinstance(v, list) else v for k, v in changed.items()}
    Ledger(folder / "cohort" / "ledger.jsonl").append(
        "updated", cohort=version["digest"], splits=version["splits"], version=version["version"], changed=counts
    )


def _summary(
    project: Project,
    gathered: Gathered,
    division: Division,
    changed: Mapping[str, Any],
    case_ids: Mapping[str, str],
    version: Mapping[str, Any],
) -> Summary:
    table = partition_table(gathered, division)
    names = {case_id: name for name, case_id in case_ids.items()}
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
    lines += [
        "",
        "Partitions (nobody changed partition)",
        *table_lines(table),
        "",
        f"Next: overread train {project.path} --name NEW",
    ]
    return Summary(tuple(lines), {"version": version["version"], "changed": dict(changed), "parts": table})
