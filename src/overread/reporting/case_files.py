"""What may stand beside single cases in the browser of errors, by pseudonym."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class CaseFiles:
    """Gathered for the report; everything is optional.

    pictures  partition -> case_id -> a small picture, PNG
    maps      case_id -> (a small picture of a map that did not fail its trial, what it is)
    similar   case_id -> training cases whose features lie nearest: case_id, distance, truth
    groups    column -> case_id -> group
    notes     case_id -> what the authors wrote in notes.toml
    place     where notes.toml is put
    slices    case_id -> the slices that its answer rests on, in words
    """

    pictures: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    maps: Mapping[str, tuple[bytes, str]] = field(default_factory=dict)
    similar: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    place: str = "notes.toml in the folder of the run"
    slices: Mapping[str, str] = field(default_factory=dict)
