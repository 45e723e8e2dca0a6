"""Write a simulated chest film as a real DICOM object, digital (DX) or computed (CR) radiography, marked synthetic.

Source: DICOM PS3.3 A.26 (DX Image IOD), C.8.11 (DX modules), A.2 (CR Image IOD), C.8.1 (CR modules).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation

from overread.imaging.dicom.write_ct import Exam, study_tags, uid_of, write_file
from overread.record.files import write_with

VIEWS = {"PA": ("272479007", "SCT", "postero-anterior"), "AP": ("399348003", "SCT", "antero-posterior")}  # PS3.16 CID 4010


@dataclass(frozen=True)
class Film:
    """How the film was taken.

    modality  "DX" or "CR";  view  "PA" or "AP";  bits  of the stored values
    pixel_mm  at the detector, and at the patient's surface nearest to it
    """

    modality: str
    vendor: str
    model: str
    view: str
    kvp: int
    bits: int
    pixel_mm: float
    window: tuple[float, float]  # centre and width of the stored values


def write_dx(path: Path, stored: np.ndarray, exam: Exam, film: Film) -> Path:
    """Write one film, whole or not at all.

    stored  (Y, X) uint16, 0 to 2**bits - 1, bright where much is absorbed (MONOCHROME2);
            the patient's right is on the left of the image
    """
    sop_class = DigitalXRayImageStorageForPresentation if film.modality == "DX" else ComputedRadiographyImageStorage
    tags = study_tags(exam, sop_class, film.modality, uid_of(exam.key, "film"))
    tags.StudyDescription = tags.SeriesDescription = f"PHANTOM chest {film.view}"
    tags.Manufacturer, tags.ManufacturerModelName = film.vendor, film.model
    tags.SoftwareVersions = "overread phantom"
    tags.BodyPartExamined, tags.ViewPosition, tags.KVP = "CHEST", film.view, str(film.kvp)
    tags.SeriesNumber, tags.InstanceNumber = "1", "1"
    tags.PatientOrientation = ["L", "F"]
    tags.ImageType = ["ORIGINAL", "PRIMARY"]
    tags.SamplesPerPixel, tags.PhotometricInterpretation = 1, "MONOCHROME2"
    tags.Rows, tags.Columns = stored.shape
    tags.BitsAllocated, tags.BitsStored, tags.HighBit, tags.PixelRepresentation = 16, film.bits, film.bits - 1, 0
    tags.PixelSpacing = tags.ImagerPixelSpacing = [f"{film.pixel_mm:.6g}"] * 2
    tags.WindowCenter, tags.WindowWidth = f"{film.window[0]:.0f}", f"{film.window[1]:.0f}"
    tags.PixelData = stored.astype("<u2").tobytes()
    (_add_dx if film.modality == "DX" else _add_cr)(tags)
    write_with(path, lambda beside: write_file(tags, beside))
    return path


def _add_dx(tags: Dataset) -> None:
    tags.PresentationIntentType = "FOR PRESENTATION"
    tags.ImageType = ["ORIGINAL", "PRIMARY", ""]
    tags.ImageLaterality, tags.LossyImageCompression = "U", "00"
    tags.PixelIntensityRelationship, tags.PixelIntensityRelationshipSign = "LOG", -1
    tags.RescaleIntercept, tags.RescaleSlope, tags.RescaleType = "0", "1", "US"
    tags.PresentationLUTShape = "IDENTITY"
    tags.DetectorType, tags.PositionerType = "DIRECT", "NONE"
    tags.AcquisitionContextSequence = []
    tags.AnatomicRegionSequence = [_code("816094009", "SCT", "Chest")]  # PS3.16 CID 4009
    tags.ViewCodeSequence = [_code(*VIEWS[tags.ViewPosition])]


def _add_cr(tags: Dataset) -> None:
    tags.PlateType, tags.CassetteOrientation = "simulated", "LANDSCAPE"


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
