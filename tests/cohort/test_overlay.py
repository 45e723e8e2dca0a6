"""Channels laid over each other in millimetres: beside SimpleITK, in any order of axes, and refused where they have no place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from overread.cohort.load import open_channels
from overread.cohort.overlay import coverage, distance_mm, overlay
from overread.core.case import ImageReference
from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.image import Image


def turned(grid: Grid, degrees: float, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Grid:
    """The grid turned about the world's z axis and moved by LPS mm."""
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ grid.affine[:3, :3]
    affine[:3, 3] = turn @ grid.affine[:3, 3] + np.array(shift)
    return replace(grid, affine=affine)


def image(grid: Grid, seed: int = 0, **source: Any) -> Image:
    array = np.random.default_rng(seed).normal(100, 20, (1, *grid.shape)).astype(np.float32)
    return Image(array, grid, source=source)


def to_sitk(array: np.ndarray, grid: Grid) -> sitk.Image:
    picture = sitk.GetImageFromArray(array)
    picture.SetSpacing(grid.spacing[::-1])
    picture.SetOrigin(grid.affine[:3, 3].tolist())
    picture.SetDirection((grid.affine[:3, [2, 1, 0]] / np.array(grid.spacing[::-1])).ravel().tolist())
    return picture


FLAIR = Grid.from_spacing((12, 20, 18), (3.0, 1.0, 1.0))


@pytest.mark.parametrize(
    "other",
    [
        Grid.from_spacing((40, 18, 20), (1.0, 1.2, 1.1)),
        turned(Grid.from_spacing((36, 24, 24), (1.0, 1.0, 1.0)), 11.0, (2.0, -1.0, 0.5)),
        Grid.from_spacing((40, 20, 18), (1.0, 1.0, 1.0)).reoriented((2, 0, 1), (True, False, True)),  # sagittal, flipped
    ],
    ids=["another spacing", "turned", "sagittal"],
)
def test_a_channel_on_another_grid_comes_where_simpleitk_puts_it(other: Grid) -> None:
    # a smooth field: interpolation and smoothing before a coarser grid matter little
    world = other.to_world(np.stack(np.indices(other.shape), -1))
    values = (np.sin(world / 9.0).sum(-1) * 50 + 200).astype(np.float32)
    t1 = Image(values[None], other)
    made = overlay("case", [("flair", image(FLAIR)), ("t1", t1)])
    linear = sitk.Resample(
        to_sitk(values, other), to_sitk(np.zeros(FLAIR.shape, np.float32), FLAIR), sitk.Transform(), sitk.sitkLinear, -1.0
    )
    expected = sitk.GetArrayFromImage(linear)
    inside = expected != -1.0
    assert inside.mean() > 0.6
    assert np.abs(made.array[1] - expected)[inside].max() < 4.0  # of 300
    assert made.channels == ("flair", "t1")
    assert made.grid is FLAIR
    assert "channel 't1': resampled from" in made.source["notes"][0]


def test_the_same_grid_is_left_untouched() -> None:
    a, b = image(FLAIR, 1), image(FLAIR, 2)
    made = overlay("case", [("a", a), ("b", b)])
    assert (made.array == np.concatenate([a.array, b.array])).all()
    assert "notes" not in made.source


def test_never_stacked_by_index() -> None:
    """Two grids of one shape, one moved by two slices: the marked slice is found at its place and not at its number."""
    array = np.zeros((1, *FLAIR.shape), np.float32)
    array[0, 5] = 1.0
    moved = turned(FLAIR, 0.0, (0.0, 0.0, 6.0))
    made = overlay("case", [("a", image(FLAIR)), ("b", Image(array, moved))])
    assert made.array[1].mean(axis=(1, 2)).argmax() == 7
    assert made.source["covered"] == {"b": round(10 / 12, 4)}


@pytest.mark.parametrize(("shift", "distance"), [((0.0, 0.0, 50.0), 14.0), ((30.0, 0.0, 0.0), 12.0), ((21.0, 24.0, 0.0), 5.0)])
def test_images_apart_are_refused_with_the_distance(shift: tuple[float, float, float], distance: float) -> None:
    there = turned(FLAIR, 0.0, shift)
    assert distance_mm(FLAIR, there) == pytest.approx(distance, abs=1e-3)
    with pytest.raises(
        Refused, match=rf"channels 'a' and 'b' do not overlap; their fields of view are {distance:.1f} mm apart"
    ) as caught:
        overlay("C-1", [("a", image(FLAIR)), ("b", image(there))])
    assert caught.value.code == "channels-apart"


