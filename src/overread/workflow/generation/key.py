"""The key of a reading room: which image was real and which was made. It lies in the project's private folder alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.record.files import read_json, whole, write_text
from overread.workflow.project import Project

FORMAT = 1


@dataclass(frozen=True)
class Key:
    """name of the room, its identifier, and its images in the order of the room.

    items  each: item (from 1), kind ("real" or "made"), unit, case_id, name of the file
    """

    name: str
    room: str
    seed: int
    real: str
    is_phantom: bool
    items: tuple[dict[str, Any], ...]

    @property
    def is_made(self) -> np.ndarray:
        """(N,) bool"""
        return np.array([item["kind"] == "made" for item in self.items])

    @property
    def units(self) -> list[str]:
        return [str(item["unit"]) for item in self.items]


def folder_of(project: Project) -> Path:
    return project.path / "cohort" / "private" / "real-or-fake"


def write_key(project: Project, key: Key, levels: np.ndarray, start: tuple[int, int]) -> Path:
    """Write the key, and beside it what the page of results shows.

    levels  (N, Y, X) the middle slices
    start   (low, high) levels between which they are shown first
    """
    path = folder_of(project) / f"{key.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {
        "format": FORMAT,
        "name": key.name,
        "room": key.room,
        "seed": key.seed,
        "real": key.real,
        "is_phantom": key.is_phantom,
        "items": list(key.items),
    }
    with whole(path.with_suffix(".npz"), 0o600) as beside, beside.open("wb") as file:
        np.savez_compressed(file, levels=levels, start=start)
    write_text(path, json.dumps(values, indent=1) + "\n", mode=0o600)
    return path


def read_levels(project: Project, key: Key) -> tuple[np.ndarray, tuple[int, int]]:
    """The slices (N, Y, X) and the levels between which they were shown first."""
    with np.load(folder_of(project) / f"{key.name}.npz") as held:
        low, high = (int(edge) for edge in held["start"])
        return np.asarray(held["levels"]), (low, high)


def keys_of(project: Project) -> dict[str, Key]:
    """room -> its key, of all rooms of a project."""
    paths = sorted(folder_of(project).glob("*.json"))
    return {key.room: key for key in map(_key, paths)}


def _key(path: Path) -> Key:
    values = read_json(path)
    if values.get("format") != FORMAT:
        raise OverreadError(
            f"The key {path.name} was written by another version of Overread (format {values.get('format')}).",
            "score its answers with the version that made the room",
        )
    return Key(values["name"], values["room"], values["seed"], values["real"], values["is_phantom"], tuple(values["items"]))
