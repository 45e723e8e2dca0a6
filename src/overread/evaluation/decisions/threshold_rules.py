"""The rule by which an operating point is chosen: in the words of the clinic, or as a number."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from overread.core.errors import OverreadError

CERTAINTY = 0.95  # of the one-sided bound that an aim must be able to reach
_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_MISS = re.compile(rf"miss (?:at most |no more than )?{_NUMBER} (?:of|in|out of) (\d+)")
_ALARMS = re.compile(rf"(?:at most |no more than )?{_NUMBER} false alarms? (?:of|in|out of|per) (\d+)")
_COST = re.compile(rf"(?:a|one) miss costs? {_NUMBER} false alarms?")
_AIM = re.compile(r"(?:(sensitivity|specificity)\s*>=\s*)?(0?\.\d+|0|1|1\.0+)")


@dataclass(frozen=True)
class ThresholdRule:
    """kind "youden", "sensitivity", "specificity", "cost" or "fixed"; value is the aim, what a miss costs, or the threshold."""

    kind: str
    value: float
    text: str

    @property
    def cases_needed(self) -> int | None:
        """Fewest cases that can show the aim to be reached, were all of them right; None where no number can.

        With n right of n, the exact one-sided 95 % lower bound is 0.05 ** (1 / n).
        """
        if self.kind not in ("sensitivity", "specificity") or self.value <= 0:
            return 0
        return None if self.value >= 1 else math.ceil(math.log(1 - CERTAINTY) / math.log(self.value) - 1e-9)


def parse_rule(text: str) -> ThresholdRule:
    """Read a rule.

    "youden"                               largest sensitivity + specificity
    "miss at most 2 of 100"                of 100 cases with the finding: sensitivity >= 0.98
    "at most 10 false alarms of 100"       of 100 cases without it: specificity >= 0.9
    "a miss costs 10 false alarms"         least expected cost
    "sensitivity >= 0.95", "specificity >= 0.9", or a number between 0 and 1
    """
    plain = re.sub(r"\s*\((?:sensitivity|specificity) >= [\d.]+\)$", "", " ".join(text.lower().split()))
    if plain == "youden":
        return ThresholdRule("youden", 0.0, "youden")
    if (match := _MISS.fullmatch(plain)) and 0 < int(match[2]) > float(match[1]):
        aim = round(1 - float(match[1]) / int(match[2]), 6)
        return ThresholdRule("sensitivity", aim, f"miss at most {float(match[1]):g} of {match[2]} (sensitivity >= {aim:g})")
    if (match := _ALARMS.fullmatch(plain)) and 0 < int(match[2]) > float(match[1]):
        aim = round(1 - float(match[1]) / int(match[2]), 6)
        return ThresholdRule(
            "specificity", aim, f"at most {float(match[1]):g} false alarms of {match[2]} (specificity >= {aim:g})"
        )
    if (match := _COST.fullmatch(plain)) and float(match[1]) > 0:
        return ThresholdRule("cost", float(match[1]), f"a miss costs {float(match[1]):g} false alarms")
    match = _AIM.fullmatch(plain)
    if match is None:
        raise OverreadError(
            f"The threshold rule '{text}' is not known; expected 'youden', 'miss at most 2 of 100', 'at most 10 false alarms of "
            "100', 'a miss costs 10 false alarms', 'sensitivity >= 0.95', 'specificity >= 0.9' or a number like 0.5.",
            "correct evaluation.threshold_rule in project.toml, or --threshold-rule",
        )
    value = float(match[2])
    return ThresholdRule(match[1], value, f"{match[1]} >= {match[2]}") if match[1] else ThresholdRule("fixed", value, match[2])
