"""What readers of a room said, as arrays over its images.

A made image is the finding. Each made image, and each patient of the real ones, is a unit of its own: answers of several
readers to one image, and images of one patient, are never taken as independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCES = (1, 2, 3, 4)
NONE_READ = "no image was read"


@dataclass(frozen=True)
class Reads:
    """What one reader said of the N images of a room; NaN where an image was not read.

    fake        (N,) 1 called fake, 0 called real
    confidence  (N,) 1 to 4
    seconds     (N,) that the image was looked at
    """

    reader: str
    fake: np.ndarray
    confidence: np.ndarray
    seconds: np.ndarray

    @property
    def is_read(self) -> np.ndarray:
        """(N,) bool"""
        return np.isfinite(self.fake)

    @property
    def suspicion(self) -> np.ndarray:
        """(N,) -4, surely real, to 4, surely fake"""
        return np.where(self.fake > 0, self.confidence, -self.confidence)


def joined(
    is_made: np.ndarray, units: np.ndarray, reads: Sequence[Reads]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth, call, suspicion, seconds and unit of every answer that was given."""
    kept = [(one, one.is_read) for one in reads]
    return (
        np.concatenate([is_made[which] for _, which in kept]),
        np.concatenate([one.fake[which] for one, which in kept]),
        np.concatenate([one.suspicion[which] for one, which in kept]),
        np.concatenate([one.seconds[which] for one, which in kept]),
        np.concatenate([units[which] for _, which in kept]),
    )
