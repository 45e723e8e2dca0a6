"""A model reads the cases of a partition once; the answers are decided and written where `evaluate` finds them.

Images only: a sealed truth is neither needed nor reachable here.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from overread.batches.prepare import Prepared
from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Measurements, Picture, Structure
from overread.core.question import Decisions, Question
from overread.evaluation.sources.objects_file import NAME, write_objects
from overread.evaluation.sources.pictures_file import write_picture
from overread.imaging.nifti import write_nifti
from overread.metrics.components import clean
from overread.reading.answering import Answering
from overread.reading.refusal.header import Header, header_of
from overread.record.files import write_json, write_text
from overread.workflow.learning.maps import MapWriter
from overread.workflow.learning.pictures import PictureWriter
from overread.workflow.learning.refusing import Watch
from overread.workflow.learning.slices import SliceLog

FILMS = 64  # images read at once where there is one answer per case


@dataclass(frozen=True)
class Packed:
    """A label map, compressed: a mask of a large scan takes a hundredth of its memory."""

    layers: bytes
    shape: tuple[int, ...]
    dtype: str
    structures: tuple[Structure, ...]
    grid: Grid

    @classmethod
    def of(cls, label_map: LabelMap) -> Packed:
        layers = np.ascontiguousarray(label_map.layers)
        return cls(zlib.compress(layers.data, 1), layers.shape, str(layers.dtype), label_map.structures, label_map.grid)

    def label_map(self) -> LabelMap:
        layers = np.frombuffer(zlib.decompress(self.layers), self.dtype).reshape(self.shape)
        return LabelMap(layers, self.structures, self.grid)


@dataclass(frozen=True)
class OnDisk:
    """A picture that has been written."""


Answer = Findings | Measurements | Packed | Boxes | Instances | Picture | OnDisk
Undecided = dict[str, Answer]  # case_id -> answer before any decision


def read_cases(
    predictor: Answering,
    cohort: Cohort,
    cases: Sequence[Case],
    progress: Progress | None,
    text: str,
    *,
    refused: dict[str, str] | None = None,
    adapt: Callable[[Image], Image] = lambda image: image,
    maps: MapWriter | None = None,
    watch: Watch | None = None,
    slices: SliceLog | None = None,
    pictures: PictureWriter | None = None,
) -> Undecided:
    """Read each case once; raw probabilities before the temperature, masks before the clean-up, objects with low scores too.

    refused  takes case_id -> reason of what cannot be read; without it, the first such case ends the reading
    adapt    makes an image from elsewhere speak as those of the training: names of channels, units
    maps     takes the probabilities of every voxel, where masks are the answer; without it they are lost
    watch    looks at every image first; what it refuses goes into `refused`
    slices   takes the slices that each answer rests on, where the network tells
    pictures takes the pictures that are answered, which else stay in memory
    """
    if progress is not None:
        progress.start(len(cases), text)
    answers: Undecided = {}
    prepared = _watched(predictor, _prepared(predictor, cohort, cases, refused, adapt, slices), refused, watch)
    for case_id, answer in _read(predictor, prepared, maps):
        if isinstance(answer, Picture) and pictures is not None:
            pictures.write(case_id, answer)
            answer = OnDisk()
        answers[case_id] = answer
        if progress is not None:
            progress.advance(1, case_id)
    if progress is not None:
        progress.finish()
    return answers


def _read(predictor: Answering, cases: Iterator[tuple[Case, Prepared]], maps: MapWriter | None) -> Iterator[tuple[str, Answer]]:
    """The answers in the form of the question: objects, a mask, or one answer per case."""
    if predictor.task.question.is_of_objects:
        return ((case.case_id, predictor.candidates(prepared)) for case, prepared in cases)
    if predictor.task.question.is_of_pictures:
        return ((case.case_id, predictor.picture(predictor.raw_of(prepared), prepared)) for case, prepared in cases)
    if predictor.task.serves == "dense":
        return _by_voxel(predictor, cases, maps)
    return _by_case(predictor, cases)


def _prepared(
    predictor: Answering,
    cohort: Cohort,
    cases: Sequence[Case],
    refused: dict[str, str] | None,
    adapt: Callable[[Image], Image],
    slices: SliceLog | None,
) -> Iterator[tuple[Case, Header, Prepared]]:
    """Cases that can be read. The reason of a refusal is its short code: its sentence may name a file."""
    for case in cases:
        try:
            image = adapt(load_image(cohort, case))
            prepared = predictor.prepare(image)
            if slices is not None:
                slices.note(case.case_id, predictor, image, prepared)
            yield case, header_of(image), prepared
        except OverreadError as refusal:
            if refused is None:
                raise
            refused[case.case_id] = getattr(refusal, "code", "") or "could not be read"


def _watched(
    predictor: Answering, cases: Iterator[tuple[Case, Header, Prepared]], refused: dict[str, str] | None, watch: Watch | None
) -> Iterator[tuple[Case, Prepared]]:
    """The cases that are answered; those that the watch refuses are left out with its code."""
    at_once = FILMS if predictor.task.serves == "image" else 1
    while some := list(islice(cases, at_once)):
        if watch is not None:
            watch(predictor, some)
        for case, _, prepared in some:
            code = watch.refused(case.case_id) if watch is not None else ""
            if not code:
                yield case, prepared
                continue
            assert refused is not None, "a watch that refuses needs a place for its reasons"
            refused[case.case_id] = code


def _by_voxel(
    predictor: Answering, cases: Iterator[tuple[Case, Prepared]], maps: MapWriter | None
) -> Iterator[tuple[str, Packed]]:
    for case, prepared in cases:
        raw = predictor.raw_of(prepared)
        answer = predictor.task.decode_map(predictor.labels(raw, prepared), prepared.source, Decisions())
        assert isinstance(answer, LabelMap)
        if maps is not None:
            maps.write(case.case_id, raw, prepared)
        yield case.case_id, Packed.of(answer)


def _by_case(predictor: Answering, cases: Iterator[tuple[Case, Prepared]]) -> Iterator[tuple[str, Findings | Measurements]]:
    while some := list(islice(cases, FILMS)):
        raws = predictor.raws_of([prepared for _, prepared in some], FILMS)
        for (case, _), raw in zip(some, raws, strict=True):
            yield case.case_id, raw_kind(predictor.task.question, raw)


def write_answers(
    answers: Undecided,
    decisions: Decisions,
    question: Question,
    folder: Path,
    *,
    model: str,
    partition: str,
    is_phantom: bool,
    refused: Mapping[str, str] | None = None,
    maps: MapWriter | None = None,
    slices: SliceLog | None = None,
    pictures: PictureWriter | None = None,
) -> None:
    """Write `predictions/<partition>/`: masks cleaned as decided; probabilities and objects raw (evaluation decides on them).

    refused  case_id -> why there is no answer; evaluation counts these as errors
    maps     probabilities of voxels that were written meanwhile, to be put beside the masks
    slices   the slices that answers rest on, to be put beside them
    pictures the pictures that were written meanwhile, to be moved there
    """
    values: dict[str, Kind] = {}
    objects: dict[str, Boxes | Instances] = {}
    for case_id, answer in answers.items():
        if isinstance(answer, Packed):
            _write_label_map(folder, case_id, clean(answer.label_map(), decisions), is_phantom=is_phantom)
        elif isinstance(answer, Boxes | Instances):
            objects[case_id] = answer
        elif isinstance(answer, Picture):
            write_picture(folder, case_id, answer, question, is_phantom=is_phantom)
        elif not isinstance(answer, OnDisk):
            values[case_id] = answer
    if pictures is not None and question.is_of_pictures:
        pictures.finish(folder)
    if values:
        _write_values(folder, question, values)
    if question.is_of_objects:
        write_objects(folder / NAME, objects)
    about = {"format": 1, "model": model, "partition": partition, "question": question.as_dict()}
    origin = "simulated" if is_phantom else "acquired"
    write_json(folder / "answers.json", {**about, "origin": origin, "refused": dict(refused or {})})
    if maps is not None:
        maps.finish(folder, model)
    if slices is not None:
        slices.finish(folder, answers)


def _write_values(folder: Path, question: Question, answers: dict[str, Kind]) -> None:
    """`answers.csv`: a row per case, a column per class (raw probability) or quantity (in its unit)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", *question.classes])
    for case_id, answer in answers.items():
        assert isinstance(answer, Findings | Measurements)
        values = answer.probabilities if isinstance(answer, Findings) else answer.values
        writer.writerow([case_id, *("" if (v := values[c]) is None else repr(float(v)) for c in question.classes)])
    write_text(folder / "answers.csv", text.getvalue())


def _write_label_map(folder: Path, case_id: str, answer: LabelMap, *, is_phantom: bool) -> None:
    """`<case_id>.nii.gz` on the source grid; overlapping structures one file each, `<case_id>_<structure>.nii.gz`."""
    description = "PHANTOM, Overread answer, for research" if is_phantom else "Overread answer, for research"
    if answer.layers.shape[0] == 1:
        write_nifti(folder / f"{case_id}.nii.gz", answer.layers[0], answer.grid, description=description)
        return
    for structure in answer.structures:
        layer = answer.layers[structure.layer]
        write_nifti(folder / f"{case_id}_{structure.name}.nii.gz", layer, answer.grid, description=description)


def raw_kind(question: Question, raw: np.ndarray) -> Findings | Measurements:
    """(K,) values as a kind, undecided."""
    values: dict[str, float | None] = {c: float(v) for c, v in zip(question.classes, raw, strict=True)}
    if question.task == "classification":
        return Findings(values)
    return Measurements(values, dict(zip(question.classes, question.units, strict=False)))
