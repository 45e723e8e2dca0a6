"""Where the body lies in an image, and the shape of a region in numbers."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

AIR_HU = -400.0  # halfway between air and fat, so that the edge of the body falls where it lies
LENIENT = 0.5  # of the way from the darkest value to Otsu's threshold: dim tissue is tissue


def foreground(volume: np.ndarray, units: str = "a.u.") -> np.ndarray:
    """(Z, Y, X) numbers -> (Z, Y, X) bool: everything but the dark that reaches the sides of the image.

    HU: dark is below -400. Other units: below half of Otsu's threshold (IEEE Trans SMC 1979;9:62), counted from the 0.5th
    percentile. Dark inside the body, lungs for example, is foreground. Top and bottom slices are no way in: a body is cut there.
    """
    values = volume.astype(np.float32)
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        return np.ones(volume.shape, bool)
    cut = AIR_HU if units == "HU" else low + LENIENT * (threshold_otsu(np.clip(values, low, high)) - low)
    dark = values <= cut
    return ~np.stack([_reached(one) for one in dark])


def _reached(dark: np.ndarray) -> np.ndarray:
    """(Y, X) bool: the dark that is connected with a side of the slice."""
    labels, count = ndimage.label(dark)
    sides = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    at_side = np.zeros(count + 1, bool)
    at_side[sides] = True
    at_side[0] = False
    return np.asarray(at_side[labels])


def shape_features(mask: np.ndarray, spacing: tuple[float, float, float]) -> dict[str, float]:
    """Size, place, spread and outline of a region; NaN for what an empty one does not have.

    mask     (Z, Y, X) bool
    spacing  (Z, Y, X) in mm, or 1 each where it is not known

    volume (mm3, or voxels), share of the image, centre (0 to 1 along each axis), extent (share of each axis), lengths of the
    principal axes (4 standard deviations) and their ratios, surface (faces times their area) and sphericity
    (Zwanenburg et al., Radiology 2020;295:328, IBSI), number of components, share of the largest one.
    """
    axes = ("z", "y", "x")
    volume = float(mask.sum()) * float(np.prod(spacing))
    found = {"volume": volume, "share": float(mask.mean())}
    names = [f"{kind}_{axis}" for kind in ("centre", "extent") for axis in axes]
    names += ["axis_longest", "axis_middle", "axis_shortest", "elongation", "flatness"]
    names += ["surface", "sphericity", "components", "largest_share"]
    if not mask.any():
        return found | dict.fromkeys(names, float("nan"))
    place = np.argwhere(mask)
    sides = np.array(mask.shape)
    lengths = _principal_axes(place * np.array(spacing))
    surface = _surface(mask, spacing)
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    ratios = [lengths[1] / lengths[0], lengths[2] / lengths[0]] if lengths[0] > 0 else [1.0, 1.0]
    values = [
        *((place.mean(0) + 0.5) / sides),
        *((np.ptp(place, axis=0) + 1) / sides),
        *lengths,
        *ratios,
        surface,
        (36 * np.pi * volume**2) ** (1 / 3) / surface,
        count,
        np.bincount(labels.ravel())[1:].max() / len(place),
    ]
    return found | {name: float(value) for name, value in zip(names, values, strict=True)}


def _principal_axes(points: np.ndarray) -> np.ndarray:
    """(N, 3) mm -> (3,) lengths, longest first."""
    if len(points) < 2:
        return np.zeros(3)
    spread = np.linalg.eigvalsh(np.cov(points.T))[::-1]
    return 4 * np.sqrt(np.clip(spread, 0, None))


def _surface(mask: np.ndarray, spacing: tuple[float, float, float]) -> float:
    padded = np.pad(mask, 1)
    faces = [float((np.diff(padded.astype(np.int8), axis=axis) != 0).sum()) for axis in range(3)]
    areas = [spacing[1] * spacing[2], spacing[0] * spacing[2], spacing[0] * spacing[1]]
    return float(np.dot(faces, areas))
