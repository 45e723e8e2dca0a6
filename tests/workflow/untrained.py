"""Frozen runs in no time: planned, frozen as the random network that a training would begin with."""

from __future__ import annotations

import torch

from overread.reading.model import build_network
from overread.record.run import RunFolder
from overread.training.loop import Outcome
from overread.workflow import plan as planning
from overread.workflow.learning.freeze import freeze
from overread.workflow.project import Project


def untrained(project: Project, name: str, fold: int | None = None, seed: int = 0, **overrides: str) -> RunFolder:
    """overrides  e.g. architecture="resnet10": of the settings of [training]"""
    settings = {f"training.{key}": value for key, value in {"seed": str(seed), "precision": "float32", **overrides}.items()}
    planned = planning.plan(project, name, fold, settings, preflight=False)
    torch.manual_seed(seed)
    network = build_network(planned.plan.network).eval()
    freeze(project, planning.with_overrides(project.settings, settings), planned, Outcome("finished", network, 0, 0, 0.0), None)
    return project.run(name, fold)
