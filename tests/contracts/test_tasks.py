"""Every task on every architecture that claims to serve it, in 2D and 3D where claimed; `make test` takes a cover of them."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from functools import partial

import numpy as np
import pytest
import torch

from contract_ways import every_way, the_cover
from overread import networks
from overread.batches.augment import Augmentation
from overread.batches.prepare import Prepared
from overread.batches.sampler import Batches, Sampling
from overread.core.grid import Grid
from overread.core.kinds import Findings, LabelMap, Measurements
from overread.core.question import Decisions
from overread.imaging.resample import resample_labels
from overread.networks.libraries.table import LIBRARIES
from overread.networks.table import ARCHITECTURES
from overread.reading.model import ModelCard, build_network, load_model, pack_model, predictor_of, write_model
from overread.record.events import EventLog, read_events
from overread.training.clock import Clock
from overread.training.loop import Looked, Recipe, train
from toys import SHAPES, question, toy_cases, toy_preparation, toy_task

RECIPE = Recipe("adamw", "cosine", 3e-3, 1e-2, 2, 3, 12.0, 0.0, "float32", True, 0)
COVER = the_cover()
EVERY = [pytest.param(way, id=way.id, marks=() if way in COVER else pytest.mark.every_row) for way in every_way()]


@pytest.mark.parametrize("way", EVERY)
def test_every_task_learns_on_every_architecture(way, tmp_path):
    asked = question(way.task, **dict(way.options))
    task = toy_task(asked)
    cases = toy_cases(asked, way.dimensions, shape=way.shape)
    torch.manual_seed(0)
    values = way.described(task.outputs)
    network = build_network(values)
    rules = Augmentation(chance=0.5, intensity=0.5)
    batches = Batches(cases, way.shape, Sampling(3, 0.3), rules, dimensions=way.dimensions)
    received = set()
    for parameter_name, parameter in network.named_parameters():
        if parameter.requires_grad:
            parameter.register_hook(lambda gradient, n=parameter_name: received.add(n))
    outcome = train(
        task,
        network,
        batches,
        RECIPE,
        Clock(2, epochs=1),
        validate=lambda network, final: Looked(None, {}),
        events=EventLog(tmp_path / "events.jsonl"),
        checkpoint=tmp_path / "checkpoint.safetensors",
        identity="toy",
    )
    silent = {n for n, p in network.named_parameters() if p.requires_grad} - received
    coarsest = ("heads.0",) if way.name in ("unet", "residual_unet", "attention_unet") else ()  # not asked for an answer
    assert not {n for n in silent if not n.startswith(coarsest)}, f"these parameters never receive a gradient: {sorted(silent)}"
    epochs = [e for e in read_events(tmp_path / "events.jsonl") if e["event"] == "epoch"]
    assert len(epochs) == 1
    assert np.isfinite(epochs[0]["loss"])

    card = ModelCard(
        question=asked,
        preparation=toy_preparation(way.dimensions, dense=task.serves == "dense", shape=way.shape),
        decisions=Decisions(),
        network=values,
        task={"loss": task.loss, "centre": list(task.scaling.centre), "scale": list(task.scaling.scale)},
        reading={"overlap": 0.5, "mirror": [], "precision": "float32"},
        training={},
        intended_use="toy",
        is_phantom=True,
        state="frozen",
    )
    written = write_model(tmp_path / "model", outcome.network, card)
    loaded = load_model(pack_model(tmp_path / "model", tmp_path / "toy.overread"))
    assert loaded.card.sha256 == written.sha256
    before = predictor_of(written, outcome.network)
    image = np.asarray(cases[0].image, dtype=np.float32)
    raw = before.raw(image)
    np.testing.assert_array_equal(raw, loaded.predictor.raw(image))
    check_answer(asked, loaded.predictor, raw, image, way.dimensions)


def test_the_cover_covers():
    """What `make test` takes stands for all: every task in 2D and 3D, every file of networks, every block that a row uses."""
    ways = every_way()
    assert set(COVER) <= set(ways)
    assert {(w.task, w.options, w.dimensions) for w in COVER} == {(w.task, w.options, w.dimensions) for w in ways}
    assert {file_of(w.name) for w in COVER if ":" not in w.name} | {BORROWED} == {
        file_of(w.name) for w in ways if ":" not in w.name
    }
    assert {w.name.partition(":")[0] for w in COVER if ":" in w.name} == set(LIBRARIES)
    used = set()
    for name, dimensions in {(w.name, w.dimensions) for w in COVER}:
        way = next(w for w in COVER if (w.name, w.dimensions) == (name, dimensions))
        used |= {type(part).__module__ for part in build_network(way.described(3)).modules()}
    assert {block for block in block_files() if block not in used} <= {f"{BLOCKS}.{name}" for name in OF_NO_ROW}


BLOCKS = "overread.networks.blocks"
BORROWED = "overread.networks.image.borrowed"  # networks of timm and torchvision at full size, of which the cover has one each
OF_NO_ROW = ("deformable", "feature_pyramid")  # for the composed network, which has tests of its own


def file_of(name):
    """The file that builds a network."""
    build = ARCHITECTURES[name].build
    return (build.func if isinstance(build, partial) else build).__module__


def block_files():
    """The files of blocks that hold modules."""
    for found in pkgutil.iter_modules(importlib.import_module(BLOCKS).__path__):
        module = importlib.import_module(f"{BLOCKS}.{found.name}")
        own = [part for part in vars(module).values() if isinstance(part, type) and part.__module__ == module.__name__]
        if any(issubclass(part, torch.nn.Module) for part in own):
            yield module.__name__


def check_answer(asked, predictor, raw, image, dimensions):
    """The answer is of the task's kind, in range, and a label map moves to another grid and back."""
    planar = dimensions == 2
    grid = Grid.from_spacing(image.shape[1:], spacing_known=not planar, is_planar=planar)
    prepared = Prepared(image, grid, grid, grid.canonical_axes())
    answer = predictor.answer_from(raw, prepared)
    if asked.task == "classification":
        assert isinstance(answer, Findings)
        values = np.array(list(answer.probabilities.values()))
        assert ((values >= 0) & (values <= 1)).all()
        if asked.exclusive:
            assert values.sum() == pytest.approx(1.0, abs=1e-5)
    elif asked.task == "regression":
        assert isinstance(answer, Measurements)
        assert np.isfinite(answer.values["radius"])
    else:
        assert isinstance(answer, LabelMap)
        assert answer.names == asked.classes
        assert set(np.unique(answer.layers)) <= {0, *asked.values}
        if not planar:
            moves_there_and_back(grid)


