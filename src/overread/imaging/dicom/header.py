"""One DICOM file without its pixels, as plain values that travel between processes and into a cache."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from overread.core.errors import Refused
from overread.imaging.dicom.derivation import made_of
from overread.imaging.dicom.mosaic import CSA_TAGS, mosaic_tiles
from overread.imaging.dicom.multiframe import KEYWORDS as MULTIFRAME_KEYWORDS
from overread.imaging.dicom.parse import parse_file
from overread.imaging.dicom.planes import Plane, frame_planes, plane_of
from overread.imaging.dicom.quick_tags import quick_tags
from overread.imaging.dicom.values import floats, items, number, text, words
from overread.imaging.dicom.varying import tags_to_read

PIXEL_TAGS = {0x7FE00008: 4, 0x7FE00009: 8, 0x7FE00010: 0}  # float, double and ordinary pixel data
NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian}
UNDEFINED_LENGTH = 0xFFFFFFFF
OLDEST_AGE = 90  # ages above 89 identify a person (HIPAA Safe Harbor)

KEYWORDS_TEXT = (
    "SOPClassUID SOPInstanceUID SeriesInstanceUID StudyInstanceUID PatientID AccessionNumber FrameOfReferenceUID Modality "
    "ImageType Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored "
    "PixelRepresentation PixelSpacing ImagerPixelSpacing NominalScannedPixelSpacing ImagePositionPatient "
    "ImageOrientationPatient SliceThickness RescaleSlope RescaleIntercept RescaleType ModalityLUTSequence WindowCenter "
    "WindowWidth InstanceNumber SeriesNumber SeriesDescription StudyDescription ProtocolName BodyPartExamined Manufacturer "
    "ManufacturerModelName ConvolutionKernel Laterality ImageLaterality ViewPosition StudyDate PatientSex PatientAge "
    "InstitutionName SyntheticData PatientSpeciesDescription BurnedInAnnotation ReferencedSeriesSequence ContrastBolusAgent "
    "MagneticFieldStrength AcquisitionMatrix DerivationDescription DerivationCodeSequence"
)
TAGS = [*(Tag(keyword) for keyword in (*KEYWORDS_TEXT.split(), *MULTIFRAME_KEYWORDS)), *tags_to_read(), *CSA_TAGS]
WANTED = frozenset(int(tag) for tag in TAGS)


@dataclass(frozen=True, slots=True)
class Header:
    """What the tags of one file say; None or "" where a tag is missing.

    planes         where each frame lies; empty where the file carries no position or no orientation
    pixel_offset   byte at which uncompressed little-endian pixels start; None for every other coding
    pixel_spacing  (row, column) mm between pixel centres
    spacing_at     "patient", or "detector" where only the detector's spacing is known
    about          descriptive values by name (body_part, vendor, kernel, patient_age ...); identifiers among them;
                   ``volume`` names the volume where a series holds several ("echo 2", "b 800"); ``made`` is "synthetic" or
                   "derived" where a network made or changed the image, and ``of_phantom`` says that it is of a phantom
    tiles          slices tiled into the one picture of a mosaic; 0 where it is none
    concatenation  UID that joins the parts of one multi-frame object stored in several files
    volume         number of the volume among those of its multi-frame file; None where the file holds one
    """

    path: str
    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str
    patient_id: str
    frame_of_reference: str
    modality: str
    image_type: tuple[str, ...]
    transfer_syntax: str
    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    has_pixels: bool
    pixel_offset: int | None
    planes: tuple[Plane, ...]
    pixel_spacing: tuple[float, float] | None
    spacing_at: str
    slope: float | None
    intercept: float | None
    rescale_type: str
    has_modality_lut: bool
    instance: int
    is_synthetic: bool
    about: Mapping[str, Any]
    tiles: int = 0
    concatenation: str = ""
    volume: int | None = None

    @property
    def name(self) -> str:
        return Path(self.path).name

    @property
    def is_simulated(self) -> bool:
        """A phantom's image. What a network made is synthetic too, and no phantom for that."""
        return bool(self.about.get("of_phantom")) if "made" in self.about else self.is_synthetic

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Header:
        """From JSON, where tuples came back as lists."""
        given = {f.name: values[f.name] for f in fields(cls)}
        given["planes"] = tuple(Plane.from_dict(p) for p in given["planes"])
        given["image_type"] = tuple(given["image_type"])
        given["pixel_spacing"] = tuple(given["pixel_spacing"]) if given["pixel_spacing"] else None
        return cls(**given)


def looks_like_dicom(path: Path) -> bool:
    """The DICM mark at byte 128, or a first element of group 0002 or 0008 where the preamble is missing."""
    with open(path, "rb") as file:
        head = file.read(132)
    if head[128:132] == b"DICM":
        return True
    return len(head) >= 8 and head[:4] in (b"\x02\0\0\0", b"\x08\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0")


