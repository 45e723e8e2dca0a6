"""A DICOM series, film or enhanced file as an Image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.slices import NUMBERS
from overread.imaging.dicom.colour import COLOURS, is_colour, refuse_other_colours
from overread.imaging.dicom.decoding import decode_all, decode_colour
from overread.imaging.dicom.header import Header, read_header
from overread.imaging.dicom.overlay import told
from overread.imaging.dicom.pixels import FrameSlot, PixelFile, refuse_unreadable
from overread.imaging.dicom.repair import repair
from overread.imaging.dicom.rescale import real_values
from overread.imaging.dicom.series import (
    VOLUMES,
    choose_volume,
    frames_fault,
    is_slice,
    not_an_image,
    plane_name,
    series_name,
    stack_of,
)
from overread.imaging.dicom.stack import find_fault, repairable
from overread.imaging.dicom.voi import display_of
from overread.imaging.finite import refuse_not_finite

# Descriptive values that may leave the imaging room; none of them names a person, a place or a date.
PUBLIC_TEXT = (
    "body_part vendor model kernel thickness_mm laterality view patient_sex patient_age species burned_in "
    "field_strength_t kvp echo_time_ms repetition_time_ms made"
)
PUBLIC = tuple(PUBLIC_TEXT.split())


def open_dicom(files: Sequence[Path], index: int | None = None, gaps: str = "refuse", tilt: str = "refuse") -> Image:
    """The files of one series, or one film or multi-frame file, as an image.

    index       frame of a multi-frame file, which then is a planar image; volume of files that hold several
    gaps, tilt  "refuse", or "resample" to repair missing slices or a tilted gantry; the source says what was done
    returns     array (C, Z, Y, X): integers where the rescale is whole (CT stays int16), else float32;
                units HU for CT, SUV (by body weight) for PET, the coded unit of a real-world value map, else a.u.;
                source ``notes`` say what was done to the values, ``windows`` and ``voi_lut`` how the file shows them
    """
    for setting, value in (("gaps", gaps), ("tilt", tilt)):
        if value not in ("refuse", "resample"):
            raise OverreadError(f'images.{setting} is "{value}"; expected "refuse" or "resample".')
    if not files:
        raise Refused("missing-file", "There is no DICOM file to open.", "check the path, or scan the folder again")
    headers = [read_header(Path(path)) for path in files]
    return open_headers(headers, index, gaps, tilt)


def open_headers(headers: Sequence[Header], index: int | None = None, gaps: str = "refuse", tilt: str = "refuse") -> Image:
    """As `open_dicom`, from headers that were read already."""
    name = series_name(headers)
    _refuse_without_pixels(headers, name)
    headers, index = choose_volume(headers, index, name)
    if index is not None or not _is_volume(headers):
        return _open_film(headers, index, name)
    return _open_volume(headers, gaps, tilt, name)


def _is_volume(headers: Sequence[Header]) -> bool:
    first = headers[0]
    if first.frames > 1:
        return bool(first.planes)
    return is_slice(first)


def _refuse_without_pixels(headers: Sequence[Header], name: str) -> None:
    for header in headers:
        other = not_an_image(header)
        if other:
            raise Refused("not-an-image", f"{name}: {header.name} is {other[1]}.", "give the images that it refers to")
        if not header.has_pixels:
            raise Refused("no-pixels", f"{name}: {header.name} has no pixels.", "fetch the file again")
        refuse_other_colours(header)
    if len({is_colour(header) for header in headers}) > 1:
        raise Refused("mixed-colour", f"{name} mixes grey and colour images.", "separate them, or choose another series")
    turned = {header.photometric == "MONOCHROME1" for header in headers}
    if len(turned) > 1:
        what = f"{name} mixes MONOCHROME1 and MONOCHROME2: low values are bright in some of its slices and dark in others."
        raise Refused("mixed-photometric", what, "separate them, or choose another series")


def _open_volume(headers: Sequence[Header], gaps: str, tilt: str, name: str) -> Image:
    stack = stack_of(headers, name)
    fault = find_fault(stack, name, gaps, tilt)
    if fault:
        raise fault
    files = {header.path: PixelFile(header) for header in headers}
    slots = [
        FrameSlot(files[header.path], plane.frame if header.frames > 1 else 0, plane)
        for header in headers
        for plane in header.planes
    ]
    array, units, about = _values([slots[k] for k in stack.order], name, is_film=False)
    grid = stack.grid()
    interpolated: tuple[int, ...] = ()
    source = source_of(headers[0]) | {"plane": plane_name(stack.axes[0])} | about
    if repairable(stack, name):
        repaired = repair(array, stack, fix_gaps=gaps == "resample", fix_tilt=tilt == "resample", name=name)
        array, grid = repaired.array, repaired.grid
        interpolated = repaired.interpolated
        source |= {"repairs": list(repaired.repairs), "interpolated_slices": list(interpolated)}
    source |= _numbers([slots[k] for k in stack.order], grid.shape[0], interpolated)
    return _image(array, grid, units, source, name)


def _numbers(slots: Sequence[FrameSlot], count: int, interpolated: Sequence[int]) -> dict[str, Any]:
    """How the series counts its slices: (0020,0013) Instance Number, or the frame; nothing where that tells none apart.

    count  of slices in the volume, those interpolated among them, which have no number
    """
    numbers = [slot.frame + 1 if slot.header.frames > 1 else slot.header.instance for slot in slots]
    if len(set(numbers)) < len(numbers) or len(numbers) + len(interpolated) != count:
        return {}
    acquired = iter(numbers)
    return {NUMBERS: tuple(None if k in interpolated else next(acquired) for k in range(count))}


def _open_film(headers: Sequence[Header], index: int | None, name: str) -> Image:
    first = headers[0]
    if len(headers) > 1:
        what = f"{name} are {len(headers)} separate films; expected one."
        raise Refused("several-films", what, "open them one by one; each is an image of its own")
    if index is None and first.frames > 1:
        raise frames_fault(first, name)
    if index is not None and not 0 <= index < first.frames:
        raise Refused("no-such-frame", f"{name} has {first.frames} frames; there is no frame {index}.")
    plane = next((p for p in first.planes if p.frame == index), None) if first.frames > 1 else None
    array, units, about = _values([FrameSlot(PixelFile(first), index or 0, plane)], name, is_film=first.modality not in VOLUMES)
    spacing = first.pixel_spacing or (plane.spacing if plane else None)
    grid = Grid.from_spacing(
        (1, first.rows, first.columns), (1.0, *(spacing or (1.0, 1.0))), spacing_known=spacing is not None, is_planar=True
    )
    if first.spacing_at == "detector":
        about["notes"] = [*about.get("notes", []), "spacing as at the detector; in the patient it is smaller"]
    return _image(array, grid, units, source_of(first) | about, name)


def _values(slots: Sequence[FrameSlot], name: str, is_film: bool) -> tuple[np.ndarray, str, dict[str, Any]]:
    """(C, N, Y, X), units, and what the source says of the values: every frame decoded, then made real frame by frame."""
    files = list(dict.fromkeys(slot.file for slot in slots))
    for file in files:
        refuse_unreadable(file)
    notes = list(told(files))
    first = slots[0].header
    if is_colour(first):
        return decode_colour(slots), "a.u.", {"notes": notes} if notes else {}
    is_dark_bright = first.photometric == "MONOCHROME1"
    is_inverted = is_dark_bright and is_film  # a volume's values mean something; it is only shown inverted
    values = real_values(slots, decode_all(slots), is_inverted, name)
    about: dict[str, Any] = display_of(slots, values.shown)
    if is_dark_bright and not is_inverted:
        about["shown_inverted"] = True
    if not first.photometric:
        notes.append("no photometric interpretation; taken as MONOCHROME2")
    if values.notes or notes:
        about["notes"] = [*values.notes, *notes]
    return values.array[None], values.units, about


def _image(array: np.ndarray, grid: Grid, units: str, source: dict[str, Any], name: str) -> Image:
    refuse_not_finite(array, name)
    return Image(array, grid, units, COLOURS if array.shape[0] == 3 else ("image",), source)


def source_of(header: Header) -> dict[str, Any]:
    """What may be known of the origin: descriptive values, no name, number, date or path."""
    about = {key: header.about[key] for key in PUBLIC if key in header.about}
    return {"format": "dicom", "modality": header.modality, "is_simulated": header.is_simulated, **about}
