"""One case of an evaluation of objects: matched once, then kept as small arrays; masks are let go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread.core.kinds import Boxes, Instances, Piece
from overread.core.question import Decisions, Question
from overread.evaluation.answered import NO_FOLD
from overread.evaluation.objects.border import NOTHING, Overshoot, within
from overread.metrics.objects.average_precision import LIMITS, MOST, highest, of_class
from overread.metrics.objects.criterion import Criterion
from overread.metrics.objects.decide import select, tidied
from overread.metrics.objects.matching import Matched, greedy, iou_limit, match
from overread.metrics.objects.overlap import overlaps
from overread.metrics.objects.panoptic import panoptic_counts
from overread.metrics.objects.sizes import NAMES, band_counts, longest_edge, measured

Objects = Boxes | Instances
LEAST = np.array([iou_limit(limit) for limit in LIMITS])


@dataclass(frozen=True)
class Listed:
    """Objects of one case, as arrays over its N objects.

    classes  (N,) class names
    boxes    (N, 6) z0, y0, x0, z1, y1, x1 as index coordinates
    longest  (N,) longest edge of the box, mm where the spacing is known, else pixels
    pixels   (N,) pixels of the mask, or of the box; of a volume those of the box within the slice
    """

    classes: tuple[str, ...]
    boxes: np.ndarray
    longest: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, objects: Objects) -> Listed:
        corners = np.asarray(objects.corners, dtype=float).reshape(-1, 2, 3)
        return cls(tuple(objects.classes), corners.reshape(-1, 6), longest_edge(corners, objects.grid), measured(objects, "px"))


@dataclass(frozen=True)
class Hits:
    """The answers of one class in one case, for average precision: at most 100, in their order.

    scores  (A,)
    hit     (L, A) bool: found a truth at each of the ten limits of overlap, 0.5 to 0.95
    """

    scores: np.ndarray
    hit: np.ndarray


@dataclass(frozen=True)
class FoundCase:
    """Truths and answers of one case, matched.

    truth, answer  T truths and A answers, tidied by the frozen decisions (merged, too small ones dropped), at every score
    matched        which answer found which truth by the criterion of the evaluation
    called         (A,) bool: the score reaches the frozen threshold of its class
    hits           "box" or "mask" -> class -> for average precision
    panoptic       class -> (9,) sums of called objects, see `metrics.objects.panoptic`
    bands          unit, "mm" or "px" -> class -> (bands, 5) sums of called objects; no "mm" where the spacing is not known
    criterion      in words
    refused        there was no answer: every truth is missed
    overshoot      answers that reached beyond the image
    """

    case_id: str
    patient_id: str
    truth: Listed
    answer: Listed
    matched: Matched
    called: np.ndarray
    hits: Mapping[str, Mapping[str, Hits]]
    panoptic: Mapping[str, np.ndarray]
    bands: Mapping[str, Mapping[str, np.ndarray]]
    criterion: Criterion
    is_planar: bool
    fold: int = NO_FOLD
    refused: bool = False
    overshoot: Overshoot = NOTHING

    @property
    def unit(self) -> str:
        """Of `longest` and of distances."""
        return "mm" if "mm" in self.bands else "px"

    @property
    def decided(self) -> Matched:
        """The matching of the called answers alone: no lower score ever takes a truth from a higher one."""
        full, stay = self.matched, np.flatnonzero(self.called)
        return Matched(
            full.truth_classes,
            tuple(full.answer_classes[k] for k in stay),
            full.scores[stay],
            full.partner[stay],
            full.overlap[stay],
            full.distance[stay],
        )


def found_case(
    question: Question,
    case_id: str,
    patient_id: str,
    truth: Objects,
    answer: Objects,
    decisions: Decisions,
    matching: str = "auto",
    *,
    fold: int = NO_FOLD,
    refused: bool = False,
) -> FoundCase:
    """Cut at the border, tidy, match and count one case.

    answer    raw, as it left the network
    matching  as in the settings: "auto", "iou 0.5", "distance 10 mm", "distance 10 px", "hit"
    """
    grid = truth.grid
    inside, overshoot = within(answer)
    kept = tidied(inside, decisions)
    criterion = criterion_of(question, matching, is_planar=grid.is_planar)
    matched = match(truth, kept, criterion, grid)
    called = np.asarray(kept.scores, dtype=float) >= np.array([decisions.threshold(name) for name in kept.classes], dtype=float)
    forms = ("mask", "box") if question.task == "instances" else ("box",)
    whole = FoundCase(
        case_id,
        patient_id,
        Listed.of(truth),
        Listed.of(kept),
        matched,
        called,
        {form: {name: _hits(truth, kept, name, form) for name in question.classes} for form in forms},
        {},
        {},
        criterion,
        grid.is_planar,
        fold,
        refused,
        overshoot,
    )
    return _counted(whole, question, truth, select(kept, called), "mask" if question.task == "instances" else "box")


def criterion_of(question: Question, matching: str, *, is_planar: bool) -> Criterion:
    """Boxes are matched as boxes, instances by their voxels."""
    return Criterion.parse(matching, of="mask" if question.task == "instances" else "box", is_planar=is_planar)


def refused_case(
    question: Question, case_id: str, patient_id: str, truth: Objects, matching: str = "auto", *, fold: int = NO_FOLD
) -> FoundCase:
    """A case without an answer, as wrong as can be: every truth missed, and a false positive of every class that it lacks."""
    absent = tuple(name for name in question.classes if name not in truth.classes)
    scores = np.ones(len(absent))
    answer: Objects
    if isinstance(truth, Instances):
        voxel = Piece((0, 0, 0), np.ones((1, 1, 1), bool))
        answer = Instances((voxel,) * len(absent), absent, scores, truth.grid)
    else:
        answer = Boxes(np.tile([[[-0.5] * 3, [0.5] * 3]], (len(absent), 1, 1)), absent, scores, truth.grid)
    return found_case(question, case_id, patient_id, truth, answer, Decisions(), matching, fold=fold, refused=True)


def _hits(truth: Objects, answer: Objects, name: str, form: str) -> Hits:
    own = highest(of_class(answer, name), MOST)
    scores = np.asarray(own.scores, dtype=float)
    return Hits(scores, greedy(overlaps(own, of_class(truth, name), form), scores, LEAST) >= 0)


def _counted(case: FoundCase, question: Question, truth: Objects, called: Objects, form: str) -> FoundCase:
    """With the sums at the operating point."""
    units = ("mm", "px") if truth.grid.spacing_known else ("px",)
    decided = case.decided
    return replace(
        case,
        panoptic={name: panoptic_counts(of_class(truth, name), of_class(called, name), form) for name in question.classes},
        bands={
            unit: {name: band_counts([decided], [truth], [called], unit, name)[0] for name in question.classes} for unit in units
        },
    )


def unit_of(cases: Sequence[FoundCase]) -> str:
    """ "mm" where every image knows its spacing, else "px"."""
    return "mm" if all("mm" in case.bands for case in cases) else "px"


def bands_of(unit: str) -> tuple[str, ...]:
    return NAMES[unit]
