"""Similar cases: who is a neighbour, who never is, and how often neighbours are alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from overread.core.grid import Grid
from overread.core.kinds import Boxes, Findings, LabelMap, Measurements, Structure
from overread.core.question import Question
from overread.evaluation.rules import Rules
from overread.explanation.embedding.likeness import alike, label_columns, plain_truth, rule_words
from overread.explanation.embedding.projections import standardised
from overread.explanation.embedding.similar import Library, nearest, nearest_by_pixels, precision

TWO = Question("classification", ("sound", "ill"), positive="ill")
RULES = Rules(resamples=200)


def pictures(random: np.random.Generator, count: int) -> np.ndarray:
    values = random.normal(size=(count, 20))
    values -= values.mean(1, keepdims=True)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def library_of(random: np.random.Generator, count: int = 40, patients: int = 15) -> Library:
    ids = tuple(f"C{k}" for k in range(count))
    return Library(ids, tuple(f"P{k % patients}" for k in range(count)), random.normal(size=(count, 6)), pictures(random, count))


def test_neighbours_are_those_of_an_independent_search() -> None:
    random = np.random.default_rng(0)
    library = library_of(random)
    asked = random.normal(size=(9, 6))
    found = nearest(library, asked, pictures(random, 9), [f"Q{k}" for k in range(9)], 5)
    oracle = NearestNeighbors(n_neighbors=5, metric="cosine").fit(standardised(library.features))
    distances, rows = oracle.kneighbors(standardised(asked, library.features))
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.distances, distances, atol=1e-9)
    assert found.copies == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_a_neighbour_is_never_of_the_same_patient(seed: int, patients: int) -> None:
    random = np.random.default_rng(seed)
    library = library_of(random, 20, patients)
    own = [f"P{k % patients}" for k in range(7)]
    for found in (
        nearest(library, library.features[:7], pictures(random, 7), own),
        nearest_by_pixels(library, pictures(random, 7), own),
    ):
        for holder, rows, distances in zip(own, found.rows, found.distances, strict=True):
            assert holder not in {library.patient_ids[row] for row in rows if row >= 0}
            assert (np.isnan(distances) == (rows < 0)).all()
        if patients == 1:
            assert (found.rows == -1).all()


def test_a_copy_of_the_picture_under_another_patient_is_left_out() -> None:
    random = np.random.default_rng(1)
    library = library_of(random)
    found = nearest(library, library.features[:1], library.pixels[:1], ["somebody else"])
    assert 0 not in found.rows
    assert found.copies == 1
    other = nearest(library, library.features[:1], pictures(random, 1), ["somebody else"])
    assert other.rows[0, 0] == 0
    assert other.only(np.array([False])).rows.shape == (0, 5)


def test_precision_is_the_share_of_neighbours_of_the_same_class_and_chance_the_prevalence() -> None:
    random = np.random.default_rng(2)
    ill = random.random(200) < 0.3
    features = random.normal(size=(200, 4)) + 5 * ill[:, None]
    library = Library(tuple(map(str, range(120))), tuple(f"P{k}" for k in range(120)), features[:120], pictures(random, 120))
    truths = np.stack([~ill, ill], axis=1).astype(float)
    own = [f"Q{k // 2}" for k in range(80)]
    pixels = pictures(random, 80)
    near, by_pixels = nearest(library, features[120:], pixels, own), nearest_by_pixels(library, pixels, own)
    found = precision(TWO, library, truths[:120], truths[120:], own, near, by_pixels, RULES)
    by_hand = np.mean([(ill[:120][rows] == own_label).mean() for rows, own_label in zip(near.rows, ill[120:], strict=True)])
    chance = np.mean([(ill[:120] == own_label).mean() for own_label in ill[120:]])
    assert found.by_features.estimate == pytest.approx(by_hand)
    assert found.by_chance.estimate == pytest.approx(chance)
    assert found.over_chance.estimate == pytest.approx(by_hand - chance)
    assert found.over_chance.low is not None
    assert found.over_chance.low > 0.2
    assert found.by_features.n_patients == 40
    assert abs((found.by_pixels.estimate or 0) - chance) < 0.1
    assert found.as_dict()["k"] == 5


def test_truths_in_numbers_and_words_and_when_they_are_alike() -> None:
    plain = plain_truth(TWO, Findings({"sound": 0.0, "ill": 1.0}))
    assert plain.words == "ill"
    assert plain_truth(TWO, Findings({"sound": None, "ill": None})).words == "not known"
    others = np.array([[0.0, 1.0], [1.0, 0.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(alike(TWO, plain.values, others, np.ones(2)), [1, 0, np.nan])

    several = Question("classification", ("nodule", "mass", "effusion"), exclusive=False)
    one = plain_truth(several, Findings({"nodule": 1.0, "mass": 1.0, "effusion": 0.0}))
    assert one.words == "nodule, mass"
    found = alike(several, one.values, np.array([[1.0, 0, 0], [0, 0, 1], [1, 1, 0]]), np.ones(3))
    np.testing.assert_allclose(found, [0.5, 0, 1])
    assert alike(several, np.zeros(3), np.zeros((1, 3)), np.ones(3)) == [1]

    number = Question("regression", ("age",), units=("years",))
    aged = plain_truth(number, Measurements({"age": 50.0}))
    assert aged.words == "age 50 years"
    np.testing.assert_array_equal(alike(number, aged.values, np.array([[54.0], [56.0]]), np.array([10.0])), [1, 0])

    grid = Grid.from_spacing((2, 10, 10), (5.0, 10.0, 10.0))
    layers = np.zeros((1, 2, 10, 10), np.uint8)
    layers[0, :, :4] = 1
    masks = Question("segmentation", ("liver", "cyst"), (1, 2))
    drawn = plain_truth(masks, LabelMap(layers, (Structure("liver", 1), Structure("cyst", 2)), grid))
    assert drawn.words == "liver 40 ml"
    np.testing.assert_array_equal(alike(masks, drawn.values, np.array([[70.0, 0], [90, 0], [40, 1]]), np.ones(2)), [1, 0, 0])

    boxes = Question("detection", ("nodule",))
    marked = plain_truth(boxes, Boxes(np.zeros((2, 2, 3)), ("nodule",) * 2, np.ones(2), grid))
    assert marked.words == "2 nodule"
    np.testing.assert_array_equal(alike(boxes, marked.values, np.array([[3.0], [4], [0]]), np.ones(1)), [1, 0, 0])
    for question in (TWO, several, number, masks, boxes):
        assert rule_words(question).startswith("alike: ")


def test_labels_as_columns() -> None:
    plain = plain_truth(TWO, Findings({"sound": 1.0, "ill": 0.0}))
    assert label_columns(TWO, {"C-1": plain}) == {"label": {"C-1": "sound"}}
    boxes = Question("detection", ("nodule",))
    marked = plain_truth(boxes, Boxes(np.zeros((0, 2, 3)), (), np.ones(0), Grid.from_spacing((1, 4, 4))))
    assert marked.words == "no object"
    assert label_columns(boxes, {"C-1": marked}) == {"number of nodule": {"C-1": 0.0}}
