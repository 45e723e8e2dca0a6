"""What the last audit found of leaks: it stops training unless accepted with a reason, and stands beside an external score."""

from __future__ import annotations

from typing import Any

from overread.cohort.index import current_digest
from overread.core.errors import Refused
from overread.record.files import read_json
from overread.workflow.external import PREFIX
from overread.workflow.project import Project

ENTRY = "audited leak accepted"


def leaks_found(project: Project) -> list[str]:
    """What the audit of this very version of the cohort says of leaks that would make a score wrong; none without one.

    What an external cohort shares with the project is no reason not to train: it spoils that cohort's test.
    """
    return [c["statement"] for c in _faults(project) if not any(p.startswith(PREFIX) for p in c.get("partitions", ()))]


def shared_with(project: Project, external: str) -> list[str]:
    """What the audit of this very version of the cohort says that "external:NAME" shares with what was learned from."""
    return [c["statement"] for c in _faults(project) if external in c.get("partitions", ())]


def _faults(project: Project) -> list[dict[str, Any]]:
    path = project.path / "audit" / "audit.json"
    if not path.exists():
        return []
    record = read_json(path)
    if record.get("cohort") != current_digest(project.path):
        return []
    return [c for c in record["concerns"] if c["subject"] == "leak" and c["severity"] == "fault"]


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
    entry: dict[str, Any] = {"cohort": current_digest(project.path), "reason": reason, "leaks": leaks}
    if not any(e["entry"] == ENTRY and all(e.get(k) == v for k, v in entry.items()) for e in project.ledger.entries()):
        project.ledger.append(ENTRY, **entry)
