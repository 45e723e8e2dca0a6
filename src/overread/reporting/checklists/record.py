"""What the record of a run knows of each item of CLAIM; never more than is known."""

from __future__ import annotations

from overread.reporting.checklists.images import of_images
from overread.reporting.checklists.known import Known
from overread.reporting.checklists.results import RESULTS
from overread.reporting.checklists.study import STUDY
from overread.reporting.given import ReportInput


def from_record(given: ReportInput) -> dict[int, Known]:
    """Number of the item -> what is known; items without an entry are known to the author alone."""
    return {number: made(given) for number, made in {**STUDY, **RESULTS, **of_images(given)}.items()}
