"""Every voxel is a number."""

from __future__ import annotations

import numpy as np

from overread.core.errors import Refused


def refuse_not_finite(array: np.ndarray, name: str) -> None:
    """Refuse NaN and infinity: they would spread through every mean and every convolution."""
    if array.dtype.kind != "f" or bool(np.isfinite(array.sum(dtype=np.float64))):
        return  # a finite sum has finite terms; only a sum that is not finite needs the slow count
    n_nan, n_infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    if n_nan + n_infinite == 0:
        return
    raise Refused(
        "not-finite",
        f"{name} has {n_nan} NaN and {n_infinite} infinite voxels among {array.size}; every voxel must be a number.",
        "replace them in the file (background is usually 0, in CT -1024), or leave the file out",
    )
