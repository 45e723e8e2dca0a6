"""The author's own answers: a file written once, with a comment for every question, and never written over.

Questions that a later version adds are appended; what the author wrote stays byte for byte.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from overread.core.errors import OverreadError
from overread.record.files import write_text
from overread.reporting.checklists.items import ITEMS

FILE = "claim.toml"
_HEAD = """\
# What only the authors know, for the checklists, the methods paragraph and the cards of `overread report`.
# Written once by `overread report`, which never changes what stands here; later questions are added at the end.
# Write an answer between the quotation marks (three of them for several lines). An answer that begins with
# "not applicable" and goes on with the reason marks an item as not applicable. Names of patients, record numbers
# and dates of exams do not belong here: the answers are printed.
"""


@dataclass(frozen=True)
class Asked:
    """One question to the author: its name in the file, and the comment above it."""

    name: str
    comment: str


STUDY = (
    Asked("study.ethics", "Ethics committee and number of the approval, or who waived it."),
    Asked("study.consent", "Consent of the patients: given, waived (by whom), or not needed because ..."),
    Asked("study.period", "First and last year of the images."),
    Asked("study.sampling", "How the cases came together: consecutive, random, or enriched (positives sought out)."),
    Asked("study.interval", "Time between imaging and reference standard: median and range, or the longest allowed."),
    Asked("study.patients", "Whom the cases represent: setting, country, why they were imaged, who is missing."),
    Asked("study.use", "Intended use: who would use the answer, when, for which decision."),
    Asked("study.not_for", "Uses that are out of scope."),
    Asked("study.benefit", "The benefit for patients or readers that is hoped for."),
    Asked("study.harm", "What a wrong answer could do, and what would catch it."),
    Asked("study.authors", "Who made the model and who answers questions about it."),
    Asked("study.licence", "Licence under which the model may be used."),
    Asked("study.data_licence", "Licence or agreement under which the images were used."),
    Asked("study.availability", "Where data, code and model can be had."),
    Asked("study.maintenance", "Who keeps the data, how errors are reported, until when."),
    Asked("study.citation", "The paper to cite."),
)


def questions() -> tuple[Asked, ...]:
    """Everything that is asked, in the order of the file."""
    items = tuple(Asked(f"claim.{item.number}", f"CLAIM item {item.number}, {item.subject}: {item.ask}") for item in ITEMS)
    return (*STUDY, *items)


def keep_answers(path: Path) -> dict[str, str]:
    """The answers in the file by name, "" where there is none; writes the file, or adds what it does not ask yet."""
    path = Path(path)
    before = _written(path) if path.exists() else ""
    answers = _parsed(path, before)
    missing = [asked for asked in questions() if asked.name not in answers]
    if missing:
        added = "\n".join(f'# {asked.comment}\n[{asked.name}]\nanswer = ""\n' for asked in missing)
        write_text(path, f"{before or _HEAD}{'' if before.endswith(chr(10)) or not before else chr(10)}\n{added}")
    return {asked.name: answers.get(asked.name, "") for asked in questions()}


def _written(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Notepad begins a file with a mark that TOML does not know
    except UnicodeDecodeError as error:
        raise OverreadError(f"{path} is not written in UTF-8: {error.reason}.", "save it as UTF-8 in your editor") from error


def _parsed(path: Path, text: str) -> dict[str, str]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OverreadError(f"{path} cannot be read: {error}.", "put the line right; nothing in the file was changed") from error
    found = {}
    for group, entries in tables.items():
        if not isinstance(entries, Mapping):
            raise _not_a_table(path, group)
        for name, entry in entries.items():
            if not isinstance(entry, Mapping) or not isinstance(entry.get("answer", ""), str):
                raise _not_a_table(path, f"{group}.{name}")
            found[f"{group}.{name}"] = entry.get("answer", "").strip()
    return found


def _not_a_table(path: Path, name: str) -> OverreadError:
    return OverreadError(f'{path}: [{name}] should hold answer = "...".', "write the answer as a text between quotation marks")
