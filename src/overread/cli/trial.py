"""overread trial"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from overread.cli.explained import names
from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, run_option
from overread.workflow.project import Project

EXAMPLE = """\
overread trial chest
overread trial chest --method grad_cam,saliency --limit 50 --drawn reader_a --drawn reader_b
overread trial chest --labels --minutes 10 --seeds second,third"""
WIDTH = 98


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@run_option
@fold_option("Projects of folds: the fold whose model is asked.")
@click.option(
    "--method", "methods", metavar="NAME,NAME", callback=names, help="Some of the methods; all that the network allows otherwise."
)
@click.option(
    "--limit", type=int, metavar="N", default=20, show_default=True, help="At most N tuning cases, always the same ones."
)
@click.option("--labels", is_flag=True, help="Train once more on shuffled truths, and compare the maps. Kept in the run.")
@click.option("--minutes", type=float, metavar="M", help="Of that training; as long as the run itself where not given.")
@click.option("--seeds", metavar="RUN,RUN", callback=names, help="Runs trained alike with other seeds: are their maps the same?")
@click.option(
    "--drawn",
    metavar="PATH",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Drawings of what is asked about: masks called like the images, or labels as init takes them. Once per reader.",
)
def trial(
    project: Path,
    run_name: str | None,
    fold: int | None,
    methods: tuple[str, ...],
    limit: int,
    labels: bool,
    minutes: float | None,
    seeds: tuple[str, ...],
    drawn: tuple[Path, ...],
) -> Outcome:
    """Put maps on trial before they are shown: do they depend on what was learned, and do they lie on the finding?

    Each method against weight randomisation, label randomisation (--labels), repeatability when the image moves and across
    trainings (--seeds), deletion and insertion against chance, localisation against drawn truth (--drawn, or the project's own),
    and completeness. Beside them an edge detector, a constant and a random map, which must fail. What was measured is kept: a
    trial that was stopped goes on by the same command. Only tuning cases are read.
    """
    from overread.workflow.trial import trial as put_on_trial  # loads torch: not for --help

    opened = Project.open(project)
    result = put_on_trial(
        opened,
        run_name,
        fold,
        methods,
        limit,
        labels=labels,
        minutes=minutes,
        seeds=seeds,
        drawn=drawn,
        progress=reporter(),
    )
    of_run = opened.run_words(opened.run(result["run"], fold))
    return Outcome(describe(result), result, command("explain", project, *of_run))


def describe(result: Mapping[str, Any]) -> str:
    """Cases, the verdict of each method and why, whether the controls failed as they must, and where the page is."""
    lines = [PHANTOM] if result["is_phantom"] else []
    cases, patients = _counted(result["n_cases"], "tuning case"), _counted(result["n_patients"], "patient")
    lines += [f"{cases} of {patients}; {result['n_drawn']} with a drawing.", ""]
    lines += _table([*result["methods"], *result["controls"]])
    lines += [""]
    for row in result["methods"]:
        lines += _wrapped(f"{row['title']}: {row['verdict']}. {row['why']}")
    for row in result["refused"]:
        lines += _wrapped(f"{row['title']} could not be tried: {row['reason']}")
    lines += [""]
    lines += _wrapped(_of_controls(result))
    lines += [line for note in result["notes"] for line in _wrapped(f"Note: {note}")]
    return "\n".join([*lines, "", f"Page: {result['page']}"])


def _of_controls(result: Mapping[str, Any]) -> str:
    """Whether the maps that never look at the network failed as they must."""
    from overread.reporting.explanation.trial import caught  # for the words alone: not for --help

    if result["escaped"]:
        return f"The trial is in doubt on these cases: {'; '.join(result['escaped'])}. No method is credited with passing that."
    if missed := [f"the {row['title'].lower()}" for row in result["controls"] if not caught(row)]:
        return f"Whether {', '.join(missed)} would fail as they must could not be tried on these cases."
    return "The edge detector, the constant and the random map failed what they must fail."


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line per method and criterion that was tried."""
    cells = [("", "", "verdict", "mean (interval)")]
    for row in rows:
        tried = [each for each in row["criteria"] if each["verdict"] != "not tried"]
        for place, each in enumerate(tried):
            cells.append((row["title"] if not place else "", each["title"].lower(), each["verdict"], _span(each["interval"])))
    wide = [max(len(cell[column]) for cell in cells) for column in range(4)]
    return ["  ".join(f"{text:<{w}}" for text, w in zip(cell, wide, strict=True)).rstrip() for cell in cells]


def _span(values: Mapping[str, Any]) -> str:
    shown = [f"{round(v, 3) + 0.0:.3f}" for v in (values["estimate"], values["low"], values["high"]) if v is not None]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if len(shown) == 3 else shown[0]


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
