"""`overread evaluate`: the answers of a run, or of anybody, against the truth, with intervals.

Only `predictions/` is read, ours or anybody's; no network runs here. This is the only file that may open the seal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from overread.cohort.index import current_digest, has_internal_test, read_splits
from overread.cohort.progress import Progress
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.evaluation.afterwards.label_error import of_evaluation
from overread.evaluation.answered import NO_FOLD
from overread.evaluation.groups.subgroups import subgroups
from overread.evaluation.result import Result
from overread.evaluation.results import About, fold_table
from overread.evaluation.results import evaluate as put_together
from overread.evaluation.rules import Rules
from overread.evaluation.sources.slices_file import read_slices
from overread.evaluation.unseal import Declaration, make_declaration, open_seal
from overread.metrics.table import default_endpoint
from overread.record.files import digest_json, write_json
from overread.workflow.audits.leaks import shared_with
from overread.workflow.ensembles.record import is_over_folds
from overread.workflow.evaluate_answers import evaluate_answers
from overread.workflow.external import PREFIX
from overread.workflow.learning.panels import write_panels
from overread.workflow.project import Project
from overread.workflow.scoring.groups import group_columns
from overread.workflow.scoring.openings import file_word, keep_result, look_back
from overread.workflow.scoring.parts import PanelLoader, Part, parts_of, post_processing, score_cases
from overread.workflow.scoring.shift import compared_with, shift_of
from overread.workflow.scoring.stages import stages_of
from overread.workflow.scoring.threshold import threshold_rows
from overread.workflow.unfit import refuse_unscored

__all__ = ["evaluate", "evaluate_answers"]

TUNING_NOTE = (
    "These are tuning cases: the decisions frozen in the model were fitted on them, and settings may have been chosen by them, "
    "so expect less on new cases. This says nothing of the internal test, which is opened by --on internal."
)

NO_TEST_NOTE = (
    "These are tuning cases: the decisions frozen in the model were fitted on them, and settings may have been chosen by them, "
    "so expect less on new cases. This project has no internal test, so nothing is claimed."
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

    run_name  None takes the run with a model or answers that was changed last
    on        "tuning"; or "internal" or "external:NAME", which open a seal
    fold      projects of folds: one of them; None pools all
    declare   sealed cases: hypothesis, primary_endpoint, margin, threshold_rule, declared; wins over project.toml
    tell      is told what has to be said aloud, such as that the seal is being opened
    """
    project = project if isinstance(project, Project) else Project.open(Path(project))
    is_external = on.startswith(PREFIX)
    if on not in ("tuning", "internal") and not is_external:
        raise OverreadError(f"There is no partition '{on}' to evaluate on.", "say tuning, internal or external:NAME")
    refuse_unscored(project)
    rules = _rules(project)
    parts = parts_of(project, run_name, on, fold)
    reference = _reference(project, parts, fold, panels=panels) if is_external else None
    truths: list[dict[str, TruthReference]] = [_plain_truths(part) for part in parts]
    has_test = has_internal_test(read_splits(project.path))
    opening, notes, back = None, [TUNING_NOTE if has_test else NO_TEST_NOTE] if on == "tuning" else [], None
    if on != "tuning":
        back = look_back(project, on, fold)
        truths, opening, notes = _open(project, parts, declare, back["notes"], tell)
    notes += [f"The audit found: {statement}" for statement in shared_with(project, on)]
    notes += [note for part in parts for note in part.notes]
    cases = score_cases(project, parts, truths, rules, progress)
    refused = {case_id: why for part in parts for case_id, why in part.predictions.refused.items()}
    about = About(on, parts[0].cohort.is_phantom, _model(parts), opening, tuple(dict.fromkeys(notes)), refused)
    result = put_together(project.question, cases, {p.fold: p.decisions for p in parts}, rules, about)
    endpoint = (
        (opening or {}).get("primary_endpoint")
        or project.settings.evaluation.primary_endpoint
        or default_endpoint(project.question)
    )
    result["label_error"] = of_evaluation(result, rules)
    columns = group_columns(case for part in parts for case in part.cases)
    result["subgroups"] = subgroups(project.question, cases, columns, rules, endpoint)
    if on == "tuning" and project.question.is_of_objects:
        result["post_processing"] = post_processing(project, parts, truths, cases, rules)
    if about.is_phantom:
        result["baseline"] = threshold_rows(parts[0].external or project)
    if (stages := stages_of(parts, truths)) is not None:
        result["stages"] = stages
        result["notes"] += stages["notes"]
    if len(parts) > 1:
        table = fold_table(project.question, cases, rules, {p.fold: p.model for p in parts}, about)
        result["folds"] = _with_levels(project, table)
        result["notes"].append(_folds_note(on))
    if back is not None:
        result |= {"earlier": back["earlier"], "correction": back["correction"]}
    if reference is not None:
        result["external"] = shift_of(project, parts[0], reference, result)
        result["notes"] += result["external"]["notes"]
    folder = project.run(run_name) if len(parts) > 1 else parts[0].run
    write_json(folder.evaluation(file_word(on)), result)
    if opening is not None:
        keep_result(project, folder, result, fold)
    if panels:
        shown = [row for row in result["cases"] if "refused" not in row]
        place = folder.path / f"panels-{file_word(on)}"
        told = {case_id: shares for part in parts for case_id, shares in read_slices(part.predictions.folder).items()}
        write_panels(place, on, shown, PanelLoader(parts, truths), is_phantom=about.is_phantom, slices=told)
    return result


