"""What the audit's probes told of site and scanner from borders, background and headers, to be laid beside the features."""

from __future__ import annotations

from typing import Any

from overread.cohort.index import current_digest
from overread.record.files import read_json
from overread.workflow.project import Project


def audited_areas(project: Project) -> dict[str, dict[str, Any]]:
    """Column -> the probe that told it best, without the headers: {"probe", "interval"}; empty where no audit fits the cohort."""
    path = project.path / "audit" / "audit.json"
    if not path.exists():
        return {}
    audit = read_json(path)
    if audit.get("cohort") != current_digest(project.path):
        return {}
    best: dict[str, dict[str, Any]] = {}
    for row in audit.get("probes", {}).get("rows", ()):
        interval = row.get("interval")
        if row.get("probe") == "metadata" or not interval or interval["estimate"] is None:
            continue
        before = best.get(row["target"])
        if before is None or interval["estimate"] > before["interval"]["estimate"]:
            best[row["target"]] = {"probe": row["probe"], "interval": interval}
    return best
