"""What the readers of a room said, on one page: accuracy against chance, by confidence, by time, and the images that fooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from markupsafe import Markup

from overread.core.score import Interval
from overread.imaging.made import SYNTHETIC
from overread.reporting.generation.room_charts import accuracy_chart, roc_chart
from overread.reporting.generation.tiles import Tile, row_of
from overread.reporting.page import environment
from overread.reporting.page_parts import Block, Chart, Picture, Pictures, Section, Table, Words

Record = Mapping[str, Any]
MOST_SHOWN = 6
CHANCE_WORDS = {
    "above chance": "more often right than a coin would be",
    "below chance": "more often wrong than a coin would be",
    "not told from chance": "not told from a coin",
    "not known": "not known",
}
OF_CASES = (
    "Intervals are about images: the made ones and the patients of the real ones. All answers to one image count as one unit, "
    "as do all images of one patient."
)


@dataclass(frozen=True)
class Shown:
    """levels (N, Y, X) the middle slice of every image, in the order of the room; start (low, high) as it was shown first."""

    levels: np.ndarray
    start: tuple[int, int]


def result_page(title: str, record: Record, shown: Shown) -> str:
    """The page as HTML."""
    sections = [_result(record), _ranking(record), _agreement(record), _time(record), _images(record, shown), _limits(record)]
    template = environment().get_template("room_result.html.j2")
    return template.render(
        title=title,
        name=record["name"],
        lead=lead(record),
        dateline=dateline(record),
        sections=[section for section in sections if section is not None],
        is_phantom=record["is_phantom"],
        written=datetime.now(UTC).strftime("%-d %B %Y"),
    )


def lead(record: Record) -> str:
    """The result in one or two sentences."""
    pooled = record["pooled"]
    accuracy = Interval.from_dict(pooled["accuracy"])
    if accuracy.estimate is None:
        return "No answer was given."
    readers = len(record["readers"])
    who = "The reader was" if readers == 1 else f"{readers} readers were"
    span = "" if accuracy.low is None else f" ({accuracy.low:.0%} to {accuracy.high:.0%})"
    said = f"{who} right in {accuracy.estimate:.0%}{span} of {pooled['read']} answers: {CHANCE_WORDS[pooled['against_chance']]}."
    if pooled["against_chance"] == "not told from chance" and accuracy.high is not None:
        return f"{said} An accuracy of up to {accuracy.high:.0%} is not ruled out."
    return said


def dateline(record: Record) -> str:
    made = record["made"]
    return f"Room {record['name']}: {record['items']} images, {made} made and {record['items'] - made} real"


def _result(record: Record) -> Section:
    columns = (
        "",
        "read",
        "accuracy",
        "against chance",
        "p",
        "fakes called fake",
        "reals called real",
        "area under the ROC curve",
    )
    rows = [_row(one["reader"], one) for one in record["readers"]]
    if len(rows) > 1:
        rows.append(_row("all answers", record["pooled"]))
    mean = record["mean"]
    if mean is not None:
        span = [None if mean[name] is None else _span(mean[name]) for name in ("accuracy", "auc")]
        rows.append((f"mean of {mean['readers']}, for readers like them", None, span[0], None, None, None, None, span[1]))
    methods = {one["accuracy"]["method"] for one in (*record["readers"], record["pooled"])}
    note = f"{record['level']:.0%} intervals: {', '.join(sorted(methods))}. {OF_CASES} Chance is 50 %."
    blocks: list[Block] = [Table("Telling real from made", columns, rows, note), Chart(Markup(accuracy_chart(record)))]
    if mean is not None:
        blocks.append(
            Words(
                "The last row takes the readers, too, as drawn from all readers like them (Obuchowski and Rockette). Its width "
                "rests on how far these few differ, and is unsure itself: of the last two rows, cite the wider."
            )
        )
    doubts = {one["auc"]["reason"] for one in record["readers"] if one["auc"]["reason"]}
    blocks += [Words(f"Area under the ROC curve: {reason}.") for reason in sorted(doubts)]
    said = "A coin is right in half of the images, whatever is shown; so is a reader who sees no difference."
    return Section("result", "How often readers were right", said, blocks)


def _row(name: str, one: Record) -> tuple[Any, ...]:
    p = one["p_chance"]
    return (
        name,
        one["read"],
        _span(one["accuracy"]),
        one["against_chance"],
        None if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
        _share(one["sensitivity"]),
        _share(one["specificity"]),
        _span(one["auc"]),
    )


def _ranking(record: Record) -> Section:
    blocks: list[Block] = []
    if record["roc"]:
        blocks.append(Chart(Markup(roc_chart(record["roc"])), "Thresholds: from surely real to surely fake, in eight steps."))
    rows = [(f"{row['confidence']}", row["read"], _span(row["accuracy"])) for row in record["by_confidence"] if row["read"]]
    blocks.append(Table("Accuracy by confidence, all readers", ("confidence, 1 guess to 4 certain", "answers", "accuracy"), rows))
    said = "Call and confidence together rank the images from surely real to surely fake."
    return Section("confidence", "Did they know when they were right?", said, blocks)


def _agreement(record: Record) -> Section | None:
    if not record["agreement"]:
        return None
    rows = [
        (" and ".join(row["readers"]), row["name"], _span(row["kappa"]), None if row["same"] is None else f"{row['same']:.0%}")
        for row in record["agreement"]
    ]
    columns = ("readers", "", "kappa", "same call")
    blocks: list[Block] = [Table("Agreement of calls", columns, rows, record["agreement"][0]["kappa"]["method"])]
    said = "Readers who agree see the same thing, right or wrong; kappa near 0 with an accuracy near chance says that they guess."
    return Section("agreement", "Do readers agree?", said, blocks)


def _time(record: Record) -> Section:
    rows = [
        (one["reader"], *(_seconds(one[name]) for name in ("seconds", "seconds_right", "seconds_wrong")))
        for one in record["readers"]
    ]
    parts = [(row["part"], row["read"], _span(row["accuracy"])) for row in record["by_time"] if row["read"]]
    blocks: list[Block] = [
        Table("Median seconds per image", ("reader", "all images", "where right", "where wrong"), rows),
        Table("Accuracy by time", ("", "answers", "accuracy"), parts),
    ]
    said = "A second half that is better than the first says that readers learned in the room what made images look like."
    return Section("time", "By time", said, blocks)


def _images(record: Record, shown: Shown) -> Section | None:
    read = [row for row in record["images"] if row["read"]]
    fooled = sorted((row for row in read if row["is_made"] and row["suspicion"] < 0), key=lambda row: row["suspicion"])
    doubted = sorted((row for row in read if not row["is_made"] and row["suspicion"] > 0), key=lambda row: -row["suspicion"])
    seen = sorted((row for row in read if row["is_made"] and row["suspicion"] > 0), key=lambda row: -row["suspicion"])
    made, real = record["made"], record["items"] - record["made"]
    groups = (
        ("Made images that were taken for real", fooled, f"{len(fooled)} of the {made} made images"),
        ("Made images that gave themselves away", seen, f"{len(seen)} of the {made} made images"),
        ("Real images that were taken for made ones", doubted, f"{len(doubted)} of the {real} real images"),
    )
    pictures = [
        Picture(_tiles(rows[:MOST_SHOWN], shown, words), f"{words}: {count}, the clearest first.")
        for words, rows, count in groups
        if rows
    ]
    if not pictures:
        return None
    said = "Mean suspicion over readers: -4 is surely real, 4 is surely fake."
    return Section("images", "Which images fooled, and which did not", said, [Pictures(pictures, is_wide=True)])


def _tiles(rows: Sequence[Record], shown: Shown, title: str) -> bytes:
    low, high = shown.start
    tiles = [
        Tile(
            (shown.levels[row["item"] - 1].astype(np.float32) - low) / max(high - low, 1),
            (f"image {row['item']}", f"{row['suspicion']:+.1f}, fake {row['fake']} of {row['read']}"),
            made=SYNTHETIC if row["is_made"] else None,
        )
        for row in rows
    ]
    return row_of(tiles, title, places=MOST_SHOWN)


def _limits(record: Record) -> Section:
    blocks = [Words(note, is_warning=k == len(record["notes"]) - 1) for k, note in enumerate(record["notes"])]
    return Section("limits", "What this does not show", "A room like this one asks readers, and nothing else.", blocks)


def _span(values: Record) -> str:
    return Interval.from_dict(dict(values)).short


def _share(values: Record) -> str | None:
    return None if values["estimate"] is None else f"{values['estimate']:.3f}"


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"
