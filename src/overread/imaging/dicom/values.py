"""Tag values as plain Python values; None or empty where a tag is missing or makes no sense."""

from __future__ import annotations

import math
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from overread.core.errors import Refused


def text(tags: Dataset, keyword: str) -> str:
    """The value as one stripped string; several values are joined by a backslash, as DICOM writes them."""
    value = _value(tags, keyword)
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return "\\".join(str(v).strip() for v in value)
    return str(value).strip().strip("\0")


def words(tags: Dataset, keyword: str) -> tuple[str, ...]:
    value = text(tags, keyword)
    return tuple(value.split("\\")) if value else ()


def number(tags: Dataset, keyword: str) -> float | None:
    """The first value as a finite number."""
    values = floats(tags, keyword)
    return values[0] if values else None


def floats(tags: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """All values as finite numbers; None where one is not, or where there are not `count`."""
    value = _value(tags, keyword)
    if value is None or value == "":
        return None
    several = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
    try:
        numbers = tuple(float(v) for v in several)
    except (TypeError, ValueError):
        return None
    if not numbers or not all(math.isfinite(n) for n in numbers):
        return None
    return numbers if count is None or len(numbers) == count else None


def items(tags: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence, none where it is missing; refused where something else stands in its place."""
    try:
        value = tags.get(keyword)
    except Exception as error:  # as in `_value`; but what a sequence says must not be overlooked
        raise _damaged(keyword, f"{type(error).__name__} {error}") from error
    if isinstance(value, Sequence):
        return list(value)
    if value:
        raise _damaged(keyword, f"it holds {type(value).__name__}, not items")
    return []


def _damaged(keyword: str, why: str) -> Refused:
    return Refused("unreadable", f"The sequence {keyword} is damaged: {why}.", "fetch the file again")


def _value(tags: Dataset, keyword: str) -> Any:
    try:
        return tags.get(keyword)
    except Exception:  # pydicom converts on access, and a damaged value can fail in any way; a value that is not there
        return None
