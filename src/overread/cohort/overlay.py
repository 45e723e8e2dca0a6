"""Several images of one case as channels of one image: laid over each other in the patient, in millimetres, never by index.

The first channel is the reference. The others are sampled at its voxel centres (linear); outside their field of view they
have their own smallest value. What cannot be laid over the reference is refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.made import SYNTHETIC
from overread.imaging.resample import resample_image

TOUCH_MM = 1e-3  # boxes this near touch
SAMPLES = 48  # places per axis that are asked whether a channel covers them
PROJECTIONS = 500
COVERED = 0.995  # a share above this is all of it, but for half a voxel at the border


def overlay(what: str, channels: Sequence[tuple[str, Image | None]]) -> Image:
    """One image on the grid of the first channel.

    what      how messages call the case
    channels  name -> its image, each with one channel; None where it is missing
    returns   (C, Z, Y, X) float32; a missing channel is all 0 and named in source["missing_channels"], and the preparation
              makes it its own zero. source["covered"] holds the share of the reference that a channel covers, where
              that is not all of it, source["notes"] says what was resampled
    """
    name, first = channels[0]
    if first is None:
        raise Refused(
            "reference-channel-missing",
            f"{what}: the channel '{name}' is missing, and it is the reference on whose grid the others are laid.",
            "add its image, or put a channel first under images.channels that every exam has",
        )
    stacked = np.empty((len(channels), *first.grid.shape), np.float32)
    stacked[0] = _single(what, name, first)[0]
    notes: list[str] = []
    covered: dict[str, float] = {}
    for k, (other, image) in enumerate(channels[1:], start=1):
        if image is None:
            stacked[k] = 0
            notes.append(f"channel '{other}' is missing and was filled with zeros")
            continue
        array = _single(what, other, image)
        if bool(image.source.get("is_simulated")) != bool(first.source.get("is_simulated")):
            raise Refused(
                "phantom-and-patients",
                f"{what}: of the channels '{name}' and '{other}' one is a PHANTOM and the other is not.",
                "give channels of one exam",
            )
        stacked[k], share, said = _onto(what, name, other, array, image, first)
        covered |= {} if share > COVERED else {other: round(share, 4)}
        notes += [f"channel '{other}': {text}" for text in said]
    source: dict[str, Any] = {**first.source, **_made([image for _, image in channels if image is not None])}
    missing = [other for other, image in channels if image is None]
    if missing:
        source["missing_channels"] = missing
    if covered:
        source["covered"] = covered
    if notes:
        source["notes"] = [*source.get("notes", ()), *notes]
    units = list(dict.fromkeys(image.units for _, image in channels if image is not None))
    if len(units) > 1:
        units = [image.units if image is not None else "?" for _, image in channels]  # CT with PET: one for each channel
    return replace(first, array=stacked, channels=tuple(n for n, _ in channels), units=", ".join(units), source=source)


def _made(images: Sequence[Image]) -> dict[str, str]:
    """One channel that a network made or changed makes the whole a made image."""
    kinds = {image.source["made"] for image in images if image.source.get("made")}
    return {"made": SYNTHETIC if SYNTHETIC in kinds else kinds.pop()} if kinds else {}


def _single(what: str, name: str, image: Image) -> np.ndarray:
    if image.array.shape[0] != 1:
        raise Refused(
            "channels",
            f"{what}: the file for channel '{name}' holds {image.array.shape[0]} channels; one was expected.",
            f"name the volume that is meant, e.g. {name} = {{ volume = 0 }}, or give each channel its own file",
        )
    return image.array


def _onto(what: str, name: str, other: str, array: np.ndarray, image: Image, first: Image) -> tuple[np.ndarray, float, list[str]]:
    """(Z, Y, X) float32 of a channel on the reference's grid, the share of it that it covers, and what was done."""
    grid, target = image.grid, first.grid
    if grid.is_planar != target.is_planar:
        words = {True: "a flat picture", False: "a volume"}
        raise Refused(
            "channels-differ",
            f"{what}: channel '{other}' is {words[grid.is_planar]} and '{name}' {words[target.is_planar]}.",
            "give channels of one kind",
        )
    if grid.is_same(target):
        return array[0], 1.0, []
    if not (grid.spacing_known and target.spacing_known):
        raise Refused(
            "channels-differ",
            f"{what}: channels '{name}' ({_shape(target)}) and '{other}' ({_shape(grid)}) have different sizes or spacings, and "
            "at least one has no pixel spacing, so they cannot be aligned in millimetres.",
            "give images with a spacing (DICOM, NIfTI), or of one size",
        )
    for channel, each in ((name, first), (other, image)):
        if any("no orientation" in note for note in each.source.get("notes", ())):
            raise Refused(
                "no-place",
                f"{what}: channels '{name}' and '{other}' lie on different grids, and the file of '{channel}' names no "
                "place in the patient (qform and sform codes are 0), so they cannot be laid over each other.",
                "write the file again with the scanner's geometry, or give channels that were registered and resampled before",
            )
    if _is_film(image) and _is_film(first):
        grid, said = _centred(grid, target), ["films have no place in the patient; laid over the reference by their centres"]
    else:
        _refuse_apart(what, name, other, grid, target)
        said = []
    share = coverage(grid, target)
    if share == 0:
        raise _apart(what, name, other, 0.0)
    said.append(f"resampled from {_shape(grid)} voxels of {_spacing(grid)} mm onto {_shape(target)} of {_spacing(target)} mm")
    if share < COVERED:
        said.append(f"covers {share:.0%} of the reference; outside it has its smallest value")
    fill = float(array.min())
    return resample_image(array, grid, target, fill=fill)[0], share, said


