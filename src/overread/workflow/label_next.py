"""`overread label-next`: which unlabelled studies a reader should label next, and whether that saves labels.

The model of a run looks at studies without labels. Proposed are those that it is unsure of and that are unlike what is labelled
already (see evaluation/learning/acquisition.py). The list names studies as the user calls them, so it lies with the private
files; the log of proposals holds counts and digests only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from overread.cohort.clinical import cell
from overread.cohort.index import read_index
from overread.cohort.load import open_channels
from overread.cohort.progress import Progress
from overread.cohort.some_cases import some_of
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.evaluation.learning.acquisition import BOTH, Proposal, propose
from overread.imaging.digest import pixel_digest
from overread.reading.model import Model
from overread.record.events import EventLog, read_events
from overread.record.files import digest_bytes, write_text
from overread.workflow.frozen import model_of, run_of
from overread.workflow.labelling.pool import MEASURES, Pool, features_of_cases, look_at
from overread.workflow.project import Project
from overread.workflow.read import as_trained
from overread.workflow.readings.clinical import Given, variables_of, with_clinical_values
from overread.workflow.readings.exams import Exam, exams_in
from overread.workflow.readings.refusing import Refusing
from overread.workflow.unfit import refuse_images

LIST, LOG = "label-next.csv", "label-next.jsonl"
COUNT = 20
MOST_LABELLED = 500  # labelled cases that new ones are held against, always the same ones
COLUMNS = ("rank", "study", "uncertainty", "measure", "distance")


def label_next(
    project: Project,
    studies: Sequence[Path],
    count: int = COUNT,
    by: str = BOTH,
    run_name: str | None = None,
    fold: int | None = None,
    refusal: str | None = None,
    clinical: Given | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Rank unlabelled studies; writes cohort/private/label-next.csv and a line in cohort/label-next.jsonl.

    studies  files and folders, as `overread read` takes them; those whose pixels the cohort holds already are left out
    count    studies to propose
    by       "both": of the unsure the far ones; "uncertainty", "diversity", or "chance" to compare with
    clinical values that the model reads beside the image, as of `overread read`; what is missing is read as missing
    refusal  as of `overread read`; an image that the model refuses is listed apart, since it may be another kind of image
    """
    refuse_images(project)
    run = run_of(project, run_name, fold)
    model = model_of(project, run)
    cohort = project.cohort_of(run, fold)
    refusing = Refusing.of(model, refusal)
    exams = with_clinical_values(list(exams_in([Path(study) for study in studies], model.card)), model.card, clinical)
    _tell(progress, len(exams), "Looking at unlabelled studies")
    digests: dict[str, str] = {}
    known = _known(project)
    pool = look_at(
        model.predictor,
        _openers(model, refusing, exams, known, digests),
        project.settings.evaluation.matching,
        (lambda name: progress.advance(1, name)) if progress is not None else (lambda name: None),
    )
    if progress is not None:
        progress.finish()
    if not pool.names:
        first = next(iter(pool.left_out.items()), ("", "nothing was found there"))
        raise OverreadError(
            f"None of {len(exams)} studies can be proposed; the first reason: {first[0]}: {first[1]}",
            "give studies without labels, of the kind that the model was trained on",
        )
    labelled = some_of(cohort.of("training"), project.question, MOST_LABELLED)
    features = features_of_cases(model.predictor, cohort, labelled, progress)
    proposals = propose(pool.unsure.tolist(), pool.features, features, count, by, seed)
    measure = MEASURES[project.question.task]
    place = _write_list(project, pool, proposals, measure)
    record = {
        "run": project.run(run_name).name,
        "fold": fold,
        "model": model.card.sha256,
        "cohort": cohort.digest,
        "by": by,
        "measure": measure,
        "pool": len(pool.names),
        "left_out": len(pool.left_out),
        "labelled": len(labelled),
        "proposed": [digests[pool.names[each.position]] for each in proposals],
    }
    labelled_since = _labelled_since(project, known)
    EventLog(project.path / "cohort" / LOG).write("proposed", **record)
    shown = [{"study": pool.names[p.position], "uncertainty": _finite(p.unsure), "distance": p.distance} for p in proposals]
    return {
        **{key: value for key, value in record.items() if key != "proposed"},
        "proposals": shown,
        "reasons": pool.left_out,
        "list": str(place),
        "log": str(project.path / "cohort" / LOG),
        **labelled_since,
        "clinical_missing": {v.name: sum(not cell(exam.clinical, v.name) for exam in exams) for v in variables_of(model.card)},
        "is_phantom": cohort.is_phantom,
    }


def _openers(
    model: Model, refusing: Refusing, exams: Sequence[Exam], known: frozenset[str], digests: dict[str, str]
) -> Iterator[tuple[str, Callable[[], Image]]]:
    """How each study is opened; one that must not be proposed raises why. Twins within the pool are proposed once."""

    def opener(exam: Exam) -> Callable[[], Image]:
        def open_it() -> Image:
            if exam.refusal is not None:
                raise exam.refusal
            image = open_channels(exam.name, exam.references, exam.folder, gaps=exam.gaps, tilt=exam.tilt)
            if image.source.get("made"):
                raise OverreadError("a network made or changed it", "label a study as the scanner gave it")
            digest = _digest(image)
            if digest in known:
                raise OverreadError("it is a case of this project already", "label another one")
            if digest in digests.values():
                raise OverreadError("another study of the pool has the same pixels", "label one of them")
            image, _ = as_trained(replace(image, clinical=exam.clinical), model.card)
            _, why, _ = refusing.look(model, image, model.predictor.prepare(image))
            if why:
                raise OverreadError(f"the model refuses it: {why}", "look at it; if it belongs, add --refusal warn")
            digests[exam.name] = digest
            return image

        return open_it

    for exam in exams:
        yield exam.name, opener(exam)


def _digest(image: Image) -> str:
    """Of the pixels, hashed once more: the log must not be a list by which images of the cohort could be recognised."""
    return digest_bytes([b"label-next", pixel_digest(image).encode()])


def _known(project: Project) -> frozenset[str]:
    return frozenset(digest_bytes([b"label-next", row.digest.encode()]) for row in read_index(project.path))


def _labelled_since(project: Project, known: frozenset[str]) -> dict[str, Any]:
    """How many of the studies that were proposed before are cases of the project by now."""
    path = project.path / "cohort" / LOG
    before = {digest for event in read_events(path) for digest in event.get("proposed", ())} if path.exists() else set()
    return {"proposed_before": len(before), "labelled_since": len(before & known)}


def _write_list(project: Project, pool: Pool, proposals: Sequence[Proposal], measure: str) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, each in enumerate(proposals, 1):
        far = "" if each.distance is None else f"{each.distance:.4g}"
        writer.writerow([rank, pool.names[each.position], f"{each.unsure:.4g}", measure, far])
    place = project.path / "cohort" / "private" / LIST
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_text(place, text.getvalue(), mode=0o600)
    return place


def _finite(value: float) -> float | None:
    return value if value == value else None


def _tell(progress: Progress | None, total: int, what: str) -> None:
    if progress is not None:
        progress.start(total, what)
