"""The commands of the first tutorial really run, one after the other, on a tiny phantom; so does the demo."""

from __future__ import annotations

import re
import shlex
from functools import partial
from pathlib import Path

import pytest

from overread.cli.main import main
from overread.workflow import demo as demo_room
from overread.workflow.phantom import phantom

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "first-model.md"

# What makes the commands quick: smaller patients, one epoch. Everything else runs as it is written.
SMALL = {
    "phantom": ["--patients", "10", "--size", "40", "--slices", "16", "--format", "nifti"],
    "train": ["--epochs", "1", "--set", "training.patch=16,32,32", "--set", "training.precision=float32"],
}


def tutorial() -> list[list[str]]:
    """Words of each `overread` command, in order, but for `demo`, which is the tutorial in one go."""
    found = re.findall(r"^```sh\n(.*?)^```", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in found for line in block.splitlines() if line.startswith("overread ")]
    return [words for line in lines if (words := shlex.split(line)[1:])[0] != "demo"]


def quick(words: list[str]) -> list[str]:
    if "--minutes" in words:
        at = words.index("--minutes")
        words = words[:at] + words[at + 2 :]
    return [*words, *SMALL.get(words[0], [])]


def test_the_first_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for words in tutorial():
        code = main(quick(words))
        told = capsys.readouterr()
        assert code == 0, f"overread {shlex.join(words)}\n{told.out}\n{told.err}"
        if words[0] == "report":
            assert "PHANTOM" in Path(told.out.partition("Report: ")[2].splitlines()[0]).read_text(encoding="utf-8")
        if words[0] == "ledger":
            assert "number: 1" in told.out
            assert "margin: 0.9" in told.out
    answers = sorted(path.name for path in (tmp_path / "answers").iterdir())
    assert "answers.csv" in answers
    assert len([name for name in answers if name.endswith(".nii.gz")]) == len(list((tmp_path / "phantom" / "images").iterdir()))


def test_the_demo_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_room, "phantom", partial(phantom, size=40, slices=16, format="nifti"))
    said: list[str] = []
    done = demo_room.demo(tmp_path / "demo", patients=10, epochs=1, tell=said.append)
    assert done.report.exists()
    assert done.model.name == "project-first.overread"
    assert done.evaluation["partition"] == "internal"
    assert done.evaluation["opening"]["number"] == 1
    commands = [line.split()[2] for line in said if line.startswith("   $ overread")]
    assert commands == ["phantom", "init", "train", "evaluate", "evaluate", "report"]
    assert any("for the first and only time" in line for line in said)
    with pytest.raises(Exception, match="already holds a demo"):
        demo_room.demo(tmp_path / "demo")
