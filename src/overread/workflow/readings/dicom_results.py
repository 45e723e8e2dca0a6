"""A reading of a DICOM study to the DICOM objects that were asked for, beside the other answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, LabelMap, Measurements
from overread.core.question import Reading
from overread.imaging.archive import unpacked
from overread.imaging.dicom.codes import parse_codes
from overread.imaging.dicom.outputs import Answered, write_objects
from overread.imaging.dicom.write_common import Algorithm
from overread.reading.model import ModelCard
from overread.workflow.readings.exams import Exam

NEEDS_AN_OBJECT = ("seg",)  # a segmentation has at least one segment; a report may say that nothing was found
VERSION_LENGTH = 12  # digits of the model's digest that stand for its version


def write_dicom_results(
    out: Path,
    objects: Collection[str],
    exam: Exam,
    reading: Reading,
    image: Image | None,
    card: ModelCard,
    name: str,
    called: Collection[str] | None,
) -> tuple[str, ...]:
    """Write the objects of one exam; nothing where the exam is no DICOM, or was not answered.

    objects  some of `outputs.OBJECTS`
    image    first channel's grid: the objects refer to its series
    name     of the model
    called   findings called by the frozen decisions
    returns  sentences for the user
    """
    if image is None or reading.answer is None or not objects or exam.references[0].format != "dicom":
        return ()
    source = exam.references[0]
    objects, notes = _possible(objects, exam, reading)
    digest = card.sha256.removeprefix("sha256:")
    with unpacked([exam.folder / file for file in source.files]) as files:
        answered = Answered(
            stem=exam.name,
            answer=reading.answer,
            image=image,
            files=files,
            algorithm=Algorithm(name, digest[:VERSION_LENGTH] or "unknown", card.sha256),
            index=source.index,
            maps=reading.maps,
            called=called,
            asked=card.question.classes if isinstance(reading.answer, Boxes | Instances) else (),
            lines=tuple(_lines(reading, called)),
            warnings=reading.warnings,
            codes=parse_codes(card.reading.get("codes", {})),
        )
        try:
            return (*notes, *write_objects(out, answered, objects)[1])
        except OverreadError as error:
            return (
                *notes,
                f"{exam.name}: no DICOM object was written: {error.what}",
            )


def _possible(objects: Collection[str], exam: Exam, reading: Reading) -> tuple[Collection[str], tuple[str, ...]]:
    """Without what needs an object to speak of, where none was found; and what has to be said of it."""
    answer = reading.answer
    if not isinstance(answer, Instances) or answer.classes:
        return objects, ()
    lacking = [name for name in objects if name in NEEDS_AN_OBJECT]
    notes = tuple(
        f"{exam.name}: no {name.upper()} was written: nothing was found, and it must hold an object" for name in lacking
    )
    return [name for name in objects if name not in lacking], notes


def _lines(reading: Reading, called: Collection[str] | None) -> Iterator[str]:
    """Words for the picture."""
    answer = reading.answer
    if isinstance(answer, Findings):
        for name, value in answer.probabilities.items():
            if value is not None:
                yield f"{name} {value:.2f}" + (" - called" if called and name in called else "")
    elif isinstance(answer, Measurements):
        for name, value in answer.values.items():
            if value is not None:
                yield f"{name} {value:.4g} {answer.units.get(name, '')}".strip()
    elif isinstance(answer, Boxes | Instances):
        counts = Counter(answer.classes)
        yield ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing found"
    elif isinstance(answer, LabelMap) and answer.grid.spacing_known and not answer.grid.is_planar:
        for name in answer.names:
            yield f"{name} {int(answer.mask(name).sum()) * answer.grid.voxel_ml:.1f} ml"
