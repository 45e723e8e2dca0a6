"""Concerns about images that occur more than once: across partitions, under two names, with two truths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from overread.audit.concern import Concern
from overread.audit.leaks.duplicates import Twins, groups_of
from overread.audit.leaks.groups import FLATTERS, SPLIT_AGAIN, Cases, Group, counted, evidence_of, named_patient


def look_for_copies(found: Cases, twins: Sequence[Twins]) -> list[Concern]:
    """Identical and nearly identical images."""
    identical = [pair for pair in twins if pair.is_identical]
    near = [pair for pair in twins if not pair.is_identical]
    return [
        *_images(found, identical, "identical"),
        *_images(found, twins, "near"),
        *_two_names(found, twins),
        *_contradictions(found, identical, "identical"),
        *([] if found.is_drawn else _contradictions(found, near, "near")),
    ]


def _images(found: Cases, twins: Sequence[Twins], kind: str) -> list[Concern]:
    """Copies across partitions are a fault; copies inside one are to be known."""
    groups = groups_of([(pair.one, pair.other) for pair in twins])
    near = {pair.other for pair in twins if not pair.is_identical} | {pair.one for pair in twins if not pair.is_identical}
    if kind == "near":  # groups that are held together by identical pixels alone are told as such
        groups = [group for group in groups if near & set(group)]
    across = found.across(groups)
    inside = [group for group in groups if group not in across]
    concerns = []
    if across:
        concerns.append(_copies(found, across, twins, kind, is_across=True))
    if inside:
        concerns.append(_copies(found, inside, twins, kind, is_across=False))
    return concerns


def _copies(found: Cases, groups: Sequence[Group], twins: Sequence[Twins], kind: str, is_across: bool) -> Concern:
    what = "identical images" if kind == "identical" else "nearly identical images (rescaled, windowed, compressed or flipped)"
    one, many = ("lies", "lie") if found.audited.partitions else ("was found", "were found")
    where = " in more than one partition" if is_across else " within one partition" if found.audited.partitions else ""
    name = "identical-images" if kind == "identical" else "near-duplicates"
    inside = (
        "Copies count as several cases though they are one: intervals are too narrow, and training sees them more often. A split "
        "that is drawn by case would put them on two sides."
    )
    return Concern(
        key=f"{name}-in-two-partitions" if is_across else f"{name}-in-one-partition",
        subject="leak",
        severity="fault" if is_across else "note" if found.audited.partitions else "warning",
        statement=f"{counted(groups, (f'group of {what}', one), (f'groups of {what}', many))}{where}.",
        meaning=FLATTERS if is_across else inside,
        certainty=_certainty(kind),
        advice=SPLIT_AGAIN if is_across else "Keep one of each group, or make sure that a group stays in one partition.",
        evidence=evidence_of(found, groups) | of_twins(groups, twins),
        cases=groups,
        partitions=found.partitions(groups),
    )


def _certainty(kind: str) -> str:
    if kind == "identical":
        return "Sure: every pixel is the same."
    return (
        "Nearly sure: hashes and the pictures laid over each other agree. Among 20 million pairs of different chest films none "
        "passed both limits; two films of one person, taken alike, or neighbouring slices of one scan may."
    )


def _two_names(found: Cases, twins: Sequence[Twins]) -> list[Concern]:
    groups = [
        group for group in groups_of([(pair.one, pair.other) for pair in twins]) if found.different(group, named_patient) > 1
    ]
    if not groups:
        return []
    return [
        Concern(
            key="one-image-under-two-patients",
            subject="leak",
            severity="warning",
            statement=f"{counted(groups, ('image', 'appears'), ('images', 'appear'))} under different patients.",
            meaning="One person goes under two numbers, or an image was filed under the wrong person: a split by patient does "
            "not keep them together.",
            certainty="Sure where pixels are identical, nearly sure otherwise; which number is right cannot be told.",
            advice="Check these cases at their source, and give them one patient number or leave one out.",
            evidence=evidence_of(found, groups) | of_twins(groups, twins),
            cases=groups,
            partitions=found.partitions(groups),
        )
    ]


def _contradictions(found: Cases, twins: Sequence[Twins], kind: str) -> list[Concern]:
    """One image, two truths. Sealed truths are compared by digest, and only counted: to name the case would tell its truth."""
    differ = [(pair.one, pair.other) for pair in twins if _differs(found, pair)]
    if not differ:
        return []
    shown = [pair for pair in differ if not any(found.by_name[name].is_sealed for name in pair)]
    sealed = len(differ) - len(shown)
    pairs = "1 pair" if len(differ) == 1 else f"{len(differ)} pairs"
    behind = f" A truth of {sealed} of them is sealed, so these are only counted." if sealed else ""
    is_sure = kind == "identical"
    return [
        Concern(
            key=f"contradicting-truths-of-{kind}-images",
            subject="labels",
            severity="warning" if is_sure else "note",
            statement=f"Contradicting truths for {pairs} of {'' if is_sure else 'nearly '}identical images.{behind}",
            meaning="At least one truth of each pair is wrong: it teaches nothing, and in a test no model can be right in both.",
            certainty="Sure that they contradict; not which is wrong."
            if is_sure
            else "Not sure: two films of one person on different days may be alike and rightly differ, as may a class that names "
            "a side and a mirrored copy. Sealed truths were not compared.",
            advice="Have somebody look at the pairs that are shown. Those under seal wait for the opening of the test.",
            evidence={"pairs": len(differ), "pairs_with_a_sealed_truth": sealed},
            cases=shown,
            partitions=found.partitions(shown),
        )
    ]


def _differs(found: Cases, pair: Twins) -> bool:
    """Of identical images by the digest of the truth, sealed or not; else, as a digest belongs to one image, by open truths."""
    one, other = found.by_name[pair.one], found.by_name[pair.other]
    if pair.is_identical:
        return bool(one.truth_digest and other.truth_digest) and one.truth_digest != other.truth_digest
    return one.truth is not None and other.truth is not None and dict(one.truth) != dict(other.truth)


def of_twins(groups: Sequence[Group], twins: Sequence[Twins]) -> dict[str, Any]:
    members = {name for group in groups for name in group}
    some = [pair for pair in twins if pair.one in members and pair.other in members]
    return {
        "pairs": len(some),
        "lowest_likeness": min(p.likeness for p in some),
        "changes": dict(Counter(p.change for p in some)),
    }
