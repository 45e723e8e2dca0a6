"""From probabilities per voxel to objects: connected voxels of a class, and fainter ones with a lower score."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from overread.core.kinds import Piece
from overread.tasks.objects import Found

LEVELS = (0.2, 0.05)  # lower probabilities at which voxels are looked at that belong to no object yet
MOST = 300  # objects of a case that are kept, those of highest score


def connected(probabilities: np.ndarray) -> Found:
    """(K + 1, Z, Y, X) probabilities, background first -> objects, highest score first.

    An object is a connected part (faces, edges or corners) of the voxels whose likeliest class is that class. After those,
    connected parts of the voxels with at least 0.2, then 0.05, that hold no object of that class yet are objects too, so that
    sensitivity can be bought with false positives. A score is the mean probability of the class over the object's voxels.
    """
    likeliest = probabilities.argmax(0)
    pieces: list[Piece] = []
    scores: list[float] = []
    classes: list[int] = []
    for k, of_class in enumerate(probabilities[1:]):
        taken = np.zeros(likeliest.shape, bool)
        for mask in (likeliest == k + 1, *(of_class >= level for level in LEVELS)):
            for piece in new_parts(mask, taken):
                taken[piece.place] |= piece.mask
                pieces.append(piece)
                scores.append(float(of_class[piece.place][piece.mask].mean()))
                classes.append(k)
    return of_pieces(pieces, scores, classes)


def new_parts(mask: np.ndarray, taken: np.ndarray) -> list[Piece]:
    """The connected parts of a mask (Z, Y, X) that hold no voxel of `taken` (Z, Y, X)."""
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    known = set(np.unique(labels[taken & mask]).tolist())
    parts = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if number not in known:
            start = (place[0].start, place[1].start, place[2].start)
            parts.append(Piece(start, labels[place] == number))
    return parts


def of_pieces(pieces: list[Piece], scores: list[float], classes: list[int]) -> Found:
    """Pieces as objects with the smallest box around each, the best `MOST` of them, highest score first."""
    first = np.array([piece.start for piece in pieces], dtype=np.float32).reshape(-1, 3) - np.float32(0.5)
    size = np.array([piece.mask.shape for piece in pieces], dtype=np.float32).reshape(-1, 3)
    boxes = np.concatenate([first, first + size], axis=1)
    found = Found(boxes, np.array(scores, np.float32), np.array(classes, np.int64), tuple(pieces)).sorted()
    return found.chosen(np.arange(min(len(found), MOST)))
