"""Generative tasks in the training loop: signs in the record, and a stopped run that resumes to the same curve."""

from __future__ import annotations

import pytest
import torch

from overread.core.question import Question
from overread.networks.table import build
from overread.record.events import EventLog, read_events
from overread.record.run import StopSignal
from overread.tasks import make
from overread.training.clock import Clock
from overread.training.loop import Looked, Recipe, train
from overread.training.measure import measure_step

NETWORKS = {
    "variational_autoencoder": {"latent": 4, "features": (8,)},
    "dcgan": {"latent": 4, "features": (8,)},
    "wasserstein_gan": {"latent": 4, "features": (8,)},
    "latent_diffusion": {"codes": 2, "autoencoder_features": (8,), "features": (8,), "blocks": 1, "heads": 1},
}
WAYS = (
    ("vae", "variational_autoencoder", "l2", "adamw", {"kl nats", "active numbers"}),
    ("synthesize", "dcgan", "dcgan", "adam_gan", {"diversity"}),
    ("synthesize", "wasserstein_gan", "wgan_gp", "adam_wgan", {"diversity"}),
    ("synthesize", "latent_diffusion", "latent_velocity", "adamw", set()),
)


def batches(step):
    """Discs of one of two brightnesses."""
    random = torch.Generator().manual_seed(step)
    bright = torch.randint(0, 2, (4, 1, 1, 1), generator=random).float()
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    disc = ((rows - 3.5) ** 2 + (columns - 3.5) ** 2 < 8).float()
    return (1 + bright) * disc + 0.1 * torch.randn(4, 1, 8, 8, generator=random), torch.zeros(4, 0)


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


def posed(way):
    """Task and network."""
    what, name, loss, _, _ = way
    question, route = Question(what, ("film",), given=("film",)), "pictures" if what == "vae" else "made"
    task = make(question, loss=loss, route=route)
    torch.manual_seed(0)
    options = {**NETWORKS[name], "image_size": (8, 8)}
    inputs = 1 if what == "vae" else 0
    return task, build(name, in_channels=inputs, out_channels=1, dimensions=2, serves=route, options=options)


def run(folder, way, *, precision="float32", **asked):
    what, _, _, optimizer, _ = way
    task, network = posed(way)

    def with_truth(step):
        images, nothing = batches(step)
        return images, images if what == "vae" else nothing

    def look(kept, *, final):
        with torch.no_grad():
            terms = task.losses(kept, *with_truth(1000))
            signs = task.signs(kept, *with_truth(1000))
        return Looked(float(torch.stack(list(terms.values())).sum()), {}, signs)

    recipe = {"schedule": "cosine", "learning_rate": 1e-3, "weight_decay": 0.0, "warmup_steps": 2, "steps_per_epoch": 5}
    recipe |= {"gradient_clip": 12.0, "ema": 0.0, "channels_last": True, "seed": 0, "precision": precision}
    return train(
        task,
        network,
        with_truth,
        Recipe(optimizer=optimizer, **recipe),
        Clock(5, epochs=2),
        validate=look,
        events=EventLog(folder / "events.jsonl"),
        checkpoint=folder / "checkpoint.safetensors",
        identity="plan",
        **asked,
    )


def epochs(folder) -> list[dict]:
    return [event for event in read_events(folder / "events.jsonl") if event["event"] == "epoch"]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[2])
def test_a_stopped_run_resumes_to_the_same_curve(tmp_path, way):
    whole = run(tmp_path / "through", way)
    assert run(tmp_path / "parts", way, stop=StopAfter(3)).reason == "stopped"
    again = run(tmp_path / "parts", way, resume=True)
    for one, other in zip(epochs(tmp_path / "through"), epochs(tmp_path / "parts"), strict=True):
        assert one["tuning_loss"] == pytest.approx(other["tuning_loss"], rel=1e-4)
        assert one.get("signs", {}) == pytest.approx(other.get("signs", {}), rel=1e-4)
        assert set(one.get("signs", {})) == way[4]
    for left, right in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[2])
def test_bfloat16_learns_in_turns_too(tmp_path, way):
    outcome = run(tmp_path, way, precision="bfloat16")
    assert outcome.reason == "finished"
    assert all(torch.isfinite(p).all() for p in outcome.network.parameters())
    assert not [event for event in read_events(tmp_path / "events.jsonl") if event["event"] == "warning"]


@pytest.mark.parametrize(("way", "phases"), [(WAYS[0], 1), (WAYS[2], 2), (WAYS[3], 1)], ids=["l2", "wgan_gp", "latent_velocity"])
def test_time_is_measured_on_a_step_with_every_phase(way, phases, monkeypatch):
    task, network = posed(way)
    asked, losses = [], type(task).losses

    def noted(self, network, images, targets, turn=None):
        asked.append(turn.phase)
        return losses(self, network, images, targets, turn)

    monkeypatch.setattr(type(task), "losses", noted)
    images, nothing = batches(0)
    speeds = measure_step(task, network, images, images if way[0] == "vae" else nothing, precision="bfloat16", repeats=1)
    assert speeds[0].seconds > 0
    assert len(set(asked)) == phases
