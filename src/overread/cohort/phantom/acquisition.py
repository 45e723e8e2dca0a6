"""The scanner: field of view, point spread, slice profile, breathing during the scan, and noise as CT has it.

Noise is band-limited: reconstruction multiplies by a ramp and the kernel rolls it off, so that its power grows
with frequency and falls again (Riederer, Pelc, Chesler, Phys Med Biol 1978;23:446).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.special import ndtr

from overread.cohort.phantom.canvas import Canvas, Layer, Pose
from overread.cohort.phantom.covariates import Scanner
from overread.cohort.phantom.fields import apply_separable
from overread.core.grid import Grid

Operators = tuple[np.ndarray, np.ndarray, np.ndarray]
FINEST_MM = 1.4  # the scene is painted no finer than this and interpolated to the pixels


@dataclass(frozen=True)
class Protocol:
    """One acquisition: the grid of the pixels and the slice thickness, mm."""

    grid: Grid
    thickness_mm: float
    scanner: Scanner

    @property
    def origin(self) -> np.ndarray:
        """(3,) LPS mm of the first voxel's centre."""
        return self.grid.affine[:3, 3]


def plan_protocol(
    scanner: Scanner,
    size: int,
    slices: int | None,
    pose: Pose,
    half_width_mm: float,
    top_mm: float,
    bottom_mm: float,
    random: np.random.Generator,
) -> Protocol:
    """Choose field of view and slice positions so that the liver is covered.

    size    pixels in each direction;  slices  how many, or None for the scanner's own spacing
    """
    heights = pose.to_world(np.array([[0.0, 0.0, top_mm], [0.0, 0.0, bottom_mm]]))[:, 2]
    span = float(heights[0] - heights[1]) + random.uniform(-6, 6)
    spacing_z = scanner.spacing_mm if slices is None else round(span / slices, 3)
    count = int(np.ceil(span / spacing_z)) if slices is None else slices
    thickness = scanner.thickness_mm if slices is None else round(spacing_z * (1.0 if scanner.from_head else 1.5), 3)
    pixel = round((2 * half_width_mm + random.uniform(16, 46)) / size, 4)
    corner = np.round([pose.shift[0] / 2 - pixel * (size - 1) / 2, 6.0 - pixel * (size - 1) / 2, heights[1]], 3)
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, pixel], [0, pixel, 0], [spacing_z, 0, 0]]
    affine[:3, 3] = corner
    return Protocol(Grid((count, size, size), affine), thickness, scanner)


def working_grid(protocol: Protocol) -> tuple[tuple[int, int, int], tuple[float, float, float], tuple[float, float, float]]:
    """Shape, spacing (Z, Y, X) and origin (x, y, z) of the canvas that covers a protocol with a margin."""
    spacing_z, pixel, _ = protocol.grid.spacing_mm
    fine = max(pixel, FINEST_MM)
    fine_z = max(min(spacing_z, protocol.thickness_mm) / 2, 0.6 * fine, 1.2)
    counts = [
        int(np.ceil((n - 1) * s / f)) + 5
        for n, s, f in zip(protocol.grid.shape, (spacing_z, pixel, pixel), (fine_z, fine, fine), strict=True)
    ]
    x, y, z = protocol.origin
    return (counts[0], counts[1], counts[2]), (fine_z, fine, fine), (x - 2 * fine, y - 2 * fine, z - 2 * fine_z)


def _positions(canvas: Canvas, protocol: Protocol) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """World positions along Z, Y, X of canvas and pixel centres, mm."""
    fine = [o + s * np.arange(n) for o, s, n in zip(canvas.origin[::-1], canvas.spacing, canvas.shape, strict=True)]
    steps = protocol.grid.spacing_mm
    pixels = [o + s * np.arange(n) for o, s, n in zip(protocol.origin[::-1], steps, protocol.grid.shape, strict=True)]
    return fine, pixels


def _blur(pixels: np.ndarray, fine: np.ndarray, sigma: float) -> np.ndarray:
    weights = np.exp(-0.5 * ((pixels[:, None] - fine) / sigma) ** 2)
    return weights / weights.sum(1, keepdims=True)


def _slice_profile(pixels: np.ndarray, fine: np.ndarray, thickness: float) -> np.ndarray:
    soft = max(0.12 * thickness, 0.45 * float(fine[1] - fine[0]))
    away = fine - pixels[:, None]
    weights = ndtr((away + thickness / 2) / soft) - ndtr((away - thickness / 2) / soft)
    return weights / weights.sum(1, keepdims=True)


def image_operators(canvas: Canvas, protocol: Protocol, sharp: bool) -> Operators:
    """Matrices that turn the scene into pixels; `sharp` leaves out the kernel, for label maps."""
    fine, pixels = _positions(canvas, protocol)
    least = 0.42 * canvas.spacing[1]
    sigma = least if sharp else max(protocol.scanner.fwhm_mm / 2.355, least)
    plane = [_blur(pixels[k], fine[k], sigma) for k in (1, 2)]
    if protocol.scanner.edge and not sharp:
        edge = protocol.scanner.edge
        plane = [(1 + edge) * p - edge * _blur(pixels[k], fine[k], 2.6 * sigma) for k, p in zip((1, 2), plane, strict=True)]
    profile = _slice_profile(pixels[0], fine[0], protocol.thickness_mm)
    return profile.astype(np.float32), plane[0].astype(np.float32), plane[1].astype(np.float32)


