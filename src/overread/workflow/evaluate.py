"""`overread evaluate`: the answers of a run, or of anybody, against the truth, with intervals.

Only `predictions/` is read, ours or anybody's; no network runs here. This is the only file that may open the seal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.cohort.progress import Progress
from overread.core.case import Case, TruthReference
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Kind
from overread.core.question import Decisions
from overread.evaluation.answered import NO_FOLD, Answered, ScoredCase, answered, join
from overread.evaluation.operating import fit_decisions
from overread.evaluation.predictions import Predictions
from overread.evaluation.result import Result
from overread.evaluation.results import About, fold_table
from overread.evaluation.results import evaluate as put_together
from overread.evaluation.rules import Rules
from overread.evaluation.scoring import MaskPair, open_answer, score_pairs
from overread.evaluation.units import units_of
from overread.evaluation.unseal import Declaration, make_declaration, open_seal
from overread.record.files import digest_json, read_json, write_json
from overread.record.run import RunFolder
from overread.workflow.evaluate_answers import evaluate_answers
from overread.workflow.panels import write_panels
from overread.workflow.project import Project
from overread.workflow.threshold import threshold_rows

__all__ = ["evaluate", "evaluate_answers"]

TUNING_NOTE = (
    "These are tuning cases: the decisions frozen in the model were fitted on them, and settings may have been chosen by them, "
    "so expect less on new cases. This says nothing of the internal test, which is opened by --on internal."
)


def evaluate(
    project: Project | Path | str,
    run_name: str | None = None,
    on: str = "tuning",
    fold: int | None = None,
    declare: Mapping[str, Any] | None = None,
    *,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda line: None,
    panels: bool = True,
) -> Result:
    """Evaluate a run and write `evaluation-<partition>.json` and the panels beside it.

    run_name  None takes the run that was changed last
    on        "tuning", or "internal", which opens the seal
    fold      projects of folds: one of them; None pools all
    declare   internal: hypothesis, primary_endpoint, margin, threshold_rule, declared; wins over project.toml
    tell      is told what has to be said aloud, such as that the seal is being opened
    """
    project = project if isinstance(project, Project) else Project.open(Path(project))
    if on not in ("tuning", "internal"):
        raise OverreadError(f"There is no partition '{on}' to evaluate on.", "say tuning or internal")
    rules = _rules(project)
    parts = _parts(project, run_name, on, fold)
    truths: list[dict[str, TruthReference]] = [_plain_truths(part) for part in parts]
    opening, notes = None, [TUNING_NOTE] if on == "tuning" else []
    if on == "internal":
        truths, opening, notes = _open(project, parts, declare, tell)
    notes += [note for part in parts for note in part.notes]
    cases = _cases(project, parts, truths, rules, progress)
    about = About(on, parts[0].cohort.is_phantom, _model(parts), opening, tuple(dict.fromkeys(notes)))
    result = put_together(project.question, cases, {p.fold: p.decisions for p in parts}, rules, about)
    if about.is_phantom:
        result["baseline"] = threshold_rows(project)
    if len(parts) > 1:
        result["folds"] = fold_table(project.question, cases, rules, {p.fold: p.model for p in parts}, about)
        result["notes"].append(_folds_note(on))
    folder = project.run(run_name) if len(parts) > 1 else parts[0].run
    write_json(folder.evaluation(on), result)
    if panels:
        loader = _PanelLoader(parts, truths)
        write_panels(folder.path / f"panels-{on}", on, result["cases"], loader, is_phantom=about.is_phantom)
    return result


@dataclass(frozen=True)
class _Part:
    """One run on its cohort: a project of partitions has one, a project of folds one for each."""

    fold: int
    cohort: Cohort
    run: RunFolder
    predictions: Predictions
    cases: tuple[Case, ...]
    decisions: Decisions
    model: str
    notes: tuple[str, ...]


def _parts(project: Project, run_name: str | None, on: str, fold: int | None) -> list[_Part]:
    folds = project.folds
    if not folds or fold is not None:
        return [_part(project, run_name, on, fold, check=True)]
    return [_part(project, run_name, on, k, check=k == folds[0]) for k in folds]


def _part(project: Project, run_name: str | None, on: str, fold: int | None, *, check: bool) -> _Part:
    """Everything that can be wrong before a truth is looked at is found here."""
    cohort, run = project.cohort(fold, check=check), project.run(run_name, fold)
    cases = cohort.of(on)
    if not cases:
        raise OverreadError(f"There are no {on} cases in this project.", "look at cohort/splits.json")
    predictions = Predictions(run.predictions / on, project.question)
    predictions.check_complete([case.case_id for case in cases])
    decisions, model, notes = _decisions(project, cohort, run, predictions)
    return _Part(NO_FOLD if fold is None else fold, cohort, run, predictions, cases, decisions, model, notes)


def _decisions(
    project: Project, cohort: Cohort, run: RunFolder, predictions: Predictions
) -> tuple[Decisions, str, tuple[str, ...]]:
    """Decisions and hash of the frozen model; for answers of another program, decisions fitted on its tuning answers."""
    path = run.model / "model.json"
    if path.exists():
        card = read_json(path)
        if card.get("state", "frozen") != "frozen":
            raise OverreadError(
                f"The model of run '{run.name}' is a snapshot of unfinished training.", "finish it: `overread train --resume`"
            )
        named = predictions.description.get("model")
        if named and named != card["sha256"]:
            raise OverreadError(
                f"The answers in {predictions.folder} come from the model {named[:19]}..., "
                f"the run's model is {card['sha256'][:19]}...",
                "let this model read the cases again",
            )
        return Decisions.from_dict(card["decisions"]), str(card["sha256"]), ()
    foreign = "These answers come from another program; no frozen model of Overread stands behind them."
    if project.question.task != "classification":
        return Decisions(), predictions.identity, (foreign,)
    tuning = Predictions(run.predictions / "tuning", project.question)
    if not tuning.folder.is_dir():
        fixed = f"{foreign} It gave no answers to tuning cases, so thresholds are 0.5."
        return Decisions(), predictions.identity, (fixed,)
    cases = cohort.of("tuning")
    ids = [case.case_id for case in cases]
    tuning.check_complete(ids)
    decisions = fit_decisions(
        project.question,
        [load_truth(cohort, case) for case in cases],
        tuning.values(ids),
        project.settings.evaluation.threshold_rule,
        units=units_of(project.question, cases),
        aggregation=project.settings.question.aggregation,
    )
    return decisions, predictions.identity, (f"{foreign} Its operating point was chosen on its answers to the tuning cases.",)


def _plain_truths(part: _Part) -> dict[str, TruthReference]:
    return {case.case_id: case.truth for case in part.cases if case.truth is not None}


def _open(
    project: Project, parts: Sequence[_Part], declare: Mapping[str, Any] | None, tell: Callable[[str], None]
) -> tuple[list[dict[str, TruthReference]], dict[str, Any], list[str]]:
    """Check what is declared, write it down, open the seal of each part."""
    is_phantom = parts[0].cohort.is_phantom
    settings = project.settings.evaluation
    names = ("hypothesis", "primary_endpoint", "margin", "threshold_rule", "declared")
    declaration = make_declaration(
        project.question, {name: getattr(settings, name) for name in names}, declare, is_phantom=is_phantom
    )
    _check_rule(declaration, parts)
    truths, entries = [], []
    for part in parts:
        partition = "internal" if part.fold == NO_FOLD else part.fold
        found, entry = open_seal(project.path, declaration, partition=partition, model=part.model, run=part.run.name)
        truths.append(found)
        entries.append(entry)
    opening = {**entries[-1], "number": max(entry["number"] for entry in entries)}
    times = "once" if opening["number"] == 1 else f"{opening['number']} times"
    notes = [f"The internal test has been opened {times}; {declaration.primary_endpoint} was declared before."]
    if declaration.by_default:
        notes.append("Hypothesis and endpoint are a phantom's own: nobody declared them, nothing is claimed about patients.")
    for note in notes:
        tell(note)
    return truths, opening, notes


def _check_rule(declaration: Declaration, parts: Sequence[_Part]) -> None:
    """The operating point is frozen; a rule declared for it now must be the one it was chosen by."""
    declared = declaration.threshold_rule
    for point in (p for part in parts for p in part.decisions.operating_points):
        if point.rule != declared and f"'{declared}'" not in point.rule:  # quoted: wished for, and could not be fitted
            raise OverreadError(
                f"The operating point of {point.class_name} was frozen by the rule '{point.rule}'; declared is '{declared}'.",
                f"declare --threshold-rule '{point.rule}', or train again with that rule in project.toml",
            )


def _cases(
    project: Project,
    parts: Sequence[_Part],
    truths: Sequence[Mapping[str, TruthReference]],
    rules: Rules,
    progress: Progress | None,
) -> Answered | list[ScoredCase]:
    for part, references in zip(parts, truths, strict=True):
        unknown = [case.case_id for case in part.cases if case.case_id not in references]
        if unknown:
            raise OverreadError(f"{len(unknown)} cases have no truth, {unknown[0]} for example.", "run `overread update`")
    if project.question.task == "segmentation":
        pairs = [pair for part, references in zip(parts, truths, strict=True) for pair in _pairs(part, references)]
        return score_pairs(pairs, project.question.classes, rules.surface_tolerance_mm, progress)
    return join([_answered(project, part, references) for part, references in zip(parts, truths, strict=True)])


def _pairs(part: _Part, references: Mapping[str, TruthReference]) -> list[MaskPair]:
    cohort = part.cohort
    if cohort.truth_folder is None:
        raise OverreadError("This project asks for a segmentation and names no truth folder.", "set truth.path in project.toml")
    return [
        MaskPair(
            case.case_id,
            case.patient_id,
            references[case.case_id],
            cohort.truth_folder,
            cohort.question,
            cohort.grids[case.case_id],
            part.predictions.masks(case.case_id),
            part.fold,
        )
        for case in part.cases
    ]


def _answered(project: Project, part: _Part, references: Mapping[str, TruthReference]) -> Answered:
    ids = [case.case_id for case in part.cases]
    return answered(
        project.question,
        ids,
        [case.patient_id for case in part.cases],
        [load_truth(part.cohort, case, references[case.case_id]) for case in part.cases],
        part.predictions.values(ids),
        part.decisions,
        units=units_of(project.question, part.cases),
        aggregation=project.settings.question.aggregation,
        fold=part.fold,
    )


class _PanelLoader:
    """Image, truth and answer of a case of the evaluation."""

    def __init__(self, parts: Sequence[_Part], truths: Sequence[Mapping[str, TruthReference]]) -> None:
        self._places = {
            (part.fold, case.case_id): (part, case, references[case.case_id])
            for part, references in zip(parts, truths, strict=True)
            for case in part.cases
        }

    def __call__(self, row: dict[str, Any]) -> tuple[Image, Kind, Kind]:
        part, case, reference = self._places[row.get("fold", NO_FOLD), row["case_id"]]
        truth = load_truth(part.cohort, case, reference)
        if part.cohort.question.task == "segmentation":
            paths = part.predictions.masks(case.case_id)
            answer: Kind = open_answer(case.case_id, paths, part.cohort.question, part.cohort.grids[case.case_id])
        else:
            answer = part.predictions.values([case.case_id])[0]
        return load_image(part.cohort, case), truth, answer


def _rules(project: Project) -> Rules:
    settings = project.settings.evaluation
    return Rules(settings.threshold_rule, settings.surface_tolerance_mm, settings.interval_level, settings.resamples)


def _model(parts: Sequence[_Part]) -> str:
    return parts[0].model if len(parts) == 1 else digest_json([part.model for part in parts])


def _folds_note(on: str) -> str:
    note = (
        "Each fold was answered by its own model with its own decisions. Areas under curves and average precision are means "
        "over folds, as models differ in scale; drawn curves pool them."
    )
    return note + (" A case may be a tuning case of several folds." if on == "tuning" else "")
