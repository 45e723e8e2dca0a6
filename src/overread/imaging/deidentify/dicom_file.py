"""One DICOM file: read, taken apart by the profile, and written under its new UIDs.

Pixels stay byte for byte as they were, unless a region is blackened or overlays hide in unused bits of the pixels.
Preamble and file meta information are written anew (PS3.10 7.1): they hold no byte of the source but the coding of the pixels.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from overread import __version__
from overread.core.errors import OverreadError, Refused
from overread.imaging.deidentify.burned_in import doubts
from overread.imaging.deidentify.dataset import Walk
from overread.imaging.deidentify.identity import Identity, identity_of, known_of
from overread.imaging.deidentify.look import look_at
from overread.imaging.deidentify.profile import PIXELS, Profile
from overread.imaging.deidentify.regions import blacken, clear_embedded_overlays, facts_of
from overread.imaging.deidentify.settings import Done, Settings
from overread.imaging.deidentify.table import EDITION
from overread.imaging.dicom.header import looks_like_dicom, read_header
from overread.imaging.dicom.parse import parse

PATIENT_ID, PATIENT_NAME, ACCESSION = 0x00100020, 0x00100010, 0x00080050
ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."  # PDF, CDA, STL, OBJ: documents whose content no table of tags reaches
RAW_DATA = "1.2.840.10008.5.1.4.1.1.66"
STANDARD_OBJECTS = "1.2.840.10008."
SCANNERS = ("CT", "MR", "PT")
HEAD = re.compile(r"head|brain|skull|face|facial|neck|neuro|crani|cereb|orbit|sinus|jaw|kopf|sch[aä]del|hirn", re.IGNORECASE)
LARGEST = 1 << 30  # bytes; a file is held in memory twice


def deidentify_dicom(path: Path, source: str, out: Path, settings: Settings) -> Done:
    """Write the de-identified copy below `out` and say what was done; refused files are not written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values are what this is about; they are judged one by one
        tags = _read(path)
        try:
            return _deidentify(tags, path, source, out, settings)
        except (OverreadError, OSError, MemoryError):
            raise
        except Exception as error:  # a damaged value can fail in any way inside the parser; nothing of it is written
            what = f"{path.name} cannot be taken apart safely: {type(error).__name__}."
            raise Refused("unreadable", what, "repair the file, or leave it out") from error


def _read(path: Path) -> FileDataset:
    header = read_header(path)  # refuses what is cut or no DICOM
    if path.stat().st_size > LARGEST:
        raise Refused("too-large", f"{path.name} is larger than 1 GiB.", "split it into files of fewer frames")
    if not header.sop_class or not header.sop_uid:
        raise Refused("no-object", f"{path.name} does not say what it is (SOP Class or Instance UID).", "leave it out")
    if header.sop_class.startswith(ENCAPSULATED):
        raise Refused(
            "document", f"{path.name} holds a document (PDF or alike), which may name the patient anywhere.", "leave it out"
        )
    if header.sop_class == RAW_DATA or not header.sop_class.startswith(STANDARD_OBJECTS):
        raise Refused("private-object", f"{path.name} is a vendor's own object; nobody can say what it holds.", "leave it out")
    try:
        tags = parse(path, force=looks_like_dicom(path))
    except Refused:
        raise
    except Exception as error:  # a damaged file can fail in any way inside the parser
        raise Refused("unreadable", f"{path.name} is damaged: {type(error).__name__}.", "fetch the file again") from error
    if "EncapsulatedDocument" in tags:
        raise Refused(
            "document", f"{path.name} holds a document (PDF or alike), which may name the patient anywhere.", "leave it out"
        )
    if "TransferSyntaxUID" not in tags.file_meta:
        tags.file_meta.TransferSyntaxUID = _syntax(tags)
    return tags


def _syntax(tags: FileDataset) -> pydicom.uid.UID:
    is_implicit, is_little = tags.original_encoding
    if is_implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian


