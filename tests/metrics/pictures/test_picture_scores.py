"""All scores of one image, beside those of what was read; the table; the quick scores of the training loop."""

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Picture
from overread.core.question import Question
from overread.metrics.metric import Metric
from overread.metrics.pictures import rows
from overread.metrics.pictures.score import score_channel, score_picture
from overread.metrics.quick import quick_scores
from overread.metrics.table import METRICS, default_endpoint, metrics_for, resolve_endpoint

RESTORE = Question("restore", ("ct",), given=("ct",), degradation="noise 20")
COPY = Question("autoencode", ("red", "green"), given=("red", "green"))


def truth_and_noise(shape=(1, 24, 24), noise: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    truth = np.pad(random.normal(100, 20, shape), ((0, 0), (6, 6), (6, 6))).astype(np.float32)
    return truth, (truth + random.normal(0, noise, truth.shape)).astype(np.float32)


def picture(*channels: np.ndarray) -> Picture:
    return Picture(np.stack(channels), Grid.from_spacing(channels[0].shape, is_planar=True))


def test_every_score_has_a_row_and_every_row_a_score() -> None:
    truth, answer = truth_and_noise()
    found = score_channel(truth, answer, "a.u.", truth_and_noise(noise=20.0)[1])
    assert set(found.scores) == {metric.key for metric in rows.metrics_of(RESTORE)} == {m.key for m in rows.ROWS}
    assert set(score_channel(truth, answer, "a.u.").scores) == {metric.key for metric in rows.metrics_of(COPY)}
    assert all(METRICS[key].definition == f"{key}/1" for key in found.scores)


def test_a_gain_is_above_0_where_the_answer_is_better_than_what_was_read() -> None:
    truth, answer = truth_and_noise()
    found = score_channel(truth, answer, "a.u.", truth_and_noise(noise=20.0)[1]).scores
    for metric in rows.SCORES:
        assert found[metric.key + rows.GAIN].value > 0
        sign = -1 if metric.better == "lower" else 1
        gain = sign * (found[metric.key].value - found[metric.key + rows.READ].value)
        assert found[metric.key + rows.GAIN].value == pytest.approx(gain)
    without = score_channel(truth, answer, "a.u.", "what was read is in HU, the truth in a.u.").scores
    assert "is in HU" in without["ssim_read"].reason
    assert "is in HU" in without["ssim_gain"].reason


def test_within_the_body_air_counts_for_nothing() -> None:
    truth, _ = truth_and_noise()
    answer = truth.copy()
    answer[truth == 0] += 50.0
    found = score_channel(truth, answer, "a.u.").scores
    assert found["body_mae"].value == 0.0
    assert found["body_psnr"].value == pytest.approx(100.0)
    assert found["image_mae"].value > 10
    assert found["body_ssim"].value > found["ssim"].value


def test_structures_are_scored_by_themselves() -> None:
    truth, answer = truth_and_noise()
    lesion = np.zeros(truth.shape, bool)
    lesion[:, 10:14, 10:14] = True
    answer[lesion] = 0.0
    found = score_channel(truth, answer, "a.u.", None, {"lesion": lesion}).within["lesion"]
    assert found["image_mae"].value == pytest.approx(truth[lesion].mean(), rel=1e-6)
    assert set(found) == {"ssim", "psnr", "image_mae"}


def test_pictures_of_several_channels_and_of_another_shape() -> None:
    truth, answer = truth_and_noise()
    found = score_picture(picture(truth, answer), picture(truth, truth), COPY.classes)
    assert found["red"].scores["ssim"].value == pytest.approx(1.0)
    assert found["green"].scores["ssim"].value < 1
    with pytest.raises(OverreadError, match="different shapes"):
        score_picture(picture(truth), picture(truth[:, 1:]), ("red",))


def test_the_default_endpoint_is_ssim_and_gains_are_endpoints_too() -> None:
    assert default_endpoint(RESTORE) == "ssim"
    assert resolve_endpoint(RESTORE, "ssim") == (rows.SSIM, "ct")
    assert resolve_endpoint(RESTORE, "psnr_gain")[0].better == "higher"
    assert resolve_endpoint(COPY, "ssim")[1] == "mean"
    with pytest.raises(OverreadError, match="names no metric of a autoencode"):
        resolve_endpoint(COPY, "ssim_gain")
    assert metrics_for(Question("synthesize", ("ct",))) == {}
    assert all(isinstance(metric, Metric) for metric in metrics_for(RESTORE)["ct"])


def test_quick_scores_are_those_of_the_evaluation() -> None:
    truth, answer = truth_and_noise()
    found = quick_scores(COPY, [picture(truth, answer)], [picture(answer, answer)])
    exact = score_channel(truth, answer, "a.u.").scores
    assert found["ssim/red"] == pytest.approx(exact["ssim"].value)
    assert found["psnr/green"] == pytest.approx(100.0)
    assert found["ssim"] == pytest.approx((exact["ssim"].value + 1) / 2)
    with pytest.raises(TypeError, match="pictures were expected"):
        quick_scores(COPY, [None], [None])  # type: ignore[list-item]
