"""Small cohorts of boxes and instances for the tests of their evaluation."""

import numpy as np

from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Piece
from overread.core.question import Decisions, Question
from overread.evaluation.objects.found_case import FoundCase, found_case

GRID = Grid.from_spacing((1, 100, 100), spacing_known=False, is_planar=True)
PLAIN = Decisions()
QUESTION = Question("detection", ("nodule", "mass"))


def boxes(rows, grid=GRID) -> Boxes:
    """rows of (class, score, y0, x0, y1, x1), pixel edges"""
    corners = np.array([[[-0.5, y0 - 0.5, x0 - 0.5], [0.5, y1 - 0.5, x1 - 0.5]] for _, _, y0, x0, y1, x1 in rows])
    return Boxes(corners.reshape(-1, 2, 3), tuple(row[0] for row in rows), np.array([row[1] for row in rows], dtype=float), grid)


def instances(rows, grid=GRID) -> Instances:
    """rows of (class, score, y0, x0, y1, x1), whole pixels"""
    pieces = tuple(Piece((0, y0, x0), np.ones((1, y1 - y0, x1 - x0), bool)) for _, _, y0, x0, y1, x1 in rows)
    return Instances(pieces, tuple(row[0] for row in rows), np.array([row[1] for row in rows], dtype=float), grid)


def drawn_case(random, quality: float = 1.0):
    """Truth and raw answer of one case: most objects found, some false ones."""
    truth, answer = [], []
    for name in QUESTION.classes:
        for _ in range(random.poisson(0.8)):
            y, x = random.integers(0, 80, 2)
            truth.append((name, 1.0, y, x, y + 15, x + 15))
            if random.random() < 0.8:
                score = 1 / (1 + np.exp(-random.normal(quality, 1)))
                answer.append((name, score, y + 1, x + 1, y + 16, x + 16))
        for _ in range(random.poisson(1.0)):
            y, x = random.integers(0, 80, 2)
            answer.append((name, 1 / (1 + np.exp(-random.normal(-1, 1))), y, x, y + 15, x + 15))
    return boxes(truth), boxes(answer)


def drawn_cases(random, count: int, per_patient: int = 1, decisions: Decisions = PLAIN, quality: float = 1.0) -> list[FoundCase]:
    return [
        found_case(QUESTION, f"C-{k}", f"P-{k // per_patient}", *drawn_case(random, quality), decisions) for k in range(count)
    ]
