"""A DICOM series, film or enhanced file as an Image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.dicom.header import Header, read_header
from overread.imaging.dicom.pixels import (
    has_plain_integers,
    inverted,
    is_colour,
    rescaled,
    stored_frame,
    through_modality_lut,
)
from overread.imaging.dicom.repair import repair
from overread.imaging.dicom.series import VOLUMES, frames_fault, is_slice, not_an_image, plane_name, series_name, stack_of
from overread.imaging.dicom.stack import find_fault, repairable
from overread.imaging.finite import refuse_not_finite

COLOURS = ("red", "green", "blue")
# Descriptive values that may leave the imaging room; none of them names a person, a place or a date.
PUBLIC_TEXT = (
    "body_part vendor model kernel thickness_mm laterality view patient_sex patient_age species burned_in "
    "field_strength_t kvp echo_time_ms repetition_time_ms window"
)
PUBLIC = tuple(PUBLIC_TEXT.split())


def open_dicom(files: Sequence[Path], index: int | None = None, gaps: str = "refuse", tilt: str = "refuse") -> Image:
    """The files of one series, or one film or multi-frame file, as an image.

    index       frame of a multi-frame file, which then is a planar image
    gaps, tilt  "refuse", or "resample" to repair missing slices or a tilted gantry; the source says what was done
    returns     array (C, Z, Y, X): integers where the rescale is whole (CT stays int16), else float32;
                units HU for CT, else a.u.
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
    first = headers[0]
    if index is not None or not _is_volume(headers):
        return _open_film(headers, index, name)
    return _open_volume(headers, first, gaps, tilt, name)


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
    if len({is_colour(header) for header in headers}) > 1:
        raise Refused("mixed-colour", f"{name} mixes grey and colour images.", "separate them, or choose another series")


def _open_volume(headers: Sequence[Header], first: Header, gaps: str, tilt: str, name: str) -> Image:
    stack = stack_of(headers, name)
    fault = find_fault(stack, name, gaps, tilt)
    if fault:
        raise fault
    places = [(header, frame if header.frames > 1 else None) for header in headers for frame in range(len(header.planes))]
    ordered = [places[k] for k in stack.order]
    array, units = _values(ordered)
    notes: list[str] = []
    grid, interpolated = stack.grid(), ()
    faults = repairable(stack, name)
    if faults:
        repaired = repair(array, stack, fix_gaps=gaps == "resample", fix_tilt=tilt == "resample", name=name)
        array, grid, interpolated = repaired.array, repaired.grid, repaired.interpolated  # type: ignore[assignment]
        notes += repaired.repairs
    source = source_of(first) | {"plane": plane_name(stack.axes[0])}
    if notes:
        source |= {"repairs": notes, "interpolated_slices": list(interpolated)}
    refuse_not_finite(array, name)
    return Image(array, grid, units, _channels(array), source)


def _open_film(headers: Sequence[Header], index: int | None, name: str) -> Image:
    first = headers[0]
    if len(headers) > 1:
        what = f"{name} are {len(headers)} separate films; expected one."
        raise Refused("several-films", what, "open them one by one; each is an image of its own")
    if index is None and first.frames > 1:
        raise frames_fault(first, name)
    if index is not None and not 0 <= index < first.frames:
        raise Refused("no-such-frame", f"{name} has {first.frames} frames; there is no frame {index}.")
    is_inverted = first.photometric == "MONOCHROME1" and first.modality not in VOLUMES
    array, units = _values([(first, index if first.frames > 1 else None)], is_inverted)
    spacing = first.pixel_spacing or (1.0, 1.0)
    grid = Grid.from_spacing(
        (1, first.rows, first.columns), (1.0, *spacing), spacing_known=first.pixel_spacing is not None, is_planar=True
    )
    source = source_of(first)
    if is_inverted:
        source["notes"] = ["MONOCHROME1 inverted, so that bright means dense"]
    if first.spacing_at == "detector":
        source["notes"] = [*source.get("notes", []), "spacing as at the detector; in the patient it is smaller"]
    refuse_not_finite(array, name)
    return Image(array, grid, units, _channels(array), source)


def _values(places: Sequence[tuple[Header, int | None]], is_inverted: bool = False) -> tuple[np.ndarray, str]:
    """(C, N, Y, X) and units: every frame decoded into one array, then rescaled frame by frame."""
    first = places[0][0]
    if is_colour(first):
        frames = [stored_frame(header, frame) for header, frame in places]
        return np.moveaxis(np.stack(frames), -1, 0), "a.u."
    stored = _decode_all(places, is_inverted)
    slopes, intercepts = _rescale(places)
    headers = [header for header, _ in places]
    if any(header.has_modality_lut for header in headers):
        looked_up = [through_modality_lut(stored[k], header) for k, header in enumerate(headers)]
        return np.stack(looked_up)[None], "a.u."
    plain = stored.dtype.kind in "iu" and has_plain_integers(headers, slopes, intercepts)
    return rescaled(stored, slopes, intercepts, plain)[None], _units(headers, places)


def _decode_all(places: Sequence[tuple[Header, int | None]], is_inverted: bool) -> np.ndarray:
    stored: np.ndarray | None = None
    for k, (header, frame) in enumerate(places):
        array = stored_frame(header, frame)
        if is_inverted:
            array = inverted(array, header)
        if stored is None:
            stored = np.empty((len(places), *array.shape), array.dtype.newbyteorder("="))
        elif array.dtype.newbyteorder("=") != stored.dtype:  # slices of one series stored with and without sign
            stored = stored.astype(np.promote_types(stored.dtype, array.dtype))
        stored[k] = array
    assert stored is not None
    return stored


def _rescale(places: Sequence[tuple[Header, int | None]]) -> tuple[np.ndarray, np.ndarray]:
    """(N,) slopes and intercepts: the frame's own, the file's, or the identity where there is none."""
    slopes, intercepts = [], []
    for header, frame in places:
        plane = header.planes[frame or 0] if header.planes and header.frames > 1 else None
        own = (plane.slope, plane.intercept) if plane else (None, None)
        slopes.append(own[0] if own[0] is not None else header.slope if header.slope is not None else 1.0)
        intercepts.append(own[1] if own[1] is not None else header.intercept if header.intercept is not None else 0.0)
    return np.array(slopes, dtype=np.float64), np.array(intercepts, dtype=np.float64)


def _units(headers: Sequence[Header], places: Sequence[tuple[Header, int | None]]) -> str:
    """HU where CT says how stored values become HU; a material map or a missing rescale is arbitrary units."""
    first, frame = places[0]
    has_rescale = first.intercept is not None or bool(first.planes and first.planes[frame or 0].intercept is not None)
    is_hu = all(h.modality == "CT" and h.rescale_type in ("", "HU", "US") for h in headers)
    return "HU" if is_hu and has_rescale else "a.u."


def _channels(array: np.ndarray) -> tuple[str, ...]:
    return COLOURS if array.shape[0] == 3 else ("image",)


def source_of(header: Header) -> dict[str, Any]:
    """What may be known of the origin: descriptive values, no name, number, date or path."""
    about = {key: header.about[key] for key in PUBLIC if key in header.about}
    return {"format": "dicom", "modality": header.modality, "is_simulated": header.is_synthetic, **about}
