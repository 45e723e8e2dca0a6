"""What holds for every file of one run, and what comes back from each; both travel between processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from overread.imaging.deidentify.burned_in import Box
from overread.imaging.deidentify.identity import Identity
from overread.imaging.deidentify.profile import Profile
from overread.imaging.deidentify.regions import Rule
from overread.imaging.deidentify.secret import Secret


@dataclass(frozen=True)
class Settings:
    """rules: regions to be blackened."""

    profile: Profile
    secret: Secret
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Look:
    """What a person should see of one image.

    reasons    why it is on the list; empty where nothing was suspected
    boxes      regions that look like text, in pixels of the frame
    thumbnail  PNG of the frame as written, boxes outlined
    """

    reasons: tuple[str, ...]
    boxes: tuple[Box, ...]
    thumbnail: bytes


@dataclass(frozen=True)
class Done:
    """One file that was written.

    source, written  paths relative to the input and the output folder
    identity         original identifiers; None where the format has none
    patient, series  their new names, to gather what belongs together
    log              counts by (attribute, action); no value
    rules            numbers of the region rules that fitted
    has_face         the head of a person in three dimensions
    """

    source: str
    written: str
    format: str
    identity: Identity | None
    patient: str
    series: str
    modality: str
    log: Counter[tuple[str, str]]
    look: Look | None
    days: int = 0
    rules: tuple[int, ...] = ()
    has_face: bool = False
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NotWritten:
    """One file that was left out, and why."""

    source: str
    code: str
    reason: str
