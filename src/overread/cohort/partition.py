"""The frozen division of a cohort: given or drawn, checked for leaks, with its table of counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from overread.cohort.by_column import OTHER_LEVEL, OTHER_TIME, by_level, newest, one_sided
from overread.cohort.draft import Draft, LeftOut, Step
from overread.cohort.gather import Gathered
from overread.cohort.given import Given
from overread.cohort.leaks import Leak, find_duplicates, find_leaks, refuse_leaks
from overread.cohort.made import refuse_made
from overread.cohort.split import folds_by_group, linked_groups, quantile_strata, split_by_group
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.core.question import Question

NO_TEST = (
    "WARNING: no internal test is set aside (--internal 0), so nothing can be claimed of a model: scores come from tuning cases, "
    "on which its decisions are fitted. An external cohort can still test it (`overread external`)"
)


@dataclass(frozen=True)
class Wish:
    """How to divide, where no split is given. Shares are of all patients; folds take none. No internal test has the share 0.

    by     a fold for each value of this column; the column of dates (or "date"): the newest patients are the internal test
    after  patients whose first exam is of this day or later are the internal test
    """

    folds: int | None = None
    tuning: float = 0.15
    internal: float = 0.2
    seed: int = 0
    stratify_by: str | None = None
    leak_override: str = ""
    by: str | None = None
    after: date | None = None


@dataclass(frozen=True)
class Division:
    """Who is where; lists have one entry per draft.

    scheme  "partitions", "given" or "folds"; "external" where all cases are one sealed test
    place   partition, or number of the fold; None where the split has no place for the case
    tuning  folds: fold -> groups that tune when that fold is the test
    groups  patients, joined where they share an identical image
    rule    what an update needs to place new patients by the same rule; written into splits.json
    left    why a case has no place
    apart   position -> why this one case has no place, where that is another reason
    trains  folds: position of an image that a network made -> folds whose runs it may train; it is in none of them
    """

    scheme: str
    place: tuple[str | int | None, ...]
    groups: tuple[str, ...]
    tuning: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    stratified_by: str = ""
    leaks: tuple[Leak, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rule: Mapping[str, Any] = field(default_factory=dict)
    left: str = "not in the given split"
    apart: Mapping[int, str] = field(default_factory=dict)
    trains: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def seals(self) -> list[str | None]:
        """Where each truth lies: "training", "tuning", "internal" or "fold-<k>"."""
        return [None if p is None else f"fold-{p}" if isinstance(p, int) else p for p in self.place]


def strata_of(
    question: Question, truths: Sequence[TruthReference], voxels: Sequence[Mapping[int, int]]
) -> tuple[list[list[Hashable]], str]:
    """What is to be spread evenly, per case, and its name."""
    if question.task == "regression":
        name = question.classes[0]
        return [[q] for q in quantile_strata([t.values.get(name) for t in truths])], f"size of {name}"
    if question.is_of_images and not question.conditions and not question.guides:
        return [[] for _ in truths], "number"
    if question.is_of_objects and question.objects == "values":
        return [[question.classes[0]] if any(seen.values()) else [] for seen in voxels], "presence of an object"
    if question.values:
        pairs = list(zip(question.of_masks.classes, question.values, strict=True))
        what = "objects of each class" if question.is_of_objects else "each structure"
        return [[n for n, v in pairs if seen.get(v)] for seen in voxels], f"presence of {what}"
    return [[n for n, v in t.values.items() if v == 1] for t in truths], "class" if question.exclusive else "finding"


def divide(gathered: Gathered, given: Given | None, wish: Wish, extra: Sequence[str | None] | None = None) -> Division:
    """Divide a cohort of acquired images by the given split, or draw one (see `cohort.divide`).

    extra  one more thing per case to be spread evenly (a column of the sheet)
    """
    drafts, digests = gathered.drafts, [s.digest for s in gathered.seen]
    truths = [gathered.truths[d.name] for d in drafts]
    patients = [d.patient or d.name for d in drafts]
    groups = linked_groups(patients, digests)
    strata, by = strata_of(gathered.question, truths, [s.voxels for s in gathered.seen])
    if extra is not None:
        strata = [[*s, ("column", str(e))] for s, e in zip(strata, extra, strict=True)]
        by += f" and {wish.stratify_by}"
    notes = _duplicate_notes(gathered, patients, digests)
    if given is not None:
        return _honour(gathered, given, wish, patients, digests, groups, strata, by, notes)
    if wish.by is not None or wish.after is not None:
        return _by_column(gathered, wish, groups, strata, by, notes)
    _refuse_few(groups, wish, gathered.steps)
    reason = f"drawn with seed {wish.seed}; patients stay together; spread evenly by {by}"
    if wish.folds is not None:
        place = folds_by_group(groups, strata, wish.folds, wish.seed)
        tuning = _tuning_of_folds(groups, strata, place, wish)
        return Division("folds", tuple(place), tuple(groups), tuning, by, (), {"split.scheme": reason}, notes)
    drawn = split_by_group(groups, strata, shares_of(wish.tuning, wish.internal), wish.seed)
    if not wish.internal:
        reason, notes = f"{reason}; you asked for no internal test", (*notes, NO_TEST)
    return Division("partitions", tuple(drawn), tuple(groups), {}, by, (), {"split.scheme": reason}, notes)


def shares_of(tuning: float, internal: float) -> dict[str, float]:
    """Partition -> share of the patients; without an internal test where its share is 0."""
    shares = {"training": 1 - tuning - internal, "tuning": tuning, "internal": internal}
    return shares if internal else {k: v for k, v in shares.items() if k != "internal"}


def _by_column(
    gathered: Gathered, wish: Wish, groups: list[str], strata: list[list[Hashable]], by: str, notes: tuple[str, ...]
) -> Division:
    """One site left out after the other, or the newest patients as the internal test."""
    if wish.after is not None or wish.by is None or is_date(gathered, wish.by):
        return _by_time(gathered, wish, groups, strata, by, notes)
    levels = levels_of(gathered, wish.by)
    place, names = by_level(groups, levels, wish.by)
    kept = [k for k, p in enumerate(place) if p is not None]
    inside = [groups[k] for k in kept], [strata[k] for k in kept], [int(place[k] or 0) for k in kept]
    tuning = _tuning_of_folds(*inside, wish)
    told = ", ".join(f"fold {k}: {name}" for k, name in enumerate(names))
    reasons = {"split.scheme": f"one fold for each {wish.by}, which its model never saw ({told}); patients stay together"}
    rule = {"by": wish.by, "levels": list(names)}
    left = OTHER_LEVEL.format(column=wish.by)
    notes = (*notes, *one_sided(names, place, strata))
    return Division("folds", tuple(place), tuple(groups), tuning, by, (), reasons, notes, rule, left)


def _by_time(
    gathered: Gathered, wish: Wish, groups: list[str], strata: list[list[Hashable]], by: str, notes: tuple[str, ...]
) -> Division:
    if wish.after is None and not wish.internal:
        raise OverreadError(
            "The newest patients are to be the internal test, and --internal 0 leaves none.", "leave out one of the two"
        )
    test, after = newest(groups, [d.date for d in gathered.drafts], wish.after, wish.internal)
    before = [k for k, is_test in enumerate(test) if is_test is False]
    shares = {"training": 1 - wish.tuning, "tuning": wish.tuning}
    drawn = split_by_group([groups[k] for k in before], [strata[k] for k in before], shares, wish.seed)
    place: list[str | int | None] = ["internal" if is_test else None for is_test in test]
    for k, part in zip(before, drawn, strict=True):
        place[k] = part
    day = after.isoformat()
    reasons = {
        "split.scheme": f"patients first seen on {day} or later are the internal test; the others drawn with seed {wish.seed}, "
        f"spread evenly by {by}"
    }
    names = ("training", "tuning", "internal test")
    parts = [None if p is None else ("training", "tuning", "internal").index(str(p)) for p in place]
    notes = (*notes, *one_sided(names, parts, strata))
    rule = {"after": day}
    return Division("partitions", tuple(place), tuple(groups), {}, by, (), reasons, notes, rule, OTHER_TIME)


def is_date(gathered: Gathered, column: str) -> bool:
    """Whether a column is that of the exam's date."""
    named = gathered.roles.date if gathered.roles else None
    return column.casefold() == "date" or (named is not None and column.casefold() == named.casefold())


