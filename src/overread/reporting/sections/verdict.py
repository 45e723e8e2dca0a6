"""What the training curves say about under- and overfitting, in plain words.

The gap between training and tuning loss is judged by its growth, not by its size: training loss is
measured with augmentation and on changing weights, so the two curves need not meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FEWEST_EPOCHS = 8  # below this no shape can be told from noise
_WORSE = 0.10  # a rise of the tuning loss by this share of its fall is overfitting
_STILL_FALLING = 0.05  # a fall of the tuning loss over the last fifth by this share of its whole fall is underfitting
_BARELY_LEARNED = 0.10  # a training loss that fell by less than this share of itself has learned little
_NOISE = 0.35  # scatter around the smoothed tuning loss, as a share of its fall, that hides its shape
_CALM = 0.02  # shares of the whole fall below which a curve counts as flat


@dataclass(frozen=True)
class Verdict:
    """A judgement of one training.

    code       "overfit", "gap", "underfit", "not learning", "good", "noisy" or "too short"
    what       what is seen in the curves
    advice     what to do about it
    gap_epoch  the epoch from which the gap grows; None where it does not
    """

    code: str
    what: str
    advice: str
    gap_epoch: int | None = None


def judge(events: Sequence[Mapping[str, Any]]) -> Verdict:
    """Judge the epoch events of one run (see `record.events`)."""
    epochs = [e for e in events if e.get("event") == "epoch" and e.get("loss") is not None and e.get("tuning_loss") is not None]
    if len(epochs) < FEWEST_EPOCHS:
        return Verdict(
            "too short",
            f"There are {len(epochs)} epochs with a tuning loss, which is too few to tell a trend from noise.",
            "Train for longer before judging over- or underfitting.",
        )
    numbers = [int(e["epoch"]) for e in epochs]
    training = _smooth(np.array([e["loss"] for e in epochs], dtype=float))
    tuning_raw = np.array([e["tuning_loss"] for e in epochs], dtype=float)
    scatter = float(np.median(np.abs(tuning_raw - _smooth(tuning_raw))))
    return _judge_curves(numbers, training, _smooth(tuning_raw), scatter, kept_epoch(events))


def kept_epoch(events: Sequence[Mapping[str, Any]]) -> int | None:
    """The epoch whose weights early stopping kept; None where the weights are those of the end."""
    return next((int(e["epoch"]) for e in reversed(events) if e.get("event") == "kept"), None)


def _kept(kept: int | None, best: int) -> str:
    if kept is not None:
        return f"Early stopping kept the weights of epoch {kept}."
    return (
        f"The weights kept are those of the end, after the rise: a shorter training (about {best} epochs), or "
        "[training] early_stopping, would keep earlier ones."
    )


def _judge_curves(numbers: list[int], training: np.ndarray, tuning: np.ndarray, scatter: float, kept: int | None) -> Verdict:
    best = int(tuning.argmin())
    fall = float(tuning[0] - tuning[best])
    training_fall = float(training[0] - training.min())
    rise = float(tuning[-1] - tuning[best])
    fell_after = float(training[best] - training[-1]) > _CALM * max(training_fall, 1e-12)
    if training_fall < _BARELY_LEARNED * abs(training[0]):
        return Verdict(
            "not learning",
            f"The training loss barely moved (from {training[0]:.3g} to {training.min():.3g}): "
            "the network has not learned the task.",
            "Look at the prepared images and labels first (preflight page); then try another learning rate or a larger network.",
        )
    if rise > max(_WORSE * max(fall, 0.0), 3 * scatter) and fell_after:
        return Verdict(
            "overfit",
            f"Overfitting from epoch {numbers[best]} on: the tuning loss rose from {tuning[best]:.3g} to {tuning[-1]:.3g}, "
            f"while the training loss still fell to {training[-1]:.3g}. The network began to memorise its training cases.",
            f"{_kept(kept, numbers[best])} More cases, stronger augmentation, more weight decay or a smaller network would help.",
            numbers[best],
        )
    if scatter > _NOISE * max(fall, 1e-12):
        return Verdict(
            "noisy",
            "The tuning loss jumps from epoch to epoch by about as much as it fell in all, so its trend cannot be judged.",
            "More tuning cases, a lower learning rate or a longer training would make the curve readable.",
        )
    return _judge_end(numbers, training, tuning, fall, training_fall)


def _judge_end(numbers: list[int], training: np.ndarray, tuning: np.ndarray, fall: float, training_fall: float) -> Verdict:
    fifth = max(len(tuning) // 5, 2)
    late_fall = float(tuning[-fifth - 1] - tuning[-1])
    if late_fall > _STILL_FALLING * fall:
        return Verdict(
            "underfit",
            f"Underfitting: in the last fifth of the training the tuning loss still fell by {late_fall / fall:.0%} "
            "of its whole fall. The network had not finished learning.",
            "Train for longer; the results are likely to improve.",
        )
    flat = _epoch_of_plateau(tuning, fall)
    fell_on = float(training[flat] - training[-1]) / max(training_fall, 1e-12)
    if flat < len(tuning) - fifth and fell_on > 0.15:
        return Verdict(
            "gap",
            f"From epoch {numbers[flat]} on the gap grows: the tuning loss stays level at {tuning[-1]:.3g}, "
            f"while the training loss fell further to {training[-1]:.3g}. "
            "No harm is seen yet, but longer training would bring memory, not skill.",
            "More or more varied cases would help more than more time.",
            numbers[flat],
        )
    return Verdict(
        "good",
        "Training and tuning loss fell together and levelled off "
        f"(tuning loss {tuning[-1]:.3g}, training loss {training[-1]:.3g}). There is no sign of over- or underfitting.",
        "Curves always level off where the learning rate falls to nothing; whether more minutes help, only a longer run shows.",
    )


def _epoch_of_plateau(tuning: np.ndarray, fall: float) -> int:
    """Index of the first epoch from which the tuning loss stays within a small share of its final level."""
    above = np.flatnonzero(np.abs(tuning - tuning[-1]) > 2 * _CALM * max(fall, 1e-12))
    return int(above[-1]) + 1 if len(above) else 0


def _smooth(curve: np.ndarray) -> np.ndarray:
    """Running median, then running mean, over about a tenth of the curve; the ends use what there is."""
    half = max(len(curve) // 20, 1)
    windows = [slice(max(k - half, 0), k + half + 1) for k in range(len(curve))]
    median = np.array([np.median(curve[w]) for w in windows])
    return np.array([median[w].mean() for w in windows])
