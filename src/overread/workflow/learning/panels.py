"""Pictures of the worst, the middle and some random cases of an evaluation; all are chosen by rule, none by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.image import Image
from overread.core.kinds import Kind
from overread.core.slices import SliceShare, shares_in_words
from overread.record.files import write_bytes, write_json
from overread.reporting.pictures.figures import case_panel
from overread.workflow.learning.matching_examples import write_examples
from overread.workflow.learning.thumbnails import NOTHING_TOLD, Told, write_small_pictures, write_thumbnails

EACH = 3  # panels of each kind
SEED = 0
SHOWN = 3  # slices that are named of a case

Loader = Callable[[dict[str, Any]], tuple[Image, Kind, Kind]]  # row of a case -> image, truth, answer


def choose_cases(rows: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """(why, row): the largest errors, those nearest to the median, and others drawn at random; no case twice."""
    order = sorted(range(len(rows)), key=lambda k: (-rows[k]["error"], rows[k]["case_id"]))
    middle = len(order) // 2
    drawn = [int(k) for k in np.random.default_rng(SEED).permutation(len(rows))]
    wishes = {
        "worst": order[:EACH],
        "median": sorted(order, key=lambda k: abs(order.index(k) - middle))[:EACH],
        "random": drawn,
    }
    chosen: list[tuple[str, dict[str, Any]]] = []
    taken: set[int] = set()
    for why, places in wishes.items():
        free = [k for k in places if k not in taken][:EACH]
        taken.update(free)
        chosen += [(why, rows[k]) for k in free]
    return chosen


def write_panels(
    folder: Path, partition: str, rows: Sequence[dict[str, Any]], load: Loader, *, is_phantom: bool, slices: Told = NOTHING_TOLD
) -> None:
    """Write `panels-<partition>/` with one PNG per chosen case, and `panels.json` beside them.

    slices  case_id -> the slices that its answer rests on, the largest share first
    """
    shutil.rmtree(folder, ignore_errors=True)
    panels = []
    numbers: dict[str, int] = {}
    for why, row in choose_cases(rows):
        numbers[why] = numbers.get(why, 0) + 1
        name = f"{why}-{numbers[why]}.png"
        image, truth, answer = load(row)
        title = f"{why} {numbers[why]}: {row['case_id']}"
        objects, named = row.get("objects", ()), "objects" in row and len(row["truth"]) > 1
        looked = slices.get(row["case_id"], ())[:SHOWN]
        drawn = {"objects": objects, "named": named, "slices": looked}
        picture = case_panel(image, truth, answer, title=title, is_phantom=is_phantom, **drawn)
        write_bytes(folder / name, picture)
        panels.append({"file": name, "case_id": row["case_id"], "why": why, "caption": caption(row, looked)})
    described = {"format": 1, "partition": partition, "panels": panels}
    if any("objects" in row for row in rows):
        described["errors"] = write_thumbnails(folder, rows, load)
        described["matching"] = write_examples(folder, rows, load)
    else:
        described["small"] = write_small_pictures(folder, rows, load, slices)
    write_json(folder / "panels.json", described)


def caption(row: dict[str, Any], slices: Sequence[SliceShare] = ()) -> str:
    """What the numbers say of a case, and the slices that its answer rests on."""
    if "objects" in row:
        states = [item["state"] for item in row["objects"]]
        found, missed, false = (states.count(state) for state in ("matched", "missed", "false"))
        told = f"{found} of {found + missed} found, {false} false" if states else "no object, and none was marked"
        return f"patient {row['patient_id']}: {told}"
    dice = {k.removeprefix("dice/"): v for k, v in row["scores"].items() if k.startswith("dice/")}
    if dice:
        return "Dice " + ", ".join(f"{name} {_number(v)}" for name, v in dice.items())
    looked = f"; it rests most on {shares_in_words(slices)}" if slices else ""
    return f"truth {_words(row['truth'])}; answer {_words(row['answer'])}{looked}"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_number(v)}" for name, v in value.items())
    return _number(value)


def _number(value: Any) -> str:
    if value is None:
        return "not defined"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
