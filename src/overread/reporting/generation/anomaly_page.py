"""The page of anomalies: how well they tell normal from abnormal cases, and the worst cases with their regions framed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from overread.core.score import Interval
from overread.reporting.charts.froc import froc_chart
from overread.reporting.charts.probability import roc_chart
from overread.reporting.page import environment, upper_first
from overread.reporting.page_parts import Block, Chart, Picture, Pictures, Section, Table, Words

Record = Mapping[str, Any]
LISTED = 50  # cases and regions in a table; the CSV files have all


def anomaly_page(title: str, record: Record, pictures: Mapping[str, bytes]) -> str:
    """The page as HTML, from what `anomaly.json` holds and the pictures by name, worst first."""
    sections = [*anomaly_scores(record), _worst(record, pictures), _ranking(record), _how(record)]
    return (
        environment()
        .get_template("anomaly.html.j2")
        .render(
            title=title,
            lead=lead(record),
            dateline=dateline(record),
            sections=sections,
            are_pseudonyms="scores" in record,
            is_phantom=record["is_phantom"],
            written=datetime.now(UTC).strftime("%-d %B %Y"),
        )
    )


def anomaly_scores(record: Record) -> list[Section]:
    """How well cases and lesions were told; empty where no truths are known."""
    return [section for section in (_cases(record), _lesions(record)) if section is not None]


def lead(record: Record) -> str:
    """What was found, in a sentence or two."""
    raised = sum(case["alarm"] for case in record["cases"])
    if "scores" not in record:
        return f"{raised} of {len(record['cases'])} studies raise the alarm; the most abnormal come first."
    area = _short(record["scores"]["auc"])
    return (
        f"Area under the ROC curve of normal against abnormal cases {area}. {raised} of {len(record['cases'])} raise the alarm."
    )


def dateline(record: Record) -> str:
    """What was looked at."""
    if "scores" not in record:
        return f"{len(record['cases'])} new studies; what is abnormal in them is not known here"
    scores = record["scores"]
    words = (
        f"{scores['n_cases']} tuning cases of {scores['n_patients']} patients of {record['of']}, {scores['n_abnormal']} abnormal"
    )
    words += f"; {record['rule']}"
    if record["known_to_the_model"]:
        words += f"; {record['known_to_the_model']} cases left out, as the model knows their images or patients"
    return words + (f"; {record['without_truth']} without a truth" if record["without_truth"] else "")


def _short(interval: Record) -> str:
    return Interval.from_dict(dict(interval)).short


def _cases(record: Record) -> Section | None:
    if "scores" not in record:
        return None
    scores = record["scores"]
    rows = [
        ("Area under the ROC curve", _short(scores["auc"])),
        *([("Area by the distance of codes", _short(scores["auc_by_code"]))] if scores["auc_by_code"] else []),
        ("Abnormal cases that raise the alarm", _short(scores["sensitivity"])),
        ("Normal cases that raise the alarm", _short(scores["false_alarms"])),
    ]
    blocks: list[Block] = [Table("By case", ("score", "value"), rows, f"Alarm: {scores['rule']}.")]
    if scores["roc"] is not None:
        area = f"area {_short(scores['auc'])}"
        blocks.append(Chart(Markup(roc_chart("abnormal", scores["roc"], None, area)), "A case is called by its worst region."))
    return Section("cases", "Which cases", "Intervals are by patient.", blocks)


def _lesions(record: Record) -> Section | None:
    found = record.get("lesions")
    if found is None:
        return None
    rows = [("Mean sensitivity at 1/8 to 8 false regions per case", _short(found["froc"]))]
    blocks: list[Block] = [Table(f"{found['lesions']} lesions, {found['regions']} regions", ("score", "value"), rows)]
    if found["curve"] is not None:
        blocks.append(Chart(Markup(froc_chart("lesions", found["curve"])), f"{upper_first(found['criterion'])}."))
    lead_words = "Only regions above the alarm count, so the curve ends where the alarm does."
    return Section("lesions", "Which lesions", lead_words, blocks)


def _worst(record: Record, pictures: Mapping[str, bytes]) -> Section:
    shown = [Picture(png, "") for png in pictures.values()]
    words = "As the network sees them. The middle picture was made by the network: it shows no patient."
    return Section("worst", "The most abnormal", words, [Pictures(shown, is_wide=True)])


def _ranking(record: Record) -> Section:
    cases = record["cases"][:LISTED]
    said = {True: "abnormal", False: "normal", None: None}
    rows = [
        (c["case_id"], said[c["abnormal"]], c["score"], "alarm" if c["alarm"] else "", len(c["regions"]), c["code_distance"])
        for c in cases
    ]
    regions = [
        (case["case_id"], one["rank"], one["score"], _place(one), one["longest"], one["unit"], one["volume_ml"])
        for case in cases
        for one in case["regions"]
    ][:LISTED]
    heads = ("case", "rank", "score", "place", "longest edge", "unit", "ml")
    note = (
        "All are in cases.csv and regions.csv. Places count from 0 (slice, row, column), or are millimetres of the patient (LPS)."
    )
    blocks: list[Block] = [
        Table("Cases, the most abnormal first", ("case", "labelled", "score", "alarm", "regions", "code"), rows),
        Table("Regions", heads, regions, note),
    ]
    refused = [(one["case_id"], one["refusal"]) for one in record.get("refused", [])]
    if refused:
        blocks.append(Table("Not looked at", ("study", "reason"), refused, "That is not a normal result."))
    words = "A score is the highest level, in usual standard deviations, that touching voxels reach."
    if record["cases"][0]["code_distance"] is not None:
        words += " The code of a normal case lies about 1 from the usual ones."
    return Section("ranking", "In order", words, blocks)


def _place(region: Record) -> str:
    if region["x_mm"] is not None:
        return f"{region['x_mm']}, {region['y_mm']}, {region['z_mm']} mm"
    return f"{region['z']:g}, {region['y']:g}, {region['x']:g}"


def _how(record: Record) -> Section:
    alarm, usual = record["alarm"], record["usual"]
    by = "place by place" if usual["by_place"] else "for all places alike, as the cases differ in size"
    words = (
        f"{record['method'].capitalize()} ({record['network']}). What error is usual, {by}, was taken from {usual['n_cases']} "
        f"normal tuning cases; the alarm, at {alarm['threshold']:.2f} standard deviations in {alarm['voxels']} touching voxels, "
        f"from {alarm['n_patients']} other normal tuning patients, of whom {alarm['rate']:.0%} may raise it."
    )
    return Section("how", "How", "", [Words(words), *(Words(note) for note in record["notes"])])
