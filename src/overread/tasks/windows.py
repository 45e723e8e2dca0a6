"""Objects that were found window by window, as objects of the whole grid: each once, where windows overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.metrics.objects.overlap import box_iou
from overread.tasks.objects import Found, Shape, clipped, mean_box, of_clusters, shifted, united

SAME = 0.3  # intersection over union from which boxes of neighbouring windows are one object
INSIDE = 0.7  # share of a box that ends at a window's face inside another box, from which it is a part cut off from that
RIM = 1.0  # voxels from a window's face within which a box counts as cut off by it
MOST = 1000  # objects of a class that are compared with each other: those of highest score
WIDTH = 0.25  # standard deviation of the trust in a window, as a share of its edge


@dataclass(frozen=True)
class _Views:
    """Which windows looked where. starts (W, 3) first voxels on the grid, patch (3,), shape (3,) of the grid."""

    starts: np.ndarray
    patch: np.ndarray
    shape: np.ndarray

    def trust(self, boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """(N,) 1 for a box in the middle of its window, less towards the faces. boxes (N, 6), windows (N,)."""
        middle = self.starts[windows] + (self.patch - 1) / 2
        away = ((boxes[:, :3] + boxes[:, 3:]) / 2 - middle) / (WIDTH * self.patch)
        return np.exp(-0.5 * np.where(self.patch > 1, away, 0.0) ** 2).prod(1)

    def are_cut(self, boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """(N,) bool: the box ends at a face of its window behind which the image goes on."""
        first, last = self.starts[windows] - 0.5, self.starts[windows] + self.patch - 0.5
        low = (boxes[:, :3] < first + RIM) & (first > 0)
        high = (boxes[:, 3:] > last - RIM) & (last < self.shape - 0.5)
        return (low | high).any(1)

    def expected(self, box: np.ndarray) -> float:
        """The trust, summed, of all windows that hold a box (6,) as a whole."""
        every = np.arange(len(self.starts))
        boxes = np.tile(box, (len(every), 1))
        first, last = self.starts - 0.5, self.starts + self.patch - 0.5
        are_whole = ((boxes[:, :3] >= first) & (boxes[:, 3:] <= last)).all(1) & ~self.are_cut(boxes, every)
        return float(self.trust(boxes, every)[are_whole].sum())


def merged_across_windows(
    founds: Sequence[Found], starts: Sequence[Shape], patch: Shape, shape: Shape, overlap: float = SAME
) -> Found:
    """The answers of overlapping windows in one, sorted by score: weighted box clustering.

    founds  one per window, in index coordinates of the window
    starts  first voxel (z, y, x) of each window on the grid; negative where the window reaches out of it
    patch   (z, y, x) size of a window;  shape  of the grid

    Boxes of a class that overlap are one object: its faces are the mean, weighted by score and by how close to the middle of
    its window each box lies. A box that ends at a window's face is a part cut off where it lies inside another's; it then says
    nothing about the faces. A score is the mean over all windows that hold the object whole, those that did not find it
    counting as 0. Voxels are united. An object larger than the overlap of windows may stay in parts.
    Sources: Jaeger et al., Retina U-Net, 2018 (arXiv:1811.08661); Baumgartner et al., nnDetection, MICCAI 2021.
    """
    whole = united([shifted(f, s) for f, s in zip(founds, starts, strict=True)])
    if not len(whole):
        return whole
    numbers = np.concatenate([np.full(len(f), k) for k, f in enumerate(founds)])
    numbers = numbers[np.argsort(-np.concatenate([f.scores for f in founds]), kind="stable")]
    views = _Views(np.asarray(starts, float).reshape(-1, 3), np.asarray(patch, float), np.asarray(shape, float))
    parts = []
    for name in np.unique(whole.classes):
        of_class = np.flatnonzero(whole.classes == name)[:MOST]
        parts.append(_cluster(whole.chosen(of_class), numbers[of_class], views, overlap))
    return clipped(united(parts), shape)


def _cluster(found: Found, windows: np.ndarray, views: _Views, overlap: float) -> Found:
    trust, cut = views.trust(found.boxes, windows), views.are_cut(found.boxes, windows)
    same = box_iou(found.corners, found.corners) > overlap
    inside = _share_inside(found.boxes)
    other = windows[:, None] != windows[None, :]
    parts = (inside > INSIDE) & cut[:, None] & ~cut[None, :] & other  # row: a part cut off; column: the whole
    together = same | parts | parts.T
    left, clusters = np.ones(len(found), bool), []
    for seed in np.argsort(-found.scores * trust * np.where(cut, 0.5, 1.0), kind="stable"):
        if left[seed]:
            members = np.flatnonzero(together[seed] & left | (np.arange(len(found)) == seed))
            left[members] = False
            clusters.append(members)
    boxes, scores = [], []
    for members in clusters:
        whole = members[~cut[members]] if not cut[members].all() else members
        boxes.append(mean_box(found.boxes[whole], (found.scores * trust)[whole]))
        total = max(float(trust[members].sum()), views.expected(boxes[-1]))
        scores.append((trust * found.scores)[members].sum() / total)
    return of_clusters(found, clusters, np.array(boxes), np.array(scores), share=0.0)


def _share_inside(boxes: np.ndarray) -> np.ndarray:
    """(N, 6) -> (N, N): which share of the box of the row lies in the box of the column."""
    low = np.maximum(boxes[:, None, :3], boxes[None, :, :3])
    high = np.minimum(boxes[:, None, 3:], boxes[None, :, 3:])
    shared = np.clip(high - low, 0, None).prod(2)
    return shared / np.maximum((boxes[:, 3:] - boxes[:, :3]).prod(1), 1e-9)[:, None]
