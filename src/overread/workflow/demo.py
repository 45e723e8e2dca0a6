"""`overread demo`: from nothing to a report on a phantom, saying each step aloud with the command that does it.

Afterwards the folder holds an ordinary project, so that every verb can be tried on it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.evaluation.result import Result
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init
from overread.workflow.phantom import phantom
from overread.workflow.report import report
from overread.workflow.train import train

DECLARED = {
    "hypothesis": "The network outlines the phantom's liver with a mean Dice above 0.80",
    "primary_endpoint": "dice/liver",
    "margin": 0.8,
}
# Coarse voxels and small windows, so that minutes on a laptop are many steps; a real training leaves both to the plan.
QUICK = {"training.spacing": "5,5,5", "training.patch": "32,48,48"}
RUN = "first"


@dataclass(frozen=True)
class Demo:
    """What the demo leaves: the project, its report, the model, and the evaluation of the internal test."""

    project: Path
    report: Path
    model: Path
    evaluation: Result


def demo(
    folder: Path,
    minutes: float = 2.5,
    patients: int = 24,
    *,
    epochs: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> Demo:
    """Make a phantom cohort, train, open the seal of the phantom once, and write the report.

    minutes, epochs  time for training; epochs instead of minutes where they are given
    tell             gets each step as a line for people
    """
    images, place = Path(folder) / "phantom", Path(folder) / "project"
    if place.exists() or images.exists():
        raise OverreadError(f"{folder} already holds a demo.", f"remove it (rm -r {folder}), or name another folder")
    step = Steps(tell)
    step("Drawing phantom patients", "phantom", images, "--patients", patients)
    drawn = phantom(images, patients=patients, progress=progress)
    tell(str(drawn))
    words = ("--images", drawn.images, "--truth", drawn.masks, "--sheet", drawn.sheet, "--group-by", "patient_id")
    step("Making a project; the truth of its internal test goes under seal", "init", place, *words)
    project = init(place, drawn.images, drawn.masks, drawn.sheet, group_by="patient_id", progress=progress)
    tell(str(project.summary).partition("\nNext: ")[0])
    coarse = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
    step("Planning and training", "train", place, "--name", RUN, "--minutes", minutes, *coarse)
    run = train(project, None if epochs else minutes, epochs, name=RUN, overrides=QUICK, progress=progress)
    step("Scoring the tuning cases", "evaluate", place)
    evaluate(project, RUN)
    tell("\nNow the seal of this phantom's internal test is opened, for the first and only time. With patients, this")
    tell("is the moment to stop and think: what is to be shown, by which score, against which margin?")
    step("Opening the internal test", "evaluate", place, "--on", "internal")
    evaluation = evaluate(project, RUN, "internal", declare=DECLARED)
    step("Writing the report", "report", place)
    page = report(project, RUN)
    return Demo(place, page, next(run.path.glob("*.overread")), evaluation)


class Steps:
    """Counts the steps and shows for each the command that does the same by hand."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._number = 0

    def __call__(self, what: str, *words: object) -> None:
        self._number += 1
        self._tell(f"\n{self._number}. {what}")
        self._tell(f"   $ overread {shlex.join(str(word) for word in words)}")
