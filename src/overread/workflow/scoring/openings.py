"""What came out of each opening of a sealed test, and what was done to its truths afterwards.

Every result of a sealed test is kept as runs/NAME/openings/PARTITION-NUMBER.json, and its primary endpoint and digest go
into the ledger. So the first result can always be shown first, whatever was corrected, trained or opened later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from overread.cohort.index import read_splits, versions
from overread.core.score import Interval
from overread.evaluation.afterwards.corrections import correction_check, correction_words
from overread.evaluation.result import Result
from overread.metrics.table import resolve_endpoint
from overread.record.files import digest_json, read_json, write_json
from overread.record.run import RunFolder
from overread.workflow.project import Project

Entry = dict[str, Any]
EXTERNAL = "external:"


def file_word(partition: str) -> str:
    """A partition as part of a file's name: "external:twente" -> "external-twente"."""
    return partition.replace(":", "-")


def keep_result(project: Project, run: RunFolder, result: Result, fold: int | None = None) -> None:
    """Keep the result of an opening beside the run, and its primary endpoint and digest in the ledger.

    fold  the one fold that was opened by itself; None where all were, or where there are none
    """
    opening = result["opening"]
    path = run.path / "openings" / f"{file_word(result['partition'])}-{opening['number']}.json"
    write_json(path, result)
    metric, subject = resolve_endpoint(project.question, opening["primary_endpoint"])
    interval = next((s["interval"] for s in result["scores"] if (s["metric"], s["subject"]) == (metric.key, subject)), None)
    one_fold: Entry = {} if fold is None else {"fold": fold}
    project.ledger.append(
        "result",
        partition=result["partition"],
        number=opening["number"],
        opening=opening["hash"],
        model=result["model"],
        primary_endpoint=opening["primary_endpoint"],
        interval=interval,
        endpoint_met=opening["endpoint_met"],
        n_cases=result["n_cases"],
        n_patients=result["n_patients"],
        file=path.relative_to(project.path).as_posix(),
        digest=digest_json(read_json(path)),
        **one_fold,
    )


def earlier_results(entries: Sequence[Entry], partition: str, fold: int | None = None) -> list[Entry]:
    """The results of this test that came out of earlier openings, oldest first.

    partition  "internal" (of folds too) or "external:NAME"
    """
    before = [e for e in entries if e["entry"] == "result" and e["partition"] == partition and e.get("fold") == fold]
    names = ("number", "time", "model", "primary_endpoint", "interval", "endpoint_met", "n_cases", "n_patients", "file", "digest")
    return [{name: entry[name] for name in names} | {"hash": entry["hash"]} for entry in before]


def corrected_since(project: Project, entries: Sequence[Entry], partition: str, hash_then: str) -> list[str]:
    """The cases of a test whose truth was corrected after the entry `hash_then`."""
    folder = _cohort_folder(project, partition)
    own = {} if partition == "internal" else {"of": partition}
    after = False
    numbers = []
    for entry in entries:
        after |= entry["hash"] == hash_then
        if after and entry["entry"] == "updated" and entry.get("of") == own.get("of"):
            numbers.append(entry["version"])
    changed = {v["version"]: v.get("changed", {}).get("corrected_truths", []) for v in versions(folder) if "version" in v}
    splits = read_splits(folder)
    tested = set(splits["fold"]) if "fold" in splits else {c for c, p in splits["partition"].items() if p == "internal"}
    return sorted({case for number in numbers for case in changed.get(number, ())} & tested)


def _cohort_folder(project: Project, partition: str) -> Path:
    return project.path if not partition.startswith(EXTERNAL) else project.path / "external" / partition.removeprefix(EXTERNAL)


def correction(project: Project, partition: str, first: Entry, entries: Sequence[Entry]) -> dict[str, Any] | None:
    """Whose truths were corrected since a result; None where none was, or where the result's file is gone or changed."""
    cases = corrected_since(project, entries, partition, first["hash"])
    if not cases:
        return None
    path = project.path / first["file"]
    kept = read_json(path) if path.exists() else None
    if kept is None or digest_json(kept) != first["digest"]:
        return {"n_corrected": len(cases), "unknown": f"{first['file']} is missing or was changed"}
    return correction_check(kept["task"], kept["cases"], cases)


def look_back(project: Project, partition: str, fold: int | None = None) -> dict[str, Any]:
    """What came before, told before a new result is kept: `{"earlier": [...], "correction": {...} | None, "notes": [...]}`."""
    entries = project.ledger_entries()
    earlier = earlier_results(entries, partition, fold)
    if not earlier:
        return {"earlier": [], "correction": None, "notes": []}
    found = correction(project, partition, earlier[0], entries)
    notes = [_first_words(earlier[0])]
    if found is not None:
        notes.append(
            f"The truths of {found['n_corrected']} test cases were corrected after the test had been opened; whether only where "
            f"the model had been wrong cannot be told, as {found['unknown']}."
            if "unknown" in found
            else correction_words(found)
        )
    return {"earlier": earlier, "correction": found, "notes": notes}


def correction_lines(project: Project, partition: str) -> list[str]:
    """For `update`: what the corrections mean for a test that was opened before; nothing where it was not."""
    notes: list[str] = look_back(project, partition)["notes"]
    return [f"  {note}" for note in notes[1:]]


def _first_words(first: Mapping[str, Any]) -> str:
    values = first["interval"]
    told = str(Interval.from_dict(values)) if values else "not defined"
    met = {True: "; its margin was met", False: "; its margin was not met", None: ""}[first["endpoint_met"]]
    when = first["time"][:10]
    return f"First result of this test, of {when}: {first['primary_endpoint']} {told}{met}. It stands, whatever came after."
