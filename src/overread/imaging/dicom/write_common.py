"""What every object that is written has in common: who made it, from what, when, and that it is research.

Identifiers are made from the model, the source images and the content, so that writing the same answer again
replaces an object instead of adding one.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless
from pydicom.valuerep import DA, TM

from overread import __version__
from overread.core.errors import Refused
from overread.imaging.dicom.codes import PRIVATE_SCHEME, Code
from overread.imaging.dicom.evidence import UTF_8, Evidence
from overread.imaging.dicom.write_ct import uid_of
from overread.record.files import write_with

RESEARCH = "RESEARCH"  # every series description begins with it: nobody mistakes an answer for a report
DESCRIPTION_LENGTH = 64  # value representation LO, DICOM PS3.5 6.2
TEXT_LENGTH = 1024  # value representation ST
DISCLAIMER = "Research result of a computer program, not reviewed by a physician; not for diagnosis."
MANUFACTURER = "Overread"
UNPAIRED_TEXT = (  # body parts that have no side (PS3.16 table L-1)
    "ABDOMEN ABDOMENPELVIS ANUS AORTA BLADDER BRAIN CEREBELLUM CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS "
    "COCCYX COLON CORONARYARTERY CSPINE CTSPINE DUODENUM ESOPHAGUS GALLBLADDER HEAD HEADNECK HEART ILEUM ILIUM JAW "
    "JEJUNUM LARYNX LIVER LSPINE LSSPINE MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE "
    "PANCREAS PELVIS PENIS PHARYNX PROSTATE RECTUM SCALP SKULL SPINE SPLEEN SSPINE STERNUM STOMACH THYMUS THYROID "
    "TLSPINE TONGUE TRACHEA TSPINE URETER UTERUS VAGINA WHOLEBODY"
)
UNPAIRED = frozenset(UNPAIRED_TEXT.split())
Object = TypeVar("Object", bound=Dataset)


@dataclass(frozen=True)
class Algorithm:
    """Who answered: name and version, and the digest of the model ("sha256:..."), which names it for good."""

    name: str = "Overread model"
    version: str = __version__
    model: str = ""

    @property
    def key(self) -> str:
        """What identifiers are made from: the digest of the model, or name and version where there is none."""
        return self.model or f"{self.name} {self.version}"

    @property
    def sentence(self) -> str:
        return f"{self.name} {self.version}" + (f", model {self.model}" if self.model else "")

    def identification(self) -> AlgorithmIdentificationSequence:
        """For image objects (PS3.3 table 10-19)."""
        return AlgorithmIdentificationSequence(
            name=self.name[:DESCRIPTION_LENGTH],
            version=self.version[:DESCRIPTION_LENGTH],
            family=codes.DCM.ArtificialIntelligence,
            source=MANUFACTURER,
            parameters={"model": self.model} if self.model else None,
        )


@dataclass(frozen=True)
class About:
    """How one object is to be made.

    kind         "SEG", "SR", "SC", "MAP": one series for each
    description  what follows RESEARCH in the series description
    content      digest of the answer
    when         content date and time; they do not enter the identifiers
    """

    kind: str
    evidence: Evidence
    algorithm: Algorithm
    description: str
    series_number: int
    content: str
    when: datetime = field(default_factory=datetime.now)
    instance: int = 1

    @property
    def series_description(self) -> str:
        return f"{RESEARCH} {self.description}"[:DESCRIPTION_LENGTH]

    @property
    def series_uid(self) -> str:
        header = self.evidence.first
        return uid_of(self.algorithm.key, header.study_uid, header.series_uid, self.kind, self.series_description)

    @property
    def sop_uid(self) -> str:
        return uid_of(self.algorithm.key, *self.evidence.uids, self.kind, self.series_description, self.content, self.instance)

    def identity(self) -> dict[str, Any]:
        """Arguments that all of highdicom's objects take."""
        return {
            "series_instance_uid": self.series_uid,
            "series_number": self.series_number,
            "sop_instance_uid": self.sop_uid,
            "instance_number": self.instance,
            "manufacturer": MANUFACTURER,
        }

    def equipment(self) -> dict[str, Any]:
        """Arguments of multi-frame objects: who made them, and words about the content."""
        return {
            "manufacturer_model_name": self.algorithm.name[:DESCRIPTION_LENGTH],
            "software_versions": __version__,
            "device_serial_number": self.serial_number,
            "content_description": self.series_description,
            "content_label": RESEARCH,
        }

    @property
    def serial_number(self) -> str:
        """The model's digest in the place of a device's number, as far as it fits (64 characters)."""
        return self.algorithm.model.removeprefix("sha256:")[:DESCRIPTION_LENGTH] or "0"


@dataclass(frozen=True)
class Written:
    """An object on disk; notes are what the user should know of it."""

    path: Path
    kind: str
    sop_class: str
    sop_uid: str
    notes: tuple[str, ...] = ()


def tracking_uid(evidence: Evidence, algorithm: Algorithm, name: str) -> str:
    """Names one finding of one model on one set of images, the same in SEG and SR and whenever it is written."""
    return uid_of(algorithm.key, *evidence.uids, "tracking", name)


