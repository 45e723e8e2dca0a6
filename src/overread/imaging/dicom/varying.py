"""What may tell two images apart that lie in one place: echo, b-value, time point, kernel ... by name.

Sources: DICOM PS3.3 C.8.2 to C.8.13 (CT, MR and PET modules); for diffusion before its standard tags, the
conformance statements of the makers (Siemens 0019, GE 0043, Philips 2001 and 2005, United Imaging 0065).
"""

from __future__ import annotations

import math
import struct
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from overread.imaging.dicom.values import floats, number, text, words

Value = float | str

NUMBERS = (  # trait, keyword; the first that is there counts
    ("echo time", "EchoTime"),
    ("echo number", "EchoNumbers"),
    ("inversion time", "InversionTime"),
    ("flip angle", "FlipAngle"),
    ("repetition time", "RepetitionTime"),
    ("temporal position", "TemporalPositionIdentifier"),
    ("temporal position", "TemporalPositionIndex"),
    ("cardiac percentage", "NominalPercentageOfCardiacPhase"),
    ("trigger time", "TriggerTime"),
    ("frame reference time", "FrameReferenceTime"),
    ("tube voltage", "KVP"),
    ("thickness", "SliceThickness"),
    ("acquisition", "AcquisitionNumber"),
    ("series number", "SeriesNumber"),
)
TEXTS = (("stack", "StackID"), ("kernel", "ConvolutionKernel"), ("description", "SeriesDescription"))
COMPONENTS = {
    "magnitude": {"M", "MAGNITUDE", "M_FFE", "M_SE", "M_IR", "M_PCA", "M_TSE", "M_B0", "M_B1"},
    "phase image": {"P", "PHASE", "PHASE MAP", "PHASE_MAP", "P_FFE", "P_PCA", "VELOCITY MAP"},
    "real": {"R", "REAL", "R_IR", "R_FFE"},
    "imaginary": {"I", "IMAGINARY", "I_FFE"},
}
CONTRASTS = {  # Dixon
    "water": {"W", "WATER"},
    "fat": {"F", "FAT"},
    "in phase": {"IP", "IN_PHASE", "IN PHASE"},
    "out of phase": {"OP", "OUT_PHASE", "OPP_PHASE", "OUT PHASE", "OPPOSED_PHASE"},
}
SIEMENS, GE, PHILIPS, UNITED = "SIEMENS MR HEADER", "GEMS_PARM_01", "PHILIPS IMAGING DD 001", "IMAGE PRIVATE HEADER"
B_VALUES = ((SIEMENS, 0x0019, 0x100C), (GE, 0x0043, 0x1039), (PHILIPS, 0x2001, 0x1003), (UNITED, 0x0065, 0x1009))
SIEMENS_DIRECTION = (SIEMENS, 0x0019, 0x100E)
GE_COMPONENT = (GE, 0x0043, 0x102F)
MOSAIC_COUNT = (SIEMENS, 0x0019, 0x100A)
PRIVATE = (*B_VALUES, SIEMENS_DIRECTION, GE_COMPONENT, MOSAIC_COUNT)

STANDARD_TAGS_TEXT = (
    "EchoTime EchoNumbers InversionTime FlipAngle RepetitionTime TemporalPositionIdentifier TemporalPositionIndex "
    "NominalPercentageOfCardiacPhase TriggerTime FrameReferenceTime KVP SliceThickness AcquisitionNumber SeriesNumber StackID "
    "ConvolutionKernel SeriesDescription ImageType ComplexImageComponent DiffusionBValue DiffusionGradientOrientation "
    "DiffusionDirectionality AcquisitionDateTime AcquisitionDate AcquisitionTime ContentDate ContentTime"
)


def tags_to_read() -> list[BaseTag]:
    """Every tag that `classic_values` looks at, with the creators of the private ones."""
    private = {Tag(where, element) for _, where, element in PRIVATE} | {Tag(where, 0x0010) for _, where, _ in PRIVATE}
    return [*(Tag(keyword) for keyword in STANDARD_TAGS_TEXT.split()), *sorted(private)]


