"""Thresholds, merging and least sizes: from tuning cases, plain unless the gain is clear; too few cases are said."""

import numpy as np
import pytest

from evaluation.drawn_objects import GRID, QUESTION, boxes, drawn_case, instances
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes
from overread.core.question import Decisions, Question
from overread.evaluation.decisions.false_positives import cases_needed, false_positives_rule
from overread.evaluation.objects.decisions import as_found, before_and_after, fit_object_decisions
from overread.evaluation.objects.found_case import found_case
from overread.metrics.objects.decide import apply_decisions

ONE = Question("detection", ("nodule",))


def fitted(pairs, question=QUESTION, **words):
    truths, answers = zip(*pairs, strict=True)
    return fit_object_decisions(question, truths, answers, [f"P-{k}" for k in range(len(pairs))], **words)


def test_the_threshold_keeps_to_the_false_positives() -> None:
    random = np.random.default_rng(0)
    pairs = [drawn_case(random) for _ in range(40)]
    few, many = (fitted(pairs, false_positives=aim) for aim in (0.1, 1.0))
    for name in QUESTION.classes:
        for decisions, aim in ((few, 0.1), (many, 1.0)):
            decided = [found_case(QUESTION, "C", "P", *pair, decisions).decided for pair in pairs]
            false = sum(
                of == name and partner < 0 for d in decided for of, partner in zip(d.answer_classes, d.partner, strict=True)
            )
            assert false <= aim * 40
        assert few.threshold(name) >= many.threshold(name)
    point = many.operating_points[0]
    assert (point.rule, point.is_supported, point.needed) == ("at most 1 false positive per case", True, None)
    assert point.sensitivity > 0.5


def test_too_few_cases_are_said() -> None:
    pairs = [drawn_case(np.random.default_rng(1)) for _ in range(10)]
    point = fitted(pairs, false_positives=0.125).operating_points[0]
    assert not point.is_supported
    assert point.needed == cases_needed(0.125) == 24
    assert point.rule == (
        "largest F1 of objects ('at most 0.125 false positives per case' is not supported by 10 patients; 24 are needed)"
    )


def test_a_class_without_an_object_or_an_answer_keeps_one_half() -> None:
    nothing, something = boxes([]), boxes([("nodule", 0.8, 1, 1, 9, 9)])
    decisions = fitted([(something, nothing), (nothing, nothing)])
    rules = {p.class_name: (p.threshold, p.rule) for p in decisions.operating_points}
    assert rules["nodule"] == (
        0.5,
        "0.5 (no answer in the tuning cases, so 'at most 1 false positive per case' cannot be fitted)",
    )
    assert "no object of it in the tuning cases" in rules["mass"][1]


def twice(count: int) -> list[tuple[Boxes, Boxes]]:
    """Every object answered twice, the second time nearly as surely, beside false ones that are less sure."""
    random = np.random.default_rng(2)
    pairs = []
    for _ in range(count):
        y, x = random.integers(0, 80, 2)
        sure = random.uniform(0.5, 1)
        rows = [("nodule", sure, y, x, y + 15, x + 15), ("nodule", sure - 0.01, y + 1, x, y + 16, x + 15)]
        pairs.append((boxes([("nodule", 1, y, x, y + 15, x + 15)]), boxes(rows)))
    return pairs


def test_answers_to_one_object_are_merged_where_that_clearly_helps() -> None:
    pairs = twice(30)
    decisions = fitted(pairs, ONE)
    assert decisions.merge_overlap is not None
    before = [found_case(ONE, "C", "P", *pair, as_found(decisions)) for pair in pairs]
    after = [found_case(ONE, "C", "P", *pair, decisions) for pair in pairs]
    (row,) = before_and_after(ONE, before, after)
    assert (row["before"]["answers"], row["after"]["answers"]) == (60, 30)
    assert row["after"]["froc"] > row["before"]["froc"]


def test_small_false_answers_are_dropped_where_that_clearly_helps() -> None:
    random = np.random.default_rng(3)
    pairs = []
    for _ in range(30):
        y, x = random.integers(0, 40, 2)
        specks = [("nodule", random.uniform(0.3, 1), 60 + 6 * k, 60, 62 + 6 * k, 62) for k in range(3)]
        true = ("nodule", random.uniform(0.2, 0.9), y, x, y + 15, x + 15)
        pairs.append((boxes([true]), boxes([true, *specks])))
    decisions = fitted(pairs, ONE)
    assert 2 < decisions.minimum_size["nodule"] < 0.9 * 15 + 1e-6
    assert decisions.merge_overlap is None


def test_nothing_is_merged_or_dropped_without_a_clear_gain() -> None:
    pairs = [drawn_case(np.random.default_rng(seed)) for seed in range(30)]
    decisions = fitted(pairs)
    assert decisions.merge_overlap is None
    assert decisions.minimum_size == {}


def test_instances_are_decided_by_their_voxels() -> None:
    question = Question("instances", ("nodule",))
    truth = instances([("nodule", 1, 10, 10, 20, 20)])
    answer = instances([("nodule", 0.8, 10, 10, 20, 20), ("nodule", 0.2, 40, 40, 50, 50)])
    decisions = fitted([(truth, answer)] * 6, question)
    assert decisions.threshold("nodule") == pytest.approx(0.5)
    assert len(apply_decisions(answer, decisions, ("nodule",)).classes) == 1


def test_decisions_survive_the_model_file() -> None:
    decisions = fitted(twice(30), ONE)
    assert Decisions.from_dict(decisions.as_dict()) == decisions


@pytest.mark.parametrize("aim", [0.0, -1.0, float("inf"), float("nan")])
def test_an_aim_that_is_none_is_refused(aim) -> None:
    with pytest.raises(OverreadError, match="cannot be reached by any threshold"):
        false_positives_rule(aim)


def test_no_least_size_where_some_sizes_are_in_pixels() -> None:
    """Half of the images know their spacing: one limit cannot serve both."""
    known = Grid.from_spacing((1, 100, 100), (1.0, 0.1, 0.1), is_planar=True)
    pairs = []
    for k in range(20):
        grid = known if k % 2 else GRID
        false = [("nodule", 0.95, y, 80, y + 2, 82) for y in range(0, 60, 10)]
        pairs.append((boxes([("nodule", 1, 10, 10, 30, 30)], grid), boxes([("nodule", 0.9, 10, 10, 30, 30), *false], grid)))
    assert fitted(pairs, ONE).minimum_size == {}
    assert fitted(pairs[::2], ONE).minimum_size != {}


def test_what_was_tried_travels_with_the_model() -> None:
    """A card says which rules were looked at, not only which was taken: each look is a chance to fit the tuning cases."""
    random = np.random.default_rng(12)
    decisions = fitted([drawn_case(random) for _ in range(30)])
    merges = [one for one in decisions.tried if one.rule == "merge_overlap"]
    assert [one.value for one in merges] == [0.1, 0.3, 0.5]
    assert all(one.subject == "mean" and 0 <= one.before <= 1 and 0 <= one.after <= 1 for one in merges)
    taken = [one.value for one in merges if one.taken]
    assert taken == ([] if decisions.merge_overlap is None else [decisions.merge_overlap])
    sizes = {one.subject: one.value for one in decisions.tried if one.rule == "minimum_size" and one.taken}
    assert sizes == decisions.minimum_size
    assert Decisions.from_dict(decisions.as_dict()) == decisions
    assert "tried" not in Decisions().as_dict()