def levels_of(gathered: Gathered, column: str) -> list[str | None]:
    """What a column says of each case; "site" and "scanner" may come from the files' own headers."""
    sheet = gathered.joined.sheet if gathered.joined else None
    if sheet is not None and any(column.casefold() == c.casefold() for c in sheet.columns):
        return gathered.column(sheet.find(column))
    own = {"site": [d.site for d in gathered.drafts], "scanner": [d.scanner for d in gathered.drafts]}.get(column.casefold())
    return [value or None for value in own] if own is not None else gathered.column(column)


def all_sealed(gathered: Gathered) -> Division:
    """An external cohort: every case is a test case."""
    refuse_made(gathered.drafts, gathered.seen, "an external cohort, where every case tests")
    patients = [d.patient or d.name for d in gathered.drafts]
    digests = [s.digest for s in gathered.seen]
    reasons = {"split.scheme": "an external cohort: every case is a test case, and its truth is under seal"}
    notes = _duplicate_notes(gathered, patients, digests)
    place = ("internal",) * len(patients)
    return Division("external", place, tuple(linked_groups(patients, digests)), {}, "", (), reasons, notes)


def _refuse_few(groups: Sequence[str], wish: Wish, steps: Sequence[Step]) -> None:
    least, what = (3, "training, tuning and test") if wish.internal else (2, "training and tuning")
    if wish.folds:
        least, what = wish.folds + 1, f"{wish.folds} folds"
    count = len(set(groups))
    if count >= least:
        return
    reasons = Counter(item.reason for s in steps for item in s.left_out)
    lost = ", ".join(f"{n} ({reason})" for reason, n in reasons.most_common())
    raise OverreadError(
        f"Of {count} patient{'s' if count != 1 else ''} no {what} can be made; at least {least} are needed."
        + (f" Left out before: {lost}." if lost else ""),
        f"add patients{_or_fewer(wish, count)}, or check "
        + ("what was left out before" if lost else "that the column given with --group-by names patients"),
    )


