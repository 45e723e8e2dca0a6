"""The page of codes: how images sit in the code of an autoencoder, and what its decoder draws between and around them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from overread.core.score import Interval
from overread.reporting.page import environment
from overread.reporting.page_parts import Block, Picture, Pictures, Section, Table, Words

Record = Mapping[str, Any]
WAY, WALK, NEAR = "way.png", "walk.png", "near.png"
MOST_ROWS = 16  # numbers of the code, and neighbours, in tables; all stand in latent.json
DRAWN = (
    "A walk shows what the decoder draws, not what causes a disease: a number of the code that changes a finding was not taught "
    "to mean it, and a finding that no number changes may only be one that the network did not keep."
)
OF_ONE = "Numbers of a code have no names, and another training orders them otherwise."


def latent_page(title: str, record: Record, pictures: Mapping[str, bytes]) -> str:
    """The page as HTML, from what `latent.json` holds and the pictures by name."""
    cases, patients = record["cases"], record["patients"]
    sections = [_sits(record), _way(record, pictures), _walk(record, pictures), _near(record, pictures)]
    if record["columns"]:
        sections.append(_columns(record))
    return (
        environment()
        .get_template("searches.html.j2")
        .render(
            kicker="Codes of images",
            title=title,
            lead=lead(record),
            dateline=f"{record['network']}; {cases['training']} training cases of {patients['training']} patients, "
            f"{cases['tuning']} tuning cases of {patients['tuning']}",
            warning="Every image marked SYNTHETIC was drawn by a network. None is evidence about a patient.",
            sections=sections,
            is_phantom=record["is_phantom"],
            shows_cases=True,
            written=datetime.now(UTC).strftime("%-d %B %Y"),
        )
    )


def lead(record: Record) -> str:
    """What was found, in one or two sentences."""
    used = f"The codes of training cases use {record['directions']:.1f} of {record['length']} directions"
    if record["active"] is None:
        return f"{used}."
    active = record["active"]
    return (
        f"Of {record['length']} numbers of the code, {active['training']} say something of a training image and "
        f"{active['tuning']} of a tuning image. {used}."
    )


def _sits(record: Record) -> Section:
    rows = sorted(record["dimensions"], key=lambda row: -row["variance"])[:MOST_ROWS]
    blocks: list[Block] = []
    if record["active"] is None:
        columns: tuple[str, ...] = ("number", "variance")
        cells: list[tuple[Any, ...]] = [(f"number {row['number']}", row["variance"]) for row in rows]
        note = "Variance over training cases. A plain autoencoder's numbers have no fixed scale."
    else:
        columns = ("number", "variance", "nats, training", "nats, tuning", "")
        cells = [
            (
                f"number {row['number']}",
                row["variance"],
                round(row["nats_training"], 3),
                round(row["nats_tuning"], 3),
                "active" if row["is_active"] else "silent",
            )
            for row in rows
        ]
        note = (
            "Variance of the code's mean over training cases; above 0.01 a number is active (Burda 2016, arXiv:1509.00519). "
            "Nats: what it says of an image beyond a normal draw, a mean over images."
        )
        told = record["nats"]
        blocks.append(
            Words(f"A code says {told['training']:.2f} nats of a training image and {told['tuning']:.2f} of a tuning image.")
        )
        if not record["active"]["training"]:
            silent = "No number is active: the code says nothing of the image (posterior collapse), and what follows shows noise."
            blocks.append(Words(silent, is_warning=True))
    shown = (
        f"The {len(rows)} most varied of {record['length']} numbers" if len(rows) < record["length"] else "Numbers of the code"
    )
    blocks.append(Table(shown, columns, cells, note))
    blocks += [Words(text) for text in record["notes"]]
    return Section("code", "How an image sits in the code", "How many numbers are in use, and how much they vary.", blocks)


def _way(record: Record, pictures: Mapping[str, bytes]) -> Section:
    way = record["way"]
    one, other = way["cases"]
    rule = (
        "the two tuning cases of different patients whose codes lie farthest apart" if way["is_by_rule"] else "named by the user"
    )
    usual = record["near"]["medians"]["tuning"]
    rows = [(f"{share:.0%} of the way", away) for share, away in zip(way["shares"], way["to_training"], strict=True)]
    note = f"Distances of codes. A tuning case lies {usual:.4g} from its nearest training case (median)."
    caption = f"From {one} to {other}, {rule}. At both ends the case as it is; in between what the decoder draws."
    blocks: list[Block] = [
        Pictures([Picture(pictures[WAY], caption)], is_wide=True),
        Table("How far the way leads from training cases", ("place", "to the nearest training case"), rows, note),
        Words("No patient went this way: images between two cases are no stages of a disease."),
    ]
    lead_words = f"The {way['kind']} between their codes, decoded."
    return Section("way", "Between two cases", lead_words, blocks)


def _walk(record: Record, pictures: Mapping[str, bytes]) -> Section:
    walk = record["walk"]
    rows = [(f"number {row['number']}", round(row["sd"], 4), round(row["change"], 4)) for row in walk["rows"]]
    values = f"{walk['values'][0]:+g} to {walk['values'][-1]:+g}"
    note = f"Change: root mean square difference between the images at {values} SD, where a normalised image has SD 1."
    caption = "Rows: the most varied numbers of the code; columns: standard deviations over training cases from their mean."
    blocks: list[Block] = [
        Pictures([Picture(pictures[WALK], caption)], is_wide=True),
        Table("What each walk changes", ("number", "SD", "change"), rows, note),
        Words(DRAWN),
        Words(OF_ONE),
    ]
    return Section("walk", "Along the code", "One number moves and all others stay at the mean of the training cases.", blocks)


def _near(record: Record, pictures: Mapping[str, bytes]) -> Section:
    near = record["near"]
    rows = [(row["case_id"], row["training"], row["distance"]) for row in near["rows"][:MOST_ROWS]]
    usual = near["medians"]
    said = f"Tuning cases lie {usual['tuning']:.4g} from their nearest training case (median)"
    if usual["training"] is not None:
        said += f"; training cases lie {usual['training']:.4g} from the nearest one of another patient"
    caption = (
        "Above a tuning case, below its nearest training case. Near in the code is alike in what the network keeps of an image, "
        "and no diagnosis."
    )
    title = (
        "Nearest training cases" if len(rows) == len(near["rows"]) else f"The {len(rows)} nearest of {len(near['rows'])} pairs"
    )
    blocks: list[Block] = [
        Pictures([Picture(pictures[NEAR], caption)], is_wide=True),
        Table(title, ("tuning case", "training case", "distance"), rows),
    ]
    return Section("near", "Neighbours in the code", f"{said}.", blocks)


def _columns(record: Record) -> Section:
    rows = [(row["column"], f"number {row['dimension']}", Interval.from_dict(row["interval"]).short) for row in record["columns"]]
    chance = len(rows) * (1 - record["columns"][0]["interval"]["level"])
    note = (
        f"Pearson's correlation over training and tuning cases, with an interval by patient. Of {len(rows)} such intervals about "
        f"{chance:.1f} would leave out 0 by chance alone."
    )
    words = Words(
        "A number that goes with a column is no measure of it, and a column without a number may be in several at once."
    )
    return Section(
        "columns",
        "Columns of the sheet",
        "Does a number of the code go with a number of the sheet?",
        [Table("Correlations with the walked numbers", ("column", "number", "correlation"), rows, note), words],
    )
