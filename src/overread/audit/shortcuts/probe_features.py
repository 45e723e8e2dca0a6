"""What a probe may look at: never the anatomy itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from overread.audit.audited import AuditedCase
from overread.audit.shortcuts.columns import acquired, columns_of, encoded
from overread.audit.sketch import Sketch

# Names of `AuditedCase.acquisition` that tell the size and the storage of an image; the others tell how it was acquired.
GEOMETRY_TEXT = (
    "rows columns slices n_slices shape spacing_mm pixel_mm bits bits_stored value_type format field_of_view_mm channels "
    "n_channels size aspect"
)
GEOMETRY = frozenset(GEOMETRY_TEXT.split())
FEWEST_PIXELS = 40  # of 64 x 64 that make a background
NAMES_THE_SCANNER = frozenset({"scanner", "site", "vendor", "model", "station", "software", "kernel"})


@dataclass(frozen=True)
class Looked:
    """Features of a probe.

    features  (N, F); F may be 0
    columns   name of each feature, () where features are pixels
    nothing   why there is nothing to look at, "" where there is
    """

    features: np.ndarray
    columns: tuple[str, ...] = ()
    nothing: str = ""


Probe = Callable[[Sequence[AuditedCase], Mapping[str, Sketch], str], Looked]


def metadata(cases: Sequence[AuditedCase], sketches: Mapping[str, Sketch], kind: str) -> Looked:
    """Acquisition and columns of the sheet; for the scanner and the site without the fields that name them."""
    left_out = GEOMETRY | (NAMES_THE_SCANNER if kind != "label" else frozenset())
    rows = [{k: v for k, v in acquired(case).items() if k not in left_out} for case in cases]
    return _columns(rows, "headers and sheet say nothing that differs between cases")


def geometry(cases: Sequence[AuditedCase], sketches: Mapping[str, Sketch], kind: str) -> Looked:
    """Size, spacing, aspect and storage of the image."""
    rows = []
    for case in cases:
        row = {k: v for k, v in case.acquisition.items() if k in GEOMETRY}
        if case.case_id in sketches:
            row.setdefault("value_type", sketches[case.case_id].value_type)
        height, width = row.get("rows"), row.get("columns")
        if isinstance(height, int | float) and isinstance(width, int | float) and width:
            row["aspect"] = round(height / width, 3)
        rows.append(row)
    return _columns(rows, "all images have one size, spacing and storage")


def intensities(cases: Sequence[AuditedCase], sketches: Mapping[str, Sketch], kind: str) -> Looked:
    """Lowest, highest, mean, percentiles and the like over the whole image."""
    return _columns([dict(sketches[case.case_id].intensities) for case in cases], "all images have the same intensities")


def edges(cases: Sequence[AuditedCase], sketches: Mapping[str, Sketch], kind: str) -> Looked:
    """The outermost sixteenth along each border, and the four corners."""
    rows = [np.concatenate([sketches[c.case_id].border.ravel(), sketches[c.case_id].corners.ravel()]) for c in cases]
    return _pixels(np.stack(rows), "borders and corners are the same in all images")


def background(cases: Sequence[AuditedCase], sketches: Mapping[str, Sketch], kind: str) -> Looked:
    """The pixels that are background in the middle image (the median over cases), one region for all of them."""
    pictures = np.stack([sketches[case.case_id].small for case in cases])
    region = background_region(np.median(pictures, axis=0))
    if int(region.sum()) < FEWEST_PIXELS:
        return Looked(np.empty((len(cases), 0)), (), "these images have no common background")
    return _pixels(pictures[:, region], "the background is the same in all images")


def background_region(middle: np.ndarray) -> np.ndarray:
    """(Y, X) bool: what hangs together with the border and is as dark, or as bright, as most of the border; without its rim."""
    if float(np.ptp(middle)) < 1e-6:
        return np.zeros(middle.shape, bool)
    rim = np.ones(middle.shape, bool)
    rim[1:-1, 1:-1] = False
    bright = middle > threshold_otsu(middle)
    side = bright if bright[rim].mean() > 0.5 else ~bright
    parts, _ = ndimage.label(side)
    touching = np.setdiff1d(np.unique(parts[rim]), [0])
    return np.asarray(ndimage.binary_erosion(np.isin(parts, touching), iterations=2, border_value=1))


def _columns(rows: Sequence[Mapping[str, object]], nothing: str) -> Looked:
    features, names = encoded(columns_of(rows))
    if not names:
        return Looked(np.empty((len(rows), 0)), (), nothing)
    return Looked(features, tuple(names))


def _pixels(values: np.ndarray, nothing: str) -> Looked:
    varies = np.ptp(values, axis=0) > 1e-6
    return Looked(np.asarray(values[:, varies], np.float64), (), "" if varies.any() else nothing)


PROBES: dict[str, Probe] = {
    "metadata": metadata,
    "geometry": geometry,
    "intensities": intensities,
    "edges": edges,
    "background": background,
}
