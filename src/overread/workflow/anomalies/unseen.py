"""Cases that the model of normal images does not know: neither their pixels nor their patients were learned or fitted on."""

from __future__ import annotations

from collections.abc import Sequence

from overread.cohort.identity import read_links
from overread.cohort.index import Cohort, read_index, read_splits
from overread.cohort.match import tokens
from overread.core.case import Case
from overread.workflow.project import Project

KNOWN = ("training", "tuning")


def unseen(normals: Cohort, other: Project, cases: Sequence[Case]) -> list[Case]:
    """Those whose image is not among the training and tuning images of the normal project, nor anybody's of these patients.

    Pixels are compared by their digests; patients by their ids, whatever their spelling, where both projects know patients.
    """
    known = {case_id for case_id, place in normals.partition.items() if place in KNOWN}
    images = {row.digest for row in read_index(normals.folder) if row.case.case_id in known}
    patients = {tokens(link.original_patient) for link in read_links(normals.folder) if link.case_id in known}
    both_know = all(read_splits(folder)["grouped_by"] == "patient" for folder in (normals.folder, other.path))
    theirs = {link.case_id: tokens(link.original_patient) for link in read_links(other.path)} if both_know else {}
    digests = {row.case.case_id: row.digest for row in read_index(other.path)}
    return [
        case
        for case in cases
        if digests[case.case_id] not in images and not (theirs.get(case.case_id) and theirs[case.case_id] in patients)
    ]