def read_header(path: Path) -> Header:
    """Read all tags of use up to the pixels, which are not touched; refused where the file is no DICOM or is cut."""
    path = Path(path)
    if not path.is_file():
        raise Refused("missing-file", f"{path} does not exist.", "check the path, or scan the folder again")
    size = path.stat().st_size
    if size == 0:
        raise Refused("empty-file", f"{path.name} has zero bytes.", "fetch the file again")
    with warnings.catch_warnings(), open(path, "rb") as file:
        warnings.simplefilter("ignore")  # odd values are judged here, one by one
        quick = quick_tags(file, WANTED)
        tags: Any = _read_tags(path, file) if quick is None else quick  # both answer `get` and hold a `file_meta`
        if not _sop_class(tags) and not text(tags, "Rows"):
            what = f"{path.name} is not a DICOM object: it has no SOP Class UID."
            raise Refused("unreadable", what, "fetch the file again")
        syntax = text(tags.file_meta, "TransferSyntaxUID") or str(ImplicitVRLittleEndian)
        pixels = (True, None, None) if syntax == DeflatedExplicitVRLittleEndian else _pixel_element(file, syntax)
        try:
            header = _header(path, tags, syntax, *pixels[:2])
        except Refused:
            raise
        except Exception as error:  # sequences are parsed when they are first looked at, and may be damaged anywhere
            raise Refused("unreadable", f"{path.name} has a damaged DICOM header: {error}.", "fetch the file again") from error
    _refuse_cut(header, size, pixels[2])
    return header


def _read_tags(path: Path, file: Any) -> Dataset:
    try:
        tags = parse_file(file, path.name, pixels=False, wanted=TAGS, force=looks_like_dicom(path))
    except Refused:
        raise
    except InvalidDicomError as error:
        raise Refused("unreadable", f"{path.name} is not a DICOM file.", "fetch the file again, or remove it") from error
    except EOFError as error:
        raise Refused("truncated", f"{path.name} ends inside its header.", "fetch the file again") from error
    except Exception as error:  # a damaged file can break the parser anywhere; whatever it says goes to the user
        what = f"{path.name} has a damaged DICOM header: {type(error).__name__} {error}."
        raise Refused("unreadable", what, "fetch the file again") from error
    return tags


def _sop_class(tags: Dataset) -> str:
    """From the object, or from the file's own head (a DICOMDIR has it only there)."""
    return text(tags, "SOPClassUID") or text(tags.file_meta, "MediaStorageSOPClassUID")


def _pixel_element(file: Any, syntax: str) -> tuple[bool, int | None, int | None]:
    """(has pixels, byte where they start, their length) from where the header ended; length None for compressed."""
    start = file.tell()
    head = file.read(12)
    big = syntax == ExplicitVRBigEndian
    if len(head) < 8:
        return False, None, None
    group, element = struct.unpack(">HH" if big else "<HH", head[:4])
    if (group << 16 | element) not in PIXEL_TAGS:
        return False, None, None
    is_long = head[4:6] in (b"OW", b"OB", b"OF", b"OD", b"UN")
    where = 8 if is_long else 4
    if len(head) < where + 4:
        return False, None, None
    (length,) = struct.unpack(">I" if big else "<I", head[where : where + 4])
    if length == 0:
        return False, None, None
    return True, start + where + 4, None if length == UNDEFINED_LENGTH else length


def _header(path: Path, tags: Dataset, syntax: str, has_pixels: bool, offset: int | None) -> Header:
    rows, columns = int(number(tags, "Rows") or 0), int(number(tags, "Columns") or 0)
    frames = _frames(tags, path.name)
    spacing, spacing_at = _pixel_spacing(tags)
    modality = text(tags, "Modality").upper()
    return Header(
        path=str(path),
        sop_class=_sop_class(tags),
        sop_uid=text(tags, "SOPInstanceUID"),
        series_uid=text(tags, "SeriesInstanceUID"),
        study_uid=text(tags, "StudyInstanceUID"),
        patient_id=text(tags, "PatientID"),
        frame_of_reference=text(tags, "FrameOfReferenceUID"),
        modality=modality,
        image_type=tuple(word.upper() for word in words(tags, "ImageType")),
        transfer_syntax=syntax,
        rows=rows,
        columns=columns,
        frames=frames,
        samples=int(number(tags, "SamplesPerPixel") or 1),
        photometric=text(tags, "PhotometricInterpretation").upper(),
        bits_allocated=int(number(tags, "BitsAllocated") or 0),
        bits_stored=int(number(tags, "BitsStored") or number(tags, "BitsAllocated") or 0),
        is_signed=bool(number(tags, "PixelRepresentation")),
        has_pixels=has_pixels and rows > 0 and columns > 0,
        pixel_offset=offset if syntax in NATIVE else None,
        planes=frame_planes(tags, frames) if "PerFrameFunctionalGroupsSequence" in tags else plane_of(tags),
        pixel_spacing=spacing,
        spacing_at=spacing_at,
        slope=number(tags, "RescaleSlope"),
        intercept=number(tags, "RescaleIntercept"),
        rescale_type=text(tags, "RescaleType").upper(),
        has_modality_lut=bool(tags.get("ModalityLUTSequence")),
        instance=int(number(tags, "InstanceNumber") or 0),
        is_synthetic=text(tags, "SyntheticData").upper() == "YES",
        about=_about(tags),
        tiles=mosaic_tiles(tags),
        concatenation=text(tags, "ConcatenationUID"),
    )


