"""The section on turned answers: how little turns them, beside noise of the same size, and what this does and does not tell."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from overread.reporting.page_parts import Block, Part, Picture, Pictures, Section, Table, Words

Row = Mapping[str, Any]
TEACHES = (
    "What this teaches: a network does not see as we do. A change that no reader would notice, if it is aimed at this network, "
    "can turn its answer, while random noise of the same size mostly does not; and a modest blur or another contrast, which a "
    "reader looks through, may turn it too."
)
NO_RISK = (
    "What it does not tell: this is no estimate of a clinical risk. Nobody aims noise at the images of a department, and the "
    "aimed changes need the network itself. How far the score falls when images get worse is measured by `overread robustness`, "
    "over many cases and with intervals; here some single cases are shown."
)


def flips_section(part: Part) -> Section:
    return Section("flips", "What turns an answer", _lead(part.record), tuple(_blocks(part)))


def _lead(record: Row) -> str:
    turned = [row for row in record["cases"] if "changes" in row]
    sizes = [
        one["size_sd"] for row in turned for one in row["changes"] if one["norm"] == "largest" and one["size_sd"] is not None
    ]
    if not sizes:
        return f"No answer to {len(turned)} of {record['of_cases']} tuning cases was turned by an aimed change."
    noise = [one["noise"] for row in turned for one in row["changes"] if one["noise"] is not None]
    flips, draws = sum(one["flips"] for one in noise), sum(one["draws"] for one in noise)
    return (
        f"{len(sizes)} of {len(turned)} answers were turned by an aimed change of no voxel by more than "
        f"{statistics.median(sizes):.2g} SD (median; {min(sizes):.2g} to {max(sizes):.2g}); random noise of the same size "
        f"turned an answer in {flips} of {draws} draws."
    )


def _blocks(part: Part) -> Iterator[Block]:
    yield Words(TEACHES)
    yield Words(NO_RISK, is_warning=True)
    turned = [row for row in part.record["cases"] if "changes" in row]
    if turned:
        yield _aimed(turned)
        yield _worsened(turned)
    for row in part.record["cases"]:
        if "left" in row:
            yield Words(f"{row['case_id']} was left out: {row['left']}.")
            continue
        shown = [Picture(part.pictures[name], _caption(row, name)) for name in row["pictures"] if name in part.pictures]
        if shown:
            yield Pictures(shown, is_wide=True)
    for note in part.record["notes"]:
        yield Words(note)


def _aimed(rows: Sequence[Row]) -> Table:
    cells = []
    for row in rows:
        for number, one in enumerate(row["changes"]):
            name = f"{row['case_id']}: {row['before']}" if number == 0 else ""
            if one["size_sd"] is None:
                cells.append((name, one["title"], "not turned by any within its range of values", "", ""))
            else:
                noise = f"{one['noise']['flips']} of {one['noise']['draws']} draws"
                cells.append((name, one["title"], one["words"], one["after"], noise))
    return Table(
        "Smallest aimed change that was found to turn the answer",
        ("case and answer", "measured as", "size", "answer then", "turned by noise of that size"),
        cells,
        f"{'; '.join(dict.fromkeys(row['rule'] for row in rows))}. SD: 1 of the normalised image, the spread of its "
        "intensities or of the training images'; the window is that in which the image is shown",
    )


def _worsened(rows: Sequence[Row]) -> Table:
    cells = []
    for row in rows:
        for number, one in enumerate(row["worsened"]):
            name = f"{row['case_id']}: {row['before']}" if number == 0 else ""
            amount = one["amount"] if one["turns"] else f"not turned by {one['amount']}"
            change = f"{one['change_sd']:.2g}" if one["turns"] else None
            cells.append((name, one["title"], amount, change, one["after"]))
    return Table(
        "Mildest degradation, of those that happen in practice, that was found to turn the answer",
        ("case and answer", "degradation", "amount", "mean change in SD", "answer then"),
        cells,
        "amounts at quarters of the way to the largest of the suite of robustness, then halved four times",
    )


def _caption(row: Row, name: str) -> str:
    told = f" {row['told']}." if row["told"] else ""
    if name.endswith("-worsened.png"):
        return f"{row['case_id']}: image, change, and degraded image. Before: {row['before']}.{told}"
    return f"{row['case_id']}: image, aimed change made visible, and changed image. Before: {row['before']}.{told}"
