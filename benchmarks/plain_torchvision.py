"""Torchvision's own detectors trained the plain way, as a peer: float32, its reference recipe, from random weights.

The recipe is that of torchvision's references/detection: stochastic gradient descent with momentum 0.9, weight decay 1e-4,
0.02 for 16 images a step (here so much less as a step has fewer images), warm-up over the first thousand steps or the first
pass, a tenth of the rate after 16 and after 22 of 26 epochs (here the same shares of the minutes), mirrored left to right
with chance one half, model and losses as the library gives them. Its images are scaled to the size that is named, which
is smaller than its default of 800 and so gives it many more steps in the time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import detection

from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.core.case import Case
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Piece
from overread.evaluation.sources.objects_file import NAME, write_objects
from overread.record.files import write_json
from overread.record.run import RunFolder

RATE, IMAGES_A_STEP = 0.02, 16
DROPS = (16 / 26, 22 / 26)
WARMUP = 1000
HALF_PIXEL = 0.5


@dataclass(frozen=True)
class Trained:
    """A detector and what its training took."""

    network: nn.Module
    steps: int
    minutes: float
    images_per_second: float


def build(name: str, classes: int, edge: int) -> nn.Module:
    """ "maskrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn" ...; label 0 is background."""
    make: Any = getattr(detection, name)
    network: nn.Module = make(weights=None, weights_backbone=None, num_classes=classes + 1, min_size=edge, max_size=2 * edge)
    return network


def train(cohort: Cohort, name: str, minutes: float, *, edge: int, batch: int = 2, seed: int = 0) -> Trained:
    """Train on the training cases for so many minutes; reading the files is not counted."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = build(name, len(cohort.question.classes), edge).train()
    examples = [example(cohort, case) for case in cohort.of("training")]
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE * batch / IMAGES_A_STEP, momentum=0.9, weight_decay=1e-4)
    warmup = min(WARMUP, max(1, len(examples) // batch - 1))
    began, step, order = time.monotonic(), 0, []
    while (share := (time.monotonic() - began) / (minutes * 60)) < 1:
        rate = RATE * batch / IMAGES_A_STEP * 0.1 ** sum(share >= drop for drop in DROPS) * min(1.0, 0.001 + step / warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        if len(order) < batch:
            order = list(random.permutation(len(examples)))
        chosen = [mirrored(*examples[order.pop()]) if random.random() < 0.5 else examples[order.pop()] for _ in range(batch)]
        losses = network([image for image, _ in chosen], [dict(target) for _, target in chosen])
        loss = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(loss):
            raise SystemExit(f"{name}: the loss is {loss.item()} after {step} steps")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
    spent = time.monotonic() - began
    return Trained(network.eval(), step, spent / 60, step * batch / spent)


def example(cohort: Cohort, case: Case) -> tuple[Tensor, dict[str, Tensor]]:
    """Image (3, Y, X) from 0 to 1, and its truth as torchvision wants it."""
    truth = load_truth(cohort, case)
    assert isinstance(truth, Boxes | Instances)
    corners = torch.from_numpy(np.asarray(truth.corners, dtype=np.float32)).reshape(-1, 2, 3) + HALF_PIXEL
    target = {
        "boxes": torch.stack([corners[:, 0, 2], corners[:, 0, 1], corners[:, 1, 2], corners[:, 1, 1]], 1),
        "labels": torch.tensor([cohort.question.classes.index(name) + 1 for name in truth.classes], dtype=torch.int64),
    }
    if isinstance(truth, Instances):
        masks = (
            np.stack([truth.mask(k)[0] for k in range(len(truth.pieces))])
            if truth.pieces
            else np.zeros((0, *truth.grid.shape[1:]))
        )
        target["masks"] = torch.from_numpy(masks.astype(np.uint8))
    return pixels(cohort, case), target


def pixels(cohort: Cohort, case: Case) -> Tensor:
    """(3, Y, X) from 0 to 1."""
    array = load_image(cohort, case).array[:, 0].astype(np.float32)
    low, high = float(array.min()), float(array.max())
    scaled = torch.from_numpy((array - low) / max(high - low, 1e-6))
    return scaled if len(scaled) == 3 else scaled[:1].expand(3, -1, -1).contiguous()


def mirrored(image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    width = image.shape[-1]
    turned = dict(target)
    boxes = target["boxes"].clone()
    boxes[:, [0, 2]] = width - target["boxes"][:, [2, 0]]
    turned["boxes"] = boxes
    if "masks" in target:
        turned["masks"] = target["masks"].flip(-1)
    return image.flip(-1), turned


def answer(trained: Trained, cohort: Cohort, run: RunFolder, partition: str) -> None:
    """Write the answers to the cases of a partition, as any other program would."""
    answers = {case.case_id: read(trained.network, cohort, case) for case in cohort.of(partition)}
    folder = run.predictions / partition
    folder.mkdir(parents=True, exist_ok=True)
    write_objects(folder / NAME, answers)
    write_json(folder / "answers.json", {"format": 1, "partition": partition, "question": cohort.question.as_dict()})


@torch.inference_mode()
def read(network: nn.Module, cohort: Cohort, case: Case) -> Boxes | Instances:
    (found,) = network([pixels(cohort, case)])
    grid = cohort.grids[case.case_id]
    x0, y0, x1, y1 = (found["boxes"] - HALF_PIXEL).numpy().T.astype(float).reshape(4, -1)
    flat = np.full(len(x0), HALF_PIXEL)
    corners = np.stack([np.stack([-flat, y0, x0], 1), np.stack([flat, y1, x1], 1)], 1)
    classes = tuple(cohort.question.classes[int(k) - 1] for k in found["labels"])
    scores = found["scores"].numpy().astype(float)
    if cohort.question.task == "detection":
        return Boxes(corners, classes, scores, grid)
    return instances(found["masks"].numpy()[:, 0] >= 0.5, classes, scores, grid)


def instances(masks: np.ndarray, classes: Sequence[str], scores: np.ndarray, grid: Grid) -> Instances:
    kept = [k for k, mask in enumerate(masks) if mask.any()]
    pieces = tuple(Piece.of(masks[k][None]) for k in kept)
    return Instances(pieces, tuple(classes[k] for k in kept), scores[kept], grid)