def _or_fewer(wish: Wish, count: int) -> str:
    if wish.folds:
        return " or ask for fewer --folds"
    return " or do without an internal test (--internal 0; nothing can be claimed then)" if count == 2 else ""


def _honour(
    gathered: Gathered,
    given: Given,
    wish: Wish,
    patients: Sequence[str],
    digests: Sequence[str],
    groups: list[str],
    strata: list[list[Hashable]],
    by: str,
    notes: tuple[str, ...],
) -> Division:
    """A given split, after the check; tuning is drawn from its training part where it has none."""
    drafts = gathered.drafts
    listed = [k for k in range(len(drafts)) if k in given.place]
    words = [str(given.place[k]) if given.scheme == "partitions" else f"fold {given.place[k]}" for k in listed]
    words_of_truth = _truth_words(gathered)
    leaks = find_leaks(words, [patients[k] for k in listed], [digests[k] for k in listed], [words_of_truth[k] for k in listed])
    if not wish.leak_override:
        refuse_leaks(leaks, words, [drafts[k].name for k in listed])
    clean = "; no patient and no identical image on two sides"
    if not gathered.patient_known:
        clean = "; no identical image on two sides, but no patient is known to check"
    reasons = {"split.scheme": f"given: {given.source}" + (f"; leaks accepted: {wish.leak_override}" if leaks else clean)}
    sub_groups, sub_strata = [groups[k] for k in listed], [strata[k] for k in listed]
    place: list[str | int | None] = [None] * len(drafts)
    if given.scheme == "folds":
        folds = [int(given.place[k]) for k in listed]
        tuning = _tuning_of_folds(sub_groups, sub_strata, folds, wish)
        for k, fold in zip(listed, folds, strict=True):
            place[k] = fold
        return Division("folds", tuple(place), tuple(groups), tuning, by, tuple(leaks), reasons, notes)
    for k in listed:
        place[k] = str(given.place[k])
    if "tuning" not in given.place.values():
        reasons["split.tuning"] = "the given split has no tuning part; this share was drawn from its training part"
        inside = [k for k in listed if place[k] == "training"]
        drawn = split_by_group(
            [groups[k] for k in inside],
            [strata[k] for k in inside],
            {"training": 1 - wish.tuning, "tuning": wish.tuning},
            wish.seed,
        )
        for k, partition in zip(inside, drawn, strict=True):
            place[k] = partition
    if given.unknown:
        some = ", ".join(given.unknown[:3]) + (" ..." if len(given.unknown) > 3 else "")
        count = _groups_are(len(given.unknown), "entry of the given split fits", "entries of the given split fit")
        notes = (*notes, f"{count} no image: {some}")
    if "internal" not in given.place.values():
        notes = (*notes, "WARNING: the given split has no test part, so there is no internal test to evaluate on")
    return Division("given", tuple(place), tuple(groups), {}, by, tuple(leaks), reasons, notes)


