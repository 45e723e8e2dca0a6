"""`overread sample`: a model makes new images, every one marked as synthetic."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.kinds import Picture
from overread.imaging.picture_png import marked_png
from overread.imaging.pictures import SyntheticMark, write_picture
from overread.reading.making import ImageMaker
from overread.reading.model import ModelCard, load_model
from overread.record.files import write_bytes, write_json, write_text
from overread.reporting.generation.grid import made_grid

FORMATS = {"png": ".png", "nifti": ".nii.gz", "dicom": ""}
SHOWN = 40  # images on the sheet
RECORD = "sample.json"
LABELS, CLASS_COLUMN = "labels.csv", "class"  # in the folder of the images: what class each was asked for


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    classes   one for all images, or one for each; empty where any will do
    each_class  so many images of every class that the network was taught, in place of `classes`
    steps     diffusion: from noise to image; None for the usual number
    form      "png", "nifti" or "dicom"; None takes PNG for planar images and NIfTI for volumes
    no_corner why no word is drawn into the corner of a PNG; empty where it is
    """

    count: int = 16
    seed: int = 0
    classes: tuple[str, ...] = ()
    steps: int | None = None
    form: str | None = None
    no_corner: str = ""
    each_class: bool = False


def sample(model: Path, out: Path, wanted: Wanted = Wanted()) -> dict[str, Any]:
    """Make images and write them into a new folder with a record of how they were made; a sheet of them lies beside the folder.

    Not in it: whoever takes the folder as images would take the sheet for one.
    """
    out, sheet = Path(out), sheet_of(Path(out))
    if sheet.exists() or (out.exists() and any(out.iterdir())):
        raise OverreadError(f"{sheet if sheet.exists() else out} is there already.", "give a new folder with --out")
    if wanted.count < 1:
        raise OverreadError(f"{wanted.count} images cannot be made.", "give --count 1 or more")
    loaded = load_model(Path(model))
    maker = ImageMaker.of(loaded.predictor)
    wanted = _of_each_class(wanted, maker) if wanted.each_class else wanted
    form = _form(wanted.form, maker)
    made = maker.make(wanted.count, wanted.seed, steps=_steps(wanted, maker), classes=wanted.classes)
    mark = SyntheticMark(
        "synthetic",
        f"{loaded.card.network['name']}, seed {wanted.seed}",
        loaded.card.sha256,
        wanted.no_corner,
        loaded.card.is_phantom,
    )
    names = [f"synthetic-{wanted.seed}-{k + 1:04d}" for k in range(len(made))]
    for name, picture in zip(names, made, strict=True):
        write_picture(out / f"{name}{FORMATS[form]}", picture, mark=mark)
    write_bytes(sheet, marked_png(_sheet(made, wanted, is_phantom=loaded.card.is_phantom), mark))
    if wanted.classes:
        write_text(out / LABELS, _labels([f"{name}{FORMATS[form]}" for name in names], wanted.classes))
    record = _record(wanted, form, names, loaded.card)
    write_json(out / RECORD, record)
    return record


def _of_each_class(wanted: Wanted, maker: ImageMaker) -> Wanted:
    """The same order with every class of the network spelled out."""
    known = maker.question.conditions
    if not known:
        raise OverreadError("This model was taught no classes.", "make a project with --task synthesize --by-class")
    if wanted.classes:
        raise OverreadError("Classes are named, and every class is asked for.", "leave one of the two out")
    each = tuple(name for name in known for _ in range(wanted.count))
    return replace(wanted, count=len(each), classes=each)


def sheet_of(out: Path) -> Path:
    """Where the sheet of the images of a folder lies."""
    return out.with_name(f"{out.name}-sheet.png")


def _form(asked: str | None, maker: ImageMaker) -> str:
    is_planar, channels = maker.preparation.is_planar, len(maker.question.classes)
    form = asked or ("png" if is_planar else "nifti")
    if form == "png" and not is_planar:
        raise OverreadError("These images are volumes, and a PNG holds one slice.", "say --format nifti or --format dicom")
    if form == "png" and channels not in (1, 3):
        raise OverreadError(f"These images have {channels} channels, and a PNG holds 1 or 3.", "say --format nifti")
    return form


def _steps(wanted: Wanted, maker: ImageMaker) -> int | None:
    if wanted.steps is not None and wanted.steps < 1:
        raise OverreadError(f"{wanted.steps} steps lead nowhere.", "give --steps 1 or more, or leave it out")
    if wanted.steps is not None and not maker.takes_steps:
        raise OverreadError("This model makes an image at once, not in steps.", "leave --steps out")
    return wanted.steps


def _sheet(made: Sequence[Picture], wanted: Wanted, *, is_phantom: bool) -> bytes:
    shown = np.stack([picture.array[0] for picture in made[:SHOWN]])
    words = [] if len(wanted.classes) < 2 else list(wanted.classes[:SHOWN])
    title = f"{len(shown)} of {len(made)} images made with seed {wanted.seed}"
    return made_grid(shown, title=title, words=words, is_phantom=is_phantom)


def _labels(files: Sequence[str], classes: Sequence[str]) -> str:
    """A sheet with a row for each image, so that it can train a network that tells classes apart."""
    each = list(classes) * len(files) if len(classes) == 1 else list(classes)
    told = io.StringIO()
    csv.writer(told, lineterminator="\n").writerows([("image", CLASS_COLUMN), *zip(files, each, strict=True)])
    return told.getvalue()


def _record(wanted: Wanted, form: str, names: Sequence[str], card: ModelCard) -> dict[str, Any]:
    return {
        "format": 1,
        "model": card.sha256,
        "network": card.network["name"],
        "cohort": card.training.get("cohort", ""),
        "is_phantom": card.is_phantom,
        "count": wanted.count,
        "seed": wanted.seed,
        "classes": list(wanted.classes),
        "steps": wanted.steps,
        "form": form,
        "corner_mark": "drawn" if form == "png" and not wanted.no_corner else wanted.no_corner or "the form has none",
        "images": list(names),
        "use": "synthetic: for training only; Overread refuses them in tuning and test partitions",
    }
