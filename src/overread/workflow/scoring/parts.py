"""What an evaluation is made of: a run on its cohort, its answers, the truths they are scored against.

Nothing here opens a seal: truths come in from whoever may hold them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.cohort.progress import Progress
from overread.core.case import Case, TruthReference
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Kind, Picture
from overread.core.question import Decisions
from overread.evaluation.answered import NO_FOLD, Answered, answered, join
from overread.evaluation.decisions.operating import fit_decisions
from overread.evaluation.objects.decisions import as_found, before_and_after
from overread.evaluation.objects.found_case import FoundCase
from overread.evaluation.pictures.pair import PicturePair
from overread.evaluation.pictures.scoring import score_pictures
from overread.evaluation.results import Cases
from overread.evaluation.rules import Rules
from overread.evaluation.scoring import MaskPair, open_answer, score_pairs
from overread.evaluation.sources.pictures_file import read_picture
from overread.evaluation.sources.predictions import Predictions
from overread.evaluation.sources.refused_masks import RefusedPair
from overread.evaluation.units import units_of
from overread.evaluation.voxels.maps import find_maps
from overread.metrics.objects.decide import apply_decisions
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.workflow.ensembles.record import is_over_folds, notes_of, refuse_over_folds
from overread.workflow.external import PREFIX, open_external
from overread.workflow.learning.part_of import part_note, refuse_a_part
from overread.workflow.project import Project
from overread.workflow.scoring.objects import fitted_on_tuning, found_cases
from overread.workflow.scoring.openings import file_word

Truths = Mapping[str, TruthReference]


@dataclass(frozen=True)
class Part:
    """One run on its cohort: a project of partitions has one, a project of folds one for each.

    external  the external cohort that is read; None for cases of the project itself
    """

    fold: int
    cohort: Cohort
    run: RunFolder
    predictions: Predictions
    cases: tuple[Case, ...]
    decisions: Decisions
    model: str
    notes: tuple[str, ...]
    external: Project | None = None


def parts_of(project: Project, run_name: str | None, on: str, fold: int | None) -> list[Part]:
    folds = project.folds
    if on != "tuning":
        refuse_a_part(project, run_name, fold)
    if not on.startswith(PREFIX):
        refuse_over_folds(project, run_name)
    if on.startswith(PREFIX):
        return [_external_part(project, run_name, on, fold)]
    if not folds or fold is not None:
        return [_part(project, run_name, on, fold, check=True)]
    return [_part(project, run_name, on, k, check=k == folds[0]) for k in folds]


def _part(project: Project, run_name: str | None, on: str, fold: int | None, *, check: bool) -> Part:
    """Everything that can be wrong before a truth is looked at is found here."""
    run = project.run(run_name, fold)
    cohort = project.cohort_of(run, fold, check=check)
    cases = cohort.of(on)
    if not cases and on == "internal":
        raise OverreadError(
            "This project has no internal test, so nothing can be claimed of its models.",
            f"look at the tuning cases with `{project.command('evaluate', *project.run_words(run))}`, or test the model on "
            f"patients from elsewhere: `{project.command('external', 'NAME', '--images', 'FOLDER')}`",
        )
    if not cases:
        raise OverreadError(f"There are no {on} cases in this project.", "look at cohort/splits.json")
    predictions = Predictions(run.predictions / on, project.question, project.resume_command(run))
    predictions.check_complete([case.case_id for case in cases])
    decisions, model, notes = _decisions(project, cohort, run, predictions)
    notes = (*filter(None, [part_note(run)]), *notes_of(run), *notes)
    return Part(NO_FOLD if fold is None else fold, cohort, run, predictions, cases, decisions, model, notes)


def _external_part(project: Project, run_name: str | None, on: str, fold: int | None) -> Part:
    """One frozen model on an external cohort; of a project of folds, the model of one fold."""
    other = open_external(project, on)
    over_folds = is_over_folds(project.run(run_name))
    if project.folds and fold is None and not over_folds:
        raise OverreadError(
            f"This project has {len(project.folds)} folds, each with a model of its own; an external cohort tests one model.",
            "say which with --fold K",
        )
    cohort, run = other.cohort(), project.run(run_name, fold)
    predictions = Predictions(run.predictions / file_word(on), project.question)
    if not predictions.folder.is_dir():
        raise OverreadError(
            f"The model of run '{run.name}' has not read the external cohort '{other.path.name}' yet.",
            f"let it: `{project.command('external', other.path.name, *project.run_words(run))}`",
        )
    cases = cohort.of("internal")
    predictions.check_complete([case.case_id for case in cases])
    own = cohort if over_folds else project.cohort(fold, check=False)
    decisions, model, notes = _decisions(project, own, run, predictions)
    return Part(NO_FOLD, cohort, run, predictions, cases, decisions, model, (*notes_of(run), *notes), other)


def _decisions(
    project: Project, cohort: Cohort, run: RunFolder, predictions: Predictions
) -> tuple[Decisions, str, tuple[str, ...]]:
    """Decisions and hash of the frozen model; for a baseline and for another program, decisions fitted on tuning answers."""
    path = run.model / "model.json"
    if path.exists():
        card = read_json(path)
        if card.get("state", "frozen") != "frozen":
            raise OverreadError(
                f"The model of run '{run.name}' is a snapshot of unfinished training.",
                f"finish it: `{project.resume_command(run)}`",
            )
        named = predictions.description.get("model")
        if named and named != card["sha256"]:
            raise OverreadError(
                f"The answers in {predictions.folder} come from the model {named[:19]}..., "
                f"the run's model is {card['sha256'][:19]}...",
                "let this model read the cases again",
            )
        return Decisions.from_dict(card["decisions"]), str(card["sha256"]), ()
    is_baseline = (run.path / "baseline.json").exists()
    whose = "a hand-made baseline; no network" if is_baseline else "another program; no frozen model of Overread"
    foreign = f"These answers come from {whose} stands behind them."
    task = project.question.task
    if task == "segmentation" or project.question.is_of_pictures:
        return Decisions(), predictions.identity, (foreign,)
    tuning = Predictions(run.predictions / "tuning", project.question, project.resume_command(run))
    if not tuning.folder.is_dir():
        without = "they have no intervals" if task == "regression" else "thresholds are 0.5"
        return Decisions(), predictions.identity, (f"{foreign} It gave no answers to tuning cases, so {without}.",)
    cases = cohort.of("tuning")
    ids = [case.case_id for case in cases]
    tuning.check_complete(ids)
    if project.question.is_of_objects:
        fitted = "Its thresholds, merging and least sizes were chosen"
        decisions = fitted_on_tuning(cohort, tuning, object_rules(project))
        return decisions, predictions.identity, (f"{foreign} {fitted} on its answers to the tuning cases.",)
    cases = tuple(case for case in cases if case.case_id not in tuning.refused)
    ids = [case.case_id for case in cases]
    asked = project.settings.evaluation
    decisions = fit_decisions(
        project.question,
        [load_truth(cohort, case) for case in cases],
        tuning.values(ids),
        asked.threshold_rule,
        units=units_of(project.question, cases),
        aggregation=project.settings.question.aggregation,
        patients=[case.patient_id for case in cases],
        calibration=asked.calibration,
        sampling=asked.sampling,
        prevalence=asked.prevalence,
    )
    fitted = "Its operating point was chosen" if task == "classification" else "Intervals around its numbers were fitted"
    return decisions, predictions.identity, (f"{foreign} {fitted} on its answers to the tuning cases.",)


def score_cases(
    project: Project,
    parts: Sequence[Part],
    truths: Sequence[Mapping[str, TruthReference]],
    rules: Rules,
    progress: Progress | None,
) -> Cases:
    for part, references in zip(parts, truths, strict=True):
        unknown = [case.case_id for case in part.cases if case.case_id not in references]
        if unknown:
            raise OverreadError(f"{len(unknown)} cases have no truth, {unknown[0]} for example.", "run `overread update`")
    if project.question.task == "segmentation":
        pairs = [pair for part, references in zip(parts, truths, strict=True) for pair in _pairs(part, references)]
        return score_pairs(pairs, project.question.classes, rules.surface_tolerance_mm, progress)
    if project.question.is_of_pictures:
        pictures = [pair for part, references in zip(parts, truths, strict=True) for pair in _picture_pairs(part, references)]
        return score_pictures(pictures, project.question.classes, progress)
    if project.question.is_of_objects:
        return [
            case for part, references in zip(parts, truths, strict=True) for case in _found(part, references, rules, progress)
        ]
    return join([_answered(project, part, references) for part, references in zip(parts, truths, strict=True)])


def _pairs(part: Part, references: Truths) -> list[MaskPair | RefusedPair]:
    cohort = part.cohort
    if cohort.truth_folder is None:
        raise OverreadError("This project asks for a segmentation and names no truth folder.", "set truth.path in project.toml")
    pairs: list[MaskPair | RefusedPair] = []
    answered_ids = [case.case_id for case in part.cases if case.case_id not in part.predictions.refused]
    temperature, model = part.decisions.temperature, part.model
    found = find_maps(part.predictions.folder, cohort.question, answered_ids, temperature=temperature, model=model)
    for case in part.cases:
        truth, grid = references[case.case_id], cohort.grids[case.case_id]
        if case.case_id in part.predictions.refused:
            pairs.append(RefusedPair(case.case_id, case.patient_id, truth, cohort.truth_folder, cohort.question, grid, part.fold))
            continue
        masks = part.predictions.masks(case.case_id)
        maps = found.by_case.get(case.case_id, found.missing)
        pairs.append(
            MaskPair(case.case_id, case.patient_id, truth, cohort.truth_folder, cohort.question, grid, masks, part.fold, maps)
        )
    return pairs


def _picture_pairs(part: Part, references: Truths) -> list[PicturePair]:
    return [
        PicturePair.of(
            part.cohort,
            case,
            references[case.case_id],
            () if case.case_id in part.predictions.refused else part.predictions.picture(case.case_id),
            part.fold,
        )
        for case in part.cases
    ]


def _found(part: Part, references: Truths, rules: Rules, progress: Progress | None) -> list[FoundCase]:
    return found_cases(part.cohort, part.cases, part.predictions, references, part.decisions, rules, part.fold, progress)


def post_processing(
    project: Project, parts: Sequence[Part], truths: Sequence[Truths], cases: Cases, rules: Rules
) -> list[dict[str, Any]]:
    """What merging and least sizes, fitted on these tuning cases, change in them."""
    after = [case for case in cases if isinstance(case, FoundCase)] if not isinstance(cases, Answered) else []
    before = [
        case
        for part, references in zip(parts, truths, strict=True)
        for case in _found(replace(part, decisions=as_found(part.decisions)), references, rules, None)
    ]
    return before_and_after(project.question, before, after)


def object_rules(project: Project) -> Rules:
    """What the matching of objects and the choice of their thresholds depend on."""
    asked = project.settings.evaluation
    return Rules(matching=asked.matching, false_positives=asked.false_positives)


def _answered(project: Project, part: Part, references: Mapping[str, TruthReference]) -> Answered:
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
        refused=part.predictions.refused,
    )


class PanelLoader:
    """Image, truth and answer of a case of the evaluation."""

    def __init__(self, parts: Sequence[Part], truths: Sequence[Mapping[str, TruthReference]]) -> None:
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
        elif isinstance(truth, Picture):
            paths = part.predictions.picture(case.case_id)
            answer = read_picture(case.case_id, paths, part.cohort.question, truth.grid, truth.units)
        elif part.cohort.question.is_of_objects:
            raw = part.predictions.objects({case.case_id: part.cohort.grids[case.case_id]})[case.case_id]
            answer = apply_decisions(raw, part.decisions, part.cohort.question.classes)
        else:
            answer = part.predictions.values([case.case_id])[0]
        return load_image(part.cohort, case), truth, answer
