"""Detection and instances on every network of ours that serves them, in 2D and 3D: taught, written, read back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tiny_voxel_networks
from contract_ways import LARGER
from overread.batches.augment import Augmentation
from overread.batches.cache import PreparedCase
from overread.batches.objects import PreparedObjects
from overread.batches.prepare import Prepared
from overread.batches.sampler import Batches, Sampling
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions, Question
from overread.networks.table import ARCHITECTURES
from overread.reading.model import ModelCard, build_network, load_model, pack_model, predictor_of, write_model
from overread.record.events import EventLog, read_events
from overread.tasks import make, routes_of
from overread.training.clock import Clock
from overread.training.loop import Looked, Recipe, train
from toy_objects import object_cases

PATCH = {2: (1, 32, 32), 3: (16, 16, 16)}
RECIPE = Recipe("adamw", "cosine", 3e-3, 1e-2, 2, 2, 12.0, 0.0, "float32", True, 0)
OURS = ("centre_detector", "centre_offset_unet", "unet")
PER_VOXEL = [name for name in tiny_voxel_networks.NAMES if name not in ("unet", *LARGER)]
COVER = {*((name, dimensions) for name in OURS for dimensions in (2, 3)), ("attention_unet", 2), ("fcn", 2), ("vnet", 3)}


def combinations():
    for name in (*OURS, *PER_VOXEL):
        for posed in ("detection", "instances"):
            for route in routes_of(posed):
                if route in ARCHITECTURES[name].serves and not (name == "centre_detector" and posed == "instances"):
                    for dimensions in (2, 3):
                        marks = () if (name, dimensions) in COVER else pytest.mark.every_row
                        yield pytest.param(name, dimensions, posed, route, id=f"{name}-{dimensions}d-{posed}", marks=marks)


def tiny_options(name: str, dimensions: int) -> dict:
    if name in PER_VOXEL:
        return tiny_voxel_networks.options_for(name, dimensions, PATCH[dimensions][3 - dimensions :])
    steps = ((1,) * dimensions, *((2,) * dimensions,) * 2)
    return {"features": (4, 8, 8), "kernels": ((3,) * dimensions,) * 3, "strides": steps}


def cases_of(task, dimensions: int) -> list[PreparedCase]:
    """Toy cases whose targets are as the task encodes them."""
    made = []
    for case in object_cases(dimensions, count=4, clean=1):
        target = task.encode_objects(PreparedObjects(case.objects, case.target), case.image.shape[1:])
        made.append(PreparedCase(case.case_id, case.image, target, {}, case.objects))
    return made


def card_of(task, values: dict, dimensions: int) -> ModelCard:
    planar = dimensions == 2
    spacing = None if planar else (1.0, 1.0, 1.0)
    preparation = Preparation(
        ("image",), "a.u.", dimensions, spacing, None, PATCH[dimensions], planar, (Normalisation("per-image"),)
    )
    return ModelCard(
        question=task.question,
        preparation=preparation,
        decisions=Decisions(),
        network=values,
        task={"loss": task.loss, "centre": [], "scale": [], "route": task.serves},
        reading={"overlap": 0.5, "mirror": [1, 2], "precision": "float32"},
        training={},
        intended_use="toy",
        is_phantom=True,
        state="frozen",
    )


@pytest.mark.parametrize(("name", "dimensions", "posed", "route"), list(combinations()))
def test_objects_are_learned_written_and_read_back(name, dimensions, posed, route, tmp_path):
    task = make(Question(posed, ("nodule", "cyst"), (1, 2)), route=route)
    values = {
        "name": name,
        "in_channels": 1,
        "out_channels": task.outputs,
        "dimensions": dimensions,
        "serves": task.serves,
        "options": tiny_options(name, dimensions),
    }
    torch.manual_seed(0)
    network = build_network(values)
    received: set[str] = set()
    for parameter_name, parameter in network.named_parameters():
        if parameter.requires_grad:
            parameter.register_hook(lambda gradient, n=parameter_name: received.add(n))
    outcome = train(
        task,
        network,
        Batches(cases_of(task, dimensions), PATCH[dimensions], Sampling(2, 0.5), Augmentation(chance=0.5), dimensions=dimensions),
        RECIPE,
        Clock(2, epochs=1),
        validate=lambda network, final: Looked(None, {}),
        events=EventLog(tmp_path / "events.jsonl"),
        checkpoint=tmp_path / "checkpoint.safetensors",
        identity="toy",
    )
    silent = {n for n, p in network.named_parameters() if p.requires_grad} - received
    assert all(n.startswith("heads.") for n in silent), f"these parameters never receive a gradient: {sorted(silent)}"
    assert not silent or ARCHITECTURES[name].scales  # whose other answers only deep supervision asks for
    (epoch,) = [e for e in read_events(tmp_path / "events.jsonl") if e["event"] == "epoch"]
    assert np.isfinite(epoch["loss"])

    written = write_model(tmp_path / "model", outcome.network, card_of(task, values, dimensions))
    loaded = load_model(pack_model(tmp_path / "model", tmp_path / "toy.overread"))
    assert loaded.predictor.task == task
    image = np.asarray(cases_of(task, dimensions)[0].image, dtype=np.float32)
    grid = Grid.from_spacing(image.shape[1:], spacing_known=dimensions == 3, is_planar=dimensions == 2)
    prepared = Prepared(image, grid, grid, grid.canonical_axes())
    before, after = (p.candidates(prepared) for p in (predictor_of(written, outcome.network), loaded.predictor))
    assert isinstance(after, Instances if posed == "instances" else Boxes)
    np.testing.assert_array_equal(before.corners, after.corners)
    np.testing.assert_array_equal(before.scores, after.scores)
    assert before.classes == after.classes
    assert set(after.classes) <= {"nodule", "cyst"}
    assert ((after.scores >= 0.01) & (after.scores <= 1)).all()
    assert (after.corners[:, 1] > after.corners[:, 0]).all()