def digest_of(*parts: object) -> str:
    """Digest of arrays and words."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            state.update(f"{part.dtype.str}{part.shape}".encode())
            state.update(np.ascontiguousarray(part).view(np.uint8).reshape(-1))  # type: ignore[arg-type]
        else:
            state.update(f"{part!r};".encode())
    return state.hexdigest()


def build(what: str, evidence: Evidence, maker: Callable[[], Object]) -> Object:
    """Call highdicom; a source that cannot carry the object is refused by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom speaks of odd values in the sources, which are not ours to change
        try:
            return maker()
        except (ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
            said = f"{evidence.first.name} cannot carry a DICOM {what}: {error}"
            raise Refused("result-source", said, "write the answer as NIfTI or CSV instead") from error


def finish(made: Dataset, about: About, path: Path, notes: Sequence[str] = (), words: Sequence[str] = ()) -> Written:
    """Say what the object is, and write it.

    words  names that were written into it: they decide whether the character set of the source is enough
    """
    evidence = about.evidence
    made.SeriesDescription = about.series_description
    if "PixelData" in made or "FloatPixelData" in made:
        made.ImageComments = " ".join(filter(None, (DISCLAIMER, about.algorithm.sentence + ".", evidence.unassessed_text())))
    if evidence.is_synthetic:
        made.SyntheticData = "YES"
    for stem in ("InstanceCreation", "Content", "Series"):
        setattr(made, f"{stem}Date", DA(about.when.date()))
        setattr(made, f"{stem}Time", TM(about.when.time()))
    if about.kind != "SR":
        _name_place(made, evidence, about.kind)
    if any(not word.isascii() for word in (*words, about.series_description, about.algorithm.name)):
        made.SpecificCharacterSet = UTF_8
    _name_dimensions(made, about)
    _name_private_scheme(made)
    with as_named_refusal(path):
        write_with(Path(path), lambda beside: made.save_as(beside, enforce_file_format=True))
    return Written(Path(path), about.kind, str(made.SOPClassUID), str(made.SOPInstanceUID), tuple(notes))


def pack(made: Dataset) -> None:
    """Run-length code the 8-bit pixels of an object where that is smaller (PS3.5 annex G).

    The plugin is named: highdicom takes the first there is, and GDCM's ends the whole process on some images.
    """
    packed = encapsulate(list(RLELosslessEncoder.iter_encode(made, encoding_plugin="pylibjpeg")))
    if len(packed) < len(made.PixelData):
        made.PixelData = packed
        made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
        made.file_meta.TransferSyntaxUID = RLELossless


@contextmanager
def as_named_refusal(path: Path) -> Iterator[None]:
    """Values of the source that cannot be encoded again are named, not shown as a traceback."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            what = f"{Path(path).name}: a value taken over from the source cannot be written again: {error}"
            raise Refused("result-source", what, "write the answer as NIfTI or CSV instead") from error


def coded(code: Code) -> CodedConcept:
    """For highdicom."""
    return CodedConcept(code.value, code.scheme, code.meaning)


def _name_place(made: Dataset, evidence: Evidence, kind: str) -> None:
    """Body part, side and orientation as in the source; what it does not say stays empty (type 2C, PS3.3 C.7.3.1)."""
    source = evidence.tags[0]
    if "BodyPartExamined" not in made and source.get("BodyPartExamined"):
        made.BodyPartExamined = source.BodyPartExamined
    if not kind.startswith("SEG"):  # a segmentation says the side segment by segment
        side = str(source.get("Laterality") or source.get("ImageLaterality") or "")
        if side in ("L", "R"):
            made.Laterality = side
        elif "Laterality" not in made and str(made.get("BodyPartExamined") or "") not in UNPAIRED:
            made.Laterality = None
    if evidence.frames[0].plane is None and "PatientOrientation" not in made:
        made.PatientOrientation = source.get("PatientOrientation") or None  # type 2C too (PS3.3 C.7.6.1)


def _name_dimensions(made: Dataset, about: About) -> None:
    """highdicom draws a new identifier for the organisation of frames; ours must not change."""
    uid = uid_of(about.sop_uid, "dimensions")
    for item in (*made.get("DimensionOrganizationSequence", ()), *made.get("DimensionIndexSequence", ())):
        item.DimensionOrganizationUID = uid


def _name_private_scheme(made: Dataset) -> None:
    """Say whose the private coding scheme is (PS3.3 C.12.1.1.1), where the object uses it."""
    if not any(item.value == PRIVATE_SCHEME for item in made.iterall() if item.keyword == "CodingSchemeDesignator"):
        return
    scheme = Dataset()
    scheme.CodingSchemeDesignator = PRIVATE_SCHEME
    scheme.CodingSchemeName = "Names of classes and structures in an Overread project"
    scheme.CodingSchemeResponsibleOrganization = MANUFACTURER
    made.CodingSchemeIdentificationSequence = [scheme]
