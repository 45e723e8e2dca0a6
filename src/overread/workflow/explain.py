"""`overread explain`: maps of what a frozen model's answers rest on, each stamped with the verdict of its method's trial.

Of a project only tuning cases are asked; the internal test stays sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.explanation.batching import telling
from overread.explanation.targets import refuse_unknown
from overread.reading.model import Model
from overread.record.files import write_bytes, write_json, write_text
from overread.reporting.explanation.page import explanation_page
from overread.reporting.page_parts import Part
from overread.workflow.explanations.covariates import explain_baseline, is_baseline
from overread.workflow.explanations.fused import explain_fused
from overread.workflow.explanations.maps.cases import Picked, studies, tuning_cases
from overread.workflow.explanations.maps.drawn import draw_maps, method_rows
from overread.workflow.explanations.maps.files import Files
from overread.workflow.explanations.maps.made import make_maps, open_shelf
from overread.workflow.explanations.maps.methods import Wish, chosen_methods
from overread.workflow.explanations.maps.verdicts import trial_beside
from overread.workflow.explanations.record import beside_of, part_of, put_in_place, write_page, write_part
from overread.workflow.explanations.subject import called, model_at, subject_of
from overread.workflow.frozen import run_of
from overread.workflow.project import Project
from overread.workflow.readings.clinical import Given

PART, FILES = "maps", "maps-files"
PAGE, RECORD = "index.html", "explanation.json"
SEAL = "Asked were tuning cases only; the internal test stays sealed."
FROM_PHANTOM = "The model learned from a PHANTOM; what its maps show on a patient means nothing."


def explain_project(
    project: Project,
    wish: Wish,
    run_name: str | None = None,
    fold: int | None = None,
    cases: Sequence[str] = (),
    limit: int | None = None,
    out: Path | None = None,
    formats: Sequence[str] = ("png",),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Explain tuning cases of a run; write its part "maps" and the page.

    cases    pseudonyms; without any, some chosen by rule
    limit    the most cases
    out      folder for files; `explanation/maps-files/` of the run where other formats than PNG are wanted
    returns  the record, with "page" and "files": where they lie
    """
    _check(limit)
    subject = subject_of(project, run_name, fold, None)
    model, run = subject.model, subject.run
    trial = part_of(run, "trial")
    picked, notes = tuning_cases(subject.cohort, run, model.card.sha256, cases, limit)
    kept = run.path / "explanation" / FILES
    folder = out or (beside_of(kept) if set(formats) - {"png"} else None)
    name = next((path.stem for path in run.path.glob("*.overread")), f"{project.name}-{run.name}")
    files = None if folder is None else Files(folder, tuple(formats), model.card, name)
    is_phantom = subject.cohort.is_phantom
    record, pictures = _explained(
        model, picked, wish, None if trial is None else trial.record, files, progress, is_phantom=is_phantom, is_tolerant=False
    )
    about = {"run": project.run(run_name).name, "fold": fold, "of_cases": len(subject.cohort.of("tuning"))}
    record = {**about, "is_phantom": is_phantom, **record, "notes": [SEAL, *notes, *record["notes"]]}
    write_part(run, PART, record, pictures)
    shares = explain_fused(subject, project.run(run_name).name, fold, progress)
    if folder is not None and out is None:  # files of maps that are withheld now go with those that are new
        put_in_place(folder, kept)
        folder = kept
    page = write_page(project, run, is_phantom=is_phantom)
    told = {} if shares is None else {"covariates": shares}
    return {**record, **told, "page": str(page), "files": None if folder is None else str(folder)}


