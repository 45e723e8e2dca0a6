"""Label randomisation: a network that learned nothing about the disease must not give the same map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from overread.explanation.methods.method import Method
from overread.explanation.trial.alike import HALF, KEPT, WHY_HALF, measured
from overread.explanation.trial.criterion import Bound, Measured, Tell
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.posed import Posed
from overread.explanation.trial.similarity import Likeness, likeness
from overread.reading.predictor import Predictor


@dataclass(frozen=True)
class LabelRandomisation:
    """The project's own training, with the truths dealt among the patients by chance.

    digest    names that model
    members   its networks; none where nobody asked for the training
    why_not   why there is none
    """

    digest: str = ""
    members: tuple[tuple[Predictor, float], ...] = ()
    why_not: str = "it needs a training of its own; ask for it with --labels"

    key: ClassVar[str] = "label_randomisation"
    title: ClassVar[str] = "Label randomisation"
    what: ClassVar[str] = "likeness kept by a training on shuffled truths"
    rule: ClassVar[str] = (
        f"{KEPT} Passed where the map of a network trained alike on truths that were dealt to the patients by chance keeps less "
        "than half, with the whole interval."
    )
    reason: ClassVar[str] = (
        f"Such a network knows images and no disease; what stays of a map is no sign of disease (Adebayo 2018). {WHY_HALF}"
    )
    bound: ClassVar[Bound] = Bound("below", HALF)
    version: ClassVar[int] = 1
    is_essential: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        return self.digest

    def refusal(self, method: Method, posed: Sequence[Posed]) -> str | None:
        return None if self.members else self.why_not

    def measure(self, maps: Maps, tell: Tell) -> Measured:
        found: list[Likeness | None] = []
        for number, each in enumerate(maps.posed):
            found.append(likeness(maps.of(number), each.with_models(self.members).map(maps.method)))
            tell(1 / len(maps.posed))
        return measured(maps, found, {})
