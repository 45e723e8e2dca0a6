"""Tiny DICOM series for tests: every tag that the door reads, and any of them changed or removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def make_tags(pixels: np.ndarray, sop_class: str = CT, **changes: Any) -> FileDataset:
    """A single-frame object; `changes` set tags by keyword, None removes one."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = sop_class
    tags = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    bits = pixels.dtype.itemsize * 8
    values: dict[str, Any] = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "FrameOfReferenceUID": "1.2.3.5",
        "PatientID": "MRN-0001",
        "PatientName": "Doe^Jane",
        "PatientAge": "063Y",
        "PatientSex": "F",
        "PatientBirthDate": "",
        "StudyDate": "20200102",
        "StudyTime": "",
        "StudyID": "1",
        "AccessionNumber": "ACC-1",
        "ReferringPhysicianName": "",
        "Modality": "CT" if sop_class == CT else "DX",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "Manufacturer": "Maker",
        "ManufacturerModelName": "Model",
        "SeriesDescription": "CT thorax",
        "BodyPartExamined": "CHEST",
        "InstanceNumber": 1,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1 if pixels.ndim == 2 else 3,
        "PhotometricInterpretation": "MONOCHROME2" if pixels.ndim == 2 else "RGB",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    if pixels.ndim == 3:
        values["PlanarConfiguration"] = 0
    if sop_class == CT:
        values |= {
            "PixelSpacing": [0.8, 0.7],
            "ImageOrientationPatient": list(AXIAL),
            "ImagePositionPatient": [0.0, 0.0, 0.0],
            "SliceThickness": 5.0,
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
        }
    for keyword, value in (values | changes).items():
        if value is not None:
            setattr(tags, keyword, value)
    if changes.get("PixelData", b"") is not None:
        tags.PixelData = np.ascontiguousarray(pixels).tobytes()
        tags["PixelData"].VR = "OW" if bits > 8 else "OB"
    meta.MediaStorageSOPInstanceUID = tags.SOPInstanceUID
    return tags


def write(tags: FileDataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, tags, enforce_file_format=True)
    return path


def make_series(
    folder: Path,
    depths: list[float],
    *,
    orientation: tuple[float, ...] = AXIAL,
    origin: tuple[float, float, float] = (-20.0, -30.0, 40.0),
    slide: tuple[float, float] = (0.0, 0.0),
    volume: np.ndarray | None = None,
    **changes: Any,
) -> list[Path]:
    """A CT series with a slice at each depth (mm along the normal), written in a shuffled order of names.

    slide   (Y, X) mm that slices slide in their plane per mm of depth: a gantry tilt
    volume  (N, Y, X) int16 stored values; random where not given
    """
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(along_row, along_column)
    if volume is None:
        volume = np.random.default_rng(0).integers(0, 2000, (len(depths), 6, 5)).astype(np.int16)
    names = np.random.default_rng(1).permutation(len(depths))
    files = []
    for k, depth in enumerate(depths):
        place = np.array(origin) + normal * depth + (along_column * slide[0] + along_row * slide[1]) * depth
        own = {
            "ImagePositionPatient": [round(float(v), 6) for v in place],
            "ImageOrientationPatient": [float(v) for v in orientation],
            "InstanceNumber": int(names[k]) + 1,
        }
        files.append(write(make_tags(volume[k], **(own | changes)), folder / f"slice-{names[k]:03d}.dcm"))
    return files


MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
LEGACY_CONVERTED_CT = "1.2.840.10008.5.1.4.1.1.2.2"


def make_volumes(folder: Path, depths: list[float], traits: list[dict[str, Any]], **changes: Any) -> list[np.ndarray]:
    """One series with a volume per dict of tags, all in the same places.

    traits   a tag may be a list with one value per slice
    returns  the (N, Y, X) stored values of each volume
    """
    volumes = []
    for k, own in enumerate(traits):
        volume = np.random.default_rng(k).integers(0, 2000, (len(depths), 6, 5)).astype(np.int16)
        for n, depth in enumerate(depths):
            each = {
                keyword: value[n] if isinstance(value, list) and len(value) == len(depths) else value
                for keyword, value in own.items()
            }
            place = {"ImagePositionPatient": [-20.0, -30.0, 40.0 + depth], "InstanceNumber": 100 * k + n + 1}
            tags = make_tags(volume[n], **(place | changes | each))
            write(tags, folder / f"{k:02d}-{(7 * n) % 11:02d}-{n:02d}.dcm")
        volumes.append(volume)
    return volumes


def item(**values: Any) -> Dataset:
    """One item of a sequence, or of a functional group."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def make_enhanced(
    pixels: np.ndarray,
    frames: list[dict[str, Any]],
    sop_class: str = ENHANCED_MR,
    shared: dict[str, Any] | None = None,
    **changes: Any,
) -> FileDataset:
    """An enhanced object.

    pixels  (F, Y, X)
    frames  per frame: ``position``, and functional groups by the name of their sequence (a dict of tags each)
    shared  groups for all frames; plane orientation (axial) and pixel measures (0.8 x 0.7 mm) where not given
    """
    modality = {ENHANCED_CT: "CT", LEGACY_CONVERTED_CT: "CT", ENHANCED_PET: "PT"}.get(sop_class, "MR")
    own = {"Modality": modality, "NumberOfFrames": len(frames), "Rows": pixels.shape[1], "Columns": pixels.shape[2]}
    tags = make_tags(pixels[0], sop_class, **(own | changes))
    tags.PixelData = np.ascontiguousarray(pixels).tobytes()
    common = {
        "PlaneOrientationSequence": {"ImageOrientationPatient": list(AXIAL)},
        "PixelMeasuresSequence": {"PixelSpacing": [0.8, 0.7], "SliceThickness": 5.0},
    } | (shared or {})
    tags.SharedFunctionalGroupsSequence = [_groups(common)]
    tags.PerFrameFunctionalGroupsSequence = [_groups(_with_position(frame)) for frame in frames]
    return tags


def _with_position(frame: dict[str, Any]) -> dict[str, Any]:
    rest = {name: group for name, group in frame.items() if name != "position"}
    if "position" in frame:
        rest["PlanePositionSequence"] = {"ImagePositionPatient": list(frame["position"])}
    return rest


def _groups(groups: dict[str, dict[str, Any]]) -> Dataset:
    return item(**{name: [item(**values)] for name, values in groups.items()})
