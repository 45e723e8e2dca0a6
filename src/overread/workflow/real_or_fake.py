"""`overread real-or-fake`: a reading room of real and made images, blinded, and the scores of those who read in it.

Images of the internal test are never shown: whoever has seen them would read them again.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from overread.cohort.identity import read_key
from overread.cohort.index import read_index
from overread.core.errors import OverreadError
from overread.evaluation.reading_room.chance import least_told
from overread.evaluation.reading_room.scores import score_reads
from overread.evaluation.rules import Rules
from overread.record.files import write_json, write_text
from overread.reporting.generation.alike import Alike, alike
from overread.reporting.generation.room import Room, room_page
from overread.reporting.generation.room_result import Shown, result_page
from overread.workflow.generation.answers import read_answers
from overread.workflow.generation.candidates import OPEN, Candidate, check_open, of_folder, real_of_project, sealed_digests
from overread.workflow.generation.key import Key, keys_of, read_levels, write_key
from overread.workflow.project import Project

FORMAT = 1
FOLDER = "real-or-fake"
COUNT = 40
NAME = "first"
LEAST = 4  # images of either kind, below which there is nothing to tell
LARGE_MB = 150
SEAL = "No image of the internal test is shown."
BLIND = (
    "The page holds grey levels and numbers, nothing that says which image is which. The key lies in "
    "cohort/private/real-or-fake; a reader must not see that folder, nor the folder of made images."
)
SHOWN_MARK = (
    "Made images carry no visible mark inside this room. Pictures taken of it are unmarked synthetic images: do not pass them on."
)
NOT_SHOWN = (
    "That readers do not tell made images from real ones does not show that the made ones are right, varied, or safe to learn "
    "from, nor that they are no copies of training images."
)


def make_room(
    project: Project,
    made: Path,
    real: str = "tuning",
    count: int = COUNT,
    seed: int = 0,
    name: str = NAME,
) -> dict[str, Any]:
    """Write the page of a reading room, and its key into the project's private folder.

    made   folder or file of made images
    real   "tuning", "training", or a folder of real images
    count  images in all, half of each kind as far as there are so many
    """
    _check(project, count, name)
    half = count // 2
    sealed = sealed_digests(project)
    is_phantom = all(row.case.origin == "simulated" for row in read_index(project.path))
    fakes, notes = of_folder(Path(made), "made", count - half, seed, sealed)
    if real in (*OPEN, "internal"):
        check_open(project, real)
        reals = real_of_project(project.cohort(), real, half, seed)
    else:
        reals, more = of_folder(Path(real), "real", half, seed, sealed, is_phantom=is_phantom)
        notes += more
    for kind, images in (("real", reals), ("made", fakes)):
        if len(images) < LEAST:
            raise OverreadError(f"There are {len(images)} {kind} images; {LEAST} of each kind are the least.", "give more images")
    shown = alike([one.image for one in reals], [one.image for one in fakes])
    _refuse_large(shown)
    everyone = [*reals, *fakes]
    order = _order(project, len(everyone), seed)
    in_order = replace(shown, levels=shown.levels[order])
    room = secrets.token_hex(5)
    items = tuple(_item(place, everyone[k], k >= len(reals)) for place, k in enumerate(order, 1))
    key = Key(name, room, seed, real if real in OPEN else "folder", is_phantom, items)
    write_key(project, key, in_order.levels[:, in_order.levels.shape[1] // 2], in_order.start)
    folder = project.path / FOLDER / name
    write_text(folder / "room.html", room_page(Room(room, project.name, in_order, is_phantom)))
    record = {
        "format": FORMAT,
        "room": room,
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "is_phantom": is_phantom,
        "images": len(items),
        "real": key.real,
        "shape": list(in_order.levels.shape[1:]),
        "levels": in_order.depth,
        "shown": list(shown.notes),
        "remarks": list(shown.remarks),
        "marks": SHOWN_MARK,
        "least_told_from_chance": least_told(len(items)),
        "notes": [SEAL, BLIND, SHOWN_MARK, *notes, *_fewer(count, reals, fakes)],
    }
    write_json(folder / "room.json", record)
    return {**record, "page": str(folder / "room.html")}


def score_room(project: Project, answers: Sequence[Path], seed: int = 0) -> dict[str, Any]:
    """Score the files that readers saved; write `result.json` and `result.html` beside the room's page."""
    key, reads, notes = read_answers(answers, keys_of(project))
    rules = Rules(level=project.settings.evaluation.interval_level, seed=seed)
    scores = score_reads(key.is_made, key.units, reads, rules)
    for row, item in zip(scores["images"], key.items, strict=True):
        row["case_id"] = item["case_id"]
    record = {
        "format": FORMAT,
        "room": key.room,
        "name": key.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "is_phantom": key.is_phantom,
        "real": key.real,
        "level": rules.level,
        "n_patients": len({item["unit"] for item in key.items if item["kind"] == "real"}),
        **scores,
        "notes": [*notes, SEAL, NOT_SHOWN],
    }
    folder = project.path / FOLDER / key.name
    write_json(folder / "result.json", record)
    write_text(folder / "result.html", result_page(project.name, record, Shown(*read_levels(project, key))))
    return {**record, "page": str(folder / "result.html")}


def _check(project: Project, count: int, name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", name):
        raise OverreadError(f"'{name}' is no name for a room.", "use letters, digits, - and _, such as --name first")
    if count < 2 * LEAST:
        raise OverreadError(f"--count {count} is too few; {2 * LEAST} images are the least.", "give --count 40, for example")
    if any(key.name == name for key in keys_of(project).values()):
        raise OverreadError(
            f"This project has a room '{name}'; a new one in its place would lose the key to its answers.",
            "give the new room a name of its own: --name second",
        )


def _order(project: Project, count: int, seed: int) -> np.ndarray:
    """(N,) by the seed and the cohort's secret, so that nobody who knows the seed alone can work it out."""
    secret = np.frombuffer(read_key(project.path), np.uint8).tolist()
    return np.random.default_rng([seed, *secret]).permutation(count)


def _item(place: int, candidate: Candidate, is_made: bool) -> dict[str, Any]:
    return {
        "item": place,
        "kind": "made" if is_made else "real",
        "unit": candidate.unit,
        "case_id": candidate.case_id,
        "name": candidate.name,
    }


def _fewer(count: int, reals: Sequence[Candidate], fakes: Sequence[Candidate]) -> list[str]:
    if len(reals) + len(fakes) == count:
        return []
    return [f"There were {len(reals) + len(fakes)} images to show, not {count}."]


def _refuse_large(shown: Alike) -> None:
    megabytes = shown.levels.nbytes * 4 / 3 / 1e6
    if megabytes > LARGE_MB:
        raise OverreadError(
            f"The page would hold {megabytes:.0f} MB; {LARGE_MB} are the most that browsers open at ease.",
            "show fewer images with --count",
        )
