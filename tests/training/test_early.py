"""Early stopping: the look with the lowest tuning loss is kept, the training ends in time, a resumed one ends alike."""

from __future__ import annotations

import pytest
import torch

from overread.core.errors import OverreadError
from overread.record.events import read_events
from overread.training.loop import Looked
from overread.training.teaching import choose_early_stopping
from overread.training.wishes import Wishes
from training.test_loop import STEPS, StopAfter, run


class Looks:
    """A tuning loss that falls and rises as told, and the weights that were looked at."""

    def __init__(self, *losses: float) -> None:
        self.losses, self.seen = list(losses), []

    def __call__(self, network, *, final):
        self.seen.append({k: v.clone() for k, v in network.state_dict().items()})
        return Looked(self.losses[min(len(self.seen), len(self.losses)) - 1], {})


def assert_same(network, weights) -> None:
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)


def kept(folder):
    return [e for e in read_events(folder / "events.jsonl") if e["event"] == "kept"]


def test_a_rising_loss_ends_the_training_and_the_best_look_is_kept(tmp_path):
    looks = Looks(2.0, 1.0, 1.5, 1.6, 1.0)
    outcome = run(tmp_path, epochs=9, validate=looks, early_stopping=2)
    assert (outcome.reason, outcome.step) == ("finished", 4 * STEPS)
    assert_same(outcome.network, looks.seen[1])
    assert [(e["epoch"], e["step"]) for e in kept(tmp_path)] == [(2, 2 * STEPS)]


def test_a_best_look_before_the_end_of_the_budget_is_kept(tmp_path):
    looks = Looks(2.0, 1.0, 1.5)
    outcome = run(tmp_path, epochs=3, validate=looks, early_stopping=5)
    assert outcome.step == 3 * STEPS
    assert_same(outcome.network, looks.seen[1])


def test_a_loss_that_falls_to_the_end_keeps_the_end(tmp_path):
    looks = Looks(2.0, 1.5, 1.0)
    outcome = run(tmp_path, epochs=3, validate=looks, early_stopping=1)
    assert_same(outcome.network, looks.seen[2])
    assert kept(tmp_path) == []


def test_without_early_stopping_the_end_is_kept_whatever_the_loss(tmp_path):
    looks = Looks(1.0, 2.0, 3.0)
    outcome = run(tmp_path, epochs=3, validate=looks)
    assert_same(outcome.network, looks.seen[2])
    assert kept(tmp_path) == []


def test_a_resumed_training_remembers_its_best_look(tmp_path):
    losses = (2.0, 1.0, 1.5, 1.6)
    whole = run(tmp_path / "through", epochs=9, validate=Looks(*losses), early_stopping=2)
    stopped = Looks(*losses)
    run(tmp_path / "parts", epochs=9, validate=stopped, early_stopping=2, stop=StopAfter(2 * STEPS + 1))
    rest = Looks(*losses[len(stopped.seen) :])
    again = run(tmp_path / "parts", epochs=9, validate=rest, early_stopping=2, resume=True)
    assert again.step == whole.step
    for left, right in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-7)


def test_a_finished_training_taken_up_again_stays_finished(tmp_path):
    looks = Looks(1.0, 2.0, 3.0)
    before = run(tmp_path, epochs=9, validate=looks, early_stopping=2)
    after = run(tmp_path, epochs=9, validate=looks, early_stopping=2, resume=True)
    assert after.step == before.step
    assert_same(after.network, before.network.state_dict())


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path):
    looks = Looks(1.0, float("nan"), float("nan"))
    outcome = run(tmp_path, epochs=9, validate=looks, early_stopping=2)
    assert outcome.step == 3 * STEPS
    assert_same(outcome.network, looks.seen[0])


def test_a_negative_number_of_looks_is_refused():
    with pytest.raises(OverreadError, match=r"early_stopping = -1 is no number of looks(?s:.*)or 0 to train to the end"):
        choose_early_stopping(Wishes(early_stopping=-1), {})
