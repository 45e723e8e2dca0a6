"""Pictures that a model answered with, in the format of what was read, each with the mark of its making."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from overread.core.image import Image
from overread.core.kinds import Picture
from overread.imaging.archive import unpacked
from overread.imaging.pictures import SyntheticMark, write_picture
from overread.reading.model import ModelCard
from overread.workflow.readings.exams import Exam

ENDINGS = {"dicom": "", "raster": ".png"}  # format of what was read -> of what is written; NIfTI for all others


def write_answered_picture(out: Path, exam: Exam, answer: Picture, image: Image, card: ModelCard) -> tuple[Path, ...]:
    """Write `<study>.nii.gz`, `<study>.png` or a folder `<study>` with a derived DICOM series; returns the files."""
    source = exam.references[0]
    ending = ENDINGS.get(source.format, ".nii.gz")
    if ending == ".png" and len(answer.array) not in (1, 3):
        ending = ".nii.gz"
    is_phantom = card.is_phantom or bool(image.source.get("is_simulated"))
    mark = SyntheticMark("derived", f"{card.question.task} by {card.network['name']}", card.sha256, is_phantom=is_phantom)
    with unpacked([exam.folder / file for file in source.files]) as files:
        return write_picture(out / f"{exam.name}{ending}", answer, mark=mark, source=files)


def picture_row(answer: Picture) -> dict[str, Any]:
    """What the table says of a picture."""
    low, high = float(answer.array.min()), float(answer.array.max())
    return {"picture": f"values from {low:.4g} to {high:.4g} {answer.units}"}
