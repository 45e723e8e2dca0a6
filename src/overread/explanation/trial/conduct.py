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
    left_out = [row["title"].lower() for row in rows if row["verdict"] == NOT_TRIED]
    return (
        PASSED,
        f"Passed every criterion{f' but what was not tried ({chr(59).join(left_out)})' if left_out else ''}. {NO_PROOF}",
    )


def escaped(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Controls that did not fail what they must fail, in words; none where the trial works."""
    return [
        f"{row['title']} passed {each['title'].lower()}"
        for row in rows
        for each in row["criteria"]
        if each["criterion"] in MUST_FAIL[row["method"]] and each["verdict"] == PASSED
    ]


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
