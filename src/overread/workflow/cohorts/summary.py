"""What `overread init` says: what was found, how it fits together, what is asked, who is where, what needs a look."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.cohort.divide import made_step
from overread.cohort.draft import Draft, Step
from overread.cohort.gather import Gathered
from overread.cohort.inspect import Seen
from overread.cohort.partition import Division, class_counts
from overread.cohort.rules import in_words
from overread.cohort.store import Stored
from overread.core.question import Question
from overread.imaging.degrade.simulated import parse_degradation
from overread.workflow.project import Summary
from overread.workflow.settings import Settings

PARTITION_NAMES = {"training": "training", "tuning": "tuning", "internal": "internal test"}
SHOWN = 5


def summarise(
    folder: Path, gathered: Gathered, division: Division, steps: Sequence[Step], settings: Settings, stored: Stored | None
) -> Summary:
    """Lines for people and facts for programs."""
    every = made_step(gathered, division, (*gathered.steps, *steps))
    table = partition_table(gathered, division)
    lines = [
        *_found(gathered, settings),
        *_flow(every),
        *_section("Left over", gathered.unknown),
        *_asked(gathered),
        "",
        f"Partitions ({_how_divided(gathered, division)})",
        *table_lines(table),
        *_warnings(gathered, division, table),
        "",
        _end(folder, stored, not set(table) <= {"training", "tuning"}),
    ]
    facts = {
        "cases": sum(p is not None for p in division.place),
        "patients": len({d.patient for d, s, p in _placed(gathered, division) if not s.made}),
        "made": sum(bool(s.made) for _, s, _ in _placed(gathered, division)),
        "patient_known": gathered.patient_known,
        "question": gathered.question.as_dict(),
        "channels": {name: dict(rule) for name, rule in gathered.channels.items()},
        "series": dict(gathered.series),
        "missing_channels": dict(missing_channels(gathered)),
        "scheme": division.scheme,
        "parts": table,
        "flow": [s.as_dict() for s in every],
        "is_phantom": gathered.is_phantom,
        "warnings": warnings_of(gathered, division, table),
        "project": settings.project.name,
    }
    return Summary(tuple(lines), facts)


def _placed(gathered: Gathered, division: Division) -> list[tuple[Draft, Seen, str | int]]:
    rows = zip(gathered.drafts, gathered.seen, division.place, strict=True)
    return [(d, s, p) for d, s, p in rows if p is not None]


def _found(gathered: Gathered, settings: Settings) -> list[str]:
    grids = [s.grid for s in gathered.seen if s.grid is not None]
    shapes = np.array([g.shape for g in grids])
    low, high = shapes.min(0), shapes.max(0)
    size = " x ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(low, high, strict=True))
    spaced = [g.spacing for g in grids if g.spacing_known]
    spacing = " x ".join(f"{v:.3g}" for v in np.median(np.array(spaced), axis=0)) + " mm (median)" if spaced else "not known"
    whose = {d.patient for d, s in zip(gathered.drafts, gathered.seen, strict=True) if not s.made}
    patients = len(whose) if gathered.patient_known else "not known"
    kind = "PHANTOM: simulated images, not patients. " if gathered.is_phantom else ""
    channels = ", ".join(gathered.seen[0].channels)
    lines = [
        f"Found: {kind}{gathered.layout.form}, {len(gathered.drafts)} cases, patients {patients}",
        f"  size (Z, Y, X) {size}; spacing {spacing}; units {gathered.seen[0].units}; channels {channels}",
        *_channels(gathered),
        f"  patients: {gathered.patient_reason}",
    ]
    lines += [f"  {line}" for line in gathered.matched]
    lines += [f"  note: {line}" for line in gathered.notes]
    if gathered.roles is not None:
        named = {
            "date": gathered.roles.date,
            "side": gathered.roles.side,
            "site": gathered.roles.site,
            "scanner": gathered.roles.scanner,
        }
        used = [f"{c} ({r})" for r, c in named.items() if c] + [f"{c} (covariate)" for c in gathered.roles.covariates.values()]
        rest = [
            *(c for c in gathered.roles.labels if c not in gathered.label_columns),
            *gathered.roles.splits,
            *gathered.roles.unused,
        ]
        if used:
            lines.append(f"  columns used: {', '.join(used)}")
        if rest:
            lines.append(f"  columns not used: {', '.join(rest)}")
        if gathered.roles.splits and settings.split.given is None and settings.split.scheme != "given":
            column = gathered.roles.splits[0]
            lines.append(f"  note: column '{column}' looks like a split; to keep to it, say --splits {shlex.quote(column)}")
    return lines


def _channels(gathered: Gathered) -> list[str]:
    """Which image is which channel, which series were chosen, and what is filled in where one is missing."""
    lines = [f"  {line}" for line in gathered.chosen]
    if gathered.channels and not gathered.chosen:
        lines += [f"  channel {name}: {in_words(rule)}" for name, rule in gathered.channels.items()]
    if len(gathered.channels) > 1:
        first = next(iter(gathered.channels))
        lines.append(f"  channels are laid over '{first}' in millimetres; the truth must lie on its grid")
    lines += [
        f"  channel {name} is missing in {n} of {len(gathered.drafts)} cases and filled with zeros there"
        for name, n in missing_channels(gathered)
    ]
    return lines


def missing_channels(gathered: Gathered) -> list[tuple[str, int]]:
    """Channel -> how many cases lack it."""
    counts = Counter(i.channel for d in gathered.drafts for i in d.images if i.format == "missing")
    return [(name, counts[name]) for name in gathered.channels if counts[name]]


def _flow(steps: Sequence[Step]) -> list[str]:
    lines = ["", "Data flow"]
    for step in steps:
        lines.append(f"  {step.kept:>6}  {step.step}")
        counts = Counter(item.reason for item in step.left_out)
        for reason, n in counts.most_common():
            examples = [item.name for item in step.left_out if item.reason == reason][:2]
            lines.append(f"          -{n}  {reason}: {'; '.join(examples)}{' ...' if n > 2 else ''}")
    return lines


def _section(title: str, items: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {item}" for item in items)] if items else []


def _valued(question: Question) -> str:
    return ", ".join(f"{n} = {v}" for n, v in zip(question.classes, question.values, strict=False))


def _asked(gathered: Gathered) -> list[str]:
    question = gathered.question
    names, by_class = ", ".join(question.classes), bool(question.conditions)
    translated = f"the image {names} from {', '.join(question.given)}"
    if question.is_unpaired:
        translated = "an image of kind {1} from one of kind {0}, without pairs".format(*question.conditions)
    what = {
        "classification": f"which of {names}" if question.exclusive else f"which of {names} (any number)",
        "regression": f"how much: {names}",
        "segmentation": f"where: {_valued(question)}",
        "detection": f"a box around each {_or(question.classes)}",
        "instances": f"the outline of each {_or(question.classes)}",
        "autoencode": f"the same image ({names}) from a short code of it",
        "vae": f"the same image ({names}) from a short code of it, whose distribution is known",
        "translate": translated,
        "restore": f"the image ({names}) as it was before it was made worse",
        "synthesize": f"new images ({names}) like these"
        + (f", by class: {', '.join(question.conditions)}" if by_class else "")
        + (f", along masks: {_valued(question.of_masks)}" if question.guides else ""),
    }[question.task]
    once = "" if question.task == "synthesize" else f"; one answer per {question.unit}"
    lines = [
        "",
        f"Asked: {question.task}, {what}{once}",
        f"  because: {gathered.reasons['question.task']}",
    ]
    if question.degradation:
        lines.append(f"  read: {parse_degradation(question.degradation).sentence}")
    if question.positive:
        lines.append(f"  positive (disease): {question.positive}")
    if question.is_of_objects and gathered.source == "masks":
        lines.append(f"  objects: {gathered.reasons['question.objects']}")
    if "question.classes" in gathered.reasons:
        lines.append(f"  names: {gathered.reasons['question.classes']}")
    return lines


def _or(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _how_divided(gathered: Gathered, division: Division) -> str:
    return division.reasons.get("split.scheme", division.scheme)


def partition_table(gathered: Gathered, division: Division) -> dict[str, dict[str, Any]]:
    """Cases, patients and class counts of every partition or fold."""
    places = division.seals()
    order: list[str] = [p for p in ("training", "tuning", "internal") if p in places]
    order += sorted({p for p in places if p and p not in order}, key=lambda p: (len(p), p))
    table: dict[str, dict[str, Any]] = {}
    for part in order:
        rows = [(d, s) for d, s, p in zip(gathered.drafts, gathered.seen, places, strict=True) if p == part]
        table[part] = {
            "cases": len(rows),
            "patients": len({d.patient for d, s in rows if not s.made}),
            "classes": class_counts(gathered.question, [gathered.truths[d.name] for d, _ in rows], [s.voxels for _, s in rows]),
        }
    return table


def table_lines(table: dict[str, dict[str, Any]]) -> list[str]:
    if not table:
        return []
    classes = list(next(iter(table.values()))["classes"])
    total = sum(row["cases"] for row in table.values())
    head = ["", "cases", "share", "patients", *classes]
    rows = [
        [
            PARTITION_NAMES.get(part, part.replace("-", " ")),
            str(row["cases"]),
            f"{row['cases'] / total:.0%}",
            str(row["patients"]),
            *(_count(row["classes"][c]) for c in classes),
        ]
        for part, row in table.items()
    ]
    widths = [max(len(r[k]) for r in (head, *rows)) for k in range(len(head))]
    return [
        "  " + "  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(r, widths, strict=True)))
        for r in (head, *rows)
    ]


def _count(value: Any) -> str:
    if isinstance(value, dict):
        return str(value["known"] or "none")
    return str(value)


def warnings_of(gathered: Gathered, division: Division, table: dict[str, dict[str, Any]]) -> list[str]:
    """What could make a later number worth less; without names."""
    found = []
    if not gathered.patient_known:
        found.append(
            "No patient is known: each image counts as a patient of its own, "
            "and independence of training and test cannot be claimed."
        )
    if division.leaks:
        found.append(f"The given split leaks in {len(division.leaks)} places; you accepted that, and the report will say so.")
    for part, row in table.items():
        empty = [name for name, n in row["classes"].items() if n == 0 or (isinstance(n, dict) and not n["known"])]
        if empty:
            found.append(
                f"{PARTITION_NAMES.get(part, part)} has no case of {', '.join(empty)}: nothing can be learned or tested there."
            )
        few = [f"{name} ({n})" for name, n in row["classes"].items() if isinstance(n, int) and 0 < n < 10]
        if few and part in ("internal", "tuning"):
            found.append(f"{PARTITION_NAMES[part]} has few cases of {', '.join(few)}: intervals will be wide.")
    return found


def _warnings(gathered: Gathered, division: Division, table: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        *warnings_of(gathered, division, table),
        *(n.removeprefix("WARNING: ") for n in division.notes if n.startswith("WARNING")),
    ]
    notes = [n for n in division.notes if not n.startswith("WARNING")]
    return [*_section("Notes", notes), *_section("WARNING", lines)]


def _end(folder: Path, stored: Stored | None, has_test: bool) -> str:
    if stored is None:
        return f"Nothing was written (dry run). The project would be {folder}."
    kept = "test truths are under seal" if has_test else "no test is set aside"
    return f"Wrote {folder} (version 1 of the cohort; {kept}).\nNext: overread plan {folder}"
