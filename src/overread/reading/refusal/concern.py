"""What speaks against answering an image: a short code, a sentence, and whether it is enough to refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CODES = {
    "modality": "another modality",
    "body-part": "another body part",
    "view": "another view",
    "laterality": "another side of the body",
    "plane": "slices of another plane",
    "spacing": "another size of pixels or slices",
    "field-of-view": "another field of view",
    "missing-slices": "more interpolated slices",
    "header-unknown": "nothing in the header to tell it by",
    "far-from-training": "content far from the training images",
}


@dataclass(frozen=True)
class Concern:
    """One thing that speaks against answering.

    code        one of `CODES`, for tables and programs
    words       what the image has, and what the training cases had
    is_refusal  the image contradicts what the model was trained on; otherwise it is answered with a warning
    """

    code: str
    words: str
    is_refusal: bool


@dataclass(frozen=True)
class Verdict:
    """All concerns over one image.

    distance  how far its content lies from the training cases: above 1 it is refused; None where no limit is known
    """

    concerns: tuple[Concern, ...] = ()
    distance: float | None = None

    @property
    def refusals(self) -> tuple[Concern, ...]:
        return tuple(concern for concern in self.concerns if concern.is_refusal)

    @property
    def is_refused(self) -> bool:
        return bool(self.refusals)

    @property
    def code(self) -> str:
        """Of the gravest concern, the header before the content; "" where there is none."""
        gravest = self.refusals or self.concerns
        return gravest[0].code if gravest else ""

    @property
    def reason(self) -> str:
        """Why it is refused, in one sentence; "" where it is not."""
        return in_words(self.refusals)


def in_words(concerns: Sequence[Concern]) -> str:
    return "; ".join(concern.words for concern in concerns)
