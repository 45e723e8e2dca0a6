"""`overread baseline`: what hand-made features reach on the identical split, so that a network shows what it adds.

First-order, texture, shape and gradient features, and clinical columns of the sheet where they are named; logistic
regression, random forest, gradient boosting. Fitted on training cases, the best chosen on tuning cases; of the other cases
only the images are opened, their truths lie under seal. The answers lie in a run like any other, so `overread evaluate`
scores them by the same rules; it calibrates them and chooses their operating point on the tuning cases.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from overread.audit.features import feature_table, features_of
from overread.cohort.index import Cohort
from overread.cohort.load import load_truth, open_channels
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.metrics.quick import values_of
from overread.record.files import digest_json, write_json, write_text
from overread.record.provenance import versions
from overread.record.run import RunFolder
from overread.workflow.baselines.clinical import clinical_features
from overread.workflow.baselines.models import Candidate, answer, candidates, loss
from overread.workflow.project import Project
from overread.workflow.unfit import refuse_images

DEFAULT_NAME = "baseline"
ANSWERED = ("tuning", "internal")
LIBRARIES = ("overread", "numpy", "scipy", "scikit-image", "scikit-learn")


@dataclass(frozen=True)
class Fitted:
    """A baseline of one run: which model was chosen, among which, and where its answers lie.

    tried     one row per candidate: "model", "setting", "loss" on the tuning cases (lower is better)
    clinical  columns of the sheet that were features too
    images    False where these columns were the only ones
    """

    run: RunFolder
    fold: int | None
    chosen: str
    model: str
    features: int
    cases: Mapping[str, int]
    tried: tuple[Mapping[str, Any], ...]
    clinical: tuple[str, ...] = ()
    images: bool = True

    def as_dict(self) -> dict[str, Any]:
        return {
            "fold": self.fold,
            "chosen": self.chosen,
            "model": self.model,
            "features": self.features,
            "cases": dict(self.cases),
            "tried": [dict(row) for row in self.tried],
            **({"clinical": list(self.clinical)} if self.clinical else {}),
            **({} if self.images else {"images": False}),
        }


def baseline(
    project: Project,
    name: str | None = None,
    fold: int | str | None = None,
    progress: Progress | None = None,
    clinical: Sequence[str] = (),
    *,
    images: bool = True,
) -> list[Fitted]:
    """Fit a baseline and write its answers to `runs/<name>/predictions/`; one per fold where there are folds.

    fold      for a project of folds: the fold held out, or "all"
    clinical  columns of the sheet that are features beside those of the image
    images    whether features of the image are taken; without them the clinical columns stand alone
    """
    question = project.question
    if not images and not clinical:
        raise OverreadError("Without images and without columns nothing is left to learn from.", "name columns with --clinical")
    refuse_images(project)
    if question.task == "segmentation" or question.is_of_objects:
        wanted = "objects" if question.is_of_objects else "outlines"
        raise OverreadError(
            f"A baseline of hand-made features gives one answer per case; this project asks for {wanted}.",
            "a phantom's report shows what a plain threshold reaches; for patients train a small network and compare",
        )
    numbers = project.folds_asked(fold)
    chosen = name or DEFAULT_NAME
    runs = [project.run(chosen, number) for number in numbers]
    for run in runs:
        _check_free(run, chosen)
    cohorts = [project.cohort(number, check=number == numbers[0]) for number in numbers]
    known = [clinical_features(cohort, clinical) for cohort in cohorts]  # first: a column that is not there costs no time
    measured = features_without(cohorts[0].cases) if not images else measure(cohorts[0], cohorts[0].cases, progress)
    fitted = []
    for run, number, cohort, columns in zip(runs, numbers, cohorts, known, strict=True):
        rows = {case_id: {**row, **columns[case_id]} for case_id, row in measured.items()}
        with run.locked():
            fitted.append(_fit(project, cohort, run, number, rows, clinical, progress, images=images))
    return fitted


def _check_free(run: RunFolder, name: str) -> None:
    if run.predictions.exists() or run.checkpoint.exists() or run.model.exists():
        raise OverreadError(f"Run '{name}' has answers already.", "give this baseline another name with --name")


def measure(cohort: Cohort, cases: Sequence[Case], progress: Progress | None) -> dict[str, dict[str, float]]:
    """Features of the images by case_id; one that cannot be opened stops the baseline, as it would stop a training."""
    refused: dict[str, str] = {}
    openers = {case.case_id: _opener(cohort, case) for case in cases}
    measured = features_of(openers, progress, refused)
    if refused:
        case_id, why = next(iter(refused.items()))
        raise OverreadError(f"{len(refused)} images cannot be opened, {case_id} for example: {why}", "run `overread update`")
    return measured


def features_without(cases: Sequence[Case]) -> dict[str, dict[str, float]]:
    """No features of any image."""
    return {case.case_id: {} for case in cases}


def _opener(cohort: Cohort, case: Case) -> partial[Any]:
    return partial(open_channels, case.case_id, case.images, cohort.images_folder, gaps=cohort.gaps, tilt=cohort.tilt)


def _fit(
    project: Project,
    cohort: Cohort,
    run: RunFolder,
    fold: int | None,
    measured: Mapping[str, Mapping[str, float]],
    clinical: Sequence[str],
    progress: Progress | None,
    *,
    images: bool,
) -> Fitted:
    question, seed = project.question, project.settings.training.seed
    cases = {partition: cohort.of(partition) for partition in ("training", *ANSWERED)}
    _check_cases(cases)
    names, table = feature_table([measured[case.case_id] for part in cases.values() for case in part])
    learned, *asked = np.split(table, np.cumsum([len(part) for part in cases.values()])[:-1])
    truth = {part: truths(cohort, cases[part]) for part in ("training", "tuning")}
    best: tuple[float, Candidate, list[np.ndarray]] | None = None
    tried = []
    kinds = candidates(question.task)
    if progress is not None:
        progress.start(len(kinds), "Fitting small models" + ("" if fold is None else f", fold {fold}"))
    for candidate in kinds:
        answers = answer(candidate, question, learned, truth["training"], asked, seed)
        found = loss(question, truth["tuning"], answers[0])
        tried.append({"model": candidate.name, "setting": candidate.setting, "loss": round(found, 6)})
        if best is None or found < best[0]:
            best = (found, candidate, answers)
        if progress is not None:
            progress.advance(1, candidate.name)
    if progress is not None:
        progress.finish()
    assert best is not None
    _, winner, answers = best
    counts = {partition: len(part) for partition, part in cases.items()}
    identity = _identity(cohort, winner, names, seed, answers)
    words = f"{winner.name}, {winner.setting}"
    fitted = Fitted(run, fold, words, identity, len(names), counts, tuple(tried), tuple(clinical), images)
    about = {"format": 1, "seed": seed, "cohort": cohort.digest, "versions": _versions(), "names": list(names)}
    write_json(run.path / "baseline.json", {**about, **fitted.as_dict()})  # first: answers without it pass for another program's
    for partition, values in zip(ANSWERED, answers, strict=True):
        _write(cohort, run, partition, cases[partition], values, identity)
    return fitted


def _check_cases(cases: Mapping[str, Sequence[Case]]) -> None:
    for partition in ("training", "tuning"):
        if not cases[partition]:
            raise OverreadError(f"There are no {partition} cases in this project.", "look at cohort/splits.json")


def truths(cohort: Cohort, cases: Sequence[Case]) -> np.ndarray:
    """(N, K), NaN where not known."""
    return values_of([load_truth(cohort, case) for case in cases], cohort.question.classes)


def _identity(cohort: Cohort, winner: Candidate, names: Sequence[str], seed: int, answers: Sequence[np.ndarray]) -> str:
    """The digest that stands for the model: what it was made of and what it answered."""
    made = {"model": winner.name, "setting": winner.setting, "features": list(names), "seed": seed, "versions": _versions()}
    given = [[[repr(float(value)) for value in row] for row in table] for table in answers]
    return digest_json({**made, "cohort": cohort.digest, "answers": given})


def _versions() -> dict[str, str]:
    return {name: version for name, version in versions().items() if name in LIBRARIES}


def _write(cohort: Cohort, run: RunFolder, partition: str, cases: Sequence[Case], values: np.ndarray, model: str) -> None:
    """`predictions/<partition>/answers.csv` and `answers.json`, as every run has them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", *cohort.question.classes])
    for case, row in zip(cases, values, strict=True):
        writer.writerow([case.case_id, *(repr(float(value)) for value in row)])
    folder = run.predictions / partition
    write_text(folder / "answers.csv", text.getvalue())
    about = {"format": 1, "model": model, "partition": partition, "question": cohort.question.as_dict()}
    write_json(folder / "answers.json", {**about, "origin": "simulated" if cohort.is_phantom else "acquired"})
