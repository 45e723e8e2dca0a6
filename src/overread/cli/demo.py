"""overread demo"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.scores import describe
from overread.cli.verb import Outcome, Verb, command


@click.command(cls=Verb, example="overread demo\noverread demo my-demo --minutes 1")
@click.argument("folder", metavar="[FOLDER]", default="demo", type=click.Path(file_okay=False, path_type=Path))
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=2.5, show_default=True, help="Time for training.")
@click.option("--patients", type=click.IntRange(min=8), default=24, show_default=True, help="Phantom patients to draw.")
def demo(folder: Path, minutes: float, patients: int) -> Outcome:
    """Phantom to report in one go: see what Overread does.

    Draws phantom patients into FOLDER, makes a project, plans, trains, opens the seal of the phantom's
    internal test, scores and writes the report. Each step is said aloud with the command that does it,
    and the project stays for you to play with.
    """
    from overread.workflow.demo import demo as run_demo

    done = run_demo(folder, minutes, patients, tell=lambda line: click.echo(line, err=True), progress=reporter())
    lines = [describe(done.evaluation), "", f"Report: {done.report}", f"Model:  {done.model}"]
    values = {"report": str(done.report), "model": str(done.model), "evaluation": done.evaluation}
    return Outcome("\n".join(lines), values, command("ledger", done.project))
