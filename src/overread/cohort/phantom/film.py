"""From the absorbing thorax to a film: line integrals, scatter, quanta, and the look-up that makes it a radiograph.

Attenuation follows Beer and Lambert, I = I0 exp(-integral of mu); scatter is a blurred share of the primary;
quanta are Poisson; the logarithm is shown after the wide range was compressed, as film systems do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from overread.cohort.phantom.canvas import Canvas
from overread.cohort.phantom.fields import apply_separable, linear_operator

MU_WATER = 0.0192  # per mm, at about 65 keV
STEEPNESS = 3.6  # of the curve from logarithm to shade


@dataclass(frozen=True)
class FilmUnit:
    """An invented film system.

    bone    how much more bone absorbs than its HU say (low kV);  scatter  share of the primary
    quanta  photons per square mm without a patient;  fwhm_mm  of the detector
    """

    site: str
    vendor: str
    model: str
    modality: str
    view: str
    kvp: int
    bits: int
    bone: float
    scatter: float
    quanta: float
    fwhm_mm: float


FILM_UNITS = (
    FilmUnit("North", "Phantom Imaging Works", "Phantom Film A", "DX", "PA", 120, 14, 1.6, 0.12, 9e4, 0.4),
    FilmUnit("South", "Simulated Systems", "Phantom Plate B", "CR", "AP", 90, 12, 2.0, 0.35, 2.5e4, 0.7),
)


def line_integrals(canvas: Canvas, unit: FilmUnit) -> np.ndarray:
    """(Z, X) attenuation along the beam, y; no unit."""
    relative = canvas.hu * np.float32(0.001)
    relative += (np.float32(unit.bone - 1)) * np.maximum(relative - np.float32(0.15), 0)
    relative += 1
    np.maximum(relative, 0, out=relative)
    return relative.sum(1) * np.float32(MU_WATER * canvas.spacing[1])


def expose(integrals: np.ndarray, unit: FilmUnit, pixel_mm: float, random: np.random.Generator) -> np.ndarray:
    """(Y, X) line integrals on the film's pixels -> stored values, uint16, bright where much is absorbed."""
    primary = np.exp(-gaussian_filter(integrals, unit.fwhm_mm / 2.355 / pixel_mm))
    scattered = unit.scatter * gaussian_filter(primary, 30 / pixel_mm) * 0.5
    expected = (primary + scattered) * unit.quanta * pixel_mm**2
    caught = random.poisson(expected).astype(np.float32)
    density = -np.log(np.maximum(caught, 1) / (unit.quanta * pixel_mm**2))
    wide = gaussian_filter(density, 22 / pixel_mm)
    fine = density - gaussian_filter(density, 2.2 / pixel_mm)
    shown = density - 0.5 * wide + 0.4 * fine
    low, high = np.percentile(shown[density > 0.7], (4, 99.2))  # inside the patient
    level = (shown - low) / max(float(high - low), 1e-3)
    curve = 1 / (1 + np.exp(-STEEPNESS * (level - 0.46)))
    floor, ceiling = 1 / (1 + np.exp(STEEPNESS * 0.46)), 1 / (1 + np.exp(-STEEPNESS * 0.54))
    shade = np.clip(0.1 + 0.86 * (curve - floor) / (ceiling - floor), 0, 1)
    return np.rint(shade * (2**unit.bits - 1)).astype(np.uint16)


def on_film(plane: np.ndarray, size: int) -> np.ndarray:
    """(Z, X) of the scene, feet first -> (size, size) film pixels, head on top."""
    operators = (linear_operator(size, plane.shape[0]), np.eye(1, dtype=np.float32), linear_operator(size, plane.shape[1]))
    return apply_separable(plane[::-1, None, :].astype(np.float32), operators)[:, 0, :]
