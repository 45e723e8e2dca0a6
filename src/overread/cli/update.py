"""overread update"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, project_argument, summary_outcome
from overread.workflow.update import update as take_in


@click.command(cls=Verb, example="overread update liver")
@project_argument
def update(project: Path) -> Outcome:
    """Take in new patients and corrected labels as a new version of the cohort.

    Looks through the same folders and sheet again. Nobody changes partition, a new exam goes where its
    patient already is, and everything that changed is listed. Models trained before stay as they are.
    """
    return summary_outcome(take_in(project, progress=reporter()).summary, command("train", project, "--minutes", 15))
