"""A case is a row, not pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PARTITIONS = ("training", "tuning", "internal")
MADE = ("generated", "derived")  # origins of images that a network made or changed: they may train, and nothing else
OF_THE_IMAGE = "image"  # format of a truth that is made of the case's own image


@dataclass(frozen=True)
class ImageReference:
    """Where one channel of a case lies.

    channel  channel name
    format   "dicom", "nifti", "nrrd", "mha", "raster" or "npz"; "missing" for a channel that the exam lacks
    files    paths relative to the cohort's image folder: every file of a DICOM series in order
             along the normal, or the one file
    index    row inside an ``.npz``, frame inside a multi-frame file; None for the whole file
    """

    channel: str
    format: str
    files: tuple[str, ...]
    index: int | None = None


@dataclass(frozen=True)
class TruthReference:
    """Where one truth of a case lies, and who gave it.

    values  classification and regression: name -> value (None where not known); drawn truths: structure -> label value
    files   segmentation: label files, relative to the truth folder
    format  "value", "nifti", "nrrd", "mha", "raster", "dicom-seg" or "npz"; drawn truths: "rtstruct", "sr", or the format
            of the label file with the places of its objects in it; "image" where it is made of the case's own image
    """

    values: Mapping[str, float | None] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    format: str = "value"
    reader: str = "unknown"
    method: str = "unknown"
    date: str = ""


@dataclass(frozen=True)
class Case:
    """One unit to be answered.

    case_id, patient_id, exam_id  pseudonyms; the link to the originals stays in `cohort/private/`
    truth                         None where it is not known, or is sealed
    origin                        "acquired", "simulated" (a phantom), "generated" (made by a network) or "derived" (a
                                  patient's image that a network changed)
    """

    case_id: str
    patient_id: str
    exam_id: str
    images: tuple[ImageReference, ...]
    truth: TruthReference | None = None
    site: str = ""
    scanner: str = ""
    covariates: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "acquired"

    @property
    def is_made(self) -> bool:
        """A network made or changed its image."""
        return self.origin in MADE
