"""When is a text a number? One answer for sheets, for the rules that choose images, and for the columns of an audit."""

from __future__ import annotations

import math
import re

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")


def as_number(text: str, *, decimal_comma: bool = False) -> float | None:
    """The finite number that a text is as a whole, blanks around it aside; None for anything else, such as "5 mm" or "1_000".

    decimal_comma  "1,5" is a number too, as is "1.234,5": of the cells of a sheet, never of headers or patterns
    """
    text = text.strip()
    if NUMBER.fullmatch(text):
        value = float(text)
    elif decimal_comma and DECIMAL_COMMA.fullmatch(text):
        value = float(text.replace(".", "").replace(",", "."))
    else:
        return None
    return value if math.isfinite(value) else None
