"""Whose file it is: what identifies the patient and the exam, read before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from overread.imaging.deidentify.representation import vr_of
from overread.imaging.deidentify.text import Known

CODES = (
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "PatientBirthDate",
    "AdmissionID",
    "MedicalRecordLocator",
    "PatientTelephoneNumbers",
    "ServiceEpisodeID",
    "PatientAddress",
    "InstitutionAddress",
)
PLACES = ("InstitutionName", "InstitutionalDepartmentName", "StationName")


@dataclass(frozen=True)
class Identity:
    """Original identifiers of one file; "" where it has none.

    patient  what makes a patient: the ID, else name and birth date, else the study
    """

    patient: str
    patient_id: str
    name: str
    accession: str
    study: str
    series: str
    instance: str


def identity_of(tags: Dataset) -> Identity:
    patient_id, name, birth = _text(tags, "PatientID"), _text(tags, "PatientName"), _text(tags, "PatientBirthDate")
    study, series, instance = (_text(tags, f"{level}InstanceUID") for level in ("Study", "Series", "SOP"))
    patient = patient_id or (f"{name}|{birth}" if name else "") or study or instance
    return Identity(patient, patient_id, name, _text(tags, "AccessionNumber"), study, series, instance)


def known_of(tags: Dataset, keep_institution: bool) -> Known:
    """Every person's name at any depth, and the identifiers, addresses and places of this file."""
    keywords = (*CODES, *(() if keep_institution else PLACES))
    codes = [value for keyword in keywords for value in _values(tags, keyword)]
    return Known(_names(tags), codes)


def _names(tags: Dataset) -> Iterator[str]:
    for tag in list(tags.keys()):
        vr = None if tag.is_private else vr_of(tags, tag)
        if vr == "PN":
            yield from _values(tags, tag)
        elif vr == "SQ":
            for item in tags[tag].value or []:
                yield from _names(item)


def _values(tags: Dataset, key: str | BaseTag) -> list[str]:
    if key not in tags:
        return []
    value = tags[key].value
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, list | tuple) or hasattr(value, "append") else [str(value)]


def _text(tags: Dataset, keyword: str) -> str:
    return "\\".join(_values(tags, keyword)).strip("\0 ")
