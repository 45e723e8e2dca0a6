"""Does a made image keep the anatomy? One program segments the true and the made image, and the masks are compared.

Similarity scores cannot tell: a lesion of fifty voxels that is gone costs an image nothing. So structures are compared (Dice,
change of volume), and lesions counted: those that a network erased, and those that it invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from overread.cohort.progress import Progress, work_through
from overread.core.errors import OverreadError
from overread.core.kinds import LabelMap
from overread.core.score import Interval, Score
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.pictures.plain import plain
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored, by_sums, number
from overread.evaluation.sources.foreign import read_patients
from overread.evaluation.sources.foreign_masks import ForeignPair, match_folders, structures
from overread.metrics import overlap
from overread.metrics.label_maps import score_label_maps
from overread.metrics.metric import Metric, mean_terms
from overread.metrics.pictures import lesions as counts
from overread.metrics.pictures.lesions import Lesions, volume_terms

DOING = "comparing structures"
COMPARED = (overlap.DICE, overlap.VOLUME_ERROR_PERCENT, overlap.ABSOLUTE_VOLUME_ERROR_PERCENT, overlap.VOLUME_ERROR_ML)


class MaskedPair(Protocol):
    """The masks of one case, opened when they are needed; `MaskPair` and `ForeignPair` are such."""

    @property
    def case_id(self) -> str: ...
    @property
    def patient_id(self) -> str: ...
    def load(self) -> tuple[LabelMap, LabelMap]: ...


@dataclass(frozen=True)
class StructureCase:
    """One case, compared.

    scores   structure -> metric key -> Score
    lesions  structure -> its components, of those that are lesions
    """

    case_id: str
    patient_id: str
    scores: Mapping[str, Mapping[str, Score]]
    lesions: Mapping[str, Lesions]


def pairs_in(
    of_truth: Path, of_made: Path, classes: Mapping[str, int] | None = None, patients: Path | None = None
) -> tuple[list[ForeignPair], tuple[str, ...]]:
    """The masks of two folders with the same file names, and the structures in them.

    of_truth, of_made  masks of the true images, and of the made ones
    classes            structure -> value; None takes what a dataset.json says, else every value
    patients           a sheet of case and patient; without it each case is its own patient
    """
    files, _ = match_folders(of_truth, of_made)
    question = structures(of_truth, files, classes)
    who = read_patients(patients, list(files)) if patients is not None else {}
    return [ForeignPair(name, who.get(name, name), *pair, question) for name, pair in files.items()], question.classes


def structure_check(
    pairs: Sequence[MaskedPair],
    names: Sequence[str],
    rules: Rules,
    *,
    lesions: Sequence[str] = (),
    rule: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The comparison as a table for the record of a run: rows with intervals by patient, a sentence, a row per case.

    names    structures to be compared
    lesions  those of them whose components are counted
    rule     how it was done, where it was not two images that one program segmented
    """
    unknown = [name for name in lesions if name not in names]
    if unknown or not names:
        wanted = f"'{unknown[0]}' is no structure of these masks" if unknown else "no structure is named"
        raise OverreadError(f"Structures cannot be compared: {wanted}.", f"name some of {', '.join(names) or 'the structures'}")
    if not pairs:
        raise OverreadError("Structures cannot be compared: there is no case with masks on both images.", "segment both images")
    work = partial(_compared, tuple(names), tuple(lesions))
    cases = list(work_through(work, pairs, DOING, progress))
    patients = Patients.of([case.patient_id for case in cases])
    scored = [s for name in names for s in _structure_scores(name, cases, patients, rules)]
    found = {name: _lesion_scores(name, cases, patients, rules) for name in lesions}
    return {
        "n_cases": patients.cases,
        "n_patients": patients.count,
        "scores": [plain(s) for s in (*scored, *(s for own in found.values() for s in own))],
        "sentences": [_sentence(name, cases, found[name]) for name in lesions],
        "rule": rule or (counts.RULE if lesions else "One program segmented the true and the made image."),
        "cases": [_row(case) for case in cases],
    }


