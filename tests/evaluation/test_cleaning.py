"""Clean-up of masks is chosen only where it helps the tuning cases."""

import numpy as np

from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.core.question import Decisions, Question
from overread.evaluation.decisions.cleaning import fit_cleaning
from overread.metrics.components import clean

ORGANS = Question("segmentation", ("liver", "lesion"), (1, 2))
STRUCTURES = (Structure("liver", 1), Structure("lesion", 2))


def label_map(*boxes, spacing_known: bool = True) -> LabelMap:
    layer = np.zeros((6, 30, 30), np.uint8)
    for value, start, stop in boxes:
        layer[1:5, start:stop, start:stop] = value
    return LabelMap(layer[None], STRUCTURES, Grid.from_spacing(layer.shape, (5.0, 5.0, 5.0), spacing_known=spacing_known))


def fit(*pairs) -> Decisions:
    return fit_cleaning(ORGANS, [lambda pair=pair: pair for pair in pairs])


def test_a_second_liver_is_dropped_and_two_lesions_are_kept() -> None:
    truth = label_map((1, 0, 12), (2, 14, 18), (2, 20, 24))
    answer = label_map((1, 0, 12), (1, 26, 29), (2, 14, 18), (2, 20, 24))
    decisions = fit((truth, answer), (truth, answer))
    assert decisions.keep_largest == ("liver",)
    assert decisions.minimum_ml == {}
    assert np.array_equal(clean(answer, decisions).layers, truth.layers)


def test_small_false_lesions_are_dropped_by_their_volume() -> None:
    truth = label_map((2, 0, 6), (2, 10, 16))
    answer = label_map((2, 0, 6), (2, 10, 16), (2, 20, 22), (2, 25, 27))
    decisions = fit((truth, answer), (truth, answer))
    assert decisions.keep_largest == ()
    assert list(decisions.minimum_ml) == ["lesion"]
    assert np.array_equal(clean(answer, decisions).layers, truth.layers)


def test_nothing_is_chosen_where_nothing_is_gained() -> None:
    truth = label_map((1, 0, 12), (2, 14, 18), (2, 20, 24))
    earlier = Decisions(temperature=1.5)
    assert fit_cleaning(ORGANS, [lambda: (truth, truth)], earlier) == earlier
    assert fit() == Decisions()


def test_without_spacing_there_is_no_minimum_volume() -> None:
    truth = label_map((2, 0, 6), (2, 10, 16), spacing_known=False)
    answer = label_map((2, 0, 6), (2, 10, 16), (2, 20, 22), spacing_known=False)
    assert fit((truth, answer)).minimum_ml == {}


def test_an_empty_truth_counts_when_false_lesions_go() -> None:
    empty, full = label_map(), label_map((2, 0, 8))
    decisions = fit((empty, label_map((2, 20, 22))), (full, full), (empty, label_map((2, 24, 26))))
    assert decisions.minimum_ml["lesion"] > 0
