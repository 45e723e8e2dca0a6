"""The evaluation of images: per channel and case, then means over cases with intervals by patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.pictures.case import NO_FOLD, PictureCase
from overread.evaluation.pictures.plain import plain
from overread.evaluation.pictures.read import read_rule
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Evaluated, Scored, by_sums, number
from overread.metrics.metric import Metric, macro_from_sums, mean_terms
from overread.metrics.pictures import rows
from overread.metrics.pictures.body import RULE as BODY_RULE
from overread.metrics.table import metrics_for

RANGE_RULE = (
    "PSNR and SSIM count errors against a range of intensities: from the lowest to the highest of each truth; in HU -1000 to "
    "1000 for every case, beyond which intensities are cut off. An exact copy has a PSNR of 100 dB. Mean errors in arbitrary "
    "units weigh each image by its own scale; PSNR, SSIM and NMSE do not."
)
IN_ROWS = tuple(metric for metric in rows.ROWS if not metric.key.endswith(rows.READ))  # those that differ from model to model


def evaluate_pictures(question: Question, cases: Sequence[PictureCase], rules: Rules) -> Evaluated:
    """Every score of every channel, the same of what was read where it is known, what was gained, and a row per case."""
    patients = Patients.of([case.patient_id for case in cases])
    scored = {key for case in cases for channel in case.channels.values() for key in channel.scores}
    scores = [
        _score(in_its_unit(metric, question, subject, cases), subject, question, cases, patients, rules)
        for subject, metrics in metrics_for(question).items()
        for metric in metrics
        if metric.key in scored
    ]
    return Evaluated(
        tuple(scores),
        [_case_row(question, case) for case in cases],
        None,
        {"roc": {}, "pr": {}, "calibration": {}, "agreement": {}},
        _rules(question, cases),
        tuple(_notes(question, cases)),
        {"within": within} if (within := _within(question, cases, patients, rules)) else {},
    )


def in_its_unit(metric: Metric, question: Question, subject: str, cases: Sequence[PictureCase]) -> Metric:
    """Errors of intensities are in the unit of the images; in none where images differ."""
    if metric.key.removesuffix(rows.READ).removesuffix(rows.GAIN) not in rows.IN_UNITS:
        return metric
    names = question.classes if subject == "mean" else (subject,)
    units = {case.channels[name].units for case in cases for name in names}
    return replace(metric, unit=units.pop() if len(units) == 1 else "")


def _score(
    metric: Metric, subject: str, question: Question, cases: Sequence[PictureCase], patients: Patients, rules: Rules
) -> Scored:
    names = question.classes if subject == "mean" else (subject,)
    columns = np.stack([_column(metric.key, name, cases) for name in names], 1)
    columns = columns[:, np.isfinite(columns).any(0)]
    known = np.isfinite(columns).any(1)
    if not known.any():
        return _undefined(metric, subject, _why(metric.key, names[0], cases), rules)
    terms = mean_terms(columns[known]).reshape(int(known.sum()), -1)
    assert metric.from_sums is not None
    from_sums = partial(macro_from_sums, metric.from_sums, columns.shape[1])
    return by_sums(metric, subject, terms, patients.select(known), rules, from_sums)


def _undefined(metric: Metric, subject: str, why: str, rules: Rules) -> Scored:
    return Scored(metric, subject, Interval(None, None, None, "none", 0, 0, rules.level, why))


def _column(key: str, name: str, cases: Sequence[PictureCase]) -> np.ndarray:
    """(N,) score of each case, NaN where not defined."""
    found = [case.score(key, name).value for case in cases]
    return np.array([np.nan if value is None else value for value in found], dtype=float)


def _why(key: str, name: str, cases: Sequence[PictureCase]) -> str:
    """The commonest reason for having no value."""
    reasons = Counter(case.score(key, name).reason for case in cases)
    return reasons.most_common(1)[0][0] if reasons else "no case"


def _within(question: Question, cases: Sequence[PictureCase], patients: Patients, rules: Rules) -> list[dict[str, Any]]:
    """The scores within each structure that was given, of the cases that have it."""
    structures = dict.fromkeys(name for case in cases for channel in case.channels.values() for name in channel.within)
    found = []
    for structure in structures:
        for channel in question.classes:
            for metric in (rows.SSIM, rows.PSNR, rows.MAE):
                own = [case.channels[channel].within.get(structure, {}).get(metric.key) for case in cases]
                column = np.array([np.nan if s is None or s.value is None else s.value for s in own], dtype=float)
                known = np.isfinite(column)
                named = in_its_unit(metric, question, channel, cases)
                scored = (
                    by_sums(named, channel, mean_terms(column[known]), patients.select(known), rules)
                    if known.any()
                    else _undefined(named, channel, f"no case with {structure}", rules)
                )
                found.append(plain(scored, structure=structure))
    return found


def _case_row(question: Question, case: PictureCase) -> dict[str, Any]:
    scores, reasons = {}, {}
    for name, channel in case.channels.items():
        for metric in IN_ROWS:
            score = channel.scores.get(metric.key)
            if score is None:
                continue
            scores[f"{metric.key}/{name}"] = None if score.value is None else number(score.value)
            if score.value is None:
                reasons[f"{metric.key}/{name}"] = score.reason
    row: dict[str, Any] = {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "truth": {name: number(case.channels[name].truth_mean) for name in question.classes},
        "answer": {name: number(case.channels[name].answer_mean) for name in question.classes},
        "scores": scores,
        "reasons": reasons,
        "error": _error(question, case),
    }
    return row if case.fold == NO_FOLD else {**row, "fold": case.fold}


def _error(question: Question, case: PictureCase) -> float | None:
    """How far off, to sort cases by: 1 - SSIM, of images smaller than its window the normalised squared error."""
    for key, turned in ((rows.SSIM.key, True), (rows.NMSE.key, False)):
        found = [v for name in question.classes if (v := case.score(key, name).value) is not None]
        if found:
            return number(1 - float(np.mean(found)) if turned else float(np.mean(found)))
    return 0.0


def _rules(question: Question, cases: Sequence[PictureCase]) -> dict[str, str]:
    found = {
        "range": RANGE_RULE,
        "body": BODY_RULE,
        "aggregation": "mean over the cases for which a metric is defined; 'mean' is the plain mean of the channels' means; "
        "patients are resampled whole",
        "empty_truth": "a truth of one intensity everywhere has neither PSNR nor SSIM; it is left out of these and said",
    }
    if rows.is_of_another_image(question) and _is_read_known(cases):
        found["read"] = read_rule(question, any(case.read_scaled for case in cases), _not_compared(question, cases))
    return found


def _is_read_known(cases: Sequence[PictureCase]) -> bool:
    """Answers of another program may come without the images that it was given."""
    return any(rows.MAE.key + rows.READ in channel.scores for case in cases for channel in case.channels.values())


def _not_compared(question: Question, cases: Sequence[PictureCase]) -> dict[str, int]:
    key = rows.MAE.key + rows.READ
    return dict(Counter(why for name in question.classes for case in cases if (why := case.score(key, name).reason)))


def _notes(question: Question, cases: Sequence[PictureCase]) -> list[str]:
    notes = []
    for name in question.classes:
        reasons = Counter(r for case in cases if (r := case.score(rows.SSIM.key, name).reason))
        notes += [f"{name}: {n} cases have no SSIM, as {why}." for why, n in reasons.items()]
        units = sorted({case.channels[name].units for case in cases})
        if len(units) > 1:
            notes.append(f"{name} has several units ({', '.join(units)}): errors of intensities are means of unlike things.")
    return notes