def _frames(tags: Dataset, name: str) -> int:
    """A number of frames that cannot be read is not taken for one frame: the others would be lost in silence."""
    written = text(tags, "NumberOfFrames")
    frames = number(tags, "NumberOfFrames")
    if written and (frames is None or frames != int(frames)):
        raise Refused("unreadable", f"{name} says that it has '{written}' frames, which is no number.", "fetch the file again")
    return max(int(frames or 1), 1)


def _pixel_spacing(tags: Dataset) -> tuple[tuple[float, float] | None, str]:
    """Spacing in the patient where calibrated, else at the detector (DICOM PS3.3 10.7.1.3)."""
    for keyword, place in (
        ("PixelSpacing", "patient"),
        ("ImagerPixelSpacing", "detector"),
        ("NominalScannedPixelSpacing", "detector"),
    ):
        values = floats(tags, keyword, 2)
        if values and min(values) > 0:
            return (values[0], values[1]), place
    return None, ""


def _about(tags: Dataset) -> dict[str, Any]:
    """Descriptive values under the project's names; only those that are there."""
    thickness = number(tags, "SliceThickness")
    centres, widths = floats(tags, "WindowCenter"), floats(tags, "WindowWidth")
    found: dict[str, Any] = {
        "body_part": text(tags, "BodyPartExamined").upper(),
        "vendor": text(tags, "Manufacturer"),
        "model": text(tags, "ManufacturerModelName"),
        "kernel": " ".join(words(tags, "ConvolutionKernel")),
        "thickness_mm": thickness,
        "description": text(tags, "SeriesDescription"),
        "study_description": text(tags, "StudyDescription"),
        "protocol": text(tags, "ProtocolName"),
        "series_number": number(tags, "SeriesNumber"),
        "laterality": text(tags, "ImageLaterality") or text(tags, "Laterality"),
        "view": text(tags, "ViewPosition"),
        "study_date": text(tags, "StudyDate"),
        "accession": text(tags, "AccessionNumber"),
        "patient_sex": text(tags, "PatientSex"),
        "patient_age": age_in_years(text(tags, "PatientAge")),
        "site": text(tags, "InstitutionName"),
        "species": text(tags, "PatientSpeciesDescription"),
        "burned_in": text(tags, "BurnedInAnnotation"),
        "contrast": text(tags, "ContrastBolusAgent"),
        "field_strength_t": number(tags, "MagneticFieldStrength"),
        "kvp": number(tags, "KVP"),
        "echo_time_ms": number(tags, "EchoTime"),
        "repetition_time_ms": number(tags, "RepetitionTime"),
        "window": (centres[0], widths[0]) if centres and widths and widths[0] > 0 else None,
        "references": _referenced_series(tags),
        **_made(tags),
    }
    return {name: value for name, value in found.items() if value not in (None, "", ())}


def _made(tags: Dataset) -> dict[str, Any]:
    made = made_of(tags)
    return {} if made is None else {"made": made.kind, "of_phantom": made.is_phantom or None}


def age_in_years(age: str) -> float | None:
    """``045Y``, ``018M``, ``010W`` or ``003D`` in years, 90 for all older; None where it says nothing."""
    years = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
    if len(age) != 4 or not age[:3].isdecimal() or age[3].upper() not in years:
        return None
    return round(min(int(age[:3]) * years[age[3].upper()], OLDEST_AGE), 2)


def _referenced_series(tags: Dataset) -> tuple[str, ...]:
    """Series that a segmentation or a report speaks of."""
    named = (text(item, "SeriesInstanceUID") for item in items(tags, "ReferencedSeriesSequence"))
    return tuple(uid for uid in named if uid)


def _refuse_cut(header: Header, size: int, length: int | None) -> None:
    """Refuse a file that ends before its uncompressed pixels do."""
    if length is None or not header.has_pixels or header.pixel_offset is None:
        return
    bits = header.rows * header.columns * header.samples * header.frames * header.bits_allocated
    if header.photometric == "YBR_FULL_422":
        bits = bits * 2 // 3
    expected = (bits + 7) // 8
    there = min(length, size - header.pixel_offset)
    if there < expected:
        raise Refused(
            "truncated",
            f"{header.name} has {there} bytes of pixels; {header.frames} x {header.rows} x {header.columns} need {expected}.",
            "fetch the file again",
        )


def relative(header: Header, folder: Path) -> str:
    """The header's path below `folder`, with forward slashes."""
    return Path(os.path.relpath(header.path, folder)).as_posix()
