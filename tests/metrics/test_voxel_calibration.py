"""Calibration over voxels: the code of a probability, what counts as near, and every number against an independent one."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.metrics import voxel_calibration as voxels
from overread.metrics.probability_code import CODES, DECODED, HALF, LEAST, LOGITS, encode, encode_where
from overread.metrics.voxel_table import BAND_VOXELS, Crop, VoxelMaps, near, tempered_volumes, voxel_tables

SHAPE = (10, 24, 22)


def case(seed: int, *, structures: int = 1, exclusive: bool = True, spacing=(2.0, 1.0, 1.0), known: bool = True):
    """Truth, raw probabilities by class (background first where exclusive), and maps of one made-up case."""
    random = np.random.default_rng(seed)
    grid = Grid.from_spacing(SHAPE, spacing, spacing_known=known)
    noise = ndimage.gaussian_filter(random.normal(size=(structures + 1, *SHAPE)), (0, 1, 2, 2))
    places = np.indices(SHAPE)
    scores = [noise[0] * 8]
    for k in range(structures):
        middle = (5, 7 + 9 * k, 11)
        distance = np.sqrt(sum(((p - m) * s) ** 2 for p, m, s in zip(places, middle, (2, 1, 1), strict=True)))
        scores.append(noise[k + 1] * 8 + 6 - distance)
    logits = np.stack(scores)
    if exclusive:
        raw = np.exp(logits - logits.max(0))
        raw /= raw.sum(0)
        drawn = (raw.cumsum(0) < random.random(SHAPE)).sum(0)
        layers = drawn[None].astype(np.uint8)
    else:
        raw = 1 / (1 + np.exp(-logits[1:]))
        layers = (random.random(raw.shape) < raw).astype(np.uint8)
    names = [f"s{k}" for k in range(structures)]
    listed = tuple(Structure(n, k + 1 if exclusive else 1, 0 if exclusive else k) for k, n in enumerate(names))
    first = 1 if exclusive else 0
    crops = {name: Crop.of(encode(raw[k + first])) for k, name in enumerate(names)}
    background = Crop.of(encode(raw[0])) if exclusive and structures > 1 else None
    return LabelMap(layers, listed, grid), raw, VoxelMaps(crops, background, grid, exclusive)


@given(hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(0, 1, width=32)))
def test_a_code_is_near_its_probability(probability) -> None:
    found = DECODED[encode(probability)]
    assert np.abs(found - probability).max() <= 0.0085
    inside = np.clip(probability.astype(float), LEAST, 1 - LEAST)
    logit = np.log(inside / (1 - inside))
    assert (np.abs(LOGITS[encode(probability)] - logit) <= 0.022 * (1 + np.abs(logit)) + 1e-3).all()


def test_codes_keep_order_and_one_half() -> None:
    assert np.array_equal(encode(DECODED[1:]), np.arange(1, CODES))
    assert encode(np.array([0.5]))[0] == HALF
    assert (np.diff(encode(np.linspace(0, 1, 5001)).astype(int)) >= 0).all()
    some = np.arange(24).reshape(2, 3, 4) % 2 == 0
    found = encode_where(some, np.full((2, 3, 4), 0.25))
    assert set(found[some]) == {encode(np.array([0.25]))[0]}
    assert not found[~some].any()


def test_near_is_the_inside_and_a_band_in_mm() -> None:
    core = np.zeros(SHAPE, bool)
    core[5, 12, 11] = True
    found = near(core, Grid.from_spacing(SHAPE, (3.0, 1.0, 0.5)))
    assert found.box == (slice(4, 7), slice(7, 18), slice(1, 22))
    assert found.values.all()
    assert near(core, Grid.from_spacing(SHAPE, (9.0, 9.0, 9.0))).values.shape == (3, 3, 3)
    unknown = near(core, Grid.from_spacing(SHAPE, spacing_known=False)).values.shape
    assert unknown[1:] == (2 * BAND_VOXELS + 1,) * 2
    assert not near(np.zeros(SHAPE, bool), Grid.from_spacing(SHAPE)).values.size


@pytest.fixture(scope="module")
def flat():
    """Sums of one case near the structure, and its voxels one by one with decoded probabilities."""
    truth, _, maps = case(0)
    table = voxel_tables(truth, maps, 1.0)["s0"]
    crop = maps.structures["s0"]
    codes = np.stack([crop.plane(z, SHAPE) for z in range(SHAPE[0])])
    region = near(truth.mask("s0") | (codes >= HALF), truth.grid)
    inside = np.zeros(SHAPE, bool)
    inside[region.box] = region.values
    return table, truth.mask("s0")[inside], codes[inside], inside


def test_a_table_counts_every_voxel_once(flat) -> None:
    table, truth, codes, inside = flat
    assert table.before.sum() == np.prod(SHAPE)
    assert table.before[1].sum() == inside.sum() < np.prod(SHAPE)
    assert table.before[0, 1].sum() == 0  # the structure lies wholly in the region
    assert np.array_equal(table.before[1, 1], np.bincount(codes[truth], minlength=CODES))
    assert table.voxel_ml == pytest.approx(0.002)


def test_scores_are_those_of_scikit_learn_on_the_voxels(flat) -> None:
    table, truth, codes, _ = flat
    sums, probability = table.before[1].reshape(-1).astype(float), DECODED[codes]
    value = {m.key: float(m.from_sums(sums)) for m in voxels.NEAR_METRICS}
    assert value["voxel_brier"] == pytest.approx(1000 * brier_score_loss(truth, probability))
    rate, mean = calibration_curve(truth, probability + 1e-12, n_bins=10)  # there, one half belongs to the bin below
    share = np.histogram(probability, np.linspace(0, 1, 11))[0] / len(truth)
    assert value["voxel_ece"] == pytest.approx((share[share > 0] * np.abs(rate - mean)).sum())
    assert value["voxel_observed_expected"] == pytest.approx(truth.sum() / probability.sum())
    parts = value["voxel_brier_reliability"] - value["voxel_brier_resolution"] + value["voxel_brier_uncertainty"]
    assert parts == pytest.approx(value["voxel_brier"])
    assert value["voxel_brier_uncertainty"] == pytest.approx(1000 * truth.mean() * (1 - truth.mean()))


def test_slope_and_intercept_are_those_of_statsmodels(flat) -> None:
    table, truth, codes, _ = flat
    sums = np.stack([table.before[1].reshape(-1), 3 * table.before[1].reshape(-1)])  # the unit of volume does not matter
    score = LOGITS[codes]
    both = sm.GLM(truth.astype(float), sm.add_constant(score), sm.families.Binomial()).fit()
    large = sm.GLM(truth.astype(float), np.ones(len(score)), sm.families.Binomial(), offset=score).fit()
    assert voxels.slope_from_sums(sums) == pytest.approx([both.params[1]] * 2, rel=1e-5)
    assert voxels.intercept_from_sums(sums) == pytest.approx([large.params[0]] * 2, abs=1e-6)


def test_one_kind_of_voxel_has_no_line() -> None:
    sums = np.zeros(2 * CODES)
    sums[10:20] = 5
    assert np.isnan(voxels.slope_from_sums(sums))
    assert np.isnan(voxels.intercept_from_sums(sums))
    separated = sums.copy()
    separated[CODES + 100 : CODES + 110] = 5
    assert np.isnan(voxels.slope_from_sums(separated))


@pytest.mark.parametrize(("structures", "exclusive"), [(1, True), (2, True), (3, True), (2, False)])
def test_a_temperature_in_codes_is_the_one_of_softmax(structures, exclusive) -> None:
    truth, raw, maps = case(1, structures=structures, exclusive=exclusive)
    exact = tempered_volumes(list(raw.astype(np.float32)), 1.7, exclusive=exclusive)
    logits = np.log(raw)
    by_hand = np.exp(logits / 1.7) / np.exp(logits / 1.7).sum(0) if exclusive else 1 / (1 + (1 / raw - 1) ** (1 / 1.7))
    assert np.abs(np.stack(exact) - by_hand).max() < 1e-5
    tables = voxel_tables(truth, maps, 1.7)
    for k, name in enumerate(maps.structures):
        direct = encode(exact[k + (1 if exclusive else 0)])
        counted = tables[name].after.sum((0, 1))
        assert abs((counted * DECODED).sum() - DECODED[direct].sum()) < 0.002 * direct.size


@pytest.mark.parametrize("exclusive", [True, False])
def test_no_temperature_changes_a_mask(exclusive) -> None:
    _, raw, _ = case(2, structures=2, exclusive=exclusive)
    for temperature in (0.4, 3.0):
        after = np.stack(tempered_volumes(list(raw), temperature, exclusive=exclusive))
        if exclusive:
            assert np.array_equal(after.argmax(0), raw.argmax(0))
        else:
            assert np.array_equal(after > 0.5, raw > 0.5)


def test_outside_the_field_of_view_there_is_no_probability() -> None:
    nothing = [np.zeros((1, 2, 2), np.float32)] * 3
    assert not np.stack(tempered_volumes(nothing, 2.0, exclusive=True)).any()
    assert not np.stack(tempered_volumes(nothing, 2.0, exclusive=False)).any()


def test_noise_between_patients_alone() -> None:
    """Calibrated in the mean, off by as much in either direction by patient: the noise says about how much."""
    random = np.random.default_rng(0)
    p = DECODED[HALF + 10]
    totals = np.zeros((400, 2 * CODES))
    rates = np.clip(p + random.normal(0, 0.1, 400), 0, 1)
    totals[:, HALF + 10], totals[:, CODES + HALF + 10] = 1000 * (1 - rates), 1000 * rates
    found = [float(voxels.ECE.from_sums(totals[random.integers(0, 400, 400)].sum(0))) for _ in range(200)]
    assert voxels.noise_ece(totals) == pytest.approx(np.mean(found), rel=0.6)
