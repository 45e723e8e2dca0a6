"""The tags of one frame of a picture that a network made or changed, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, SecondaryCaptureImageStorage
from pydicom.valuerep import DSfloat

from overread import __version__
from overread.core.errors import Refused
from overread.imaging.dicom.codes import Code
from overread.imaging.dicom.derivation import code_item, say_made
from overread.imaging.dicom.evidence import REPEATED, SourceFrame
from overread.imaging.dicom.header import Header
from overread.imaging.dicom.series import FILMS
from overread.imaging.dicom.stored_values import Stored
from overread.imaging.dicom.write_common import DESCRIPTION_LENGTH, MANUFACTURER, TEXT_LENGTH
from overread.imaging.dicom.write_ct import IMPLEMENTATION
from overread.imaging.made import SYNTHETIC, SyntheticMark

TAKEN_OVER_TEXT = (
    "SpecificCharacterSet PatientAge PatientSize PatientWeight IssuerOfPatientID StudyInstanceUID StudyDescription "
    "PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence LongitudinalTemporalInformationModified "
    "BurnedInAnnotation FrameOfReferenceUID PositionReferenceIndicator PatientPosition BodyPartExamined SliceThickness "
    "LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod"
)
TAKEN_OVER = (*REPEATED, *TAKEN_OVER_TEXT.split())
PURPOSE = Code("121322", "DCM", "Source image for image processing operation")  # PS3.16 CID 7202
EMPTY: dict[UID, dict[str, Any]] = {  # what the standard asks of an image of its kind and no network can say
    CTImageStorage: {"KVP": None, "AcquisitionNumber": None, "PatientPosition": ""},
    MRImageStorage: {
        "ScanningSequence": "RM",  # research mode
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "",
        "RepetitionTime": None,
        "EchoTime": None,
        "EchoTrainLength": None,
        "PatientPosition": "",
    },
    SecondaryCaptureImageStorage: {"ConversionType": "WSD", "PatientOrientation": ""},
}


@dataclass(frozen=True)
class PictureKind:
    """What a frame is written as: its SOP class, its modality, and the end of its image type."""

    sop_class: UID
    modality: str
    image_type: tuple[str, ...] = ()


CT = PictureKind(CTImageStorage, "CT", ("AXIAL",))
OTHER = PictureKind(SecondaryCaptureImageStorage, "OT")  # of a modality that nobody named


def kind_of(header: Header, *, is_colour: bool) -> PictureKind:
    """The kind that pictures made from this source are written as."""
    if is_colour or header.modality in FILMS | {"NM"}:
        return PictureKind(SecondaryCaptureImageStorage, header.modality)
    if header.modality == "CT":
        return CT
    if header.modality == "MR":
        return PictureKind(MRImageStorage, "MR", ("OTHER",))
    what = f"{header.name} is of the modality {header.modality or '(none)'}; pictures are written as CT, MR and films."
    raise Refused("result-source", what, "write the picture as NIfTI instead")


def begun(kind: PictureKind) -> Dataset:
    """A file of its kind that says nothing yet."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = kind.sop_class
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.ImplementationClassUID = UID(IMPLEMENTATION)
    made.Modality = kind.modality
    made.ImageType = ["DERIVED", "SECONDARY", *kind.image_type]
    for keyword, value in EMPTY[kind.sop_class].items():
        setattr(made, keyword, value)
    return made


def take_over(made: Dataset, source: Dataset) -> None:
    """Patient, study and place; nothing of how the source was acquired, which the picture was not."""
    for keyword in TAKEN_OVER:
        if keyword in source:
            made[keyword] = source[keyword]


def belong_to_nobody(made: Dataset, key: str, study_uid: str) -> None:
    """A patient that says that there is none."""
    for keyword in REPEATED:
        setattr(made, keyword, None)
    made.PatientName, made.PatientID = "NOBODY", f"SYNTHETIC-{key[:12]}"
    made.StudyInstanceUID = study_uid
    made.PositionReferenceIndicator = made.Laterality = None


