"""Look-up tables: a list of outputs, the first for a given stored value and for all below it, the last for all above.

Source: DICOM PS3.3 C.11.1.1 (modality LUT) and C.11.2.1.1 (VOI LUT).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from overread.core.errors import Refused
from overread.imaging.dicom.values import floats, text


@dataclass(frozen=True, slots=True)
class LookUp:
    """A table.

    first   the value that gets the first entry
    table   (N,) uint8 or uint16
    bits    of an entry
    name    what the file calls the table
    """

    first: int
    table: np.ndarray
    bits: int
    name: str = ""

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values of any shape to entries of the table."""
        places = np.clip(np.rint(values).astype(np.int64) - self.first, 0, len(self.table) - 1)
        return self.table[places]

    @property
    def highest(self) -> int:
        return (1 << self.bits) - 1


def read_look_up(item: Dataset, is_signed: bool, is_big: bool, where: str) -> LookUp:
    """The table of a sequence item.

    is_signed  the values looked up may be negative
    where      file and sequence, for messages
    """
    described = floats(item, "LUTDescriptor", 3) or _descriptor(item, is_big)
    if described is None:
        raise _broken(where, "its descriptor (0028,3002) does not hold three numbers")
    count, first, bits = (int(v) for v in described)
    count = count % 65536 or 65536  # 0 stands for 65,536; read as signed, larger counts are negative
    if is_signed and first > 32767:
        first -= 65536
    elif not is_signed and first < 0:
        first += 65536
    if not 1 <= bits <= 16:
        raise _broken(where, f"its entries have {bits} bits; expected 8 to 16")
    table = _entries(item, count, bits, is_big)
    if len(table) < count:
        raise _broken(where, f"it holds {len(table)} entries; expected {count}")
    return LookUp(first, table[:count], bits, text(item, "LUTExplanation"))


def _descriptor(item: Dataset, is_big: bool) -> tuple[float, ...] | None:
    held = item.get("LUTDescriptor")
    if not isinstance(held, bytes) or len(held) != 6:
        return None
    return tuple(float(v) for v in np.frombuffer(held, ">u2" if is_big else "<u2"))


def _entries(item: Dataset, count: int, bits: int, is_big: bool) -> np.ndarray:
    held = item.get("LUTData")
    if isinstance(held, bytes):
        if bits <= 8 and len(held) < 2 * count:  # 8 bits, two in a word
            return np.frombuffer(held, np.uint8)
        return np.frombuffer(held[: len(held) // 2 * 2], ">u2" if is_big else "<u2").astype(np.uint16)
    numbers = floats(item, "LUTData") or ()
    return (np.array(numbers, np.int64) & 0xFFFF).astype(np.uint16)


def _broken(where: str, what: str) -> Refused:
    return Refused("look-up-table", f"{where}: {what}.", "fetch the file again, or export it with a rescale slope")
