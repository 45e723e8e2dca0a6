"""Write a simulated CT volume as a real DICOM series, each file marked synthetic.

Source: DICOM PS3.3 A.3 (CT Image IOD), C.8.2 (CT modules), C.12.1 (SOP Common, Synthetic Data 0008,001C).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.record.files import whole_folder

IMPLEMENTATION = "2.25.171043276151243811127018276533908761345"  # ours, by UUID (PS3.5 B.2)


@dataclass(frozen=True)
class Exam:
    """Who and when: the patient and study tags of a simulated file.

    exam_id  goes into Study ID;  key  seeds all unique identifiers, so that the same exam gets the same ones
    burned_in  a marker was drawn into the pixels
    """

    patient_id: str
    patient_name: str
    sex: str
    birth: date
    day: date
    exam_id: str
    accession: str
    site: str
    key: str
    burned_in: bool = False

    @property
    def study_uid(self) -> str:
        return uid_of(self.key, "study")

    @property
    def age(self) -> int:
        return self.day.year - self.birth.year - ((self.day.month, self.day.day) < (self.birth.month, self.birth.day))


@dataclass(frozen=True)
class CtSeries:
    """How the scanner was set.

    from_head  instance 1 is the uppermost slice; else the lowest
    """

    vendor: str
    model: str
    kernel: str
    kvp: int
    thickness_mm: float
    description: str
    from_head: bool


def uid_of(*parts: object) -> str:
    """A unique identifier made from words, always the same for the same words (PS3.5 B.2, 2.25 and a 128-bit number)."""
    digest = hashlib.sha256("/".join(str(p) for p in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def write_ct(
    folder: Path, hu: np.ndarray, grid: Grid, exam: Exam, series: CtSeries, *, leave_out: Sequence[int] = ()
) -> list[Path]:
    """Write one CT series into `folder`, whole or not at all.

    hu         (Z, Y, X) int16, -1024 to 3071 HU
    grid       axis-aligned, rows along x and slices along z
    leave_out  slices (indices along Z) that are never written: a planted fault
    returns    the files in order along Z, left-out slices absent
    """
    if hu.shape != grid.shape:
        raise OverreadError(f"{folder.name}: the array {hu.shape} is not on its grid {grid.shape}.")
    names = []
    with whole_folder(Path(folder)) as beside:
        tags = _series_tags(hu, grid, exam, series)
        for k in range(len(hu)):
            if k in set(leave_out):
                continue
            number = len(hu) - k if series.from_head else k + 1
            names.append(f"{number:04d}.dcm")
            _set_slice(tags, hu[k], grid, k, number, exam)
            write_file(tags, beside / names[-1])
    return [folder / name for name in names]


def study_tags(exam: Exam, sop_class: str, modality: str, uid: str) -> Dataset:
    """Patient, study, and common tags of one file, Synthetic Data among them."""
    tags = Dataset()
    tags.SpecificCharacterSet = "ISO_IR 100"
    tags.SOPClassUID, tags.SOPInstanceUID = sop_class, uid
    tags.SyntheticData = "YES"
    day = exam.day.strftime("%Y%m%d")
    tags.StudyDate = tags.SeriesDate = tags.AcquisitionDate = tags.ContentDate = day
    minute = int(hashlib.sha256(exam.key.encode()).digest()[0]) % 60
    tags.StudyTime = f"10{minute:02d}00"
    tags.SeriesTime = tags.AcquisitionTime = tags.ContentTime = f"10{minute:02d}40"
    tags.AccessionNumber, tags.StudyID = exam.accession, exam.exam_id
    tags.Modality = modality
    tags.InstitutionName = f"PHANTOM {exam.site}"
    tags.ReferringPhysicianName = ""
    tags.PatientName, tags.PatientID = exam.patient_name, exam.patient_id
    tags.PatientBirthDate, tags.PatientSex = exam.birth.strftime("%Y%m%d"), exam.sex
    tags.PatientAge = f"{exam.age:03d}Y"
    tags.StudyInstanceUID = exam.study_uid
    tags.SeriesInstanceUID = uid_of(exam.key, "series", modality)
    tags.BurnedInAnnotation = "YES" if exam.burned_in else "NO"
    tags.file_meta = FileMetaDataset()
    tags.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    tags.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    tags.file_meta.ImplementationClassUID = UID(IMPLEMENTATION)
    tags.file_meta.ImplementationVersionName = "OVERREAD_PHANTOM"
    return tags


def write_file(tags: Dataset, path: Path) -> None:
    """Write one Part 10 file."""
    tags.file_meta.MediaStorageSOPInstanceUID = tags.SOPInstanceUID
    dcmwrite(path, tags, enforce_file_format=True)


def _series_tags(hu: np.ndarray, grid: Grid, exam: Exam, series: CtSeries) -> Dataset:
    tags = study_tags(exam, CTImageStorage, "CT", "")
    spacing_z, spacing_y, spacing_x = grid.spacing_mm
    tags.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    tags.StudyDescription, tags.SeriesDescription = "PHANTOM CT abdomen", series.description
    tags.Manufacturer, tags.ManufacturerModelName = series.vendor, series.model
    tags.SoftwareVersions = "overread phantom"
    tags.BodyPartExamined, tags.PatientPosition = "ABDOMEN", "HFS"
    tags.ContrastBolusAgent, tags.ContrastBolusRoute = "simulated iodine", "IV"
    tags.ScanOptions = "HELICAL MODE"
    tags.KVP, tags.ConvolutionKernel = str(series.kvp), series.kernel
    tags.SliceThickness, tags.SpacingBetweenSlices = _decimal(series.thickness_mm), _decimal(spacing_z)
    tags.DataCollectionDiameter = tags.ReconstructionDiameter = _decimal(spacing_x * grid.shape[2])
    tags.GantryDetectorTilt, tags.RotationDirection = "0", "CW"
    tags.ExposureTime, tags.XRayTubeCurrent, tags.Exposure = "500", "220", "110"
    tags.SeriesNumber, tags.AcquisitionNumber = "2", "1"
    tags.FrameOfReferenceUID, tags.PositionReferenceIndicator = uid_of(exam.key, "frame"), ""
    tags.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    tags.SamplesPerPixel, tags.PhotometricInterpretation = 1, "MONOCHROME2"
    tags.Rows, tags.Columns = hu.shape[1], hu.shape[2]
    tags.PixelSpacing = [_decimal(spacing_y), _decimal(spacing_x)]
    tags.BitsAllocated, tags.BitsStored, tags.HighBit, tags.PixelRepresentation = 16, 12, 11, 0
    tags.RescaleIntercept, tags.RescaleSlope, tags.RescaleType = "-1024", "1", "HU"
    tags.WindowCenter, tags.WindowWidth = "60", "400"
    tags.WindowCenterWidthExplanation = "ABDOMEN"
    return tags


def _set_slice(tags: Dataset, hu: np.ndarray, grid: Grid, k: int, number: int, exam: Exam) -> None:
    x, y, z = grid.to_world(np.array([k, 0, 0]))
    tags.SOPInstanceUID = uid_of(exam.key, "slice", k)
    tags.InstanceNumber = str(number)
    tags.ImagePositionPatient = [_decimal(x), _decimal(y), _decimal(z)]
    tags.SliceLocation = _decimal(z)
    stored = np.clip(hu.astype(np.int32) + 1024, 0, 4095).astype("<u2")
    tags.PixelData = stored.tobytes()


def _decimal(value: float) -> str:
    """At most 16 characters, as the DS value representation wants."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) >= 5e-7 else "0"
