"""The errors of each stage of a cascade, apart: what the first model cut away, and how good the second is on the rest.

A truth outside of the region was never shown to the second model. It counts as missed in every score; here it is said how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from overread.cohort.load import load_truth
from overread.core.kinds import LabelMap
from overread.core.region import Region, RegionBox
from overread.evaluation.scoring import open_answer
from overread.record.files import read_json
from overread.workflow.scoring.parts import Part, Truths


@dataclass
class _Count:
    """Of one structure over all cases: voxels and connected pieces of the truth, and those outside; Dice inside, by case."""

    voxels: int = 0
    outside: int = 0
    pieces: int = 0
    pieces_outside: int = 0
    cases_outside: set[str] = field(default_factory=set)
    inside: list[float] = field(default_factory=list)


def stages_of(parts: Sequence[Part], truths: Sequence[Truths]) -> dict[str, Any] | None:
    """What the report says of both stages; None where the model reads whole images, or nothing is known of its regions."""
    regions = [_region_of(part) for part in parts]
    if any(region is None for region in regions):
        return None
    boxes: dict[str, RegionBox] = {}
    for part, region in zip(parts, regions, strict=True):
        known = part.cohort.boxes
        if any(case.case_id not in known or known[case.case_id].of != region for case in part.cases):
            return None
        boxes |= {case.case_id: known[case.case_id] for case in part.cases}
    of = regions[0]
    assert of is not None
    missed = sorted(case_id for case_id, box in boxes.items() if not box.is_found)
    counts = _counts(parts, truths, boxes) if parts[0].cohort.question.task == "segmentation" else {}
    structures = [_row(name, count) for name, count in counts.items()]
    about = {"structure": of.structure, "margin_mm": of.margin_mm, "model": of.model, "cases": len(boxes), "not_found": missed}
    return {**about, "structures": structures, "notes": _notes(of, len(boxes), missed, structures)}


def _region_of(part: Part) -> Region | None:
    path = part.run.model / "model.json"
    values = read_json(path).get("preparation", {}).get("region") if path.exists() else None
    return None if values is None else Region(**values)


def _counts(parts: Sequence[Part], truths: Sequence[Truths], boxes: dict[str, RegionBox]) -> dict[str, _Count]:
    counts = {name: _Count() for name in parts[0].cohort.question.classes}
    for part, references in zip(parts, truths, strict=True):
        for case in part.cases:
            truth = load_truth(part.cohort, case, references[case.case_id])
            assert isinstance(truth, LabelMap)
            answer = None
            if case.case_id not in part.predictions.refused:
                grid = part.cohort.grids[case.case_id]
                answer = open_answer(case.case_id, part.predictions.masks(case.case_id), part.cohort.question, grid)
            for name, count in counts.items():
                _add(count, case.case_id, truth.mask(name), None if answer is None else answer.mask(name), boxes[case.case_id])
    return counts


def _add(count: _Count, case_id: str, truth: np.ndarray, answer: np.ndarray | None, box: RegionBox) -> None:
    """truth, answer  (Z, Y, X) bool of one structure; answer None where the case was refused"""
    inside = truth[box.place]
    outside = int(truth.sum()) - int(inside.sum())
    pieces, number = ndimage.label(truth, np.ones((3, 3, 3)))
    kept = set(np.unique(pieces[box.place]).tolist()) - {0}
    count.voxels += int(truth.sum())
    count.outside += outside
    count.pieces += int(number)
    count.pieces_outside += int(number) - len(kept)
    if outside:
        count.cases_outside.add(case_id)
    if answer is not None and inside.any():
        given = answer[box.place]
        count.inside.append(2 * int((given & inside).sum()) / (int(given.sum()) + int(inside.sum())))


def _row(name: str, count: _Count) -> dict[str, Any]:
    return {
        "structure": name,
        "truth_voxels": count.voxels,
        "voxels_outside": count.outside,
        "pieces": count.pieces,
        "pieces_outside": count.pieces_outside,
        "cases_outside": sorted(count.cases_outside),
        "dice_inside": float(np.mean(count.inside)) if count.inside else None,
        "cases_inside": len(count.inside),
    }


def _notes(of: Region, cases: int, missed: Sequence[str], structures: Sequence[dict[str, Any]]) -> list[str]:
    found = f"The first model found {of.structure} in {cases - len(missed)} of {cases} cases"
    notes = [f"{found}." if not missed else f"{found}; the others were read whole: {', '.join(missed)}."]
    for row in structures:
        share = row["voxels_outside"] / row["truth_voxels"] if row["truth_voxels"] else 0.0
        lost = (
            f"Of the truth of {row['structure']} {share:.1%} of the voxels lie outside of the region, in "
            f"{len(row['cases_outside'])} case(s); {row['pieces_outside']} of {row['pieces']} connected pieces lie there whole. "
            "The second model never saw them; they count as missed."
        )
        inside = (
            f" Inside of it the mean Dice is {row['dice_inside']:.3f} over the {row['cases_inside']} cases that have some there."
            if row["dice_inside"] is not None
            else ""
        )
        notes.append(lost + inside)
    return notes
