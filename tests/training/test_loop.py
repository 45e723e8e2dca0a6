"""The loop: a stopped run resumes to the same curve; damage and another plan are refused; a bad loss is survived."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from overread.batches.augment import Augmentation
from overread.batches.sampler import Batches, Sampling
from overread.core.errors import OverreadError
from overread.networks.dense.unet import UNet
from overread.networks.table import build
from overread.record.events import EventLog, read_events
from overread.record.run import StopSignal
from overread.training.average import Average, decay_for, refresh_statistics
from overread.training.clock import Clock
from overread.training.loop import Looked, Recipe, train
from overread.training.optimizers import OPTIMIZERS, optimizer
from toys import SHAPES, question, toy_cases, toy_task

EPOCHS, STEPS = 3, 4


def recipe(**changes) -> Recipe:
    values = {
        "optimizer": "adamw",
        "schedule": "cosine",
        "learning_rate": 3e-3,
        "weight_decay": 1e-2,
        "warmup_steps": 2,
        "steps_per_epoch": STEPS,
        "gradient_clip": 12.0,
        "ema": 0.0,
        "precision": "float32",
        "channels_last": True,
        "seed": 0,
    }
    return Recipe(**(values | changes))


def network() -> UNet:
    torch.manual_seed(0)
    return UNet(1, 3, (4, 8), [(3, 3, 3)] * 2, [(1, 1, 1), (2, 2, 2)])


def look_at_weights(network, *, final):
    return Looked(None, {"sum": float(sum(p.sum() for p in network.parameters()))})


def run(folder, *, resume=False, stop=None, batches=None, identity="plan", epochs=EPOCHS, validate=look_at_weights, **changes):
    asked = question("segmentation")
    task = toy_task(asked)
    made = batches or Batches(toy_cases(asked, 3), SHAPES[3], Sampling(2, 0.3), Augmentation(), seed=3)
    return train(
        task,
        network(),
        made,
        recipe(**changes),
        Clock(STEPS, epochs=epochs),
        validate=validate,
        events=EventLog(folder / "events.jsonl"),
        checkpoint=folder / "checkpoint.safetensors",
        identity=identity,
        resume=resume,
        stop=stop,
    )


def curve(folder) -> dict[int, tuple[float, float]]:
    events = read_events(folder / "events.jsonl")
    return {e["epoch"]: (e["loss"], e["scores"]["sum"]) for e in events if e["event"] == "epoch"}


class StopAfter(StopSignal):
    """Asks to stop after some steps, as Ctrl-C would."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @property
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0

    @requested.setter
    def requested(self, value: bool) -> None:
        pass


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_stopped_run_resumes_to_the_same_curve(tmp_path, name):
    through, parts = tmp_path / "through", tmp_path / "parts"
    whole = run(through, optimizer=name)
    assert run(parts, optimizer=name, stop=StopAfter(5)).reason == "stopped"
    again = run(parts, optimizer=name, resume=True)
    assert again.reason == "finished"
    assert again.step == whole.step == EPOCHS * STEPS
    for epoch, values in curve(through).items():
        assert curve(parts)[epoch] == pytest.approx(values, rel=1e-5)
    for left, right in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-7)


def test_one_seed_gives_one_curve(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "b")
    assert curve(tmp_path / "a") == curve(tmp_path / "b")


def test_resuming_with_another_plan_is_refused(tmp_path):
    run(tmp_path, stop=StopAfter(2))
    with pytest.raises(OverreadError, match="begun with another plan"):
        run(tmp_path, resume=True, identity="another")


def test_a_damaged_checkpoint_is_named(tmp_path):
    run(tmp_path, stop=StopAfter(2))
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(OverreadError, match=r"checkpoint.safetensors is damaged(?s:.*)without --resume"):
        run(tmp_path, resume=True)


def test_one_bad_batch_is_skipped_and_ten_stop_the_run(tmp_path):
    asked = question("segmentation")
    good = Batches(toy_cases(asked, 3), SHAPES[3], Sampling(2, 0.3), Augmentation(), seed=3)

    def spoiled(step):
        images, targets = good(step)
        return (images * float("nan") if step == 2 else images), targets

    outcome = run(tmp_path / "one", batches=spoiled)
    assert all(torch.isfinite(p).all() for p in outcome.network.parameters())
    warnings = [e for e in read_events(tmp_path / "one" / "events.jsonl") if e["event"] == "warning"]
    assert len(warnings) == 1
    assert "step 2" in warnings[0]["what"]
    with pytest.raises(OverreadError, match="Ten steps in a row"):
        run(tmp_path / "ten", batches=lambda step: (good(step)[0] * float("nan"), good(step)[1]))


def test_bfloat16_learns_as_float32_does(tmp_path):
    run(tmp_path / "full")
    run(tmp_path / "half", precision="bfloat16")
    full, half = curve(tmp_path / "full"), curve(tmp_path / "half")
    assert half[EPOCHS][0] == pytest.approx(full[EPOCHS][0], rel=0.05)


def test_the_average_follows_and_forgets_its_start():
    net = network()
    average = Average(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1.0)
    for step in range(200):
        average.follow(net, step, 0.9)
    assert all(torch.allclose(p, torch.ones_like(p), atol=1e-3) for p in average.network.parameters())
    assert decay_for(10) == 0.9
    assert decay_for(10**6) == 0.9995


def test_weight_decay_spares_biases_and_norms():
    made = optimizer("adamw", network(), 1e-3, 0.05)
    decays = {g["weight_decay"]: [p.ndim for p in g["params"]] for g in made.param_groups}
    assert min(decays[0.05]) > 1
    assert max(decays[0.0]) == 1


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(OverreadError, match=r"'adamv' is no optimizer(?s:.*)adamw"):
        optimizer("adamv", network(), 1e-3, 0.0)


def test_losses_fall(tmp_path):
    run(tmp_path)
    losses = [loss for loss, _ in curve(tmp_path).values()]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_a_run_shorter_than_its_warm_up_still_reaches_its_rate(tmp_path):
    run(tmp_path, warmup_steps=50)
    rates = [e["rate"] for e in read_events(tmp_path / "events.jsonl") if e["event"] == "epoch"]
    assert max(rates) > 0.5 * recipe().learning_rate


def test_statistics_of_batch_norm_are_taken_anew():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4)).eval()
    batches = [torch.randn(8, 1, 10, 10) * 3 + 5 for _ in range(10)]
    refresh_statistics(net, batches)
    seen = torch.cat([net[0](b) for b in batches])
    torch.testing.assert_close(net[1].running_mean, seen.mean((0, 2, 3)), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(net[1].running_var, seen.var((0, 2, 3)), rtol=0.05, atol=0.05)
    assert net[1].momentum == 0.1
    assert not net[1].training


def test_statistics_of_an_adversarial_pair_are_those_of_many_random_numbers():
    """Norms of the generator see new numbers in every batch; those of the critic see real and made images."""
    torch.manual_seed(0)
    options = {"image_size": (16, 16), "latent": 8, "features": [8, 16]}
    net = build("dcgan", in_channels=0, out_channels=1, dimensions=2, serves="made", options=options).eval()
    refresh_statistics(net, [torch.randn(8, 1, 16, 16) for _ in range(24)])
    first = next(module for module in net.generator.modules() if isinstance(module, torch.nn.BatchNorm2d))
    seen = []
    first.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        net.generator(torch.randn(4000, 8))
    torch.testing.assert_close(first.running_var, seen[0].var((0, 2, 3)), rtol=0.35, atol=0)
    norms = [module for module in net.critic.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert all(int(norm.num_batches_tracked) == 48 for norm in norms)
