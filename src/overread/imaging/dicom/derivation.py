"""How an image came from others, in DICOM's words: codes and a sentence that say that a network made or changed it.

The codes count, since de-identification takes free text away (PS3.15 table E.1-1, Derivation Description). CID 7203 (Image
Derivation) may be extended and has no code for a network, so they are private ones. Source: DICOM PS3.3 C.7.6.1.
"""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from overread.imaging.dicom.codes import PRIVATE_SCHEME, Code
from overread.imaging.dicom.values import items, text
from overread.imaging.made import DERIVED, SYNTHETIC, Made, SyntheticMark, made_in

CODES = {
    SYNTHETIC: Code("SYNTHETIC_IMAGE", PRIVATE_SCHEME, "Synthetic image made by a network"),
    DERIVED: Code("NETWORK_DERIVED", PRIVATE_SCHEME, "Image changed by a network"),
}
OF_PHANTOM = Code("OF_A_PHANTOM", PRIVATE_SCHEME, "Of a phantom, not of a patient")
LONGEST = 1024  # characters; value representation ST


def say_made(tags: Dataset, mark: SyntheticMark) -> None:
    """Derivation Description (0008,2111) and Derivation Code Sequence (0008,9215)."""
    tags.DerivationDescription = mark.sentence[:LONGEST]
    tags.DerivationCodeSequence = [code_item(code) for code in (CODES[mark.kind], *([OF_PHANTOM] if mark.is_phantom else []))]


def made_of(tags: Any) -> Made | None:
    """The mark of a file; None where it has none.

    tags  a dataset, or the header's own tags
    """
    values = {text(item, "CodeValue") for item in _own(tags)}
    kinds = [kind for kind, code in CODES.items() if code.value in values]
    if kinds:
        return Made(kinds[0], OF_PHANTOM.value in values)
    return made_in([text(tags, "DerivationDescription")])


def _own(tags: Any) -> list[Any]:
    return [item for item in items(tags, "DerivationCodeSequence") if text(item, "CodingSchemeDesignator") == PRIVATE_SCHEME]


def code_item(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item
