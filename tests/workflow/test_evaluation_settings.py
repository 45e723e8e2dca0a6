"""What `[evaluation]` may say of sampling, prevalence, calibration and the operating point; checked before training."""

import tomllib

import pytest

from overread.core.errors import OverreadError
from overread.workflow.settings import Settings
from overread.workflow.settings_file import check_settings, settings_text

TOML = """
[project]
name = "a"
[images]
folder = "images"
[question]
task = "classification"
classes = ["normal", "ill"]
positive = "ill"
[evaluation]
"""


def settings(lines: str) -> Settings:
    return check_settings(tomllib.loads(TOML + lines))


def test_sampling_is_asked_for_and_everything_comes_back_as_written() -> None:
    plain = settings_text(settings(""), {})
    assert 'sampling = "unknown"' in plain
    assert "consecutive (cases as they came)" in plain
    assert "\nprevalence" not in plain, "nothing is stated that nobody stated"
    given = settings(
        'sampling = "enriched"\nprevalence = { ill = 0.02 }\ncalibration = "platt"\nthreshold_rule = "miss at most 2 of 100"'
    )
    again = check_settings(tomllib.loads(settings_text(given, {})))
    assert again.evaluation == given.evaluation
    assert again.evaluation.prevalence == {"ill": 0.02}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('sampling = "enrich"', "did you mean 'enriched'"),
        ("prevalence = 2.0", "2 for ill is no share between 0 and 1"),
        ("prevalence = { x = 0.1 }", "'x' is no class"),
        ('prevalence = "much"', "should be number or a table of names and numbers"),
        ('threshold_rule = "best"', "The threshold rule 'best' is not known"),
        ('calibration = "plat"', "did you mean 'platt'"),
    ],
)
def test_a_mistake_is_found_before_training(line, message) -> None:
    with pytest.raises(OverreadError, match=message):
        settings(line)


def test_a_criterion_that_cannot_be_read_is_named_with_those_that_can() -> None:
    with pytest.raises(
        OverreadError, match=r"'iuo 0.5' is not understood. To put it right: write \"iou 0.5\", \"distance 10 mm\""
    ):
        settings('matching = "iuo 0.5"')
