"""`overread read`: a frozen model reads studies and leaves answers in each source's own geometry."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from overread.batches.prepare import Prepared
from overread.cohort.clinical import cell
from overread.cohort.load import open_channels
from overread.cohort.made import IN_WORDS
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Map, Measurements, Picture
from overread.core.question import Question, Reading
from overread.core.slices import shares_in_words
from overread.evaluation.answered import call
from overread.imaging.dicom.outputs import NEEDS_MAPS
from overread.imaging.made import WORDS
from overread.imaging.nifti import write_nifti
from overread.metrics.quick import values_of
from overread.reading.model import Model, ModelCard, load_model
from overread.reading.slices import influential, told_by
from overread.record.files import write_json, write_text
from overread.workflow.readings.clinical import Given, read_values, remarks, variables_of, with_clinical_values
from overread.workflow.readings.dicom_results import write_dicom_results
from overread.workflow.readings.exams import Exam, exams_in
from overread.workflow.readings.object_results import COLUMNS, TABLE, counts_row, write_instance_masks, write_object_results
from overread.workflow.readings.picture_results import picture_row, write_answered_picture
from overread.workflow.readings.refusing import Refusing


class Reader:
    """A model that reads from Python: `overread.load("liver.overread").read("new_study/")`.

    refusal  "warn" or "off" answers what the model would refuse; None leaves it as it was frozen
    """

    def __init__(self, model: Model, refusal: str | None = None) -> None:
        self.model, self.refusing = model, Refusing.of(model, refusal)

    @property
    def question(self) -> Question:
        return self.model.card.question

    def read(self, study: Path | str, clinical: Mapping[str, Any] | None = None) -> Reading:
        """Read one study: a file, or a folder that holds one exam.

        clinical  column -> value, where the model reads clinical values beside the image
        """
        exams = list(exams_in([Path(study)], self.model.card))
        if len(exams) != 1:
            names = ", ".join(e.name for e in exams[:6])
            raise OverreadError(f"{study} holds {len(exams)} exams ({names}); one was expected.", "give the path of one of them")
        what = None if clinical is None else Given({name: str(value) for name, value in clinical.items()})
        exam = with_clinical_values(exams, self.model.card, what)[0]
        return read_exam(self.model, exam, self.refusing)[0]


def load(path: Path | str, refusal: str | None = None) -> Reader:
    """Load a `.overread` file."""
    model = load_model(Path(path))
    refuse_maker(model)
    return Reader(model, refusal)


def refuse_maker(model: Model) -> None:
    """A model that makes images of random numbers reads none."""
    if model.card.question.task == "synthesize":
        raise OverreadError("This model makes images; it reads none.", "let it make some: `overread sample MODEL --out FOLDER`")


def read(
    model: Path | str,
    studies: Sequence[Path],
    out: Path,
    progress: Progress | None = None,
    *,
    probabilities: bool = False,
    series: Mapping[str, str] | None = None,
    dicom: Sequence[str] = ("seg",),
    refusal: str | None = None,
    clinical: Given | None = None,
) -> list[Reading]:
    """Read studies and write `answers.csv`, `answers.json` and beside them, for structures and instances, masks.

    Objects are listed in `objects.csv` (patient millimetres) and `coco.json`. Pictures are written in the format of what was
    read, with a mark that says that a network made them.

    probabilities  also write a probability map (NIfTI, 0 to 1) per structure
    series         rules for series that are called otherwise than those of the training, see `rules_of`
    dicom          objects to write for DICOM input: "seg", "sr", "sc", "fractional", "map"
    refusal        "warn" or "off" answers what the model would refuse; None leaves it as it was frozen
    clinical       values that the model reads beside the image; what is missing is read as missing, and said

    A study that cannot be answered is listed with its reason; that is not a negative answer. Refused
    where no study at all can be answered.
    """
    loaded, out = load_model(Path(model)), Path(out)
    refuse_maker(loaded)
    refusing = Refusing.of(loaded, refusal)
    exams = with_clinical_values(list(exams_in([Path(s) for s in studies], loaded.card, series)), loaded.card, clinical)
    out.mkdir(parents=True, exist_ok=True)
    if progress is not None:
        progress.start(len(exams), "Reading")
    readings = []
    for exam in exams:
        reading, image = read_exam(loaded, exam, refusing, probabilities=probabilities or not NEEDS_MAPS.isdisjoint(dicom))
        if isinstance(reading.answer, LabelMap) and image is not None:
            _write_structures(out, exam, reading, image)
        if isinstance(reading.answer, Picture) and image is not None:
            write_answered_picture(out, exam, reading.answer, image, loaded.card)
        if isinstance(reading.answer, Instances) and image is not None:
            said = write_instance_masks(out, reading, is_simulated=bool(image.source.get("is_simulated")))
            reading = replace(reading, warnings=(*reading.warnings, *said))
        calls = called(reading.answer, loaded.card) if isinstance(reading.answer, Findings) else None
        notes = write_dicom_results(out, dicom, exam, reading, image, loaded.card, Path(model).stem, calls)
        reading = replace(reading, warnings=(*reading.warnings, *notes))
        readings.append(replace(reading, maps=()) if len(exams) > 1 else reading)
        if progress is not None:
            progress.advance(1, exam.name)
    if progress is not None:
        progress.finish()
    _write_tables(out, loaded.card, readings, exams, refusing.as_dict(loaded), told_by(loaded.predictor))
    refused = [r for r in readings if r.refusal]
    if len(refused) == len(readings):
        raise OverreadError(
            f"No study could be read; the first reason: {refused[0].case_id}: {refused[0].refusal}",
            f"see {out / 'answers.json'} for all reasons",
        )
    return readings


def read_exam(model: Model, exam: Exam, refusing: Refusing, *, probabilities: bool = False) -> tuple[Reading, Image | None]:
    """Read one exam; what cannot be read, or is of another kind than the model was trained on, is a reading with a refusal."""
    if exam.refusal is not None:
        return _not_read(exam, exam.refusal, exam.notes), None
    try:
        image = open_channels(exam.name, exam.references, exam.folder, gaps=exam.gaps, tilt=exam.tilt)
        image, assumed = as_trained(replace(image, clinical=exam.clinical), model.card)
        prepared = model.predictor.prepare(image)
    except OverreadError as refusal:
        return _not_read(exam, refusal), None
    verdict, why, doubts = refusing.look(model, image, prepared)
    said = (*exam.notes, *assumed)
    if why:
        return Reading(exam.name, None, warnings=said, refusal=why, code=verdict.code, distance=verdict.distance), None
    answer, maps = _answered(model, prepared, probabilities=probabilities)
    warnings = (*said, *doubts, *_warnings(model.card, image, prepared))
    missing = tuple(v.name for v in variables_of(model.card) if not cell(exam.clinical, v.name))
    slices = influential(model.predictor, prepared, image)
    return Reading(exam.name, answer, maps, warnings, distance=verdict.distance, missing=missing, slices=slices), image


def _not_read(exam: Exam, refusal: OverreadError, notes: tuple[str, ...] = ()) -> Reading:
    return Reading(exam.name, None, warnings=notes, refusal=refusal.what, code=getattr(refusal, "code", "") or "cannot-be-read")


def _answered(model: Model, prepared: Prepared, *, probabilities: bool) -> tuple[Kind, tuple[Map, ...]]:
    """The answer, decisions applied, and the probabilities of every voxel where they are asked for and answer the question."""
    if model.card.question.is_of_objects:
        return model.predictor.answer(prepared), ()
    raw = model.predictor.raw_of(prepared)
    maps = model.predictor.maps(raw, prepared) if probabilities and raw.ndim == 4 else ()
    return model.predictor.answer_from(raw, prepared), maps


def as_trained(image: Image, card: ModelCard) -> tuple[Image, tuple[str, ...]]:
    """Channels called as in training; files without units (NIfTI) are taken as HU where the model reads HU, and it is said.

    An image whose file names another modality than CT keeps its units, and the preparation refuses it.
    """
    said: tuple[str, ...] = ()
    if len(image.channels) == len(card.preparation.channels):
        image = replace(image, channels=card.preparation.channels)
    may_be_ct = image.source.get("modality") in (None, "", "CT") and not image.grid.is_planar
    if card.preparation.units == "HU" and image.units == "a.u." and may_be_ct:
        image, said = replace(image, units="HU"), ("the file says no units; its values were taken as HU",)
    return image, said


def _warnings(card: ModelCard, image: Image, prepared: Prepared) -> tuple[str, ...]:
    found = [f"channel '{c}' is missing; it was filled with zeros" for c in image.source.get("missing_channels", ())]
    for channel, share in image.source.get("covered", {}).items():
        found.append(f"channel '{channel}' covers {share:.0%} of the reference channel; outside it has its smallest value")
    if card.is_phantom and not image.source.get("is_simulated"):
        found.append("the model learned from a PHANTOM; its answer on a patient means nothing")
    if image.source.get("made"):
        found.append(f"the image was {IN_WORDS[image.source['made']]}; the answer on it says nothing about a patient")
    if card.reading.get("aggregation", "none") != "none":
        found.append(
            f"the operating point holds for a {card.question.unit} with all its images together "
            f"({card.reading['aggregation']}); this is one image of it"
        )
    if card.state != "frozen":
        found.append("the model is a snapshot of an unfinished training; its decisions were not fitted")
    found += remarks(image.clinical, variables_of(card))
    if prepared.region is not None and not prepared.region.is_found:
        found.append(f"the first model found no {prepared.region.of.structure}, so the whole image was read")
    flat = float(np.std(prepared.array))
    if flat < 1e-3:
        found.append("the image is empty: all its values are the same")
    return tuple(found)


def _write_structures(out: Path, exam: Exam, reading: Reading, image: Image) -> None:
    answer = reading.answer
    assert isinstance(answer, LabelMap)
    note = "PHANTOM, Overread answer, for research" if image.source.get("is_simulated") else "Overread answer, for research"
    note += f", on {WORDS[image.source['made']]}" if image.source.get("made") else ""
    for layer in range(answer.layers.shape[0]):
        suffix = "" if answer.layers.shape[0] == 1 else f"_{answer.structures[layer].name}"
        write_nifti(out / f"{exam.name}{suffix}.nii.gz", answer.layers[layer], answer.grid, description=note)
    for each in reading.maps:
        write_nifti(out / f"{exam.name}_{each.target}_probability.nii.gz", each.array, each.grid, description=note)


def _write_tables(
    out: Path, card: ModelCard, readings: Sequence[Reading], exams: Sequence[Exam], refusing: Mapping[str, Any], by: str
) -> None:
    """by  what a share of a slice is; empty where the model tells none"""
    rows = [_row(r, card) for r in readings]
    columns = list(dict.fromkeys(k for row in rows for k in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / "answers.csv", text.getvalue())
    about: dict[str, Any] = {"model": card.sha256, "intended_use": card.intended_use, "learned_from_phantom": card.is_phantom}
    decisions, variables = card.decisions.as_dict(), variables_of(card)
    listed = [
        {
            **row,
            "source": exam.source,
            "images": dict(exam.chosen or {}),
            "warnings": list(r.warnings),
            "refusal": r.refusal,
            "refusal_code": r.code,
            "distance": r.distance,
            **({"slices": [share.as_dict() for share in r.slices]} if r.slices else {}),
            **({"clinical": read_values(exam.clinical, variables)} if variables else {}),
        }
        for row, r, exam in zip(rows, readings, exams, strict=True)
    ]
    if card.question.is_of_objects:
        write_object_results(out, card, readings)
        about["columns"] = {TABLE: COLUMNS}
    about |= {"decisions": decisions, "refusal": dict(refusing), **({"slices": by} if by else {})}
    write_json(out / "answers.json", {"format": 1, **about, "readings": listed})


def _row(reading: Reading, card: ModelCard) -> dict[str, Any]:
    """One line of the table: probabilities and calls, numbers with units, volumes, or numbers of objects."""
    row: dict[str, Any] = {"study": reading.case_id}
    answer = reading.answer
    if isinstance(answer, Findings):
        for name, value in answer.probabilities.items():
            row[f"probability of {name}"] = None if value is None else round(value, 6)
        row["called"] = ", ".join(called(answer, card))
    elif isinstance(answer, Measurements):
        for name, value in answer.values.items():
            unit = answer.units.get(name, "")
            row[f"{name} ({unit})" if unit else name] = value
    elif isinstance(answer, LabelMap):
        for name in answer.names:
            voxels = int(answer.mask(name).sum())
            if answer.grid.spacing_known and not answer.grid.is_planar:
                row[f"{name} (ml)"] = round(voxels * answer.grid.voxel_ml, 3)
            else:
                row[f"{name} (pixels)"] = voxels
    elif isinstance(answer, Picture):
        row |= picture_row(answer)
    elif isinstance(answer, Boxes | Instances):
        row |= counts_row(answer, card.question.classes)
    if reading.slices:
        row["most influential slices"] = shares_in_words(reading.slices)
    if reading.warnings:
        row["warnings"] = "; ".join(reading.warnings)
    if reading.refusal:
        row |= {"refused": reading.refusal, "refusal_code": reading.code}
    return row


def called(answer: Findings, card: ModelCard) -> list[str]:
    """The classes that the frozen decisions call, by the rule of the evaluation."""
    question = card.question
    calls = call(question, values_of([answer], question.classes), card.decisions)[0]
    return [name for name, is_called in zip(question.classes, calls, strict=True) if is_called == 1]
