"""Our networks of objects learn bright ellipses on noise within a few dozen steps, from random weights."""

import numpy as np
import torch

from overread.core.kinds import Piece
from overread.core.question import Question
from overread.metrics.objects.overlap import box_iou, mask_iou
from overread.networks import build
from overread.tasks import make

SIZE, STEPS, BATCH = 48, 60, 4


def ellipses(random: np.random.Generator):
    """An image (1, Y, X) with one to three ellipses that do not overlap, and its target."""
    image, numbers = random.normal(size=(SIZE, SIZE)) * 0.5, np.zeros((SIZE, SIZE), np.int16)
    boxes: list[list[float]] = []
    for _ in range(random.integers(1, 4)):
        centre, radius = random.uniform(6, SIZE - 6, 2), random.uniform(4, 8, 2)
        y, x = ((np.arange(SIZE) - c) / r for c, r in zip(centre, radius, strict=True))
        mask = y[:, None] ** 2 + x[None] ** 2 < 1
        if (mask & (numbers > 0)).any():
            continue
        numbers[mask] = len(boxes) + 1
        image[mask] += 2
        places = np.argwhere(mask)
        boxes.append([-0.5, *(places.min(0) - 0.5), 0.5, *(places.max(0) + 0.5)])
    target = {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 6),
        "classes": torch.zeros(len(boxes), dtype=torch.int64),
        "numbers": torch.from_numpy(numbers)[None],
    }
    return torch.from_numpy(image.astype(np.float32))[None], target


def taught(task, name: str):
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    options = {"features": (8, 16, 32), "kernels": ((3, 3),) * 3, "strides": ((1, 1), (2, 2), (2, 2))}
    network = build(name, in_channels=1, out_channels=1, dimensions=2, serves=task.serves, options=options)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, STEPS)
    for _ in range(STEPS):
        images, targets = zip(*(ellipses(random) for _ in range(BATCH)), strict=True)
        with torch.autocast("cpu", torch.bfloat16):
            terms = task.losses(network, torch.stack(images), list(targets))
        optimizer.zero_grad()
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 12.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def test_the_detector_finds_new_ellipses():
    task = make(Question("detection", ("ellipse",)))
    network, random = taught(task, "centre_detector"), np.random.default_rng(1)
    hits, total = [], 0
    for _ in range(12):
        image, target = ellipses(random)
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


def test_the_network_of_centres_tells_new_ellipses_apart():
    task = make(Question("instances", ("ellipse",)))
    network, random = taught(task, "centre_offset_unet"), np.random.default_rng(1)
    overlap, objects = 0.0, 0.0
    for _ in range(12):
        image, target = ellipses(random)
        with torch.inference_mode():
            found = task.found(task.respond(network, image[None])[0].numpy()[:, None])
        found = found.chosen(found.scores > 0.1)
        truth = [Piece.of(target["numbers"].numpy() == k + 1) for k in range(len(target["boxes"]))]
        shared = mask_iou(found.pieces, truth)
        overlap += shared[shared > 0.5].sum()
        objects += (len(found) + len(truth)) / 2
    assert overlap / objects > 0.7  # panoptic quality
