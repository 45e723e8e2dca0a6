"""Where the cases of an update go: everybody known stays, new exams go to their patient, new patients by the old rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from overread.cohort.by_column import OTHER_LEVEL, OTHER_TIME
from overread.cohort.divide import acquired, with_made
from overread.cohort.draft import Draft
from overread.cohort.gather import Gathered
from overread.cohort.given import given_split
from overread.cohort.identity import Link
from overread.cohort.index import places_of
from overread.cohort.made import made_positions, refuse_made
from overread.cohort.partition import Division, Wish, all_sealed, levels_of, shares_of, strata_of
from overread.cohort.split import folds_by_group, linked_groups, split_by_group
from overread.core.errors import OverreadError
from overread.workflow.cohorts.summary import PARTITION_NAMES
from overread.workflow.project import Project


def divide_again(project: Project, gathered: Gathered, splits: Mapping[str, Any], links: Sequence[Link]) -> Division:
    """Everybody known stays; new exams inherit; new patients are placed beside those that are there.

    Images that a network made train, as `cohort.divide` places them; refused where one has taken the place of an image that is
    tuned or tested on.
    """
    if splits["scheme"] == "external":
        return all_sealed(gathered)
    made = made_positions(gathered.seen)
    if not made:
        return _divided_again(project, gathered, splits, links)
    before = _before(splits, links)
    _refuse_turned(gathered, made, before)
    others, which = acquired(gathered)
    known = [k for k in made if gathered.drafts[k].name in before]
    return with_made(gathered, which, _divided_again(project, others, splits, links), known)


def _before(splits: Mapping[str, Any], links: Sequence[Link]) -> dict[str, str | int]:
    """What the user calls a case -> where it was."""
    places = places_of(splits)
    return {link.original_name: places[link.case_id] for link in links if link.case_id in places}


def _refuse_turned(gathered: Gathered, made: Sequence[int], before: Mapping[str, str | int]) -> None:
    """A network's image in the place of one that is tuned or tested on is refused; nobody changes partition."""
    for k in made:
        place = before.get(gathered.drafts[k].name)
        if place not in (None, "training"):
            where = f"fold {place}" if isinstance(place, int) else PARTITION_NAMES[str(place)]
            refuse_made(
                [gathered.drafts[k]], [gathered.seen[k]], f"{where}, where that case was", "put the patient's own image back"
            )


def _divided_again(project: Project, gathered: Gathered, splits: Mapping[str, Any], links: Sequence[Link]) -> Division:
    drafts, rule = gathered.drafts, splits.get("rule", {})
    patients = [d.patient or d.name for d in drafts]
    case_of = {link.original_name: link.case_id for link in links}
    place_of_case = {c: p for c, p in places_of(splits).items() if "fold" not in splits or isinstance(p, int)}
    known = [place_of_case.get(case_of.get(d.name, "")) for d in drafts]
    patient_place = {link.original_patient: place_of_case[link.case_id] for link in links if link.case_id in place_of_case}
    groups = linked_groups(patients, [s.digest for s in gathered.seen])
    fixed = _fixed_groups(drafts, groups, patients, patient_place)
    strata, by = strata_of(gathered.question, [gathered.truths[d.name] for d in drafts], [s.voxels for s in gathered.seen])
    seed, split = int(splits["seed"]), project.settings.split
    place: list[str | int | None]
    if "fold" in splits:
        if rule:
            place = _at_home(gathered, rule, known, groups, fixed)
        else:
            count = len(set(splits["fold"].values()))
            drawn = folds_by_group(groups, strata, count, seed, {g: int(f) for g, f in fixed.items()})
            place = [k if k is not None else d for k, d in zip(known, drawn, strict=True)]
        tuning = _tuning(splits, case_of, drafts, groups, strata, place, Wish(tuning=split.tuning), seed)
        left = OTHER_LEVEL.format(column=rule["by"]) if rule else ""
        return Division("folds", tuple(place), tuple(groups), tuning, by, (), {}, (), rule, left)
    if splits["scheme"] == "given":
        given = given_split(_given_by(project), gathered)
        named = given.place if given is not None and given.scheme == "partitions" else {}
        place = [p or fixed.get(g) or named.get(k) or "training" for k, (p, g) in enumerate(zip(known, groups, strict=True))]
    elif rule:
        place = _by_date(gathered, date.fromisoformat(rule["after"]), known, groups, fixed, strata, split.tuning, seed)
    else:
        shares = shares_of(split.tuning, split.internal)
        new = split_by_group(groups, strata, shares, seed, {g: str(p) for g, p in fixed.items()})
        place = [k or n for k, n in zip(known, new, strict=True)]
    return Division(splits["scheme"], tuple(place), tuple(groups), {}, by, (), {}, (), rule, OTHER_TIME if rule else "")


