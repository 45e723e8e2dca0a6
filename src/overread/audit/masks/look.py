"""What is wrong with drawn masks: islands, holes, gaps, wrong side, outside the body, unusual size, empty, copied outlines.

Masks under seal are never opened; how many of them are empty is known from the seal's summary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from overread.audit.audited import Audited
from overread.audit.concern import Concern, counted_as
from overread.audit.masks import rules as mask_rules
from overread.audit.masks.facts import MaskFacts, mask_facts
from overread.audit.masks.rules import FEWEST, Flagged
from overread.cohort.progress import Progress, work_through
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Kind, LabelMap

SHOWN = 20  # worst cases of each fault
NEARLY_ALWAYS = 0.95  # of the masks are not empty: then an empty one was forgotten


@dataclass(frozen=True)
class Fault:
    """One kind of fault, in words. `number` says what the number of each case means."""

    key: str
    rule: Callable[[Sequence[MaskFacts], int], Flagged | None]
    what: str
    number: str
    meaning: str
    certainty: str
    advice: str


HOW = "Compared with the other masks of this cohort."
FAULTS = (
    Fault(
        "mask-islands", mask_rules.islands, "small parts away from the main one", "voxels in islands",
        "Specks cost little Dice and much distance: one stray voxel sets the Hausdorff distance.",
        f"{HOW} The structure is one piece in most cases; in a patient who has two pieces this is right.",
        "Look at the worst; remove specks.",
    ),
    Fault(
        "mask-holes", mask_rules.holes, "holes", "voxels in holes",
        "A network learns the holes, or is blamed for filling them.",
        "Certain that they are there. A vessel or a cavity left out on purpose looks the same.",
        "Fill them, or write down that they are meant.",
    ),
    Fault(
        "mask-wrong-side", mask_rules.wrong_side, "the other side of the body than nearly all others", "place, +1 the left edge",
        "A flipped image or mask, or the wrong organ: the network is taught both sides.",
        f"{HOW} A transplanted or displaced organ, or situs inversus, looks the same.",
        "Look at orientation and label of these cases.",
    ),
    Fault(
        "mask-outside-body", mask_rules.outside, "much of the mask in the dark around the body", "share outside",
        "Image and mask do not belong together, or one of them is shifted or turned.",
        "The body was found by brightness; a very dark organ at the edge of the image looks the same.",
        "Lay mask over image; check that the mask is of this exam.",
    ),
    Fault(
        "mask-unusual-volume", mask_rules.volume, "an unusual size", "robust z score of log volume",
        "Half-drawn masks, wrong label values and wrong spacing show like this, and so does severe disease.",
        f"{HOW} A clean cohort whose volumes are log-normal would show any in about {mask_rules.LEVEL:.0%} of cohorts.",
        "Look at the worst; keep true extremes.",
    ),
    Fault(
        "mask-gaps", mask_rules.gaps, "slices left out in the middle", "slices left out",
        "Slices that were forgotten are taught as background and scored as errors.",
        "Outlines below and above the gap overlap by half, so the structure most likely went on.",
        "Draw the missing slices, or fill them between the neighbours and say so.",
    ),
    Fault(
        "mask-one-slice", mask_rules.one_slice, "an outline on one slice only", "slices of the image",
        "A volume was not drawn through: most of the structure is taught as background.",
        f"{HOW} A structure that is barely in the image looks the same.",
        "Draw it on all slices, or leave the case out.",
    ),
    Fault(
        "mask-copied-outlines", mask_rules.copied, "the same outline on slice after slice", "share of equal neighbours",
        "Outlines were copied, or drawn on thick slices and put on thin ones: the edge is coarser than the slices.",
        "Certain that they are equal. A mask that was resampled looks the same and may be right.",
        "Say at which slice distance was drawn; give the surface distance a tolerance of at least that.",
    ),
)  # fmt: skip


def look_for_mask_faults(
    audited: Audited, progress: Progress | None = None, refused: dict[str, str] | None = None
) -> list[Concern]:
    """Open every mask that is not sealed, with its image, and say what is unusual.

    refused  filled with case_id -> why a mask could not be opened; the text may name a file, so it is for the terminal only
    """
    if audited.question is None or audited.question.task != "segmentation" or audited.open_truth is None:
        return []
    reasons: dict[str, str] = {} if refused is None else refused
    return mask_concerns(audited, measure_masks(audited, progress, reasons), tuple(reasons))


def measure_masks(audited: Audited, progress: Progress | None = None, refused: dict[str, str] | None = None) -> list[MaskFacts]:
    """One row per open case and structure, in processes."""
    if audited.open_truth is None:
        return []
    work = partial(_measured, audited.open_truth, audited.open_image)
    found: list[MaskFacts] = []
    names = [case.case_id for case in audited.open_cases]
    for case_id, one in zip(names, work_through(work, names, "Looking at the masks", progress), strict=True):
        if isinstance(one, str):
            if refused is not None:
                refused[case_id] = one
        else:
            found += one
    return found


def _measured(open_truth: Callable[[str], Kind], open_image: Callable[[str], Image], case_id: str) -> list[MaskFacts] | str:
    """Facts with the image where it opens, without it where it does not; the reason where there is no mask."""
    try:
        truth = open_truth(case_id)
    except OverreadError as error:
        return error.what
    if not isinstance(truth, LabelMap):
        return f"{case_id}: the truth is no mask."
    try:
        image: Image | None = open_image(case_id)
    except OverreadError:
        image = None
    return mask_facts(case_id, truth, image if image is not None and image.grid.shape == truth.grid.shape else None)


def mask_concerns(audited: Audited, facts: Sequence[MaskFacts], unopened: Sequence[str] = ()) -> list[Concern]:
    """Concerns from measured masks: one per kind of fault, with counts per structure and the worst cases."""
    names = list(dict.fromkeys(fact.structure for fact in facts))
    by_name = {name: [fact for fact in facts if fact.structure == name] for name in names}
    drawn = {name: [fact for fact in masks if not fact.is_empty] for name, masks in by_name.items()}
    concerns = []
    for fault in FAULTS:
        found = {name: fault.rule(masks, len(names)) for name, masks in drawn.items()}
        flagged = {name: one for name, one in found.items() if one is not None}
        if flagged:
            concerns.append(_concern(audited, fault, flagged, {name: len(masks) for name, masks in drawn.items()}))
    return [*_unopened(audited, unopened), *concerns, *_empty(audited, by_name)]


def _concern(audited: Audited, fault: Fault, flagged: dict[str, Flagged], of: dict[str, int]) -> Concern:
    """A warning where single cases differ; a note where the whole cohort is drawn so."""
    told = ", ".join(f"{name} in {len(one.masks)} of {of[name]} cases" for name, one in flagged.items())
    rows = [(fact, value) for one in flagged.values() for fact, value in one.masks]
    usual = all(one.usual for one in flagged.values())
    few = "" if min(of[name] for name in flagged) >= FEWEST else f" With fewer than {FEWEST} masks the usual is not known."
    return Concern(
        fault.key,
        "masks",
        "note" if usual else "warning",
        f"Masks with {fault.what}: {told}.",
        fault.meaning,
        fault.certainty + (" So many are drawn like this that it is the cohort's way." if usual else "") + few,
        fault.advice,
        {
            "number": fault.number,
            "structures": {name: {"cases": len(one.masks), "of": of[name]} for name, one in flagged.items()},
            "worst": [
                {"structure": name, "case_id": fact.case_id, "value": round(value, 4)}
                for name, one in flagged.items()
                for fact, value in one.masks[:SHOWN]
            ],
        },
        cases=[(case_id,) for case_id in dict.fromkeys(fact.case_id for fact, _ in rows)],
        partitions=_partitions(audited, [fact.case_id for fact, _ in rows]),
    )


def empty_masks(audited: Audited, by_name: dict[str, list[MaskFacts]]) -> dict[str, dict[str, dict[str, int]]]:
    """structure -> partition -> {"empty", "of"}; of sealed partitions from the seal's summary."""
    place = {case.case_id: case.partition for case in audited.cases}
    sealed = Counter(case.partition for case in audited.cases if case.is_sealed)
    table: dict[str, dict[str, dict[str, int]]] = {}
    for name, masks in by_name.items():
        of, empty = Counter(place[m.case_id] for m in masks), Counter(place[m.case_id] for m in masks if m.is_empty)
        rows = {partition: {"empty": empty[partition], "of": number} for partition, number in of.items()}
        for partition, number in sealed.items():
            told: Any = (audited.truth_counts.get(partition) or {}).get(name)
            if isinstance(told, int) and partition not in rows:
                rows[partition] = {"empty": number - told, "of": number}
        table[name] = rows
    return table


