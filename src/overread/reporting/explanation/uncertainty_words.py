"""Words for uncertainty: names of measures, what they can tell and what not, and what was found in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.core.score import Interval

Row = Mapping[str, Any]
PLAIN = "1 - confidence"
NAMES = {
    "entropy": "predictive entropy",
    "mutual_information": "mutual information",
    "expected_entropy": "expected entropy",
    "sd": "spread of the passes (SD)",
    "volume_cv": "coefficient of variation of the volume",
    "dice_loss": "1 - Dice between passes",
    "disagreement": "disagreement of the passes (1 - F1)",
    "score_sd": "spread of the scores (SD)",
    "not found again": "passes that do not find the object",
    PLAIN: "plain confidence (1 - its value)",
}
UNITS = {"entropy": "bits", "mutual_information": "bits", "expected_entropy": "bits"}
WAYS = {
    "members": "the members of the ensemble",
    "dropout": "dropout left on while reading (Gal 2016)",
    "mirror": "mirrored images, as training mirrored them",
    "changes": "small shifts and changes of brightness and contrast",
}
ERRORS = {
    "classification": "share of wrong calls",
    "segmentation": "mean 1 - Dice",
    "regression": "mean error in SD of the truth",
    "detection": "missed and false objects per case",
    "instances": "missed and false objects per case",
}
KINDS = (
    "Entropy of the mean answer is what the passes are unsure of together. Its expected part remains within every single pass: "
    "often a picture that would be read either way (called aleatoric). The rest, mutual information, is what they disagree by: "
    "often a picture unlike those of training, for which more cases would help (called epistemic)."
)
CANNOT = (
    "The two parts are names for a calculation, not for causes. Passes of one network share its training cases and its habits: "
    "where all are wrong alike, they agree, and nothing shows. Mirrorings and small changes of the image say how steady the "
    "answer is, not whether the network knows enough. A low uncertainty is no proof of a right answer, and an image of another "
    "kind may be answered with none at all."
)
NO_WITHIN = (
    "A regression network gives one number and no spread of its own, so the part within a pass is not defined: only the spread "
    "between passes is shown."
)
OF_OBJECTS = (
    "An object of the answer that other passes do not find again is shaky, and so is a case in which passes show other objects. "
    "Scores of objects are no probabilities, so they are not split into parts of an entropy."
)


def name_of(measure: str) -> str:
    return NAMES[measure]


def key_of(row: Row) -> str:
    """By what a measure is judged: wrong from right, or ranks."""
    return "spearman" if row["detection"] is None else "detection"


def finding(told: Row, level: float) -> str:
    """The first measure against error, in one sentence, with what it adds to the plain confidence."""
    row = told["measures"][0]
    key = key_of(row)
    interval = Interval.from_dict(row[key])
    name = name_of(row["measure"])
    if interval.estimate is None:
        return f"whether {name} tells wrong answers from right ones cannot be said: {interval.reason}."
    what = "ranks a wrong answer above a right one" if key == "detection" else "goes with the size of the error"
    amount = (
        f"in {interval.estimate:.0%} of pairs" if key == "detection" else f"with a rank correlation of {interval.estimate:.2f}"
    )
    said = f"{name} {what} {amount}{_between(interval, key)}"
    chance = 0.5 if key == "detection" else 0.0
    if interval.low is None or interval.high is None or interval.low <= chance <= interval.high:
        said += ", which is not shown to be more than chance"
    return f"{said}{_beside(row['against'].get(key))}."


def _between(interval: Interval, key: str) -> str:
    if interval.low is None or interval.high is None:
        return " (no interval)"
    shown = (f"{edge:.0%}" if key == "detection" else f"{edge:.2f}" for edge in (interval.low, interval.high))
    return f" ({interval.level:.0%} interval {' to '.join(shown)})"


def _beside(difference: Row | None) -> str:
    if difference is None or difference["low"] is None:
        return ""
    if difference["low"] > 0:
        return "; it tells more than the plain confidence"
    if difference["high"] < 0:
        return "; the plain confidence, which costs one reading, tells more"
    return "; no difference to the plain confidence is shown"
