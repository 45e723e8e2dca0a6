"""Regions beyond the usual: place, size and order of planted ones, and alarms no more often than stated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.metrics.anomaly import Alarm, as_objects, case_score, fit_alarm, regions, usual_errors


def maps(count: int, shape: tuple[int, int, int] = (1, 24, 24), seed: int = 0) -> list[np.ndarray]:
    """Errors that are larger on the left than on the right, as at the border of a heart."""
    random = np.random.default_rng(seed)
    across = np.linspace(3.0, 1.0, shape[2])
    return [np.abs(random.normal(size=shape)) * across + across for _ in range(count)]


def test_errors_are_judged_by_what_is_usual_at_their_place() -> None:
    usual = usual_errors(maps(60))
    beyond = np.stack([usual.standardised(error) for error in maps(60, seed=1)])
    left, right = beyond[..., :6].std(), beyond[..., -6:].std()
    assert left == pytest.approx(right, rel=0.15)
    planted = maps(1, seed=2)[0]
    planted[0, 10:14, 19:23] += 4.0  # little on the left, much on the right
    assert usual.standardised(planted)[0, 10:14, 19:23].mean() > 3.0
    with pytest.raises(OverreadError, match=r"size \(1, 8, 8\) cannot be judged by normal cases of size \(1, 24, 24\)"):
        usual.standardised(np.zeros((1, 8, 8)))
    with pytest.raises(OverreadError, match="no normal case"):
        usual_errors([])


def test_cases_of_several_sizes_share_one_scale_and_even_maps_stay_finite() -> None:
    usual = usual_errors([*maps(3), *maps(3, (1, 16, 20))])
    assert usual.centre.shape == ()
    assert np.isfinite(usual.standardised(maps(1, (2, 9, 9))[0])).all()
    assert np.isfinite(usual_errors([np.ones((1, 8, 8))] * 3).standardised(np.ones((1, 8, 8)))).all()


def test_the_score_of_a_case_is_the_highest_level_of_enough_touching_voxels() -> None:
    random = np.random.default_rng(3)
    for voxels in (1, 3, 6):
        beyond = random.normal(size=(3, 9, 9)).astype(np.float32)
        levels = np.unique(beyond)[::-1]
        whole = np.ones((3, 3, 3))
        slow = next(
            level for level in levels if np.bincount(ndimage.label(beyond >= level, whole)[0].ravel())[1:].max() >= voxels
        )
        assert case_score(beyond, voxels) == pytest.approx(float(slow), abs=1e-4)
    lonely = np.zeros((1, 9, 9), np.float32)
    lonely[0, 4, 4] = 50.0
    assert case_score(lonely, 4) == 0.0
    with pytest.raises(OverreadError, match="A map of 3 voxels has no region of 4"):
        case_score(np.zeros((1, 1, 3)), 4)


def test_new_normal_cases_raise_no_more_alarms_than_stated() -> None:
    usual = usual_errors(maps(40))
    raised = []
    for seed in range(8):
        fitted = [usual.standardised(error) for error in maps(29, seed=100 + seed)]
        alarm = fit_alarm(fitted, [f"P-{k}" for k in range(29)], 0.2)
        fresh = [usual.standardised(error) for error in maps(15, seed=500 + seed)]
        raised += [bool(regions(beyond, alarm, Grid.from_spacing(beyond.shape, is_planar=True))) for beyond in fresh]
        assert raised[-15:] == [case_score(beyond) >= alarm.threshold for beyond in fresh]
    assert 0.08 < np.mean(raised) < 0.3  # 120 cases; 0.2 is expected


def test_an_alarm_counts_patients_and_needs_enough_of_them() -> None:
    normal = maps(20)
    of_two = fit_alarm(normal, [f"P-{k // 2}" for k in range(20)], 0.2)
    assert of_two.n_patients == 10
    highest = sorted(max(case_score(normal[k]), case_score(normal[k + 1])) for k in range(0, 20, 2))
    assert of_two.threshold == pytest.approx(highest[8])
    with pytest.raises(OverreadError, match=r"10 normal patients are too few .* of 0\.05; 19 are the least"):
        fit_alarm(normal, [f"P-{k // 2}" for k in range(20)], 0.05)
    assert fit_alarm(maps(19), [f"P-{k}" for k in range(19)], 0.05).n_patients == 19
    with pytest.raises(OverreadError, match="rate of 0 is no share"):
        fit_alarm(normal, ["P"] * 20, 0)


def test_regions_are_ranked_with_place_and_size() -> None:
    beyond = np.zeros((6, 20, 20), np.float32)
    beyond[2:4, 3:6, 10:14] = 5.0
    beyond[5, 15:18, 1:4] = 8.0
    beyond[0, 0, 0:3] = 9.0  # too small to be one
    grid = Grid.from_spacing(beyond.shape, (4.0, 2.0, 1.0))
    first, second = regions(beyond, Alarm(3.0, 4, 0.1, 20), grid)
    assert (first.score, second.score) == (8.0, 5.0)
    assert first.centre == (5.0, 16.0, 2.0)
    assert first.centre_mm == pytest.approx((2.0, 32.0, 20.0))
    assert (first.voxels, second.voxels) == (9, 24)
    assert second.longest == pytest.approx(8.0)  # two slices of 4 mm
    assert second.volume_ml == pytest.approx(24 * 8 / 1000)
    objects = as_objects((first, second), grid)
    assert (objects.mask(1) == (beyond == 5.0)).all()
    assert regions(beyond, Alarm(10.0, 4, 0.1, 20), grid) == ()
    film = Grid.from_spacing((1, 20, 20), spacing_known=False, is_planar=True)
    (only,) = regions(beyond[5:], Alarm(3.0, 4, 0.1, 20), film)
    assert (only.centre_mm, only.volume_ml, only.longest) == (None, None, 3.0)