def _compared(names: tuple[str, ...], lesions: tuple[str, ...], pair: MaskedPair) -> StructureCase:
    of_truth, of_made = pair.load()
    scores = {name: found.scores for name, found in score_label_maps(of_truth, of_made, names, 2.0).items()}
    return StructureCase(
        pair.case_id,
        pair.patient_id,
        {name: {m.key: own[m.key] for m in COMPARED} for name, own in scores.items()},
        {name: counts.lesions(of_truth.mask(name), of_made.mask(name)) for name in lesions},
    )


def _structure_scores(name: str, cases: Sequence[StructureCase], patients: Patients, rules: Rules) -> list[Scored]:
    found = []
    for metric in COMPARED:
        own = [case.scores[name][metric.key] for case in cases]
        column = np.array([np.nan if score.value is None else score.value for score in own], dtype=float)
        known = np.isfinite(column)
        if known.any():
            found.append(by_sums(metric, name, mean_terms(column[known]), patients.select(known), rules))
        else:
            found.append(Scored(metric, name, Interval(None, None, None, "none", 0, 0, rules.level, own[0].reason)))
    return found


def _lesion_scores(name: str, cases: Sequence[StructureCase], patients: Patients, rules: Rules) -> list[Scored]:
    own = [case.lesions[name] for case in cases]
    volumes = np.stack([volume_terms(one) for one in own])
    return [
        _share(counts.ERASED, name, [one.erased for one in own], cases, rules),
        _share(counts.INVENTED, name, [one.invented for one in own], cases, rules),
        by_sums(
            counts.INVENTED_PER_CASE, name, mean_terms(np.array([float(one.invented.sum()) for one in own])), patients, rules
        ),
        *(_of_volumes(metric, name, volumes, patients, rules) for metric in (counts.ERASED_VOLUME, counts.INVENTED_VOLUME)),
    ]


def _share(metric: Metric, name: str, hits: Sequence[np.ndarray], cases: Sequence[StructureCase], rules: Rules) -> Scored:
    """So many of so many lesions; the lesions of a patient are not independent."""
    whose = [case.patient_id for case, own in zip(cases, hits, strict=True) for _ in own]
    hit = np.concatenate(hits).astype(float)
    interval = proportion_interval(hit, np.ones(len(hit)), Patients.of(whose), rules.level, metric.undefined)
    return Scored(metric, name, interval)


def _of_volumes(metric: Metric, name: str, terms: np.ndarray, patients: Patients, rules: Rules) -> Scored:
    assert metric.from_sums is not None
    interval = bootstrap_interval(of_sums(patients, terms, metric.from_sums), patients, rules, metric.undefined)
    return Scored(metric, name, interval)


def _sentence(name: str, cases: Sequence[StructureCase], scored: Sequence[Scored]) -> str:
    """``lesion: 14 of 20 erased (70 %, 48 to 86), 3 of 9 on made images invented (33 %, 7 to 70).``"""
    own = [case.lesions[name] for case in cases]
    erased, invented = (_of(scored[k].interval) for k in (0, 1))
    gone, true = sum(int(one.erased.sum()) for one in own), sum(len(one.kept) for one in own)
    new, made = sum(int(one.invented.sum()) for one in own), sum(len(one.backed) for one in own)
    return f"{name}: {gone} of {true} erased{erased}, {new} of {made} on made images invented{invented}."


def _of(interval: Interval) -> str:
    if interval.estimate is None:
        return ""
    if interval.low is None or interval.high is None:
        return f" ({100 * interval.estimate:.0f} %)"
    return f" ({100 * interval.estimate:.0f} %, {100 * interval.low:.0f} to {100 * interval.high:.0f})"


def _row(case: StructureCase) -> dict[str, Any]:
    flat = {f"{key}/{name}": score for name, own in case.scores.items() for key, score in own.items()}
    return {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "scores": {key: None if score.value is None else number(score.value) for key, score in flat.items()},
        "lesions": {
            name: {
                "true": len(one.kept),
                "made": len(one.backed),
                "erased": int(one.erased.sum()),
                "invented": int(one.invented.sum()),
            }
            for name, one in case.lesions.items()
        },
    }
