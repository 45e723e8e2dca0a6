"""Phantom chest films on which a burned-in marker follows the label, and a small network that learned from them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image as Picture
from torch import nn

from overread.batches.prepare import prepare_image
from overread.cohort.load import load_image
from overread.cohort.phantom.marks import word
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions, OperatingPoint
from overread.reading.model import Model
from overread.reading.predictor import Predictor
from overread.record.files import read_json, write_json
from overread.tasks import make
from overread.workflow.init import init
from overread.workflow.phantom import phantom
from overread.workflow.project import Project

EDGE = 96
PREPARATION = Preparation(
    ("image",), "a.u.", 2, None, (1, EDGE, EDGE), (1, EDGE, EDGE), True, (Normalisation("per-image"),)
)  # fmt: skip


def marked_project(folder: Path, patients: int = 40) -> Project:
    """Films with the fault "marker", masks of the marker in `markers/`, and half of the patients for tuning."""
    made = phantom(folder / "films", kind="chest", patients=patients, format="png", size=EDGE, faults=("marker",), workers=1)
    (folder / "markers").mkdir()
    marked = set(read_json(made.folder / "phantom.json")["faults"]["marker"]["exams"])
    for exam in marked:
        Picture.fromarray(marker()).save(folder / "markers" / f"{exam}.png")
    return init(
        folder / "project",
        images=made.images,
        sheet=made.sheet,
        label=["pneumonia"],
        positive="yes",
        tuning=0.5,
        internal=0.1,
    )


def marker() -> np.ndarray:
    """(EDGE, EDGE) uint8: 1 in the box of the marker, where `overread.cohort.phantom.marks.burn` writes it."""
    mask = np.zeros((EDGE, EDGE), np.uint8)
    high, wide = word("PORT").shape
    mask[2 : 2 + high, 2 : 2 + wide] = 1
    return mask


def small_network(project: Project, seed: int = 0, steps: int = 150) -> nn.Module:
    """Two convolutions and a maximum, taught the labels of the training films."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2, 2), nn.ReLU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip
    cohort = project.cohort()
    cases = cohort.of("training")
    films = np.stack([prepare_image(load_image(cohort, case), PREPARATION).array[:, 0] for case in cases])
    wanted = torch.tensor([int(case.truth.values["yes"] == 1) for case in cases])  # type: ignore[union-attr]
    images = torch.from_numpy(films)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.005)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), wanted).backward()
        optimiser.step()
    return network.eval()


def model_of_network(project: Project, network: nn.Module, name: str = "first") -> Model:
    """The network as the frozen model of a run; only what the verbs of explanation look at lies in the run."""
    points = (OperatingPoint("yes", 0.5, "0.5"),)
    decisions = Decisions(points)
    predictor = Predictor(network, make(project.question), PREPARATION, decisions)
    sha256 = f"sha256:{name}"
    folder = project.path / "runs" / name / "model"
    write_json(folder / "model.json", {"sha256": sha256})
    return Model(SimpleNamespace(decisions=decisions, sha256=sha256, state="frozen", members=()), predictor)  # type: ignore[arg-type]