def test_the_distance_of_turned_boxes_is_that_of_their_nearest_points() -> None:
    there = turned(FLAIR, 45.0, (60.0, 5.0, 3.0))
    places = [np.stack(np.meshgrid(*[np.linspace(-0.5, n - 0.5, 41) for n in FLAIR.shape], indexing="ij"), -1).reshape(-1, 3)]
    from scipy.spatial import cKDTree

    one, other = FLAIR.to_world(places[0]), there.to_world(places[0])
    nearest = cKDTree(one).query(other)[0].min()
    assert distance_mm(FLAIR, there) == pytest.approx(nearest, abs=0.5)
    assert distance_mm(FLAIR, there) <= nearest + 1e-6


def test_a_thin_slab_inside_is_found() -> None:
    slab = Grid.from_spacing((1, 200, 200), (0.2, 0.1, 0.1))
    tall = Grid.from_spacing((500, 20, 20), (0.5, 1.0, 1.0))
    assert coverage(turned(slab, 0.0, (0.0, 0.0, 101.3)), tall) > 0


def test_a_missing_channel_is_zero_and_says_so() -> None:
    made = overlay("case", [("a", image(FLAIR)), ("b", None)])
    assert not made.array[1].any()
    assert made.source["missing_channels"] == ["b"]
    with pytest.raises(Refused, match="C-1: the channel 'a' is missing, and it is the reference"):
        overlay("C-1", [("a", None), ("b", image(FLAIR))])


def test_without_spacing_only_one_size_fits() -> None:
    plain = Grid.from_spacing((1, 8, 8), spacing_known=False, is_planar=True)
    assert overlay("case", [("a", image(plain)), ("b", image(plain, 1))]).array.shape == (2, 1, 8, 8)
    other = Grid.from_spacing((1, 8, 9), spacing_known=False, is_planar=True)
    with pytest.raises(Refused, match=r"channels 'a' \(1 x 8 x 8\) and 'b' \(1 x 8 x 9\) have different sizes"):
        overlay("case", [("a", image(plain)), ("b", image(other))])
    known = Grid.from_spacing((1, 8, 9), (1.0, 0.5, 0.5), is_planar=True)
    with pytest.raises(Refused, match="no pixel spacing"):
        overlay("case", [("a", image(plain)), ("b", image(known))])


def test_films_lie_over_each_other_by_their_centres() -> None:
    cc = Image(np.zeros((1, 1, 11, 11), np.float32), Grid.from_spacing((1, 11, 11), is_planar=True), source={"format": "dicom"})
    array = np.zeros((1, 1, 21, 21), np.float32)
    array[0, 0, 10, 10] = 1.0
    mlo = Image(array, Grid.from_spacing((1, 21, 21), (1.0, 1.0, 1.0), is_planar=True), source={"format": "dicom"})
    made = overlay("case", [("cc", cc), ("mlo", mlo)])
    assert np.unravel_index(made.array[1].argmax(), (1, 11, 11)) == (0, 5, 5)
    assert "by their centres" in made.source["notes"][0]


def test_kinds_units_and_phantoms() -> None:
    ct, pet = replace(image(FLAIR), units="HU"), replace(image(FLAIR), units="SUV")
    assert overlay("case", [("ct", ct), ("pet", pet)]).units == "HU, SUV"
    with pytest.raises(Refused, match="one is a PHANTOM and the other is not"):
        overlay("case", [("a", image(FLAIR)), ("b", image(FLAIR, is_simulated=True))])
    film = image(Grid.from_spacing((1, 8, 8), is_planar=True))
    with pytest.raises(Refused, match="channel 'b' is a flat picture and 'a' a volume"):
        overlay("case", [("a", image(FLAIR)), ("b", film)])
    several = Image(np.zeros((2, *FLAIR.shape), np.float32), FLAIR, channels=("x", "y"))
    with pytest.raises(Refused, match="holds 2 channels; one was expected") as caught:
        overlay("case", [("a", image(FLAIR)), ("b", several)])
    assert "b = { volume = 0 }" in caught.value.next


def test_a_file_without_a_place_is_not_laid_over_another_grid(tmp_path: Path) -> None:
    references = [ImageReference(c, "nifti", (f"{c}.nii.gz",)) for c in ("flair", "t1")]
    for channel, shape in (("flair", (6, 6, 4)), ("t1", (6, 6, 8))):
        file = nibabel.Nifti1Image(np.zeros(shape, np.float32), np.eye(4))
        if channel == "t1":
            file.set_sform(None, 0)
            file.set_qform(None, 0)
            file.header.set_xyzt_units("mm")
        nibabel.save(file, tmp_path / f"{channel}.nii.gz")
    with pytest.raises(Refused, match="the file of 't1' names no place in the patient"):
        open_channels("C-1", references, tmp_path)
