"""The seal: truths are kept apart by partition, and those of the internal test lie where training does not look.

    cohort/truths/training.parquet, tuning.parquet   truths that training may see
    cohort/sealed/internal.parquet                   internal-test truths
    cohort/sealed/fold-<k>.parquet                   scheme "folds": the truths of one fold
    cohort/sealed/summary.json                       class counts, one keyed digest per truth, one per file of truths

The digest of a truth is keyed with the cohort's secret and with its image's own digest. Two
identical images with contradicting truths show without opening; two cases of one class do not.
The digest of a file is keyed too: truths that were changed behind the seal are refused when it is opened.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from overread.cohort.identity import read_key
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.record.files import digest_json, read_json, write_json, write_with

Truths = Mapping[str, TruthReference]


def truths_path(project_dir: Path, partition: str) -> Path:
    """Where the truths of "training", "tuning", "internal" or "fold-<k>" lie."""
    folder = "truths" if partition in ("training", "tuning") else "sealed"
    return Path(project_dir) / "cohort" / folder / f"{partition}.parquet"


def write_truths(path: Path, truths: Truths) -> None:
    rows = [
        {
            "case_id": case_id,
            "format": truth.format,
            "files": json.dumps(list(truth.files)),
            "values": json.dumps(dict(truth.values)),
            "reader": truth.reader,
            "method": truth.method,
            "date": truth.date,
        }
        for case_id, truth in sorted(truths.items())
    ]
    columns = ["case_id", "format", "files", "values", "reader", "method", "date"]
    table = pd.DataFrame(rows, columns=columns, dtype="str")
    write_with(path, lambda beside: table.to_parquet(beside, index=False))


def read_truths(path: Path) -> dict[str, TruthReference]:
    if not path.exists():
        raise OverreadError(f"The truths in {path.name} are missing from this project.", "restore the folder cohort/ from a copy")
    return {
        row["case_id"]: TruthReference(
            json.loads(row["values"]), tuple(json.loads(row["files"])), row["format"], row["reader"], row["method"], row["date"]
        )
        for row in pd.read_parquet(path).to_dict("records")
    }


def seal(project_dir: Path, truths: Truths, place: Mapping[str, str], summary: Mapping[str, Any]) -> None:
    """Write every truth under its partition or fold, and the summary that may be read without opening.

    place    case_id -> "training", "tuning", "internal" or "fold-<k>"
    summary  what `summarise` gave
    """
    named, key = set(place.values()), read_key(project_dir)
    partitions = named if any(p.startswith("fold-") for p in named) else named | {"training", "tuning", "internal"}
    files = {}
    for partition in sorted(partitions):
        path = truths_path(project_dir, partition)
        write_truths(path, {c: t for c, t in truths.items() if place.get(c) == partition})
        files[partition] = _file_digest(key, read_truths(path))
    write_json(_summary_path(project_dir), {**summary, "files": files})


def read_summary(project_dir: Path) -> dict[str, Any]:
    """Class counts and truth digests by partition; opens nothing."""
    summary: dict[str, Any] = read_json(_summary_path(project_dir))
    return summary


def _summary_path(project_dir: Path) -> Path:
    return Path(project_dir) / "cohort" / "sealed" / "summary.json"


def sealed_truths(project_dir: Path, partition: str | int = "internal") -> dict[str, TruthReference]:
    """Open the seal of the internal test, or of fold K. Only `overread.evaluation.unseal` may call this."""
    name = partition if isinstance(partition, str) else f"fold-{partition}"
    truths = read_truths(truths_path(project_dir, name))
    if not _is_as_sealed(project_dir, name, truths):
        raise OverreadError(
            f"The truths in cohort/sealed/{name}.parquet are not those that were sealed: the file was changed.",
            "restore the folder cohort/ from a copy; corrected truths come in with `overread update`, which the ledger records",
        )
    return truths


def changed_seals(project_dir: Path) -> list[str]:
    """Files of sealed truths that are not as they were sealed, by name; nothing of their content is given."""
    folder = _summary_path(project_dir).parent
    return [p.name for p in sorted(folder.glob("*.parquet")) if not _is_as_sealed(project_dir, p.stem, read_truths(p))]


def _is_as_sealed(project_dir: Path, name: str, truths: Truths) -> bool:
    if not _summary_path(project_dir).exists():
        return True
    told = read_summary(project_dir).get("files", {}).get(name)
    return told is None or told == _file_digest(read_key(project_dir), truths)


def _file_digest(key: bytes, truths: Truths) -> str:
    """A keyed digest of all truths of one file."""
    return _keyed(key, {case_id: asdict(truth) for case_id, truth in truths.items()})


def truth_digest(key: bytes, image_digest: str, truth: TruthReference, content: str = "") -> str:
    """A keyed digest of one truth; `content` is the digest of a mask's voxels."""
    return _keyed(key, {"image": image_digest, "values": dict(truth.values), "content": content})


def _keyed(key: bytes, value: Any) -> str:
    return "hmac-sha256:" + hmac.new(key, digest_json(value).encode(), "sha256").hexdigest()
