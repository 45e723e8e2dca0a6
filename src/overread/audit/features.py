"""Hand-made features of an image: what radiologists' computers measured before networks learned what to look for.

They serve two ends: a baseline on the same split, and a small model that finds labels which do not fit their images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern
from skimage.transform import resize

from overread.audit.shapes import foreground, shape_features
from overread.cohort.progress import Progress, work_through
from overread.core.errors import OverreadError
from overread.core.image import Image, reorient
from overread.core.kinds import LabelMap

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
LEVELS = 32  # grey levels of the co-occurrence matrix
PLANAR_SIDE, VOLUME_SIDE = 256, 96  # longest side that is looked at; larger images are averaged down
HOG_SIDE, HOG_CELL, HOG_TURNS = 64, 16, 8
TILES = 4  # the picture is laid out in so many tiles each way
SLICES = (0.25, 0.5, 0.75)  # of the height of the body
COLOURS = ("red", "green", "blue")
WEIGHTS = (0.2126, 0.7152, 0.0722)  # luminance, Rec. ITU-R BT.709


def image_features(image: Image, masks: Mapping[str, np.ndarray] | None = None) -> dict[str, float]:
    """Features by name, the same names for every image of the same channels and number of dimensions.

    masks  structure -> (Z, Y, X) bool on the image's grid: their shapes and the intensities inside are measured too
    names  "<channel>/<family>/<feature>", families intensity, texture, hog, tiles, body; "mask/<structure>/<feature>"

    NaN where something does not exist, such as the shape of an empty mask.
    """
    order, flips = image.grid.canonical_axes()
    canonical = image.reoriented(order, flips)
    step = _step(canonical.grid.shape, planar=canonical.grid.shape[0] == 1)
    spacing = canonical.grid.spacing if canonical.grid.spacing_known else (1.0, 1.0, 1.0)
    found: dict[str, float] = {}
    for name, channel in _channels(canonical):
        volume = averaged(channel, step)
        body = foreground(volume, image.units)
        families = {
            "intensity": intensity_features(volume[body] if body.any() else volume.ravel()),
            "texture": _over_slices(volume, body, texture_features),
            "hog": hog_features(_picture(volume)),
            "tiles": _tiles(_picture(volume)),
            "body": shape_features(body, (spacing[0] * step[0], spacing[1] * step[1], spacing[2] * step[2])),
        }
        found |= {f"{name}/{family}/{key}": value for family, values in families.items() for key, value in values.items()}
        for structure, mask in (masks or {}).items():
            inside = channel[reorient(mask, order, flips)]
            values = intensity_features(inside) if inside.size else dict.fromkeys(intensity_features(np.zeros(2)), float("nan"))
            found |= {f"mask/{structure}/{name}/{key}": value for key, value in values.items()}
    for structure, mask in (masks or {}).items():
        values = shape_features(reorient(mask, order, flips), spacing)
        found |= {f"mask/{structure}/{key}": value for key, value in values.items()}
    return found


def features_of(
    openers: Mapping[str, Callable[[], Image]],
    progress: Progress | None = None,
    refused: dict[str, str] | None = None,
    text: str = "Measuring the images",
) -> dict[str, dict[str, float]]:
    """case_id -> features, in processes; a case that cannot be opened is left out.

    openers  give the image; they travel to other processes
    refused  filled with case_id -> why it could not be opened; the text may name a file
    """
    found: dict[str, dict[str, float]] = {}
    for case_id, one in work_through(_measured, list(openers.items()), text, progress):
        if isinstance(one, str):
            if refused is not None:
                refused[case_id] = one
        else:
            found[case_id] = one
    return found


def feature_table(rows: Sequence[Mapping[str, float]]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names in alphabetical order, and (N, F) float64, NaN where a row lacks a feature."""
    names = tuple(sorted({name for row in rows for name in row}))
    table = np.array([[row.get(name, np.nan) for name in names] for row in rows], dtype=np.float64)
    return names, table.reshape(len(rows), len(names))


def masks_of(label_map: LabelMap) -> dict[str, np.ndarray]:
    """Structure -> (Z, Y, X) bool."""
    return {name: label_map.mask(name) for name in label_map.names}


def _measured(item: tuple[str, Callable[[], Image]]) -> tuple[str, dict[str, float] | str]:
    case_id, opener = item
    try:
        return case_id, image_features(opener())
    except OverreadError as error:
        return case_id, error.what


