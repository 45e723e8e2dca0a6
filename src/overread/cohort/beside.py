"""Made images that one run trains on beside the cohort: they are no cases of the project, and no other run sees them.

Kept as `made.json` in the run's folder. Every such image carries the mark of a synthetic one, so no file of it names a patient.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from overread.cohort.check import FileVersion
from overread.cohort.index import Cohort
from overread.cohort.never_tested import refuse_tested
from overread.core.case import Case, ImageReference, TruthReference
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.record.files import digest_file, digest_json, read_json, write_json

FORMAT = 1


@dataclass(frozen=True)
class MadeBeside:
    """Made images with their truths.

    folder, truth_folder  of images and masks, relative to the project's folder; truth_folder "" where truths are values
    cases                 with truths; references are relative to these folders
    grids                 case_id -> grid
    files                 every image and mask as it was; root is "images" or "truth"
    warnings              what could not be checked of them when they were taken, to be said aloud
    notes                 what was done to them on the way
    """

    folder: str
    truth_folder: str
    cases: tuple[Case, ...]
    grids: Mapping[str, Grid]
    files: tuple[FileVersion, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Of pixels and truths: a case is named after them."""
        return digest_json(sorted(case.case_id for case in self.cases))

    def joined(self, cohort: Cohort) -> Cohort:
        """The cohort with these images among its training cases; refused where a file is gone or changed."""
        self._refuse_changed(cohort.folder)
        partition = {**cohort.partition, **{case.case_id: "training" for case in self.cases}}
        cases = (*cohort.cases, *(self._placed(case, cohort) for case in self.cases))
        refuse_tested(cases, partition)
        return replace(cohort, cases=cases, partition=partition, grids={**cohort.grids, **self.grids})

    def _placed(self, case: Case, cohort: Cohort) -> Case:
        """The case with references relative to the folders of the cohort."""
        place = cohort.folder.resolve()
        images = tuple(
            replace(i, files=tuple(_moved(place / self.folder / f, cohort.images_folder) for f in i.files)) for i in case.images
        )
        truth = case.truth
        if truth is not None and truth.files and cohort.truth_folder is not None:
            home = cohort.truth_folder
            truth = replace(truth, files=tuple(_moved(place / self.truth_folder / f, home) for f in truth.files))
        return replace(case, images=images, truth=truth)

    def _refuse_changed(self, project: Path) -> None:
        roots = {"images": project / self.folder, "truth": project / self.truth_folder}
        wrong = [version.path for version in self.files if _is_changed(roots[version.root] / version.path, version)]
        if wrong:
            raise OverreadError(
                f"{len(wrong)} of the made images that were trained on are missing or changed, {wrong[0]} for example.",
                "put them back where they were, or begin again with another --name",
            )


def _moved(path: Path, home: Path) -> str:
    return Path(os.path.relpath(path, home)).as_posix()


def _is_changed(path: Path, version: FileVersion) -> bool:
    """Size and time first; content only where the time differs."""
    try:
        status = path.stat()
    except OSError:
        return True
    if status.st_size != version.size:
        return True
    return status.st_mtime_ns != version.mtime_ns and digest_file(path) != version.sha256


def write_beside(path: Path, beside: MadeBeside) -> None:
    """Write it with its own hash, so that a later change shows."""
    body = {
        "format": FORMAT,
        "folder": beside.folder,
        "truth_folder": beside.truth_folder,
        "cases": [{**asdict(case), "grid": beside.grids[case.case_id].as_dict()} for case in beside.cases],
        "files": [asdict(version) for version in beside.files],
        "warnings": list(beside.warnings),
        "notes": list(beside.notes),
    }
    write_json(path, {**body, "hash": digest_json(body)})


def read_beside(path: Path) -> MadeBeside | None:
    """The made images that a run trains on; None where it has none."""
    if not path.exists():
        return None
    values = read_json(path)
    if values.pop("hash", None) != digest_json(values):
        raise OverreadError(
            f"{path.name} of this run was changed after it was written: its hash does not fit.",
            "restore it from a copy, or train again under another name",
        )
    rows: Sequence[Mapping[str, Any]] = values["cases"]
    return MadeBeside(
        values["folder"],
        values["truth_folder"],
        tuple(_case(row) for row in rows),
        {row["case_id"]: Grid.from_dict(row["grid"]) for row in rows},
        tuple(FileVersion(**version) for version in values["files"]),
        tuple(values.get("warnings", ())),
        tuple(values.get("notes", ())),
    )


def _case(row: Mapping[str, Any]) -> Case:
    own = {key: value for key, value in row.items() if key != "grid"}
    images = tuple(ImageReference(**{**i, "files": tuple(i["files"])}) for i in own["images"])
    truth = TruthReference(**{**own["truth"], "files": tuple(own["truth"]["files"])})
    return Case(**{**own, "images": images, "truth": truth})
