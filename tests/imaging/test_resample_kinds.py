"""Every kind of truth and answer, there and back; SimpleITK is the oracle on oblique grids."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Map, Measurements, Picture, Points, Structure
from overread.imaging.resample import resample_labels
from overread.imaging.resample_kinds import resample_kind

HOME = Grid.from_spacing((14, 24, 22), (2.5, 1.0, 1.1))
SPACINGS = st.tuples(st.floats(1.0, 2.6), st.floats(0.5, 1.1), st.floats(0.5, 1.2))


def turned(grid: Grid, numbers: list[float]) -> Grid:
    """The same voxels, rotated about the middle."""
    rotation, _ = np.linalg.qr(np.array(numbers).reshape(3, 3) + 3 * np.eye(3))
    affine = np.eye(4)
    affine[:3, :3] = rotation @ grid.affine[:3, :3]
    middle = grid.to_world((np.array(grid.shape) - 1) / 2)
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    return Grid(grid.shape, affine)


ROTATIONS = st.lists(st.floats(-1, 1), min_size=9, max_size=9)


def balls(grid: Grid) -> np.ndarray:
    """(2, Z, Y, X): two organs side by side, and a lesion inside the first."""
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    centre = HOME.to_world((np.array(HOME.shape) - 1) / 2)

    def ball(shift: float, radius: float) -> np.ndarray:
        return np.asarray(np.linalg.norm(world - centre - (shift, 0, 0), axis=-1) <= radius)

    layers = np.zeros((2, *grid.shape), np.int16)
    layers[0][ball(-3, 6)] = 4
    layers[0][ball(6, 4)] = -9
    layers[1][ball(-3, 4)] = 300
    return layers


def dice(one: np.ndarray, two: np.ndarray) -> float:
    return float(2 * (one & two).sum() / (one.sum() + two.sum()))


def as_simpleitk(array: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(tuple(grid.affine[:3, 3]))
    image.SetDirection(tuple((grid.affine[:3, :3] / np.array(grid.spacing))[:, ::-1].reshape(-1)))
    return image


@given(numbers=ROTATIONS, spacing=SPACINGS)
@settings(max_examples=15, deadline=None)
def test_structures_there_and_back(numbers: list[float], spacing: tuple[float, float, float]) -> None:
    other = turned(HOME.with_spacing(spacing), numbers)
    structures = (Structure("organ", 4, 0), Structure("side", -9, 0), Structure("lesion", 300, 1))
    here = LabelMap(balls(HOME), structures, HOME)
    there = resample_kind(here, other)
    assert isinstance(there, LabelMap)
    assert there.structures == structures
    assert there.layers.dtype == here.layers.dtype
    back = resample_kind(there, HOME)
    assert isinstance(back, LabelMap)
    for structure in structures:
        name = structure.name
        near = 0.25 if name == "organ" else 0.45  # of 6 mm and 4 mm radius, on slices of up to 2.6 mm
        assert there.mask(name).sum() * other.voxel_ml == pytest.approx(here.mask(name).sum() * HOME.voxel_ml, rel=near)
        assert dice(back.mask(name), here.mask(name)) > (0.9 if name == "organ" else 0.7)
    assert (there.mask("lesion") & there.mask("organ")).sum() > 0.95 * there.mask("lesion").sum()  # the overlap is kept
    assert set(np.unique(back.layers[0])) == {0, 4, -9}
    assert set(np.unique(back.layers[1])) == {0, 300}


@given(numbers=ROTATIONS, spacing=SPACINGS)
@settings(max_examples=15, deadline=None)
def test_labels_as_simpleitk_moves_them(numbers: list[float], spacing: tuple[float, float, float]) -> None:
    """One structure at a time, linearly: SimpleITK says the same but for ties; nearest differs on surfaces alone."""
    other = turned(HOME.with_spacing(spacing), numbers)
    labels = balls(HOME)[:1]
    ours = resample_labels(labels, HOME, other)[0]
    reference = as_simpleitk(np.zeros(other.shape, np.float32), other)

    def move(array: np.ndarray, how: int) -> np.ndarray:
        return sitk.GetArrayFromImage(sitk.Resample(as_simpleitk(array, HOME), reference, sitk.Transform(), how, 0.0))

    shares = {value: move((labels[0] == value).astype(np.float32), sitk.sitkLinear) for value in (4, -9)}
    nothing = 1 - shares[4] - shares[-9]
    stack = np.stack([nothing, shares[4], shares[-9]])
    sure = np.sort(stack, axis=0)[-1] - np.sort(stack, axis=0)[-2] > 1e-3
    np.testing.assert_array_equal(ours[sure], np.array([0, 4, -9])[stack.argmax(axis=0)][sure])
    nearest = move(labels[0].astype(np.float32), sitk.sitkNearestNeighbor)
    differs = ours != nearest
    assert not (differs & (stack.max(axis=0) > 0.999)).any()  # only where structures meet
    assert differs.mean() < 0.05


@given(numbers=ROTATIONS, spacing=SPACINGS)
@settings(max_examples=15, deadline=None)
def test_instances_stay_apart_and_in_order(numbers: list[float], spacing: tuple[float, float, float]) -> None:
    other = turned(HOME.with_spacing(spacing), numbers)
    layers = balls(HOME)
    masks = np.stack([layers[0] == 4, layers[1] == 300, layers[0] == -9])
    here = Instances.of_masks(masks, ("organ", "lesion", "side"), np.array([1, 0.7, 0.2]), HOME)
    there = resample_kind(here, other)
    assert isinstance(there, Instances)
    back = resample_kind(there, HOME)
    assert isinstance(back, Instances)
    assert back.classes == here.classes
    for k, mask in enumerate(masks):
        assert dice(back.mask(k), mask) > 0.85
        apart = resample_labels(mask[None].astype(np.uint8), HOME, other)[0].astype(bool)  # in whole volumes the same
        np.testing.assert_array_equal(there.mask(k), apart)
    none = resample_kind(Instances((), (), np.zeros(0), HOME), other)
    assert isinstance(none, Instances)
    assert none.pieces == ()
    assert none.grid is other


@given(spacing=st.tuples(*[st.floats(0.3, 4)] * 3), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_boxes_there_and_back_are_exact_along_the_axes(spacing: tuple[float, float, float], seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = np.sort(random.uniform(-0.5, 13, (5, 2, 3)), axis=1)
    here = Boxes(corners, tuple("abcde"), random.random(5), HOME)
    other = HOME.with_spacing(spacing).reoriented((1, 2, 0), (True, False, True))
    there = resample_kind(here, other)
    assert isinstance(there, Boxes)
    assert (there.corners[:, 0] <= there.corners[:, 1]).all()
    back = resample_kind(there, HOME)
    assert isinstance(back, Boxes)
    np.testing.assert_allclose(back.corners, corners, atol=1e-8)
    extent = (there.corners[:, 1] - there.corners[:, 0]) * other.spacing
    np.testing.assert_allclose(np.prod(extent, axis=1), np.prod((corners[:, 1] - corners[:, 0]) * HOME.spacing, axis=1))


@given(numbers=ROTATIONS, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_box_on_a_turned_grid_is_the_smallest_around_it(numbers: list[float], seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = np.sort(random.uniform(0, 13, (1, 2, 3)), axis=1)
    other = turned(HOME, numbers)
    there = resample_kind(Boxes(corners, ("a",), np.ones(1), HOME), other)
    assert isinstance(there, Boxes)
    inside = random.uniform(corners[0, 0], corners[0, 1], (500, 3))
    faces = np.concatenate([inside, *(np.where(np.arange(3) == k, corners[0, e], inside) for k in range(3) for e in (0, 1))])
    places = other.to_index(HOME.to_world(faces))
    assert (places >= there.corners[0, 0] - 1e-9).all()
    assert (places <= there.corners[0, 1] + 1e-9).all()


@given(numbers=ROTATIONS)
@settings(max_examples=15, deadline=None)
def test_pictures_and_maps_as_simpleitk_moves_them(numbers: list[float]) -> None:
    other = turned(HOME.with_spacing((2.0, 0.9, 1.0)), numbers)
    array = np.random.default_rng(0).random((2, *HOME.shape)).astype(np.float32)
    picture = resample_kind(Picture(array, HOME, "HU"), other)
    heat = resample_kind(Map(array[0], HOME, "gradient", "nodule", {"sanity": True}), other)
    assert isinstance(picture, Picture)
    assert isinstance(heat, Map)
    assert (picture.units, heat.method, heat.verdicts) == ("HU", "gradient", {"sanity": True})
    reference = as_simpleitk(np.zeros(other.shape, np.float32), other)
    oracle = sitk.GetArrayFromImage(
        sitk.Resample(as_simpleitk(array[0], HOME), reference, sitk.Transform(), sitk.sitkLinear, 0.0)
    )
    index = HOME.to_index(other.to_world(np.stack(np.meshgrid(*map(np.arange, other.shape), indexing="ij"), -1)))
    inside = ((index > 0.01) & (index < np.array(HOME.shape) - 1.01)).all(-1)
    np.testing.assert_allclose(picture.array[0][inside], oracle[inside], atol=2e-4)
    np.testing.assert_allclose(heat.array[inside], oracle[inside], atol=2e-4)
    assert (heat.array[((index < -0.51) | (index > np.array(HOME.shape) - 0.49)).any(-1)] == 0).all()


def test_what_lies_nowhere_stays() -> None:
    for kind in (
        Findings({"nodule": 0.3}),
        Measurements({"volume": 3.0}, {"volume": "ml"}),
        Points(np.array([[1.0, 2, 3]]), ("tip",), np.ones(1)),
    ):
        assert resample_kind(kind, HOME) is kind
    assert len(get_args(Kind)) == 8  # a new kind must be taught here
    with pytest.raises(OverreadError, match="str is no kind"):
        resample_kind("liver", HOME)  # type: ignore[arg-type]
