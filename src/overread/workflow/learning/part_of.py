"""A run that is one of many trainings, of a learning curve or a selection, is told apart from a run of its own."""

from __future__ import annotations

from typing import Any

from overread.cohort.subdivision import OPEN, read_subdivision
from overread.core.errors import OverreadError
from overread.record.run import RunFolder
from overread.workflow.project import Project

NOTE = "This run is one training of"  # how its note begins, in evaluations and in its report


def part_note(run: RunFolder) -> str:
    """What has to be said wherever a score of such a run is shown; "" for a run on the project's own partitions."""
    given = read_subdivision(run.subdivision)
    if given is None:
        return ""
    about = "; ".join(f"{name.replace('_', ' ')} {_words(value)}" for name, value in given.about.items())
    counts = ", ".join(f"{len(getattr(given, side))} {side} cases" for side in OPEN)
    return f"{NOTE} {given.part_of} ({about}; {counts}). It was made to be compared and stands for no model to be used."


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {inner}" for key, inner in value.items()) or "as in project.toml"
    return f"{value:g}" if isinstance(value, float) else str(value)


def refuse_a_part(project: Project, run_name: str | None, fold: int | None) -> None:
    """Nothing under seal is opened for one training among many: that would be choosing by the test."""
    for number in [fold] if fold is not None else project.folds or [None]:
        run = project.run(run_name, number)
        given = read_subdivision(run.subdivision)
        if given is not None:
            raise OverreadError(
                f"Run '{run_name}' is one training of {given.part_of}; it has not read the internal test, and no seal is opened "
                "for it.",
                f"evaluate a run of its own: `{project.command('train')}`, then "
                f"`{project.command('evaluate', '--run', 'NAME', '--on', 'internal')}`",
            )
