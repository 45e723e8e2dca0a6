"""What all verbs share: how they end, how they help, and the options that several of them take."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from overread.core.errors import OverreadError

if TYPE_CHECKING:  # to load a project's parts for `overread --help` would take too long
    from overread.workflow.project import Summary

EVERYWHERE = "In every verb"
PHANTOM = "PHANTOM: these numbers are about software, not about patients."  # first line of what is_phantom


@dataclass
class Session:
    """One call of the program: what the options of the verb say about how to talk."""

    as_json: bool = False
    debug: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a verb ends.

    text       for people
    values     for programs (``--json``)
    next       the exact next command
    exit_code  0, or a word to a pipeline, said in the verb's help
    """

    text: str
    values: dict[str, Any] = field(default_factory=dict)
    next: str = ""
    exit_code: int = 0


class Verb(click.Command):
    """A command that ends with an `Outcome` and has an example in its help.

    sections  title -> names of the options that stand under it in the help
    """

    def __init__(self, *args: Any, example: str = "", sections: Mapping[str, Sequence[str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.sections = {**(sections or {}), EVERYWHERE: ("json", "debug")}
        self.params += [
            click.Option(
                ["--json"], is_flag=True, expose_value=False, callback=_set("as_json"), help="Print the result as JSON."
            ),
            click.Option(
                ["--debug"], is_flag=True, expose_value=False, callback=_set("debug"), help="Show the traceback of an error."
            ),
        ]

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        return ["-h", "--help"]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        title_of = {name: title for title, names in self.sections.items() for name in names}
        grouped: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *self.sections)}
        help_option = self.get_help_option(ctx)
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record:
                title = EVERYWHERE if parameter is help_option else title_of.get(parameter.name or "", "Options")
                grouped[title].append(record)
        for title, records in grouped.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example" if "\n" not in self.example else "Examples"):
            for line in self.example.splitlines():
                formatter.write(" " * formatter.current_indent + line + "\n")

    def invoke(self, ctx: click.Context) -> Any:
        outcome = super().invoke(ctx)
        if isinstance(outcome, Outcome):
            show(outcome, ctx.ensure_object(Session))
            if outcome.exit_code:
                ctx.exit(outcome.exit_code)
        return outcome


def _set(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            setattr(ctx.ensure_object(Session), name, True)

    return callback


def show(outcome: Outcome, session: Session) -> None:
    """Print an outcome for people, or as one JSON object for programs."""
    if session.as_json:
        click.echo(json.dumps({**outcome.values, "next": outcome.next}, indent=1, ensure_ascii=False, default=str))
        return
    if outcome.text:
        click.echo(outcome.text)
    if outcome.next:
        click.echo(f"\nNext: {outcome.next}")


def summary_outcome(summary: Summary | None, follow: str) -> Outcome:
    """What `init` and `update` found and did; their own last line, the next command, is said in the program's way."""
    assert summary is not None
    return Outcome(str(summary).partition("\nNext: ")[0], dict(summary.facts), follow)


def command(*words: object) -> str:
    """A command that can be pasted into a shell: ``command("train", path)`` -> ``overread train 'my liver'``."""
    return shlex.join(["overread", *(str(word) for word in words)])


def project_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """The project's folder, DIR."""
    return click.argument("project", metavar="DIR", type=click.Path(path_type=Path))(function)


def run_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which run of the project is meant."""
    text = "Run in DIR/runs; where it is not given, the newest with a model or answers."
    return click.option("--run", "run_name", metavar="NAME", help=text)(function)


def fold_option(text: str, *, or_all: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--fold K``, and ``--fold all`` where a verb can do them one after the other."""
    return click.option("--fold", metavar="K|all" if or_all else "K", type=Fold(or_all), help=text)


class Fold(click.ParamType):
    """The number of a fold, or "all"."""

    name = "fold"

    def __init__(self, or_all: bool) -> None:
        self.or_all = or_all

    def convert(self, value: Any, parameter: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if self.or_all and value == "all":
            return "all"
        try:
            return int(value)
        except ValueError:
            self.fail(f"'{value}' is not the number of a fold{' or all' if self.or_all else ''}.", parameter, ctx)


def column_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What the columns of the user's sheet are called: the same words in every verb that takes a sheet of images."""
    for option in reversed(
        (
            click.option("--group-by", metavar="COLUMN", help="Column that names the patient: all exams of one stay together."),
            click.option("--id-column", metavar="COLUMN", help="Column of the sheet that names the image."),
            click.option("--site", metavar="COLUMN", help="Column that names the hospital."),
            click.option("--scanner", metavar="COLUMN", help="Column that names the scanner."),
            click.option("--date", metavar="COLUMN", help="Column with the date of the exam."),
            click.option("--side", metavar="COLUMN", help="Column with the side, left or right."),
            click.option(
                "--covariate", "covariates", metavar="COLUMN", multiple=True, help="Column to keep, such as age. May be repeated."
            ),
        )
    ):
        function = option(function)
    return function


def set_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--set training.loss=dice``: override lines of project.toml for this call."""
    return click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        callback=pairs,
        help="Override a line of project.toml for this run, e.g. training.loss=dice. May be repeated.",
    )(function)


def pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """``("a=1", "b=2")`` -> ``{"a": "1", "b": "2"}``: callback of options that may be repeated."""
    named = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            expected = getattr(parameter, "metavar", None) or "KEY=VALUE"
            raise OverreadError(f"{parameter.opts[0]} '{text}': expected {expected}.", "see the example with --help")
        named[key.strip()] = value.strip()
    return named
