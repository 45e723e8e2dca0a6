"""Anybody's answers at the edge: all right, all wrong, one case, one patient, no truth; a sensible line or a reason each time."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.evaluation.result import Result
from overread.workflow.evaluate import evaluate_answers

SICK, WELL = "sick person", "gesünder"


def evaluated(folder, header, truths, answers, task="classification", **words) -> Result:
    """truths, answers  a row of cells per case, without the id."""
    for name, titles, rows in (("truth", header[0], truths), ("answers", header[1], answers)):
        lines = [f"c{k:03d};" + ";".join(map(str, row)) for k, row in enumerate(rows)]
        (folder / f"{name}.csv").write_text("\n".join([f"id;{titles}", *lines]) + "\n")
    return evaluate_answers(folder / "truth.csv", folder / "answers.csv", task, resamples=200, **words)


def two(folder, truth, p, **words) -> Result:
    named = {"positive": SICK, "classes": (WELL, SICK), **words}
    return evaluated(folder, ("diagnosis", "p"), [[t] for t in truth], [[v] for v in p], **named)


def check(result: Result) -> None:
    """Every score has a value that lies in an interval of some width, or says why not."""
    for row in result["scores"]:
        interval = Interval.from_dict(row["interval"])
        if interval.estimate is None or interval.low is None or interval.high is None:
            assert interval.reason, row
            continue
        assert np.isfinite([interval.estimate, interval.low, interval.high]).all(), row
        assert interval.low <= interval.estimate <= interval.high, row
        assert interval.high - interval.low > 1e-6, row


TEN = [SICK] * 10 + [WELL] * 10


@pytest.mark.parametrize(
    ("truth", "p"),
    [
        (TEN, [0.9] * 10 + [0.1] * 10),
        (TEN, [0.1] * 10 + [0.9] * 10),
        (TEN, [0.5] * 20),
        (TEN, [1] * 10 + [0] * 10),
        ([SICK] + [WELL] * 19, np.linspace(0.9, 0.1, 20)),
        ([SICK] + [WELL] * 19, np.linspace(0.1, 0.9, 20)),
        ([WELL] * 20, np.linspace(0.1, 0.9, 20)),
        ([SICK], [0.9]),
        ([SICK, WELL], [0.9, 0.2]),
        ([""] * 20, [0.5] * 20),
    ],
)
@pytest.mark.parametrize("sampling", [{}, {"sampling": "enriched", "prevalence": 0.02}])
def test_two_classes(tmp_path, truth, p, sampling) -> None:
    check(two(tmp_path, truth, p, **sampling))


@pytest.mark.parametrize("patients", [["P"] * 20, ["P"] * 10 + ["Q"] * 10, [f"P{k // 4}" for k in range(20)]])
def test_few_patients(tmp_path, patients) -> None:
    rows = [[label, patient] for label, patient in zip(TEN, patients, strict=True)]
    p = [[0.9]] * 9 + [[0.1]] * 9 + [[0.6], [0.4]]
    result = evaluated(tmp_path, ("diagnosis;patient", "p"), rows, p, positive=SICK)
    check(result)
    if len(set(patients)) == 2:  # each class is one patient's: the ratio is there, and nobody can say how sure it is
        ratio = result["lr_positive"][SICK]
        assert (ratio.estimate, ratio.reason) == (pytest.approx(9.0), "all cases of a class are of one patient")


def test_a_finding_of_which_no_truth_is_known(tmp_path) -> None:
    truths = [[k % 2, "", 0] for k in range(12)]
    result = evaluated(tmp_path, ("nodule;effusion;mass",) * 2, truths, [[0.3, 0.4, 0.1]] * 12)
    check(result)
    assert {s["interval"]["estimate"] for s in result["scores"] if s["subject"] == "effusion"} == {None}
    assert "effusion: the truth of 12 of 12 cases is not known; they are left out of this class." in result["notes"]


NUMBERS = [float(v) for v in range(40, 60)]


@pytest.mark.parametrize(
    ("truth", "answer"),
    [
        (NUMBERS, NUMBERS),
        (NUMBERS, [v + 0.1 for v in NUMBERS]),
        (NUMBERS, [50] * 20),
        ([50] * 20, NUMBERS),
        ([""] * 20, NUMBERS),
        (NUMBERS[:1], NUMBERS[1:2]),
        (NUMBERS[:2], NUMBERS[1:3]),
    ],
)
def test_numbers(tmp_path, truth, answer) -> None:
    check(evaluated(tmp_path, ("age", "age"), [[v] for v in truth], [[v] for v in answer], "regression"))


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e999"])
def test_an_answer_without_end_is_refused_and_its_case_never_left_out(tmp_path, cell) -> None:
    with pytest.raises(OverreadError, match=r"case c019, column 'age': .* is not a number"):
        evaluated(tmp_path, ("age", "age"), [[v] for v in NUMBERS], [*([v] for v in NUMBERS[:19]), [cell]], "regression")


def test_calibration_in_the_large_needs_no_slope(tmp_path) -> None:
    result = two(tmp_path, TEN, [0.9] * 10 + [0.1] * 10)
    large = result["calibration_intercept"][SICK]
    assert large.estimate == pytest.approx(0.0, abs=1e-9)
    assert (large.low, large.reason.partition(",")[0]) == (None, "the probability parts the classes without an error")
    constant = two(tmp_path, [SICK] * 6 + [WELL] * 14, [0.5] * 20)["calibration_intercept"][SICK]
    assert constant.low < np.log(0.3 / 0.7) < constant.high


def test_few_of_a_kind_beside_many_are_said(tmp_path) -> None:
    random = np.random.default_rng(0)
    truth = [SICK] * 4 + [WELL] * 96
    found = two(tmp_path, truth, np.round(random.random(100), 3))
    said = "4 positive patients beside 96 others (sick person): expect this interval to be too narrow"
    assert found["auc"][SICK].reason == said
    assert found["balanced_accuracy"]["all"].reason == said
    even = two(tmp_path, TEN * 5, np.round(random.random(100), 3))
    assert (even["auc"][SICK].reason, even["balanced_accuracy"]["all"].reason) == ("", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"threshold": 2.0}, "The threshold 2 is no probability"),
        ({"threshold": float("nan")}, "The threshold nan is no probability"),
        ({"positive": "ill"}, "'ill', said to be positive, is neither"),
        ({"prevalence": 0.0}, "0 for sick person is no share between 0 and 1"),
        ({"prevalence": 1.0}, "no share between 0 and 1"),
        ({"spacing": (0.0, 1.0, 1.0)}, "The spacing 0 1 1 is no distance"),
        ({"tolerance_mm": -1.0}, "The tolerance -1 mm is no distance"),
    ],
)
def test_words_that_cannot_be_are_refused(tmp_path, words, message) -> None:
    with pytest.raises(OverreadError, match=message):
        two(tmp_path, TEN, [0.5] * 20, **words)


def test_grades_are_named_in_their_order(tmp_path) -> None:
    grades = ("low", "middle", "high")
    truth = [grades[k % 3] for k in range(30)]
    off = np.minimum(np.arange(30) % 3 + (np.arange(30) % 5 == 0), 2)  # a fifth is called one grade too high
    answers = np.full((30, 3), 0.1)
    answers[np.arange(30), off] = 0.8
    header = ("grade", ";".join(grades))
    cells = [[t] for t in truth], answers.tolist()
    result = evaluated(tmp_path, header, *cells, classes=grades, ordered=True)
    expected = {k: cohen_kappa_score([grades.index(t) for t in truth], off, weights=k) for k in ("linear", "quadratic")}
    assert {k: result[f"kappa_{k}"]["all"].estimate for k in expected} == pytest.approx(expected)
    with pytest.raises(OverreadError, match="have no order yet"):
        evaluated(tmp_path, header, *cells, ordered=True)
