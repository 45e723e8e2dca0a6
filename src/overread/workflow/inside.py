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
from overread.reporting.explanation.page import explanation_page
from overread.reporting.page_parts import Part
from overread.workflow.explanations.inside.looked import Looked
from overread.workflow.explanations.inside.parts import PARTS, TITLES
from overread.workflow.explanations.inside.weights import weights_part
from overread.workflow.explanations.maps.cases import Picked, studies, tuning_cases
from overread.workflow.explanations.record import write_page, write_part
from overread.workflow.explanations.subject import Subject, called, model_at, subject_of
from overread.workflow.project import Project

PART = "inside"
WEIGHTS = "weights"
SEVERAL = 8  # tuning cases over which a receptive field is averaged
PAGE, RECORD = "inside.html", "inside.json"
SEAL = "Shown to the network were tuning cases only; the internal test stays sealed."
FIRST_MEMBER = "This model is an ensemble; shown is its first member, which answers with a share of {share:.0%}."
FIRST_STUDY = "There are {count} studies here; shown is the first, {name}."
FROM_PHANTOM = "The model learned from a PHANTOM; what its layers make of a patient means nothing."
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
    model = model_at(path)
    predictor, notes = _single(model)
    shown, told = _shown(study, model, series)
    image = None if shown is None else shown.open()
    prepared = () if image is None else (predictor.prepare(image),)
    is_phantom = model.card.is_phantom if image is None else bool(image.source.get("is_simulated"))
    notes += [*told, *([FROM_PHANTOM] if model.card.is_phantom and not is_phantom else [])]
    looked = Looked(predictor, prepared, "" if shown is None else shown.name, layer, is_phantom)
    record, pictures = _made(looked, model, chosen, is_asked=bool(parts), progress=progress, trained=None)
    run = called(path)
    about = {"run": run, "fold": None, "is_phantom": is_phantom}
    record = {**about, **record, "notes": notes}
    for name, png in pictures.items():
        write_bytes(out / name, png)
    write_json(out / RECORD, {"format": 1, **record})
    sections = {PART: Part(record, pictures)}
    page = explanation_page(run.replace("_", " "), run, is_phantom=is_phantom, parts=sections, are_pseudonyms=shown is None)
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


def _shown(study: Path | None, model: Model, series: Mapping[str, str] | None) -> tuple[Picked | None, list[str]]:
    """The study that is shown, and what is to be said where a folder holds several."""
    if study is None:
        return None, []
    found = list(studies([study], model, series))
    return found[0], [FIRST_STUDY.format(count=len(found), name=found[0].name)] if len(found) > 1 else []


def _of_project(subject: Subject, case: str | None, layer: str | None) -> tuple[Looked, list[str]]:
    predictor, notes = _single(subject.model)
    cases = list(subject.cases)
    if case is not None:
        tuning_cases(subject.cohort, subject.run, subject.model.card.sha256, [case], 1)  # one that may not be shown is refused
        others = [each for each in cases if each.case_id != case]
        cases = [subject.cohort.case(case), *others[: SEVERAL - 1]]
    prepared = tuple(predictor.prepare(load_image(subject.cohort, each)) for each in cases)
    return Looked(predictor, prepared, cases[0].case_id, layer, subject.cohort.is_phantom), notes


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
