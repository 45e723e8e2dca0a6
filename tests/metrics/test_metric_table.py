"""The table of metrics: complete, consistent, and helpful where a name is wrong."""

import pytest

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.metrics.metric import INTERVALS
from overread.metrics.table import METRICS, default_endpoint, metrics_for, resolve_endpoint

BINARY = Question("classification", ("normal", "pneumonia"), positive="pneumonia")
SEVERAL = Question("classification", ("normal", "bacterial", "viral"))
FINDINGS = Question("classification", ("effusion", "nodule"), exclusive=False)
ORGANS = Question("segmentation", ("liver", "spleen"), (1, 2))
AGE = Question("regression", ("age",), units=("years",))


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_every_row_of_the_table_is_complete(metric) -> None:
    assert metric.name
    assert metric.formula
    assert metric.undefined
    assert metric.better in ("higher", "lower", "zero", "none")
    assert metric.interval in INTERVALS
    assert metric.definition == f"{metric.key}/1"
    assert (metric.parts is not None or metric.key == "accuracy") == (metric.interval == "wilson")


@pytest.mark.parametrize("question", [BINARY, SEVERAL, FINDINGS, ORGANS, AGE], ids=lambda q: f"{q.task} {len(q.classes)}")
def test_the_default_endpoint_exists(question) -> None:
    metric, subject = resolve_endpoint(question, default_endpoint(question))
    assert metric.key == default_endpoint(question)
    assert subject in metrics_for(question)


def test_an_endpoint_without_a_subject_means_the_mean_the_whole_or_the_only_one() -> None:
    assert resolve_endpoint(BINARY, "auc")[1] == "pneumonia"
    assert resolve_endpoint(BINARY, "accuracy")[1] == "all"
    assert resolve_endpoint(SEVERAL, "auc")[1] == "mean"
    assert resolve_endpoint(ORGANS, "dice")[1] == "mean"
    assert resolve_endpoint(ORGANS, "dice/liver")[1] == "liver"


def test_a_wrong_endpoint_is_met_with_what_there_is() -> None:
    with pytest.raises(OverreadError, match="did you mean dice"):
        resolve_endpoint(ORGANS, "dise/liver")
    with pytest.raises(OverreadError, match="leaves open which of liver, spleen"):
        resolve_endpoint(ORGANS, "volume_error_ml")
    with pytest.raises(OverreadError, match="exists for liver, spleen, mean, not for 'kidney'"):
        resolve_endpoint(ORGANS, "dice/kidney")


def test_two_classes_need_a_positive_one() -> None:
    with pytest.raises(OverreadError, match="which one is positive is not said"):
        metrics_for(Question("classification", ("a", "b")))
