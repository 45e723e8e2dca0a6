"""A project: the folder that `overread init` makes, and the verbs on it."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from overread.cohort.beside import read_beside
from overread.cohort.check import check_unchanged
from overread.cohort.index import Cohort, fold_numbers, load_cohort, read_splits
from overread.cohort.rules import image_rules
from overread.cohort.subdivision import read_subdivision
from overread.core.errors import OverreadError
from overread.core.question import PICTURES, Question
from overread.record.ledger import Ledger
from overread.record.run import RunFolder
from overread.workflow.settings import Settings
from overread.workflow.settings_file import read_settings

DEFAULT_RUN = "first"
PLANNED = ("plan.toml", "fold-*/plan.toml")
OF_A_MODEL = ("model/model.json", "predictions", "evaluation-*.json")  # what a run holds that can be evaluated or reported
CURVE = "curve.json"  # in runs/<name>/ of a learning curve, which holds runs and is none
USEFULNESS = "usefulness-order.json"  # likewise of a trial of made images
HOLDS = {
    CURVE: "a learning curve",
    "ablation-order.json": "an ablation",
    "ablation.json": "an ablation",
    USEFULNESS: "a trial of made images",
}
NO_RUNS = tuple(HOLDS)  # what lies where runs are held, and is none


@dataclass(frozen=True)
class Summary:
    """What a verb found and did, for people and for programs.

    lines  text for the terminal; it may name files, so it goes into no report
    facts  counts and choices, pseudonymous
    """

    lines: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class Project:
    """A project's folder. Nothing is read before it is asked for.

    summary  what `init` or `update` said when it made this object; None for one that was opened
    """

    def __init__(self, path: Path, summary: Summary | None = None, settings: Settings | None = None) -> None:
        self.path = Path(path)
        self.summary = summary
        if settings is not None:  # a rehearsal: there is no file to read
            self.settings = settings

    @classmethod
    def open(cls, path: Path) -> Project:
        """The project in `path`; refused where there is none, or where its settings have faults."""
        project = cls(Path(path))
        _ = project.settings
        return project

    @cached_property
    def settings(self) -> Settings:
        return read_settings(self.path / "project.toml")

    @property
    def name(self) -> str:
        return self.settings.project.name

    @property
    def question(self) -> Question:
        return question_of(self.settings)

    @property
    def images_folder(self) -> Path:
        """What image references are relative to; where the setting names an archive, the folder it lies in."""
        place = (self.path / self.settings.images.folder).resolve()
        return place.parent if place.is_file() or place.suffix.lower() == ".npz" else place

    @property
    def truth_folder(self) -> Path | None:
        truth = self.settings.truth.path
        return None if truth is None else (self.path / truth).resolve()

    @property
    def sheet(self) -> Path | None:
        """The file of the sheet, without the worksheet's name."""
        sheet = self.settings.truth.sheet
        return None if sheet is None else (self.path / sheet.partition("#")[0]).resolve()

    @property
    def folds(self) -> tuple[int, ...]:
        """The numbers of the folds; empty where the project has partitions."""
        return tuple(fold_numbers(read_splits(self.path)))

    def folds_asked(
        self, fold: int | str | None, how: str = "give --fold K to hold one out, or --fold all"
    ) -> tuple[int | None, ...]:
        """The folds that a verb is to work on, one after the other; (None,) in a project of partitions.

        fold  a number or "all"; None where there are no folds
        how   what to do where there are folds and none was named
        """
        if not self.folds:
            if fold is not None:
                raise OverreadError("This project has partitions, no folds.", "leave --fold out")
            return (None,)
        if fold is None:
            raise OverreadError(f"This project has {len(self.folds)} folds.", how)
        if fold == "all":
            return self.folds
        if int(str(fold)) not in self.folds:
            raise OverreadError(f"There is no fold {fold}.", f"the folds are {', '.join(map(str, self.folds))}")
        return (int(str(fold)),)

    def cohort(self, fold: int | None = None, *, check: bool = True) -> Cohort:
        """The cohort as one run may see it; stops where files have changed since they came in.

        check  False only where the caller has just checked
        """
        if check:
            check_unchanged(self.path, self.images_folder, self.truth_folder, self.sheet)
        images = self.settings.images
        rules = image_rules(images.series, images.channels, images.missing, images.gaps, images.tilt)
        return load_cohort(self.path, self.question, self.images_folder, self.truth_folder, fold, rules=rules)

    def cohort_of(self, run: RunFolder, fold: int | None = None, *, check: bool = True) -> Cohort:
        """The cohort as this run sees it: the project's, or the subdivision of its open cases that the run was given.

        Made images that this run alone trains on are among its training cases.
        """
        cohort, given, made = self.cohort(fold, check=check), read_subdivision(run.subdivision), read_beside(run.made)
        cohort = cohort if given is None else given.of(cohort)
        return cohort if made is None else made.joined(cohort)

    def run(self, name: str | None = None, fold: int | None = None) -> RunFolder:
        """The folder of a run: `runs/<name>/`, or `runs/<name>/fold-<k>/` of one fold.

        Without a name: the run with a model, answers or scores that was changed last; where none has any, the one changed
        last, or "first".
        """
        path = self.path / "runs" / (name or self._latest_run())
        return RunFolder(path if fold is None else path / f"fold-{fold}")

    def runs(self) -> tuple[str, ...]:
        """Names of all runs, oldest first; those of a learning curve lie in a folder of their own and are not among them."""
        folder = self.path / "runs"
        found = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")] if folder.is_dir() else []
        found = [p for p in found if not any((p / mark).exists() for mark in NO_RUNS)]
        return tuple(p.name for p in sorted(found, key=lambda p: (p.stat().st_mtime, p.name)))

    def _latest_run(self) -> str:
        of_a_model = (*OF_A_MODEL, *(f"fold-*/{file}" for file in OF_A_MODEL))
        return self.latest(*of_a_model) or (self.runs() or (DEFAULT_RUN,))[-1]

    def latest(self, *files: str) -> str:
        """The run that was changed last of those that hold one of these files; "" where none does."""
        holds = [name for name in self.runs() if any(any((self.path / "runs" / name).glob(file)) for file in files)]
        return holds[-1] if holds else ""

    def place_of(self, said: str) -> Path:
        """A file or folder that a setting names: relative to where the program was called, else to the project's own folder."""
        path = Path(said).expanduser()
        beside = self.path / path
        return beside if not path.exists() and beside.exists() else path

    def resume_command(self, run: RunFolder) -> str:
        """What goes on with the training of a run, or of one of its folds."""
        return self.command("train", *self.run_words(run, "--name"), "--resume")

    def command(self, verb: str, *words: str) -> str:
        """A verb on this project, as it can be pasted into a shell."""
        return shlex.join(("overread", verb, str(self.path), *words))

    def run_words(self, run: RunFolder, option: str = "--run") -> tuple[str, ...]:
        """How a run, or one fold of it, is named on the command line."""
        name = (run.path if run.fold is None else run.path.parent).relative_to(self.path / "runs")
        return (option, str(name), *(() if run.fold is None else ("--fold", str(run.fold))))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.path / "cohort" / "ledger.jsonl")

    def ledger_entries(self) -> list[dict[str, Any]]:
        """What stands in the ledger, oldest first; one that holds nothing is refused, as every project's begins with its seal."""
        entries = self.ledger.entries()
        if not entries:
            raise OverreadError(
                "cohort/ledger.jsonl is missing or empty; every project's begins with the sealing of its test.",
                "restore the ledger from a copy; without it nobody can say how often the test was opened",
            )
        return entries

    def update(self, **options: Any) -> Project:
        """Take in new patients and corrected labels as a new version."""
        return _verb("update")(self.path, **options)

    def audit(self, **options: Any) -> Any:
        """Look for leaks, shortcuts, faults of labels and masks, and whether the cases suffice."""
        return _verb("audit")(self.path, **options)

    def plan(self, **options: Any) -> Any:
        return _verb("plan")(self, **options)

    def train(self, **options: Any) -> Any:
        return _verb("train")(self, **options)

    def evaluate(self, **options: Any) -> Any:
        return _verb("evaluate")(self, **options)

    def report(self, **options: Any) -> Any:
        return _verb("report")(self, **options)


