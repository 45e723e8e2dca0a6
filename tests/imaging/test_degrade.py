"""Every degradation does what it says, keeps grid, type and shape, and does the same again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import LabelMap, Structure
from overread.imaging.degrade import motion, rotation, slices
from overread.imaging.degrade.bias_field import field
from overread.imaging.degrade.degradation import is_mr, random_of
from overread.imaging.degrade.table import DEGRADATIONS
from overread.imaging.degrade.values import spread


def volume(shape=(12, 24, 20), spacing=(3.0, 1.0, 1.0), units="a.u.", kind=np.float32, **source) -> Image:
    """A soft ball on a slope."""
    z, y, x = np.indices(shape).astype(np.float32)
    middle = [(n - 1) / 2 for n in shape]
    distance = np.sqrt((3 * (z - middle[0])) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2)
    values = 100 + 3 * x + 400 / (1 + np.exp(distance - 7))
    return Image(values[None].astype(kind), Grid.from_spacing(shape, spacing), units, ("image",), source)


def film(edge: int = 33, channels: int = 1, kind=np.uint8) -> Image:
    y, x = np.indices((edge, edge)).astype(np.float32)
    values = 40 + 2 * x + y + 80 * ((y - 9) ** 2 + (x - 20) ** 2 < 25)
    names = ("red", "green", "blue") if channels == 3 else ("image",)
    array = np.stack([values * (1 - 0.2 * c) for c in range(channels)])[:, None].astype(kind)
    return Image(array, Grid.from_spacing((1, edge, edge), spacing_known=False, is_planar=True), "a.u.", names)


IMAGES = {
    "CT": volume(units="HU", kind=np.int16, modality="CT"),
    "MR": volume(modality="MR"),
    "MR between -1 and 1": replace(volume(modality="MR"), array=volume().array / 300 - 1),
    "film": film(),
    "colour": film(channels=3),
}


def apply(name: str, image: Image, amount: float, case_id: str = "case-0001") -> Image:
    return DEGRADATIONS[name].change(image, amount, random_of(name, case_id))


FITTING = [(name, kind) for name, each in DEGRADATIONS.items() for kind, image in IMAGES.items() if not each.obstacle(image)]


@pytest.mark.parametrize(("name", "kind"), FITTING)
def test_grid_type_and_meaning_stay_and_it_repeats(name: str, kind: str) -> None:
    image, degradation = IMAGES[kind], DEGRADATIONS[name]
    before = image.array.copy()
    for level in degradation.levels(image):
        worse = apply(name, image, level.value)
        assert worse.array.shape == image.array.shape
        assert worse.array.dtype == image.array.dtype
        assert worse.grid is image.grid
        assert (worse.units, worse.channels, worse.source) == (image.units, image.channels, image.source)
        assert np.isfinite(worse.array).all()
        assert not np.array_equal(worse.array, image.array)
        np.testing.assert_array_equal(apply(name, image, level.value).array, worse.array)
    np.testing.assert_array_equal(image.array, before)


@pytest.mark.parametrize("name", ["noise", "bias-field", "missing-slices"])
def test_another_case_has_other_chances(name: str) -> None:
    amount = 0.2 if name != "missing-slices" else 4
    cases = [apply(name, IMAGES["MR"], amount, f"case-{k}").array for k in range(6)]
    assert len({c.tobytes() for c in cases}) > 1


@pytest.mark.parametrize("kind", IMAGES)
def test_larger_amounts_change_more(kind: str) -> None:
    image = IMAGES[kind]
    for name, degradation in DEGRADATIONS.items():
        if name in ("contrast", "missing-slices") or degradation.obstacle(image):  # two directions; other slices
            continue
        far = [
            np.abs(apply(name, image, level.value).array.astype(float) - image.array).mean()
            for level in degradation.levels(image)
        ]
        assert far == sorted(far), name


def test_noise_has_the_spread_that_it_says() -> None:
    flat = replace(volume((20, 40, 40)), array=np.zeros((1, 20, 40, 40), np.float32), units="HU")
    assert apply("noise", flat, 30).array.std() == pytest.approx(30, rel=0.02)
    image = IMAGES["MR"]
    added = apply("noise", image, 0.2).array - image.array
    assert added.std() == pytest.approx(0.2 * spread(image.array), rel=0.03)
    assert "HU" in DEGRADATIONS["noise"].levels(flat)[0].words
    assert "of the spread" in DEGRADATIONS["noise"].levels(image)[0].words


def test_blur_is_the_gaussian_in_millimetres() -> None:
    image = IMAGES["MR"]
    expected = ndimage.gaussian_filter(image.array[0], (2 / 3, 2, 2), mode="nearest")
    np.testing.assert_allclose(apply("blur", image, 2).array[0], expected, rtol=1e-5)
    flat = apply("blur", film(kind=np.float32), 2)
    np.testing.assert_allclose(
        flat.array[0, 0], ndimage.gaussian_filter(film(kind=np.float32).array[0, 0], 2, mode="nearest"), rtol=1e-5
    )
    assert DEGRADATIONS["blur"].levels(film())[0].words == "sigma 1 pixels"
    assert DEGRADATIONS["blur"].levels(image)[0].words == "sigma 0.5 mm"


def test_contrast_of_hounsfield_units_leaves_water_and_air() -> None:
    values = np.array([-1024, -1000, -500, 0, 100, 900], np.int16).reshape(1, 1, 1, 6)
    image = Image(values, Grid.from_spacing((1, 1, 6)), "HU")
    assert apply("contrast", image, 1.25).array.ravel().tolist() == [-1024, -1000, -625, 0, 125, 1125]
    assert apply("contrast", image, 0.8).array.ravel().tolist() == [-1024, -1000, -400, 0, 80, 720]


def test_gamma_moves_the_middle_and_keeps_order_and_grey() -> None:
    image = IMAGES["film"]
    brighter, darker = (apply("contrast", image, gamma).array.astype(int) for gamma in (0.67, 1.5))
    assert brighter.mean() > image.array.mean() > darker.mean()
    order = np.argsort(image.array.ravel(), kind="stable")
    assert (np.diff(brighter.ravel()[order]) >= 0).all()
    grey = Image(np.repeat(film().array, 3, 0), film().grid, "a.u.", ("red", "green", "blue"))
    changed = apply("contrast", grey, 0.67).array
    assert (changed[0] == changed[2]).all()


def test_a_bias_field_is_smooth_and_as_strong_as_it_says() -> None:
    found = field((10, 30, 30), random_of("bias-field", "a"))
    assert (found.min(), found.max()) == (pytest.approx(-1), pytest.approx(1))
    assert np.abs(np.diff(found, axis=2)).max() < 0.35
    ones = replace(volume((10, 30, 30)), array=np.ones((1, 10, 30, 30), np.float32))
    changed = apply("bias-field", ones, 0.4).array
    assert (changed.min(), changed.max()) == (pytest.approx(0.8), pytest.approx(1.2))
    assert DEGRADATIONS["bias-field"].obstacle(IMAGES["CT"]).startswith("a bias field is a fault of magnetic resonance")


def test_who_is_magnetic_resonance() -> None:
    assert is_mr(IMAGES["MR"])
    assert is_mr(replace(volume(), channels=("FLAIR",)))
    assert not is_mr(replace(IMAGES["CT"], channels=("t1",)))
    assert not is_mr(volume())


def test_a_quarter_turn_is_the_quarter_turn_of_numpy() -> None:
    image = film(kind=np.float32)
    turned = apply("rotation", image, 90).array[0, 0]
    quarter = [np.rot90(image.array[0, 0], k) for k in (1, 3)]
    assert any(np.allclose(turned, one, atol=1e-3) for one in quarter)
    ten = apply("rotation", image, 10)
    reference = [ndimage.rotate(image.array[0, 0], a, reshape=False, order=1, cval=image.array.min()) for a in (10, -10)]
    inner = slice(8, -8)
    assert min(np.abs(ten.array[0, 0] - one)[inner, inner].max() for one in reference) < 0.1


@pytest.mark.parametrize("spacing", [(3.0, 1.0, 1.0), (1.0, 0.5, 2.0)])
def test_an_answer_is_turned_back_to_where_the_patient_was(spacing: tuple[float, float, float]) -> None:
    """A threshold finds the ball in the turned image; turned back, its outline lies on the ball of the image as it was."""
    shape = (16, 60, 60)
    z, y, x = (n * s for n, s in zip(np.indices(shape).astype(np.float32), spacing, strict=True))
    off_centre = np.abs(y - 22 * spacing[1]) < 9 * spacing[1]
    box = off_centre & (np.abs(x - 36 * spacing[2]) < 7 * spacing[2]) & (np.abs(z - 8 * spacing[0]) < 6 * spacing[0])
    image = Image(np.where(box, 200, 10).astype(np.float32)[None], Grid.from_spacing(shape, spacing))

    def answer(to: Image) -> LabelMap:
        return LabelMap((to.array > 105).astype(np.uint8) * 7, (Structure("box", 7),), to.grid)

    turned = answer(apply("rotation", image, 15))
    back = rotation.turn_back(turned, 15, random_of("rotation", "case-0001"))
    assert set(np.unique(back.layers)) == {0, 7}

    def dice(found: LabelMap) -> float:
        mask = found.layers[0] > 0
        return 2 * (mask & box).sum() / (mask.sum() + box.sum())

    assert dice(turned) < 0.85
    assert dice(back) > 0.95


def test_a_volume_turns_in_the_axial_plane() -> None:
    sagittal = Grid((8, 20, 10), np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]))  # slices along x
    turned = rotation.turned_grid(sagittal, 20)
    assert np.cross(turned.affine[:3, 0], turned.affine[:3, 2])[:2] == pytest.approx([0, 0])
    np.testing.assert_allclose(turned.affine[:3, 1], sagittal.affine[:3, 1])
    np.testing.assert_allclose(turned.spacing, sagittal.spacing)
    middle = (np.array(sagittal.shape) - 1) / 2
    np.testing.assert_allclose(turned.to_world(middle), sagittal.to_world(middle))


def test_a_smear_is_the_mean_over_a_line() -> None:
    np.testing.assert_allclose(motion.smear_weights(3), [1 / 3] * 3)
    np.testing.assert_allclose(motion.smear_weights(4), [0.125, 0.25, 0.25, 0.25, 0.125])
    np.testing.assert_allclose(motion.smear_weights(0.3), [1])
    image = film(kind=np.float32)
    rows = ndimage.uniform_filter1d(image.array[0, 0], 7, axis=0, mode="nearest")
    columns = ndimage.uniform_filter1d(image.array[0, 0], 7, axis=1, mode="nearest")
    smeared = apply("motion", image, 7).array[0, 0]
    assert np.allclose(smeared, rows, atol=1e-3) or np.allclose(smeared, columns, atol=1e-3)


def test_ghosts_are_those_of_a_patient_who_moves_while_lines_are_read() -> None:
    """Line by line by hand: each line of k-space sees the patient where it then was. Copies lie a `PERIOD`-th away."""
    count, amplitude, phase = 64, 1.0, 0.3
    place = np.arange(count)
    profile = 100 * np.exp(-0.5 * ((place - 32) / 1.5) ** 2)
    lines = np.arange(-count // 2, count // 2)  # from one end of k-space to the other
    signal = [
        np.sum(profile * np.exp(-2j * np.pi * k * (place + amplitude * np.sin(2 * np.pi * t / motion.PERIOD + phase)) / count))
        for t, k in enumerate(lines)
    ]
    seen = np.abs([np.sum(np.array(signal) * np.exp(2j * np.pi * lines * p / count)) / count for p in place])
    values = np.tile(profile[:, None], (1, 1, 1, 5)).astype(np.float32)
    ghost = motion._ghosts(values, 2, amplitude, phase)[0, 0]
    np.testing.assert_allclose(ghost, np.tile(seen[:, None], (1, 5)), atol=1e-3)
    away = np.abs(place - 32)
    assert away[np.argmax(np.where(away > 5, seen, 0))] == pytest.approx(count // motion.PERIOD, abs=2)


def test_resolution_keeps_what_is_coarse_and_loses_what_is_fine() -> None:
    stripes = np.tile((np.arange(32) % 2) * 100.0, (8, 32, 1)).astype(np.float32)
    fine = Image(stripes[None], Grid.from_spacing((8, 32, 32)))
    assert apply("resolution", fine, 2).array.std() < 15
    z = np.arange(12, dtype=np.float32).reshape(-1, 1, 1) ** 2 * np.ones((1, 24, 20), np.float32)
    thick = Image(z[None], Grid.from_spacing((12, 24, 20), (5.0, 1.0, 1.0)))
    np.testing.assert_allclose(apply("resolution", thick, 4).array, thick.array, atol=1e-3)


def test_jpeg_of_high_quality_changes_little_and_of_low_quality_much() -> None:
    for kind in ("film", "colour"):
        image = IMAGES[kind]
        errors = [np.abs(apply("jpeg", image, q).array.astype(float) - image.array).mean() for q in (95, 50, 10)]
        assert errors[0] < 2.5
        assert errors[0] < errors[1] < errors[2]
    ct = replace(IMAGES["CT"], array=IMAGES["CT"].array * 4)  # most of it lies beyond the abdominal window
    changed = apply("jpeg", ct, 50).array.astype(int) - ct.array
    assert np.abs(changed).max() < 150
    far = ct.array > 1200
    assert far.any()


def test_missing_slices_are_the_means_of_their_neighbours() -> None:
    image = IMAGES["MR"]
    for one_in in (2, 4):
        lost = slices.lost_slices(12, one_in, random_of("missing-slices", "case-0001"))
        assert (np.diff(lost) == one_in).all()
        assert lost.min() >= 1
        assert lost.max() <= 10
        changed = apply("missing-slices", image, one_in).array[0]
        kept = np.setdiff1d(np.arange(12), lost)
        np.testing.assert_array_equal(changed[kept], image.array[0, kept])
        np.testing.assert_allclose(changed[lost], (image.array[0, lost - 1] + image.array[0, lost + 1]) / 2)
    assert "no slices" in DEGRADATIONS["missing-slices"].obstacle(film())
    assert "6 slices are too few" in DEGRADATIONS["missing-slices"].obstacle(volume((6, 8, 8)))
