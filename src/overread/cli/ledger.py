"""overread ledger"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.verb import Outcome, Verb, command
from overread.workflow.project import Project
from overread.workflow.scoring.ledger_check import verify

KNOWN = ("time", "entry", "hash", "previous")
VERIFY = "verify"
EXAMPLE = """\
overread ledger liver
overread ledger verify liver"""


@click.command(cls=Verb, example=EXAMPLE)
@click.argument("words", metavar="[verify] DIR", nargs=-1, required=True, type=click.Path(path_type=Path))
def ledger(words: tuple[Path, ...]) -> Outcome:
    """Show how often the internal test was opened, by which model and for what.

    So too for each external cohort. Checks the chain of hashes first: a line that was removed or changed is
    an error that names it, and so is a cut end.

    With verify: checks besides that cohort, splits, results and evaluations are those that the ledger names.
    """
    if len(words) == 2 and str(words[0]) == VERIFY:
        lines = verify(Project.open(words[1]))
        return Outcome("\n".join(["The ledger is whole.", *(f"  {line}" for line in lines)]), {"whole": True, "checked": lines})
    if len(words) != 1:
        raise click.UsageError("Give the project's folder: overread ledger [verify] DIR.")
    return _shown(words[0])


def _shown(project: Path) -> Outcome:
    entries = Project.open(project).ledger_entries()
    lines = [line for number, entry in enumerate(entries, 1) for line in _entry(number, entry)]
    count = f"{len(entries)} entries" if len(entries) != 1 else "1 entry"
    head = f"The ledger is whole: {count}."
    return Outcome("\n".join([head, *lines]), {"entries": entries}, command("report", project))


def _entry(number: int, entry: dict[str, Any]) -> list[str]:
    told = [(key, value) for key, value in entry.items() if key not in KNOWN and value not in (None, False, "", [], {})]
    return [
        f"{number}. {entry['entry']}, {entry['time']}",
        *(f"     {key.replace('_', ' ')}: {_words(value)}" for key, value in told),
    ]


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items() if inner not in (None, ""))
    if isinstance(value, list):
        return ", ".join(_words(inner) for inner in value)
    return str(value)
