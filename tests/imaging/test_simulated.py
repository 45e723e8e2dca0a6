"""What a restoring model reads: low dose, low resolution, thick slices, missing k-space; written as text, refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.degrade import k_space, low_dose
from overread.imaging.degrade.coarse import LOW_RESOLUTION, THICK_SLICES
from overread.imaging.degrade.ct_noise import corner_of, noise_of, noise_power, variances
from overread.imaging.degrade.degradation import random_of
from overread.imaging.degrade.simulated import RESTORABLE, Simulated, parse_degradation

PIXEL = 2.0  # mm


def body(noise: float = 8.0, shape: tuple[int, int, int] = (6, 128, 128), corner: float = 0.3, wide: float = 1.5) -> Image:
    """CT of an ellipse of water `wide` times as wide as deep, in air, with noise of filtered back projection."""
    random = np.random.default_rng(3)
    _, y, x = np.indices(shape).astype(np.float32)
    inside = ((y - 64) / 38) ** 2 + ((x - 64) / (38 * wide)) ** 2 < 1
    amplitude = np.sqrt(noise_power(shape[1], shape[2], corner))
    coloured = np.fft.irfft2(np.fft.rfft2(random.standard_normal(shape)) * amplitude, s=shape[1:])
    values = np.where(inside, 40 + noise * coloured, -1000)
    return Image(values[None].astype(np.int16), Grid.from_spacing(shape, (3.0, PIXEL, PIXEL)), "HU", ("ct",), {"modality": "CT"})


def mr(shape: tuple[int, int, int] = (8, 32, 24)) -> Image:
    values = np.random.default_rng(1).gamma(2.0, 50.0, (2, *shape)).astype(np.float32)
    return Image(values, Grid.from_spacing(shape, (3.0, 1.0, 1.0)), "a.u.", ("t1", "flair"), {"modality": "MR"})


@pytest.mark.parametrize(("noise", "corner"), [(5.0, 0.2), (8.0, 0.3), (15.0, 0.5)])
def test_the_noise_of_a_scan_is_measured_in_its_soft_tissue(noise: float, corner: float) -> None:
    found = noise_of(body(noise, corner=corner).array[0])
    assert found is not None
    assert found.level == pytest.approx(noise, rel=0.15)
    assert found.corner == pytest.approx(corner, rel=0.2)
    assert noise_of(np.full((2, 40, 40), -1000)) is None


def test_edges_of_organs_are_not_taken_for_noise() -> None:
    """Voxels so large that most windows of soft tissue hold an edge."""
    random = np.random.default_rng(0)
    _, y, x = np.indices((6, 96, 96))
    tissue = np.where((y // 10 + x // 10) % 2, 100.0, 0.0)
    found = noise_of(tissue + random.normal(0, 9, tissue.shape))
    assert found is not None
    assert found.level == pytest.approx(9, rel=0.15)


def test_noise_of_a_known_kernel_tells_its_kernel() -> None:
    for corner in (0.1, 0.3, 0.8):
        near = np.fft.irfft2(noise_power(64, 64, corner), s=(64, 64))
        assert corner_of((near[0, 1] + near[1, 0]) / 2 / near[0, 0]) == pytest.approx(corner, rel=0.02)


@pytest.mark.parametrize("share", [0.5, 0.25, 0.1])
def test_a_share_of_the_dose_has_the_noise_that_theory_says(share: float) -> None:
    image = body()
    lower = Simulated("low_dose", share).apply(image, "case-0001")
    before, after = (noise_of(one.array[0]) for one in (image, lower))
    assert before is not None
    assert after is not None
    assert after.level / before.level == pytest.approx(np.sqrt(1 / share), rel=0.15)
    assert after.corner == pytest.approx(before.corner, rel=0.25)
    assert (lower.grid, lower.array.dtype, lower.units) == (image.grid, image.array.dtype, "HU")


def test_what_was_measured_in_one_image_is_not_taken_for_another() -> None:
    """The measurement of the last image is kept; one of other pixels, or of other size of pixel, is measured anew."""
    coarser = replace(body(), grid=Grid.from_spacing((6, 128, 128), (3.0, 2 * PIXEL, 2 * PIXEL)))
    images = (body(8.0), body(15.0), coarser, body(8.0))
    dose = Simulated("low_dose", 0.25)
    one_after_another = [dose.apply(image, "case-0001").array for image in images]
    for image, found in zip(images, one_after_another, strict=True):
        low_dose._measured.cache_clear()
        np.testing.assert_array_equal(dose.apply(image, "case-0001").array, found)
    assert not np.array_equal(one_after_another[0], one_after_another[2])


def test_noise_is_strongest_where_rays_were_weakened_most_and_drawn_out_along_them() -> None:
    image = body(wide=1.6)
    added = Simulated("low_dose", 0.1).apply(image, "case-0001").array[0].astype(float) - image.array[0]
    middle, flank = added[:, 58:71, 58:71], added[:, 58:71, 6:16]
    assert middle.std() > 1.15 * flank.std()
    down, across = (np.mean(middle[:, 1:] * middle[:, :-1]), np.mean(middle[:, :, 1:] * middle[:, :, :-1]))
    assert across > down + 0.1 * middle.var()  # streaks along the long way through the body


def test_line_integrals_are_those_of_a_disc_of_water() -> None:
    y, x = np.indices((90, 90)).astype(float)
    disc = np.where(np.hypot(y - 44.5, x - 44.5) < 40, 0.0, -1000.0)
    found = np.log(variances(disc, (PIXEL, PIXEL)))
    np.testing.assert_allclose(found[:, 44, 44], 0.0193 * 80 * PIXEL, rtol=0.03)  # the diameter, whatever the direction
    chord = 2 * np.sqrt(40**2 - 30**2)
    assert found[0, 44, 74] == pytest.approx(0.0193 * chord * PIXEL, rel=0.25)  # rays measured along x run along y


def test_air_beyond_the_field_of_view_and_below_what_is_stored_stays() -> None:
    image = body()
    array = image.array.copy()
    array[:, :, :4] = -2000
    lower = Simulated("low_dose", 0.1).apply(replace(image, array=array), "case-0001").array
    assert (lower[:, :, :4] == -2000).all()
    assert lower[:, :, 4:].min() >= -1024


def test_sagittal_slices_get_the_noise_of_axial_ones() -> None:
    image = body()
    sagittal = image.reoriented((2, 0, 1), (False, True, False))
    there = Simulated("low_dose", 0.25).apply(sagittal, "case-0001")
    back = Simulated("low_dose", 0.25).apply(image, "case-0001").reoriented((2, 0, 1), (False, True, False))
    added, expected = (one.array.astype(float) - sagittal.array for one in (there, back))
    assert not np.array_equal(added, expected)  # its slices lie the other way round
    assert added[0, 60:70, :, 60:70].std() == pytest.approx(expected[0, 60:70, :, 60:70].std(), rel=0.1)
    within = added[0, 60:70, :, 60:70]
    assert abs(np.mean(within[:, 1:] * within[:, :-1])) < 0.1 * within.var()  # slices have noise of their own


def test_large_pixels_hold_the_mean_of_what_they_cover() -> None:
    image = mr()
    coarse = Simulated("low_resolution", 4).apply(image, "a").array
    blocks = image.array.reshape(2, 8, 8, 4, 6, 4).mean((3, 5))
    even = coarse[:, :, 1::4, 1::4] + coarse[:, :, 2::4, 2::4]  # either side of a middle: slopes cancel along the diagonal
    assert np.corrcoef(even.ravel(), blocks.ravel())[0, 1] > 0.97
    ramp = replace(image, array=np.indices((8, 32, 24))[1][None].repeat(2, 0).astype(np.float32))
    np.testing.assert_allclose(
        LOW_RESOLUTION.change(ramp, 4, random_of("a", "b")).array[:, :, 2:-2], ramp.array[:, :, 2:-2], atol=1e-4
    )
    thick = THICK_SLICES.change(image, 2, random_of("a", "b")).array
    np.testing.assert_allclose(thick.mean(1), image.array.mean(1), rtol=0.25)
    assert np.abs(np.diff(thick, axis=1)).mean() < 0.6 * np.abs(np.diff(image.array, axis=1)).mean()
    for factor in (3.0, 2.5, 16.0):
        flat = replace(image, array=np.full_like(image.array, 7))
        np.testing.assert_allclose(LOW_RESOLUTION.change(flat, factor, random_of("a", "b")).array, 7, rtol=1e-5)


@pytest.mark.parametrize("factor", [2.0, 4.0, 8.0])
def test_lines_are_kept_by_variable_density_with_a_whole_middle(factor: float) -> None:
    drawn = np.array([k_space.kept_lines(256, factor, random_of("k_space", f"case-{k}")) for k in range(60)])
    assert (drawn.sum(1) == round(256 / factor)).all()
    middle = round(0.32 * 256 / factor)
    assert drawn[:, 128 - middle // 2 : 128 - middle // 2 + middle].all()
    near, far = drawn[:, 40:80].mean(), drawn[:, :30].mean()
    assert near > far
    more = k_space.kept_lines(256, factor / 2, random_of("k_space", "case-0"))
    assert more[drawn[0]].all()  # whoever keeps more keeps these too


def test_missing_k_space_is_the_zero_filled_magnitude() -> None:
    image = mr()
    kept = k_space.kept_lines(32, 4, random_of("k_space", "case-0001"))
    got = Simulated("k_space", 4).apply(image, "case-0001").array
    spectrum = np.fft.fftshift(np.fft.fft2(image.array[1, 3]), axes=0)
    spectrum[~kept] = 0
    np.testing.assert_allclose(got[1, 3], np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum, axes=0))), rtol=1e-3, atol=1e-3)
    assert not np.array_equal(got, Simulated("k_space", 4).apply(image, "case-0002").array)


def test_noise_in_magnetic_resonance_is_rician() -> None:
    """Where there is no signal its mean is SD times the root of pi / 2; where there is much, it is normal."""
    values = np.zeros((1, 8, 60, 60), np.float32)
    values[:, :, 20:40] = 1000
    image = Image(values, Grid.from_spacing((8, 60, 60)), "a.u.", ("t1",), {"modality": "MR"})
    noisy = Simulated("noise", 0.1).apply(image, "a").array
    sd = 0.1 * image.array.std()
    assert noisy[:, :, :20].mean() == pytest.approx(sd * np.sqrt(np.pi / 2), rel=0.02)
    assert noisy[:, :, 20:40].std() == pytest.approx(sd, rel=0.03)
    assert noisy.min() >= 0


FITTING = {"low_dose": body(), "noise": body(), **dict.fromkeys(("k_space", "bias_field"), mr())}


@pytest.mark.parametrize("name", RESTORABLE)
def test_every_example_can_be_written_read_and_done(name: str) -> None:
    simulated = parse_degradation(RESTORABLE[name].example)
    assert simulated.name == name
    assert parse_degradation(simulated.text) == simulated
    assert parse_degradation(f" {name.replace('_', '-').upper()} : {simulated.amount:g} ") == simulated
    image = FITTING.get(name, mr())
    worse, again = (simulated.apply(image, "case-0001") for _ in range(2))
    assert (worse.array.shape, worse.array.dtype, worse.grid) == (image.array.shape, image.array.dtype, image.grid)
    assert not np.array_equal(worse.array, image.array)
    np.testing.assert_array_equal(worse.array, again.array)
    assert simulated.sentence.endswith("Simulated from the image itself.")
    assert f"{simulated.amount:g}" in simulated.sentence or f"{100 * simulated.amount:g} %" in simulated.sentence


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("low_does:0.25", r"no degradation 'low_does' to restore from\. Did you mean 'low_dose'\?(?s:.*)k_space:4"),
        ("rotation:5", r"no degradation 'rotation'(?s:.*)low_dose:0.25"),
        ("", r"is not named(?s:.*)low_dose:0.25"),
        ("low_dose", r"'low_dose' needs an amount from 0.01 to 0.95: the share of the dose that is left(?s:.*)low_dose:0.25"),
        ("low_dose:4", "needs an amount from 0.01 to 0.95"),
        ("low_dose:nan", "needs an amount"),
        ("k_space:much", r"'k_space:much' needs an amount from 1.2 to 16: the undersampling factor"),
        ("low_resolution:1", "how many times larger the pixels become"),
    ],
)
def test_nonsense_is_named_with_examples(text: str, says: str) -> None:
    with pytest.raises(OverreadError, match=says):
        parse_degradation(text)


@pytest.mark.parametrize(
    ("text", "image", "says"),
    [
        ("low_dose:0.25", mr(), r"C-1: low_dose:0.25 cannot be simulated on its image: (?s:.*)these images are in a.u."),
        ("low_dose:0.25", body(noise=0.0), "its soft tissue has no noise"),
        ("low_dose:0.25", replace(body(), array=np.full((1, 6, 128, 128), -1000, np.int16)), "too little soft tissue"),
        ("low_dose:0.25", replace(body(), grid=Grid.from_spacing((6, 128, 128), spacing_known=False)), "have no spacing"),
        ("k_space:4", body(), "k-space is of magnetic resonance"),
        ("k_space:4", mr((8, 8, 8)), "8 lines are too few"),
        ("thick_slices:2", mr((4, 16, 16)), "4 slices are too few"),
        ("noise:30", mr(), r"share of their spread, at most 2 \(for example noise:0.2\)"),
        ("noise:0.2", body(), r"0.2 HU would hardly be seen \(for example noise:30\)"),
        ("bias_field:0.4", body(), "a bias field is a fault of magnetic resonance"),
    ],
)
def test_what_makes_no_sense_for_an_image_is_refused(text: str, image: Image, says: str) -> None:
    with pytest.raises(OverreadError, match=says) as caught:
        parse_degradation(text).apply(image, "C-1")
    assert "choose another degradation" in caught.value.next


def test_the_page_lists_every_degradation_that_can_be_undone() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "restore-images.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert rows == [row.example for row in RESTORABLE.values()]
