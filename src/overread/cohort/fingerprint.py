"""What the training cases are like: spacings, sizes, intensities, classes. The planner decides from this and nothing else.

Only the training partition is looked at: a value fitted on tuning or test cases would be a leak.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from overread.cohort.clinical import fit_clinical
from overread.cohort.index import Cohort
from overread.cohort.looked import Looked, look
from overread.cohort.object_facts import ObjectFacts, object_facts
from overread.cohort.progress import Progress, counted
from overread.cohort.unpaired import as_read, as_wanted, refuse_one_heap
from overread.core.clinical import Clinical
from overread.core.errors import OverreadError
from overread.core.region import Region

VOXELS_PER_CASE = 20_000  # intensities are estimated from at most so many voxels of each case, evenly taken
VOXELS_IN_ALL = 4_000_000  # and from about so many in all, so that memory stays small in a large cohort
PERCENTILES = (0.0, 10.0, 50.0, 90.0, 100.0)


@dataclass(frozen=True)
class Intensity:
    """Intensities of one channel over all training cases, each case counting alike.

    p0_5, p99_5  percentiles in the image's units
    """

    mean: float
    std: float
    p0_5: float
    p99_5: float
    min: float
    max: float


@dataclass(frozen=True)
class Fingerprint:
    """Properties of the training partition.

    shapes       canonical (Z, Y, X) percentiles 0, 10, 50, 90, 100 over cases, one row per percentile
    spacings     the same of the spacing in mm; empty where it is not known
    channels, units, modality   of the images that are read
    intensity    one per channel: of the whole image
    foreground   one per channel: inside the structures; empty where the task has none
    class_counts cases per class, finding or structure; of objects, cases with at least one of the class
    quantities   regression: name -> mean, std, low, high, known
    volumes_ml   structure -> percentiles 0, 10, 50, 90, 100 of its volume where present (voxels where spacing is unknown)
    structure_spans  structure -> median (Z, Y, X) extent in voxels where present
    scales_differ    ratio of the largest to the smallest median intensity of the cases: large means per-image normalisation
    objects          detection and instances: class -> its objects; one that does not occur is left out
    cases_without    detection and instances: cases that are known to hold no object
    have_voxels      detection and instances: every object has an outline or a mask, none is a box alone
    clinical         columns that are to be read beside the image, as fitted; None where none are
    region           the part of every image that is to be read; None where all of it is
    answered         one per channel of the picture that is to be answered; empty where none is
    changed          restore: what the degradation changed, root mean square in spreads of the image that is read; one per channel
    """

    n_cases: int
    n_patients: int
    is_planar: bool
    spacing_known: bool
    shapes: tuple[tuple[float, float, float], ...]
    spacings: tuple[tuple[float, float, float], ...]
    channels: tuple[str, ...]
    units: str
    modality: str
    intensity: tuple[Intensity, ...]
    foreground: tuple[Intensity, ...]
    class_counts: Mapping[str, int]
    quantities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    volumes_ml: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    structure_spans: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    scales_differ: float = 1.0
    objects: Mapping[str, ObjectFacts] = field(default_factory=dict)
    cases_without: int = 0
    have_voxels: bool = False
    clinical: Clinical | None = None
    region: Region | None = None
    answered: tuple[Intensity, ...] = ()
    changed: tuple[float, ...] = ()

    @property
    def median_shape(self) -> tuple[float, float, float]:
        return self.shapes[2]

    @property
    def median_spacing(self) -> tuple[float, float, float] | None:
        return self.spacings[2] if self.spacings else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {k: _plain(v) for k, v in asdict(self).items()}


def fingerprint(
    cohort: Cohort, progress: Progress | None = None, clinical: Sequence[str] = (), region: Region | None = None
) -> Fingerprint:
    """Look at every training case once.

    clinical  columns of the sheet that are to be read beside the image
    region    the part of every image that is to be read, where a first model has looked
    """
    refuse_one_heap(cohort)
    fitted = fit_clinical(cohort, clinical)  # first: a column that is not there costs no time
    cases = cohort.of("training")
    if not cases:
        raise OverreadError("There are no training cases in this cohort.", "check the split in cohort/splits.json")
    share = min(VOXELS_PER_CASE, max(VOXELS_IN_ALL // len(cases), 50))
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        looked = list(
            counted(
                pool.map(lambda c: look(cohort, c, share, with_region=region is not None), cases),
                len(cases),
                "looking at the training cases",
                progress,
            )
        )
    by_id = {case.case_id: seen for case, seen in zip(cases, looked, strict=True)}
    read, wanted = ([by_id[c.case_id] for c in kind.of("training")] for kind in (as_read(cohort), as_wanted(cohort)))
    first = read[0]
    known = all(x.spacing_known for x in looked)
    values = [c.truth.values for c in cases if c.truth is not None]
    medians = np.array([np.nanmedian(np.abs(x.voxels)) for x in read])
    names = cohort.question.classes
    is_regression, of_objects = cohort.question.task == "regression", cohort.question.is_of_objects
    return Fingerprint(
        len(cases),
        len({c.patient_id for c in cases if not c.is_made}),
        all(x.is_planar for x in looked),
        known,
        _percentiles([x.shape for x in looked]),
        _percentiles([x.spacing for x in looked]) if known else (),
        first.channels,
        first.units,
        Counter(x.modality for x in read).most_common(1)[0][0],
        _intensities([x.voxels for x in read], [x.extremes for x in read]),
        _intensities([x.inside for x in looked], None),
        {} if is_regression else _class_counts(cohort, looked, values),
        {n: _quantity([v.get(n) for v in values]) for n in names} if is_regression else {},
        {
            n: _spread([x.drawn.volumes[n] for x in looked if n in x.drawn.volumes])
            for n in names
            if any(n in x.drawn.volumes for x in looked)
        },
        {
            n: _median_span([x.drawn.spans[n] for x in looked if n in x.drawn.spans])
            for n in names
            if any(n in x.drawn.spans for x in looked)
        },
        float(medians.max() / max(float(medians.min()), 1e-6)),
        object_facts([x.drawn.objects for x in looked], names) if of_objects else {},
        sum(not x.drawn.objects for x in looked) if of_objects else 0,
        of_objects and all(x.drawn.have_voxels for x in looked),
        fitted,
        region,
        _intensities([x.answered for x in wanted], [x.answered_extremes for x in wanted]),
        tuple(float(v) for v in np.mean([x.changed for x in looked], axis=0)),
    )


def _class_counts(cohort: Cohort, looked: Sequence[Looked], values: Sequence[Mapping[str, float | None]]) -> dict[str, int]:
    names = cohort.question.conditions if cohort.question.is_of_images else cohort.question.classes
    if cohort.question.task == "segmentation":
        return {n: sum(n in x.drawn.volumes for x in looked) for n in names}
    if cohort.question.is_of_objects:
        return {n: sum(any(o.name == n for o in x.drawn.objects) for x in looked) for n in names}
    return {n: sum(v.get(n) == 1 for v in values) for n in names}


def _intensities(voxels: Sequence[np.ndarray], extremes: Sequence[np.ndarray] | None) -> tuple[Intensity, ...]:
    """Pool the voxels of all cases, the same number from each as far as they go."""
    filled = [v for v in voxels if len(v)]
    if not filled:
        return ()
    pool = np.concatenate(filled).astype(np.float64)
    if np.isnan(pool).all(0).any():
        raise OverreadError("A channel is missing in every training case.", "correct its rule under images.channels")
    low, high = np.nanpercentile(pool, 0.5, axis=0), np.nanpercentile(pool, 99.5, axis=0)
    least = np.nanmin(pool, 0) if extremes is None else np.nanmin(np.stack(extremes), 0)[0]
    most = np.nanmax(pool, 0) if extremes is None else np.nanmax(np.stack(extremes), 0)[1]
    return tuple(
        Intensity(*(float(v) for v in (np.nanmean(pool[:, c]), np.nanstd(pool[:, c]), low[c], high[c], least[c], most[c])))
        for c in range(pool.shape[1])
    )


def _percentiles(rows: Sequence[tuple[float, float, float]]) -> tuple[tuple[float, float, float], ...]:
    table = np.percentile(np.array(rows, dtype=float), PERCENTILES, axis=0)
    return tuple((float(z), float(y), float(x)) for z, y, x in table)


def _spread(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in np.percentile(np.array(values), PERCENTILES))


def _median_span(spans: Sequence[tuple[int, int, int]]) -> tuple[float, float, float]:
    z, y, x = np.median(np.array(spans), axis=0)
    return float(z), float(y), float(x)


def _quantity(values: Sequence[float | None]) -> dict[str, float]:
    known = np.array([v for v in values if v is not None], dtype=float)
    if known.size == 0:
        return {"known": 0.0}
    return {
        "known": float(known.size),
        "mean": float(known.mean()),
        "std": float(known.std()),
        "low": float(known.min()),
        "high": float(known.max()),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
