"""Weight randomisation: a map of what a network learned must change when the network forgets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from overread.explanation.methods.method import Method
from overread.explanation.trial.alike import HALF, KEPT, WHY_HALF, measured
from overread.explanation.trial.criterion import Bound, Measured, Tell
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.posed import Posed
from overread.explanation.trial.randomise import layers_from_head, randomised
from overread.explanation.trial.similarity import Likeness, likeness, mean_likeness

STAGES = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of the layers, from the head down; the first is the head alone
DRAWS = 3  # of a network that is random throughout: one may resemble the trained one by chance
NO_QUESTION = "with random weights the network lists no such object any more, so that there is nothing to ask about"


@dataclass(frozen=True)
class WeightRandomisation:
    """Layers are replaced by chance from the head down; at the end nothing learned is left."""

    key: ClassVar[str] = "weight_randomisation"
    title: ClassVar[str] = "Weight randomisation"
    what: ClassVar[str] = "likeness kept when all weights are random"
    rule: ClassVar[str] = (
        f"{KEPT} Passed where the map of the same network with all its weights replaced by chance keeps less than half, with "
        "the whole interval."
    )
    reason: ClassVar[str] = (
        f"A map that stays when nothing learned is left shows the image, not the network (Adebayo 2018). {WHY_HALF}"
    )
    bound: ClassVar[Bound] = Bound("below", HALF)
    version: ClassVar[int] = 1
    is_essential: ClassVar[bool] = True

    @property
    def identity(self) -> str:
        return ""

    def refusal(self, method: Method, posed: Sequence[Posed]) -> str | None:
        return None

    def measure(self, maps: Maps, tell: Tell) -> Measured:
        voices, count = maps.posed[0].voices, len(maps.posed)
        layers = [layers_from_head(asked) for asked, _ in voices]
        stages = [*STAGES, *[1.0] * (DRAWS - 1)]
        found: list[list[Likeness | None]] = []
        for seed, share in enumerate(stages):
            lost = [each[: max(1, round(share * len(each)))] for each in layers]
            networks = [randomised(asked.network, some, seed) for (asked, _), some in zip(voices, lost, strict=True)]
            found.append([])
            for number, each in enumerate(maps.posed):
                other = each.with_networks(networks)
                found[-1].append(likeness(maps.of(number), other.map(maps.method)) if other.has_question() else None)
                tell(1 / (len(stages) * count))
        last = len(STAGES) - 1
        full = [mean_likeness([row[number] for row in found[last:]]) for number in range(count)]
        curve = [_stage(share, row, len(layers[0])) for share, row in zip(STAGES, [*found[:last], full], strict=True)]
        return measured(maps, full, {"cascade": curve, "layers": len(layers[0])}, NO_QUESTION)


def _stage(share: float, row: Sequence[Likeness | None], layers: int) -> dict[str, Any]:
    """A point of the cascade: how many layers are lost, and how alike the maps still are."""
    mean = mean_likeness(row)
    return {
        "layers": max(1, round(share * layers)),
        "ssim": None if mean is None else mean.ssim,
        "spearman": None if mean is None else mean.spearman,
    }