def _verb(name: str) -> Any:
    """The function of a verb, imported by name when it is called: to open a project must not load torch."""
    return getattr(importlib.import_module(f"overread.workflow.{name}"), name)


def question_of(settings: Settings) -> Question:
    """The question as `project.toml` asks it, checked for sense."""
    asked = settings.question
    if not asked.classes:
        raise OverreadError("question.classes in project.toml is empty.", "name at least one class, structure or quantity")
    by_value = asked.task in ("detection", "instances") and asked.objects == "values"
    if by_value and (len(asked.classes) != 1 or asked.values):
        raise OverreadError(
            'question.objects is "values", so every value of a mask is one object of the one class.',
            "name one class in question.classes, and leave question.values empty",
        )
    if asked.task in PICTURES and not asked.given:
        raise OverreadError(
            f"question.given in project.toml is empty, and {asked.task} reads channels of the image.",
            "name the channels that are read, as `overread init` does",
        )
    if asked.task == "translate" and asked.conditions and len(set(asked.conditions)) != 2:
        raise OverreadError(
            f"question.conditions in project.toml names {', '.join(asked.conditions)}; two different kinds were expected.",
            "name the kind that is read and the kind that is wanted, or none where images come in pairs",
        )
    if asked.guides and (asked.task != "synthesize" or asked.conditions or len(asked.values) != len(asked.guides)):
        raise OverreadError(
            f"question.guides in project.toml names {', '.join(asked.guides)} for {asked.task}, with {len(asked.values)} values "
            f"and {len(asked.conditions)} conditions.",
            "images are made along masks by synthesize alone: with one label value per structure, and no conditions",
        )
    is_drawn = asked.task in ("segmentation", "detection", "instances")
    if is_drawn and not by_value and len(asked.values) != len(asked.classes):
        raise OverreadError(
            f"question.classes names {len(asked.classes)} structures and question.values {len(asked.values)} label values.",
            "give one label value per structure, in the same order",
        )
    if asked.positive is not None and asked.positive not in asked.classes:
        raise OverreadError(
            f"question.positive is '{asked.positive}', which is not among the classes {', '.join(asked.classes)}.",
            "name one of the classes",
        )
    return Question(
        asked.task,
        asked.classes,
        asked.values,
        asked.positive,
        asked.exclusive,
        asked.ordered,
        asked.units,
        asked.unit,
        asked.sided,
        asked.objects,
        asked.given,
        asked.degradation,
        asked.conditions,
        asked.guides,
    )
