"""The index of a cohort: which cases there are, where their pixels lie, and what each run may see of their truths."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from overread.cohort.never_tested import refuse_tested
from overread.cohort.regions import read_regions
from overread.cohort.rules import ImageRules
from overread.cohort.seal import read_truths, truths_path
from overread.core.case import Case, ImageReference
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.question import Question
from overread.core.region import RegionBox
from overread.record.files import digest_json, read_json, write_json, write_with

TEXT = ("case_id", "patient_id", "exam_id", "site", "scanner", "origin", "digest")
OBJECTS = ("images", "covariates", "grid")


@dataclass(frozen=True)
class Indexed:
    """A case with what was measured when it came in: the digest of its pixels and its grid."""

    case: Case
    digest: str
    grid: Grid


@dataclass(frozen=True)
class Cohort:
    """The cases of a project as one run may see them.

    folder         the project's folder
    images_folder  image references are relative to it
    truth_folder   label files are relative to it; None where truths are values
    cases          internal-test cases have truth None
    partition      case_id -> "training", "tuning" or "internal"
    is_phantom     every image is simulated
    digest         of images, truths and partitions: changes with every version of the cohort
    grids          case_id -> grid of the image when it came in
    rules          how images were chosen; a model takes them along to read new studies by the same rules
    boxes          case_id -> the part of the image that a second model reads, where a first one has looked
    """

    folder: Path
    images_folder: Path
    truth_folder: Path | None
    question: Question
    cases: tuple[Case, ...]
    partition: Mapping[str, str]
    is_phantom: bool
    digest: str
    grids: Mapping[str, Grid] = field(default_factory=dict)
    rules: ImageRules = field(default_factory=ImageRules)
    boxes: Mapping[str, RegionBox] = field(default_factory=dict)

    @property
    def gaps(self) -> str:
        """What to do with missing slices: "refuse" or "resample"."""
        return self.rules.gaps

    @property
    def tilt(self) -> str:
        """What to do with a tilted gantry: "refuse" or "resample"."""
        return self.rules.tilt

    def of(self, partition: str) -> tuple[Case, ...]:
        """The cases of one partition, in the order of their case_id."""
        return tuple(case for case in self.cases if self.partition[case.case_id] == partition)

    def case(self, case_id: str) -> Case:
        for case in self.cases:
            if case.case_id == case_id:
                return case
        raise OverreadError(f"There is no case {case_id} in this cohort.", "see cohort/cases.parquet for the cases")


def write_index(project_dir: Path, rows: Iterable[Indexed]) -> None:
    table = pd.DataFrame([_row(r) for r in sorted(rows, key=lambda r: r.case.case_id)], columns=[*TEXT, *OBJECTS])
    write_with(_index_path(project_dir), lambda beside: table.to_parquet(beside, index=False))


def read_index(project_dir: Path) -> list[Indexed]:
    path = _index_path(project_dir)
    if not path.exists():
        raise OverreadError(f"There is no cohort in {project_dir}.", "make the project with `overread init`")
    return [_indexed(row) for row in pd.read_parquet(path).to_dict("records")]


def _index_path(project_dir: Path) -> Path:
    return Path(project_dir) / "cohort" / "cases.parquet"


def _row(indexed: Indexed) -> dict[str, Any]:
    case = indexed.case
    images = [{"channel": i.channel, "format": i.format, "files": list(i.files), "index": i.index} for i in case.images]
    return {
        **{name: getattr(case, name) for name in TEXT if name != "digest"},
        "digest": indexed.digest,
        "images": json.dumps(images),
        "covariates": json.dumps(dict(case.covariates)),
        "grid": json.dumps(indexed.grid.as_dict()),
    }


def _indexed(row: Mapping[Any, Any]) -> Indexed:
    images = tuple(ImageReference(i["channel"], i["format"], tuple(i["files"]), i["index"]) for i in json.loads(row["images"]))
    case = Case(
        row["case_id"],
        row["patient_id"],
        row["exam_id"],
        images,
        site=row["site"],
        scanner=row["scanner"],
        covariates=json.loads(row["covariates"]),
        origin=row["origin"],
    )
    return Indexed(case, row["digest"], Grid.from_dict(json.loads(row["grid"])))


def splits_path(project_dir: Path) -> Path:
    return Path(project_dir) / "cohort" / "splits.json"


def write_splits(project_dir: Path, splits: Mapping[str, Any]) -> None:
    """Freeze the splits with their own hash, so that a later change shows."""
    body = {k: v for k, v in splits.items() if k != "hash"}
    write_json(splits_path(project_dir), {**body, "hash": digest_json(body)})


def read_splits(project_dir: Path) -> dict[str, Any]:
    splits: dict[str, Any] = read_json(splits_path(project_dir))
    if splits.get("hash") != digest_json({k: v for k, v in splits.items() if k != "hash"}):
        raise OverreadError(
            "cohort/splits.json was changed after it was frozen: its hash does not fit.",
            "restore it from a copy; to change partitions make a new project with `overread init --splits FILE`",
        )
    return splits


def load_cohort(
    project_dir: Path,
    question: Question,
    images_folder: Path,
    truth_folder: Path | None,
    fold: int | None = None,
    *,
    rules: ImageRules | None = None,
) -> Cohort:
    """The cohort as one run may see it; truths of its internal test stay under seal.

    fold  scheme "folds" only, and needed there: this fold is the internal test of the run, a frozen
          stratified share of the other patients is its tuning partition
    rules how images were chosen
    """
    project_dir = Path(project_dir)
    rows, splits = read_index(project_dir), read_splits(project_dir)
    partition = partition_of_run(splits, fold)
    sources = ["training", "tuning"] if "partition" in splits else [f"fold-{k}" for k in fold_numbers(splits) if k != fold]
    sources += ["training"] if splits.get("training_only") else []
    truths = {c: t for source in sources for c, t in read_truths(truths_path(project_dir, source)).items()}
    kept = [r for r in rows if r.case.case_id in partition]
    refuse_tested((r.case for r in kept), partition)
    return Cohort(
        project_dir,
        Path(images_folder),
        None if truth_folder is None else Path(truth_folder),
        question,
        tuple(replace(r.case, truth=truths.get(r.case.case_id)) for r in kept),
        partition,
        is_phantom([r.case for r in kept]),
        current_digest(project_dir),
        {r.case.case_id: r.grid for r in kept},
        rules or ImageRules(),
        read_regions(project_dir, current_digest(project_dir)),
    )


def is_phantom(cases: Iterable[Case]) -> bool:
    """Every image is simulated; what a network made of a phantom does not change that."""
    origins = {case.origin for case in cases if not case.is_made}
    return origins == {"simulated"}


def places_of(splits: Mapping[str, Any]) -> dict[str, str | int]:
    """case_id -> partition or fold, of those that are gone too; what a network made is in "training"."""
    made = dict.fromkeys(splits.get("training_only", {}), "training")
    return {**(splits.get("partition") or splits["fold"]), **made, **splits.get("retired", {})}


def has_internal_test(splits: Mapping[str, Any]) -> bool:
    """Whether any case is set aside as a test; with folds each is, in its turn."""
    return "fold" in splits or "internal" in splits["partition"].values()


def fold_numbers(splits: Mapping[str, Any]) -> list[int]:
    return sorted(set(splits.get("fold", {}).values()))


def partition_of_run(splits: Mapping[str, Any], fold: int | None) -> dict[str, str]:
    """case_id -> partition, for a run on the partitions or on one fold."""
    if "partition" in splits:
        if fold is not None:
            raise OverreadError(f"This project has partitions, not folds, so there is no fold {fold}.", "leave --fold out")
        return dict(splits["partition"])
    numbers = fold_numbers(splits)
    if fold is None or fold not in numbers:
        asked = "no fold was given" if fold is None else f"there is no fold {fold}"
        raise OverreadError(
            f"This project is split into folds {numbers[0]} to {numbers[-1]}, and {asked}.",
            f"say --fold {numbers[0]}, or --fold all",
        )
    tuning = set(splits["tuning"][str(fold)])
    made = {c: "training" for c, folds in splits.get("training_only", {}).items() if fold in folds}
    place = {c: "internal" if k == fold else "tuning" if c in tuning else "training" for c, k in splits["fold"].items()}
    return {**place, **made}


def versions_path(project_dir: Path) -> Path:
    return Path(project_dir) / "cohort" / "versions.jsonl"


def versions(project_dir: Path) -> list[dict[str, Any]]:
    """Every version of the cohort, oldest first: digest, counts, what changed."""
    text = versions_path(project_dir).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]  # not at other separators, which a column's name may hold


def current_digest(project_dir: Path) -> str:
    return str(versions(project_dir)[-1]["digest"])
