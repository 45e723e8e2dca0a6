"""Letters burned into films are found where they are, and told where they go with the label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from overread.audit.shortcuts.mark_finder import ZONES, find_marks
from overread.audit.shortcuts.marks import _between, look_for_marks
from overread.cohort.phantom.chest_film import simulate
from overread.cohort.phantom.marks import burn
from overread.cohort.phantom.options import Options
from overread.cohort.phantom.plan import plan_exams
from simulated_cohorts import Films, cohort


def _film(random: np.random.Generator, side: int = 128) -> np.ndarray:
    """A smooth bright body on a dark ground with noise: nothing that looks like a letter."""
    film = np.zeros((side, side), np.float32)
    film[side // 5 : -side // 5, side // 5 : -side // 5] = 0.9
    return gaussian_filter(film, side / 20) + random.normal(0, 0.01, film.shape).astype(np.float32)


def _marked(seed, burned, patients=30, tag=lambda ill: {}):
    audited, sketches = cohort(seed, patients, acquisition=lambda ill, r: tag(ill))
    random, pictures = np.random.default_rng(seed), {}
    for case in audited.cases:
        pictures[case.case_id] = _film(random)
        text = burned(case.truth["ill"], random)
        if text:
            burn(pictures[case.case_id], text, 1.0, "upper left")
    return replace(audited, open_image=Films(pictures)), sketches


@pytest.mark.parametrize(("side", "text"), [(128, "PORT"), (256, "L"), (512, "PORT"), (700, "R")])
def test_letters_are_found_where_they_are(side, text):
    film = _film(np.random.default_rng(side), side)
    assert find_marks(film) == []
    burn(film, text, 1.0, "upper left")
    (mark,) = find_marks(film)
    assert mark.zone == "upper left"
    assert mark.letters == len(text)


def test_the_scale_of_the_pixels_does_not_matter():
    film = _film(np.random.default_rng(1))
    burn(film, "PORT", 1.0, "lower right")
    (mark,) = find_marks((film * 4000 + 1000).astype(np.int16))
    assert mark.zone == "lower right"


def test_a_film_too_small_for_letters_says_so_and_an_empty_one_has_none():
    assert find_marks(np.zeros((64, 64))) is None
    assert find_marks(np.zeros((128, 128))) == []


@pytest.mark.parametrize("unmarked", [True, False])
def test_the_planted_marker_of_the_phantom_is_found(unmarked):
    options = Options("chest", 3, "png", 128, None, 11, ())
    for planned in plan_exams(options)[:3]:
        film = simulate(replace(planned, has_marker=not unmarked), options).stored
        zones = [mark.zone for mark in find_marks(film) or []]
        assert zones.count("upper left") == (0 if unmarked else 1)


def test_a_marker_that_follows_the_label_raises_an_alarm():
    audited, sketches = _marked(1, lambda ill, r: "PORT" if r.random() < (0.9 if ill else 0.05) else "")
    concerns, table = look_for_marks(audited, sketches)
    assert [(c.key, c.severity) for c in concerns] == [("mark-follows-label", "warning"), ("marks-in-pixels", "note")]
    assert "upper left" in concerns[0].statement
    assert table["with_marks"] == len(table["marks"]) < table["films"] == len(audited.cases)
    row = next(r for r in table["rows"] if r["sign"] == "upper left")
    assert row["shares"]["ill"]["low"] > row["shares"]["healthy"]["high"]


def test_a_mark_in_every_film_is_a_note():
    concerns, table = look_for_marks(*_marked(2, lambda ill, r: "R"))
    assert [c.key for c in concerns] == ["marks-in-pixels"]
    assert concerns[0].evidence["share"]["estimate"] == 1.0
    assert not any(row["follows"] for row in table["rows"])


def test_the_word_of_the_header_counts():
    audited, sketches = _marked(3, lambda ill, r: "", tag=lambda ill: {"burned_in": "YES" if ill else "NO"})
    concerns, _ = look_for_marks(audited, sketches)
    assert [c.key for c in concerns] == ["mark-follows-label", "marks-in-pixels"]
    assert "header: text is burned in" in concerns[0].statement


def test_clean_films_raise_no_alarm_and_few_patients_are_said_aloud():
    assert look_for_marks(*_marked(4, lambda ill, r: "R" if r.random() < 0.5 else ""))[0][0].key == "marks-in-pixels"
    concerns, _ = look_for_marks(*_marked(5, lambda ill, r: "", patients=12))
    assert [c.key for c in concerns] == ["marks-too-few"]


def test_small_films_are_said_aloud():
    audited, sketches = cohort(6, 12)
    concerns, table = look_for_marks(
        replace(audited, open_image=Films({c.case_id: np.zeros((28, 28)) for c in audited.cases})), sketches
    )
    assert [c.key for c in concerns] == ["marks-too-small"]
    assert table["films"] == 0


def test_the_statistic_is_pearsons():
    random = np.random.default_rng(7)
    signs, codes = (random.random((60, 2)) < 0.4).astype(float), random.integers(0, 3, 60)
    for k in range(2):
        counts = np.array([[(signs[codes == c, k] == v).sum() for v in (0, 1)] for c in range(3)])
        assert _between(signs, codes[None])[0, k] == pytest.approx(stats.chi2_contingency(counts, correction=False).statistic)


def test_zones_are_ninths_of_the_film():
    assert len(ZONES) == 9
