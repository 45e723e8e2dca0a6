"""Whether a study is answered: by the limits in the model file, as the model was frozen or as the user asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from overread.batches.prepare import Prepared
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.reading.model import Model
from overread.reading.refusal.concern import Verdict, in_words
from overread.reading.refusal.record import MODES

LOOKING = ("on", "warn")  # modes that need limits
UNLIKE = "unlike the training images: "
SWITCHED_OFF = "refusal is switched off: nobody looked whether this image is of the kind that the model was trained on"
OVERRULED = "would be refused, and is answered because refusal was set to warn: "
OLD = "the model file holds no limits (made by an earlier version, or frozen with refusal off): no image is refused by its kind"


@dataclass(frozen=True)
class Refusing:
    """How a reading refuses.

    mode   "on", "warn" or "off"; "none" where the model file has no limits
    asked  the mode that the user asked for; "" where the model's own holds
    """

    mode: str
    asked: str = ""

    @classmethod
    def of(cls, model: Model, asked: str | None) -> Refusing:
        if asked is not None and asked not in MODES:
            raise OverreadError(f"Refusal cannot be '{asked}'.", f"say one of {', '.join(MODES)}")
        if model.card.refusal is None:
            if asked in LOOKING:
                raise OverreadError(
                    f"Refusal cannot be '{asked}' for this model: {OLD}.",
                    "train the model again with this version and [reading] refusal on; or leave --refusal out and say so",
                )
            return cls("none", asked or "")
        return cls(asked or model.card.refusal.mode, asked or "")

    def look(self, model: Model, image: Image, prepared: Prepared) -> tuple[Verdict, str, tuple[str, ...]]:
        """(verdict, why there is no answer or "", warnings)."""
        if self.mode == "off":
            return Verdict(), "", (SWITCHED_OFF,)
        if model.guard is None:
            return Verdict(), "", ()
        verdict = model.guard.see(model.predictor, image, prepared)
        if verdict.is_refused and self.mode == "on":
            return verdict, verdict.reason, ()
        milder = [UNLIKE + concern.words for concern in verdict.concerns if not concern.is_refusal]
        overruled = [OVERRULED + in_words(verdict.refusals)] if verdict.is_refused else []
        return verdict, "", (*overruled, *milder)

    def as_dict(self, model: Model) -> dict[str, Any]:
        """What the record of the answers says of it."""
        refusal = model.card.refusal
        if refusal is None:
            return {"mode": self.mode, "asked": self.asked, "note": OLD}
        share = refusal.content.refused if refusal.content.are_known else None  # by its content, of patients like the tuning ones
        frozen = {"frozen_mode": refusal.mode, "expected_refused_share": share}
        other = f"the model was frozen with refusal {refusal.mode}; the user asked for {self.mode}"
        note = "" if self.mode == refusal.mode else other
        return {"mode": self.mode, "asked": self.asked, **frozen, "note": note, "limits": list(refusal.notes)}
