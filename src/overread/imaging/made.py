"""The mark of an image that a network made or changed: what is written into every file of it, and read from every file.

Two kinds are told apart. "synthetic" shows no patient: its content was made. "derived" shows a patient, and a network changed
what was measured: restored, or translated into another sequence. Either may train a network; neither may test one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from overread.core.errors import OverreadError

SYNTHETIC: Final = "synthetic"
DERIVED: Final = "derived"
WORDS = {SYNTHETIC: "SYNTHETIC IMAGE", DERIVED: "DERIVED BY A NETWORK"}
PHANTOM = "PHANTOM"
OF_PHANTOM = f"of a {PHANTOM}"
MARKED = re.compile(rf"({'|'.join(WORDS.values())})( {OF_PHANTOM})?", re.IGNORECASE)
SHORT_DIGEST = 12  # characters of a model's digest where there is little room
Kind = Literal["synthetic", "derived"]


@dataclass(frozen=True)
class SyntheticMark:
    """What an image says of its making.

    kind                   "synthetic" (made) or "derived" (a patient's image that was changed)
    made_by                what made it, without a patient's name: "vae of project chest, run first"
    model_digest           "sha256:..." of the model; "" where there is no model file
    reason_without_corner  why no word is drawn into the corner of a picture; "" draws it
    is_phantom             the network learned from a phantom, or changed the image of one
    """

    kind: Kind
    made_by: str
    model_digest: str
    reason_without_corner: str = ""
    is_phantom: bool = False

    def __post_init__(self) -> None:
        if self.kind not in WORDS:
            raise OverreadError(f"An image made by a network is {' or '.join(WORDS)}; got '{self.kind}'.")
        if not self.made_by.strip():
            raise OverreadError("The mark of an image names what made it; got nothing.", "name the network and its run")

    @property
    def words(self) -> str:
        """The words by which the mark is known again."""
        return f"{WORDS[self.kind]} {OF_PHANTOM}" if self.is_phantom else WORDS[self.kind]

    @property
    def sentence(self) -> str:
        model = f", model {self.model_digest}" if self.model_digest else ""
        return f"{self.words}: {self.made_by}{model}. Research only, not for diagnosis."

    def short(self, length: int, end: str = "") -> str:
        """The mark in at most `length` characters; `end` stands last. What made it is cut first."""
        model = f", model {self.model_digest.removeprefix('sha256:')[:SHORT_DIGEST]}" if self.model_digest else ""
        room = length - len(f"{self.words}: {model}{end}")
        return f"{self.words}: {self.made_by[: max(room, 0)]}{model}{end}"


@dataclass(frozen=True)
class Made:
    """What a mark that was found in a file says: "synthetic" or "derived", and whether of a phantom."""

    kind: str
    is_phantom: bool = False

    @property
    def words(self) -> str:
        return f"{WORDS[self.kind]} {OF_PHANTOM}" if self.is_phantom else WORDS[self.kind]


def made_in(texts: Iterable[str]) -> Made | None:
    """The mark in free text of a file; None where there is none. A made image stays one if any text says so."""
    found = [match for text in texts for match in MARKED.finditer(text)]
    if not found:
        return None
    kinds = {match[1].upper() for match in found}
    return Made(SYNTHETIC if WORDS[SYNTHETIC] in kinds else DERIVED, any(match[2] for match in found))


def kept_words(text: str) -> str:
    """What a file must go on saying when all else that it says is taken away: the mark, or that it is a phantom; else ""."""
    made = made_in([text])
    if made is not None:
        return made.words
    return PHANTOM if PHANTOM in text.upper() else ""
