"""One case whose answer is turned: by the smallest change of its voxels, and by the least worsening that happens in practice."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from overread.core.image import Image
from overread.explanation.flips.answered import Answered, answered
from overread.explanation.flips.decisions import LOST
from overread.explanation.flips.smallest import DRAWS, Change, Norm, noise_flips, size_of, smallest_change
from overread.explanation.flips.units import Units, units_of
from overread.explanation.flips.worsened import Worsened, least_worsening
from overread.metrics.table import positive_class
from overread.reading.answering import Answering
from overread.workflow.explanations.maps.cases import Picked

NORMS: dict[Norm, str] = {"largest": "smallest largest change (L-infinity)", "mean": "smallest mean change (L2)"}
NOTHING = "nothing was found in it that could be lost"


@dataclass(frozen=True)
class Flipped:
    """What turned the answer to a case.

    row  for the record: sizes, and answers before and after, in words
    """

    case_id: str
    image: Image
    answered: Answered
    changes: tuple[Change, ...]
    worsened: tuple[Worsened, ...]
    row: dict[str, Any]


def flips_of(answering: Answering, picked: Picked) -> Flipped | str:
    """Turn one answer in every way that is known; in words why there is nothing to turn."""
    image = picked.open()
    found = answered(answering, answering.prepare(image))
    if found is None:
        return NOTHING
    units, seed = units_of(image, found.predictor.preparation), zlib.crc32(picked.name.encode())
    changes = [(norm, smallest_change(found, norm)) for norm in NORMS]
    worse = least_worsening(found, image, picked.name)
    row = {
        "case_id": picked.name,
        "why": picked.why,
        "told": picked.told,
        "target": found.asked.target.name,
        "before": found.before.words,
        "rule": _rule(found),
        "units": {"per_sd": units.per_sd, "name": units.name, "window": units.width},
        "changes": [_change(found, norm, change, units, seed) for norm, change in changes],
        "worsened": [_worsening(found, one) for one in worse],
    }
    return Flipped(picked.name, image, found, tuple(c for _, c in changes if c is not None), tuple(worse), row)


def _rule(found: Answered) -> str:
    """When the answer counts as another one."""
    question, decisions = found.predictor.task.question, found.predictor.decisions
    name = question.classes[found.asked.target.number]
    if question.task == "segmentation":
        return f"turned: Dice of {name} with its own former outline below {LOST:g}, in the window around it"
    if question.is_of_objects:
        return f"turned: the object is no longer listed at the frozen threshold, {decisions.threshold(name):.3g}"
    if question.is_binary or not question.exclusive:
        of = positive_class(question) if question.is_binary else name
        return f"turned: {of} is called from a probability of {decisions.threshold(of):.3g} on, the frozen threshold"
    return "turned: another class is the likeliest"


def _change(found: Answered, norm: Norm, change: Change | None, units: Units, seed: int) -> dict[str, Any]:
    if change is None:
        return {"norm": norm, "title": NORMS[norm], "size_sd": None, "size": None, "words": "", "after": "", "noise": None}
    other: Norm = "mean" if norm == "largest" else "largest"
    return {
        "norm": norm,
        "title": NORMS[norm],
        "size_sd": change.size,
        "size": change.size * units.per_sd,
        "share_of_window": change.size * units.per_sd / units.width,
        "words": units.words(change.size),
        "other_size_sd": size_of(change.values, other),
        "after": found.now(found.asked.images + change.values).words,
        "noise": {"flips": noise_flips(found, change, seed), "draws": DRAWS},
    }


def _worsening(found: Answered, one: Worsened) -> dict[str, Any]:
    return {
        "degradation": one.name,
        "title": one.title,
        "amount": one.words,
        "turns": one.window is not None,
        "change_sd": one.change if one.window is not None else None,
        "after": "" if one.window is None else found.now(one.window).words,
    }