def _empty(audited: Audited, by_name: dict[str, list[MaskFacts]]) -> list[Concern]:
    """A warning where a structure that is nearly always drawn is missing, else a note of how many are empty."""
    table = empty_masks(audited, by_name)
    counts = {name: (sum(r["empty"] for r in rows.values()), sum(r["of"] for r in rows.values())) for name, rows in table.items()}
    some = {name: pair for name, pair in counts.items() if pair[0]}
    if not some:
        return []
    forgotten = [name for name, (empty, of) in some.items() if of >= FEWEST and empty <= (1 - NEARLY_ALWAYS) * of]
    told = ", ".join(f"{name} in {empty} of {of} cases" for name, (empty, of) in some.items())
    ids = [fact.case_id for name in forgotten or some for fact in by_name[name] if fact.is_empty]
    return [
        Concern(
            "mask-empty",
            "masks",
            "warning" if forgotten else "note",
            f"Empty masks: {told}.",
            "Where truth and answer are both empty, Dice is not defined; means are taken over the cases that hold the structure."
            + (f" {', '.join(forgotten)} is nearly always drawn, so an empty mask looks forgotten." if forgotten else ""),
            "Certain: counted; under seal from the seal's summary. Whether the patient lacks it, only the image tells.",
            "Look at these images; say in the paper how many cases hold each structure.",
            {"structures": table},
            cases=[(case_id,) for case_id in dict.fromkeys(ids)],
            partitions=tuple(dict.fromkeys(p for name in some for p, row in table[name].items() if row["empty"] and p)),
        )
    ]


def _unopened(audited: Audited, case_ids: Sequence[str]) -> list[Concern]:
    if not case_ids:
        return []
    return [
        Concern(
            "mask-unreadable",
            "masks",
            "warning",
            f"{counted_as(len(case_ids), 'mask')} cannot be opened on the grid of the image.",
            "They were not looked at, and training would stop at them.",
            "Certain.",
            "The terminal names the files and the reasons; give the masks again.",
            {"masks": len(case_ids)},
            cases=[(case_id,) for case_id in case_ids],
            partitions=_partitions(audited, case_ids),
        )
    ]


def _partitions(audited: Audited, case_ids: Sequence[str]) -> tuple[str, ...]:
    wanted = set(case_ids)
    found = {case.partition for case in audited.cases if case.case_id in wanted}
    return tuple(partition for partition in audited.partitions if partition in found)
