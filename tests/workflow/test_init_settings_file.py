"""project.toml: every fault at once, and a file that reads back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from overread.core.errors import OverreadError
from overread.workflow.settings import ImagesSection, ProjectSection, QuestionSection, Settings
from overread.workflow.settings_file import check_settings, read_settings, settings_text, write_settings

GOOD = {"project": {"name": "a"}, "images": {"folder": "x"}, "question": {"task": "classification", "classes": ["a", "b"]}}


def settings() -> Settings:
    return Settings(
        project=ProjectSection(name="liver"),
        images=ImagesSection(folder="../studies", series={"description": '*thin "B"*'}),
        question=QuestionSection(task="classification", classes=("a # b", "c"), positive="c"),
    )


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    write_settings(tmp_path / "project.toml", settings(), {"question.positive": "you said so", "images.folder": "class folders"})
    assert read_settings(tmp_path / "project.toml") == settings()


def test_reasons_stand_beside_their_lines() -> None:
    text = settings_text(settings(), {"question.positive": "you\nsaid so"})
    line = next(line for line in text.splitlines() if line.startswith("positive ="))
    assert line.endswith("# you said so")
    assert 'hypothesis = ""' in text


def test_all_faults_come_together_with_the_nearest_name() -> None:
    with pytest.raises(OverreadError) as caught:
        check_settings({**GOOD, "training": {"learning_rte": 0.1, "epochs": "ten"}})
    assert str(caught.value).startswith(
        "The configuration has 2 faults: training.learning_rte: no such setting; did you mean learning_rate? "
        "training.epochs: 'ten' should be int"
    )


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("training", {"minuets": 3}, "training.minuets: no such setting; did you mean minutes?"),
        (
            "question",
            {"task": "clasification", "classes": ["a"]},
            "question.task: 'clasification' should be one of 'classification'",
        ),
        ("training", {"patch": [1, 2]}, "training.patch: [1, 2] should be a list of 3 times int or 'auto'"),
        ("split", {"learning_rate": 1}, "split.learning_rate: no such setting; did you mean training.learning_rate?"),
        ("trainning", {"epochs": 1}, "trainning: no such setting; did you mean training?"),
        ("project", {}, "project.name: missing, should be text."),
        ("training", {"augmentation": {"scael": 1}}, "training.augmentation.scael: no such setting; did you mean scale?"),
    ],
)
def test_faults_in_plain_words(section: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(OverreadError) as caught:
        check_settings({**GOOD, section: values})
    assert message in str(caught.value)


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "project.toml").write_text("[project]\nname = liver\n")
    with pytest.raises(OverreadError, match=r"project.toml is not valid TOML: .*line 2(?s:.*)quotation marks"):
        read_settings(tmp_path / "project.toml")


def test_no_project_points_to_init(tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match=r"There is no project in(?s:.*)overread init"):
        read_settings(tmp_path / "project.toml")
