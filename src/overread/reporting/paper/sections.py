"""The sections of the report that help to write the paper: versions, limitations, draft, checklists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.reporting.checklists.claim import STATUSES, ClaimRow, claim_rows, tally
from overread.reporting.checklists.items import SOURCE
from overread.reporting.checklists.mappings import STARD_NOTE, TRIPOD_NOTE, MappedRow, stard_rows, tripod_rows
from overread.reporting.given import ReportInput
from overread.reporting.paper.limitations import count, first_opening, limitations
from overread.reporting.paper.methods import methods_text

_CHANGES = {  # of one, of several
    "new_cases": ("new case", "new cases"),
    "removed_cases": ("case removed", "cases removed"),
    "corrected_truths": ("truth corrected", "truths corrected"),
    "changed_images": ("image changed", "images changed"),
}


def paper_sections(given: ReportInput) -> dict[str, Any]:
    """What the template shows of all this."""
    rows = claim_rows(given)
    answers = dict(given.answers)
    return {
        "versions": version_rows(given),
        "limitations": limitations(given),
        "draft": methods_text(given),
        "claim": [_claim(row) for row in rows],
        "claim_tally": tally(rows),
        "claim_source": SOURCE,
        "mappings": [
            ("STARD", STARD_NOTE, [_mapped(row) for row in stard_rows(rows, answers)]),
            ("TRIPOD+AI", TRIPOD_NOTE, [_mapped(row) for row in tripod_rows(rows, answers)]),
        ],
        "ethics": given.answer("study.ethics") or ("none needed: phantom" if given.is_phantom else "NOT STATED"),
    }


def version_rows(given: ReportInput) -> list[dict[str, Any]]:
    """When the cohort changed, how, and whether the seal had been opened by then."""
    first = first_opening(given)
    return [
        {
            "number": v["version"],
            "date": str(v.get("time", ""))[:10],
            "reason": {"init": "project made", "update": "looked at again"}.get(str(v.get("reason")), str(v.get("reason", ""))),
            "cases": v["cases"],
            "patients": v["patients"],
            "changes": _changes(v.get("changed") or {}),
            "is_late": first is not None and str(v.get("time", "")) > first,
        }
        for v in given.versions
    ]


def _changes(changed: Mapping[str, Any]) -> str:
    found = []
    for key, value in changed.items():
        if number := count(value):
            one, several = _CHANGES.get(key, (key.replace("_", " "),) * 2)
            found.append(f"{number} {one if number == 1 else several}")
    return "; ".join(found) or "nothing"


def _claim(row: ClaimRow) -> dict[str, Any]:
    return {
        "number": row.item.number,
        "part": row.item.part,
        "subject": row.item.subject,
        "status": row.status,
        "mark": STATUSES.index(row.status),
        "record": row.record,
        "answer": row.answer,
        "ask": row.item.ask,
        "proof": [_pointer(p) for p in row.proof],
    }


def _pointer(proof: str) -> dict[str, str]:
    """A section of this page becomes a link; files stay names."""
    page, _, anchor = proof.partition("#")
    return (
        {"words": f"section {anchor}", "anchor": anchor} if page == "report.html" and anchor else {"words": proof, "anchor": ""}
    )


def _mapped(row: MappedRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "subject": row.subject,
        "status": row.status,
        "mark": STATUSES.index(row.status),
        "claim": ", ".join(map(str, row.claim)) or "none",
    }
