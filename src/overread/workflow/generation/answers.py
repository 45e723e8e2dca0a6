"""The files that readers save at the end of a reading room: read, and checked against the room's key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.evaluation.reading_room.reads import CONFIDENCES, Reads
from overread.workflow.generation.key import Key

FORMAT = 1
AGAIN = "let the reader save the file once more, from the same page"


def read_answers(paths: Sequence[Path], keys: Mapping[str, Key]) -> tuple[Key, list[Reads], list[str]]:
    """The room's key, what each reader said, and notes.

    paths  files, or folders that hold them
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise OverreadError("No file of answers was found.", "name the files that the readers saved: --answers FILE")
    loaded = [(path, _loaded(path)) for path in files]
    rooms = {values["room"] for _, values in loaded}
    if len(rooms) > 1:
        raise OverreadError(
            f"These answers are of {len(rooms)} different rooms ({', '.join(sorted(rooms))}).", "score each room by itself"
        )
    (room,) = rooms
    if room not in keys:
        known = ", ".join(f"{key.name} ({key.room})" for key in keys.values()) or "none"
        raise OverreadError(
            f"The answers are of room {room}, whose key is not in this project; there are: {known}.",
            "name the project that the room was made in",
        )
    key = keys[room]
    reads = [_reads(path, values, len(key.items)) for path, values in loaded]
    _refuse_twice([one.reader for one in reads])
    unread = {one.reader: int((~one.is_read).sum()) for one in reads}
    notes = [f"Reader {name} left {count} of {len(key.items)} images unread." for name, count in unread.items() if count]
    changed = {one["reader"]: sum(row.get("changes", 0) > 0 for row in one["answers"]) for _, one in loaded}
    notes += [
        f"Reader {name} corrected {count} answer{'s' * (count != 1)} before saving." for name, count in changed.items() if count
    ]
    return key, sorted(reads, key=lambda one: one.reader), notes


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.json"))
    if not path.exists():
        raise OverreadError(f"{path} does not exist.", "check the path of the answers")
    return [path]


def _loaded(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise OverreadError(f"{path.name} is no JSON: {error}.", AGAIN) from error
    if not isinstance(values, dict) or not {"format", "room", "reader", "answers"} <= values.keys():
        raise OverreadError(f"{path.name} does not hold answers of a reading room.", "name the files that the readers saved")
    if values["format"] != FORMAT:
        raise OverreadError(f"{path.name} has format {values['format']}; {FORMAT} was expected.", AGAIN)
    if not isinstance(values["answers"], list) or not values["answers"]:
        raise OverreadError(f"{path.name} holds no answer.", "leave the file out")
    return values


def _reads(path: Path, values: Mapping[str, Any], count: int) -> Reads:
    fake, confidence, seconds = (np.full(count, np.nan) for _ in range(3))
    for row in values["answers"]:
        item, said, sure, took = (row.get(name) for name in ("item", "call", "confidence", "seconds"))
        if not isinstance(item, int) or not 1 <= item <= count:
            raise OverreadError(f"{path.name} answers image {item}; this room has images 1 to {count}.", AGAIN)
        if np.isfinite(fake[item - 1]):
            raise OverreadError(f"{path.name} answers image {item} twice.", AGAIN)
        if said not in ("real", "fake") or sure not in CONFIDENCES:
            what = f"call '{said}', confidence '{sure}'"
            raise OverreadError(f"{path.name}, image {item}: {what}; expected real or fake, and 1 to 4.", AGAIN)
        if not isinstance(took, int | float) or not np.isfinite(took) or took < 0:
            raise OverreadError(f"{path.name}, image {item}: '{took}' are no seconds.", AGAIN)
        fake[item - 1], confidence[item - 1], seconds[item - 1] = said == "fake", sure, took
    return Reads(str(values["reader"]), fake, confidence, seconds)


def _refuse_twice(readers: Sequence[str]) -> None:
    twice = sorted({name for name in readers if readers.count(name) > 1})
    if twice:
        raise OverreadError(
            f"Two files hold answers of reader {twice[0]}.", "give one file per reader; two readers need two codes"
        )
