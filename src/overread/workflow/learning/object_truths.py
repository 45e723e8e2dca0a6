"""The truth of a prepared case as objects, for quick scores during training."""

from __future__ import annotations

import numpy as np

from overread.batches.cache import PreparedCase
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Piece
from overread.core.preparation import Preparation
from overread.core.question import Question
from overread.reading.objects import as_kind
from overread.tasks.base import ObjectTask


def prepared_grid(case: PreparedCase, preparation: Preparation) -> Grid:
    """A grid with the shape and spacing of a prepared image; where it lies in the patient is not known any more."""
    spacing = preparation.spacing
    known = spacing is not None
    return Grid.from_spacing(
        case.image.shape[1:], spacing or (1.0, 1.0, 1.0), spacing_known=known, is_planar=preparation.is_planar
    )


def object_truth(case: PreparedCase, task: ObjectTask, grid: Grid) -> Boxes | Instances:
    """Boxes or instances on the prepared grid.

    Where the network is taught a label map, instances are what its parts would be at best: those that touch are one.
    """
    question, table = task.question, case.objects
    assert table is not None
    names = tuple(question.classes[k] for k in table.classes)
    if question.task == "detection":
        return Boxes(table.boxes.reshape(-1, 2, 3).astype(np.float64), names, np.ones(len(names)), grid)
    if case.target.ndim == 3:
        return as_kind(task.found(_one_hot(case.target, question)), question, grid)
    pieces = numbered_pieces(np.asarray(case.target), len(names))
    return Instances(pieces, names, np.ones(len(names)), grid)


def numbered_pieces(layers: np.ndarray, count: int) -> tuple[Piece, ...]:
    """The voxels of numbers 1 ... count in (L, Z, Y, X) layers; a number lies in one layer."""
    empty = Piece((0, 0, 0), np.zeros((0, 0, 0), bool))
    pieces = [empty] * count
    for layer in layers:
        for number in np.unique(layer[layer > 0]):
            pieces[int(number) - 1] = Piece.of(layer == number)
    return tuple(pieces)


def _one_hot(labels: np.ndarray, question: Question) -> np.ndarray:
    """(Z, Y, X) label map -> (K + 1, Z, Y, X) float32, background first."""
    return np.stack([labels == k for k in range(len(question.classes) + 1)]).astype(np.float32)
