"""What a model file says of refusal: rules of the header, limits of the content, and what they rest on. No arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from overread.core.errors import OverreadError
from overread.reading.refusal.header import HeaderRules

MODES = ("on", "warn", "off")


class LimitsUnread(OverreadError):
    """What a model file says of refusal is not what this version expects; nothing is wrong with its weights."""

    @classmethod
    def because(cls, why: str) -> LimitsUnread:
        what = f"its limits of refusal cannot be read: {why}; the weights are whole, but another version of Overread wrote it."
        return cls(what, "update Overread, then try again; or train the model again with this version")


@dataclass(frozen=True)
class Part:
    """One way of measuring how far an image lies from training: "features" of the network, or "appearance".

    middle, spread  of the logarithm of the distance, over the tuning cases: median, and how far from it the farthest tenth
                    begins, as a standard deviation
    warn, refuse    limits, in spreads beyond the median; None where there were too few patients for any
    """

    name: str
    middle: float
    spread: float
    warn: float | None = None
    refuse: float | None = None


@dataclass(frozen=True)
class Limits:
    """From where on the content of an image is warned of or refused.

    parts            an image beyond the limit of any of them is refused
    warned, refused  shares of new patients like the tuning patients that are expected beyond the limits of all parts together,
                     at most
    is_reached       the tuning patients are enough for these shares; otherwise the limits of refusal lie beyond the farthest of
                     them
    patients         tuning patients that the limits were fitted on, each counting once
    """

    parts: tuple[Part, ...]
    warned: float
    refused: float
    is_reached: bool
    patients: int

    @property
    def are_known(self) -> bool:
        return any(part.refuse is not None for part in self.parts)


@dataclass(frozen=True)
class Refusal:
    """When a model refuses an image, and when it warns.

    mode      "on", or "warn": nothing is refused, what would be is answered with a warning
    cases     numbers of cases that it rests on, by partition
    notes     what has to be known of the limits
    """

    mode: str
    header: HeaderRules
    content: Limits
    cases: Mapping[str, int]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        content = {**asdict(self.content), "parts": [asdict(part) for part in self.content.parts]}
        header = self.header.as_dict()
        return {
            "mode": self.mode,
            "header": header,
            "content": content,
            "cases": dict(self.cases),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Refusal:
        """Anything unexpected is `LimitsUnread`: a limit that is passed over would refuse nothing."""
        try:
            if values["mode"] not in MODES:
                raise LimitsUnread.because(f"mode is '{values['mode']}'; expected one of {', '.join(MODES)}")
            content = {**values["content"], "parts": tuple(Part(**part) for part in values["content"]["parts"])}
            header = HeaderRules.from_dict(values["header"])
            return cls(values["mode"], header, Limits(**content), dict(values["cases"]), tuple(values["notes"]))
        except KeyError as error:
            raise LimitsUnread.because(f"there is no '{error.args[0]}'") from error
        except (AttributeError, IndexError, TypeError) as error:
            raise LimitsUnread.because(str(error)) from error
