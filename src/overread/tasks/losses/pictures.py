"""Losses for images as answers, 2D and 3D: by the voxel, and by structure (SSIM)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

WINDOW, SPREAD = 11, 1.5  # voxels; standard deviation of the Gaussian window, as published
FIRST, SECOND = 0.01, 0.03  # K1 and K2, as published
LEAST_RANGE = 1.0  # a standard deviation of normalised intensities: an empty patch has no range of its own
STRUCTURE = 0.84  # share of SSIM beside the absolute error. Source: Zhao et al., doi:10.1109/TCI.2016.2644865 (with MS-SSIM)


def l1(answer: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error; answer and truth (B, C, [Z,] Y, X)."""
    return functional.l1_loss(answer.float(), truth.float())


def l2(answer: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error; answer and truth (B, C, [Z,] Y, X)."""
    return functional.mse_loss(answer.float(), truth.float())


def ssim(answer: Tensor, truth: Tensor, data_range: Tensor | float) -> Tensor:
    """Structural similarity, -1 to 1, a mean over images, channels and all places where the window fits.

    answer, truth  (B, C, [Z,] Y, X); along an axis shorter than 11 voxels the window is the longest odd one that fits
    data_range     largest minus smallest intensity that is possible

    Source: Wang et al., doi:10.1109/TIP.2003.819861: Gaussian window of 11 with a standard deviation of 1.5.
    """
    with torch.autocast(answer.device.type, enabled=False):  # differences of squares: half precision would leave nothing
        one, other = answer.float(), truth.float()
        mean_one, mean_other = _windowed(one), _windowed(other)
        variance_one = _windowed(one * one) - mean_one**2
        variance_other = _windowed(other * other) - mean_other**2
        together = _windowed(one * other) - mean_one * mean_other
        light, contrast = (FIRST * data_range) ** 2, (SECOND * data_range) ** 2
        brightness = (2 * mean_one * mean_other + light) / (mean_one**2 + mean_other**2 + light)
        return (brightness * (2 * together + contrast) / (variance_one + variance_other + contrast)).mean()


def _windowed(images: Tensor) -> Tensor:
    """Gaussian means over windows that lie inside, axis by axis: (B, C, [Z,] Y, X) to less at the edges."""
    channels, axes = images.shape[1], images.ndim - 2
    convolve = functional.conv2d if axes == 2 else functional.conv3d
    for axis in range(axes):
        window = _window(images.shape[2 + axis], images.device)
        shape = [len(window) if k == axis else 1 for k in range(axes)]
        images = convolve(images, window.reshape(1, 1, *shape).repeat(channels, 1, *[1] * axes), groups=channels)
    return images


def _window(size: int, device: torch.device) -> Tensor:
    width = min(WINDOW, size - 1 + size % 2)
    places = torch.arange(width, device=device, dtype=torch.float32) - (width - 1) / 2
    weights = torch.exp(-0.5 * (places / SPREAD) ** 2)
    return weights / weights.sum()


def range_of(truth: Tensor) -> Tensor:
    """() largest minus smallest intensity of a batch, at least 1."""
    return (truth.max() - truth.min()).float().clamp_min(LEAST_RANGE)


def _l1_ssim(answer: Tensor, truth: Tensor) -> dict[str, Tensor]:
    unlike = 1 - ssim(answer, truth, range_of(truth))
    return {"l1": (1 - STRUCTURE) * l1(answer, truth), "ssim": STRUCTURE * unlike}


Terms = Callable[[Tensor, Tensor], dict[str, Tensor]]
BY_NAME: Mapping[str, Terms] = {
    "l1": lambda answer, truth: {"l1": l1(answer, truth)},
    "l2": lambda answer, truth: {"l2": l2(answer, truth)},
    "l1_ssim": _l1_ssim,
}
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "l1": {"l1": 1.0},
    "l2": {"l2": 1.0},
    "l1_ssim": {"l1": 1 - STRUCTURE, "ssim": STRUCTURE},
}
