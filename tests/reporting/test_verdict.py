"""The plain-language verdict on curves whose shape is known."""

from __future__ import annotations

import pytest

from overread.reporting.sections.verdict import FEWEST_EPOCHS, judge
from reporting.fakes import epochs


@pytest.mark.parametrize("kind", ["good", "overfit", "underfit", "gap", "noisy", "not learning"])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [40, 150])
def test_known_shapes_are_recognised(kind: str, seed: int, count: int) -> None:
    assert judge(epochs(kind, count, seed)).code == kind


@pytest.mark.parametrize("seed", range(5))
def test_overfitting_names_the_epoch_where_the_gap_starts(seed: int) -> None:
    verdict = judge(epochs("overfit", 60, seed))
    assert verdict.gap_epoch is not None
    assert 14 <= verdict.gap_epoch <= 27  # the tuning loss turns at a third of the training
    assert f"epoch {verdict.gap_epoch}" in verdict.what
    assert "augmentation" in verdict.advice


def test_overfitting_says_whose_weights_were_kept() -> None:
    events = epochs("overfit", 60)
    assert "those of the end" in judge(events).advice
    assert "early_stopping" in judge(events).advice
    stopped = [*events, {"event": "kept", "step": 200, "epoch": 20, "tuning_loss": 0.1, "scores": {}}]
    assert "kept the weights of epoch 20" in judge(stopped).advice


def test_a_good_training_has_no_gap_epoch() -> None:
    assert judge(epochs("good")).gap_epoch is None


def test_too_few_epochs_are_not_judged() -> None:
    verdict = judge(epochs("overfit", 40)[: FEWEST_EPOCHS - 1])
    assert verdict.code == "too short"
    assert "7 epochs" in verdict.what


def test_epochs_without_tuning_loss_are_not_judged() -> None:
    events = [{**e, "tuning_loss": None} for e in epochs()]
    assert judge(events).code == "too short"


def test_every_verdict_says_what_to_do() -> None:
    for kind in ("good", "overfit", "underfit", "gap", "noisy", "not learning"):
        assert judge(epochs(kind)).advice.endswith(".")
