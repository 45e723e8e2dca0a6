"""The demo really runs, on a smaller phantom; the pages that lead there by hand are followed in test_pages.py."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from overread.workflow import demo as demo_room
from overread.workflow.phantom import phantom


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
