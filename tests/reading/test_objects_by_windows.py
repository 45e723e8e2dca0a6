"""Objects read by overlapping windows against one pass over the whole image.

A network that judges every voxel by itself finds the same objects both ways, exactly. What a network with a field of view finds
differs near the rims of windows; how far is measured with our own detector, trained for a moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

from overread import networks
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions, Question
from overread.metrics.objects.overlap import box_iou
from overread.reading.predictor import Predictor
from overread.tasks import make
from overread.tasks.found import Found

SHAPES = {2: (1, 96, 80), 3: (40, 48, 44)}
WINDOWS = {2: (1, 32, 32), 3: (20, 20, 24)}


@dataclass
class Pointwise:
    """A task whose network is a threshold: the objects are the connected parts above it, with their mean as the score."""

    question: Question
    with_masks: bool = False
    serves: str = "objects"
    outputs: int = 2

    def respond(self, network: nn.Module, images: Tensor) -> list[dict[str, Tensor]]:
        return [self._window(image[0].numpy()) for image in images]

    def _window(self, values: np.ndarray) -> dict[str, Tensor]:
        volume = values.reshape((1,) * (3 - values.ndim) + values.shape)
        boxes, scores, classes, masks = [], [], [], []
        for name, (low, high) in enumerate([(0.25, 0.65), (0.65, 2.0)]):
            parts, _ = ndimage.label((volume > low) & (volume < high), np.ones((3, 3, 3)))
            for k, place in enumerate(ndimage.find_objects(parts), start=1):
                boxes.append([s.start - 0.5 for s in place] + [s.stop - 0.5 for s in place])
                scores.append(float(volume[parts == k].max()))
                classes.append(name)
                masks.append((parts == k).reshape(values.shape))
        listed = {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 6),
            "scores": torch.tensor(scores, dtype=torch.float32),
            "classes": torch.tensor(classes, dtype=torch.int64),
        }
        if self.with_masks:
            listed["masks"] = torch.tensor(np.array(masks).reshape(-1, *values.shape), dtype=torch.float32)
        return listed


def scene(dimensions: int, seed: int) -> np.ndarray:
    """(1, Z, Y, X): separate balls and bars, the largest longer than a window; the brightness is the score."""
    random, shape = np.random.default_rng(seed), SHAPES[dimensions]
    image, taken = np.zeros(shape, np.float32), np.zeros(shape, bool)
    for k in range(60):
        size = [1 if n == 1 else random.integers(2, 10) for n in shape]
        if k < 4:
            size[1 + k % 2] = 45  # longer than any window and its overlap
        start = [int(random.integers(0, max(1, n - s + 1))) for n, s in zip(shape, size, strict=True)]
        place = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
        around = tuple(slice(max(0, a - 2), a + s + 2) for a, s in zip(start, size, strict=True))
        if not taken[around].any():
            image[place] = random.uniform(0.3, 0.6) if k % 2 else random.uniform(0.7, 1.0)
            taken[place] = True
    return image[None]


def predictor(
    task: Any, dimensions: int, window: tuple[int, int, int], network: nn.Module | None = None, **options: Any
) -> Predictor:
    spacing = None if dimensions == 2 else (1.0, 1.0, 1.0)
    preparation = Preparation(
        ("image",), "a.u.", dimensions, spacing, None, window, dimensions == 2, (Normalisation("per-image"),)
    )
    return Predictor(network or nn.Identity(), task, preparation, Decisions(), **options)


def rows(found: Found) -> list[tuple[float, ...]]:
    table = zip(found.boxes, found.scores, found.classes, strict=True)
    return sorted((*(round(float(v), 3) for v in box), int(name), round(float(score), 4)) for box, score, name in table)


ASKED = {name: Question(name, ("dark", "bright")) for name in ("detection", "instances")}


@pytest.mark.parametrize("overlap", [0.25, 0.5])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_pointwise_network_finds_the_same_by_windows_as_at_once(dimensions: int, overlap: float) -> None:
    for seed in range(5):
        image, task = scene(dimensions, seed), Pointwise(ASKED["detection"])
        at_once = predictor(task, dimensions, SHAPES[dimensions]).found(image)
        by_windows = predictor(task, dimensions, WINDOWS[dimensions], overlap=overlap).found(image)
        assert len(at_once) > 8
        assert rows(by_windows) == rows(at_once)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_voxels_of_instances_are_put_together_across_windows(dimensions: int) -> None:
    image, task = scene(dimensions, 3), Pointwise(ASKED["instances"], with_masks=True)
    at_once, by_windows = (
        predictor(task, dimensions, window).found(image) for window in (SHAPES[dimensions], WINDOWS[dimensions])
    )
    assert rows(by_windows) == rows(at_once)
    for found in (at_once, by_windows):
        assert found.pieces is not None
        whole = np.zeros(SHAPES[dimensions], int)
        for piece in found.pieces:
            whole[piece.place] += piece.mask
        np.testing.assert_array_equal(whole, image[0] > 0.25)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_mirrored_readings_of_a_pointwise_network_agree(dimensions: int) -> None:
    image, task = scene(dimensions, 1), Pointwise(ASKED["instances"], with_masks=True)
    plain = predictor(task, dimensions, WINDOWS[dimensions])
    turned = replace(plain, mirror=(1, 2) if dimensions == 2 else (0, 2)).found(image)
    assert rows(turned) == rows(plain.found(image))


def test_an_image_smaller_than_the_window_is_read_as_it_is() -> None:
    image, task = scene(2, 2)[:, :, :20, :25], Pointwise(ASKED["instances"], with_masks=True)
    padded, plain = (predictor(task, 2, window).found(image) for window in ((1, 32, 32), (1, 20, 25)))
    assert rows(padded) == rows(plain)
    assert padded.pieces is not None
    assert all(max(p.place[1].stop, p.place[2].stop) <= 25 for p in padded.pieces)


def blobs(seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(1, 1, Y, X) squares of 6 to 12 pixels on noise, none touching another, and their boxes (N, 6)."""
    random = np.random.default_rng(seed)
    image, taken, boxes = random.normal(size=shape) * 0.2, np.zeros(shape, bool), []
    for _ in range(shape[0] * shape[1] // 250):
        edge = int(random.integers(6, 13))
        y, x = (int(random.integers(0, n - edge + 1)) for n in shape)
        if not taken[max(0, y - 4) : y + edge + 4, max(0, x - 4) : x + edge + 4].any():
            image[y : y + edge, x : x + edge] += 2
            taken[y : y + edge, x : x + edge] = True
            boxes.append([-0.5, y - 0.5, x - 0.5, 0.5, y + edge - 0.5, x + edge - 0.5])
    return image.astype(np.float32)[None, None], np.array(boxes, np.float32).reshape(-1, 6)


def test_our_detector_counts_by_windows_what_it_counts_at_once() -> None:
    """Trained for a moment on images of one window, then asked for a larger one: 54 squares at once, 53 by windows.

    The boxes of the 53 overlap with those found at once by 0.84 to 1.00.
    """
    torch.manual_seed(0)
    options = {"features": [8, 16, 32], "kernels": [[3, 3]] * 3, "strides": [[1, 1], [2, 2], [2, 2]], "segmentation": False}
    network = networks.build(
        "centre_detector", in_channels=1, out_channels=1, dimensions=2, serves="objects", options=options, weights="random"
    )
    task, optimizer = make(Question("detection", ("blob",))), torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(120):
        made = [blobs(1000 + 4 * step + k, (64, 64)) for k in range(4)]
        targets = [{"boxes": torch.from_numpy(b), "classes": torch.zeros(len(b), dtype=torch.int64)} for _, b in made]
        images = torch.from_numpy(np.concatenate([image for image, _ in made]))
        loss = torch.stack(list(task.losses(network, images, targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    called = {}
    image, truth = blobs(7, (192, 160))
    for name, window in (("at once", (1, 192, 160)), ("by windows", (1, 64, 64))):
        found = predictor(task, 2, window, network).found(image)
        called[name] = found.chosen(found.scores >= 0.3)
    at_once, by_windows = called["at once"], called["by windows"]
    hit = box_iou(truth.reshape(-1, 2, 3), at_once.corners).max(axis=1) > 0.5
    assert hit.mean() > 0.8, "the network has learned something"
    assert abs(len(by_windows) - len(at_once)) <= 0.05 * len(at_once)
    same = box_iou(at_once.corners, by_windows.corners).max(axis=1)
    assert (same > 0.5).mean() > 0.9