def classic_values(tags: Dataset) -> tuple[tuple[str, Value], ...]:
    """(name, value) of every trait that a file carries."""
    if not len(tags):
        return ()
    values: dict[str, Value] = {}
    for name, keyword in NUMBERS:
        value = number(tags, keyword)
        if value is not None:
            values.setdefault(name, value)
    for name, keyword in TEXTS:
        word = text(tags, keyword)
        if word:
            values[name] = word
    values |= image_type_values(tags, "ImageType") | _diffusion(tags)
    for name, moment in (("acquisition time", _acquired(tags)), ("content time", _moment(tags, "Content"))):
        if moment is not None:
            values[name] = moment
    return tuple(values.items())


def image_type_values(tags: Dataset, keyword: str) -> dict[str, Value]:
    """The image type, and what it says of magnitude and phase, water and fat."""
    given = [word.upper().strip() for word in words(tags, keyword)]
    if not given:
        return {}
    values: dict[str, Value] = {"image type": "\\".join(given)}
    component = {"MAGNITUDE": "magnitude", "PHASE": "phase image"}.get(text(tags, "ComplexImageComponent").upper())
    component = component or _named(given[2:], COMPONENTS) or _ge_component(tags)
    contrast = _named(given[2:], CONTRASTS)
    if component:
        values["component"] = component
    if contrast:
        values["contrast"] = contrast
    return values


def _named(given: list[str], names: dict[str, set[str]]) -> str:
    return next((name for name, signs in names.items() if signs & set(given)), "")


def _ge_component(tags: Dataset) -> str:
    value = private_numbers(tags, *GE_COMPONENT)
    names = {0: "magnitude", 1: "phase image", 2: "real", 3: "imaginary"}
    return names.get(int(value[0]), "") if value else ""


def _diffusion(tags: Dataset) -> dict[str, Value]:
    values: dict[str, Value] = {}
    b_value = number(tags, "DiffusionBValue")
    for creator, where, element in B_VALUES:
        if b_value is None and (found := private_numbers(tags, creator, where, element)):
            b_value = found[0] % 100_000 if creator == GE else found[0]  # GE adds 10^9 as a flag
    if b_value is not None:
        values["b-value"] = b_value
    vector = floats(tags, "DiffusionGradientOrientation", 3) or private_numbers(tags, *SIEMENS_DIRECTION)
    direction = " ".join(f"{v:.4f}" for v in vector) if vector else text(tags, "DiffusionDirectionality").lower()
    if direction:
        values["direction"] = direction
    return values


def private_numbers(tags: Dataset, creator: str, where: int, element: int) -> tuple[float, ...]:
    """Numbers of a private element whose block belongs to `creator`; empty where it does not or makes no sense."""
    owner = tags.get((where, 0x0010))
    held = tags.get((where, element))
    if owner is None or held is None or str(owner.value).strip("\0 ").upper() != creator:
        return ()
    value = held.value
    try:
        if isinstance(value, bytes):  # implicit coding: the type is not in the file
            numbers = _from_bytes(value)
        else:
            several = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
            numbers = tuple(float(v) for v in several)
        return numbers if all(math.isfinite(n) for n in numbers) else ()
    except (TypeError, ValueError, struct.error):
        return ()


def _from_bytes(value: bytes) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in value.decode("ascii").strip("\0 ").split("\\"))
    except (UnicodeDecodeError, ValueError):
        form = {2: "<H", 4: "<f", 8: "<d", 24: "<3d"}[len(value)] if len(value) in (2, 4, 8, 24) else ""
        return struct.unpack(form, value) if form else ()


def clock(moment: str) -> float | None:
    """``20200131120301.250000`` as seconds; None where it is no date and time."""
    plain = moment.split("&")[0].split("+")[0].split("-")[0]
    whole, _, rest = plain.partition(".")
    for form in ("%Y%m%d%H%M%S", "%Y%m%d%H%M"):
        try:
            since = datetime.strptime(whole, form) - datetime(1900, 1, 1)
        except ValueError:
            continue
        return round(since.total_seconds() + (float(f"0.{rest}") if rest.isdecimal() else 0.0), 6)
    return None


def _acquired(tags: Dataset) -> float | None:
    return clock(text(tags, "AcquisitionDateTime")) or _moment(tags, "Acquisition")


def _moment(tags: Dataset, what: str) -> float | None:
    """Seconds of date and time; a removed date counts as one fixed day."""
    time = text(tags, f"{what}Time").replace(":", "")
    return clock((text(tags, f"{what}Date").replace(".", "") or "19000101") + time) if time else None
