"""What a structure or finding is called in SNOMED CT or RadLex: the user's own codes, a table of common ones, or a private code.

The table `codes.csv` holds names that people give their classes. Codes are those of DICOM PS3.16 context groups
(7151 to 7160, 7194, 6102 and others), which may be used in DICOM objects without a licence (PS3.16 8.1.1).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from overread.core.errors import OverreadError

TABLE = Path(__file__).with_name("codes.csv")
PRIVATE_SCHEME = "99OVERREAD"  # names without a standard code; private schemes begin with 99 (PS3.16 8)
MEANING_LENGTH = 64  # value representation LO (PS3.5 6.2)
VALUE_LENGTH = 16  # value representation SH
GIVEN = re.compile(r"(?P<scheme>[A-Z0-9_]{2,16})[\s:]+(?P<value>[A-Za-z0-9.\-]{1,16})[\s:]+(?P<meaning>\S.*)")
ABNORMAL = re.compile(r"lesion|tumou?r|mass|nodul|metasta|cancer|carcinom|cyst|neoplas|polyp|infarct|bleed|calcifi")


@dataclass(frozen=True)
class Code:
    """A coded concept: value and meaning in a coding scheme such as SCT (SNOMED CT) or RADLEX."""

    value: str
    scheme: str
    meaning: str


CATEGORIES = {  # PS3.16 CID 7150
    "structure": Code("123037004", "SCT", "Anatomical Structure"),
    "tissue": Code("85756007", "SCT", "Tissue"),
    "abnormality": Code("49755003", "SCT", "Morphologically Abnormal Structure"),
    "finding": Code("404684003", "SCT", "Clinical finding"),
    "object": Code("260787004", "SCT", "Physical object"),
}
SIDES = {"left": Code("7771000", "SCT", "Left"), "right": Code("24028007", "SCT", "Right")}  # PS3.16 CID 244


@dataclass(frozen=True)
class Concept:
    """A name with its codes.

    category  what kind of thing it is, one of `CATEGORIES`
    side      left or right where the name says so and the code does not
    """

    name: str
    code: Code
    category: str = "structure"
    side: Code | None = None

    @property
    def is_private(self) -> bool:
        """No standard code was found; the object says the name under a private code."""
        return self.code.scheme == PRIVATE_SCHEME

    @property
    def category_code(self) -> Code:
        return CATEGORIES[self.category]


def concept_of(name: str, given: Mapping[str, Code] | None = None, *, otherwise: str = "structure") -> Concept:
    """The concept of a class or structure: the code that was given for it, the table's, or a private one.

    otherwise  category of a name that neither the table nor a word in it explains
    """
    known, side = _in_table(name)
    category = "abnormality" if ABNORMAL.search(name.lower()) else otherwise
    if given and name in given:
        return Concept(name, given[name], known.category if known else category)
    if known:
        return Concept(name, known.code, known.category, side)
    value = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name.upper())[:VALUE_LENGTH]
    return Concept(name, Code(value or "UNNAMED", PRIVATE_SCHEME, name[:MEANING_LENGTH]), category)


def parse_code(text: str, name: str) -> Code:
    """``"SCT 10200004 Liver"`` or ``"RADLEX RID58 liver"``, as project.toml has it; refused where it is not three words."""
    match = GIVEN.fullmatch(text.strip())
    if not match or len(match["meaning"]) > MEANING_LENGTH:
        raise OverreadError(
            f'The code of "{name}" is "{text}"; expected a scheme, a value and a meaning, e.g. "SCT 10200004 Liver".',
            "correct the line under [codes] in project.toml",
        )
    return Code(match["value"], match["scheme"], match["meaning"])


def parse_codes(lines: Mapping[str, str]) -> dict[str, Code]:
    """Every line of the table [codes]: name of the class -> its code."""
    return {name: parse_code(text, name) for name, text in lines.items()}


def private_notes(concepts: Mapping[str, Concept]) -> tuple[str, ...]:
    """One sentence for the user on names that got a private code; empty where all have a standard one."""
    private = [name for name, concept in concepts.items() if concept.is_private]
    if not private:
        return ()
    listed = ", ".join(f"'{name}'" for name in private)
    return (f"no standard code is known for {listed}: written with a private code ({PRIVATE_SCHEME}); set one under [codes]",)


@cache
def table() -> dict[str, Concept]:
    """Normalised name -> concept, for every name in the table."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        _normal(name): Concept(name, Code(row["value"], row["scheme"], row["meaning"]), row["category"])
        for row in rows
        for name in row["names"].split(" | ")
    }


def _in_table(name: str) -> tuple[Concept | None, Code | None]:
    """The table's concept and the side that was taken off the name to find it."""
    words = _normal(name).split()
    found = _singular(words)
    if found:
        return found, None
    for side, code in SIDES.items():
        if words.count(side) == 1:
            return _singular([word for word in words if word != side]), code
    return None, None


def _singular(words: list[str]) -> Concept | None:
    text = " ".join(words)
    return table().get(text) or (table().get(text[:-1]) if text.endswith("s") else None)


def _normal(name: str) -> str:
    return " ".join(re.split(r"[\s_\-]+", name.lower().strip()))
