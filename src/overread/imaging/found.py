"""What a scan of a folder found: plain values that travel between processes and into a cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Found:
    """One image that could become a channel of a case: a DICOM series, a file, a row of an archive.

    format      "dicom", "nifti", "nrrd", "mha", "raster" or "npz"
    files       paths relative to the scanned folder; a DICOM series in order along its normal; after a detached
                header (.hdr, .nhdr, .mhd) the files of its voxels. A path may lead into an archive:
                ``export.zip/DICOM/IM0001`` (see `overread.imaging.archive`)
    name        series description or file stem: for people, not unique
    patient, study, series
                identifiers as the file has them, None where it has none. They stay in
                `cohort/private/`; a report, an event or a model never sees them
    attributes  modality, body_part, vendor, model, kernel, thickness_mm, plane, description, n_slices,
                synthetic, study_date, patient_sex, patient_age, site, accession and so on, where known.
                ``ineligible`` holds the reason why this is no image to learn from (localizer, report,
                missing slice ...), ``code`` its short name and ``next`` what can be done, where something can;
                ``repairs`` what opening it would correct;
                ``volume`` which of several volumes in one series this is ("echo 2", "b 800");
                ``synthetic`` whether the image is a phantom's, ``made`` "synthetic" or "derived" where a network made
                or changed it
    shape       (Z, Y, X) voxels, None where not known
    spacing     (Z, Y, X) mm, None where the format carries none
    index       row inside an ``.npz``, number of the volume in a multi-frame file; None for whole files
    """

    format: str
    files: tuple[str, ...]
    name: str
    patient: str | None = None
    study: str | None = None
    series: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    index: int | None = None

    @property
    def is_eligible(self) -> bool:
        """An image that can be read and learned from."""
        return "ineligible" not in self.attributes


@dataclass(frozen=True)
class RefusedFile:
    """A file that should have been an image but could not be taken in; path relative to the folder."""

    path: str
    code: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """All that lies in a folder.

    ignored  how many files of which suffix are no images ("" is no suffix)
    hidden   how many files and folders were passed over because their names begin with a dot
    notes    worth telling: what was found in archives, what a DICOMDIR lists
    """

    folder: str
    found: tuple[Found, ...]
    refused: tuple[RefusedFile, ...]
    ignored: Mapping[str, int]
    hidden: int = 0
    notes: tuple[str, ...] = ()

    @property
    def eligible(self) -> tuple[Found, ...]:
        return tuple(found for found in self.found if found.is_eligible)
