"""Lesions by a band of HU: what a plain threshold finds in a CT, fitted on training cases.

No benchmark itself. Inside the body, voxels within a band of HU that hang together are a candidate; its score is its volume,
or its contrast to what lies around it. Band and score are those that find most lesions of the training cases at one false
positive per scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy import ndimage

from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.core.case import Case
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances
from overread.evaluation.sources.objects_file import NAME, write_objects
from overread.metrics.objects.criterion import Criterion
from overread.metrics.objects.froc import sensitivity_at
from overread.metrics.objects.marks import pool
from overread.metrics.objects.matching import match
from overread.record.files import write_json
from overread.record.run import RunFolder

BODY_HU = -200
LOWS, HIGHS = (10, 40), (70, 80, 90)
SMOOTHED_MM = 1.5  # standard deviation
SCORES = ("volume", "contrast")
SMALLEST_ML, LARGEST_ML = 0.05, 100.0
FIRST_OPENED_MM = 3.0  # width of what is wiped away before voxels are said to hang together
CRITERION = Criterion("iou", 0.1, "box")
MOST = 100  # candidates of a scan


@dataclass(frozen=True)
class Band:
    """low, high in HU; score: of SCORES."""

    low: float
    high: float
    score: str


@dataclass(frozen=True)
class Candidate:
    """Corners (2, 3) in index coordinates, volume in ml, contrast to the surroundings in HU."""

    corners: np.ndarray
    volume: float
    contrast: float


def fit(cohort: Cohort, cases: Sequence[Case]) -> tuple[Band, float]:
    """The band that finds most at one false positive per scan in these training cases, and that sensitivity."""
    found: dict[Band, list[Boxes]] = {}
    truths = []
    for case in cases:
        image, truth = load_image(cohort, case), load_truth(cohort, case)
        assert isinstance(truth, Boxes | Instances)
        truths.append(truth)
        hu, body = _smoothed(image.array[0], image.grid)
        for low, high in product(LOWS, HIGHS):
            some = _candidates(hu, body, image.grid, low, high)
            for score in SCORES:
                boxes = _boxes(some, score, truth.grid, cohort.question.classes[0])
                found.setdefault(Band(low, high, score), []).append(boxes)
    reached = {band: _reached(truths, answers) for band, answers in found.items()}
    best = max(reached, key=lambda band: reached[band])
    return best, reached[best]


def answer(cohort: Cohort, run: RunFolder, partition: str, band: Band) -> None:
    """Write the answers to the cases of a partition, as any other program would."""
    answers = {case.case_id: _read(cohort, case, band) for case in cohort.of(partition)}
    folder = run.predictions / partition
    folder.mkdir(parents=True, exist_ok=True)
    write_objects(folder / NAME, answers)
    write_json(folder / "answers.json", {"format": 1, "partition": partition, "question": cohort.question.as_dict()})


def described(band: Band, reached: float) -> dict[str, Any]:
    return {**asdict(band), "sensitivity_on_the_training_cases_it_was_fitted_on": round(reached, 4)}


def _read(cohort: Cohort, case: Case, band: Band) -> Boxes:
    image = load_image(cohort, case)
    hu, body = _smoothed(image.array[0], image.grid)
    found = _candidates(hu, body, image.grid, band.low, band.high)
    return _boxes(found, band.score, cohort.grids[case.case_id], cohort.question.classes[0])


def _reached(truths: Sequence[Boxes | Instances], answers: Sequence[Boxes]) -> float:
    matches = [match(t, a, CRITERION, t.grid) for t, a in zip(truths, answers, strict=True)]
    return float(sensitivity_at(pool(matches), (1.0,))[0, 0])


def _smoothed(hu: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """HU (Z, Y, X) made smoother, and the body without the air in it and its outermost centimetre."""
    soft = ndimage.gaussian_filter(hu.astype(np.float32), [SMOOTHED_MM / s for s in grid.spacing])
    labels, count = ndimage.label(soft > BODY_HU)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    body = labels == (1 + int(sizes.argmax()) if count else -1)
    filled = np.stack([ndimage.binary_fill_holes(one) for one in body])
    in_plane = ndimage.distance_transform_edt(filled, sampling=grid.spacing) > 10.0
    return soft, in_plane & body


def _candidates(hu: np.ndarray, body: np.ndarray, grid: Grid, low: float, high: float) -> list[Candidate]:
    inside = body & (hu >= low) & (hu < high)
    width = [max(1, round(FIRST_OPENED_MM / s)) for s in grid.spacing]
    inside = ndimage.binary_opening(inside, np.ones(width, bool))
    labels, _ = ndimage.label(inside)
    voxel = float(np.prod(grid.spacing)) / 1000
    candidates = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        mask = labels[place] == number
        volume = float(mask.sum()) * voxel
        if SMALLEST_ML <= volume <= LARGEST_ML:
            first = np.array([s.start for s in place]) - 0.5
            last = np.array([s.stop for s in place]) - 0.5
            candidates.append(Candidate(np.stack([first, last]), volume, _contrast(hu, labels, number, place, width)))
    return candidates


def _contrast(hu: np.ndarray, labels: np.ndarray, number: int, place: tuple[slice, ...], width: Sequence[int]) -> float:
    """How much brighter its rim is than the candidate itself, HU."""
    wide = tuple(slice(max(0, s.start - 2 * w), s.stop + 2 * w) for s, w in zip(place, width, strict=True))
    mask = labels[wide] == number
    around = ndimage.binary_dilation(mask, np.ones([2 * w + 1 for w in width], bool)) & ~mask
    return float(np.median(hu[wide][around]) - hu[wide][mask].mean()) if around.any() else 0.0


def _boxes(found: Sequence[Candidate], score: str, grid: Grid, name: str) -> Boxes:
    """Scores from 0 to 1: volume / (volume + 1 ml), or contrast / 200 HU."""
    raw = np.array([c.volume / (c.volume + 1) if score == "volume" else c.contrast / 200 for c in found])
    order = np.argsort(-raw)[:MOST]
    corners = np.array([found[k].corners for k in order]).reshape(-1, 2, 3)
    return Boxes(corners, (name,) * len(order), np.clip(raw[order], 0.001, 1.0), grid)
