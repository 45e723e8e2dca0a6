"""Does one person, one exam or one image lie on two sides of the split, or under two names?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from overread.audit.audited import Audited, AuditedCase
from overread.audit.concern import Concern, counted_as
from overread.audit.leaks.duplicates import find_twins
from overread.audit.leaks.elsewhere import Elsewhere, look_elsewhere
from overread.audit.leaks.groups import FLATTERS, SPLIT_AGAIN, Cases, counted, evidence_of, named_patient, patient
from overread.audit.leaks.images import look_for_copies
from overread.audit.leaks.siblings import look_for_siblings
from overread.audit.sketch import Sketch
from overread.cohort.progress import Progress

IDENTIFIERS = {  # what a header calls one exam of one person; a series is part of a study
    "study": ("study", "studies"),
    "accession": ("accession number", "accession numbers"),
    "frame_of_reference": ("frame of reference", "frames of reference"),
}


def look_for_leaks(
    audited: Audited,
    sketches: Mapping[str, Sketch],
    progress: Progress | None = None,
    elsewhere: Sequence[Elsewhere] = (),
) -> list[Concern]:
    """Shared patients, exams and images; contradicting truths; siblings; and what cannot be known.

    sketches   of the images of the cohort, then of its external cohorts
    elsewhere  the external cohorts
    """
    found = Cases(audited)
    own = {name: one for name, one in sketches.items() if name in found.by_name}
    twins = find_twins(sketches, progress)
    return [
        *_unknown_patients(audited),
        *_patients(found),
        *_identifiers(found),
        *look_for_copies(found, [pair for pair in twins if pair.one in own and pair.other in own]),
        *look_elsewhere(audited, sketches, twins, elsewhere),
        *look_for_siblings(audited, own),
    ]


def _unknown_patients(audited: Audited) -> list[Concern]:
    if audited.patients_known or not audited.cases:
        return []
    return [
        Concern(
            key="patients-not-known",
            subject="leak",
            severity="warning",
            statement=f"Nothing names the patients of {counted_as(len(audited.cases), 'case')}, so each counts as a patient of "
            "its own.",
            meaning="That training and test share no person cannot be claimed. Where they do, the score flatters; where one "
            "person has several cases, intervals are too narrow.",
            certainty="Sure that it cannot be known from these files. Copies of images, and in part scans of one person, are "
            "found by their content (see the other concerns); two different films of one person are not.",
            advice="Ask for a column that names the patient, give it with --group-by; or say in the paper that there is none.",
            evidence={"cases": len(audited.cases)},
        )
    ]


def _patients(found: Cases) -> list[Concern]:
    groups = found.across(found.groups_by(patient))
    if not groups:
        return []
    return [
        Concern(
            key="patient-in-two-partitions",
            subject="leak",
            severity="fault",
            statement=f"{counted(groups, ('patient', 'lies'), ('patients', 'lie'))} in more than one partition.",
            meaning=FLATTERS,
            certainty="Sure, as far as the column or header that names the patient is right.",
            advice="Draw the split by patient: init --splits none --group-by COLUMN.",
            evidence=evidence_of(found, groups),
            cases=groups,
            partitions=found.partitions(groups),
        )
    ]


def _identifiers(found: Cases) -> list[Concern]:
    """An exam that two patients share; within one patient the patient tells it all."""
    concerns = []
    for kind, (one, many) in IDENTIFIERS.items():
        shared = [group for group in found.groups_by(partial(_identifier, kind)) if found.different(group, patient) > 1]
        across = found.across(shared)
        named = [group for group in shared if found.different(group, named_patient) > 1]
        if across:
            concerns.append(
                Concern(
                    key=f"{kind.replace('_', '-')}-in-two-partitions",
                    subject="leak",
                    severity="fault",
                    statement=f"{counted(across, (one, 'lies'), (many, 'lie'))} in more than one partition.",
                    meaning=FLATTERS,
                    certainty=f"The headers say it; one {one} belongs to one person. Software that writes one {one} into every "
                    "file would look the same.",
                    advice=SPLIT_AGAIN,
                    evidence=evidence_of(found, across),
                    cases=across,
                    partitions=found.partitions(across),
                )
            )
        if named:
            concerns.append(
                Concern(
                    key=f"{kind.replace('_', '-')}-under-two-patients",
                    subject="leak",
                    severity="warning",
                    statement=f"{counted(named, (one, 'is'), (many, 'are'))} shared by cases of different patients.",
                    meaning="One person may go under two numbers, so that a split by patient does not keep the person together.",
                    certainty=f"Not sure which is wrong, the patient or the {one}.",
                    advice="Check these cases at their source, and give them one patient number if they are one person.",
                    evidence=evidence_of(found, named),
                    cases=named,
                    partitions=found.partitions(named),
                )
            )
    return concerns


def _identifier(kind: str, case: AuditedCase) -> str:
    return case.identifiers.get(kind, "")
