"""The audit's page: one HTML file that opens without a network, faults first, each with what it means and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.audit.concern import SEVERITIES, SUBJECTS, Concern, by_severity
from overread.record.files import write_text
from overread.reporting.page import environment
from overread.reporting.proportions import in_words
from overread.reporting.sections.planning import value_words
from overread.reporting.words import PARTITIONS

_MOST_GROUPS = 12  # groups of cases listed under one concern; audit.json holds all of them
_MOST_MEMBERS = 8  # cases named of one group
_NAMES = {
    "n_cases": "cases",
    "n_patients": "patients",
    "chance": "probability by chance",
    "p": "probability by chance (p)",
    "share_wrong": "share of wrong labels, as guessed",
    "probe": "looked at",
    "by_header": "told by the files' headers",
}
_HEADINGS = {"fault": "Faults", "warning": "Warnings", "note": "To be known"}
_MEANINGS = {
    "fault": "A score of this cohort would be wrong. To be put right before anything is trained.",
    "warning": "A score may be wrong. To be looked at by somebody who knows the images.",
    "note": "Nothing to be put right, but a reader of the paper must be told.",
}
_SUBJECTS = {
    "leak": "cases that are not apart",
    "shortcut": "ways to the answer that are not disease",
    "acquisition": "how the images were made",
    "labels": "labels",
    "masks": "outlines",
    "size": "number of cases",
}


@dataclass(frozen=True)
class CasePicture:
    """A small picture that belongs to a concern, see `overread.reporting.pictures.pairs.side_by_side`.

    key      of the concern under which it is shown
    png      PNG bytes
    caption  what is seen
    cases    the cases seen; where several concerns have one key, the picture goes to the one that names them
    """

    key: str
    png: bytes
    caption: str
    cases: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditTable:
    """A table of the audit: what a probe reached, how images were acquired, how wide an interval to expect.

    columns  heads, the first one of the rows' names
    rows     one cell per column; numbers are set to the right, None is a dash
    subject  one of `overread.audit.concern.SUBJECTS`
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    subject: str = "size"


@dataclass(frozen=True)
class AuditInput:
    """Everything an audit's page is made of, as plain values without names, dates, original ids or paths.

    counts    (what, words) of the whole: cases, patients, partitions
    concerns  in any order
    looked    (what was looked for, what came of it): also what could not be looked for, and why
    """

    title: str
    created: str
    counts: Sequence[tuple[str, str]]
    concerns: Sequence[Concern]
    looked: Sequence[tuple[str, str]] = ()
    tables: Sequence[AuditTable] = ()
    pictures: Sequence[CasePicture] = ()
    is_phantom: bool = False


def write_audit(path: Path, given: AuditInput) -> Path:
    """Write the page whole, or not at all; returns its path."""
    write_text(path, render_audit(given))
    return Path(path)


def render_audit(given: AuditInput) -> str:
    """The page as text."""
    shown = [_shown(number, concern, given.pictures) for number, concern in enumerate(by_severity(given.concerns), 1)]
    groups = [
        {"key": s, "heading": _HEADINGS[s], "meaning": _MEANINGS[s], "concerns": [c for c in shown if c["severity"] == s]}
        for s in SEVERITIES
    ]
    tables = sorted(given.tables, key=lambda table: SUBJECTS.index(table.subject))
    return (
        environment()
        .get_template("audit.html.j2")
        .render(
            a=given,
            written=given.created[:10] if given.created[10:11] == "T" else given.created,  # of a moment, the day
            counts=[(PARTITIONS.get(name, name), what) for name, what in given.counts],
            verdict=verdict(given.concerns),
            groups=[g for g in groups if g["concerns"]],
            tables=[_table(table) for table in tables],
            shows_pictures=bool(given.pictures),
            is_phantom=given.is_phantom,
        )
    )


def verdict(concerns: Sequence[Concern]) -> str:
    """The audit in one sentence."""
    counts = {s: sum(c.severity == s for c in concerns) for s in SEVERITIES}
    found = [f"{n} {s if n == 1 else s + 's'}" for s, n in counts.items() if n]
    if not found:
        return "Nothing was found by what was looked for."
    if counts["fault"]:
        return (
            f"{_joined(found)}. With the {'fault' if counts['fault'] == 1 else 'faults'}, scores of this cohort would be wrong."
        )
    return f"{_joined(found)}, no fault."


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _shown(number: int, concern: Concern, pictures: Sequence[CasePicture]) -> dict[str, Any]:
    groups = [list(group) for group in concern.cases]
    return {
        "id": f"concern-{number}",
        "key": concern.key,
        "severity": concern.severity,
        "subject": _SUBJECTS[concern.subject],
        "statement": concern.statement,
        "answers": [
            ("What it means", concern.meaning),
            ("How sure", concern.certainty),
            ("What to do", concern.advice),
        ],
        "partitions": [PARTITIONS.get(p, p.replace("-", " ")) for p in concern.partitions],
        "evidence": _numbers(concern.evidence),
        "groups": [_group(group) for group in groups[:_MOST_GROUPS]],
        "more": max(len(groups) - _MOST_GROUPS, 0),
        "pictures": [p for p in pictures if p.key == concern.key and _belongs(p.cases, groups)],
    }


def _numbers(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The numbers behind a concern by name; the rows of a table stand in the tables below."""
    shown = [(_NAMES.get(n, n.replace("_", " ")), _evidence(value)) for n, value in evidence.items() if n != "rows"]
    return [*shown, *([("its rows", "in the tables below and in audit.json")] if "rows" in evidence else [])]


def _group(group: Sequence[str]) -> str:
    rest = len(group) - _MOST_MEMBERS
    return ", ".join(group[:_MOST_MEMBERS]) + (f" and {rest} more" if rest > 0 else "")


def _belongs(cases: tuple[str, ...], groups: Sequence[Sequence[str]]) -> bool:
    return not cases or not groups or any(set(cases) <= set(group) for group in groups)


def _evidence(value: Any) -> str:
    """A number behind a concern in words: intervals as in a paper, pairs of a table by name, long lists by their length."""
    if isinstance(value, Mapping) and {"estimate", "low", "high", "method"} <= set(value):
        return f"{in_words({'interval': value})}, {value['method']}"
    if isinstance(value, Mapping):
        return "; ".join(f"{str(name).replace('_', ' ')}: {_evidence(v)}" for name, v in value.items()) or "none"
    if isinstance(value, list | tuple) and (len(value) > _MOST_MEMBERS or any(isinstance(v, Mapping) for v in value)):
        return f"{len(value)} {'row' if len(value) == 1 else 'rows'} in audit.json"
    return value_words(value)


def _table(table: AuditTable) -> dict[str, Any]:
    columns = list(zip(*table.rows, strict=True)) if table.rows else [() for _ in table.columns]
    numeric = [k > 0 and bool(c) and all(v is None or _is_number(v) for v in c) for k, c in enumerate(columns)]
    rows = [["–" if v is None else _cell(v) for v in row] for row in table.rows]
    return {"title": table.title, "note": table.note, "columns": table.columns, "rows": rows, "numeric": numeric}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 10 else value_words(value)
