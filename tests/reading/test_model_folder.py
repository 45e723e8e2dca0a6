"""A model is written anew at every checkpoint: whoever reads meanwhile, or after a kill or a full disk, finds a whole one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from overread.core.errors import OverreadError
from overread.core.question import Decisions
from overread.reading import model
from overread.reading.model import ModelCard, build_network, load_model, write_model
from overread.record import files
from toys import SHAPES, question, toy_preparation

NETWORK = {"name": "resnet10", "in_channels": 1, "out_channels": 1, "dimensions": 2, "serves": "image"}
NETWORK |= {"options": {"width": 4, "image_size": SHAPES[2][1:]}}


def write(folder: Path, seed: int) -> str:
    """A model whose weights and card differ by the seed; returns its hash."""
    torch.manual_seed(seed)
    card = ModelCard(
        question=question("regression"),
        preparation=toy_preparation(2, dense=False),
        decisions=Decisions(),
        network=NETWORK,
        task={"loss": "l1", "centre": [5.0], "scale": [2.0]},
        reading={"overlap": 0.5, "mirror": [], "precision": "float32"},
        training={"steps": seed},
        intended_use="toy",
        is_phantom=True,
        state="in training",
    )
    return write_model(folder, build_network(NETWORK), card).sha256


def test_at_every_moment_there_is_the_old_model_or_the_new_one(tmp_path, monkeypatch):
    old, seen, replace = write(tmp_path / "model", 1), [], os.replace

    def looked(source, target):
        replace(source, target)
        seen.append(load_model(tmp_path / "model").card.sha256)

    monkeypatch.setattr(os, "replace", looked)
    new = write(tmp_path / "model", 2)
    assert seen == [old, new, new]
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["model.json", "model.safetensors"]


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_a_kill_while_it_is_written_leaves_a_model(tmp_path, monkeypatch, moment):
    write(tmp_path / "model", 1)
    replace, done = os.replace, []

    def killed(source, target):
        if len(done) == moment:
            raise SystemExit
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(SystemExit):
        write(tmp_path / "model", 2)
    monkeypatch.undo()
    assert load_model(tmp_path / "model").card.training["steps"] == (2 if moment == 2 else 1)
    write(tmp_path / "model", 3)
    assert load_model(tmp_path / "model").card.training["steps"] == 3


def test_a_disk_that_is_full_for_the_card_leaves_the_old_model(tmp_path, monkeypatch):
    write(tmp_path / "model", 1)
    sync = files._sync

    def full(path):
        if path.suffix == ".json":
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(path)

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(OverreadError, match=r"disk is full: model.json could not be written"):
        write(tmp_path / "model", 2)
    assert load_model(tmp_path / "model").card.training["steps"] == 1


def test_a_card_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    write(tmp_path / "model", 1)
    weights, again = model._weights, []

    def late(folder, card):
        if not again:
            again.append(write(folder, 2))
        return weights(folder, card)

    monkeypatch.setattr(model, "_weights", late)
    assert load_model(tmp_path / "model").card.training["steps"] == 2
