"""Deletion and insertion: what a map points at must matter to the network more than parts chosen by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from overread.explanation.methods.method import Method
from overread.explanation.trial.criterion import Bound, Measured, Numbers, Tell
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.orders import ORDERS, STEPS, Orders, is_answered
from overread.explanation.trial.posed import Posed

NOBODY = "the network answers none of these cases with what is asked about"
ABOUT = (
    f"The image is divided into tiles; the tiles are {{done}} in the order of the map in {STEPS} steps. Measured is the area "
    f"under the curve of the answer, less its mean over {ORDERS} random orders of the same tiles."
)
REASON = "An order by chance is what a map without any knowledge of the network comes to (Petsiuk 2018)."


@dataclass(frozen=True)
class _ByTiles:
    """What both criteria measure; `key` is the way the tiles go."""

    orders: Orders = field(default_factory=Orders, compare=False)

    key: ClassVar[str]
    what: ClassVar[str] = "area under the curve, less that of random orders"
    reason: ClassVar[str] = REASON
    version: ClassVar[int] = 1
    is_essential: ClassVar[bool] = True

    @property
    def identity(self) -> str:
        return ""

    def refusal(self, method: Method, posed: Sequence[Posed]) -> str | None:
        return None

    def measure(self, maps: Maps, tell: Tell) -> Measured:
        return Measured(_gains(self.orders, self.key, maps, tell), why=NOBODY)


@dataclass(frozen=True)
class Deletion(_ByTiles):
    """Tiles are taken away in the order of the map: the answer must fall faster than in a random order."""

    key: ClassVar[str] = "deletion"
    title: ClassVar[str] = "Deletion"
    rule: ClassVar[str] = ABOUT.format(done="set to the mean intensity") + " Passed where the whole interval lies below 0."
    bound: ClassVar[Bound] = Bound("below", 0.0)


@dataclass(frozen=True)
class Insertion(_ByTiles):
    """Tiles are brought into a blurred image in the order of the map: the answer must rise faster than in a random order."""

    key: ClassVar[str] = "insertion"
    title: ClassVar[str] = "Insertion"
    rule: ClassVar[str] = ABOUT.format(done="brought into a blurred image") + " Passed where the whole interval lies above 0."
    bound: ClassVar[Bound] = Bound("above", 0.0)


def _gains(orders: Orders, way: str, maps: Maps, tell: Tell) -> Numbers:
    gains: Numbers = []
    for number, each in enumerate(maps.posed):
        gains.append(orders.gain(way, each, maps.of(number)) if is_answered(each) else None)
        tell(1 / len(maps.posed))
    return gains
