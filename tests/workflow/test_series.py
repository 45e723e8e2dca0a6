"""Trainings that belong together are kept under one set of settings: what project.toml says counts as what --set says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from overread.core.errors import OverreadError
from overread.record.files import read_json
from overread.workflow.init import init
from overread.workflow.learning.series import keep_order, settings_digest
from overread.workflow.project import Project
from workflow.balls import films

FIXED = ("cohort", "overrides", "settings")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("series")
    made = films(folder / "cohort", count=24, edge=16)
    given: dict[str, Any] = {"sheet": made / "sheet.csv", "group_by": "patient", "label": ["ball"], "positive": "large"}
    return init(folder / "project", made / "images", **given, tuning=0.34, internal=0.25)


def otherwise(project: Project, section: str, **values: object) -> Project:
    """The project as if its project.toml said something else."""
    changed = getattr(project.settings, section).model_copy(update=values)
    return Project(project.path, settings=project.settings.model_copy(update={section: changed}))


def order(project: Project, **overrides: str) -> dict[str, Any]:
    return {"cohort": "c", "overrides": overrides, "settings": settings_digest(project, overrides)}


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("training", {"learning_rate": 0.1}),
        ("training", {"network": {"width": 4}}),
        ("region", {"model": "first.overread"}),
        ("evaluation", {"matching": "hit"}),
        ("evaluation", {"threshold_rule": "0.5"}),
    ],
)
def test_a_change_of_what_shapes_a_training_is_told(project: Project, tmp_path: Path, section: str, values: dict) -> None:
    path = tmp_path / "order.json"
    keep_order(path, order(project), FIXED, "The curve 'a'")
    keep_order(path, order(project), FIXED, "The curve 'a'")
    with pytest.raises(OverreadError, match=r"what changed: \[training\], \[region\] or \[evaluation\] in project\.toml"):
        keep_order(path, order(otherwise(project, section, **values)), FIXED, "The curve 'a'")


def test_what_shapes_none_changes_nothing(project: Project) -> None:
    plain = settings_digest(project, {})
    for section, values in (
        ("training", {"minutes": 3.0}),  # an order holds budget and seed itself
        ("training", {"seed": 4}),
        ("training", {"loss": "auto"}),  # what is so without the line
        ("evaluation", {"hypothesis": "It is as good as a reader."}),
        ("evaluation", {"primary_endpoint": "auc"}),
        ("cohort", {"covariates": ("age",)}),
    ):
        assert settings_digest(otherwise(project, section, **values), {}) == plain


def test_set_and_project_toml_say_the_same(project: Project, tmp_path: Path) -> None:
    said = settings_digest(project, {"training.learning_rate": "0.1"})
    assert said == settings_digest(otherwise(project, "training", learning_rate=0.1), {})
    keep_order(tmp_path / "order.json", order(project), FIXED, "The curve 'a'")
    with pytest.raises(OverreadError, match=r"what changed: overrides\."):
        keep_order(tmp_path / "order.json", order(project, **{"training.loss": "focal"}), FIXED, "The curve 'a'")


def test_an_order_from_before_goes_on(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "order.json"
    old = {key: value for key, value in order(project).items() if key != "settings"}
    keep_order(path, old, ("cohort", "overrides"), "The curve 'a'")
    keep_order(path, order(project), FIXED, "The curve 'a'")
    assert read_json(path)["settings"] == settings_digest(project, {})
