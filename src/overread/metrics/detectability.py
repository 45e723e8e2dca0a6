"""How well a lesion whose place is known can be told from none: the channelized Hotelling observer.

Few numbers say whether an image that looks cleaner still shows what a reader looks for; PSNR does not. An observer sees patches
through a few channels, each a band of spatial frequencies as the eye has, and weighs them as best tells patches with a lesion
from patches without. Sources: Myers and Barrett, J Opt Soc Am A 1987;4:2447 (the observer); Abbey and Barrett, J Opt Soc Am A
2001;18:473 (sparse differences of Gaussians); Barrett and Myers, Foundations of Image Science, 2004, chapter 14.
"""

from __future__ import annotations

import numpy as np

from overread.core.errors import OverreadError
from overread.core.score import Score

FIRST, RATIO, WIDTH, BANDS = 0.015, 2.0, 2.0, 3  # cycles per pixel; next band; outer over inner; Abbey and Barrett's S-DOG
FEWEST = 2 * (BANDS + 1)  # patches of each kind, so that covariances are more than a guess


def channels(edge: int) -> np.ndarray:
    """(BANDS, edge, edge) float64: differences of Gaussians in frequency, brought to the patch, of length 1 each.

    edge  pixels of a square patch whose middle pixel is the place of the lesion: odd
    """
    frequency = np.hypot(np.fft.fftfreq(edge)[:, None], np.fft.fftfreq(edge))
    found = []
    for band in range(BANDS):
        sigma = FIRST * RATIO**band
        wave = np.exp(-0.5 * (frequency / (WIDTH * sigma)) ** 2) - np.exp(-0.5 * (frequency / sigma) ** 2)
        patch = np.fft.fftshift(np.fft.ifft2(wave).real)
        found.append(patch / np.sqrt((patch**2).sum()))
    return np.stack(found)


def ratings(patches: np.ndarray, present: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """(N,) how much each patch speaks for a lesion, by an observer who learned from the other patients.

    patches  (N, edge, edge) with the place in the middle pixel
    present  (N,) bool;  patient (N,) whose it is: whoever is judged taught nothing

    Ratings of one patient's observer have a spread of 1 within each kind, so that those of several can be ranked together.
    """
    edge = patches.shape[-1]
    seen = patches.reshape(len(patches), -1).astype(np.float64) @ channels(edge).reshape(BANDS, -1).T
    found = np.empty(len(patches))
    for one in np.unique(patient):
        own = patient == one
        taught = [seen[~own & kind] for kind in (present, ~present)]
        if min(len(each) for each in taught) < FEWEST:
            raise OverreadError(
                f"An observer cannot be taught: without one patient {len(taught[0])} patches with a lesion and {len(taught[1])} "
                f"without are left, and {FEWEST} of each are needed.",
                "take more patients, or more places in each",
            )
        found[own] = (seen[own] - np.mean([each.mean(0) for each in taught], 0)) @ _template(*taught)
    return found


def _template(present: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """Weights of the channels; (n, BANDS) each. Covariances are those within each kind, halved and added."""
    covariance = (np.cov(present, rowvar=False) + np.cov(absent, rowvar=False)) / 2
    weights = np.linalg.solve(covariance + 1e-9 * np.trace(covariance) * np.eye(BANDS), present.mean(0) - absent.mean(0))
    spread = float(np.sqrt(weights @ covariance @ weights))
    return weights / spread if spread > 0 else weights


def detectability_index(found: np.ndarray, present: np.ndarray) -> Score:
    """d': distance of the mean ratings, with a lesion and without, over the root of their mean variance. Definition d_prime/1."""
    with_lesion, without = found[present], found[~present]
    if min(len(with_lesion), len(without)) < 2:
        return Score(None, "fewer than two patches of a kind")
    variance = (with_lesion.var(ddof=1) + without.var(ddof=1)) / 2
    if variance <= 0:
        return Score(None, "all ratings of a kind are alike")
    return Score(float((with_lesion.mean() - without.mean()) / np.sqrt(variance)))


def wins(found: np.ndarray, present: np.ndarray, number: np.ndarray, count: int) -> np.ndarray:
    """(P, P): how often patches with a lesion of patient p are rated above patches without of patient q; ties count half.

    number  (N,) of the patient of each patch, below `count`
    """
    beaten = found[present][:, None] > found[~present]
    level = found[present][:, None] == found[~present]
    total = np.zeros((count, count))
    np.add.at(total, (number[present][:, None], number[~present][None]), beaten + 0.5 * level)
    return total
