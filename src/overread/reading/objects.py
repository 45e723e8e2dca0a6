"""Objects that a network finds in an image: window by window, put together, and taken to the grid of the source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from overread.batches.prepare import Prepared, undo_boxes, undo_piece
from overread.batches.windows import Shape, centred_start, cut, window_starts
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Piece
from overread.core.question import Question
from overread.reading.lists import listed
from overread.reading.seams import View, settled, view_of
from overread.tasks.found import Found, merged_across_windows, shifted, weighted_box_fusion
from overread.tasks.windows import MOST as COMPARED

LEAST_SCORE = 0.01  # candidates below it change neither FROC nor average precision
MOST = 300  # candidates kept of one image or volume

Lists = Sequence[Mapping[str, Tensor]]
Respond = Callable[[Sequence[np.ndarray], Sequence[int]], Lists]  # windows (C, *patch) and mirrored axes -> a list for each


def read_windows(
    array: np.ndarray, patch: Shape, overlap: float, mirrorings: Sequence[Sequence[int]], batch: int, respond: Respond
) -> Found:
    """Objects of a prepared image (C, Z, Y, X), read once for each mirroring.

    mirrorings  array axes to mirror over, for each reading; [()] reads once, as it is
    batch       windows at once
    Within one reading, parts at seams are settled and windows merged; then the readings are merged, which average their scores:
    what only one of two mirrorings shows has half the score.
    """
    shape: Shape = (array.shape[1], array.shape[2], array.shape[3])
    starts = starts_of(shape, patch, overlap)
    readings = []
    for axes in mirrorings:
        views = []
        for k in range(0, len(starts), batch):
            some = starts[k : k + batch]
            answers = respond([cut(array, start, patch) for start in some], axes)
            for answer, start in zip(answers, some, strict=True):
                views.append(view_of(listed(answer, axes, start, patch, shape), start, patch))
        readings.append(_merged(views, starts, patch, shape))
    return readings[0] if len(readings) == 1 else weighted_box_fusion(readings)


def _merged(views: Sequence[View], starts: Sequence[Shape], patch: Shape, shape: Shape) -> Found:
    """One list of the views of all windows; that of a single window is left as it is."""
    if len(views) == 1:
        return views[0].found
    put = settled(_likeliest(views), shape)
    in_windows = [shifted(found, [-s for s in start]) for found, start in zip(put, starts, strict=True)]
    return merged_across_windows(in_windows, starts, patch, shape)


def _likeliest(views: Sequence[View]) -> list[View]:
    """Without the faintest candidates of a class, where all windows together list more than are compared with each other."""
    scores, classes = (np.concatenate([getattr(view.found, name) for view in views]) for name in ("scores", "classes"))
    least = {int(k): np.sort(scores[classes == k])[-COMPARED:][0] for k in np.unique(classes)}
    floors = [np.array([least[int(k)] for k in view.found.classes]) for view in views]
    return [View(v.found.chosen(v.found.scores >= floor), v.window) for v, floor in zip(views, floors, strict=True)]


def starts_of(shape: Shape, patch: Shape, overlap: float) -> list[Shape]:
    """Starts of the windows on the grid; along an axis that is shorter than the window, the window lies around the image."""
    around = [min(0, start) for start in centred_start(shape, patch)]
    return [tuple(s + a for s, a in zip(start, around, strict=True)) for start in window_starts(shape, patch, overlap)]  # type: ignore[misc]


def candidates(found: Found, prepared: Prepared, question: Question) -> Boxes | Instances:
    """The surest objects on the source grid, before any decision; those that lie outside of the image are left out."""
    found = surest(found)
    boxes = undo_boxes(found.boxes, prepared)
    kept = np.asarray((boxes[:, 1] - boxes[:, 0] > 0).all(axis=1))
    pieces = None
    if question.task == "instances":
        every = _pieces(found, lambda piece: undo_piece(piece, prepared))
        kept &= np.array([piece.voxels > 0 for piece in every], dtype=bool)
        pieces = tuple(piece for piece, is_kept in zip(every, kept, strict=True) if is_kept)
    moved = Found(boxes.reshape(-1, 6)[kept].astype(np.float32), found.scores[kept], found.classes[kept], pieces)
    return as_kind(moved, question, prepared.source)


def as_kind(found: Found, question: Question, grid: Grid) -> Boxes | Instances:
    """Objects in index coordinates of a grid as the kind that the question asks for."""
    names = tuple(question.classes[k] for k in found.classes)
    scores = np.clip(found.scores.astype(np.float64), 0.0, 1.0)
    if question.task == "instances":
        return Instances(_pieces(found, lambda piece: piece), names, scores, grid)
    return Boxes(found.boxes.reshape(-1, 2, 3).astype(np.float64), names, scores, grid)


def surest(found: Found) -> Found:
    """The objects worth keeping: not below `LEAST_SCORE`, at most `MOST`, the surest first."""
    order = np.argsort(-found.scores, kind="stable")
    return found.chosen(order[found.scores[order] >= LEAST_SCORE][:MOST])


def _pieces(found: Found, change: Callable[[Piece], Piece]) -> tuple[Piece, ...]:
    if found.pieces is None:
        raise TypeError("a network that answers instances gives the voxels of each")
    return tuple(change(piece) for piece in found.pieces)
