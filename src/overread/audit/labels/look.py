"""What is wrong, or thin, in the labels: too few of a kind, partitions that differ, labels that do not fit their images.

Truths under seal are never looked at; of them only the counts in the seal's summary are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.audit.audited import Audited, called
from overread.audit.concern import Concern, counted_as, several
from overread.audit.labels.counts import count_labels, patients_that_differ, unbalanced
from overread.audit.labels.suspect_labels import FEWEST_TO_LEARN, look_for_suspects
from overread.audit.size.expected import cases_needed, half, share_limits
from overread.audit.sketch import Sketch
from overread.cohort.progress import Progress

LEVEL = 0.01  # how often a clean cohort may be told that its partitions differ, all classes together
USABLE_SHARE, USABLE_HALF_WIDTH = 0.9, 0.10  # a sensitivity of 0.9 should be known to +-0.10
SHOWN = 50  # patients that are listed


def look_for_label_faults(
    audited: Audited,
    sketches: Mapping[str, Sketch],
    features: Mapping[str, Mapping[str, float]] | None = None,
    progress: Progress | None = None,
) -> list[Concern]:
    """Rare classes, partitions that differ, patients who contradict themselves, suspect labels.

    sketches  case_id -> sketch, what the small model looks at
    features  case_id -> hand-made features, looked at instead where given (slower to make, and better)
    """
    if audited.question is None:
        return []
    concerns = [*_rare(audited), *_constant(audited), *_unbalanced(audited), *_differing(audited)]
    if audited.question.task == "classification":
        concerns += look_for_suspects(audited, audited.question, sketches, features, progress)
    return concerns


def usable_cases() -> int:
    """The fewest positive cases that a usable interval needs: sensitivity 0.9 to +-0.10 (Wilson)."""
    found = cases_needed(lambda n: half(share_limits(USABLE_SHARE, n)), USABLE_HALF_WIDTH)
    assert found is not None
    return found


def _rare(audited: Audited) -> list[Concern]:
    """Classes too rare to be scored where they will be, or to be learned."""
    if audited.question is None or audited.question.task == "regression":
        return []
    usable, table = usable_cases(), count_labels(audited)
    divided = any(name in ("training", "tuning", "internal") for name in table)
    rare = []
    for partition, classes in table.items():
        fewest = FEWEST_TO_LEARN if partition == "training" else usable
        if partition.startswith("fold-") or (divided and partition == "tuning"):
            continue  # folds are scored together; a tuning partition chooses, it proves nothing
        rare += _below(partition, classes, fewest)
    folds = [classes for partition, classes in table.items() if partition.startswith("fold-")]
    if folds:
        pooled = {name: {"cases": _sum([fold[name]["cases"] for fold in folds])} for name in folds[0]}
        rare += _below("all folds together", pooled, usable)
    if not rare:
        return []
    told = several([f"{row['class']} in {called(row['partition']) or 'all'} ({row['cases']})" for row in rare], between="; ")
    return [
        Concern(
            "rare-class",
            "labels",
            "warning",
            f"Too few cases of {len({row['class'] for row in rare})} of {len(audited.question.classes)} classes: {told}.",
            f"With fewer than {usable} cases where it is scored, a sensitivity of {USABLE_SHARE} is not known to "
            f"+-{USABLE_HALF_WIDTH:.2f}; with fewer than {FEWEST_TO_LEARN} in training, a class is hardly learned.",
            "Certain for the counts. Several cases of one patient count for less than as many patients.",
            "Bring in more patients of these kinds, join classes that mean the same, or report them without a claim.",
            {"rows": rare, "usable_cases": usable},
            partitions=tuple(dict.fromkeys(row["partition"] for row in rare if row["partition"] in audited.partitions)),
        )
    ]


def _below(partition: str, classes: Mapping[str, Mapping[str, int | None]], fewest: int) -> list[dict[str, Any]]:
    counted = {name: row["cases"] for name, row in classes.items()}
    return [
        {"partition": partition, "class": name, "cases": cases, "wanted": fewest}
        for name, cases in counted.items()
        if cases is not None and cases < fewest
    ]


def _sum(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _constant(audited: Audited) -> list[Concern]:
    """Quantities, and findings of their own, of which every open case has one value."""
    question = audited.question
    if question is None or audited.is_drawn or (question.task == "classification" and question.exclusive):
        return []
    truths = [case.truth for case in audited.open_cases if case.truth is not None]
    known = {name: [v for truth in truths if (v := truth.get(name)) is not None] for name in question.classes}
    same = {name: values for name, values in known.items() if len(values) > 1 and len(set(values)) == 1}
    if not same:
        return []
    told = several([f"{name} is {values[0]:g} in all {len(values)} cases" for name, values in same.items()], between="; ")
    return [
        Concern(
            "constant-label",
            "labels",
            "warning",
            f"The truth does not vary: {told}.",
            "Nothing can be learned of it, and whoever answers this value is always right.",
            "Certain of the cases whose truth is open.",
            "Check that the right column was taken; bring in cases that differ, or take it out of the question.",
            {"cases": {name: len(values) for name, values in same.items()}},
        )
    ]


def _unbalanced(audited: Audited) -> list[Concern]:
    rows = [row for row in unbalanced(audited) if row["p_holm"] < LEVEL]
    if not rows:
        return []
    worst = min(rows, key=lambda row: row["p"])
    shares = ", ".join(f"{called(p)} {share:.0%} of {worst['patients'][p]}" for p, share in worst["shares"].items())
    spread = counted_as(len(rows), "class is not spread", "classes are not spread")
    return [
        Concern(
            "class-balance-differs",
            "labels",
            "warning",
            f"{spread} evenly over the partitions; {worst['class']}: {shares} patients.",
            "The prevalence that a model learned is not that of the test: thresholds, calibration and PPV will not carry over.",
            f"Chance alone would do this in any class with probability {worst['p_holm']:.2g} (chi-square over patients, by "
            f"Holm's rule over all classes; told below {LEVEL:.0%}). Partitions by site or date differ without being wrong.",
            "Split again with the class as stratum, or say that the prevalence differs and why.",
            {"rows": rows},
            partitions=tuple(worst["shares"]),
        )
    ]


def _differing(audited: Audited) -> list[Concern]:
    found = patients_that_differ(audited)
    if not found:
        return []
    groups = list(dict.fromkeys(cases for _, cases in found))
    names = sorted({name for name, _ in found})
    return [
        Concern(
            "exams-of-a-patient-differ",
            "labels",
            "note",
            f"Exams of {counted_as(len(groups), 'patient')} have different labels ({several(names, 6)}).",
            "Right where the finding comes and goes. Of a finding that stays (an old scar) one of the labels is wrong.",
            "Certain that they differ; whether one is wrong, only somebody who knows the finding can say.",
            "Look at these patients together if the finding does not change over time.",
            {"patients": len(groups), "classes": names},
            cases=groups[:SHOWN],
        )
    ]
