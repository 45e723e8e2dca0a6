"""`overread inside`: what a frozen network is made of, what its layers respond to, and how far they see.

Of a project only tuning cases are shown to it; the internal test stays sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.explanation.asked import single
from overread.reading.model import Model
from overread.record.files import write_bytes, write_json, write_text
from overread.record.run import RunFolder
from overread.reporting.explanation.blocks import Part
from overread.reporting.explanation.page import explanation_page
from overread.workflow.explain import model_of
from overread.workflow.explanations.inside_parts import PARTS, TITLES, Looked
from overread.workflow.explanations.inside_weights import weights_part
from overread.workflow.explanations.maps_cases import studies, tuning_cases
from overread.workflow.explanations.record import write_page, write_part
from overread.workflow.explanations.subject import Subject, subject_of
from overread.workflow.project import Project
from overread.workflow.readings.exams import exams_in

PART = "inside"
WEIGHTS = "weights"
SEVERAL = 8  # tuning cases over which a receptive field is averaged
PAGE, RECORD = "inside.html", "inside.json"
SEAL = "Shown to the network were tuning cases only; the internal test stays sealed."
FIRST_MEMBER = "This model is an ensemble; shown is its first member, which answers with a share of {share:.0%}."
NO_TRAINING = "A model file does not hold what its training began with."


def inside_project(
    project: Project,
    run_name: str | None = None,
    fold: int | None = None,
    case: str | None = None,
    layer: str | None = None,
    parts: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Look inside the model of a run; write its part "inside" and the page.

    case    tuning case by pseudonym, which is drawn; otherwise one chosen by the hash of the pseudonyms
    layer   by name; otherwise three on the way
    parts   names of `PARTS`, and "weights"; all where none is given
    """
    chosen = chosen_parts(parts)
    subject = subject_of(project, run_name, fold, SEVERAL)
    looked, notes = _of_project(subject, case, layer)
    record, pictures = _made(
        looked, subject.model, chosen, is_asked=bool(parts), progress=progress, trained=(project, subject.run)
    )
    is_phantom = subject.cohort.is_phantom
    about = {"run": project.run(run_name).name, "fold": fold, "is_phantom": is_phantom}
    record = {**about, **record, "notes": [SEAL, *notes]}
    write_part(subject.run, PART, record, pictures)
    return {**record, "page": str(write_page(project, subject.run, is_phantom=is_phantom))}


def inside_model(
    path: Path,
    study: Path | None,
    out: Path,
    layer: str | None = None,
    parts: Sequence[str] = (),
    series: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Look inside a model file; write pictures, `inside.html` and `inside.json` into a folder.

    study   that is shown to it; without one there are no maps, and receptive fields are averaged over noise
    """
    chosen = chosen_parts(parts)
    model = model_of(path)
    predictor, notes = _single(model)
    shown = next(studies(list(exams_in([study], model.card, series)), model)) if study is not None else None
    prepared = () if shown is None else (predictor.prepare(shown.open()),)
    looked = Looked(predictor, prepared, "" if shown is None else shown.name, layer, model.card.is_phantom)
    record, pictures = _made(looked, model, chosen, is_asked=bool(parts), progress=progress, trained=None)
    about = {"run": path.stem, "fold": None, "is_phantom": model.card.is_phantom}
    record = {**about, **record, "notes": notes}
    for name, png in pictures.items():
        write_bytes(out / name, png)
    write_json(out / RECORD, {"format": 1, **record})
    sections = {PART: Part(record, pictures)}
    page = explanation_page(path.stem.replace("_", " "), path.stem, is_phantom=model.card.is_phantom, parts=sections)
    write_text(out / PAGE, page)
    return {**record, "page": str(out / PAGE)}


def chosen_parts(names: Sequence[str]) -> tuple[str, ...]:
    """The parts of these names, in the order of the page; all where none is named, and an unknown one is refused."""
    known = (*PARTS, WEIGHTS)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=2, cutoff=0.4)
            hint = f"did you mean {', '.join(near)}?" if near else f"choose among {', '.join(known)}"
            raise OverreadError(f"There is no part '{name}'.", hint)
    return tuple(name for name in known if not names or name in names)


def _of_project(subject: Subject, case: str | None, layer: str | None) -> tuple[Looked, list[str]]:
    predictor, notes = _single(subject.model)
    others = [each for each in subject.cases if each.case_id != case]
    images = [load_image(subject.cohort, each) for each in others]
    first = subject.cases[0].case_id if case is None else case
    if case is not None:
        picked, _ = tuning_cases(subject.cohort, subject.run, subject.model.card.sha256, [case], 1)
        images = [picked[0].open(), *images[: SEVERAL - 1]]
    prepared = tuple(predictor.prepare(image) for image in images)
    return Looked(predictor, prepared, first, layer, subject.cohort.is_phantom), notes


def _single(model: Model) -> tuple[Any, list[str]]:
    """The network that is looked into, and what is to be said of the choice."""
    several = single(model.predictor)
    predictor, share = several[0]
    return predictor, [FIRST_MEMBER.format(share=share)] if len(several) > 1 else []


def _made(
    looked: Looked,
    model: Model,
    chosen: Sequence[str],
    *,
    is_asked: bool,
    progress: Progress | None,
    trained: tuple[Project, RunFolder] | None,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The record and the pictures; a part that cannot be made stops only where it was asked for by name."""
    _ = looked.layers  # a layer that does not exist is refused before any work
    made: dict[str, Any] = {}
    pictures: dict[str, bytes] = {}
    refused: list[dict[str, str]] = []
    if progress is not None:
        progress.start(len(chosen), "Looking inside the network")
    for name in chosen:
        try:
            found, drawn = PARTS[name](looked) if name in PARTS else (_weights(looked, trained), {})
            made[name] = found
            pictures |= drawn
        except OverreadError as error:
            if is_asked:
                raise
            refused.append({"part": name, "title": TITLES[name], "reason": error.what, "next": error.next})
        if progress is not None:
            progress.advance(1, TITLES[name])
    if progress is not None:
        progress.finish()
    card = model.card.members[0].card if model.card.members else model.card
    record = {"model": model.card.sha256, "network": card.network["name"], "case": looked.case, "layers": list(looked.layers)}
    return {**record, "parts": made, "refused": refused}, pictures


def _weights(looked: Looked, trained: tuple[Project, RunFolder] | None) -> dict[str, Any]:
    if trained is None:
        raise OverreadError(NO_TRAINING, "look at the run in its project: `overread inside DIR --part weights`")
    return weights_part(*trained, looked.predictor.network)
