"""Completeness: a map that claims to share out the whole score among the voxels must add up to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from overread.explanation.methods.integrated import IntegratedGradients
from overread.explanation.methods.method import Method
from overread.explanation.trial.criterion import Bound, Measured, Numbers, Tell
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.posed import Posed


@dataclass(frozen=True)
class Adding:
    """The sum of the map against the change of the score from the baseline to the image."""

    key: ClassVar[str] = "completeness"
    title: ClassVar[str] = "Completeness"
    what: ClassVar[str] = "what the sum of the map is off, as a share of the change of the score"
    rule: ClassVar[str] = (
        "Passed where the map's sum misses the change of the score by less than a twentieth, with the whole interval."
    )
    reason: ClassVar[str] = (
        "It is promised by the method, whatever the network (Sundararajan 2017, which asks for 5 %): where it does not hold, "
        "steps are too few."
    )
    bound: ClassVar[Bound] = Bound("below", 0.05)
    version: ClassVar[int] = 1
    is_essential: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        return ""

    def refusal(self, method: Method, posed: Sequence[Posed]) -> str | None:
        return None if isinstance(method, IntegratedGradients) else "the method does not promise it"

    def measure(self, maps: Maps, tell: Tell) -> Measured:
        assert isinstance(maps.method, IntegratedGradients)
        errors: Numbers = []
        for each in maps.posed:
            parts = [(maps.method.with_completeness(asked)[1], share) for asked, share in each.voices]
            change = abs(sum(share * part.difference for part, share in parts))
            off = abs(sum(share * (part.total - part.difference) for part, share in parts))
            errors.append(off / change if change else None)
            tell(1 / len(maps.posed))
        return Measured(errors, why="the score does not change from the baseline to the image")
