"""Cases without an answer count as errors; leaving them out is shown apart."""

from __future__ import annotations

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Findings, LabelMap, Measurements, Structure
from overread.core.question import Decisions, OperatingPoint, Question
from overread.evaluation.answered import NO_FOLD, answered
from overread.evaluation.comparing.compared import as_arrays
from overread.evaluation.results import About, evaluate
from overread.evaluation.rules import Rules
from overread.evaluation.sources.predictions import Predictions
from overread.evaluation.sources.refused import worst_answers
from overread.evaluation.sources.refused_masks import worst_mask
from overread.metrics.label_maps import score_label_maps
from overread.record.files import write_json, write_text

TWO = Question("classification", ("well", "ill"), positive="ill")
THREE = Question("classification", ("a", "b", "c"))
FINDINGS = Question("classification", ("x", "y"), exclusive=False)
AGE = Question("regression", ("age",), units=("years",))
RULES = Rules(resamples=100)


def two(k: int) -> tuple[Findings, Findings]:
    """Truth and a perfect answer: every third case is ill."""
    ill = float(k % 3 == 0)
    return Findings({"well": 1 - ill, "ill": ill}), Findings({"well": 0.9 - 0.8 * ill, "ill": 0.1 + 0.8 * ill})


def perfect(refused: tuple[str, ...], count: int = 24, **options) -> dict:
    truths, answers = zip(*(two(k) for k in range(count)), strict=True)
    names = [f"case-{k:02d}" for k in range(count)]
    given = [Findings({"well": None, "ill": None}) if n in refused else a for n, a in zip(names, answers, strict=True)]
    decisions = Decisions((OperatingPoint("ill", 0.5, "youden"),))
    table = answered(TWO, names, names, truths, given, decisions, refused=refused, **options)
    about = About("tuning", refused=dict.fromkeys(refused, "not-finite"))
    return evaluate(TWO, table, {NO_FOLD: decisions}, RULES, about)


def test_a_refused_case_is_a_wrong_call_with_the_worst_score() -> None:
    whole, result = perfect(()), perfect(("case-00", "case-01"))
    assert whole["auc"]["ill"].estimate == 1.0
    assert "answered_only" not in whole
    assert result["n_cases"] == 24
    assert result["sensitivity"]["ill"].estimate == pytest.approx(7 / 8)
    assert result["specificity"]["ill"].estimate == pytest.approx(15 / 16)
    assert result["auc"]["ill"].estimate == pytest.approx(7 / 8 * 15 / 16)  # both are below, or above, everybody else
    assert "2 of 24 cases were refused or failed: not-finite (2)" in result["notes"][0]
    row = result["cases"][0]
    assert (row["refused"], row["answer"], row["called"], row["error"]) == ("not-finite", {"well": None, "ill": None}, [], 1.0)
    second = result["answered_only"]
    assert (second["n_refused"], second["n_cases"], second["reasons"]) == (2, 22, {"not-finite": 2})
    area = next(s for s in second["scores"] if s["metric"] == "auc" and s["subject"] == "ill")
    assert area["interval"]["estimate"] == 1.0


