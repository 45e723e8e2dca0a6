"""Our networks of objects learn bright ellipses and ellipsoids on noise within a few dozen steps, from random weights."""

import numpy as np
import pytest
import torch

from overread.core.kinds import Piece
from overread.core.question import Question
from overread.metrics.objects.overlap import box_iou, mask_iou
from overread.networks import build
from overread.tasks import make

pytestmark = pytest.mark.usefixtures("as_in_training")

SIZE, STEPS, BATCH = {2: 48, 3: 24}, {2: 60, 3: 100}, {2: 4, 3: 2}
WIDEST = {2: 8.0, 3: 6.0}  # radius


def ellipses(random: np.random.Generator, dimensions: int):
    """An image (1, [Z,] Y, X) with one to three ellipses or ellipsoids that do not overlap, and its target."""
    size = SIZE[dimensions]
    shape = (size,) * dimensions
    image, numbers = random.normal(size=shape) * 0.5, np.zeros(shape, np.int16)
    boxes: list[list[float]] = []
    for _ in range(random.integers(1, 4)):
        centre, radius = random.uniform(6, size - 6, dimensions), random.uniform(4, WIDEST[dimensions], dimensions)
        places = np.stack(np.indices(shape), -1)
        mask = (((places - centre) / radius) ** 2).sum(-1) < 1
        if (mask & (numbers > 0)).any():
            continue
        numbers[mask] = len(boxes) + 1
        image[mask] += 2
        held = np.argwhere(mask)
        flat = [0.5] * (3 - dimensions)
        boxes.append([*(-f for f in flat), *(held.min(0) - 0.5), *flat, *(held.max(0) + 0.5)])
    target = {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 6),
        "classes": torch.zeros(len(boxes), dtype=torch.int64),
        "numbers": torch.from_numpy(numbers)[None],
    }
    return torch.from_numpy(image.astype(np.float32))[None], target


def taught(task, name: str, dimensions: int):
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    kernels, step = ((3,) * dimensions,) * 3, (2,) * dimensions
    options = {"features": (8, 16, 32), "kernels": kernels, "strides": ((1,) * dimensions, step, step)}
    network = build(name, in_channels=1, out_channels=1, dimensions=dimensions, serves=task.serves, options=options)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, STEPS[dimensions])
    for _ in range(STEPS[dimensions]):
        images, targets = zip(*(ellipses(random, dimensions) for _ in range(BATCH[dimensions])), strict=True)
        with torch.autocast("cpu", torch.bfloat16):
            terms = task.losses(network, torch.stack(images), list(targets))
        optimizer.zero_grad()
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 12.0)
        optimizer.step()
        schedule.step()
    return network.eval()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_detector_finds_new_ellipses(dimensions: int):
    task = make(Question("detection", ("ellipse",)))
    network, random = taught(task, "centre_detector", dimensions), np.random.default_rng(1)
    hits, total = [], 0
    for _ in range(12):
        image, target = ellipses(random, dimensions)
        with torch.inference_mode():
            (answer,) = task.respond(network, image[None])
        overlap = box_iou(answer["boxes"].numpy(), target["boxes"].numpy())
        left = set(range(len(target["boxes"])))
        for score, row in zip(answer["scores"].tolist(), overlap, strict=True):
            best = max(left, key=lambda k, row=row: row[k], default=None)
            is_hit = best is not None and row[best] >= 0.5
            left -= {best} if is_hit else set()
            hits.append((score, is_hit))
        total += len(target["boxes"])
    ordered = np.array([hit for _, hit in sorted(hits, reverse=True)])
    precision = ordered.cumsum() / np.arange(1, len(ordered) + 1)
    assert precision[ordered].sum() / total > 0.8  # average precision at an overlap of 0.5


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_network_of_centres_tells_new_ellipses_apart(dimensions: int):
    task = make(Question("instances", ("ellipse",)))
    network, random = taught(task, "centre_offset_unet", dimensions), np.random.default_rng(1)
    overlap, objects = 0.0, 0.0
    for _ in range(12):
        image, target = ellipses(random, dimensions)
        with torch.inference_mode():
            raw = task.respond(network, image[None])[0].numpy()
        found = task.found(raw.reshape(len(raw), *(1,) * (3 - dimensions), *raw.shape[1:]))
        found = found.chosen(found.scores > 0.1)
        numbers = target["numbers"].numpy().reshape(raw.shape[1:] if dimensions == 3 else (1, *raw.shape[1:]))
        truth = [Piece.of(numbers == k + 1) for k in range(len(target["boxes"]))]
        shared = mask_iou(found.pieces, truth)
        overlap += shared[shared > 0.5].sum()
        objects += (len(found) + len(truth)) / 2
    assert overlap / objects > 0.7  # panoptic quality