def _is_film(image: Image) -> bool:
    """A projection without a place in the patient: its grid begins at the origin for want of anything better."""
    return image.grid.is_planar and image.source.get("format") == "dicom" and "plane" not in image.source


def _centred(grid: Grid, target: Grid) -> Grid:
    middle, wanted = (g.to_world((np.array(g.shape) - 1) / 2) for g in (grid, target))
    affine = np.array(grid.affine)
    affine[:3, 3] += wanted - middle
    return replace(grid, affine=affine)


def _refuse_apart(what: str, name: str, other: str, grid: Grid, target: Grid) -> None:
    distance = distance_mm(grid, target)
    if distance > TOUCH_MM:
        raise _apart(what, name, other, distance)


def _apart(what: str, name: str, other: str, distance: float) -> Refused:
    return Refused(
        "channels-apart",
        f"{what}: the images of channels '{name}' and '{other}' do not overlap; "
        f"their fields of view are {distance:.1f} mm apart.",
        "check that both belong to one exam, and that neither file lost its position",
    )


def distance_mm(one: Grid, other: Grid) -> float:
    """Shortest distance between two fields of view, voxels to their faces; 0 where they overlap.

    Nearest points of two convex boxes by projecting onto each in turn (Cheney and Goldstein, 1959).
    """
    point = one.to_world((np.array(one.shape) - 1) / 2)
    distance = np.inf
    for _ in range(PROJECTIONS):
        there = _nearest(other, point)
        point = _nearest(one, there)
        before, distance = distance, float(np.linalg.norm(point - there))
        if distance < TOUCH_MM or before - distance < 1e-9:
            break
    return distance


def _nearest(grid: Grid, point: np.ndarray) -> np.ndarray:
    """The point of a field of view that lies nearest to a point, LPS mm; exact where the axes are square to each other."""
    return grid.to_world(np.clip(grid.to_index(point), -0.5, np.array(grid.shape) - 0.5))


def coverage(grid: Grid, target: Grid) -> float:
    """Share of the voxel centres of `target` that lie in the field of view of `grid`, on a lattice of some of them.

    A thin slab may slip between the places of the lattice; then its own voxels are looked for in `target`.
    """
    share = _share(grid, target)
    return share if share > 0 else min(_share(target, grid), 1e-3)


def _share(grid: Grid, target: Grid) -> float:
    axes = [np.unique(np.linspace(0, n - 1, min(n, SAMPLES)).round()) for n in target.shape]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    index = grid.to_index(target.to_world(places))
    inside = ((index >= -0.5 - 1e-6) & (index <= np.array(grid.shape) - 0.5 + 1e-6)).all(-1)
    return float(inside.mean())


def _shape(grid: Grid) -> str:
    return " x ".join(str(n) for n in grid.shape)


def _spacing(grid: Grid) -> str:
    return " x ".join(f"{n:.3g}" for n in grid.spacing)
