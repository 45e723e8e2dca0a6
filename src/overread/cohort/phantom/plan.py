"""The list of exams to simulate, before any pixel is computed: who, when, under which names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from overread.cohort.phantom.covariates import Person, draw_person, random_stream
from overread.cohort.phantom.options import Options
from overread.imaging.dicom.write_ct import Exam


@dataclass(frozen=True)
class Planned:
    """One exam to be simulated and written.

    exam         its number in the patient's life, from 0: decides the pixels
    patient_id, exam_id, day   as written in headers, sheet and file names
    is_positive  the label that faults follow
    has_marker   a marker is burned into the pixels
    left_out     how many slices are not written
    """

    person: Person
    exam: int
    patient_id: str
    exam_id: str
    day: date
    site: str
    is_positive: bool
    has_marker: bool = False
    left_out: int = 0

    def header(self, seed: int, kind: str, site: str) -> Exam:
        """The tags of patient and study; everything in them follows from seed, kind and exam."""
        key = f"overread phantom/{kind}/{seed}/{self.exam_id}"
        number = random_stream(seed, kind, self.person.number, 40 + self.exam).integers(10**6)
        return Exam(
            patient_id=self.patient_id,
            patient_name=f"PHANTOM^{self.patient_id}",
            sex=self.person.sex,
            birth=self.person.birth,
            day=self.day,
            exam_id=self.exam_id,
            accession=f"PH{self.person.number:04d}{self.exam + 1}{number:06d}",
            site=site,
            key=key,
            burned_in=self.has_marker,
        )

    def under(self, patient_id: str) -> Planned:
        """The same exam under another patient id."""
        return replace(self, patient_id=patient_id, exam_id=f"{patient_id}_S{self.exam + 1}")


def is_positive(seed: int, kind: str, person: Person, exam: int) -> bool:
    """The label that faults follow: a liver lesion, or pneumonia at this exam."""
    if kind == "abdomen":
        return person.burden != "none"
    return has_pneumonia(seed, person, exam)


def has_pneumonia(seed: int, person: Person, exam: int) -> bool:
    """A third of the films show pneumonia; a follow-up film is drawn anew, as pneumonia heals."""
    return bool(random_stream(seed, "chest", person.number, 30 + exam).random() < 0.38)


def plan_exams(options: Options) -> list[Planned]:
    """Every exam of every patient, in order, with no fault planted yet."""
    planned = []
    for number in range(1, options.patients + 1):
        person = draw_person(options.seed, options.kind, number)
        for exam, day in enumerate(person.exam_dates):
            positive = is_positive(options.seed, options.kind, person, exam)
            planned.append(Planned(person, exam, person.patient_id, f"{person.patient_id}_S{exam + 1}", day, "", positive))
    return planned