def test_a_unit_is_refused_only_where_none_of_its_cases_was_answered() -> None:
    units = [f"patient-{k // 2}" for k in range(24)]
    truths = [two(k // 2)[0] for k in range(24)]
    answers = [two(k // 2)[1] for k in range(24)]
    gone = ("c00", "c02", "c03")
    names = [f"c{k:02d}" for k in range(24)]
    given = [Findings({"well": None, "ill": None}) if n in gone else a for n, a in zip(names, answers, strict=True)]
    decisions = Decisions((OperatingPoint("ill", 0.5, "youden"),))
    table = answered(TWO, names, units, truths, given, decisions, units=units, aggregation="max", refused=gone)
    assert table.refused.tolist() == [False, True] + [False] * 10
    assert table.answer[0].tolist() == pytest.approx([0.1, 0.9])
    assert table.answer[1].tolist() == [0.0, 1.0]  # well, so the worst answer is ill


def test_a_refused_case_is_compared_as_the_error_that_it_counted_as() -> None:
    """From the rows of an evaluation come the arrays that it was made of."""
    whole, result = perfect(()), perfect(("case-00", "case-01"))
    table = as_arrays(TWO, result["cases"])
    assert table.answer[:2].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert table.called[:2].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert table.refused.tolist() == [True, True] + [False] * 22
    assert np.mean(table.called[table.truth[:, 1] > 0.5, 1]) == pytest.approx(result["sensitivity"]["ill"].estimate)
    np.testing.assert_array_equal(as_arrays(TWO, whole["cases"]).answer[2:], table.answer[2:])

    truths = [Measurements({"age": 20.0 + k}) for k in range(12)]
    answers = [Measurements({"age": None if k == 0 else 20.0 + k}) for k in range(12)]
    names = [f"c{k}" for k in range(12)]
    numbers = answered(AGE, names, names, truths, answers, Decisions(), refused=("c0",))
    found = evaluate(AGE, numbers, {NO_FOLD: Decisions()}, RULES, About("tuning", refused={"c0": "gone"}))
    np.testing.assert_array_equal(as_arrays(AGE, found["cases"]).answer, numbers.answer)


def test_the_worst_answers() -> None:
    answers, calls = worst_answers(THREE, np.array([[0, 1, 0], [1, 0, 0.0]]))
    assert answers.tolist() == [[0.5, 0, 0.5], [0, 0.5, 0.5]]
    assert calls.tolist() == [[1, 0, 0], [0, 1, 0]]
    answers, calls = worst_answers(FINDINGS, np.array([[1, np.nan], [0, 1.0]]))
    np.testing.assert_array_equal(answers, [[0, np.nan], [1, 0]])
    np.testing.assert_array_equal(calls, answers)
    answers, _ = worst_answers(AGE, np.array([[20.0], [70], [60], [np.nan]]))
    np.testing.assert_array_equal(answers[:, 0], [70, 20, 20, np.nan])


def test_refused_numbers_take_the_far_end() -> None:
    truths = [Measurements({"age": 20.0 + k}) for k in range(12)]
    answers = [Measurements({"age": None if k == 0 else 20.0 + k}) for k in range(12)]
    names = [f"c{k}" for k in range(12)]
    table = answered(AGE, names, names, truths, answers, Decisions(), refused=("c0",))
    result = evaluate(AGE, table, {NO_FOLD: Decisions()}, RULES, About("tuning", refused={"c0": "gone"}))
    assert result["mae"]["age"].estimate == pytest.approx(11 / 12)
    assert result["answered_only"]["n_cases"] == 11


def test_a_refused_mask_has_dice_0_whether_the_structure_is_there_or_not() -> None:
    grid = Grid.from_spacing((3, 6, 6), (1.0, 1.0, 1.0))
    layers = np.zeros((1, 3, 6, 6), np.uint8)
    layers[0, 1, 2:4, 2:4] = 4
    truth = LabelMap(layers, (Structure("liver", 4, 0), Structure("lesion", 9, 0)), grid)
    scored = score_label_maps(truth, worst_mask(truth), ("liver", "lesion"), 2.0)
    assert [scored[name].scores["dice"].value for name in ("liver", "lesion")] == [0.0, 0.0]
    assert [scored[name].in_answer for name in ("liver", "lesion")] == [False, True]


def test_refusals_are_said_in_answers_json(tmp_path) -> None:
    folder = tmp_path / "internal"
    write_text(folder / "answers.csv", "case_id,well,ill\nc1,0.5,0.5\n")
    write_json(folder / "answers.json", {"refused": {"c2": "missing-slice"}})
    predictions = Predictions(folder, TWO)
    predictions.check_complete(["c1", "c2"])
    assert predictions.values(["c2"])[0].probabilities == {"well": None, "ill": None}
    with pytest.raises(OverreadError, match="1 of 3 internal cases have no answer"):
        predictions.check_complete(["c1", "c2", "c3"])
    write_json(folder / "answers.json", {"refused": {"c1": "missing-slice"}})
    with pytest.raises(OverreadError, match=r"c1 is listed as refused .* has an answer all the same"):
        Predictions(folder, TWO).check_complete(["c1"])
    write_json(folder / "answers.json", {"refused": ["c1"]})
    with pytest.raises(OverreadError, match=r"'refused' in .* is"):
        Predictions(folder, TWO).check_complete(["c1"])
