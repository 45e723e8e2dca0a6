"""Learning in turns: a task without phases learns as before, and in a phase only its own part does."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from overread.core.errors import OverreadError
from overread.record.events import EventLog, read_events
from overread.record.run import StopSignal
from overread.tasks.generative.draws import normal_like
from overread.tasks.generative.turns import LOOKING, WHOLE, TakesTurns, Turn
from overread.training.clock import Clock
from overread.training.freezing import Freezing
from overread.training.loop import Looked, Recipe, train
from overread.training.optimizers import optimizer

EPOCHS, STEPS = 2, 5
BEFORE = {  # loss, sum of the averaged weights, gradient at each epoch, from the loop as it was before it knew phases
    "adamw": [(0.9299721598625184, -0.5370681023705401, 0.7014), (0.8788296222686768, -0.4301722324162256, 0.619)],
    "muon": [(0.9441899538040162, -0.5223282396909781, 0.7085), (0.9162671089172363, -0.5144231820013374, 0.589)],
}


class Plain:
    """Mean squared error, as any task without phases."""

    def losses(self, network, images, targets):
        return {"l2": functional.mse_loss(network(images), targets)}


class Single(Plain):
    """The same as a task of one phase."""

    def phases(self, step, progress):
        return (WHOLE,)

    def parameters(self, network, phase):
        return network.parameters()

    def losses(self, network, images, targets, turn=LOOKING):
        return super().losses(network, images, targets)

    def signs(self, network, images, targets):
        return {}


class Duel(Single):
    """A first and a second part in turns, the second at every other step; with noise that is drawn anew in each phase."""

    def __init__(self, spoiled: int | None = None) -> None:
        self.spoiled = spoiled

    def phases(self, step, progress):
        return ("first", "second") if step % 2 else ("first",)

    def parameters(self, network, phase):
        return network[0 if phase == "first" else 2].parameters()

    def losses(self, network, images, targets, turn=LOOKING):
        noisy = images + 0.1 * normal_like(images, turn.random())
        error = functional.mse_loss(network(noisy), targets)
        return {f"error {turn.phase}": error * (float("nan") if turn.step == self.spoiled else 1.0)}


def network(width: int = 8) -> nn.Sequential:
    torch.manual_seed(0)
    ends = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 1, 3, padding=1)
    return nn.Sequential(ends[0], nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), ends[1])


def batches(step):
    random = torch.Generator().manual_seed(step)
    images = torch.randn(2, 1, 8, 8, generator=random)
    return images, images.roll(1, 2)


def run(folder, task, *, resume=False, stop=None, **changes):
    values = {"optimizer": "adamw", "schedule": "cosine", "learning_rate": 3e-3, "weight_decay": 1e-2, "warmup_steps": 2}
    values |= {"steps_per_epoch": STEPS, "gradient_clip": 12.0, "ema": 0.0, "precision": "float32", "channels_last": True}
    return train(
        task,
        network(),
        batches,
        Recipe(**(values | {"seed": 0} | changes)),
        Clock(STEPS, epochs=EPOCHS),
        validate=lambda net, *, final: Looked(None, {"sum": float(sum(p.double().sum() for p in net.parameters()))}),
        events=EventLog(folder / "events.jsonl"),
        checkpoint=folder / "checkpoint.safetensors",
        identity="plan",
        resume=resume,
        stop=stop,
    )


def curve(folder) -> list[tuple]:
    events = read_events(folder / "events.jsonl")
    return [(e["loss"], e["scores"]["sum"], e["gradient"], e["losses"]) for e in events if e["event"] == "epoch"]


class StopAfter(StopSignal):
    def __init__(self, steps: int) -> None:
        self.left = steps

    @property
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0

    @requested.setter
    def requested(self, value: bool) -> None:
        pass


@pytest.mark.parametrize("name", BEFORE)
def test_a_task_without_phases_follows_the_curve_that_it_always_did(tmp_path, name):
    run(tmp_path, Plain(), optimizer=name)
    assert [row[:3] for row in curve(tmp_path)] == [pytest.approx(row, rel=1e-4, abs=2e-4) for row in BEFORE[name]]
    assert not isinstance(Plain(), TakesTurns)


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "muon"}, {"freezing": Freezing("1", 0.5)}], ids=["adamw", "muon", "frozen"]
)
def test_one_phase_of_all_weights_is_the_same_bit_for_bit(tmp_path, changes):
    plain = run(tmp_path / "plain", Plain(), **changes)
    single = run(tmp_path / "single", Single(), **changes)
    assert curve(tmp_path / "plain") == curve(tmp_path / "single")
    for left, right in zip(plain.network.parameters(), single.network.parameters(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("name", ["adamw", "adam_gan", "muon", "sgd"])
def test_a_phase_changes_its_own_part_alone(tmp_path, name):
    start = network()
    learned = run(tmp_path, Duel(), optimizer=name, weight_decay=0.1).network
    moved = [not torch.equal(a, b) for a, b in zip(start.parameters(), learned.parameters(), strict=True)]
    assert moved == [True, True, True, True, False, False]  # the third part is in no phase: no gradient, no decay
    assert all(set(row[3]) == {"error first", "error second"} for row in curve(tmp_path)), "a rare phase keeps its last term"


@pytest.mark.parametrize("name", ["adam_wgan", "muon"])
def test_turns_resume_to_the_same_curve(tmp_path, name):
    whole = run(tmp_path / "through", Duel(), optimizer=name)
    assert run(tmp_path / "parts", Duel(), optimizer=name, stop=StopAfter(3)).reason == "stopped"
    again = run(tmp_path / "parts", Duel(), optimizer=name, resume=True)
    assert again.step == whole.step == EPOCHS * STEPS
    assert [row[:2] for row in curve(tmp_path / "parts")] == [
        pytest.approx(row[:2], rel=1e-5) for row in curve(tmp_path / "through")
    ]
    for left, right in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-7)


def test_a_phase_that_is_not_finite_is_skipped_and_told(tmp_path):
    outcome = run(tmp_path, Duel(spoiled=3))
    assert all(torch.isfinite(p).all() for p in outcome.network.parameters())
    told = [e["what"] for e in read_events(tmp_path / "events.jsonl") if e["event"] == "warning"]
    assert told == ["step 3: the loss or its gradient is not finite; the step was skipped"]


def test_the_random_numbers_of_a_phase_hang_on_seed_step_and_phase_alone():
    turns = [Turn("critic", 4, 0.1, 7), Turn("critic", 5, 0.1, 7), Turn("generator", 4, 0.1, 7), Turn("critic", 4, 0.1, 8)]
    drawn = [torch.rand(3, generator=turn.random()) for turn in turns]
    assert all(not torch.equal(one, other) for one, other in pairwise(drawn))
    assert torch.equal(drawn[0], torch.rand(3, generator=Turn("critic", 4, 0.9, 7).random()))
    assert LOOKING.is_look
    assert torch.equal(torch.rand(3, generator=LOOKING.random()), torch.rand(3, generator=LOOKING.random()))


def test_adam_for_adversarial_pairs_has_a_short_memory():
    assert optimizer("adam_gan", network(), 1e-4, 0.0).defaults["betas"] == (0.5, 0.999)
    assert optimizer("adam_wgan", network(), 1e-4, 0.0).defaults["betas"] == (0.0, 0.9)
    with pytest.raises(OverreadError, match=r"'gan' is no optimizer(?s:.*)adam_gan, adam_wgan"):
        optimizer("gan", network(), 1e-4, 0.0)


class Exploding(Single):
    """A critic's term that explodes."""

    def losses(self, network, images, targets, turn=LOOKING):
        return {"critic made": super().losses(network, images, targets, turn)["l2"] * 10.0 ** (turn.step // 2)}


def test_the_loop_writes_alarms_as_warnings(tmp_path):
    run(tmp_path, Exploding(), steps_per_epoch=1)
    told = [e for e in read_events(tmp_path / "events.jsonl") if e["event"] == "warning"]
    assert len(told) == 1
    assert "exploding critic" in told[0]["what"]
    assert told[0]["about"] == "learning"
