"""A label map to a DICOM SEG that a PACS takes: binary segments, with references to the images they were drawn on.

Source: DICOM PS3.3 A.51 and C.8.20, written through highdicom.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import DSfloat

from overread import __version__
from overread.core.errors import OverreadError, Refused
from overread.core.kinds import LabelMap
from overread.imaging.dicom.header import Header, read_header
from overread.imaging.dicom.placing import place_film, place_frame
from overread.record.files import write_with

RESEARCH = "RESEARCH"  # every series description begins with it: nobody mistakes an answer for a report
PRIVATE_SCHEME = "99OVERREAD"  # names of structures without a standard code
REPEATED = (  # type 2 attributes of patient and study, DICOM PS3.3 C.7.1.1 and C.7.2.1
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
DESCRIPTION_LENGTH = 64  # value representation LO, DICOM PS3.5 6.2


@dataclass(frozen=True)
class Code:
    """A coded concept: value and meaning in a coding scheme such as SCT (SNOMED CT)."""

    value: str
    scheme: str
    meaning: str


def write_seg(
    path: Path,
    label_map: LabelMap,
    source_files: Sequence[Path],
    *,
    description: str = "segmentation",
    algorithm: str = "Overread model",
    algorithm_version: str = __version__,
    structure_codes: Mapping[str, Code] | None = None,
    series_number: int = 900,
) -> None:
    """Write the structures of a label map as one SEG beside its source images.

    label_map        on the grid of the source series, or one that holds its slices (interpolated slices have
                     no source and are left out)
    source_files     every file of the series, in any order
    description      what follows RESEARCH in the series description
    structure_codes  structure name -> standard code; others get a private code that says the name

    The Synthetic Data flag (0008,001C) of the sources is carried over.
    """
    headers = _along_normal([read_header(Path(file)) for file in source_files])
    if not headers:
        raise OverreadError("A DICOM SEG needs the files it was drawn on; got none.", "give the source series")
    if not label_map.structures:
        raise OverreadError("The label map has no structures to write.", "name at least one structure")
    pixels = np.concatenate([_frames(header, label_map) for header in headers])
    if not pixels.any():
        raise Refused("empty-segmentation", f"{Path(path).name}: no structure has a voxel, and an empty SEG is no SEG.")
    sources = [_source(header, label_map.grid.spacing[0]) for header in headers]
    try:
        seg = _segmentation(sources, pixels, label_map, description, algorithm, algorithm_version, structure_codes, series_number)
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        what = f"{headers[0].name} cannot carry a DICOM SEG: {error}"
        raise Refused("seg-source", what, "write the answer as NIfTI instead") from error
    if any(header.is_synthetic for header in headers):
        seg.SyntheticData = "YES"
    write_with(Path(path), lambda beside: seg.save_as(beside))


def _segmentation(
    sources: Sequence[Dataset],
    pixels: np.ndarray,
    label_map: LabelMap,
    description: str,
    algorithm: str,
    algorithm_version: str,
    structure_codes: Mapping[str, Code] | None,
    series_number: int,
) -> Segmentation:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom speaks of odd values in the sources, which are not ours to change
        return Segmentation(
            source_images=sources,
            pixel_array=pixels,
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=_descriptions(label_map, algorithm, algorithm_version, structure_codes or {}),
            series_instance_uid=hd.UID(),
            series_number=series_number,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="Overread",
            manufacturer_model_name=algorithm[:DESCRIPTION_LENGTH],
            software_versions=__version__,
            device_serial_number="0",
            series_description=f"{RESEARCH} {description}"[:DESCRIPTION_LENGTH],
            content_description=f"{RESEARCH} {description}"[:DESCRIPTION_LENGTH],
            content_label=RESEARCH,
        )


def _frames(header: Header, label_map: LabelMap) -> np.ndarray:
    """(frames, Y, X, segments) uint8 masks for one source file, taken from the label map by geometry."""
    grid, shape = label_map.grid, (header.rows, header.columns)
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    if header.planes:
        places = [place_frame(plane, shape, grid, header.name) for plane in header.planes]
    else:
        places = [place_film(shape, grid, header.name)]
    masks = np.zeros((len(places), *shape, len(label_map.structures)), np.uint8)
    for frame, place in enumerate(places):
        labels = label_map.layers[(slice(None), *place.voxels(rows, columns))]
        for k, structure in enumerate(label_map.structures):
            masks[frame, :, :, k] = labels[structure.layer] == structure.value
    return masks


def _source(header: Header, spacing: float) -> Dataset:
    """The source's tags made fit to be repeated in a SEG.

    Attributes of patient and study that the source lacks become empty, and the slice spacing is the one from
    positions: some scanners write a negative one.
    """
    tags = pydicom.dcmread(header.path, stop_before_pixels=True, force=True)
    for keyword in REPEATED:
        if keyword not in tags:
            setattr(tags, keyword, None)
    if header.planes and header.frames == 1:
        tags.SpacingBetweenSlices = DSfloat(spacing, auto_format=True)
    return tags


def _along_normal(headers: list[Header]) -> list[Header]:
    """In order of position; files without one by path."""
    if not all(header.planes for header in headers):
        return sorted(headers, key=lambda header: header.path)
    orientation = np.array(headers[0].planes[0].orientation)
    normal = np.cross(orientation[:3], orientation[3:])
    return sorted(headers, key=lambda header: float(np.array(header.planes[0].position) @ normal))


def _descriptions(
    label_map: LabelMap, algorithm: str, version: str, structure_codes: Mapping[str, Code]
) -> list[SegmentDescription]:
    identification = AlgorithmIdentificationSequence(
        name=algorithm, version=version, family=codes.DCM.ArtificialIntelligence, source="Overread"
    )
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=structure.name[:DESCRIPTION_LENGTH],
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=_code(structure.name, structure_codes),
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=identification,
        )
        for number, structure in enumerate(label_map.structures, start=1)
    ]


def _code(name: str, structure_codes: Mapping[str, Code]) -> CodedConcept:
    given = structure_codes.get(name)
    if given:
        return CodedConcept(given.value, given.scheme, given.meaning)
    value = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name.upper())[:16]
    return CodedConcept(value, PRIVATE_SCHEME, name[:DESCRIPTION_LENGTH])