def explain_run_of_features(
    project: Project,
    wish: Wish,
    run_name: str | None = None,
    fold: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    *,
    cases: Sequence[str] = (),
    has_files: bool = False,
) -> dict[str, Any] | None:
    """Shapley values of what a baseline's answers rest on, with "page"; None where the run has a network.

    A baseline has no network, so what is asked of one is refused: methods, single cases, has_files where maps as files were.
    """
    _check(limit)
    run = run_of(project, run_name, fold)
    if not is_baseline(run):
        return None
    if wish != Wish() or cases or has_files:
        raise OverreadError(
            f"Run '{run.name}' is a baseline of features: there is no network, so no methods, targets or layers to choose, no "
            "cases to name and no maps to write.",
            "leave these out: what each feature brought to the answers is shown, or name a run with a network with --run",
        )
    record = explain_baseline(project, run, fold, limit, progress)
    return {**record, "page": str(write_page(project, run, is_phantom=record["is_phantom"]))}


def explain_studies(
    model_path: Path,
    paths: Sequence[Path],
    wish: Wish,
    out: Path,
    limit: int | None = None,
    formats: Sequence[str] = ("png",),
    series: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    clinical: Given | None = None,
) -> dict[str, Any]:
    """Explain studies that were given; write pictures, `index.html` and `explanation.json` into a folder.

    series   rules for series that are called otherwise than in training, as in `overread read`
    clinical values that the model reads beside the image, as there
    returns  the record, with "page" and "files": where they lie
    """
    _check(limit)
    if not paths:
        raise OverreadError("A model alone cannot be explained: its maps are of studies.", "name a study after the model")
    model = model_at(model_path)
    trial, note = trial_beside(model_path, model.card.sha256)
    picked = list(islice(studies(paths, model, series, clinical), limit))
    name = called(model_path)
    files = Files(out, tuple(formats), model.card, name)
    record, pictures = _explained(model, picked, wish, trial, files, progress, is_phantom=False, is_tolerant=True)
    refused = [row for row in record["cases"] if row["refusal"]]
    if len(refused) == len(picked):
        raise OverreadError(
            f"No study could be explained; the first reason: {refused[0]['case_id']}: {refused[0]['refusal']}",
            "give whole studies of the kind that the model was trained on; `overread read` says of each why it is not read",
        )
    is_phantom = all(row["is_simulated"] for row in record["cases"] if not row["refusal"])
    notes = [note] * bool(note) + [FROM_PHANTOM] * (model.card.is_phantom and not is_phantom)
    record = {"run": name, "fold": None, "is_phantom": is_phantom, **record, "notes": [*notes, *record["notes"]]}
    parts = {PART: Part(record, pictures)} | ({} if trial is None else {"trial": Part(trial)})
    for file, png in pictures.items():
        write_bytes(out / file, png)
    write_json(out / RECORD, {"format": 1, **record})
    page = explanation_page(name.replace("_", " "), name, is_phantom=is_phantom, parts=parts, are_pseudonyms=False)
    write_text(out / PAGE, page)
    return {**record, "page": str(out / PAGE), "files": str(out)}


def _explained(
    model: Model,
    cases: Sequence[Picked],
    wish: Wish,
    trial: Mapping[str, Any] | None,
    files: Files | None,
    progress: Progress | None,
    *,
    is_phantom: bool,
    is_tolerant: bool,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The record without what is known of the run, and the pictures by name."""
    question = model.card.question
    if wish.target is not None:
        refuse_unknown(question, wish.target)
    chosen = chosen_methods(wish, trial)
    withheld = [] if wish.show_failed else [each for each in chosen if each.judged.is_failed]
    drawn = [each for each in chosen if each not in withheld]
    said: list[str] = []
    with open_shelf() as shelf, telling(said.append):
        made = make_maps(model.predictor, cases, drawn, wish, shelf, progress, is_tolerant=is_tolerant)
        rows, pictures, notes = draw_maps(made, cases, shelf, files, is_phantom=is_phantom)
    record = {
        "model": model.card.sha256,
        "task": question.task,
        "classes": list(question.classes),
        "network": model.card.network["name"],
        "target": wish.target,
        "has_trial": trial is not None,
        "n_cases": len(cases),
        "methods": method_rows(drawn, withheld, made),
        "cases": rows,
        "notes": [*dict.fromkeys(said), *notes],
    }
    return record, pictures


def _check(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise OverreadError(f"--limit {limit} leaves no case.", "give the number of cases to explain, such as --limit 6")
