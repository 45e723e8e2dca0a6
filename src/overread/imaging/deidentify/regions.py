"""Regions to be blackened: a JSON file of rules, and the blackening.

    {"format": 1, "regions": [
      {"series": "2.25.123", "boxes": [[0, 0, 40, 512]]},
      {"modality": "US", "model": "LOGIQE9", "rows": 720, "columns": 960, "boxes": [[0, 0, 60, 960]]}]}

A rule fits an image when all it names fits: instance, series, study (old UID or new one), patient (new ID), modality,
manufacturer, model, rows, columns. A box is [y0, x0, y1, x1] in pixels; the ends are not inside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian

from overread.core.errors import OverreadError, Refused
from overread.imaging.deidentify.burned_in import Box

FORMAT = 1
TAG_RULES = {
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "rows": "Rows",
    "columns": "Columns",
}
UID_RULES = ("instance", "series", "study", "patient")
DARKEST_FIRST = "MONOCHROME1"


@dataclass(frozen=True)
class Rule:
    """Boxes for the images that fit `where`."""

    where: tuple[tuple[str, str], ...]
    boxes: tuple[Box, ...]

    def fits(self, facts: Mapping[str, Sequence[str]]) -> bool:
        return all(value in facts.get(name, ()) for name, value in self.where)


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Rules from a JSON file; a faulty one is named by its place."""
    expected = 'expected {"format": 1, "regions": [{"modality": "US", "boxes": [[y0, x0, y1, x1]]}]}'
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
        entries = value["regions"]
        if value["format"] != FORMAT or not isinstance(entries, list):
            raise ValueError("another format")
    except OSError as error:
        raise OverreadError(f"{path} cannot be read: {error.strerror}.", "give the path of the file with regions") from error
    except (ValueError, KeyError, TypeError) as error:
        raise OverreadError(f"{path} is no file with regions; {expected}.", "see docs/how-to/deidentify.md") from error
    return tuple(_rule(entry, f"{path}, region {k + 1}") for k, entry in enumerate(entries))


def _rule(entry: Any, place: str) -> Rule:
    allowed = {*TAG_RULES, *UID_RULES, "boxes"}
    if not isinstance(entry, dict) or not entry.get("boxes") or len(entry) < 2 or entry.keys() - allowed:
        raise OverreadError(f"{place}: expected 'boxes' and at least one of {', '.join(sorted(allowed - {'boxes'}))}.")
    boxes = []
    for box in entry["boxes"]:
        is_box = isinstance(box, list) and len(box) == 4 and all(type(v) is int and v >= 0 for v in box)
        if not is_box or box[0] >= box[2] or box[1] >= box[3]:
            raise OverreadError(f"{place}: the box {box} is not [y0, x0, y1, x1] with y0 < y1 and x0 < x1.")
        boxes.append((box[0], box[1], box[2], box[3]))
    return Rule(tuple((name, str(value)) for name, value in entry.items() if name != "boxes"), tuple(boxes))


def facts_of(tags: Dataset) -> dict[str, tuple[str, ...]]:
    """What rules can ask of the tags; UIDs, old and new, are added by the caller."""
    return {name: (str(tags.get(keyword, "")).strip(),) for name, keyword in TAG_RULES.items()}


def blacken(tags: Dataset, boxes: Sequence[Box], name: str) -> None:
    """Overwrite boxes in every frame; compressed pixels are decoded and stay uncompressed. Other bits do not change."""
    if "PixelData" not in tags or int(tags.BitsAllocated) not in (8, 16, 32):
        raise Refused("not-maskable", f"{name} has no pixels that can be masked.", "take its region out of the file with regions")
    uncompressed(tags, name)
    frames = _as_frames(tags)
    for y0, x0, y1, x1 in boxes:
        if y1 > frames.shape[1] or x1 > frames.shape[2]:
            size = f"{frames.shape[1]} x {frames.shape[2]}"
            raise Refused(
                "region-outside", f"The box [{y0}, {x0}, {y1}, {x1}] leaves {name}, which is {size}.", "correct the box"
            )
        frames[:, y0:y1, x0:x1] = _black(tags, frames)
    tags.PixelData = _as_bytes(tags, frames)