def _deidentify(tags: FileDataset, path: Path, source: str, out: Path, settings: Settings) -> Done:
    secret, profile = settings.secret, settings.profile
    identity = identity_of(tags)
    patient = secret.code("patient", identity.patient)
    known = known_of(tags, keep_institution="institution" in profile.options)
    uids = {name: _new_uid(settings, getattr(identity, name)) for name in ("study", "series", "instance")}
    log: Counter[tuple[str, str]] = Counter()
    fitting = _masked(tags, path.name, identity, {**uids, "patient": patient}, settings, log)
    if clear_embedded_overlays(tags, path.name):
        log["(60xx,3000)", "cleared in the pixels"] += 1
    modality, has_face = str(tags.get("Modality", "")), _is_head(tags)
    suspected = doubts(tags)
    days = secret.shift(identity.patient)
    codes = {PATIENT_ID: patient, PATIENT_NAME: patient, ACCESSION: secret.code("accession", identity.accession)}
    walk = Walk(profile, secret, days, known, str(tags.SOPClassUID), codes, log)
    walk.over(tags)
    _declare(tags, profile, patient, bool(fitting))
    written = Path(patient) / (uids["study"] or "study") / (uids["series"] or "series") / f"{uids['instance']}.dcm"
    (out / written).parent.mkdir(parents=True, exist_ok=True)
    _write_once(tags, out / written, path.name)
    look = look_at(out / written, suspected) if _has_image(tags) else None
    return Done(
        source,
        written.as_posix(),
        "dicom",
        identity,
        patient,
        uids["series"],
        modality,
        log,
        look,
        days if "dates_modified" in profile.options else 0,
        fitting,
        has_face,
        {name: values[0] for name, values in facts_of(tags).items()},
    )


def _new_uid(settings: Settings, original: str) -> str:
    return original if "uids" in settings.profile.options else settings.secret.uid(original)


def _masked(
    tags: FileDataset, name: str, identity: Identity, new: dict[str, str], settings: Settings, log: Counter[tuple[str, str]]
) -> tuple[int, ...]:
    """Blacken what the rules say; the numbers of the rules that fit."""
    facts = facts_of(tags) | {
        "instance": (identity.instance, new["instance"]),
        "series": (identity.series, new["series"]),
        "study": (identity.study, new["study"]),
        "patient": (new["patient"],),
    }
    fitting = tuple(number for number, rule in enumerate(settings.rules) if rule.fits(facts))
    if fitting:
        blacken(tags, [box for number in fitting for box in settings.rules[number].boxes], name)
        log["(7fe0,0010) PixelData", "regions blackened"] += 1
    return fitting


def _is_head(tags: Dataset) -> bool:
    """A section of CT, MR or PET that is said to be of the head."""
    words = " ".join(
        str(tags.get(keyword, "")) for keyword in ("BodyPartExamined", "SeriesDescription", "StudyDescription", "ProtocolName")
    )
    return str(tags.get("Modality", "")) in SCANNERS and "PixelData" in tags and bool(HEAD.search(words))


def _has_image(tags: Dataset) -> bool:
    return "PixelData" in tags and int(tags.get("BitsAllocated", 0) or 0) > 1


def _declare(tags: Dataset, profile: Profile, patient: str, is_masked: bool) -> None:
    """What was done, in the file's own words (PS3.15 E.1.1, PS3.3 C.7.1.1)."""
    tags.PatientID = tags.PatientName = patient
    tags.PatientIdentityRemoved = "YES"
    tags.DeidentificationMethod = f"Overread {__version__}: PS3.15 {EDITION} Annex E"
    tags.DeidentificationMethodCodeSequence = [_code(*code) for code in (*profile.codes(), *([PIXELS] if is_masked else []))]
    tags.LongitudinalTemporalInformationModified = profile.dates


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _write_once(tags: FileDataset, path: Path, name: str) -> None:
    """A file that cannot be written whole is not left behind."""
    try:
        _write(tags, path, name)
    except Refused:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write(tags: FileDataset, path: Path, name: str) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = tags.SOPClassUID
    meta.MediaStorageSOPInstanceUID = tags.SOPInstanceUID
    meta.TransferSyntaxUID = tags.file_meta.TransferSyntaxUID
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    tags.file_meta = meta
    tags.preamble = b"\0" * 128
    try:
        with open(path, "xb") as file:
            pydicom.dcmwrite(file, tags, enforce_file_format=True)
    except FileExistsError:
        what = f"The object (SOP Instance UID) in {name} was there before."
        raise Refused("duplicate-file", what, "keep one of the copies") from None