def _channels(image: Image) -> list[tuple[str, np.ndarray]]:
    """Channels by name, finite float32; a colour picture as its luminance."""
    array = np.nan_to_num(image.array.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if image.channels == COLOURS:
        return [("image", np.tensordot(np.array(WEIGHTS, np.float32), array, 1))]
    if len(image.channels) == 1:
        return [("image", array[0])]
    return list(zip(image.channels, array, strict=True))


def _step(shape: tuple[int, int, int], *, planar: bool) -> tuple[int, int, int]:
    longest = PLANAR_SIDE if planar else VOLUME_SIDE
    z, y, x = (max(1, -(-n // longest)) for n in shape)
    return z, y, x


def averaged(volume: np.ndarray, step: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) -> means over blocks of `step` voxels; what does not fill a block at the end is left out."""
    if step == (1, 1, 1):
        return volume
    size = [n // k for n, k in zip(volume.shape, step, strict=True)]
    whole = volume[tuple(slice(0, n * k) for n, k in zip(size, step, strict=True))]
    split = whole.reshape(size[0], step[0], size[1], step[1], size[2], step[2])
    return np.asarray(split.mean(axis=(1, 3, 5), dtype=np.float32))


def intensity_features(values: np.ndarray) -> dict[str, float]:
    """First-order statistics of (N,) values, in the image's own units; entropy in bits of 64 bins."""
    values = values.astype(np.float64).ravel()
    mean, sd = float(values.mean()), float(values.std())
    centred = (values - mean) / sd if sd > 0 else np.zeros_like(values)
    shares = np.histogram(values, bins=64)[0] / values.size
    levels = dict(zip((f"p{p}" for p in PERCENTILES), np.percentile(values, PERCENTILES).tolist(), strict=True))
    return {
        "mean": mean,
        "sd": sd,
        "skewness": float((centred**3).mean()),
        "kurtosis": float((centred**4).mean()),
        "entropy": float(stats.entropy(shares[shares > 0], base=2)),
        "range_robust": levels["p95"] - levels["p5"],
        **levels,
    }


def texture_features(picture: np.ndarray) -> dict[str, float]:
    """(Y, X) in 0..1: grey-level co-occurrence (Haralick, IEEE Trans SMC 1973;3:610) and local binary patterns
    (Ojala, IEEE PAMI 2002;24:971), means over directions."""
    grey = np.clip(picture * LEVELS, 0, LEVELS - 1).astype(np.uint8)
    matrix = graycomatrix(grey, [1, 3], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], LEVELS, symmetric=True, normed=True)
    found = {}
    for name in ("contrast", "homogeneity", "energy", "correlation"):
        for distance, value in zip((1, 3), graycoprops(matrix, name).mean(1), strict=True):
            found[f"glcm_{name}_{distance}"] = float(value)
    fine = np.rint(picture * 255).astype(np.uint8)
    for radius in (1, 3):
        patterns = local_binary_pattern(fine, 8, radius, method="uniform")
        shares = np.bincount(patterns.astype(int).ravel(), minlength=10) / patterns.size
        found |= {f"lbp_{radius}_{k}": float(share) for k, share in enumerate(shares)}
    return found


def hog_features(picture: np.ndarray) -> dict[str, float]:
    """(Y, X) in 0..1: histograms of oriented gradients (Dalal and Triggs, CVPR 2005) of the picture at 64 x 64."""
    small = resize(picture, (HOG_SIDE, HOG_SIDE), anti_aliasing=True)
    values = hog(small, HOG_TURNS, (HOG_CELL, HOG_CELL), (1, 1), block_norm="L2")
    return {f"{k:03d}": float(value) for k, value in enumerate(values)}


def _tiles(picture: np.ndarray) -> dict[str, float]:
    """Mean and standard deviation of each tile of the picture: which part is bright, which is busy."""
    small = resize(picture, (HOG_SIDE, HOG_SIDE), anti_aliasing=True)
    side = HOG_SIDE // TILES
    tiles = small.reshape(TILES, side, TILES, side)
    means, deviations = tiles.mean((1, 3)), tiles.std((1, 3))
    return {
        f"{kind}_{y}_{x}": float(values[y, x])
        for kind, values in (("mean", means), ("sd", deviations))
        for y in range(TILES)
        for x in range(TILES)
    }


def _picture(volume: np.ndarray) -> np.ndarray:
    """(Z, Y, X) -> (Y, X) in 0..1: the picture itself, or the mean over the slices."""
    return _scaled(volume[0] if len(volume) == 1 else volume.mean(0))


def _over_slices(volume: np.ndarray, body: np.ndarray, measure: Callable[[np.ndarray], dict[str, float]]) -> dict[str, float]:
    """A picture's features, or their mean over slices at a quarter, half and three quarters of the body."""
    filled = np.flatnonzero(body.any((1, 2)))
    low, high = (int(filled[0]), int(filled[-1])) if len(filled) else (0, len(volume) - 1)
    places = dict.fromkeys(round(low + share * (high - low)) for share in SLICES)
    each = [measure(_scaled(volume[z])) for z in places]
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


def _scaled(picture: np.ndarray) -> np.ndarray:
    """1st to 99th percentile as 0..1, clipped; zeros where all values are one."""
    low, high = np.percentile(picture, (1, 99))
    if high <= low:
        return np.zeros(picture.shape, np.float32)
    return np.asarray(np.clip((picture - low) / (high - low), 0, 1), dtype=np.float32)
