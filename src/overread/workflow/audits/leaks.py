"""A leak that the last audit found stops training, unless it is accepted with a reason that everybody can read."""

from __future__ import annotations

from overread.cohort.index import current_digest
from overread.core.errors import Refused
from overread.record.files import read_json
from overread.workflow.project import Project

ENTRY = "audited leak accepted"


def leaks_found(project: Project) -> list[str]:
    """What the audit of this very version of the cohort says of leaks that would make a score wrong; none without one."""
    path = project.path / "audit" / "audit.json"
    if not path.exists():
        return []
    record = read_json(path)
    if record.get("cohort") != current_digest(project.path):
        return []
    return [c["statement"] for c in record["concerns"] if c["subject"] == "leak" and c["severity"] == "fault"]


def refuse_leaks_found(project: Project) -> None:
    """Stop before training; or write the accepted leaks into the ledger, once for each cohort and reason."""
    leaks = leaks_found(project)
    if not leaks:
        return
    reason = project.settings.split.leak_override.strip()
    if not reason:
        raise Refused(
            "leak",
            "The audit of this cohort found what would make its scores wrong. " + " ".join(leaks),
            f"look at {project.path / 'audit' / 'audit.html'} and make the project again with a split that keeps these cases "
            "together; to accept them, say why: split.leak_override in project.toml (it goes into the ledger and the report)",
        )
    entry = {"cohort": current_digest(project.path), "reason": reason, "leaks": leaks}
    if not any(e["entry"] == ENTRY and all(e.get(k) == v for k, v in entry.items()) for e in project.ledger.entries()):
        project.ledger.append(ENTRY, **entry)
