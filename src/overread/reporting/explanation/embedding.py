"""Embeddings on the page: cases as points, what can be told from the features, and similar cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from overread.core.score import Interval
from overread.reporting.charts.embedding import embedding_charts
from overread.reporting.page_parts import Block, Chart, Part, Picture, Pictures, Section, Table, Words

Record = Mapping[str, Any]

_ANATOMY = ("sex", "age", "patient sex", "patient age", "patientsex", "patientage")
_NOT_MEANT = (
    "How to look at t-SNE and UMAP: both keep near cases near, and nothing else. The distance between two clusters, the size "
    "of a cluster and its density mean nothing; clusters appear in pure noise, and another setting draws another picture "
    "(Wattenberg, Viegas and Johnson, How to use t-SNE effectively, Distill 2016). Principal components keep distances, as far "
    "as two axes can. Nothing may be concluded from these pictures that the tests below do not show."
)
_MEANING = (
    "What this means: a network whose features tell the site or the scanner beyond the label has what it needs to answer by the "
    "site in place of the disease. It need not do so. Where disease is commoner at one site, it is a risk of a shortcut: score "
    "the model within each site (subgroups in the report) and at a site that it has never seen (`overread external`)."
)
_OF_ANATOMY = (
    "Sex and age show in anatomy, so features that tell them are no fault by themselves; whether answers are as good in each "
    "group is for the subgroups in the report to say."
)
_OF_PARTITION = (
    "Partition: the same images in two partitions should look alike to the network. Where training cases can be told from tuning "
    "cases, it has learned its training cases by heart, or the partitions were not drawn alike."
)
_SIMILAR = (
    "A neighbour shows what the network takes for alike, and not why; that most neighbours have a truth makes it no likelier "
    "than the calibrated probability says. The distance is one minus the cosine between standardised features."
)


def embedding_section(part: Part) -> Section:
    """The section of `overread embed`."""
    record = part.record
    counts = record["n_cases"]
    features = record["features"]
    several = f" of {features['networks']} networks side by side" if features["networks"] > 1 else ""
    what = (
        f"{counts['training']} training cases, {counts['tuning']} tuning cases and {counts['internal']} images of the internal "
        f"test ({record['n_patients']} patients), each as {features['count']} features{several}. {features['what']}"
    )
    blocks: list[Block] = [
        Words(what),
        *_pictures(record),
        Words(_NOT_MEANT, is_warning=True),
        *_told(record),
        *_similar(record, part),
    ]
    blocks += [Words(note) for note in record["notes"]]
    return Section("embedding", "Cases as the network sees them", _lead(record), blocks)


def _lead(record: Record) -> str:
    rows = record["told"]["rows"]
    told = [f"{row['column']} (AUC {row['interval']['estimate']:.2f})" for row in rows if row["verdict"] == "beyond the label"]
    if told:
        first = f"From the features can be told, beyond what the label says: {', '.join(told)}."
    elif any(row["interval"] for row in rows):
        first = "That any column is told from the features beyond what the label says was not shown."
    else:
        first = "Whether a site or a scanner can be told from the features could not be tested here."
    found = record["precision"]
    if found["by_features"]["estimate"] is None:
        return first
    return (
        f"{first} Of the {record['k']} nearest training cases, {found['by_features']['estimate']:.0%} are alike in truth; by "
        f"chance {found['by_chance']['estimate']:.0%} would be."
    )


def _pictures(record: Record) -> list[Block]:
    refusals = [f"{p['title']}: {p['refusal']}." for p in record["projections"] if p["refusal"]]
    drawn = [p for p in record["projections"] if p["points"] is not None]
    blocks: list[Block] = [Words(" ".join(refusals))] if refusals else []
    if drawn:
        settings = "; ".join(f"{p['title']}: " + ", ".join(f"{k} {v}" for k, v in p["parameters"].items()) for p in drawn)
        caption = f"Each point is a case; rest on it to read its pseudonym and groups. {settings}."
        blocks.append(Chart(Markup(embedding_charts(drawn, record["columns"], record["points"])), caption))
    return blocks


def _told(record: Record) -> list[Block]:
    told = record["told"]
    rows = [_row(row) for row in told["rows"]]
    columns = (
        "column",
        "verdict",
        "AUC (interval)",
        "p",
        "p within the label",
        "AUC by chance within the label",
        "AUC of the label alone",
        "groups",
    )
    blocks: list[Block] = [
        Table("Can it be told from the features of training and tuning cases?", columns, rows, f"{told['method']}; {_WITHIN}"),
    ]
    names = [row["column"] for row in told["rows"]]
    if names == ["partition"]:
        blocks.append(Words("No site, scanner or other column is known of these cases, so whether they show cannot be tested."))
    else:
        blocks.append(Words(_MEANING))
    blocks += [Words(_OF_ANATOMY)] if any(name.casefold().replace("_", " ") in _ANATOMY for name in names) else []
    blocks += [Words(_OF_PARTITION)] if "partition" in names else []
    audited = [
        f"{name} from {row['probe']}: AUC {_span(row['interval'])}" for name, row in told["audited"].items() if name in names
    ]
    if audited:
        beside = (
            "Beside it, what a small model without a network told in the audit, from parts of the image where no disease is: "
        )
        blocks.append(Words(beside + "; ".join(audited) + "."))
    return blocks


_WITHIN = (
    "within the label: groups change places only among patients of the same label and partition, so that what the label says of "
    "the group is held fixed"
)


def _row(row: Record) -> tuple[Any, ...]:
    if row["interval"] is None:
        return (row["column"], f"not tried: {row['reason']}", None, None, None, None, None, ", ".join(row["levels"]))
    left = f" (left out, too few patients: {', '.join(row['left_out'])})" if row["left_out"] else ""
    counts = f"; {row['n_cases']} cases, {row['n_patients']} patients"
    return (
        row["column"], row["verdict"], _span(row["interval"]), _p(row["p"]), _p(row["p_within"]), _number(row["by_chance"]),
        _number(row["from_label"]), ", ".join(row["levels"]) + left + counts,
    )  # fmt: skip


def _similar(record: Record, part: Part) -> list[Block]:
    found = record["precision"]
    rows = [
        ("nearest by the features of the network", _span(found["by_features"]), None),
        ("any training case of another patient (chance)", _span(found["by_chance"]), _span(found["over_chance"])),
        ("nearest by the pixels of the prepared image made small", _span(found["by_pixels"]), _span(found["over_pixels"])),
    ]
    title = (
        f"Similar cases: share of the {record['k']} nearest training cases that are alike, over {record['n_asked']} tuning cases"
    )
    copies = record["copies"]
    note = f"{record['alike']}; never of the same patient; intervals by patient: {found['by_features']['method']}" + (
        f"; {copies} pairs whose pictures are the same were left out as copies" if copies else ""
    )
    pictures = [
        Picture(
            part.pictures[one["file"]],
            f"{one['why'].capitalize()}. Case {one['case_id']}, truth: {one['truth']}. Above each: distance, truth.",
        )
        for one in record["examples"]
        if one["file"] in part.pictures
    ]
    table = Table(title, ("neighbours", "alike (interval)", "features are better by"), rows, note)
    return [table, Words(_SIMILAR), *([Pictures(pictures, is_wide=True)] if pictures else [])]


def _span(values: Record) -> str:
    return Interval.from_dict(dict(values)).short


def _p(value: float | None) -> str | None:
    return None if value is None else f"{value:.2g}"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
