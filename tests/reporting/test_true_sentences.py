"""Sentences of the report that were once printed whether they were true or not."""

from __future__ import annotations

from dataclasses import replace

from overread.reporting.report import render
from overread.reporting.words import standing
from reporting import fakes

LIMIT = {"name": "age", "coverage": 0.9, "limit": 7.5, "n_patients": 30, "is_present": True, "fitted_on": "tuning"}


def test_what_was_fitted_on_tuning_cases_is_what_the_model_holds() -> None:
    said = {
        task: standing({"partition": "tuning", "task": task}, {"conformal": [LIMIT]}) for task in ("regression", "classification")
    }
    assert "The width of the intervals around its numbers was fitted on tuning cases; settings" in said["regression"]
    assert "The operating point, the calibration and the sets of possible classes were fitted" in said["classification"]
    masks = {"partition": "tuning", "task": "segmentation"}
    assert "The clean-up of masks was fitted" in standing(masks, {"temperature": 1.0})
    assert "The clean-up of masks and the temperature of their probabilities were fitted" in standing(masks, {"temperature": 1.4})
    assert "Nothing in the model was fitted" in standing({"partition": "tuning", "task": "regression"}, {"conformal": []})


def test_limits_of_a_model_without_a_card_show_in_its_scores() -> None:
    scored = {"partition": "tuning", "task": "regression", "scores": [{"metric": "conformal_coverage"}]}
    assert "The width of the intervals" in standing(scored)


def test_the_page_says_what_the_frozen_model_holds() -> None:
    given = fakes.regression()
    page = " ".join(render(replace(given, model={**given.model, "decisions": {"conformal": [LIMIT]}})).split())
    assert "The width of the intervals around its numbers was fitted on tuning cases" in page
    assert "Nothing in the model was fitted" not in page


def test_a_comparison_with_readers_is_not_denied() -> None:
    """It may have been made: `overread compare --readers` writes where it is told, not into the run."""
    page = " ".join(render(fakes.classification()).split())
    assert "No comparison with readers is part of this report." in page
    assert "No comparison with readers.<" not in page
