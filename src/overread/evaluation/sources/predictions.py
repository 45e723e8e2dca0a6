"""The folder `predictions/<partition>/`: whose answers they are, whether they are complete, and what they say."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Findings, Kind, Measurements
from overread.core.question import Question
from overread.evaluation.sources.objects_file import NAME, Objects, read_cases, read_objects
from overread.evaluation.sources.pictures_file import picture_files
from overread.record.files import digest_file, digest_json, read_json

MASK_SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Predictions:
    """Answers to the cases of one partition, ours or anybody's; nothing is read before it is asked for.

    again  the command that ends with these answers, said where they are missing
    """

    folder: Path
    question: Question
    again: str = "overread train"

    @cached_property
    def description(self) -> dict[str, Any]:
        path = self.folder / "answers.json"
        return dict(read_json(path)) if path.exists() else {}

    @cached_property
    def identity(self) -> str:
        """The model's hash where `answers.json` names it, else a hash of the answers themselves."""
        named = self.description.get("model")
        return (
            str(named) if named else digest_json({p.name: digest_file(p) for p in sorted(self.folder.iterdir()) if p.is_file()})
        )

    @cached_property
    def refused(self) -> dict[str, str]:
        """case_id -> why it was not answered, as `answers.json` says under "refused"; these count as errors."""
        listed = self.description.get("refused", {})
        if not isinstance(listed, dict):
            raise OverreadError(
                f"'refused' in {self.folder / 'answers.json'} is {listed!r}.",
                'write it as {"case_id": "reason", ...}, reasons without names of patients or files',
            )
        return {str(case_id): str(reason) or "no reason given" for case_id, reason in listed.items()}

    def check_complete(self, case_ids: Sequence[str]) -> None:
        """Every case must have an answer, or be listed as refused: leaving out the hard ones would flatter."""
        have = self._answered(case_ids)
        twice = [case_id for case_id in case_ids if case_id in have and case_id in self.refused]
        if twice:
            raise OverreadError(
                f"{twice[0]} is listed as refused in {self.folder / 'answers.json'} and has an answer all the same "
                f"({len(twice)} cases are both).",
                "keep the answer, or the refusal",
            )
        missing = [case_id for case_id in case_ids if case_id not in have and case_id not in self.refused]
        if missing:
            shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
            raise OverreadError(
                f"{len(missing)} of {len(case_ids)} {self.folder.name} cases have no answer in {self.folder}: {shown}.",
                f"let the model read them (`{self.again}` ends with it), add the answers, or list what was refused in "
                "answers.json: it counts as an error",
            )

    def _answered(self, case_ids: Sequence[str]) -> Collection[str]:
        """The cases that have an answer."""
        if self.question.task == "segmentation":
            return self._masks
        if self.question.is_of_pictures:
            return self._pictures
        name = NAME if self.question.is_of_objects else "answers.csv"
        if set(case_ids) <= set(self.refused) and not (self.folder / name).exists():
            return ()
        return self._object_rows if self.question.is_of_objects else self._values

    def masks(self, case_id: str) -> tuple[Path, ...]:
        """The one file of a case, or one file per structure where structures overlap."""
        return self._masks[case_id]

    def picture(self, case_id: str) -> tuple[Path, ...]:
        """The files of an image that was answered; see `pictures_file.read_picture`."""
        return self._pictures[case_id]

    def values(self, case_ids: Sequence[str]) -> list[Kind]:
        """Findings or Measurements in the order asked, as they were written: raw; without values where refused."""
        nothing: dict[str, float | None] = dict.fromkeys(self.question.classes)
        values = [nothing if c in self.refused else self._values[c] for c in case_ids]
        if self.question.task == "regression":
            units = dict(zip(self.question.classes, self.question.units, strict=False))
            return [Measurements(dict(each), units) for each in values]
        return [Findings(dict(each)) for each in values]

    def objects(self, grids: Mapping[str, Grid]) -> dict[str, Objects]:
        """Boxes or Instances of the cases that `grids` names, raw; a case that was refused is not among them."""
        wanted = {case_id: grid for case_id, grid in grids.items() if case_id not in self.refused}
        return read_objects(self.folder / NAME, self.question, wanted) if wanted else {}

    @cached_property
    def _object_rows(self) -> Collection[str]:
        self._check_folder()
        if not (self.folder / NAME).exists():
            raise OverreadError(
                f"{self.folder.name}/{NAME} is missing in {self.folder.parent}.", "let the model read the cases again"
            )
        return read_cases(self.folder / NAME)

    @cached_property
    def _masks(self) -> dict[str, tuple[Path, ...]]:
        self._check_folder()
        suffixes = {path: next((s for s in MASK_SUFFIXES if path.name.endswith(s)), "") for path in sorted(self.folder.iterdir())}
        files = {path.name.removesuffix(suffix): path for path, suffix in suffixes.items() if suffix}
        if self.question.exclusive:
            return {name: (path,) for name, path in files.items()}
        first = f"_{self.question.classes[0]}"
        cases = [name.removesuffix(first) for name in files if name.endswith(first)]
        several = {case: [files.get(f"{case}_{name}") for name in self.question.classes] for case in cases}
        whole = {case: tuple(p for p in paths if p is not None) for case, paths in several.items()}
        return {
            **{name: (path,) for name, path in files.items()},
            **{case: paths for case, paths in whole.items() if len(paths) == len(self.question.classes)},
        }

    @cached_property
    def _pictures(self) -> dict[str, tuple[Path, ...]]:
        self._check_folder()
        return picture_files(self.folder, self.question)

    @cached_property
    def _values(self) -> dict[str, dict[str, float | None]]:
        self._check_folder()
        path = self.folder / "answers.csv"
        if not path.exists():
            raise OverreadError(
                f"{self.folder.name}/answers.csv is missing in {self.folder.parent}.", "let the model read the cases again"
            )
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            wanted = ["case_id", *self.question.classes]
            absent = [name for name in wanted if name not in (reader.fieldnames or ())]
            if absent:
                raise OverreadError(
                    f"{path.name} has the columns {', '.join(reader.fieldnames or ())}; {', '.join(absent)} missing.",
                    f"write the columns {', '.join(wanted)}",
                )
            found: dict[str, dict[str, float | None]] = {}
            for row in reader:
                if row["case_id"] in found:
                    raise OverreadError(f"{path.name}, line {reader.line_num}: a second answer for {row['case_id']}.", "keep one")
                found[row["case_id"]] = {name: _number(row[name], path, reader.line_num, name) for name in self.question.classes}
        return found

    def _check_folder(self) -> None:
        if not self.folder.is_dir():
            raise OverreadError(
                f"There are no answers to the {self.folder.name} cases: {self.folder} does not exist.",
                f"train first (`{self.again}`), or put the answers of another program there",
            )


def _number(cell: str | None, path: Path, line: int, column: str) -> float:
    try:
        value = float(cell or "")
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        raise OverreadError(
            f"{path.name}, line {line}, column '{column}': '{cell}' is not a number.", "every answer needs a number"
        )
    return value
