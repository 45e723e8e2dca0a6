"""The trial itself: every method, and every control, against every criterion; what was measured before is not measured again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from overread.cohort.progress import Progress
from overread.evaluation.rules import Rules
from overread.explanation.controls import MUST_FAIL
from overread.explanation.methods.method import Method, parameters_of
from overread.explanation.trial.criterion import FAILED, NOT_TRIED, PASSED, Criterion, Measured, judge, untried
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.posed import Posed
from overread.record.files import digest_json

INCOMPLETE = "incomplete"
NO_PROOF = "This is not proof that the map is right: it was given every chance to be shown wrong here, and was not."


class Kept(Protocol):
    """Where what was measured is kept from one call to the next."""

    def get(self, key: str) -> Measured | None: ...

    def put(self, key: str, measured: Measured) -> None: ...


def conduct(
    methods: Sequence[Method],
    criteria: Sequence[Criterion],
    posed: Sequence[Posed],
    kept: Kept,
    rules: Rules,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """A row per method: what each criterion found, and the verdict of all.

    kept  is of this model and these cases
    """
    if progress is not None:
        progress.start(float(len(methods) * len(criteria)), f"Trial on {len(posed)} cases")
    rows = []
    for method in methods:
        maps = Maps(method, posed)
        found = [_tried(criterion, maps, kept, rules, progress) for criterion in criteria]
        verdict, why = verdict_of_all(found)
        rows.append(
            {
                "method": method.name,
                "title": method.title,
                "source": method.source,
                "parameters": parameters_of(method),
                "criteria": found,
                "verdict": verdict,
                "why": why,
            }
        )
    if progress is not None:
        progress.finish()
    return rows


def key_of(criterion: Criterion, method: Method) -> str:
    """What a measurement depends on, beside model and cases."""
    about = [method.name, parameters_of(method), criterion.key, criterion.version, criterion.identity]
    return digest_json(about)


def verdict_of_all(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Failed where any criterion was; incomplete where an essential one was not tried."""
    failed = [row["title"].lower() for row in rows if row["verdict"] == FAILED]
    if failed:
        return FAILED, f"Failed: {'; '.join(failed)}."
    missing = [row["title"].lower() for row in rows if row["verdict"] == NOT_TRIED and row["is_essential"]]
    if missing:
        return INCOMPLETE, f"Passed what was tried; not tried: {'; '.join(missing)}."
    left_out = "; ".join(row["title"].lower() for row in rows if row["verdict"] == NOT_TRIED)
    return PASSED, f"Passed every criterion{f' but what was not tried ({left_out})' if left_out else ''}. {NO_PROOF}"


def escaped(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Controls that did not fail what they must fail, in words; none where the trial works."""
    return [f"{row['title']} passed {each['title'].lower()}" for row, each in _escapes(rows)]


def discounted(rows: Sequence[Mapping[str, Any]], controls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of methods, in which a pass that a control shares counts as not tried: on these cases it shows nothing."""
    shared: dict[str, list[str]] = {}
    for control, each in _escapes(controls):
        shared.setdefault(each["criterion"], []).append(f"the {control['title'].lower()}")
    return [_without(row, shared) if shared else dict(row) for row in rows]


def _escapes(controls: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every control with each criterion that it had to fail and passed."""
    return [
        (row, each)
        for row in controls
        for each in row["criteria"]
        if each["criterion"] in MUST_FAIL[row["method"]] and each["verdict"] == PASSED
    ]


def _without(row: Mapping[str, Any], shared: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The row of a method without its passes of these criteria; a failure stays one."""
    found = [
        {**each, "verdict": NOT_TRIED, "why": _shared(shared[each["criterion"]])}
        if each["verdict"] == PASSED and each["criterion"] in shared
        else each
        for each in row["criteria"]
    ]
    verdict, why = verdict_of_all(found)
    return {**row, "criteria": found, "verdict": verdict, "why": why}


def _shared(controls: Sequence[str]) -> str:
    return f"it was passed, but on these cases {' and '.join(controls)} passed it too, so that this shows nothing"


def _tried(criterion: Criterion, maps: Maps, kept: Kept, rules: Rules, progress: Progress | None) -> dict[str, Any]:
    told = [0.0]

    def tell(share: float) -> None:
        told[0] += share
        if progress is not None:
            progress.advance(share, f"{maps.method.title}: {criterion.title.lower()}")

    try:
        if why := criterion.refusal(maps.method, maps.posed):
            return untried(criterion, why)
        key = key_of(criterion, maps.method)
        measured = kept.get(key)
        if measured is None:
            measured = criterion.measure(maps, tell)
            kept.put(key, measured)
        return judge(criterion, measured, maps.posed, rules)
    finally:
        tell(max(0.0, 1 - told[0]))
