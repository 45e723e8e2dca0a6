"""What a user needs to write a rule for series: a table of the kinds that are there, and a rule that would do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations

from overread.cohort.draft import Draft
from overread.cohort.numbers import as_number
from overread.cohort.patterns import fits, literal
from overread.cohort.rules import SERIES_FIELDS

ValueOf = Callable[[Draft, str], str]

NOT_PROPOSED = ("slices", "number")  # true of one exam by chance
SHOWN = 8
MOST_NUMBERS = 6  # different values of a number that still make kinds
TRIED = 6  # values per field
MOST_EXAMS = 60  # that a proposal is looked for in; it is counted in all


def table(drafts: Sequence[Draft], value_of: ValueOf) -> str:
    """Kinds of series with their counts, the most frequent first; no patient in it.

    A number that differs from series to series, as a measured thickness does, makes no kinds: its range is shown.
    """
    columns = [n for n in SERIES_FIELDS if n not in NOT_PROPOSED and any(value_of(d, n) for d in drafts)]
    ranged = {n for n in columns if _is_measured([value_of(d, n) for d in drafts])}
    kinds: dict[tuple[str, ...], list[Draft]] = defaultdict(list)
    for d in drafts:
        kinds[tuple("" if n in ranged else value_of(d, n) for n in columns)].append(d)
    head = ("series", "slices", *columns)
    rows = []
    for kind, members in sorted(kinds.items(), key=lambda item: -len(item[1]))[:SHOWN]:
        cells = (
            _range([as_number(value_of(d, n)) or 0.0 for d in members]) if n in ranged else cell
            for n, cell in zip(columns, kind, strict=True)
        )
        rows.append((str(len(members)), _range([int(d.attributes.get("n_slices") or 0) for d in members]), *cells))
    widths = [max(len(r[k]) for r in (head, *rows)) for k in range(len(head))]
    lines = ["  " + "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in (head, *rows)]
    if len(kinds) > SHOWN:
        lines.append(f"  and {len(kinds) - SHOWN} more kinds")
    return "\n".join(lines)


def _is_measured(values: Sequence[str]) -> bool:
    return len(set(values)) > MOST_NUMBERS and all(as_number(v) is not None for v in values)


def _range(numbers: Sequence[float]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def propose_rule(by_exam: Sequence[Sequence[Draft]], value_of: ValueOf) -> tuple[dict[str, str], int]:
    """The rule of one or two fields that leaves exactly one series in most exams, and in how many."""
    some = by_exam[:: max(1, len(by_exam) // MOST_EXAMS)]
    best: tuple[dict[str, str], int] = ({}, 0)
    fields = [n for n in SERIES_FIELDS if n not in NOT_PROPOSED]
    values = {n: Counter(v for m in some for v in dict.fromkeys(value_of(d, n) for d in m) if v) for n in fields}
    options = [(n, literal(v)) for n, counter in values.items() for v, _ in counter.most_common(TRIED)]
    for size in (1, 2):
        for pairs in combinations(options, size):
            rule = dict(pairs)
            hits = _decided(some, rule, value_of) if len(rule) == size else 0
            if hits > best[1]:
                best = (rule, hits)
        if best[1] == len(some):
            break
    return best[0], _decided(by_exam, best[0], value_of)


def _decided(by_exam: Sequence[Sequence[Draft]], rule: dict[str, str], value_of: ValueOf) -> int:
    """In how many exams a rule leaves one series."""
    return sum(1 for members in by_exam if sum(_all_fit(d, rule, value_of) for d in members) == 1)


def _all_fit(draft: Draft, rule: dict[str, str], value_of: ValueOf) -> bool:
    return all(fits(value_of(draft, name), pattern) for name, pattern in rule.items())


def proposal(by_exam: Sequence[Sequence[Draft]], value_of: ValueOf) -> str:
    """The next step where several series could be meant."""
    rule, hits = propose_rule(by_exam, value_of)
    if not rule:
        return "name it by --series FIELD=PATTERN"
    words = " ".join(f"--series {n}='{v}'" for n, v in rule.items())
    return (
        f"for example, which leaves one series in {hits} of {len(by_exam)} exams:\n    overread init ... {words}"
        "\n  or several as channels, e.g. --series art.description='*arterial*' --series ven.description='*venous*'"
    )
