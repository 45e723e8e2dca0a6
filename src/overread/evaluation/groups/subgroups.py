"""Does it work as well for everybody? The endpoint in every group of every column, the worst group, the clearest gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np

from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.answered import Answered, ScoredCase
from overread.evaluation.comparing.difference import holm
from overread.evaluation.finding import Finding
from overread.evaluation.findings import finding_score
from overread.evaluation.groups.bands import NO_SIZE, UNKNOWN, Bands, bands, cells_of, size_column
from overread.evaluation.groups.endpoint import Cases, Endpoint, endpoint_of
from overread.evaluation.groups.gap import METHOD, Correlation, Gap, clearest_gap
from overread.evaluation.groups.group_sentence import LEAST, sentence
from overread.evaluation.intervals.bootstrap import draws
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.undercoverage import doubted
from overread.evaluation.rules import Rules
from overread.evaluation.scored import number
from overread.metrics.calibration import INTERCEPT
from overread.metrics.decided import SENSITIVITY, SPECIFICITY
from overread.metrics.table import positive_class

FEWEST_PATIENTS = 20  # that count for the score; below, intervals are known to be too narrow (see undercoverage.py)
FEWEST_OF_A_KIND = 10  # patients with, and patients without the finding, for scores of order
RULE = (
    f"A group is compared where at least {FEWEST_PATIENTS} patients count for the score, for areas under curves and average "
    f"precision {FEWEST_OF_A_KIND} with and {FEWEST_OF_A_KIND} without the finding. Smaller groups are shown, and are too few to "
    "say anything."
)
Masks = Sequence[ScoredCase]
DRAWS = 500  # for the correlation of two groups that share patients


def subgroups(
    question: Question, cases: Cases, columns: Mapping[str, Mapping[str, Any]], rules: Rules, endpoint: str
) -> list[dict[str, Any]]:
    """One row per column for the evaluation file, p corrected over the columns (Holm).

    cases     `Answered` for classification and regression, one `ScoredCase` per case for segmentation
    columns   name -> case_id -> value; cases without a value become a group "not known", which is not compared.
              For segmentation the size of the truth is added
    endpoint  "metric" or "metric/subject"
    """
    score = endpoint_of(question, cases, endpoint, rules)
    ids = _ids(cases)
    divided = {name: bands(name, cells_of(column, ids.cases), ids.patients) for name, column in columns.items()}
    if question.task == "segmentation" and (size := size_column(question, cast(Masks, cases), score.subject)) is not None:
        divided[size[0]] = bands(size[0], cells_of(size[1], ids.cases), ids.patients, NO_SIZE)
    rows = [_row(question, cases, score, name, found, rules) for name, found in divided.items()]
    tested = [row for row in rows if row["p"] is not None]
    adjusted = iter(holm([row["p"] for row in tested]))
    for row in rows:
        row["p_adjusted"] = None if row["p"] is None else number(next(adjusted))
        row["sentence"] = sentence(row, rules.level, len(tested))
    return rows


@dataclass(frozen=True)
class _Ids:
    cases: tuple[str, ...]
    patients: tuple[str, ...]


def _ids(cases: Cases) -> _Ids:
    if isinstance(cases, Answered):
        return _Ids(cases.case_ids, cases.patient_ids)
    return _Ids(tuple(c.case_id for c in cases), tuple(c.patient_id for c in cases))


def _row(question: Question, cases: Cases, score: Endpoint, column: str, found: Bands, rules: Rules) -> dict[str, Any]:
    levels = np.array(found.level, dtype=object)
    members = {name: levels == name for name in found.order}
    intervals = {name: doubted(score.metric, score.interval(which)) for name, which in members.items()}
    shortages = {name: _shortage(score, name, members[name], intervals[name], found.blank) for name in members}
    compared = [name for name, reason in shortages.items() if reason is None]
    gap, p = _gap(score, {name: members[name] for name in compared}, [intervals[name] for name in compared], rules)
    metric = score.metric
    return {
        "column": column,
        "metric": metric.key,
        "name": metric.name,
        "subject": score.subject,
        "unit": metric.unit,
        "better": metric.better,
        "banding": found.rule,
        "refusal": found.refusal,
        "rule": RULE,
        "levels": [
            {
                "level": name,
                "n_cases": int(which.sum()),
                "n_patients": score.patients.select(which).count,
                "interval": intervals[name].as_dict(),
                "calibration": _calibration(question, cases, score, which, rules) if shortages[name] is None else None,
                "also": _also(question, cases, score, which, rules),
                "too_few": shortages[name],
            }
            for name, which in members.items()
        ],
        "worst": _worst(metric.better, {name: intervals[name] for name in compared}),
        "gap": gap,
        "p": p,
    }


def _shortage(score: Endpoint, name: str, which: np.ndarray, interval: Interval, blank: str) -> str | None:
    """Why nothing is said of a group; None where it can be compared."""
    if name == blank:
        return "the value is not known, so this is no group" if blank == UNKNOWN else "nothing in the truth, so it has no size"
    if interval.estimate is None:
        return interval.reason
    if interval.n_patients < FEWEST_PATIENTS:
        return f"{_patients(interval.n_patients)} for this score, {FEWEST_PATIENTS} {LEAST}"
    for ranked in score.ranked:
        own = which & ranked.known
        for kind, what in ((ranked.truth, "with"), (~ranked.truth, "without")):
            if (there := score.patients.select(own & kind).count) < FEWEST_OF_A_KIND:
                return f"{_patients(there)} {what} the finding, {FEWEST_OF_A_KIND} {LEAST}"
    return None if interval.low is not None else interval.reason


def _patients(count: int) -> str:
    return f"{count} patient{'' if count == 1 else 's'}"


def _gap(
    score: Endpoint, members: Mapping[str, np.ndarray], intervals: Sequence[Interval], rules: Rules
) -> tuple[dict[str, Any], float | None]:
    names, which = list(members), list(members.values())
    if len(names) < 2:
        return {**_no_gap(len(names)), "reason": "fewer than two groups are large enough to be compared"}, None
    shared = any(_share(score.patients, a, b) for k, a in enumerate(which) for b in which[:k])
    if shared and score.statistic is None:
        return {**_no_gap(len(names)), "reason": "groups share patients, and this score cannot be resampled"}, None
    found = clearest_gap(intervals, _correlation(score, which, rules), rules.level)
    values = {key: number(value) for key, value in found.as_dict().items() if key not in ("higher", "lower")}
    named = {"higher": names[found.higher], "lower": names[found.lower]}
    return {**_no_gap(len(names)), **named, **values, "method": METHOD}, number(found.p)


def _no_gap(groups: int) -> dict[str, Any]:
    return {**dict.fromkeys(Gap.__dataclass_fields__), "groups": groups, "method": "", "reason": ""}


def _share(patients: Patients, one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.isin(patients.number[one], patients.number[other]).any())


def _correlation(score: Endpoint, which: Sequence[np.ndarray], rules: Rules) -> Correlation:
    """How the sampling errors of two groups go together, from drawing whole patients; 0 where they share none."""

    @cache
    def drawn(k: int) -> np.ndarray:
        assert score.statistic is not None
        own = np.unique(score.patients.number[which[k]])
        counts = draws(score.patients.count, min(DRAWS, rules.resamples), rules.seed)[:, own].astype(float)
        statistic = score.statistic(which[k])
        return np.concatenate([statistic(part) for part in np.array_split(counts, max(1, len(counts) // 50))])

    def correlation(a: int, b: int) -> float:
        if not _share(score.patients, which[a], which[b]):
            return 0.0
        both = np.isfinite(drawn(a)) & np.isfinite(drawn(b))
        one, other = drawn(a)[both], drawn(b)[both]
        if both.sum() < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
            return 0.0
        return float(np.corrcoef(one, other)[0, 1])

    return correlation


def _worst(better: str, intervals: Mapping[str, Interval]) -> str | None:
    """The group with the worst score; None where there are not two, or neither direction is better."""
    badness = {"higher": lambda v: -v, "lower": lambda v: v, "zero": abs}.get(better)
    values = {name: interval.estimate for name, interval in intervals.items() if interval.estimate is not None}
    if badness is None or len(values) < 2:
        return None
    return max(values, key=lambda name: badness(values[name]))


def _shown(question: Question, score: Endpoint) -> tuple[str, ...]:
    if score.subject in question.classes:
        return (score.subject,)
    return (positive_class(question),) if question.is_binary else question.classes


def _calibration(question: Question, cases: Cases, score: Endpoint, which: np.ndarray, rules: Rules) -> dict[str, Any] | None:
    """Per class: how many there are, how many the probabilities expect, and the calibration in the large (0 is ideal)."""
    if not isinstance(cases, Answered) or question.task != "classification":
        return None
    table, found = cases.select(which), {}
    for name in _shown(question, score):
        finding = Finding(table, question.classes.index(name))
        if finding.patients.cases:
            found[name] = {
                "rate": number(float(finding.truth.mean())),
                "mean_probability": number(float(finding.answer.mean())),
                "in_the_large": finding_score(INTERCEPT, name, finding, rules).interval.as_dict(),
            }
    return found


def _also(question: Question, cases: Cases, score: Endpoint, which: np.ndarray, rules: Rules) -> dict[str, Any]:
    """Sensitivity and specificity at the frozen threshold, shown and not tested; "metric/class" -> interval."""
    if not isinstance(cases, Answered) or question.task != "classification":
        return {}
    table = cases.select(which)
    findings = {name: Finding(table, question.classes.index(name)) for name in _shown(question, score)}
    wanted = {f"{m.key}/{name}": (m, name) for name in findings for m in (SENSITIVITY, SPECIFICITY)}
    wanted.pop(f"{score.metric.key}/{score.subject}", None)
    return {key: finding_score(m, name, findings[name], rules).interval.as_dict() for key, (m, name) in wanted.items()}
