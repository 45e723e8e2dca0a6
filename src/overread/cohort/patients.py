"""Whose image each is: the patient of every case, and how far exams of one patient count by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from overread.cohort.ask import OBJECT_TASKS
from overread.cohort.columns import Roles
from overread.cohort.draft import Draft, Step
from overread.cohort.exams import choose_index_exam, parse_index_exam
from overread.cohort.join import Joined
from overread.cohort.layouts import Layout
from overread.cohort.names import NAME_RULES, shared_beginnings
from overread.cohort.request import Request
from overread.core.errors import OverreadError
from overread.core.question import UNITS_OF_ANALYSIS


def with_patients(
    drafts: Sequence[Draft], request: Request, roles: Roles | None, layout: Layout
) -> tuple[list[Draft], bool, str]:
    """Every draft with a patient; where nothing names one, the image itself stands in."""
    unknown = sum(d.patient is None for d in drafts)
    if request.group_by in NAME_RULES:
        reason = f"the {NAME_RULES[str(request.group_by)]} of each file, you said so"
    elif roles is not None and roles.patient:
        reason = f"column '{roles.patient}', {roles.reasons.get(roles.patient, '')}"
    elif unknown == len(drafts):
        reason = "no column, folder or header names the patient: images of one person may lie on both sides of the split"
    else:
        reason = layout.reasons.get("cohort.group_by", "Patient ID of the image headers")
    if 0 < unknown < len(drafts):
        reason += f"; {unknown} of {len(drafts)} images name no patient and count as one each"
    return [d if d.patient else replace(d, patient=d.name) for d in drafts], unknown < len(drafts), reason


def hints(folder: Path, drafts: Sequence[Draft], patient_known: bool, has_sheet: bool) -> list[str]:
    """Where a patient might be named, when nothing has named one yet."""
    if patient_known:
        return []
    lines = []
    beginnings = shared_beginnings([d.images[0].files[0] for d in drafts]) if drafts[0].images[0].format != "npz" else None
    if beginnings:
        lines.append(f"file names share beginnings ({beginnings}); if these are patients, say --group-by prefix")
    sheets = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in (".csv", ".xlsx"))
    if sheets and not has_sheet:
        lines.append(f"{sheets[0]} lies in the image folder; if it names patients, say --sheet {folder / sheets[0]}")
    return lines


def keep_index_exams(
    drafts: list[Draft], steps: list[Step], request: Request, joined: Joined | None, order: Sequence[Draft]
) -> tuple[list[Draft], list[Step]]:
    rule = parse_index_exam(request.index_exam)
    wanted: dict[int, date | None] = {}
    if rule.kind == "nearest":
        if joined is None:
            raise OverreadError(f"The index exam needs the column '{rule.column}', but there is no sheet.", "give --sheet FILE")
        days = joined.sheet.dates(rule.column)
        position = {d.name: k for k, d in enumerate(order)}
        wanted = {k: days[joined.rows[position[d.name]][0]] for k, d in enumerate(drafts) if position[d.name] in joined.rows}
    kept, step = choose_index_exam(drafts, rule, wanted)
    return [drafts[k] for k in kept], steps if step is None else [*steps, step]


def check_unit(request: Request, task: str, drafts: Sequence[Draft], joined: Joined | None) -> None:
    """The unit must be one that is scored; a truth of patients on several exams each needs a rule how they become one answer."""
    unit = request.said.unit
    if unit is not None and unit not in UNITS_OF_ANALYSIS:
        raise OverreadError(f"There is no unit of analysis '{unit}'.", f"say --unit {', '.join(UNITS_OF_ANALYSIS)}")
    if task in ("segmentation", *OBJECT_TASKS):
        _refuse_unit_of_masks(request, "masks" if task == "segmentation" else "objects")
    if unit == "side":
        _refuse_no_side(drafts)
    counts = Counter(d.patient for d in drafts if d.patient and not d.attributes.get("made"))
    several = sum(1 for n in counts.values() if n > 1)
    by_patient = unit == "patient" or (unit is None and joined is not None and joined.level == "patient")
    if by_patient and several and request.aggregation == "none":
        raise OverreadError(
            f"The unit of analysis is the patient, and {several} of {len(counts)} patients have more than one exam here.",
            "say how exams become one answer (--unit patient --aggregation max, mean or any), or which one counts "
            "(--index-exam first, last, or 'nearest to COLUMN within N days'); or answer each exam by itself with --unit exam",
        )


def _refuse_unit_of_masks(request: Request, they: str) -> None:
    """Masks are scored image by image, whatever is asked."""
    if request.aggregation != "none":
        raise OverreadError(
            f"--aggregation {request.aggregation} puts findings of several images together; {they} are scored image by image.",
            "leave --aggregation out, and pick one exam with --index-exam where each patient should count once",
        )
    unit = request.said.unit
    if unit in ("lesion", "patient"):
        instead = {
            "lesion": "for one answer per lesion give each lesion an image of its own and a label instead of a mask",
            "patient": "where each patient should count once, add --index-exam first or last",
        }
        raise OverreadError(
            f"The unit of analysis is the {unit}, but the truth is {they}, and each image is scored as a whole, with all that is "
            "drawn in it.",
            f"leave --unit out (one answer per exam); {instead[unit]}",
        )


def _refuse_no_side(drafts: Sequence[Draft]) -> None:
    """One answer per side needs to know which side an image shows."""
    without = [d.name for d in drafts if not d.side]
    if without:
        raise OverreadError(
            f"The unit of analysis is the side, and {len(without)} of {len(drafts)} images name none, {without[0]} for example: "
            "no header, no end of a file name such as _L or _R, and no column of the sheet says left or right of them.",
            "name the column that does with --side COLUMN, or leave --unit out (one answer per exam)",
        )
