"""Ways among codes, as pictures and as rows of the record: between two cases, along one number, to the nearest training case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.core.errors import OverreadError
from overread.reading import code_space as space
from overread.reading.codes import Coder
from overread.reporting.generation.grid import interpolation_strip, walk_grid
from overread.reporting.generation.tiles import Tile, sheet_of
from overread.workflow.generation.coded import Coded, plain

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the way between two cases
VALUES = (-2.0, -1.0, 0.0, 1.0, 2.0)  # of a walk, in standard deviations of the training cases
WALKED, PAIRS = 6, 6


@dataclass(frozen=True)
class Subject:
    """A network, and the cases that it has encoded."""

    coder: Coder
    cohort: Cohort
    found: Coded

    def window(self, row: int) -> np.ndarray:
        """(C, Z, Y, X) what the network reads of a case."""
        return self.coder.window(load_image(self.cohort, self.found.cases[row]))[0]


def way_between(subject: Subject, between: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """From one case to another, with how far each code on the way lies from that of a training case."""
    found, coder = subject.found, subject.coder
    first, last = (found.row(name) for name in between) if between else _most_unlike(found)
    ends = found.codes.mean[first], found.codes.mean[last]
    codes = (space.on_a_sphere if coder.is_variational else space.straight)(*ends, SHARES)
    training = found.of("training").codes.mean
    names = (found.cases[first].case_id, found.cases[last].case_id)
    made = coder.decode(codes)[:, 0]
    kind = "arc" if coder.is_variational else "straight line"
    png = interpolation_strip(
        subject.window(first)[0],
        made,
        subject.window(last)[0],
        SHARES,
        names=names,
        title=f"From one case to another on the {kind} between their codes",
        is_phantom=subject.cohort.is_phantom,
    )
    away = space.distances(codes, training).min(1)
    told = {
        "cases": list(names),
        "partitions": [found.partitions[first], found.partitions[last]],
        "is_by_rule": not between,
        "kind": kind,
        "shares": list(SHARES),
        "to_training": [plain(value) for value in away],
        "apart": plain(np.linalg.norm(ends[0] - ends[1])),
    }
    return told, png


def _most_unlike(found: Coded) -> tuple[int, int]:
    tuning = found.of("tuning")
    pair = space.most_unlike(tuning.codes.mean, tuning.patients)
    if pair is None:
        raise OverreadError("All tuning cases are of one patient.", "name two cases with --between")
    first, last = (found.row(tuning.cases[row].case_id) for row in pair)
    return first, last


def walk_along(subject: Subject, walked: Sequence[int]) -> tuple[dict[str, Any], bytes]:
    """From the mean of the training codes along some numbers, the others held."""
    training = subject.found.of("training").codes.mean
    middle, sd = training.mean(0), np.sqrt(space.variances(training))
    codes = np.repeat(middle[None], len(walked) * len(VALUES), axis=0).reshape(len(walked), len(VALUES), -1)
    for row, k in enumerate(walked):
        codes[row, :, k] += np.array(VALUES) * sd[k]
    made = subject.coder.decode(codes.reshape(-1, codes.shape[-1]))[:, 0]
    made = made.reshape(len(walked), len(VALUES), *made.shape[1:])
    changes = np.sqrt(((made[:, -1] - made[:, 0]) ** 2).reshape(len(walked), -1).mean(1))
    names = [f"number {k + 1}" for k in walked]
    title = "Along one number of the code, the others as in the mean of the training cases"
    png = walk_grid(made, names, VALUES, title=title, is_phantom=subject.cohort.is_phantom)
    rows = [{"number": k + 1, "sd": plain(sd[k]), "change": plain(c)} for k, c in zip(walked, changes, strict=True)]
    return {"values": list(VALUES), "rows": rows}, png


def near_pairs(subject: Subject) -> tuple[dict[str, Any], bytes]:
    """The training case nearest to each tuning case, and pictures of some pairs spread from the nearest to the farthest."""
    found = subject.found
    tuning, training = found.of("tuning"), found.of("training")
    rows, least = space.nearest(tuning.codes.mean, tuning.patients, training.codes.mean, training.patients)
    among, usual = space.nearest(training.codes.mean, training.patients, training.codes.mean, training.patients)
    listed = [
        {"case_id": case.case_id, "training": training.cases[row].case_id, "distance": plain(distance)}
        for case, row, distance in zip(tuning.cases, rows, least, strict=True)
        if row >= 0
    ]
    listed.sort(key=lambda pair: pair["distance"])
    shown = [listed[k] for k in sorted({round(float(k)) for k in np.linspace(0, len(listed) - 1, min(PAIRS, len(listed)))})]
    inner = usual[among >= 0]
    medians = {
        "tuning": plain(np.median([pair["distance"] for pair in listed])),
        "training": plain(np.median(inner)) if len(inner) else None,
    }
    return {"rows": listed, "medians": medians}, _pairs(subject, shown)


def _pairs(subject: Subject, shown: Sequence[dict[str, Any]]) -> bytes:
    """Tuning cases beside their nearest training cases; one window of greys for all."""
    found = subject.found
    windows = [(subject.window(found.row(p["case_id"])), subject.window(found.row(p["training"]))) for p in shown]
    middle = windows[0][0].shape[1] // 2
    slices = np.stack([[own[0, middle], other[0, middle]] for own, other in windows])
    low, high = np.percentile(slices, (0.5, 99.5))
    grey = np.clip((slices - low) / max(float(high - low), 1e-6), 0, 1)
    ends = list(zip(shown, grey, strict=True))
    rows = [
        [Tile(own, (pair["case_id"],), None) for pair, (own, _) in ends],
        [Tile(other, (f"distance {pair['distance']:.3g}", pair["training"]), None) for pair, (_, other) in ends],
    ]
    title = "Neighbours by their codes, from the nearest to the farthest"
    return sheet_of(rows, title, row_names=("tuning case", "nearest"), is_phantom=subject.cohort.is_phantom)