def moves_there_and_back(grid):
    """A ball drawn on the grid survives a finer grid and the way back, but for its rim."""
    distance = np.linalg.norm(np.indices(grid.shape) - 7.5, axis=0)
    layers = np.where(distance < 5, 3, 0).astype(np.uint8)[None]
    finer = grid.with_spacing((0.5, 0.8, 0.7))
    back = resample_labels(resample_labels(layers, grid, finer), finer, grid)
    assert 2 * ((back > 0) & (layers > 0)).sum() / ((back > 0).sum() + (layers > 0).sum()) > 0.97
    assert set(np.unique(back)) <= {0, 3}


class Pointwise(torch.nn.Module):
    """A network that looks at one voxel at a time: windows must merge exactly."""

    def forward(self, images):
        return torch.cat((torch.zeros_like(images), images, images * 2 - 1), 1)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_windows_of_a_pointwise_network_merge_exactly(dimensions):
    task = toy_task(question("segmentation"))
    preparation = toy_preparation(dimensions, dense=True)
    patch = (1, 12, 12) if dimensions == 2 else (6, 8, 8)
    card = ModelCard(
        question=task.question,
        preparation=dataclasses.replace(preparation, patch=patch),
        decisions=Decisions(),
        network={},
        task={"loss": task.loss, "centre": [], "scale": []},
        reading={"overlap": 0.5, "mirror": [0, 1, 2] if dimensions == 3 else [1, 2], "precision": "float32"},
        training={},
        intended_use="toy",
        is_phantom=True,
        state="frozen",
    )
    image = np.random.default_rng(0).normal(size=(1, *SHAPES[dimensions])).astype(np.float32)
    raw = predictor_of(card, Pointwise()).raw(image)
    logits = np.concatenate((np.zeros_like(image), image, image * 2 - 1))
    whole = np.exp(logits) / np.exp(logits).sum(0)
    np.testing.assert_allclose(raw, whole, atol=1e-5)


def test_a_unet_reads_by_windows_almost_as_it_reads_the_whole():
    """The difference is measured, and bounded where the network's field of view is smaller than the window."""
    task = toy_task(question("segmentation"))
    torch.manual_seed(0)
    values = {"name": "unet", "in_channels": 1, "out_channels": task.outputs, "dimensions": 3, "serves": "dense"}
    values["options"] = {"features": (4, 8), "kernels": ((3, 3, 3),) * 2, "strides": ((1, 1, 1), (2, 2, 2))}
    network = build_network(values).eval()
    image = np.random.default_rng(0).normal(size=(1, 48, 48, 48)).astype(np.float32)
    preparation = toy_preparation(3, dense=True)
    answers = []
    for patch in ((48, 48, 48), (32, 32, 32)):
        card = ModelCard(
            question=task.question,
            preparation=dataclasses.replace(preparation, patch=patch),
            decisions=Decisions(),
            network=values,
            task={"loss": task.loss, "centre": [], "scale": []},
            reading={"overlap": 0.5, "mirror": [], "precision": "float32"},
            training={},
            intended_use="toy",
            is_phantom=True,
            state="frozen",
        )
        answers.append(predictor_of(card, network).raw(image))
    difference = np.abs(answers[0] - answers[1])
    assert difference.mean() < 0.02  # instance norm sees the window, not the whole: never exactly equal
    assert (answers[0].argmax(0) == answers[1].argmax(0)).mean() > 0.95


def test_the_table_names_what_serves_which_task():
    assert {name for name, a in ARCHITECTURES.items() if "dense" in a.serves} >= {"unet", "residual_unet"}
    assert {name for name, a in ARCHITECTURES.items() if "image" in a.serves} >= {"resnet10", "resnet18", "resnet34", "resnet50"}
    assert callable(networks.build)