def _at_home(
    gathered: Gathered,
    rule: Mapping[str, Any],
    known: Sequence[str | int | None],
    groups: Sequence[str],
    fixed: Mapping[str, str | int],
) -> list[str | int | None]:
    """A fold for each site: a new patient goes to the fold of its site, an exam at another site goes nowhere."""
    names, levels = list(rule["levels"]), levels_of(gathered, rule["by"])
    strange = sorted({str(x) for x, k in zip(levels, known, strict=True) if k is None and x not in names})
    if strange:
        raise OverreadError(
            f"New cases have the {rule['by']} '{strange[0]}', for which there is no fold; there are {', '.join(names)}.",
            "make a new project with `overread init`, or take them in as an external cohort with `overread external`",
        )
    counts: dict[str, Counter[str]] = {}
    for group, level in zip(groups, levels, strict=True):
        counts.setdefault(group, Counter())[str(level)] += 1
    place: list[str | int | None] = []
    for k, group, level in zip(known, groups, levels, strict=True):
        home = fixed.get(group, names.index(min(counts[group], key=lambda name, c=counts[group]: (-c[name], name))))  # type: ignore[misc]
        place.append(k if k is not None else home if level in names and names.index(str(level)) == home else None)
    return place


def _by_date(
    gathered: Gathered,
    after: date,
    known: Sequence[str | int | None],
    groups: Sequence[str],
    fixed: Mapping[str, str | int],
    strata: Sequence[Sequence[Any]],
    tuning: float,
    seed: int,
) -> list[str | int | None]:
    """The newest patients are the internal test: new patients by their first exam, a late exam of an old patient nowhere."""
    days = [d.date for d in gathered.drafts]
    blank = [d.name for d, k in zip(gathered.drafts, known, strict=True) if d.date is None and k is None]
    if blank:
        raise OverreadError(f"{len(blank)} new cases have no date, {blank[0]} for example.", "fill the column with the date")
    first: dict[str, date] = {}
    for group, day in zip(groups, days, strict=True):
        if day is not None:
            first[group] = min(first.get(group, day), day)
    new = {g for g, day in first.items() if g not in fixed and day >= after} | {g for g, p in fixed.items() if p == "internal"}
    old = [k for k, g in enumerate(groups) if g not in new]
    shares = {"training": 1 - tuning, "tuning": tuning}
    held = {g: str(p) for g, p in fixed.items() if p != "internal"}
    drawn = split_by_group([groups[k] for k in old], [strata[k] for k in old], shares, seed, held)
    place: list[str | int | None] = ["internal"] * len(groups)
    for k, part in zip(old, drawn, strict=True):
        day = days[k]
        place[k] = None if day is not None and day >= after else part
    return [k if k is not None else p for k, p in zip(known, place, strict=True)]


def _given_by(project: Project) -> str | Path | None:
    """The file or column that gave the split, where it is still there."""
    given = project.settings.split.given
    return project.path / given if given and (project.path / given).is_file() else given


def _fixed_groups(
    drafts: Sequence[Draft], groups: Sequence[str], patients: Sequence[str], patient_place: Mapping[str, str | int]
) -> dict[str, str | int]:
    """group -> the partition that a patient of it has already; refused where a new image ties two partitions together."""
    fixed: dict[str, str | int] = {}
    for k, (group, patient) in enumerate(zip(groups, patients, strict=True)):
        place = patient_place.get(patient)
        if place is None:
            continue
        if fixed.setdefault(group, place) != place:
            raise OverreadError(
                f"A new image of {drafts[k].name} is identical to one of a patient in another partition "
                f"({PARTITION_NAMES.get(str(place), place)} against {PARTITION_NAMES.get(str(fixed[group]), fixed[group])}).",
                "find out whose image it is, and take the copy out of the folder",
            )
    return fixed


def _tuning(
    splits: Mapping[str, Any],
    case_of: Mapping[str, str],
    drafts: Sequence[Draft],
    groups: Sequence[str],
    strata: Sequence[Sequence[Any]],
    place: Sequence[str | int | None],
    wish: Wish,
    seed: int,
) -> dict[int, tuple[str, ...]]:
    """For each fold the groups that tune: those that did, and a share of the new ones."""
    tuning = {}
    for fold in sorted({int(p) for p in place if p is not None}):
        tuned = set(splits["tuning"].get(str(fold), ()))
        fixed = {
            g: "tuning" if case_of[d.name] in tuned else "training"
            for d, g in zip(drafts, groups, strict=True)
            if d.name in case_of
        }
        rest = [k for k, p in enumerate(place) if p is not None and p != fold]
        shares = {"training": 1 - wish.tuning, "tuning": wish.tuning}
        drawn = split_by_group([groups[k] for k in rest], [strata[k] for k in rest], shares, seed, fixed)
        tuning[fold] = tuple(sorted({groups[k] for k, p in zip(rest, drawn, strict=True) if p == "tuning"}))
    return tuning
