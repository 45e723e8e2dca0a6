"""What a run left about single cases, for the browser of errors in its report. No torch."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from overread.cohort.index import read_index
from overread.core.errors import OverreadError
from overread.core.slices import shares_in_words
from overread.evaluation.groups.bands import bands, cells_of
from overread.evaluation.sources.slices_file import read_slices
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.reporting.case_files import CaseFiles
from overread.reporting.page_parts import Part
from overread.reporting.pictures.small import shrunk
from overread.workflow.explanations.embedding.similar import similar_of
from overread.workflow.explanations.record import part_of
from overread.workflow.learning.panels import SHOWN
from overread.workflow.private import Cleaner
from overread.workflow.project import Project
from overread.workflow.scoring.groups import group_columns

NOTES = "notes.toml"
PARTITIONS = ("tuning", "internal")


def case_files(
    project: Project,
    run: RunFolder,
    home: RunFolder,
    members: Mapping[str, RunFolder],
    evaluations: Mapping[str, Any],
    clean: Cleaner,
) -> CaseFiles:
    """Gathered from the panels of the evaluations, the explanations of every training of the run, the cohort and the notes.

    home  where the evaluations lie
    """
    rows = {row["case_id"]: row for evaluation in evaluations.values() for row in evaluation["cases"]}
    similar: dict[str, Any] = {}
    maps: dict[str, tuple[bytes, str]] = {}
    for member in members.values():
        similar |= similar_of(member)
        maps |= _maps(part_of(member, "maps"), rows)
    return CaseFiles(
        {partition: _small(home, partition) for partition in PARTITIONS},
        {case_id: (png, clean(words)) for case_id, (png, words) in maps.items()},
        clean(similar),
        clean(_groups(project, rows)),
        clean(read_notes(run.path / NOTES, rows)),
        f"runs/{run.name}/{NOTES}",
        clean(_slices(members.values(), rows)),
    )


def read_notes(path: Path, known: Collection[str]) -> dict[str, str]:
    """case_id -> note, as the authors wrote them into the folder of the run; empty where there is no such file.

    known  the pseudonyms of the cases that were evaluated
    """
    if not path.exists():
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("notes", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OverreadError(
            f"{NOTES} in the folder of the run cannot be read: {error}.",
            'write it as the button in the report does: a line [notes], then "C-0001" = "text" for each case; or take it away',
        ) from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise OverreadError(f"A note in {NOTES} is no text.", 'write "C-0001" = "text" below the line [notes]')
    for case_id in found:
        if known and case_id not in known:
            near = get_close_matches(case_id, known, 1)
            raise OverreadError(
                f"{NOTES} holds a note on case {case_id}, which was not evaluated in this run."
                + (f" Did you mean {near[0]}?" if near else ""),
                "name cases by the pseudonyms that the report shows",
            )
    return dict(found)


def _small(home: RunFolder, partition: str) -> dict[str, bytes]:
    folder = home.path / f"panels-{partition}"
    if not (folder / "panels.json").exists():
        return {}
    listed = read_json(folder / "panels.json").get("small", [])
    return {entry["case_id"]: (folder / entry["file"]).read_bytes() for entry in listed if (folder / entry["file"]).exists()}


def _maps(part: Part | None, wanted: Collection[str]) -> dict[str, tuple[bytes, str]]:
    """The first map of each case whose method did not fail its trial; no other belongs beside an error."""
    if part is None:
        return {}
    found: dict[str, tuple[bytes, str]] = {}
    for case in part.record["cases"]:
        for one in case.get("maps", ()):
            picture = part.pictures.get(one.get("file") or "")
            if picture is not None and one["verdict"] != "failed" and case["case_id"] in wanted and case["case_id"] not in found:
                tried = "" if one["verdict"] == "passed" else "; its trial is not complete"
                found[case["case_id"]] = (shrunk(picture), f"{one['title']} of {one['target']}{tried}")
    return found


def _slices(members: Iterable[RunFolder], wanted: Collection[str]) -> dict[str, str]:
    """case_id -> the slices that its answer rests on, in words."""
    told: dict[str, str] = {}
    for member in members:
        for partition in PARTITIONS:
            found = read_slices(member.predictions / partition)
            told |= {case_id: shares_in_words(shares[:SHOWN]) for case_id, shares in found.items() if case_id in wanted}
    return told


def _groups(project: Project, wanted: Collection[str]) -> dict[str, dict[str, str]]:
    """Column -> case_id -> group: site, scanner, sex, bands of age and other columns of the sheet that make groups."""
    cases = [row.case for row in read_index(project.path) if row.case.case_id in wanted]
    ids, patients = [case.case_id for case in cases], [case.patient_id for case in cases]
    made = {name: bands(name, cells_of(column, ids), patients) for name, column in group_columns(cases).items()}
    return {name: dict(zip(ids, one.level, strict=True)) for name, one in made.items() if not one.refusal}