def _tuning_of_folds(
    groups: Sequence[str], strata: Sequence[Sequence[Hashable]], place: Sequence[int], wish: Wish
) -> dict[int, tuple[str, ...]]:
    """For each fold the groups among the others that tune, drawn once so that an update moves nobody."""
    tuning = {}
    for fold in sorted(set(place)):
        rest = [k for k, p in enumerate(place) if p != fold]
        drawn = split_by_group(
            [groups[k] for k in rest], [strata[k] for k in rest], {"training": 1 - wish.tuning, "tuning": wish.tuning}, wish.seed
        )
        tuning[fold] = tuple(sorted({groups[k] for k, p in zip(rest, drawn, strict=True) if p == "tuning"}))
    return tuning


def _truth_words(gathered: Gathered) -> list[str]:
    """The truth of every draft as one comparable word."""
    return [
        f"{sorted(gathered.truths[d.name].values.items())}{s.content}"
        for d, s in zip(gathered.drafts, gathered.seen, strict=True)
    ]


def _duplicate_notes(gathered: Gathered, patients: Sequence[str], digests: Sequence[str]) -> tuple[str, ...]:
    """Identical images: how many, between whom, and whether their truths agree."""
    groups = find_duplicates(digests)
    if not groups:
        return ()
    between = [g for g in groups if len({patients[k] for k in g}) > 1]
    words = _truth_words(gathered)
    contradict = [g for g in groups if len({words[k] for k in g}) > 1]
    count = _groups_are(len(groups), "group of identical images", "groups of identical images")
    notes = [f"{count} ({sum(map(len, groups))} images); a drawn split keeps each group together"]
    if between and gathered.patient_known:
        count = _groups_are(len(between), "group of identical images lies", "groups of identical images lie")
        notes.append(f"WARNING: {count} under different patients (one person under two ids?), e.g. {_pair(gathered, between[0])}")
    if contradict:
        count = _groups_are(len(contradict), "group of identical images has", "groups of identical images have")
        notes.append(f"WARNING: {count} contradicting truths, e.g. {_pair(gathered, contradict[0])}")
    return tuple(notes)


def _groups_are(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _pair(gathered: Gathered, group: Sequence[int]) -> str:
    return f"{gathered.drafts[group[0]].name} and {gathered.drafts[group[1]].name}"


def left_by_split(drafts: Sequence[Draft], division: Division) -> Step | None:
    """The cases for which the split has no place."""
    placed = enumerate(zip(drafts, division.place, strict=True))
    out = tuple(LeftOut(d.name, division.apart.get(k, division.left)) for k, (d, p) in placed if p is None)
    step = "in the split" if division.rule or division.apart else "in the given split"
    return Step(step, len(drafts) - len(out), out) if out else None


def class_counts(question: Question, truths: Sequence[TruthReference], voxels: Sequence[Mapping[int, int]]) -> dict[str, Any]:
    """Cases per class, finding or structure; for numbers how many are known (a range would tell two truths)."""
    if question.task == "regression":
        return {name: {"known": sum(t.values.get(name) is not None for t in truths)} for name in question.classes}
    if question.is_of_images and not question.conditions and not question.guides:
        return {}
    strata, _ = strata_of(question, truths, voxels)
    counter = Counter(s for case in strata for s in case)
    return {name: counter.get(name, 0) for name in question.conditions or question.of_masks.classes}
