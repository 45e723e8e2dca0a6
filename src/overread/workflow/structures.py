"""`overread structures`: does a made image keep the anatomy? One model segments the true and the made image of each case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.cohort.unpaired import as_read
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import LabelMap
from overread.evaluation.pictures.structures import pairs_in, structure_check
from overread.evaluation.rules import Rules
from overread.evaluation.sources.predictions import Predictions
from overread.reading.making import ImageMaker
from overread.reading.model import Model, load_model
from overread.record.files import write_json
from overread.workflow.frozen import model_of, run_of
from overread.workflow.generation.along import RULE, RULE_OF_LESIONS, drawn_on, followed
from overread.workflow.generation.answered import own_and_answered
from overread.workflow.generation.structures_record import FILE
from overread.workflow.project import Project
from overread.workflow.read import as_trained


@dataclass(frozen=True)
class Segmented:
    """The masks that a model draws on the true and on the made image of a case, when they are asked for.

    Without pairs the image that was read stands for the true one: translated, it has to show the same anatomy.
    """

    cohort: Cohort
    case: Case
    predictions: Predictions
    model: Model

    @property
    def case_id(self) -> str:
        return self.case.case_id

    @property
    def patient_id(self) -> str:
        return self.case.patient_id

    def images(self) -> tuple[Image, Image]:
        own, made = own_and_answered(self.cohort, self.case, self.predictions)
        if own.units != made.units:
            raise OverreadError(
                f"The images that are read are in {own.units}, those that are answered in {made.units}; a model of segmentation "
                "reads one of the two.",
                "segment each kind with a model of its own, and compare the masks: `overread structures --true A --made B`",
            )
        return own, made

    def load(self) -> tuple[LabelMap, LabelMap]:
        own, made = self.images()
        return drawn_on(own, self.model)[0], drawn_on(made, self.model)[0]


def structures(
    project: Project,
    by: Path,
    run_name: str | None = None,
    *,
    fold: int | None = None,
    lesions: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare the structures of the tuning cases on true and made images; write `structures.json` into the run.

    by       model file that segments; it reads the channels that the run answers with
    lesions  structures whose components are counted: erased, invented
    """
    if project.question.guides:
        return _along_masks(project, by, run_name, fold, lesions, progress)
    if not project.question.is_of_pictures:
        raise OverreadError(
            f"This project is of {project.question.task}; structures are compared on images that a model answered with.",
            "make a project with --task translate or restore, or synthesize --by-mask; or compare folders with --true and --made",
        )
    run = run_of(project, run_name, fold)
    model = _segmenter(by)
    cohort = as_read(project.cohort_of(run, fold))
    predictions = Predictions(run.predictions / "tuning", project.question, project.resume_command(run))
    predictions.check_complete([case.case_id for case in cohort.of("tuning")])
    cases = [case for case in cohort.of("tuning") if case.case_id not in predictions.refused]
    pairs = [Segmented(cohort, case, predictions, model) for case in cases]
    found = structure_check(pairs, model.card.question.classes, _rules(project), lesions=lesions, progress=progress)
    record = {
        "format": 1,
        "run": project.run(run_name).name,
        "fold": fold,
        "model": predictions.identity,
        "by": model.card.sha256,
        "is_phantom": cohort.is_phantom,
        "refused": len(cohort.of("tuning")) - len(cases),
        "notes": _assumed(pairs, model),
        **found,
    }
    write_json(run.path / FILE, record)
    return record


def _assumed(pairs: Sequence[Segmented], model: Model) -> list[str]:
    """What is assumed of the images so that the model can read them: those of a cohort are of one kind, so the first tells."""
    return list(as_trained(pairs[0].images()[0], model.card)[1])


def _along_masks(
    project: Project, by: Path, run_name: str | None, fold: int | None, lesions: Sequence[str], progress: Progress | None
) -> dict[str, Any]:
    """Is the mask of each tuning case found again in an image that was made along it?"""
    run, model, question = run_of(project, run_name, fold), _segmenter(by), project.question
    unknown = [name for name in question.guides if name not in model.card.question.classes]
    if unknown:
        raise OverreadError(
            f"{by.name} draws no '{unknown[0]}'; it draws {', '.join(model.card.question.classes)}.",
            f"give a model with --by that draws {', '.join(question.guides)}",
        )
    maker_model = model_of(project, run)
    maker, cohort = ImageMaker.of(maker_model.predictor), project.cohort_of(run, fold)
    rule = RULE_OF_LESIONS if lesions else RULE
    with TemporaryDirectory(prefix="overread-masks-") as folder:
        done = followed(maker, model, cohort, Path(folder), progress)
        if not done.pairs:
            raise OverreadError(
                f"No made image could be compared; {len(done.refused)} were refused: {next(iter(done.refused.values()), 'none')}",
                "give a model with --by that reads images as this run makes them",
            )
        found = structure_check(done.pairs, question.guides, _rules(project), lesions=lesions, rule=rule, progress=progress)
    record = {
        "format": 1,
        "run": project.run(run_name).name,
        "fold": fold,
        "model": maker_model.card.sha256,
        "by": model.card.sha256,
        "is_phantom": cohort.is_phantom,
        "refused": len(done.refused),
        "refused_because": done.refused,
        "notes": list(done.notes),
        "along_masks": True,
        **found,
    }
    write_json(run.path / FILE, record)
    return record


def structures_in(
    true: Path, made: Path, patients: Path | None, lesions: Sequence[str], progress: Progress | None
) -> dict[str, Any]:
    """The same of two folders of masks that any program drew, file by file of the same name."""
    pairs, names = pairs_in(true, made, patients=patients)
    return {"format": 1, **structure_check(pairs, names, Rules(), lesions=lesions, progress=progress)}


def _segmenter(path: Path) -> Model:
    model = load_model(path)
    if model.card.question.task != "segmentation":
        raise OverreadError(
            f"{path.name} answers {model.card.question.task}; structures are drawn by a model of segmentation.",
            "give one with --by",
        )
    return model


def _rules(project: Project) -> Rules:
    evaluation = project.settings.evaluation
    return Rules(level=evaluation.interval_level, resamples=evaluation.resamples)
