"""`overread ledger verify`: is the ledger whole, and does it fit everything else that was written?

The chain of hashes shows a changed line, the head file a cut end. Whoever changes both has to change these too: the
version of the cohort, the evaluations and results in the runs, the external cohorts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overread.cohort.index import current_digest, read_splits, versions_path
from overread.cohort.seal import changed_seals, read_summary
from overread.core.errors import OverreadError
from overread.record.files import digest_json, read_json
from overread.workflow.external import external_cohorts, label_of
from overread.workflow.project import Project

Entry = dict[str, Any]


def verify(project: Project) -> list[str]:
    """What was checked and held, in words; refused with everything that does not hold."""
    entries = project.ledger.entries()  # the chain and its end
    faults = [
        *_start(project, entries),
        *_cohort(project, entries),
        *_results(project, entries),
        *_evaluations(project, entries),
        *_externals(project, entries),
        *_seals(project),
    ]
    if faults:
        raise OverreadError(
            "The ledger does not fit the project:\n" + "\n".join(f"  {fault}" for fault in faults),
            "restore the ledger, the cohort or the runs from a copy; until then no number of openings can be claimed",
        )
    openings = sum(entry["entry"] == "opening" for entry in entries)
    results = sum(entry["entry"] == "result" for entry in entries)
    return [
        f"{len(entries)} entries follow one another, and the last one is there.",
        "The splits and the version of the cohort are those that the ledger names.",
        "The sealed truths are as they were sealed."
        if "files" in read_summary(project.path)
        else "Whether sealed truths were changed cannot be told: the project is older than their digests (`overread update` adds "
        "them once something has changed).",
        f"{openings} openings; {results} results are as they were written; no evaluation names an opening that is not there.",
    ]


def _start(project: Project, entries: Sequence[Entry]) -> list[str]:
    if not entries and not project.ledger.path.exists():
        return ["cohort/ledger.jsonl is missing; every project begins with one."]
    if not entries or entries[0]["entry"] != "sealed":
        return ["The first entry is not the sealing of the test: the beginning is missing."]
    return []


def _cohort(project: Project, entries: Sequence[Entry]) -> list[str]:
    """The last sealing or update must name the cohort and the splits that lie there now."""
    named = [e for e in entries if e["entry"] in ("sealed", "updated") and "of" not in e]
    if not named or not versions_path(project.path).exists():
        return []
    faults = []
    if named[-1]["splits"] != read_splits(project.path)["hash"]:
        faults.append("cohort/splits.json is not the one that the ledger names: the split was made anew.")
    if named[-1]["cohort"] != current_digest(project.path):
        faults.append("The cohort is not the version that the ledger names: an update is missing in one of the two.")
    return faults


def _results(project: Project, entries: Sequence[Entry]) -> list[str]:
    faults = []
    for entry in (e for e in entries if e["entry"] == "result"):
        path = project.path / entry["file"]
        if not path.exists():
            faults.append(f"{entry['file']} is missing (result of opening {entry['number']} of {entry['partition']}).")
        elif digest_json(read_json(path)) != entry["digest"]:
            faults.append(f"{entry['file']} was changed after it was written.")
    return faults


def _evaluations(project: Project, entries: Sequence[Entry]) -> list[str]:
    """Every evaluation of a sealed test names its opening; all of these must be in the ledger."""
    known = {e["hash"] for e in entries if e["entry"] == "opening"}
    faults = []
    for path in sorted((project.path / "runs").rglob("*.json")):
        if not (path.name.startswith("evaluation-") or path.parent.name == "openings"):
            continue
        opening = read_json(path).get("opening")
        if opening is not None and opening["hash"] not in known:
            shown = path.relative_to(project.path).as_posix()
            faults.append(f"{shown} names the opening {opening['hash'][:19]}..., which is not in the ledger.")
    return faults


def _externals(project: Project, entries: Sequence[Entry]) -> list[str]:
    """Every external cohort must be in the ledger, in the version that lies there now."""
    faults = []
    for other in external_cohorts(project):
        named = [e["cohort"] for e in entries if e["entry"] in ("external", "updated") and e.get("of") == label_of(other)]
        if not named:
            faults.append(f"The external cohort '{other.path.name}' is not in the ledger.")
        elif named[-1] != current_digest(other.path):
            faults.append(f"The external cohort '{other.path.name}' is not the version that the ledger names.")
    return faults


def _seals(project: Project) -> list[str]:
    """No truth may have been changed behind its seal."""
    places = [("cohort/sealed", project.path)]
    places += [(f"external/{other.path.name}/cohort/sealed", other.path) for other in external_cohorts(project)]
    return [f"{where}/{name} was changed after it was sealed." for where, folder in places for name in changed_seals(folder)]
