"""Several series of one exam: which one is the case, or which one is which channel, and why the others are not.

Rules are those of `overread.cohort.rules`; `init`, `update` and `read` choose here and nowhere else. Where rules leave no series,
or several, that is said by name: nothing is chosen by chance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from overread.cohort.draft import Draft, LeftOut, Step
from overread.cohort.numbers import as_number
from overread.cohort.patterns import RANKS, fits
from overread.cohort.phase import phase_of
from overread.cohort.rules import FILES_NEXT, SERIES_FIELDS, ImageRules, Rule, in_words
from overread.cohort.series_table import proposal, propose_rule, table
from overread.core.case import ImageReference
from overread.core.errors import OverreadError, Refused

TOLD = ("description", "kernel", "thickness", "plane", "phase", "volume")


@dataclass(frozen=True)
class Pick:
    """What rules make of the series of one exam.

    draft    the case with its channels; None where refused
    members  the series that were chosen, channel -> draft
    passed   series that were not chosen, each with its reason
    refusal  why the exam gives no case
    """

    draft: Draft | None
    members: Mapping[str, Draft] = field(default_factory=dict)
    passed: tuple[LeftOut, ...] = ()
    refusal: Refused | None = None


@dataclass(frozen=True)
class Chosen:
    """Drafts after the choice, one per exam (or per side of it).

    step     the step of the data flow; None where there was nothing to choose
    told     lines for the terminal: what was chosen
    renamed  name of a series -> name of the case that it became a channel of
    """

    drafts: tuple[Draft, ...]
    step: Step | None = None
    told: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


def choose_series(drafts: Sequence[Draft], rules: ImageRules) -> Chosen:
    """One draft per exam by the rules; without rules an exam with several series stops with a table and a proposal."""
    if not any(d.images[0].format == "dicom" for d in drafts):
        if rules.series:
            raise OverreadError(
                f"images.series ({in_words(rules.series)}) chooses among DICOM series, and these are plain files.",
                "leave it out; to tell files of one case apart, " + FILES_NEXT,
            )
        return Chosen(tuple(drafts))
    by_file = [channel for channel, rule in rules.channels.items() if "file" in rule]
    if by_file:
        raise OverreadError(
            f"images.channels.{by_file[0]} is a rule for names of files, and these are DICOM series.",
            f'write a rule for its series, for example {by_file[0]} = {{ description = "*{by_file[0]}*" }}',
        )
    by_exam = exams_of(drafts)
    if not rules.for_series:
        several = [members for members in by_exam if len(members) > 1]
        if several:
            raise _undecided(by_exam, several)
        return Chosen(tuple(drafts))
    picks = [pick(members, rules) for members in by_exam]
    _refuse_undecided(picks, by_exam)
    kept = [p.draft for p in picks if p.draft is not None]
    if not kept:
        raise _nothing(picks, drafts, rules)
    absent = [c for c in rules.for_series if not any(c in p.members for p in picks)]
    if absent:  # a channel that nobody has is a wrong rule, whatever is done where one is missing
        raise OverreadError(
            f"No series of any exam fits the channel '{absent[0]}' ({in_words(rules.for_series[absent[0]])}).\n"
            + table(drafts, value_of),
            f"correct its rule under images.channels, or leave '{absent[0]}' out",
        )
    out = [
        LeftOut(members[0].name, p.refusal.what if p.refusal.code == "no-series-fits" else f"refused: {p.refusal.code}")
        for p, members in zip(picks, by_exam, strict=True)
        if p.refusal is not None
    ]
    passed = [item for p in picks if p.draft is not None for item in p.passed]
    renamed = {m.name: p.draft.name for p in picks if p.draft is not None for m in p.members.values()}
    step = Step("one case per exam, by the rules for its series", len(kept), (*out, *passed))
    return Chosen(tuple(kept), step, tuple(_told(picks, rules)), renamed)


def exams_of(drafts: Sequence[Draft]) -> list[list[Draft]]:
    """Series grouped by exam, and by side where the headers name one."""
    by_exam: dict[tuple[str, str], list[Draft]] = defaultdict(list)
    for draft in drafts:
        by_exam[(draft.exam_name, draft.side)].append(draft)
    return list(by_exam.values())


def pick(members: Sequence[Draft], rules: ImageRules) -> Pick:
    """Choose among the series of one exam, for each channel one."""
    wanted = rules.for_series
    picked: dict[str, Draft | None] = {}
    for channel, rule in wanted.items():
        hits = _ranked([d for d in members if why_not(d, rule) is None], rule)
        if len(hits) > 1:
            return Pick(None, refusal=_several(hits, channel, rule, len(wanted) > 1))
        picked[channel] = hits[0] if hits else None
    refusal = _missing(picked, wanted, rules) or _shared(picked) or _other_frame(picked)
    if refusal is not None:
        return Pick(None, refusal=refusal)
    chosen = {c: d for c, d in picked.items() if d is not None}
    return Pick(_draft(picked, chosen), chosen, _passed(members, chosen, wanted))


def _draft(picked: Mapping[str, Draft | None], chosen: Mapping[str, Draft]) -> Draft:
    """One case: named and described by its reference series."""
    images = tuple(ImageReference(c, "missing", ()) if d is None else replace(d.images[0], channel=c) for c, d in picked.items())
    first = next(iter(chosen.values()))
    aliases = tuple(dict.fromkeys(alias for d in chosen.values() for alias in d.aliases))
    return mark_missing(replace(first, images=images, aliases=aliases))


def mark_missing(draft: Draft) -> Draft:
    """A case that says which of its channels are missing."""
    lacking = [i.channel for i in draft.images if i.format == "missing"]
    return replace(draft, covariates={**draft.covariates, "missing channels": ", ".join(lacking)}) if lacking else draft


def _passed(members: Sequence[Draft], chosen: Mapping[str, Draft], wanted: Mapping[str, Rule]) -> tuple[LeftOut, ...]:
    taken = {d.name for d in chosen.values()}
    left = []
    for d in members:
        if d.name not in taken:
            reasons = dict.fromkeys(why_not(d, rule) or f"not the {_rank_words(rule)}" for rule in wanted.values())
            left.append(LeftOut(d.name, "series not chosen: " + "; ".join(reasons)))
    return tuple(left)


def why_not(draft: Draft, rule: Rule) -> str | None:
    """The first line of a rule that a series does not fit, in words without its values; None where it fits all."""
    for name, pattern in rule.items():
        if pattern.strip().casefold() in RANKS:
            if as_number(value_of(draft, name)) is None:
                return f"{name} is not known"
        elif not fits(value_of(draft, name), pattern):
            return f"{name} is not '{pattern}'"
    return None


def _ranked(hits: list[Draft], rule: Rule) -> list[Draft]:
    """Of the series that fit, those with the lowest or highest number, where the rule asks for it."""
    for name, pattern in rule.items():
        best = RANKS.get(pattern.strip().casefold())
        if best is not None and hits:
            numbers = [as_number(value_of(d, name)) or 0.0 for d in hits]
            hits = [d for d, n in zip(hits, numbers, strict=True) if n == best(numbers)]
    return hits


def _rank_words(rule: Rule) -> str:
    return ", ".join(f"{p.strip().casefold()} {n}" for n, p in rule.items() if p.strip().casefold() in RANKS) or "one that counts"


def value_of(draft: Draft, name: str) -> str:
    """A field of a series as text; "" where it is not known."""
    if name == "phase":
        return phase_of(draft.attributes)
    value = draft.attributes.get(SERIES_FIELDS[name])
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _missing(picked: Mapping[str, Draft | None], wanted: Mapping[str, Rule], rules: ImageRules) -> Refused | None:
    lacking = [c for c, d in picked.items() if d is None]
    reference = next(iter(picked))
    if not lacking or (rules.missing == "zeros" and reference not in lacking):
        return None
    if len(picked) == 1:
        what = f"no series of the exam fits [images.series] ({in_words(wanted[reference])})"
    else:
        words = "; ".join(f"no series fits {c}: {in_words(wanted[c])}" for c in lacking)
        kind = "reference channel" if reference in lacking else "channel"
        what = f"{kind} missing ({words})"
    return Refused("no-series-fits", what, "name the rule that fits under [images] in project.toml")


def _shared(picked: Mapping[str, Draft | None]) -> Refused | None:
    """One series cannot be two channels: a rule is too wide."""
    owner: dict[str, str] = {}
    for channel, draft in picked.items():
        if draft is None:
            continue
        if draft.name in owner:
            return Refused(
                "two-channels-one-series",
                f"The series {draft.name} fits two channels, '{owner[draft.name]}' and '{channel}'.",
                "make the rules under images.channels more exact",
            )
        owner[draft.name] = channel
    return None


def _other_frame(picked: Mapping[str, Draft | None]) -> Refused | None:
    """Volumes whose frames of reference differ have no known place to each other."""
    placed = {c: d for c, d in picked.items() if d is not None and d.attributes.get("plane")}
    if len(placed) < 2:
        return None
    (name, first), *others = placed.items()
    for other, draft in others:
        if draft.attributes.get("frame_of_reference") != first.attributes.get("frame_of_reference"):
            return Refused(
                "other-frame-of-reference",
                f"The series of channels '{name}' and '{other}' ({first.name}; {draft.name}) lie in different frames of "
                "reference: where one lies to the other is not known.",
                "register the two and write them again in one frame of reference, or choose series of one examination",
            )
    return None


def _several(hits: Sequence[Draft], channel: str, rule: Rule, is_channel: bool) -> Refused:
    where = f"images.channels.{channel}" if is_channel else "images.series"
    return Refused(
        "several-series",
        f"{len(hits)} series of one exam fit [{where}] ({in_words(rule) or 'no line'}): {hits[0].name} and {hits[1].name}.\n"
        + table(hits, value_of),
        f"add a line that tells them apart, e.g. --series {f'{channel}.' if is_channel else ''}{_telling(hits)}",
    )


def _telling(hits: Sequence[Draft]) -> str:
    """A line that would leave one of these series."""
    line, left = propose_rule([hits], value_of)
    if left and len(line) == 1:
        name, pattern = next(iter(line.items()))
        return f"{name}='{pattern}'"
    return "number=highest for the last one acquired"


def _refuse_undecided(picks: Sequence[Pick], by_exam: Sequence[Sequence[Draft]]) -> None:
    """Stop where a rule is not exact enough: that is for the user to say, for all such exams at once."""
    for code in ("several-series", "two-channels-one-series"):
        faults = [p.refusal for p in picks if p.refusal is not None and p.refusal.code == code]
        if faults:
            count = f"{len(faults)} of {len(by_exam)} exams; the first: " if len(by_exam) > 1 else ""
            raise Refused(code, count + faults[0].what, faults[0].next)


def _nothing(picks: Sequence[Pick], drafts: Sequence[Draft], rules: ImageRules) -> OverreadError:
    refusals = [p.refusal for p in picks if p.refusal is not None]
    other = [r for r in refusals if r.code != "no-series-fits"]
    if other and len(other) == len(refusals):
        return Refused(other[0].code, f"No exam gives a case; the first: {other[0].what}", other[0].next)
    wanted = rules.for_series
    words = in_words(rules.series) if not rules.channels else "; ".join(f"{c}: {in_words(r)}" for c, r in wanted.items())
    where = "images.channels" if rules.channels else "images.series"
    if rules.channels:
        words += f". {refusals[0].what}"
    return OverreadError(
        f"No series fits [{where}]: {words}.\n" + table(drafts, value_of), "correct the pattern; * stands for any text"
    )


def _undecided(by_exam: Sequence[Sequence[Draft]], several: Sequence[Sequence[Draft]]) -> OverreadError:
    have, rest = "has" if len(several) == 1 else "have", len(by_exam) - len(several)
    others = f" These are theirs; a rule counts for the other {rest}, with one series each, too." if rest else ""
    return OverreadError(
        f"{len(several)} of {len(by_exam)} exams {have} more than one series to learn from; which one counts is yours to say."
        f"{others}\n" + table([d for members in several for d in members], value_of),
        proposal(by_exam, value_of),
    )


def _told(picks: Sequence[Pick], rules: ImageRules) -> list[str]:
    """What was chosen: kinds of series with their counts, for each channel; no patient in it."""
    lines = []
    for channel, rule in rules.for_series.items():
        chosen = [p.members[channel] for p in picks if channel in p.members]
        name = f"channel {channel}" if rules.channels else "series chosen"
        lines.append(f"{name}: {len(chosen)} exams, because {in_words(rule)}")
        shown = [n for n in TOLD if any(value_of(d, n) for d in chosen)]
        kinds = Counter(", ".join(f"{n} {value_of(d, n) or '-'}" for n in shown) for d in chosen)
        lines += [f"  {n:>6}  {kind}" for kind, n in kinds.most_common(5)]
        if len(kinds) > 5:
            lines.append(f"          and {len(kinds) - 5} more kinds")
    return lines
