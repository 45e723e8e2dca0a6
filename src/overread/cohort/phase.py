"""The contrast phase of a series, from the words that people write into its description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PHASES = (  # the first that is found counts: "late arterial" before "arterial", "without" before all
    ("native", r"native|nativ|non[ -]?con(trast)?|without( contrast)?|w/?o|plain|unenhanced|pre[ -]?con(trast)?|ohne( km)?|sans"),
    ("late arterial", r"(late|spät)[ -]?art(erial|eriell)?"),
    ("arterial", r"art(erial|eriell|erielle|eriel)?|angio"),
    ("venous", r"(portal[ -]?)?ven(ous|ös|öse|eux)?|portal|porto[ -]?ven(ous|ös)?|portovenous|portalvenös|pv|pvp"),
    ("nephrographic", r"nephro(graphic)?|nephrographisch"),
    ("excretory", r"excret(ory)?|urographic|uro"),
    ("delayed", r"delay(ed)?|late|equil(ibrium)?|spät|spat|del"),
)
FINDERS = tuple((name, re.compile(rf"(?<![^\W\d_])(?:{words})(?![^\W\d_])")) for name, words in PHASES)


def phase_of(attributes: Mapping[str, Any]) -> str:
    """The phase by name; "" where no word tells it.

    A phase that the file itself states counts before the description and the protocol.
    """
    if attributes.get("phase"):
        return str(attributes["phase"])
    for key in ("description", "protocol"):
        text = re.sub(r"[_.]+", " ", str(attributes.get(key) or "")).casefold()
        for name, finder in FINDERS:
            if finder.search(text):
                return name
    return ""