def clear_embedded_overlays(tags: Dataset, name: str) -> bool:
    """Overlays kept in unused bits of the pixels (retired, PS3.3 C.9.2): those bits become 0. True where there were any."""
    stored = int(tags.get("BitsStored", 0) or 0)
    positions = [tags[0x60000102 + (group << 17)].value for group in range(16) if 0x60000102 + (group << 17) in tags]
    if "PixelData" not in tags or not any(position and int(position) >= stored for position in positions):
        return False
    uncompressed(tags, name)
    frames = _as_frames(tags).copy()
    unsigned = frames.view(frames.dtype.str.replace("i", "u"))
    unsigned &= (1 << stored) - 1
    if int(tags.PixelRepresentation):
        shift = 8 * frames.dtype.itemsize - stored
        frames[:] = (frames << shift) >> shift
    tags.PixelData = _as_bytes(tags, frames)
    return True


def uncompressed(tags: Dataset, name: str) -> None:
    """Decode compressed pixels in place."""
    if not UID(tags.file_meta.TransferSyntaxUID).is_compressed or not UID(tags.file_meta.TransferSyntaxUID).is_encapsulated:
        return
    try:
        tags.decompress(generate_instance_uid=False)
    except (RuntimeError, ValueError, AttributeError, NotImplementedError, OSError) as error:
        raise Refused(
            "undecodable", f"{name} cannot be masked, since its pixels cannot be decoded: {error}", "overread doctor"
        ) from error


def _as_frames(tags: Dataset) -> np.ndarray:
    """(frames, Y, X) or (frames, Y, X, samples) as stored, a copy that can be written to."""
    kind = "i" if int(tags.PixelRepresentation) else "u"
    order = ">" if tags.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    samples, rows, columns = int(tags.get("SamplesPerPixel", 1)), int(tags.Rows), int(tags.Columns)
    frames = int(tags.get("NumberOfFrames", 1) or 1)
    values = np.frombuffer(tags.PixelData, f"{order}{kind}{int(tags.BitsAllocated) // 8}")[
        : frames * rows * columns * samples
    ].copy()
    if samples == 1:
        return values.reshape(frames, rows, columns)
    if int(tags.get("PlanarConfiguration", 0)):
        return values.reshape(frames, samples, rows, columns).transpose(0, 2, 3, 1)
    return values.reshape(frames, rows, columns, samples)


def _as_bytes(tags: Dataset, frames: np.ndarray) -> bytes:
    if frames.ndim == 4 and int(tags.get("PlanarConfiguration", 0)):
        frames = frames.transpose(0, 3, 1, 2)
    content = np.ascontiguousarray(frames).tobytes()
    return content + b"\0" * (len(content) % 2)


def _black(tags: Dataset, frames: np.ndarray) -> Any:
    """The stored value that is shown darkest in this image."""
    photometric = str(tags.get("PhotometricInterpretation", ""))
    if photometric == "PALETTE COLOR":
        return _darkest_entry(tags)
    if photometric.startswith("YBR"):
        return np.array([0, 128, 128], frames.dtype)
    if frames.ndim == 4:
        return 0
    return frames.max() if photometric == DARKEST_FIRST else frames.min()


def _darkest_entry(tags: Dataset) -> int:
    tables = [
        np.frombuffer(tags[f"{colour}PaletteColorLookupTableData"].value, "<u2")
        for colour in ("Red", "Green", "Blue")
        if f"{colour}PaletteColorLookupTableData" in tags
    ]
    first = int(tags.RedPaletteColorLookupTableDescriptor[1]) if tables else 0
    return first + int(np.argmin(sum(table.astype(np.int64) for table in tables))) if tables else 0
