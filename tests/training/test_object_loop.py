"""Objects through the loop: lists of targets reach the losses, a stopped run resumes, and the step is measured."""

from __future__ import annotations

import pytest
import torch

from overread import networks
from overread.batches.augment import Augmentation
from overread.batches.sampler import Batches, Sampling
from overread.core.question import Question
from overread.record.events import EventLog, read_events
from overread.record.run import StopSignal
from overread.tasks import make
from overread.training.clock import Clock
from overread.training.loop import Looked, Recipe, train
from overread.training.measure import measure_step, memory_with_objects_gib
from toy_objects import object_cases

ROUTES = [("detection", "objects", "centre_detector"), ("instances", "centres", "centre_offset_unet")]
STAGES = {"features": [4, 8, 8], "kernels": [[3, 3]] * 3, "strides": [[1, 1], [2, 2], [2, 2]]}
RULES = Augmentation(mirror=(2,), chance=0.8, intensity=0.3, copy_paste=0.3)
RECIPE = Recipe("adamw", "cosine", 3e-3, 1e-2, 1, 3, 12.0, 0.0, "float32", True, 0)


def parts(name, route, architecture, voxels=True):
    task = make(Question(name, ("a", "b")), route=route)
    torch.manual_seed(0)
    network = networks.build(architecture, in_channels=1, out_channels=task.outputs, dimensions=2, serves=route, options=STAGES)
    made = Batches(object_cases(2, voxels=voxels, clean=2), (1, 32, 32), Sampling(3, 0.5), RULES, dimensions=2, seed=1)
    return task, network, made


class StopAfter(StopSignal):
    """Asks to stop after some steps, as Ctrl-C would."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @property
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0


def run(folder, which, **changes):
    task, network, made = parts(*which)
    return train(
        task,
        network,
        made,
        RECIPE,
        Clock(3, epochs=2),
        validate=lambda network, final: Looked(None, {}),
        events=EventLog(folder / "events.jsonl"),
        checkpoint=folder / "checkpoint.safetensors",
        identity="plan",
        **changes,
    )


@pytest.mark.parametrize("which", ROUTES)
def test_a_stopped_run_of_objects_resumes_to_the_same_weights(tmp_path, which):
    whole = run(tmp_path / "whole", which)
    assert whole.reason == "finished"
    assert run(tmp_path / "parts", which, stop=StopAfter(3)).reason == "stopped"
    again = run(tmp_path / "parts", which, resume=True)
    for left, right in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)
    losses = [e["loss"] for e in read_events(tmp_path / "whole" / "events.jsonl") if e["event"] == "epoch"]
    assert all(torch.isfinite(torch.tensor(losses)))


@pytest.mark.parametrize("which", [*ROUTES, (*ROUTES[0], False)])
def test_a_step_with_lists_is_measured(which):
    task, network, made = parts(*which)
    images, targets = made(0)
    speeds = measure_step(task, network, images, targets, precision="float32", repeats=1)
    assert {s.precision for s in speeds} == {"float32"}
    small = memory_with_objects_gib(task, network, images, targets, "float32")
    assert 0 < small < 0.1
    assert memory_with_objects_gib(task, network, images, targets, "bfloat16") < small
