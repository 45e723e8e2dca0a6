"""overread update"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, project_argument, summary_outcome
from overread.workflow.external import home_of
from overread.workflow.update import update as take_in


@click.command(cls=Verb, example="overread update liver")
@project_argument
@click.option("--reason", default="", help="Why, for the ledger: above all by whom and how truths were read again.")
@click.option(
    "--leak-override",
    metavar="REASON",
    default="",
    help="Why a patient may be in the project and in an external cohort; goes into the ledger.",
)
def update(project: Path, reason: str, leak_override: str) -> Outcome:
    """Take in new patients and corrected labels as a new version of the cohort.

    Looks through the same folders and sheet again. Nobody changes partition, a new exam goes where its
    patient already is, and everything that changed is listed. Models trained before stay as they are. DIR may
    also be an external cohort: DIR/external/NAME.

    Truths that were corrected after a test was opened are counted: the first result stays in the ledger and is
    shown first, with a warning where only cases were corrected that the model had got wrong.
    """
    taken = take_in(project, reason=reason, leak_override=leak_override, progress=reporter())
    home = home_of(taken)
    follow = command("train", project, "--minutes", 15) if home is None else command("external", home.path, taken.path.name)
    return summary_outcome(taken.summary, follow)
