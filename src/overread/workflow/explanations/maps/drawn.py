"""The maps of several cases as pictures with one scale of colours per method, as files, and as a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Map, Measurements
from overread.reporting.explanation.maps_words import about
from overread.reporting.pictures.heat import Scale, Stamp, heat_panel, peak_of
from overread.reporting.pictures.heat_marks import Marks
from overread.workflow.explanations.maps.cases import Picked
from overread.workflow.explanations.maps.files import Files
from overread.workflow.explanations.maps.made import BRIGHT, MadeMaps, Shelf, Waiting
from overread.workflow.explanations.maps.methods import Chosen
from overread.workflow.explanations.maps.verdicts import plain, words_of

DIGITS = 6  # of numbers in the record
Row = dict[str, Any]


def draw_maps(
    made: MadeMaps, cases: Sequence[Picked], shelf: Shelf, files: Files | None, *, is_phantom: bool
) -> tuple[list[Row], dict[str, bytes], list[str]]:
    """A row per case with its maps, the pictures by name, and what has to be said of the files."""
    limits = _limits(made.maps)
    counts = _counts(made.maps)
    rows: list[Row] = []
    pictures: dict[str, bytes] = {}
    notes: list[str] = []
    for picked in cases:
        own = [waiting for waiting in made.maps if waiting.picked is picked]
        row: Row = {"case_id": picked.name, "why": picked.why, "told": picked.told, "answer": made.answers.get(picked.name, "")}
        row |= {"refusal": made.refused.get(picked.name, ""), "warnings": list(made.doubts.get(picked.name, ()))}
        row |= {"is_empty": picked.name in made.nothing, "is_simulated": picked.name in made.simulated, "maps": []}
        rows.append(row)
        if not own:
            continue
        image, truth = picked.open(), picked.truth()
        for waiting in own:
            about_it = _row(waiting)
            row["maps"].append(about_it)
            if waiting.shelf is None:
                continue
            values = shelf.take(waiting.shelf)
            name = waiting.chosen.method.name
            stem = _free(f"{picked.name}_{name}_{_slug(waiting.asked.name)}", pictures)
            scale = _scale(waiting, limits[name], counts[name])
            picture = _picture(waiting, values, image, truth, scale, shelf, is_phantom=is_phantom)
            pictures[f"{stem}.png"] = picture
            about_it |= {"file": f"{stem}.png", **_measured(values, limits[name])}
            if files is not None:
                judged = waiting.chosen.judged
                title, verdicts = waiting.chosen.method.title, {"trial": judged.verdict, **judged.criteria}
                stored = Map(values, image.grid, title, waiting.asked.name, verdicts)
                notes += files.write(stem, stored, picked, image, picture, _stamp(waiting.chosen).words)
    return rows, pictures, list(dict.fromkeys(notes))


def method_rows(methods: Sequence[Chosen], withheld: Sequence[Chosen], made: MadeMaps) -> list[Row]:
    """What is to be said of each method: its verdict, its scale, and why there are no maps of it where there are none."""
    limits = _limits(made.maps)
    rows = []
    for chosen in (*methods, *withheld):
        method, judged = chosen.method, chosen.judged
        refusals = {w.refusal for w in made.maps if w.chosen.method.name == method.name and w.refusal}
        words = about(method.name)
        score = next((w.asked.score_words for w in made.maps if w.chosen is chosen), "the score")
        rows.append(
            {
                "method": method.name,
                "title": method.title,
                "source": method.source,
                "is_signed": method.is_signed,
                "parameters": plain(chosen.parameters),
                "parameters_words": words_of(chosen.parameters),
                "verdict": judged.verdict,
                "criteria": judged.criteria,
                "why": judged.why,
                "is_withheld": chosen in withheld,
                "left_out": made.left_out.get(method.name, ""),
                "refusals": sorted(refusals),
                "unit": words.unit.format(score=score),
                "tells": words.tells,
                "cannot": words.cannot,
                "limit": limits.get(method.name),
                "seconds": _mean([w.seconds for w in made.maps if w.chosen is chosen and w.shelf is not None]),
            }
        )
    return rows


def _limits(maps: Sequence[Waiting]) -> dict[str, float]:
    """Where the colours of a method end: at the largest `BRIGHT` percentile among its maps."""
    limits: dict[str, float] = {}
    for waiting in maps:
        if waiting.shelf is not None:
            name = waiting.chosen.method.name
            limits[name] = max(limits.get(name, 0.0), waiting.bright)
    return limits


def _counts(maps: Sequence[Waiting]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for waiting in maps:
        if waiting.shelf is not None:
            counts[waiting.chosen.method.name] = counts.get(waiting.chosen.method.name, 0) + 1
    return counts


def _scale(waiting: Waiting, limit: float, count: int) -> Scale:
    method = waiting.chosen.method
    unit = about(method.name).unit.format(score=waiting.asked.score_words)
    among = "this map" if count == 1 else f"the {count} maps of this method made together, all on one scale"
    which = "the" if count == 1 else "the largest"
    rule = f"Colours end at {which} {BRIGHT:g}th percentile of {among}." if limit else "The map is 0 everywhere."
    return Scale(limit or 1.0, method.is_signed, unit, rule)


def _picture(
    waiting: Waiting, values: np.ndarray, image: Image, truth: Kind | None, scale: Scale, shelf: Shelf, *, is_phantom: bool
) -> bytes:
    asked, chosen = waiting.asked, waiting.chosen
    name = asked.score_words[:1].upper() + asked.score_words[1:]
    lines = [f"{name}: {asked.score:.3g}"]
    if asked.networks > 1:
        lines.append(
            f"{asked.networks} networks, by their shares" + (f"; {asked.silent} list nothing here" if asked.silent else "")
        )
    if truth is not None and (said := _truth_words(truth, asked.name)):
        lines.append(f"Reference: {said}")
    lines += [words_of(waiting.parameters)] if words_of(waiting.parameters) else []
    lines.append(f"Largest value here: {waiting.largest:.2g}" if np.any(values) else "The map is 0 everywhere.")
    marks = _marks(waiting, truth, shelf)
    title = f"{waiting.picked.name}: {chosen.method.title}, {asked.name}"
    return heat_panel(
        image, values, scale, _stamp(chosen), title=title, lines=lines, marks=marks,
        is_phantom=is_phantom or bool(image.source.get("is_simulated")),
    )  # fmt: skip


def _marks(waiting: Waiting, truth: Kind | None, shelf: Shelf) -> Marks:
    asked = waiting.asked
    target = None if asked.shelf is None else shelf.take(asked.shelf)
    drawn, boxes = None, ()
    if isinstance(truth, LabelMap) and asked.name in truth.names:
        drawn = truth.mask(asked.name)
    elif isinstance(truth, Instances):
        drawn = np.zeros(truth.grid.shape, bool)
        for piece in truth.pieces:
            drawn[piece.place] |= piece.mask
    elif isinstance(truth, Boxes):
        boxes = tuple(truth.corners)
    return Marks(target, asked.box, drawn, boxes, asked.window)


def _truth_words(truth: Kind, name: str) -> str:
    if isinstance(truth, Findings):
        value = truth.probabilities.get(name)
        return "" if value is None else f"{name} {'present' if value >= 0.5 else 'absent'}"
    if isinstance(truth, Measurements):
        value = truth.values.get(name)
        return "" if value is None else f"{name} {value:.4g} {truth.units.get(name, '')}".strip()
    return ""


def _stamp(chosen: Chosen) -> Stamp:
    why = chosen.judged.why
    return Stamp(chosen.judged.verdict, why[:1].upper() + why[1:])


def _row(waiting: Waiting) -> Row:
    asked, method = waiting.asked, waiting.chosen.method
    judged = waiting.chosen.judged
    return {
        "method": method.name,
        "title": method.title,
        "target": asked.name,
        "target_number": asked.number,
        "parameters": plain(waiting.parameters),
        "parameters_words": words_of(waiting.parameters),
        "score": _round(asked.score),
        "score_words": asked.score_words,
        "networks": asked.networks,
        "silent_networks": asked.silent,
        "verdict": judged.verdict,
        "verdicts": judged.criteria,
        "refusal": waiting.refusal,
        "seconds": round(waiting.seconds, 3),
        "largest": _round(waiting.largest),
        "smallest": _round(waiting.smallest),
    }


def _measured(values: np.ndarray, limit: float) -> Mapping[str, Any]:
    there = np.abs(values[values != 0])
    beyond = float((there > limit).mean()) if there.size else 0.0
    return {"peak": list(peak_of(values)) if there.size else None, "share_beyond_scale": round(beyond, DIGITS)}


def _free(stem: str, taken: Mapping[str, bytes]) -> str:
    number, free = 1, stem
    while f"{free}.png" in taken:
        number += 1
        free = f"{stem}_{number}"
    return free


def _slug(name: str) -> str:
    """A target as part of a file name: `metastasis 2 (0.87)` -> `metastasis_2`."""
    kept = "".join(c if c.isalnum() or c in "-_" else " " for c in name.partition(" (")[0])
    return "_".join(kept.split()) or "target"


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None
