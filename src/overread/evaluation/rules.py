"""The choices of an evaluation that its numbers depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from overread.core.errors import OverreadError
from overread.core.question import Question

SAMPLINGS = ("consecutive", "enriched", "unknown")


@dataclass(frozen=True)
class Rules:
    """What an evaluation is told beforehand.

    threshold_rule        "youden", "sensitivity >= 0.95", "miss at most 2 of 100", or a number such as "0.5"
    surface_tolerance_mm  of the surface Dice
    level                 of every interval, 0.95 means 95 %
    resamples             of the bootstrap
    sampling              "consecutive": as they come, so the share of positives is that of the clinic; "enriched": positives
                          were sought out; "unknown"
    prevalence            the share of positives where the model is to be used: one number, or by class; None where not stated
    matching              when an answer finds an object: "auto", "iou 0.5", "distance 10 mm", "distance 10 px" or "hit"
    false_positives       of each class per case, at most, where thresholds of objects are chosen
    """

    threshold_rule: str = "youden"
    surface_tolerance_mm: float = 2.0
    level: float = 0.95
    resamples: int = 2000
    seed: int = 0
    sampling: str = "unknown"
    prevalence: float | Mapping[str, float] | None = field(default=None, hash=False)
    matching: str = "auto"
    false_positives: float = 1.0

    @property
    def is_enriched(self) -> bool:
        return self.sampling == "enriched"


def prevalences(question: Question, stated: float | Mapping[str, float] | None) -> dict[str, float]:
    """The stated prevalence by class; empty where none is stated. Two classes: both, whichever was named.

    One number means the positive class, so it needs two exclusive classes or a single finding.
    """
    if stated is None or question.task != "classification":
        return {}
    given = dict(stated) if isinstance(stated, Mapping) else {_only(question): float(stated)}
    unknown = [name for name in given if name not in question.classes]
    outside = [name for name, share in given.items() if not 0 < share < 1]
    if unknown or outside:
        wrong = (
            f"'{unknown[0]}' is no class" if unknown else f"{given[outside[0]]:g} for {outside[0]} is no share between 0 and 1"
        )
        raise OverreadError(
            f"The stated prevalence cannot be used: {wrong}. Classes are {', '.join(question.classes)}.",
            "correct evaluation.prevalence in project.toml, or --prevalence",
        )
    if question.is_binary and len(given) == 1:
        (name,) = given
        other = next(c for c in question.classes if c != name)
        given[other] = 1 - given[name]
    total = sum(given.values())
    if question.exclusive and len(given) == len(question.classes) and abs(total - 1) > 1e-6:
        raise OverreadError(
            f"The stated prevalences of {', '.join(given)} add up to {total:g}; classes that exclude each other add up to 1.",
            "correct evaluation.prevalence in project.toml, or --prevalence",
        )
    return given


def _only(question: Question) -> str:
    if question.is_binary and question.positive in question.classes:
        return str(question.positive)
    if len(question.classes) == 1:
        return question.classes[0]
    raise OverreadError(
        f"One prevalence is stated for {len(question.classes)} classes.",
        f"state it by class: prevalence = {{ {question.classes[0]} = 0.02 }}",
    )
