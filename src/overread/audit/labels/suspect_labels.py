"""Labels that do not fit their images, as concerns: what a small model says, beside what it would say of a clean cohort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from skimage.feature import hog

from overread.audit.audited import Audited, AuditedCase
from overread.audit.concern import Concern, several
from overread.audit.features import feature_table
from overread.audit.labels.suspects import Suspicion, suspicion
from overread.audit.sketch import Sketch
from overread.cohort.progress import Progress
from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.intervals.delong import area, area_interval
from overread.evaluation.intervals.patients import Patients

LEVEL = 0.02  # how often a clean cohort may be told that its labels are wrong, all findings together
FEWEST_TO_LEARN = 10  # patients of each class that a small model needs
LEAST_AREA = 0.6  # the small model must tell the class at least so well to judge its labels
SHOWN = 50  # suspect labels that are listed


def look_for_suspects(
    audited: Audited,
    question: Question,
    sketches: Mapping[str, Sketch],
    features: Mapping[str, Mapping[str, float]] | None,
    progress: Progress | None,
) -> list[Concern]:
    """Exclusive classes together; findings that may go together one by one."""
    seen = [case for case in audited.open_cases if case.case_id in (sketches if features is None else features)]
    asked = [tuple(question.classes)] if question.exclusive else [(name,) for name in question.classes]
    concerns = []
    if progress is not None:
        progress.start(len(asked), "Letting a small model look at the labels")
    for names in asked:
        cases, label = _labelled(seen, names)
        classes, enough = _learnable(cases, label, len(names) if len(names) > 1 else 2)
        if enough:
            kept = np.isin(label, classes)
            chosen = [case for case, keep in zip(cases, kept, strict=True) if keep]
            number = np.searchsorted(classes, label[kept])
            table = _table(chosen, sketches, features)
            called = [names[k] if len(names) > 1 else ("not " if k == 0 else "") + names[0] for k in classes]
            concerns += _judged(chosen, called, suspicion(table, number, audited.patients(chosen)), len(asked))
        else:
            concerns.append(_too_few(names, cases))
        if progress is not None:
            progress.advance()
    if progress is not None:
        progress.finish()
    return concerns


def _labelled(cases: list[AuditedCase], names: tuple[str, ...]) -> tuple[list[AuditedCase], np.ndarray]:
    """Cases with a known label and its number: the class, or 1 and 0 for a single finding."""
    values = [[None if case.truth is None else case.truth.get(name) for name in names] for case in cases]
    known = [k for k, row in enumerate(values) if all(value is not None for value in row)]
    if len(names) == 1:
        return [cases[k] for k in known], np.array([int((values[k][0] or 0) > 0.5) for k in known], dtype=int)
    told = [k for k in known if sum((value or 0) > 0.5 for value in values[k]) == 1]
    return [cases[k] for k in told], np.array([int(np.argmax([v or 0 for v in values[k]])) for k in told], dtype=int)


def _learnable(cases: list[AuditedCase], label: np.ndarray, count: int) -> tuple[np.ndarray, bool]:
    """Classes of which there are patients enough; two of them are needed."""
    patients = np.array([case.patient_id for case in cases], dtype=str)
    classes = [k for k in range(count) if len(set(patients[label == k])) >= FEWEST_TO_LEARN]
    return np.array(classes, dtype=int), len(classes) > 1


def _table(
    cases: list[AuditedCase], sketches: Mapping[str, Sketch], features: Mapping[str, Mapping[str, float]] | None
) -> np.ndarray:
    """(N, F) what the small model looks at."""
    if features is not None:
        return feature_table([features[case.case_id] for case in cases])[1]
    return np.stack([sketch_features(sketches[case.case_id]) for case in cases])


def sketch_features(one: Sketch) -> np.ndarray:
    """(F,) the picture at 16 x 16, its oriented gradients, a volume at 8 x 8 x 8, and the statistics of its intensities."""
    coarse = one.small.reshape(16, 4, 16, 4).mean((1, 3)).ravel()
    turns = hog(one.small, 8, (16, 16), (1, 1), block_norm="L2")
    volume = np.zeros(0) if one.is_planar else one.volume.reshape(8, 2, 8, 2, 8, 2).mean((1, 3, 5)).ravel()
    return np.concatenate([coarse, turns, volume, np.array([one.intensities[k] for k in sorted(one.intensities)])])


def _judged(cases: list[AuditedCase], names: list[str], found: Suspicion, family: int) -> list[Concern]:
    """One concern: a warning where more labels are suspect than overlap of the classes explains, else a note."""
    areas = _areas(cases, names, found)
    if not any(one.low is not None and one.low > LEAST_AREA for one in areas.values()):
        return [_blind(names, cases, areas)]
    mean, low, high = found.expected
    count = int(found.suspect.sum())
    beyond = count > high and found.chance < LEVEL / family
    evidence = _evidence(cases, names, found, areas)
    told = (
        f"{count} of {len(cases)} labels ({several(names, between=' / ')}) do not fit their images; "
        f"about {mean:.0f} ({low:.0f} to {high:.0f}) would not if every label were right"
    )
    low_share, high_share = found.limits
    wrong = f"Roughly {found.share:.1%} ({low_share:.1%} to {high_share:.1%}) of the labels may be wrong. " if beyond else ""
    return [
        Concern(
            "suspect-labels",
            "labels",
            "warning" if beyond else "note",
            f"{told}.",
            f"{wrong}Wrong labels cost a model some of its score, and the score some of its meaning."
            if beyond
            else "No more than classes that look alike would explain; the list is where to look first, not a list of errors.",
            f"A small model judged each label without having seen the patient. A clean cohort would look like this with "
            f"probability {found.chance:.2g}. Rare appearances and images of another kind look the same as wrong labels.",
            f"Have somebody look at the first {min(SHOWN, max(count, 1))} without seeing the label; correct what is wrong, then "
            "`overread update`. Do not correct test cases only where a model disagrees.",
            evidence,
            cases=[(cases[k].case_id,) for k in found.order[:SHOWN]],
            partitions=tuple(dict.fromkeys(cases[k].partition for k in found.order if cases[k].partition)),
        )
    ]


def _evidence(cases: list[AuditedCase], names: list[str], found: Suspicion, areas: Mapping[str, Interval]) -> dict[str, Any]:
    patients = len({case.patient_id for case in cases})
    wrong_share = Interval(found.share, *found.limits, "penalised profile likelihood", len(cases), patients)
    mean, low, high = found.expected
    return {
        "classes": names,
        "suspects": int(found.suspect.sum()),
        "expected_if_clean": {"mean": mean, "low": low, "high": high},
        "share_wrong": wrong_share.as_dict(),
        "chance": found.chance,
        "areas": {name: one.as_dict() for name, one in areas.items()},
        "n_cases": len(cases),
        "n_patients": patients,
        "ranked": [_line(cases[k], names, found, k) for k in found.order[:SHOWN]],
    }


def _line(case: AuditedCase, names: list[str], found: Suspicion, k: int) -> dict[str, Any]:
    return {
        "case_id": case.case_id,
        "label": names[found.label[k]],
        "suggested": names[found.suggested[k]],
        "probability_of_label": round(float(found.probability[k, found.label[k]]), 4),
        "probability_wrong": round(float(found.wrong[k]), 4),
    }


def _areas(cases: list[AuditedCase], names: list[str], found: Suspicion) -> dict[str, Interval]:
    """How well the small model tells each class from the others, out of fold; one of two says it for both."""
    patients = Patients.of([case.patient_id for case in cases])
    chosen = range(1, 2) if len(names) == 2 else range(len(names))
    return {names[k]: area_interval(area(found.label == k, found.probability[:, k], patients), patients, 0.95) for k in chosen}


def _blind(names: list[str], cases: list[AuditedCase], areas: Mapping[str, Interval]) -> Concern:
    told = several([f"{name} {interval}" for name, interval in areas.items()], 4, "; ")
    return Concern(
        "labels-not-judged",
        "labels",
        "note",
        f"A small model cannot tell {several(names, between=' / ')} from the images (area under the curve {told}), so it judges "
        "no label.",
        "Labels may be wrong without a sign of it here.",
        "The finding may be small in the picture: a small model sees little.",
        "Have a second reader look at a random sample of the labels: `overread audit --readers`.",
        {"areas": {name: one.as_dict() for name, one in areas.items()}, "n_cases": len(cases)},
    )


def _too_few(names: tuple[str, ...], cases: list[AuditedCase]) -> Concern:
    return Concern(
        "labels-not-judged",
        "labels",
        "note",
        f"Too few to say whether labels of {several(names, between=' / ')} fit their images: {len(cases)} open cases with a "
        f"label, and fewer than {FEWEST_TO_LEARN} patients in all classes but one.",
        "Labels may be wrong without a sign of it here.",
        "Certain: counted.",
        "Have a second reader look at a random sample of the labels: `overread audit --readers`.",
        {"n_cases": len(cases)},
    )
