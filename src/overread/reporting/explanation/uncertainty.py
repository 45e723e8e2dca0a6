"""The part of the page on uncertainty: how the model was asked, whether what it is unsure of is wrong, what that can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from overread.core.score import Interval
from overread.reporting.charts.uncertainty import error_chart, right_wrong_chart, risks_chart
from overread.reporting.explanation.uncertainty_words import (
    CANNOT,
    ERRORS,
    KINDS,
    NO_WITHIN,
    UNITS,
    WAYS,
    finding,
    key_of,
    name_of,
)
from overread.reporting.page_parts import Block, Chart, Part, Picture, Pictures, Section, Table, Words

Row = Mapping[str, Any]


def uncertainty_section(part: Part) -> Section:
    """The section of the part "uncertainty"."""
    record = part.record
    return Section("uncertainty", "Uncertainty", _lead(record), tuple(_blocks(record, part.pictures)))


def _lead(record: Row) -> str:
    on, told = list(record["partitions"].items())[-1]
    where = "tuning cases" if on == "tuning" else "the internal test"
    said = finding(told, record["level"])
    return f"Each case was answered {told['ways']['readings']} times. On {where}, {said}"


def _blocks(record: Row, pictures: Mapping[str, bytes]) -> Iterator[Block]:
    yield Words(
        KINDS if record["task"] in ("classification", "segmentation") else NO_WITHIN if record["task"] == "regression" else ""
    )
    yield Words(CANNOT, is_warning=True)
    for on, told in record["partitions"].items():
        yield from _partition(record, on, told, pictures)


def _partition(record: Row, on: str, told: Row, pictures: Mapping[str, bytes]) -> Iterator[Block]:
    title = "Tuning cases" if on == "tuning" else "Internal test"
    how = "; ".join(WAYS[way] for way in told["ways"]["by"])
    yield Words(
        f"{title}: {told['n_cases']} cases of {told['n_patients']} patients, {told['ways']['readings']} readings each, by {how}. "
        f"The error of {told['n_judged']} answers is known. What is judged is the model's own answer, not the mean of the passes."
    )
    for row in told["not_used"]:
        yield Words(f"Not used: {WAYS[row['way']]}. {row['reason']} To have it: {row['next']}.")
    yield _table(f"{title}: uncertainty against error", told["measures"])
    yield from _charts(record, title, told)
    if told["objects"]:
        title = f"{title}: single objects of the answers ({told['objects']['n_objects']}), which of them are false?"
        yield _table(title, told["objects"]["measures"])
    if told["limit"] is not None:
        yield Words(_limit(told["limit"]))
    shown = [Picture(pictures[row["file"]], row["caption"]) for row in told["pictures"] if row["file"] in pictures]
    if shown:
        yield Words("The cases that the model is least sure of:")
        yield Pictures(shown, is_wide=record["task"] == "segmentation")
    for note in told["notes"]:
        yield Words(note)


def _table(title: str, measures: Sequence[Row]) -> Table:
    key = key_of(measures[0])
    head = "wrong told from right (AUC)" if key == "detection" else "rank correlation with the error"
    rows = []
    for row in measures:
        rows.append(
            (
                name_of(row["measure"]),
                _span(row[key]),
                _against(row["against"].get(key)),
                _span(row["aurc"]),
                _against(row["against"].get("aurc")),
                row[key]["n_cases"],
                row["n_left_out"],
            )
        )
    methods = dict.fromkeys(row[name]["method"] for row in measures for name in (key, "aurc") if row[name]["low"] is not None)
    why = dict.fromkeys(row[name]["reason"] for row in measures for name in (key, "aurc") if row[name]["reason"])
    note = "gain: paired difference to the plain confidence on the same cases, above 0 in favour of the measure. "
    note += f"{'; '.join(methods)}." if methods else ""
    note += f" No value, no interval, or a doubtful one: {'; '.join(why)}." if why else ""
    columns = ("measure", head, "gain", "area under risk-coverage (lower is better)", "gain", "answers", "not defined in")
    return Table(title, columns, rows, note)


def _span(values: Row) -> str | None:
    if values["estimate"] is None:
        return None
    if values["low"] is None:
        return f"{values['estimate']:.3f} (none)"
    return f"{values['estimate']:.3f} ({values['low']:.3f} to {values['high']:.3f})"


def _against(values: Row | None) -> str | None:
    if values is None:
        return None
    if values["low"] is None:
        return f"{values['estimate']:+.3f} (none)"
    return f"{values['estimate']:+.3f} ({values['low']:+.3f} to {values['high']:+.3f})"


def _charts(record: Row, title: str, told: Row) -> Iterator[Block]:
    curves = {name_of(row["measure"]): row["curve"] for row in told["measures"]}
    if svg := risks_chart(curves, ERRORS[record["task"]]):
        says = "the error among the surest cases, from a tenth of them on. What knows nothing stays near the dotted line."
        yield Chart(Markup(svg), f"{title}: {says}")
    first = told["measures"][0]["measure"]
    unit = f" ({UNITS[first]})" if first in UNITS else ""
    limit = (told["limit"] or {}).get("limit")
    known = [case for case in told["cases"] if case["unsure"].get(first) is not None]
    if not known:
        return
    says = f"{name_of(first)} of every case"
    if known[0]["wrong"] is None:
        points = [(case["case_id"], case["unsure"][first], case["error"]) for case in known]
        off = "1 - Dice" if record["task"] == "segmentation" else "error in SD of the truth"
        chart = error_chart(points, f"{name_of(first)}{unit}", off, limit)
    else:
        right, wrong = ([case["unsure"][first] for case in known if case["wrong"] is which] for which in (False, True))
        says += f": {len(right)} right answers upwards, {len(wrong)} wrong ones downwards"
        chart = right_wrong_chart(right, wrong, f"{name_of(first)}{unit}", limit)
    yield Chart(Markup(chart), f"{title}: {says}.")


def _limit(limit: Row) -> str:
    name = name_of(limit["measure"])
    if limit["limit"] is None:
        return (
            f"No limit of {name} could be fitted: {limit['n_patients']} patients with {limit['of']} are too few to speak of "
            f"{limit['share']:.0%} of them."
        )
    said = (
        f"Limit: {name} of {limit['limit']:.3g}, fitted on tuning cases so that {limit['share']:.0%} of patients stay below it "
        f"with all their {limit['of']} ({limit['n_patients']} patients). It is shown here; no reading uses it."
    )
    told = limit["told"]
    if told is None:
        return said
    shares = {name: Interval.from_dict(values) for name, values in told["above"].items()}
    parts = [f"{_share(shares[who])} of {words}" for who, words in (("wrong", "wrong"), ("right", "right")) if who in shares]
    if parts:
        return f"{said} Above it lie {' and '.join(parts)} answers."
    errors = [
        f"mean error {told[side]:.3g} {words}"
        for side, words in (("error_above", "above"), ("error_below", "below"))
        if told[side] is not None
    ]
    return f"{said} Above it lie {_share(shares['all'])} of the answers; {', '.join(errors)}."


def _share(share: Interval) -> str:
    if share.estimate is None:
        return "none"
    if share.low is None or share.high is None:
        return f"{share.estimate:.0%}"
    return f"{share.estimate:.0%} ({share.low:.0%} to {share.high:.0%})"
