"""Rotation: a patient who lies askew. The only degradation that moves the patient, so answers are turned back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import LabelMap
from overread.imaging.degrade.degradation import Degradation, Level
from overread.imaging.degrade.values import as_stored
from overread.imaging.resample import resample_image, resample_labels

DEGREES = (5.0, 15.0)


def levels(image: Image) -> tuple[Level, ...]:
    return tuple(Level(v, f"{v:g} degrees") for v in DEGREES)


def rotate(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Turn the image by `amount` degrees, to either side by chance, about the middle of its own grid.

    A volume turns in the plane nearest to axial. What comes in from outside has the lowest value of its channel.
    """
    turned = turned_grid(image.grid, signed(amount, random))
    moved = [resample_image(c[None], image.grid, turned, order=1, fill=float(c.min()))[0] for c in image.array]
    return replace(image, array=as_stored(np.stack(moved), image))


def turn_back(answer: LabelMap, amount: float, random: np.random.Generator) -> LabelMap:
    """Bring an answer to a turned image back to where the truth lies; outside what was seen there is no structure.

    Each structure is moved by itself and the strongest wins, so no new value comes up.
    """
    turned = turned_grid(answer.grid, signed(amount, random))
    return replace(answer, layers=resample_labels(answer.layers, turned, answer.grid))


def signed(degrees: float, random: np.random.Generator) -> float:
    return degrees if random.random() < 0.5 else -degrees


def turned_grid(grid: Grid, degrees: float) -> Grid:
    """The same voxels after the grid was turned about its middle, in the plane of its two axes nearest to axial."""
    normal_axis = grid.canonical_axes()[0][0]
    first, second = (grid.affine[:3, axis] for axis in range(3) if axis != normal_axis)
    normal = np.cross(first, second)
    normal /= np.linalg.norm(normal)
    cross = np.array([[0, -normal[2], normal[1]], [normal[2], 0, -normal[0]], [-normal[1], normal[0], 0]])
    angle = np.deg2rad(degrees)
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues
    centre = grid.to_world((np.array(grid.shape) - 1) / 2)
    affine = np.array(grid.affine)
    affine[:3, :3] = turn @ grid.affine[:3, :3]
    affine[:3, 3] = centre + turn @ (grid.affine[:3, 3] - centre)
    return replace(grid, affine=affine)


ROTATION = Degradation(
    "rotation",
    "Rotation",
    "the image is turned about its middle, in the axial plane; an outline is turned back before it is scored",
    levels,
    rotate,
    turn_back=turn_back,
)
