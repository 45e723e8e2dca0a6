"""The choices of an evaluation that its numbers depend on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What an evaluation is told beforehand.

    threshold_rule        "youden", "sensitivity >= 0.95", "specificity >= 0.9", or a number such as "0.5"
    surface_tolerance_mm  of the surface Dice
    level                 of every interval, 0.95 means 95 %
    resamples             of the bootstrap
    """

    threshold_rule: str = "youden"
    surface_tolerance_mm: float = 2.0
    level: float = 0.95
    resamples: int = 2000
    seed: int = 0
