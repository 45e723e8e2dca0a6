"""Learned weights of channels and places on the page of explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from overread.reporting.charts.attention import channel_chart
from overread.reporting.page_parts import Block, Chart, Part, Picture, Pictures, Table, Words


def attention_blocks(found: Mapping[str, Any], part: Part) -> list[Block]:
    """Channels as bars, places as heat beside the image, all blocks in a table."""
    rows = found["blocks"]
    of_channels = [row for row in rows if row["weighs"] == "channels"]
    lead = (
        "Some blocks of this network weigh what passes through them by what they see in the case: how much each channel counts, "
        "or each place. 1 lets it through, 0 stops it. A weight says what a block passes on, not why the answer is what it is."
    )
    blocks: list[Block] = [Words(lead)]
    if of_channels:
        averaged = f" Mean of the {of_channels[0]['slices']} slices." if of_channels[0]["slices"] > 1 else ""
        caption = (
            "Weights of the channels for this case, the one that counts most first. A level row passes all channels on alike."
            + averaged
        )
        blocks.append(Chart(Markup(channel_chart(of_channels)), caption))
    if found["file"] in part.pictures:
        count = sum(row["weighs"] == "places" for row in rows)
        some = f"{len(found['shown'])} of {count} blocks" if len(found["shown"]) < count else "every block that weighs places"
        told = f"Weights of the places of this case: {some}."
        blocks.append(Pictures([Picture(part.pictures[found["file"]], told)], is_wide=True))
    columns: tuple[str, ...] = ("block", "kind", "weighs", "lowest", "mean", "highest")
    table: list[tuple[Any, ...]] = [
        (row["name"], row["title"], _weighed(row), round(row["lowest"], 3), round(row["mean"], 3), round(row["highest"], 3))
        for row in rows
    ]
    if not of_channels:
        return [*blocks, Table("Learned weights of places", columns, table)]
    table = [(*cells, *_of_channels(row)) for cells, row in zip(table, rows, strict=True)]
    columns = (*columns, "most", "SD of cases")
    note = "Most: the channels that count most, by their numbers from 0."
    if found["cases"] > 1:
        note += (
            f" SD of cases: how far the weight of one channel moves between {found['cases']} cases, mean over channels; where it "
            "is near 0, the block passes on the same whatever it is shown."
        )
    return [*blocks, Table("Learned weights of channels and places", columns, table, note)]


def _of_channels(row: Mapping[str, Any]) -> tuple[str | None, float | None]:
    if row["weighs"] != "channels":
        return None, None
    between = row["between_cases"]
    return ", ".join(str(k) for k in row["most"]), None if between is None else round(between, 4)


def _weighed(row: Mapping[str, Any]) -> str:
    return f"{row['channels']} channels" if row["weighs"] == "channels" else " x ".join(str(n) for n in row["grid"] if n > 1)
