"""Did the network learn to make images, or to repeat those it was shown? Each made image against its nearest training image.

The yardstick is how near real images that were never shown, of other patients, lie to the training images. A made image much
nearer than any of these is a copy, and a patient's image would leave the hospital in it.
Sources: Meehan, Chaudhuri and Dasgupta, AISTATS 2020, arXiv:2004.05675; Carlini et al., USENIX Security 2023, arXiv:2301.13188.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.metrics.generation.features import centred, checked, distances

COPY = 0.5  # of the smallest distance of a held-out image: nearer is called a copy


@dataclass(frozen=True)
class Memorised:
    """M made and H held-out images against the training images.

    nearest   (M,) number of the nearest training image of each made one
    distance  (M,) to it
    held_out  (H,) distance of each held-out image to its nearest training image
    """

    nearest: np.ndarray
    distance: np.ndarray
    held_out: np.ndarray

    @property
    def ratio(self) -> float:
        """Median distance of made images over that of held-out ones; well below 1: nearer to the training images than reality."""
        return median_ratio(self.distance, self.held_out)

    @property
    def nearer(self) -> np.ndarray:
        """(M,) bool: nearer than any held-out image."""
        return np.asarray(self.distance < self.held_out.min())

    @property
    def copies(self) -> np.ndarray:
        """(M,) bool: not half as far as the nearest held-out image."""
        return np.asarray(self.distance < COPY * self.held_out.min())

    @property
    def p(self) -> float:
        """How likely so many made images, or more, would be nearer than all held-out ones if both came from one distribution.

        The k nearest of M + H images are all made with the chance M/(M+H) (M-1)/(M+H-1) ... of k factors.
        """
        made, held = len(self.distance), len(self.held_out)
        k = np.arange(int(self.nearer.sum()))
        return float(np.prod((made - k) / (made + held - k)))


def memorised(training: np.ndarray, made: np.ndarray, held_out: np.ndarray) -> Memorised:
    """training, made, held_out  (T, F), (M, F), (H, F) features; held-out images of other patients than the training images."""
    training, made, held_out = centred(*checked(training, made, held_out))
    number, distance = nearest(training, made)
    return Memorised(number, distance, nearest(training, held_out)[1])


def nearest(among: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(A, F), (N, F) -> (N,) number of the nearest of A, and (N,) its distance.

    The distance is computed again from the difference: through squares an exact copy would not come out at 0.
    """
    number = np.empty(len(of), int)
    for rows, apart in distances(of, among):
        number[rows] = apart.argmin(1)
    return number, np.asarray(np.linalg.norm(of - among[number], axis=1))


def median_ratio(made: np.ndarray, held_out: np.ndarray) -> float:
    """NaN where held-out images equal training images."""
    middle = float(np.median(held_out))
    return float(np.median(made)) / middle if middle > 0 else float("nan")
