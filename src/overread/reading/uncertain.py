"""How unsure a model is of one case: it answers several times, and the answers are compared. Needs no truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from overread.batches.prepare import Prepared
from overread.metrics.entropy import Entropies, spread
from overread.reading.answering import Answering
from overread.reading.uncertain_objects import disagreement
from overread.reading.uncertain_passes import raws_of
from overread.reading.uncertain_voxels import of_voxels
from overread.reading.uncertain_ways import SOURCES, Ways, check, possible

__all__ = ["NO_VARIANCE", "SOURCES", "CaseUncertainty", "Ways", "possible", "uncertainty_of"]

NO_VARIANCE = "the network gives one number and no spread of its own, so only what the passes differ by is known"


@dataclass(frozen=True)
class CaseUncertainty:
    """What several answers to one case say of how sure they are.

    passes   how many there were
    values   measures of the whole case; more is less sure, but for "confidence"; None where not defined, with its reason
               classification  entropy, expected_entropy, mutual_information (bits), sd (of a probability)
               regression      sd, in standard deviations of the training cases, mean over quantities
               segmentation    entropy, expected_entropy, mutual_information (bits, mean over what is drawn and its border),
                               volume_cv, dice_loss (1 - mean Dice between passes), confidence (of the model's own answer)
               objects         disagreement (1 - mean F1 of a pass against the model's own answer), score_sd, extra (objects that
                               passes show and the answer does not), confidence
    parts    by class, quantity or structure: mean, sd, lowest, highest, and of structures the measures above
    objects  of the model's own answer: class, score, box, share (of passes that find it), score_sd
    maps     segmentation: "entropy" and "mutual_information", (Z, Y, X) float32 bits on the source grid
    reasons  measure -> why it is not defined
    """

    passes: int
    values: dict[str, float | None]
    parts: dict[str, dict[str, float | None]] = field(default_factory=dict)
    objects: tuple[dict[str, Any], ...] = ()
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def uncertainty_of(answering: Answering, prepared: Prepared, ways: Ways, matching: str = "auto") -> CaseUncertainty:
    """Let a model answer one prepared case several times; a way that the model does not have is refused by name.

    prepared  as `answering.prepare` gave it
    ways      where the answers come from, for example `Ways(possible(answering))`
    matching  objects: when a pass finds an object of the answer, as in `[evaluation]`
    The probabilities are those before calibration: it was fitted to the answer, not to a pass.
    """
    check(answering, ways)
    question = answering.task.question
    if question.is_of_objects:
        passes, values, objects, reasons = disagreement(answering, prepared, ways, matching)
        return CaseUncertainty(passes, values, objects=objects, reasons=reasons)
    if question.task == "segmentation":
        found = of_voxels(answering, prepared, ways)
        return CaseUncertainty(found.passes, found.values, found.parts, maps=found.maps, reasons=found.reasons)
    several = list(raws_of(answering, prepared, ways))
    weights = np.array([weight for weight, _ in several])
    answers = np.stack([raw for _, raw in several]).astype(np.float64)
    return _of_numbers(answering, answers, weights) if question.task == "regression" else _of_classes(answering, answers, weights)


def _of_classes(answering: Answering, answers: np.ndarray, weights: np.ndarray) -> CaseUncertainty:
    """answers  (T, K) probabilities"""
    question = answering.task.question
    bits = Entropies.of(answers, weights, exclusive=question.exclusive)
    mean, sd = spread(answers, weights)
    telling = int(mean.argmax()) if question.exclusive else int(sd.argmax())  # findings that may occur together: the shakiest
    values: dict[str, float | None] = {
        "entropy": float(bits.total),
        "expected_entropy": float(bits.expected),
        "mutual_information": float(bits.mutual),
        "sd": float(sd[telling]),
    }
    return CaseUncertainty(len(answers), values, _parts(question.classes, answers, mean, sd))


def _of_numbers(answering: Answering, answers: np.ndarray, weights: np.ndarray) -> CaseUncertainty:
    """answers  (T, K) numbers in their units"""
    names = answering.task.question.classes
    mean, sd = spread(answers, weights)
    scale = np.array(answering.task.scaling.scale or [1.0] * len(names))
    parts = _parts(names, answers, mean, sd)
    for name, deviation in zip(names, sd, strict=True):
        parts[name] |= {"variance_between": float(deviation**2), "variance_within": None}
    return CaseUncertainty(len(answers), {"sd": float((sd / scale).mean())}, parts, reasons={"variance_within": NO_VARIANCE})


def _parts(names: tuple[str, ...], answers: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> dict[str, dict[str, float | None]]:
    return {
        name: {
            "mean": float(mean[k]),
            "sd": float(sd[k]),
            "lowest": float(answers[:, k].min()),
            "highest": float(answers[:, k].max()),
        }
        for k, name in enumerate(names)
    }
