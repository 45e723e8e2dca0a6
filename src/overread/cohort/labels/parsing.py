"""Label files are written by many hands: values are looked at before they are used, and a wrong one is named."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from overread.core.errors import Refused

LARGEST = 200 << 20  # bytes; parsed JSON takes several times as much memory
MOST_PIXELS = 1 << 28


def read_text(path: Path) -> str:
    """The whole of a label file."""
    try:
        if path.stat().st_size > LARGEST:
            what = f"{path.name} has {path.stat().st_size >> 20} MiB; label files of up to {LARGEST >> 20} MiB can be read."
            raise Refused("too-large", what, "split it into one file for each partition or batch")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise damaged(path.name, f"it is not text ({error.reason})") from error
    except OSError as error:
        raise Refused("unreadable", f"{path.name} cannot be opened: {error.strerror or error}.", "check the path") from error


def read_json_labels(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise damaged(path.name, f"it is not valid JSON ({error})") from error


def read_xml_labels(path: Path) -> ElementTree.Element:
    content = read_text(path)
    if "<!ENTITY" in content:
        raise damaged(path.name, "it declares entities, which label files do not need")
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise damaged(path.name, f"it is not valid XML ({error})") from error


def damaged(name: str, why: str) -> Refused:
    return Refused("damaged-labels", f"{name} cannot be used: {why}.", "export the labels again")


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise damaged(where, f"an object with named values was expected, not {shown(value)}")
    return value


def sequence(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise damaged(where, f"a list was expected, not {shown(value)}")
    return value


def need(values: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in values:
        raise damaged(where, f"'{key}' is missing")
    return values[key]


def real(value: Any, where: str) -> float:
    """A finite number, also where it was written as text."""
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise damaged(where, f"a number was expected, not {shown(value)}")
    return number


def whole(value: Any, where: str) -> int:
    number = real(value, where)
    if number != int(number) or abs(number) > 1 << 53:
        raise damaged(where, f"a whole number was expected, not {shown(value)}")
    return int(number)


def reals(value: Any, where: str) -> list[float]:
    return [real(v, where) for v in sequence(value, where)]


def word(value: Any, where: str) -> str:
    if not isinstance(value, (str, int, float)) or not str(value).strip():
        raise damaged(where, f"a name was expected, not {shown(value)}")
    return str(value).strip()


def picture_size(height: Any, width: Any, where: str) -> tuple[int, int]:
    """(Y, X), as long as such a picture can be held."""
    size = whole(height, where), whole(width, where)
    if min(size) < 1 or size[0] * size[1] > MOST_PIXELS:
        raise damaged(where, f"a picture of {size[1]} x {size[0]} pixels (width x height) was declared")
    return size


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