def _reference(project: Project, parts: Sequence[Part], fold: int | None, *, panels: bool) -> Result | None:
    """What an external result is compared with: the internal test of the same model, else its tuning cases.

    None for one model over all folds, which has neither.
    """
    if is_over_folds(parts[0].run):
        return None
    found = compared_with(parts[0])
    return found if found is not None else evaluate(project, _run_name(project, parts[0]), "tuning", fold, panels=panels)


def _run_name(project: Project, part: Part) -> str:
    """As it is named on the command line; one of several that lie in a folder with the folder's name before it."""
    return project.run_words(part.run)[1]


def _with_levels(project: Project, table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Folds that are sites (or scanners, or periods) say which."""
    rule = read_splits(project.path).get("rule", {})
    levels = rule.get("levels", ())
    return [{**row, "by": rule["by"], "level": levels[row["fold"]]} if row["fold"] < len(levels) else row for row in table]


def _plain_truths(part: Part) -> dict[str, TruthReference]:
    return {case.case_id: case.truth for case in part.cases if case.truth is not None}


def _open(
    project: Project,
    parts: Sequence[Part],
    declare: Mapping[str, Any] | None,
    before: Sequence[str],
    tell: Callable[[str], None],
) -> tuple[list[dict[str, TruthReference]], dict[str, Any], list[str]]:
    """Check what is declared, write it down, open the seal of each part.

    before  what is to be said first: earlier results of this test, and corrected truths
    """
    declaration = declaration_of(project, declare, is_phantom=parts[0].cohort.is_phantom)
    _check_rule(declaration, parts)
    truths, entries = [], []
    for part in parts:
        partition = "internal" if part.fold == NO_FOLD else part.fold
        found, entry = open_seal(
            project.path,
            declaration,
            partition=partition,
            model=part.model,
            run=_run_name(project, part),
            external=None if part.external is None else part.external.path,
            cohort=current_digest(part.cohort.folder),
            thresholds={point.class_name: point.threshold for point in part.decisions.operating_points},
        )
        truths.append(found)
        entries.append(entry)
    opening = {**entries[-1], "number": max(entry["number"] for entry in entries)}
    times = "once" if opening["number"] == 1 else f"{opening['number']} times"
    other = parts[0].external
    what = "The internal test" if other is None else f"The external cohort '{other.path.name}'"
    notes = [*before, f"{what} has been opened {times}; {declaration.primary_endpoint} was declared before."]
    if declaration.by_default:
        notes.append("Hypothesis and endpoint are a phantom's own: nobody declared them, nothing is claimed about patients.")
    for note in notes:
        tell(note)
    return truths, opening, notes


def declaration_of(project: Project, said: Mapping[str, Any] | None, *, is_phantom: bool) -> Declaration:
    """What `project.toml` and `said` declare together, checked; nothing is opened. See `make_declaration`."""
    settings = project.settings.evaluation
    names = ("hypothesis", "primary_endpoint", "margin", "threshold_rule", "declared", "false_positives")
    return make_declaration(project.question, {name: getattr(settings, name) for name in names}, said, is_phantom=is_phantom)


def _check_rule(declaration: Declaration, parts: Sequence[Part]) -> None:
    """The operating point is frozen; a rule declared for it now must be the one it was chosen by."""
    declared = declaration.threshold_rule
    for point in (p for part in parts for p in part.decisions.operating_points):
        if point.rule != declared and f"'{declared}'" not in point.rule:  # quoted: wished for, and could not be fitted
            raise OverreadError(
                f"The operating point of {point.class_name} was frozen by the rule '{point.rule}'; declared is '{declared}'.",
                f"declare --threshold-rule '{point.rule}', or train again with that rule in project.toml",
            )


def _rules(project: Project) -> Rules:
    settings = project.settings.evaluation
    return Rules(
        settings.threshold_rule,
        settings.surface_tolerance_mm,
        settings.interval_level,
        settings.resamples,
        sampling=settings.sampling,
        prevalence=settings.prevalence,
        matching=settings.matching,
        false_positives=settings.false_positives,
    )


def _model(parts: Sequence[Part]) -> str:
    return parts[0].model if len(parts) == 1 else digest_json([part.model for part in parts])


def _folds_note(on: str) -> str:
    note = (
        "Each fold was answered by its own model with its own decisions. Areas under curves and average precision are means "
        "over folds, as models differ in scale; drawn curves pool them."
    )
    return note + (" A case may be a tuning case of several folds." if on == "tuning" else "")
