"""Two patients with multiple sclerosis, FLAIR, T1 and T2, lesions as components: a journey in 3D, and no score is claimed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from overread.cohort.load import load_image, load_truth
from overread.core.errors import OverreadError
from overread.core.kinds import Instances
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init
from overread.workflow.plan import plan
from overread.workflow.project import Project
from overread.workflow.report import report
from overread.workflow.train import train

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CHANNELS = {"flair.file": "FLAIR_*", "t1.file": "T1_*", "t2.file": "T2_*"}
LESIONS = 135  # connected over 26 neighbours; over 6 they are 49 + 140


def test_two_patients_in_three_dimensions(tmp_path: Path, shared_data: Path) -> None:
    data = shared_data / "open_ms"
    words = {"truth": data, "task": "instances", "series": CHANNELS, "names": {"1": "lesion"}, "tuning": 0.5}
    with pytest.raises(OverreadError, match="Of 2 patients no training, tuning and test can be made") as few:
        init(tmp_path / "p", data, **words)  # type: ignore[arg-type]
    assert "--internal 0; nothing can be claimed then" in few.value.next
    project = init(tmp_path / "p", data, internal=0, **words)  # type: ignore[arg-type]
    assert project.summary is not None
    text = "\n".join(project.summary.lines)
    assert "channels flair, t1, t2" in text
    assert "26 neighbours touch, in 2D 8" in text
    assert "no internal test is set aside (--internal 0), so nothing can be claimed of a model" in text
    cohort = project.cohort()
    truths = [load_truth(cohort, case) for case in cohort.cases]
    assert all(isinstance(t, Instances) for t in truths)
    assert sum(len(t.classes) for t in truths if isinstance(t, Instances)) == LESIONS
    assert load_image(cohort, cohort.cases[0]).array.shape == (3, 182, 218, 182)

    settings = tmp_path / "p" / "project.toml"  # coarse and small: the journey is looked at, not the score
    small = "[training]\nspacing = [4.0, 4.0, 4.0]\npatch = [16, 24, 24]\nbatch = 1\n"
    settings.write_text(settings.read_text().replace("[training]\n", small, 1))
    project = Project.open(project.path)
    plan(project, preflight=False)
    run = train(project, epochs=1)
    result = evaluate(project, panels=False)
    assert any(re.search("no internal test, so nothing is claimed", note) for note in result["notes"])
    assert result["n_cases"] == 1
    with pytest.raises(OverreadError, match="This project has no internal test, so nothing can be claimed of its models"):
        evaluate(project, on="internal")
    page = report(project, run.name).read_text()
    assert "No internal test was made" in page
    assert np.isfinite(result["scores"][0]["interval"]["estimate"] or 0.0)
