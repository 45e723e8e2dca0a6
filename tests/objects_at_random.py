"""Truths and answers made at random: empty images, several classes, ties of the score, near misses."""

import numpy as np

from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Piece

SIDE = 40
NAMES = ("cyst", "nodule", "stone")


def flat(known: bool = False) -> Grid:
    return Grid.from_spacing((1, SIDE, SIDE), (1.0, 0.5, 0.5), spacing_known=known, is_planar=True)


def boxes(corners, classes=None, scores=None, grid: Grid | None = None) -> Boxes:
    """corners [(y0, x0, y1, x1)] in a 2D image, or [(z0, y0, x0, z1, y1, x1)]"""
    rows = [(-0.5, *c[:2], 0.5, *c[2:]) if len(c) == 4 else c for c in corners]
    number = len(rows)
    return Boxes(
        np.array(rows, float).reshape(-1, 2, 3),
        tuple(classes or ("nodule",) * number),
        np.ones(number) if scores is None else np.array(scores, float),
        grid or flat(),
    )


def instances(masks, classes=None, scores=None, grid: Grid | None = None) -> Instances:
    """masks: bool arrays (Y, X) or (Z, Y, X)"""
    pieces = tuple(Piece.of(np.atleast_3d(m) if m.ndim == 3 else m[None]) for m in masks)
    number = len(pieces)
    scores = np.ones(number) if scores is None else np.array(scores, float)
    return Instances(pieces, tuple(classes or ("nodule",) * number), scores, grid or flat())


def random_boxes(rng: np.random.Generator, number: int, whole: bool) -> np.ndarray:
    """(N, 4) y0, x0, y1, x1"""
    first = rng.uniform(0, SIDE - 16, (number, 2))
    size = rng.uniform(2, 14, (number, 2))
    rows = np.concatenate([first, first + size], 1)
    return np.round(rows) + np.array([0, 0, 1, 1]) if whole else rows


def random_case(rng: np.random.Generator) -> tuple[np.ndarray, list[str], np.ndarray, list[str], np.ndarray]:
    """Truth corners and classes; answer corners, classes and scores, most of them truths moved a little."""
    whole = bool(rng.random() < 0.5)
    truth = random_boxes(rng, int(rng.choice([0, 0, 1, 2, 5])), whole)
    names = list(rng.choice(NAMES, len(truth)))
    moved = np.repeat(truth, rng.integers(0, 4, len(truth)), 0) if len(truth) else truth
    near = moved + rng.choice([0.0, 1.0], moved.shape) * (1 if whole else 0.37)
    near = near[(near[:, 2:] > near[:, :2]).all(1)]
    answer = np.concatenate([near, random_boxes(rng, int(rng.choice([0, 1, 6])), whole)])
    scores = rng.choice([0.2, 0.5, 0.5, 0.8], len(answer)) if rng.random() < 0.5 else rng.random(len(answer))
    return truth, names, answer, list(rng.choice(NAMES, len(answer), p=[0.2, 0.6, 0.2])), scores


def random_boxes_of_cases(rng: np.random.Generator, cases: int) -> tuple[list[Boxes], list[Boxes]]:
    drawn = [random_case(rng) for _ in range(cases)]
    return [boxes(t, n) for t, n, *_ in drawn], [boxes(a, m, s) for _, _, a, m, s in drawn]


def blob(corners: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(Y, X) bool: an ellipse in a box, with a bite taken out now and then; never empty."""
    y, x = np.mgrid[:SIDE, :SIDE]
    (y0, x0), (y1, x1) = corners[:2], corners[2:]
    middle, half = ((y0 + y1) / 2, (x0 + x1) / 2), (max(y1 - y0, 1) / 2, max(x1 - x0, 1) / 2)
    mask = ((y - middle[0]) / half[0]) ** 2 + ((x - middle[1]) / half[1]) ** 2 <= 1
    if rng.random() < 0.3:
        mask &= y > middle[0]
    mask[int(np.clip(round(middle[0]), 0, SIDE - 1)), int(np.clip(round(middle[1]), 0, SIDE - 1))] = True
    return mask


def random_instances_of_cases(rng: np.random.Generator, cases: int) -> tuple[list[Instances], list[Instances]]:
    truths, answers = [], []
    for _ in range(cases):
        truth, names, answer, answer_names, scores = random_case(rng)
        truths.append(instances([blob(c, rng) for c in truth], names))
        answers.append(instances([blob(c, rng) for c in answer], answer_names, scores))
    return truths, answers
