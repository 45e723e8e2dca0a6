"""What each feature of a baseline brought to its answers: Shapley values per tuning case, and their mean size over cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from overread.audit.features import feature_table
from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.cohort.some_cases import some_of
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.sources.predictions import Predictions
from overread.explanation.covariates import EVERY_COALITION, PERMUTATIONS, group_values
from overread.explanation.shapley import Shapley
from overread.metrics.quick import values_of
from overread.metrics.table import positive_class
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.workflow.baseline import features_without, measure, truths
from overread.workflow.baselines.clinical import PREFIX, clinical_features, group_of
from overread.workflow.baselines.models import Candidate, candidates, fit
from overread.workflow.explanations.record import write_part
from overread.workflow.project import Project

PART = "covariates"
FILE = "baseline.json"
BACKGROUND = 32  # training cases that stand for what is usual
MOST_CASES = 50
SAME = 1e-6  # by which an answer may differ when a model is fitted again


def is_baseline(run: RunFolder) -> bool:
    return (run.path / FILE).exists()


def explain_baseline(
    project: Project, run: RunFolder, fold: int | None = None, limit: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Shapley values of the groups of features of a baseline; written as part "covariates" of the run, and returned.

    limit  of tuning cases, the same ones every time; 50 where None

    The model is no file: it is fitted again from what the run says of it, and refused unless its answers to the tuning cases
    are those of the run. The internal test is not touched.
    """
    about = read_json(run.path / FILE)
    cohort, question = project.cohort_of(run, fold), project.question
    _refuse_changed(project, run, about, cohort)
    learned, tuning = cohort.of("training"), cohort.of("tuning")
    table = _table(cohort, (*learned, *tuning), about, progress)
    taught, asked = table[: len(learned)], table[len(learned) :]
    answers = fit(_candidate(question, about), question, taught, truths(cohort, learned), int(about["seed"]))
    _refuse_other_answers(project, run, question, tuning, np.asarray(answers(asked)))
    shown = some_of(tuning, question, MOST_CASES if limit is None else limit)
    rows = asked[[case in shown for case in tuning]]
    random = np.random.default_rng(int(about["seed"]))
    background = taught[np.sort(random.permutation(len(taught))[:BACKGROUND])]
    groups = _groups(about["names"])
    wanted = asked_about(question)
    chosen = only(answers, [number for number, _ in wanted])
    values = group_values(chosen, rows, background, groups, int(about["seed"]))
    record = {
        "model": about["model"],
        "cohort": cohort.digest,
        "run": (run.path if fold is None else run.path.parent).name,
        "fold": fold,
        "is_phantom": cohort.is_phantom,
        "chosen": about["chosen"],
        "n_cases": len(shown),
        "n_patients": len({case.patient_id for case in shown}),
        "of_cases": len(tuning),
        "n_background": len(background),
        "is_exact": values.standard_error is None,
        "permutations": None if len(groups) <= EVERY_COALITION else PERMUTATIONS,
        "targets": by_target(question, [name for _, name in wanted], shown, groups, about["names"], values),
    }
    write_part(run, PART, record)
    return record


def described(record: Mapping[str, Any]) -> str:
    """What moved the answers most, in lines for the terminal."""
    lines = [f"{record['chosen'].capitalize()}, asked about {record['n_cases']} of {record['of_cases']} tuning cases."]
    for target in record["targets"]:
        unit = f" {target['unit']}" if target["unit"] else ""
        lines.append(f"{target['target']}: mean size of what each group of features brought to the answer")
        rows = sorted(target["groups"], key=lambda row: -row["mean_absolute"])
        lines += [f"  {row['mean_absolute']:>8.3g}{unit}  {row['group']}" for row in rows]
    return "\n".join(lines)


def _table(cohort: Cohort, cases: Sequence[Case], about: Mapping[str, Any], progress: Progress | None) -> np.ndarray:
    """(N, F) features with the names that the baseline had."""
    measured = measure(cohort, cases, progress) if about.get("images", True) else features_without(cases)
    clinical = clinical_features(cohort, about.get("clinical", ()))
    names, found = feature_table([{**measured[case.case_id], **clinical[case.case_id]} for case in cases])
    place = {name: column for column, name in enumerate(names)}
    missing = np.full(len(cases), np.nan)
    return np.stack([found[:, place[name]] if name in place else missing for name in about["names"]], axis=1)


