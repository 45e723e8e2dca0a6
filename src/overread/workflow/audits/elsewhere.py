"""The external cohorts of a project as its audit sees them: images, and digests of patients; no truth of theirs is looked at."""

from __future__ import annotations

import hmac
from collections import defaultdict
from functools import partial

from overread.audit.audited import Audited, AuditedCase
from overread.audit.leaks.elsewhere import Elsewhere
from overread.cohort.identity import read_key, read_links
from overread.cohort.index import places_of, read_index, read_splits
from overread.cohort.match import tokens
from overread.workflow.audits.opening import open_case
from overread.workflow.external import external_cohorts, label_of
from overread.workflow.project import Project

ACCEPTED = "overlap accepted"  # the ledger's word, see `overread.workflow.external`


def elsewhere_of(project: Project) -> tuple[Elsewhere, ...]:
    """Every external cohort of a project; nothing of an image is opened yet."""
    return tuple(_elsewhere(project, other) for other in external_cohorts(project))


def names_elsewhere(project: Project) -> dict[str, str]:
    """case_id as `elsewhere_of` has it -> what the user calls it; for the terminal."""
    cohorts = {label_of(other): other for other in external_cohorts(project)}
    return {
        _told(name, link.case_id): f"{name} {link.original_name}"
        for name, other in cohorts.items()
        for link in read_links(other.path)
    }


def _elsewhere(project: Project, other: Project) -> Elsewhere:
    name, images = label_of(other), other.settings.images
    rows = [row for row in read_index(other.path) if row.case.case_id in _present(other)]
    references = {_told(name, row.case.case_id): row.case.images for row in rows}
    cases = tuple(AuditedCase(case_id, case_id, is_sealed=True) for case_id in references)
    opener = partial(open_case, references, other.images_folder, images.gaps, images.tilt)
    accepted = any(e["entry"] == ACCEPTED and e.get("of", name) == name for e in project.ledger.entries())
    return Elsewhere(name, Audited(cases, opener), _people(project, other, name), accepted)


def _people(project: Project, other: Project, name: str) -> tuple[tuple[str, ...], ...] | None:
    """Cases of one patient in both; None where one of the two does not know its patients."""
    if any(read_splits(one.path)["grouped_by"] != "patient" for one in (project, other)):
        return None
    key = read_key(project.path)
    here, there = _by_patient(project, key), _by_patient(other, key)
    return tuple((*here[who], *(_told(name, case) for case in there[who])) for who in sorted(here.keys() & there.keys()))


def _by_patient(project: Project, key: bytes) -> dict[str, list[str]]:
    """Keyed digest of a patient's id, whatever its spelling -> case_ids."""
    present, found = _present(project), defaultdict(list)
    for link in read_links(project.path):
        if link.case_id in present and link.original_patient != link.original_name:
            found[hmac.new(key, "|".join(tokens(link.original_patient)).encode(), "sha256").hexdigest()].append(link.case_id)
    return found


def _present(project: Project) -> set[str]:
    """Cases that were not retired."""
    splits = read_splits(project.path)
    return set(places_of(splits)) - set(splits.get("retired", {}))


def _told(name: str, case_id: str) -> str:
    return f"{name}/{case_id}"
