"""What `[images]` of a project file says: which series of an exam counts, which image is which channel, what if one is missing.

One value for `init`, `update` and `read`. It is kept in the model: images of a new study are chosen as they were in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from overread.cohort.patterns import RANKS, comparisons
from overread.core.errors import OverreadError

Rule = Mapping[str, str]  # field -> pattern; all must fit

SERIES_FIELDS = {  # field of a rule -> attribute of a series
    "description": "description",
    "kernel": "kernel",
    "thickness": "thickness_mm",
    "plane": "plane",
    "phase": "phase",
    "modality": "modality",
    "protocol": "protocol",
    "contrast": "contrast",
    "body": "body_part",
    "view": "view",
    "slices": "n_slices",
    "number": "series_number",
    "echo": "echo_time_ms",
    "volume": "volume",
}
NUMBERS = frozenset({"thickness", "slices", "number", "echo"})
FILE_FIELDS = ("file", "volume")
MISSING = ("refuse", "zeros")
FILES_NEXT = 'give each channel the part of the file\'s name that tells it, for example flair = "_flair"'


@dataclass(frozen=True)
class ImageRules:
    """Rules about the images of an exam.

    series    which DICOM series counts; where there are channels, these lines hold for each of them
    channels  name -> rule, in order. The first is the reference: the others are laid on its grid.
              Empty: one image per case, or what the layout of the folder tells by itself
    missing   a channel that an exam lacks: "refuse" leaves the exam out, "zeros" fills the channel;
              an exam without the reference channel is always left out
    gaps, tilt  see `overread.imaging.door.open_image`
    """

    series: Rule = field(default_factory=dict)
    channels: Mapping[str, Rule] = field(default_factory=dict)
    missing: str = "refuse"
    gaps: str = "refuse"
    tilt: str = "refuse"

    @property
    def for_series(self) -> dict[str, Rule]:
        """Channel -> all the lines that its series must fit; one channel "image" where none is named."""
        channels = self.channels or ({"image": {}} if self.series else {})
        return {name: {**self.series, **rule} for name, rule in channels.items()}

    def as_dict(self) -> dict[str, Any]:
        return {
            "series": dict(self.series),
            "channels": [{"name": name, "rule": dict(rule)} for name, rule in self.channels.items()],  # a list keeps its order
            "missing": self.missing,
            "gaps": self.gaps,
            "tilt": self.tilt,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageRules:
        channels = {c["name"]: dict(c["rule"]) for c in values["channels"]}
        return cls(dict(values["series"]), channels, values["missing"], values["gaps"], values["tilt"])


def image_rules(
    series: Mapping[str, str],
    channels: Mapping[str, str | Mapping[str, str]],
    missing: str = "refuse",
    gaps: str = "refuse",
    tilt: str = "refuse",
) -> ImageRules:
    """Rules as written, checked.

    series    field -> pattern; "channel.field" -> pattern is a line of that channel (the form of the command line)
    channels  name -> pattern of the file's name, or field -> pattern
    """
    named: dict[str, dict[str, str]] = {
        name: {"file": rule} if isinstance(rule, str) else dict(rule) for name, rule in channels.items()
    }
    plain: dict[str, str] = {}
    for key, pattern in series.items():
        channel, _, name = key.rpartition(".")
        target = named.setdefault(channel, {}) if channel else plain
        target[name] = pattern
    if missing not in MISSING:
        raise OverreadError(f'images.missing is "{missing}"; expected "refuse" or "zeros".')
    for where, rule in (("images.series", plain), *((f"images.channels.{n}", r) for n, r in named.items())):
        _check(where, rule)
    if "file" in plain:
        raise OverreadError("images.series chooses among DICOM series, which have no field 'file'.", FILES_NEXT)
    for name, rule in named.items():
        if not name or not rule:
            raise OverreadError(f"images.channels.{name or '(no name)'} has no rule.", FILES_NEXT)
    return ImageRules(plain, named, missing, gaps, tilt)


def _check(where: str, rule: Rule) -> None:
    known = {**SERIES_FIELDS, "file": ""}
    for name, pattern in rule.items():
        if name not in known:
            raise OverreadError(f"{where}: there is no field '{name}'.", f"known fields are {', '.join(known)}")
        if not pattern.strip():
            raise OverreadError(f"{where}.{name} is empty.", "write a pattern; * stands for any text")
        is_ordered = pattern.strip().casefold() in RANKS or comparisons(pattern.lstrip("! ")) is not None
        if is_ordered and name not in NUMBERS and name != "volume":
            raise OverreadError(
                f"{where}.{name} is text, and '{pattern}' asks for a number.",
                f"numbers are {', '.join(sorted(NUMBERS))}; for text write a pattern with *",
            )


def in_words(rule: Rule) -> str:
    return ", ".join(f"{name} = '{pattern}'" for name, pattern in rule.items())