def _candidate(question: Question, about: Mapping[str, Any]) -> Candidate:
    for candidate in candidates(question.task):
        if f"{candidate.name}, {candidate.setting}" == about["chosen"]:
            return candidate
    raise OverreadError(
        f"This version of Overread has no small model '{about['chosen']}'.", "fit the baseline again: `overread baseline`"
    )


def _groups(names: Sequence[str]) -> dict[str, np.ndarray]:
    """Group of features -> numbers of its columns; clinical columns first."""
    order = sorted({group_of(name): not name.startswith(PREFIX) for name in names}.items(), key=lambda pair: (pair[1], pair[0]))
    return {group: np.array([k for k, name in enumerate(names) if group_of(name) == group]) for group, _ in order}


def asked_about(question: Question) -> list[tuple[int, str]]:
    """What is explained: the positive of two classes, each class, finding or quantity otherwise."""
    if question.is_binary:
        return [(question.classes.index(positive_class(question)), positive_class(question))]
    return list(enumerate(question.classes))


def only(answers: Callable[[np.ndarray], np.ndarray], columns: Sequence[int]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda table: np.asarray(answers(table))[:, list(columns)]


def by_target(
    question: Question,
    targets: Sequence[str],
    cases: Sequence[Case],
    groups: Mapping[str, np.ndarray],
    names: Sequence[str],
    found: Shapley,
) -> list[dict[str, Any]]:
    shape = (len(cases), len(targets))
    values = found.values.reshape(len(groups), *shape)
    errors = None if found.standard_error is None else found.standard_error.reshape(values.shape)
    none, everyone = found.none.reshape(shape), found.everyone.reshape(shape)
    rows = []
    for k, target in enumerate(targets):
        rows.append(
            {
                "target": target,
                "unit": question.units[k] if question.task == "regression" and question.units else "",
                "usual": float(none[:, k].mean()),
                "groups": [
                    {
                        "group": group,
                        "is_clinical": names[int(columns[0])].startswith(PREFIX),
                        "features": len(columns),
                        "mean_absolute": float(np.abs(values[g, :, k]).mean()),
                        "largest": float(np.abs(values[g, :, k]).max()),
                        "largest_error": None if errors is None else float(errors[g, :, k].max()),
                    }
                    for g, (group, columns) in enumerate(groups.items())
                ],
                "cases": [
                    {
                        "case_id": case.case_id,
                        "answer": float(everyone[n, k]),
                        "values": {group: float(values[g, n, k]) for g, group in enumerate(groups)},
                    }
                    for n, case in enumerate(cases)
                ],
            }
        )
    return rows


def _refuse_changed(project: Project, run: RunFolder, about: Mapping[str, Any], cohort: Cohort) -> None:
    if about["cohort"] != cohort.digest:
        raise OverreadError(
            f"The cohort has changed since baseline '{run.name}' was fitted.",
            f"fit one for the cohort as it is: `{project.command('baseline', '--name', 'NAME')}`",
        )


def _refuse_other_answers(
    project: Project, run: RunFolder, question: Question, cases: Sequence[Case], answered: np.ndarray
) -> None:
    """A model that was fitted again must be the one whose answers lie in the run."""
    before = values_of(
        Predictions(run.predictions / "tuning", question).values([case.case_id for case in cases]), question.classes
    )
    scale = 1.0 if question.task == "classification" else max(float(np.nanstd(before)), 1e-6)
    apart = float(np.abs(before - answered).max())
    if apart > SAME * scale:
        raise OverreadError(
            f"Baseline '{run.name}' cannot be fitted again as it was: its answers to tuning cases would differ by up to "
            f"{apart:.2g}. It was fitted with other versions of its libraries, or images have changed.",
            f"fit one with these versions: `{project.command('baseline', '--name', 'NAME')}`",
        )