def acquire(
    canvas: Canvas, protocol: Protocol, random: np.random.Generator, motion_mm: float, body_width_mm: float
) -> np.ndarray:
    """(Z, Y, X) int16 HU as the scanner stores them.

    motion_mm  how far the dome moved during the scan; 0 for a breath held well
    """
    scene = canvas.hu if motion_mm <= 0 else _breathing(canvas, motion_mm)
    image = apply_separable(scene, image_operators(canvas, protocol, sharp=False))
    _add_noise(image, protocol, random, body_width_mm)
    np.rint(image, out=image)
    return np.clip(image, -1024, 3071).astype(np.int16)


def _breathing(canvas: Canvas, motion_mm: float) -> np.ndarray:
    """Slices near the dome see it in two places, as when a breath was not held."""
    step = max(1, round(motion_mm / canvas.spacing[0]))
    moved = np.concatenate([canvas.hu[step:], np.repeat(canvas.hu[-1:], step, 0)])
    height = canvas.at[2].mean(axis=(1, 2))
    share = (0.45 * np.exp(-(((height + 8) / 22) ** 2))).astype(np.float32)[:, None, None]
    return canvas.hu * (1 - share) + moved * share


def _add_noise(image: np.ndarray, protocol: Protocol, random: np.random.Generator, body_width_mm: float) -> None:
    _, pixel, _ = protocol.grid.spacing_mm
    n_slices, n_y, n_x = image.shape
    frequency = np.hypot(np.fft.fftfreq(n_y, pixel)[:, None], np.fft.rfftfreq(n_x, pixel))
    corner = 0.36 / protocol.scanner.fwhm_mm
    power = frequency * np.exp(-((frequency / corner) ** 2)) + 0.004
    amplitude = np.sqrt(power).astype(np.float32)
    amplitude *= np.float32(1 / np.sqrt((amplitude**2).mean()))
    thin = np.clip(np.sqrt(3.0 / protocol.thickness_mm), 0.7, 1.6)
    sigma = protocol.scanner.noise_hu * thin * (body_width_mm / 340) ** 1.5
    profile = _noise_profile(n_y, n_x, pixel, body_width_mm) * np.float32(sigma)
    for k in range(n_slices):
        white = random.standard_normal((n_y, n_x), dtype=np.float32)
        image[k] += fft.irfft2(fft.rfft2(white) * amplitude, s=(n_y, n_x)) * profile


def _noise_profile(n_y: int, n_x: int, pixel: float, body_width_mm: float) -> np.ndarray:
    """Noise is highest in the middle of the body, where the fewest photons arrive."""
    y = (np.arange(n_y, dtype=np.float32) - n_y / 2)[:, None] * pixel / (0.36 * body_width_mm)
    x = (np.arange(n_x, dtype=np.float32) - n_x / 2)[None] * pixel / (0.5 * body_width_mm)
    return (0.62 + 0.5 * np.exp(-(x**2 + y**2))).astype(np.float32)


def label_maps(canvas: Canvas, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """(Z, Y, X) uint8 structure values and uint16 instance numbers, on the grid of the pixels.

    A voxel belongs to a structure that covers more than half of it. A lesion too small for that keeps the
    voxels with more than half of its own greatest coverage, since a reader would still outline it.
    """
    structures = np.zeros(protocol.grid.shape, np.uint8)
    instances = np.zeros(protocol.grid.shape, np.uint16)
    operators = image_operators(canvas, protocol, sharp=True)
    for layer in canvas.layers:
        _stamp(layer, operators, structures, instances)
    return structures, instances


def _stamp(layer: Layer, operators: Operators, structures: np.ndarray, instances: np.ndarray) -> None:
    if layer.coverage.size == 0:
        return
    columns = [operator[:, s] for operator, s in zip(operators, layer.box, strict=True)]
    rows = [np.flatnonzero(c.sum(1) > 0.01) for c in columns]
    if any(len(r) == 0 for r in rows):
        return
    where = tuple(slice(int(r[0]), int(r[-1]) + 1) for r in rows)
    used = tuple(np.ascontiguousarray(c[w]) for c, w in zip(columns, where, strict=True))
    coverage = apply_separable(layer.coverage.astype(np.float32), used)  # type: ignore[arg-type]
    if coverage.size == 0 or coverage.max() < 0.05:
        return
    chosen = coverage > (min(0.5, 0.5 * float(coverage.max())) if layer.instance else 0.5)
    if layer.value:
        structures[where][chosen] = layer.value
    if layer.instance:
        instances[where][chosen] = layer.instance
