"""Plan rows, words, numbers, preflight page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import LabelMap, Structure
from overread.reporting.charts.svg import tick_text, ticks
from overread.reporting.preflight import write_preflight
from overread.reporting.sections.planning import plan_rows, value_words
from overread.reporting.sections.results import confusion_rows, decimals, number, score_rows
from overread.reporting.words import leaks_accepted, listed, question_facts, question_sentence, split_sentence, standing


@pytest.mark.parametrize(
    ("value", "unit", "shown"), [(0.9514, "", "0.951"), (12.34, "ml", "12.3"), (3.456, "mm", "3.46"), (1432.4, "ml", "1432")]
)
def test_numbers_have_the_decimals_that_fit(value: float, unit: str, shown: str) -> None:
    assert number(value, unit) == shown
    assert decimals(-value, unit) == decimals(value, unit)


def test_confusion_percentages_run_along_rows() -> None:
    rows = confusion_rows({"labels": ["a", "b"], "counts": [[9, 1], [0, 0]]})
    assert [cell[1] for cell in rows[0].cells] == ["90%", "10%"]
    assert [cell[1] for cell in rows[1].cells] == ["–", "–"]


def test_reasons_stand_beside_their_own_choice() -> None:
    plan = {
        "format": 1,
        "question": {"task": "segmentation"},
        "loss": "dice",
        "scale": [1.0],
        "preparation": {"spacing": [1.0, 1.0, 1.0]},
        "network": {"name": "unet"},
        "augmentation": {"scale": 0.2, "mirror": [2]},
        "reasons": {
            "spacing": "median",
            "architecture": "small",
            "scale": "of numbers",
            "augmentation": "moderate",
            "other": "because",
        },
    }
    rows = {(row.group, row.name): row for row in plan_rows(plan)}
    assert rows["preparation", "spacing"].reason == "median"
    assert rows["preparation", "spacing"].value == "1 × 1 × 1 mm (Z, Y, X)"
    assert rows["network", "name"].reason == "small"
    assert rows["training", "scale"].reason == "of numbers"
    assert rows["augmentation", "scale"].reason == "", "the reason belongs to another choice of that name"
    assert rows["augmentation", ""].reason == "moderate"
    assert rows["further choices", "other"].reason == "because"
    assert not any(row.group == "question" for row in rows.values())


def test_a_nought_that_leaves_the_choice_to_the_program_says_so() -> None:
    told = {row.name: row.value for row in plan_rows({"ema": 0.0, "warmup_steps": 0})}
    assert told == {"": "", "ema": "by the number of steps", "warmup steps": "0"}
    assert plan_rows({"ema": 0.99})[1].value == "0.99"


def test_values_are_written_as_people_write_them() -> None:
    assert value_words(True) == "yes"
    assert value_words(["a", "b"]) == "a, b"
    assert value_words(0.00012345) == "0.0001234"
    assert value_words([{"scheme": "window", "low": -160.0}]) == "scheme window, low -160"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 40), (-3.2, 7.9), (0.001, 0.0042), (900, 2100), (5, 5)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in found)
    assert len({tick_text(t, found) for t in found}) == len(found)


def test_questions_are_asked_as_a_radiologist_would() -> None:
    base = {"units": [], "unit": "exam", "positive": None, "exclusive": True}
    assert question_sentence({**base, "task": "segmentation", "classes": ["liver"]}) == "Where in each exam is liver?"
    assert (
        question_sentence({**base, "task": "regression", "classes": ["age"], "units": ["years"]})
        == "How large is age (years) in each exam?"
    )
    assert "Which one of a, b and c" in question_sentence({**base, "task": "classification", "classes": ["a", "b", "c"]})
    assert listed([]) == "nothing"


def test_the_preflight_page(tmp_path: Path) -> None:
    grid = Grid.from_spacing((4, 16, 20))
    layers = np.zeros((1, *grid.shape), dtype=np.int16)
    layers[0, 1:3, 4:9, 5:12] = 1
    array = np.random.default_rng(0).normal(size=(1, *grid.shape)).astype(np.float32)
    path = write_preflight(
        tmp_path / "preflight.html",
        case_id="C-0001",
        image=Image(array, grid, "HU"),
        truth=LabelMap(layers, (Structure("liver", 1),), grid),
        prepared=array,
        prepared_label=layers[0],
        examples=[(array, layers[0])] * 3,
        plan={
            "question": {"task": "segmentation", "classes": ["liver"], "unit": "exam"},
            "loss": "dice",
            "reasons": {"loss": "few voxels"},
            "expected": {"seconds_per_step": 0.5, "memory_gib": 1.5},
        },
        is_phantom=True,
    )
    page = path.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    for words in ("PHANTOM", "few voxels", "Memory needed (GiB)", "Not a medical device", "Where in each exam is liver?"):
        assert words in page
    assert "http" not in page


GRADES = {"task": "classification", "classes": ["a", "b", "c"], "exclusive": True}


def test_the_split_is_told_from_the_record() -> None:
    drawn = {"split": {"scheme": "partitions", "seed": 3}}
    assert "column “mrn”" in split_sentence({**drawn, "cohort": {"group_by": "mrn", "by_patient": True}}, [])
    by_header = split_sentence({**drawn, "cohort": {"group_by": None, "by_patient": True}}, [])
    assert "All cases of one patient are in the same partition." in by_header, "the images named the patients, no column did"
    assert "each case counts as its own patient" in split_sentence({**drawn, "cohort": {"by_patient": False}}, [])
    accepted = [{"entry": "leak accepted", "leaks": [{"kind": "patient"}, {"kind": "image"}]}]
    told = split_sentence({"split": {"scheme": "given"}, "cohort": {"by_patient": True}}, accepted)
    assert leaks_accepted(accepted) == 2
    assert "2 leaks between them were found and accepted" in told
    assert "All cases of one patient" not in told


def test_the_rule_of_the_operating_point_is_the_frozen_one() -> None:
    planned = {"evaluation": {"threshold_rule": "youden"}}
    two = {"task": "classification", "classes": ["yes", "no"], "positive": "yes"}
    frozen = {"operating_points": [{"rule": "sensitivity >= 0.9"}]}
    assert dict(question_facts(two, planned, frozen))["Rule of the operating point"] == "sensitivity >= 0.9"
    assert "highest probability" in dict(question_facts(GRADES, planned, {}))["Rule of the operating point"]


def test_what_the_cases_had_to_do_with_the_model() -> None:
    assert "clean-up of masks" in standing({"partition": "tuning", "task": "segmentation"})
    assert "Nothing in the model" in standing({"partition": "tuning", "task": "regression"})
    assert "first opening" in standing({"partition": "internal", "task": "regression", "opening": {"number": 1}})
    assert "opening number 3" in standing({"partition": "internal", "task": "regression", "opening": {"number": 3}})


def test_an_interval_that_is_too_narrow_says_so_in_its_row() -> None:
    interval = {"estimate": 0.9, "low": 0.8, "high": 1.0, "level": 0.95, "method": "bootstrap", "n_cases": 9, "n_patients": 9}
    score = {"name": "Dice", "subject": "liver", "role": "tuning", "interval": {**interval, "reason": "too narrow"}}
    (row,) = score_rows({"scores": [score]})
    assert row.method == "95 %, bootstrap; too narrow"


def test_a_division_by_column_or_time_is_not_called_random() -> None:
    by_site = {"split": {"scheme": "folds", "folds": 2, "rule": {"by": "site", "levels": ["North", "South"]}}}
    told = split_sentence({**by_site, "cohort": {"by_patient": True}}, [])
    assert "divided by “site”, not at random: one fold for each of its 2 values (North and South)" in told
    assert "in the same fold" in told
    by_time = {"split": {"scheme": "partitions", "seed": 3, "rule": {"after": "2020-05-17"}}}
    told = split_sentence({**by_time, "cohort": {"by_patient": True}}, [])
    assert "by time, not at random: patients first seen on or after a day in 2020" in told
    assert "05-17" not in told, "the day is that of a patient's exam"


def test_a_class_that_says_nothing_is_asked_by_its_column() -> None:
    binary = {"task": "classification", "classes": ["no", "yes"], "positive": "yes", "unit": "exam"}
    assert question_sentence({**binary, "finding": "pneumonia"}) == "Does each exam show pneumonia?"
    assert question_sentence(binary) == "Does each exam show yes (rather than no)?"


def test_a_bar_is_drawn_for_shares_with_an_interval_only() -> None:
    interval = {"estimate": 0.5, "low": -0.4, "high": 0.9, "level": 0.95, "method": "bootstrap", "n_cases": 9, "n_patients": 9}
    score = {"name": "Matthews", "subject": "all", "role": "tuning", "better": "higher", "interval": interval}
    none = {**interval, "low": None, "high": None, "reason": "biased"}
    wide = {**interval, "low": 0.1}
    bars = [score_rows({"scores": [{**score, "interval": i}]})[0].bar != "" for i in (interval, none, wide)]
    assert bars == [False, False, True]
