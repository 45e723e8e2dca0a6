"""Several series of one exam: which one is the case, or which one is which channel.

A rule is `field = pattern` under [images.series] in project.toml; several lines must all fit. Fields are
description, kernel, thickness, plane, protocol, contrast, modality, slices. Patterns are text with * and ?, or a comparison
of a number ("<= 1.5"). `channel.field = pattern` names the series of one channel ("flair.description" = "*flair*").
"""

from __future__ import annotations

import fnmatch
import operator
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from overread.cohort.draft import Draft, LeftOut, Step
from overread.core.errors import OverreadError

FIELDS = {
    "description": "description",
    "kernel": "kernel",
    "thickness": "thickness_mm",
    "plane": "plane",
    "protocol": "protocol",
    "contrast": "contrast",
    "modality": "modality",
    "slices": "n_slices",
}
COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq}
SHOWN = 8


@dataclass(frozen=True)
class Chosen:
    """Drafts after the choice, one per exam (or per side of it), and what was left out."""

    drafts: tuple[Draft, ...]
    channels: tuple[str, ...]
    step: Step | None


def choose_series(drafts: Sequence[Draft], rules: Mapping[str, str], channels: Sequence[str]) -> Chosen:
    """One draft per exam by the rules; without rules an exam with several series stops with a table and a proposal."""
    if not any(d.images[0].format == "dicom" for d in drafts):
        return Chosen(tuple(drafts), tuple(channels), None)
    by_exam: dict[tuple[str, str], list[Draft]] = defaultdict(list)
    for draft in drafts:
        by_exam[(draft.exam_name, draft.side)].append(draft)
    if not rules:
        several = {key: members for key, members in by_exam.items() if len(members) > 1}
        if several:
            raise _undecided(by_exam, several)
        return Chosen(tuple(drafts), tuple(channels), None)
    grouped = _by_channel(rules)
    names = tuple(grouped)
    kept: list[Draft] = []
    left_out: list[LeftOut] = []
    for members in by_exam.values():
        picked = {}
        for channel, rule in grouped.items():
            hits = [d for d in members if _fits(d, rule)]
            if len(hits) > 1:
                raise _still_several(hits, rule)
            picked[channel] = hits[0] if hits else None
        missing = [c for c, d in picked.items() if d is None]
        if missing:
            left_out.append(LeftOut(members[0].name, "no series of the exam fits [images.series]"))
            continue
        chosen = [d for d in picked.values() if d is not None]
        images = tuple(replace(d.images[0], channel=c) for c, d in zip(names, chosen, strict=True))
        aliases = tuple(dict.fromkeys([a for d in chosen for a in d.aliases]))
        kept.append(replace(chosen[0], images=images, aliases=aliases))
    if not kept:
        raise OverreadError(
            f"No series fits [images.series]: {_words(rules)}.\n" + _table([d for m in by_exam.values() for d in m]),
            "correct the pattern; * stands for any text",
        )
    return Chosen(tuple(kept), names, Step("one series per exam", len(kept), tuple(left_out)))


def _by_channel(rules: Mapping[str, str]) -> dict[str, dict[str, str]]:
    grouped: dict[str, dict[str, str]] = {}
    for key, pattern in rules.items():
        channel, _, name = key.rpartition(".")
        if name not in FIELDS:
            raise OverreadError(f"images.series: there is no field '{name}'.", f"known fields are {', '.join(FIELDS)}")
        grouped.setdefault(channel or "image", {})[name] = pattern
    if "image" in grouped and len(grouped) > 1:
        raise OverreadError("images.series mixes lines with and without a channel.", "write all as channel.field = pattern")
    return grouped


def _fits(draft: Draft, rule: Mapping[str, str]) -> bool:
    return all(_fits_one(_value(draft, name), pattern) for name, pattern in rule.items())


def _value(draft: Draft, name: str) -> str:
    value = draft.attributes.get(FIELDS[name])
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _fits_one(value: str, pattern: str) -> bool:
    comparison = re.fullmatch(r"\s*(<=|>=|<|>|=)\s*([\d.]+)\s*", pattern)
    if comparison:
        return bool(value) and bool(COMPARE[comparison[1]](float(value), float(comparison[2])))
    return fnmatch.fnmatchcase(value.casefold(), pattern.casefold())


def propose_rule(by_exam: Sequence[Sequence[Draft]]) -> tuple[dict[str, str], int]:
    """The rule of one or two fields that leaves exactly one series in most exams, and in how many."""
    best: tuple[dict[str, str], int] = ({}, 0)
    values = {n: Counter(v for m in by_exam for v in {_value(d, n) for d in m} if v) for n in FIELDS if n != "slices"}
    options = [(n, v) for n, counter in values.items() for v, _ in counter.most_common(6)]
    for size in (1, 2):
        for pairs in combinations(options, size):
            rule = dict(pairs)
            if len(rule) < size:
                continue
            hits = sum(1 for members in by_exam if sum(all(_value(d, n) == v for n, v in rule.items()) for d in members) == 1)
            if hits > best[1]:
                best = (rule, hits)
        if best[1] == len(by_exam):
            break
    return best


def _undecided(by_exam: Mapping[tuple[str, str], list[Draft]], several: Mapping[tuple[str, str], list[Draft]]) -> OverreadError:
    rule, hits = propose_rule(list(by_exam.values()))
    proposal = (
        f"for example, which leaves one series in {hits} of {len(by_exam)} exams:\n    overread init ... "
        + " ".join(f"--series {n}='{v}'" for n, v in rule.items())
        + "\n  or several as channels, e.g. --series art.description='*arterial*' --series ven.description='*venous*'"
        if rule
        else "name it by --series FIELD=PATTERN"
    )
    return OverreadError(
        f"{len(several)} of {len(by_exam)} exams have more than one series to learn from; which one counts is yours to say.\n"
        + _table([d for members in by_exam.values() for d in members]),
        proposal,
    )


def _table(drafts: Sequence[Draft]) -> str:
    """Kinds of series with their counts, widest columns first seen; no patient in it."""
    columns = [n for n in FIELDS if n != "slices" and any(_value(d, n) for d in drafts)]
    kinds: Counter[tuple[str, ...]] = Counter(tuple(_value(d, n) for n in columns) for d in drafts)
    slices: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for d in drafts:
        slices[tuple(_value(d, n) for n in columns)].append(int(d.attributes.get("n_slices") or 0))
    head = ("series", "slices", *columns)
    rows = [(str(n), _range(slices[kind]), *kind) for kind, n in kinds.most_common(SHOWN)]
    widths = [max(len(r[k]) for r in (head, *rows)) for k in range(len(head))]
    lines = ["  " + "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in (head, *rows)]
    if len(kinds) > SHOWN:
        lines.append(f"  and {len(kinds) - SHOWN} more kinds")
    return "\n".join(lines)


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _words(rule: Mapping[str, str]) -> str:
    return ", ".join(f"{n} = '{p}'" for n, p in rule.items())


def _still_several(hits: Sequence[Draft], rule: Mapping[str, str]) -> OverreadError:
    return OverreadError(
        f"{len(hits)} series of one exam fit the rule {_words(rule)}: {hits[0].name} and {hits[1].name}.\n" + _table(hits),
        "add a second field to the rule, e.g. --series thickness='<= 1.5'",
    )