def put(
    made: Dataset, position: Sequence[float], orientation: Sequence[float], spacing: Sequence[float], thickness: float
) -> None:
    """Where the frame lies: LPS mm of its first pixel, directions along a row and a column, (row, column) mm."""
    made.ImagePositionPatient = _decimals(position)
    made.ImageOrientationPatient = _decimals(orientation)
    made.PixelSpacing = _decimals(spacing)
    if made.SOPClassUID != SecondaryCaptureImageStorage:
        made.SpacingBetweenSlices = DSfloat(thickness, auto_format=True)
        if made.get("SliceThickness") is None:
            made.SliceThickness = made.SpacingBetweenSlices


def put_as(made: Dataset, frame: SourceFrame, thickness: float) -> None:
    """As the source frame lies; a film has a spacing at most."""
    if frame.plane is not None:
        put(made, frame.plane.position, frame.plane.orientation, frame.plane.spacing, thickness)
    elif frame.header.pixel_spacing:
        at_patient = frame.header.spacing_at == "patient"
        setattr(made, "PixelSpacing" if at_patient else "NominalScannedPixelSpacing", _decimals(frame.header.pixel_spacing))


def set_grey(made: Dataset, stored: Stored, k: int, shown: tuple[float, float]) -> None:
    """Frame k of the stored values, with their rescale and a window over what is `shown` (low, high)."""
    array = stored.array[k]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = array.shape
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, int(array.dtype.kind == "i")
    if made.Modality == "CT" or (stored.slope, stored.intercept) != (1.0, 0.0):
        made.RescaleSlope, made.RescaleIntercept = _decimals((stored.slope, stored.intercept))
        made.RescaleType = "HU" if made.Modality == "CT" else "US"
    low, high = shown
    made.WindowCenter, made.WindowWidth = _decimals(((low + high) / 2, max(high - low, 1e-3)))
    made.PixelData = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes()
    made["PixelData"].VR = "OW"


def set_colour(made: Dataset, array: np.ndarray) -> None:
    """(3, rows, columns) of 0 to 255."""
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.Rows, made.Columns = array.shape[1:]
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    pixels = np.clip(np.rint(array), 0, 255).astype(np.uint8).transpose(1, 2, 0).tobytes()
    made.PixelData = pixels + b"\0" * (len(pixels) % 2)
    made["PixelData"].VR = "OB"


def say_network(made: Dataset, mark: SyntheticMark, when: datetime) -> None:
    """Who made it, by what, and that its content was made where it was."""
    say_made(made, mark)
    if mark.kind == SYNTHETIC or mark.is_phantom:
        made.SyntheticData = "YES"
    made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, mark.made_by[:DESCRIPTION_LENGTH]
    made.SoftwareVersions = __version__
    equipment = Dataset()
    equipment.Manufacturer, equipment.ManufacturerModelName = MANUFACTURER, mark.made_by[:DESCRIPTION_LENGTH]
    equipment.SoftwareVersions = __version__
    equipment.DeviceSerialNumber = mark.model_digest.removeprefix("sha256:")[:DESCRIPTION_LENGTH] or "0"
    equipment.ContributionDateTime = when.strftime("%Y%m%d%H%M%S")
    equipment.ContributionDescription = mark.sentence[:TEXT_LENGTH]
    purpose = codes.DCM.SynthesizingEquipment if mark.kind == SYNTHETIC else codes.DCM.ProcessingEquipment  # CID 7005
    equipment.PurposeOfReferenceCodeSequence = [code_item(Code(purpose.value, purpose.scheme_designator, purpose.meaning))]
    made.ContributingEquipmentSequence = [equipment]


def point_to(made: Dataset, frame: SourceFrame) -> None:
    """Source Image Sequence (0008,2112): the frame that the picture was made from."""
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = frame.header.sop_class, frame.header.sop_uid
    if frame.number:
        source.ReferencedFrameNumber = frame.number
    source.PurposeOfReferenceCodeSequence = [code_item(PURPOSE)]
    made.SourceImageSequence = [source]


def _decimals(values: Sequence[float]) -> list[DSfloat]:
    return [DSfloat(float(value), auto_format=True) for value in values]
