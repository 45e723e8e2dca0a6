"""Hand-made features: the same names for like images, right values on known shapes, textures told apart."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from skimage.measure import perimeter, regionprops

from overread.audit.features import averaged, feature_table, features_of, image_features, intensity_features
from overread.audit.shapes import foreground, shape_features
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image


def planar(array: np.ndarray) -> Image:
    grid = Grid.from_spacing((1, *array.shape), spacing_known=False, is_planar=True)
    return Image(array[None, None].astype(np.float32), grid)


def volume(array: np.ndarray, units: str = "HU", spacing: tuple[float, float, float] = (2.0, 1.0, 1.0)) -> Image:
    return Image(array[None].astype(np.float32), Grid.from_spacing(array.shape, spacing), units)  # type: ignore[arg-type]


def body(side: int = 40, depth: int = 12) -> np.ndarray:
    """A cylinder of water with two lungs, in air: HU."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    array = np.full((depth, side, side), -1000.0)
    array[:, np.hypot(y, x) < side * 0.4] = 40.0
    for centre in (-side * 0.2, side * 0.2):
        array[2:-2, np.hypot(y, x - centre) < side * 0.12] = -850.0
    return array


@pytest.mark.parametrize("make", [planar, lambda a: volume(np.repeat(a[None], 9, 0))])
def test_names_are_the_same_for_every_image_and_values_repeat(make) -> None:
    random = np.random.default_rng(0)
    one, other = (make(random.normal(100, 20, (70, 90))) for _ in range(2))
    first, second = image_features(one), image_features(other)
    assert list(first) == list(second)
    assert image_features(one) == first
    assert all(np.isfinite(value) for value in first.values())
    assert {name.split("/")[1] for name in first} == {"intensity", "texture", "hog", "tiles", "body"}
    names, table = feature_table([first, second])
    assert names == tuple(sorted(first))
    assert table.shape == (2, len(first))


def test_an_image_of_one_value_has_features_too() -> None:
    found = image_features(planar(np.full((40, 40), 7.0)))
    assert found["image/intensity/mean"] == 7
    assert found["image/intensity/skewness"] == 0
    assert found["image/body/share"] == 1


def test_the_body_keeps_its_lungs_and_loses_the_air_around() -> None:
    array = body()
    found = foreground(array, "HU")
    inside = np.hypot(*(np.mgrid[:40, :40] - 19.5)) < 16
    assert (found == inside).all()


def test_first_order_statistics_agree_with_scipy() -> None:
    from scipy import stats

    values = np.random.default_rng(1).gamma(2.0, 10.0, 500)
    found = intensity_features(values)
    assert found["skewness"] == pytest.approx(stats.skew(values))
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(values, fisher=False))
    assert found["p25"] == pytest.approx(np.quantile(values, 0.25))


def test_shape_agrees_with_an_independent_program() -> None:
    y, x = np.mgrid[:60, :80]
    mask = ((y - 30) / 12) ** 2 + ((x - 40) / 25) ** 2 < 1
    found = shape_features(mask[None], (1.0, 1.0, 1.0))
    (theirs,) = regionprops(mask.astype(int))
    assert found["volume"] == theirs.area
    assert found["axis_longest"] == pytest.approx(theirs.axis_major_length, rel=0.01)
    assert found["axis_middle"] == pytest.approx(theirs.axis_minor_length, rel=0.01)
    assert found["centre_x"] == pytest.approx((theirs.centroid[1] + 0.5) / 80)
    assert found["surface"] - 2 * mask.sum() == pytest.approx(perimeter(mask), rel=0.3)  # faces count corners longer


def test_a_ball_is_rounder_than_a_rod_whatever_the_spacing() -> None:
    z, y, x = np.mgrid[:21, :41, :41]
    ball = ((z - 10) * 2) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 15**2
    rod = (abs(y - 20) < 3) & (abs(x - 20) < 3) & (z > 0)
    one, other = shape_features(ball, (2.0, 1.0, 1.0)), shape_features(rod, (2.0, 1.0, 1.0))
    assert one["volume"] == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.05)
    assert one["flatness"] > 0.95
    assert other["elongation"] < 0.2
    assert one["sphericity"] > other["sphericity"]
    assert np.isnan(shape_features(np.zeros((3, 4, 5), bool), (1, 1, 1))["sphericity"])


def test_texture_tells_fine_from_coarse() -> None:
    random = np.random.default_rng(2)
    fine = random.normal(size=(64, 64))
    coarse = np.kron(random.normal(size=(8, 8)), np.ones((8, 8)))
    one, other = image_features(planar(fine)), image_features(planar(coarse))
    assert one["image/texture/glcm_contrast_1"] > 3 * other["image/texture/glcm_contrast_1"]
    assert one["image/texture/glcm_correlation_1"] < other["image/texture/glcm_correlation_1"]


def test_masks_are_measured_along_and_may_be_empty() -> None:
    image = volume(body())
    mask = np.zeros(image.grid.shape, bool)
    mask[4:8, 18:22, 10:14] = True
    found = image_features(image, {"lesion": mask, "absent": ~np.ones_like(mask)})
    assert found["mask/lesion/volume"] == 4 * 4 * 4 * 2.0
    assert found["mask/lesion/image/mean"] == pytest.approx(image.array[0][mask].mean())
    assert np.isnan(found["mask/absent/image/mean"])
    assert found["mask/absent/volume"] == 0


def test_a_turned_grid_gives_the_same_features() -> None:
    image = volume(body())
    turned = image.reoriented((2, 0, 1), (True, False, True))
    for name, value in image_features(image).items():
        assert image_features(turned)[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_large_images_are_averaged_down_not_sampled() -> None:
    array = np.arange(4 * 6 * 7, dtype=float).reshape(4, 6, 7)
    small = averaged(array, (2, 3, 3))
    assert small.shape == (2, 2, 2)
    assert small[0, 0, 0] == pytest.approx(array[:2, :3, :3].mean())


def open_or_fail(number: int) -> Image:
    if number == 1:
        raise OverreadError("The file is cut short.")
    return planar(np.random.default_rng(number).normal(size=(32, 32)))


def test_what_cannot_be_opened_is_left_out_and_named() -> None:
    refused: dict[str, str] = {}
    found = features_of({f"C-{k}": partial(open_or_fail, k) for k in range(3)}, refused=refused)
    assert list(found) == ["C-0", "C-2"]
    assert refused == {"C-1": "The file is cut short."}
