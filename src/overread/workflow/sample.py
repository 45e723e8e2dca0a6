"""`overread sample`: a model makes new images, every one marked as synthetic."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from overread.cohort.load import label_map
from overread.core.errors import OverreadError
from overread.core.kinds import Picture
from overread.evaluation.sources.foreign_masks import mask_files, open_mask
from overread.imaging.mask_file import write_mask
from overread.imaging.picture_png import marked_png
from overread.imaging.pictures import SyntheticMark, write_picture
from overread.reading.making import Guide, ImageMaker
from overread.reading.model import ModelCard, load_model
from overread.record.files import digest_file, whole, whole_folder, write_json, write_text
from overread.reporting.generation.grid import made_grid
from overread.tasks.generative.diffusing import Diffusing
from overread.tasks.generative.latent_diffusing import LatentDiffusing
from overread.workflow.generation.made_record import judged

COLOURS = 3
FORMATS = {"png": ".png", "nifti": ".nii.gz", "dicom": ""}
USUAL = 16  # images, where nobody says how many
SHOWN = 40  # images on the sheet
RECORD = "sample.json"
OWNER_ONLY = 0o600
LABELS, CLASS_COLUMN = "labels.csv", "class"  # in the folder of the images: what class each was asked for


@dataclass(frozen=True)
class Followed:
    """One mask that an image is to follow.

    name    of the file without its suffix: it may name a patient, so nothing that is given away holds it
    digest  of the bytes of the file
    guide   the mask as the network takes it
    """

    name: str
    digest: str
    guide: Guide


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    count     how many, or how many for each mask; None takes 16, or 1 for each mask
    along     folder of masks along which images are made
    classes   one for all images, or one for each; empty where any will do
    each_class  so many images of every class that the network was taught, in place of `classes`
    steps     diffusion: from noise to image; None for the usual number
    form      "png", "nifti" or "dicom"; None takes PNG for planar images and NIfTI for volumes
    guidance  diffusion: how far a class or mask pushes, 1 plainly asked; None for that of the training's settings
    no_corner why no word is drawn into the corner of a PNG; empty where it is
    """

    count: int | None = None
    seed: int = 0
    classes: tuple[str, ...] = ()
    steps: int | None = None
    form: str | None = None
    no_corner: str = ""
    each_class: bool = False
    along: Path | None = None
    guidance: float | None = None


def sample(model: Path, out: Path, wanted: Wanted = Wanted()) -> dict[str, Any]:
    """Make images and write them into a new folder with a record of how they were made; a sheet of them lies beside the folder.

    Not in it: whoever takes the folder as images would take the sheet for one. Beside it lie, too, the masks that were followed
    and which file each came from. All is built in hidden places and renamed at the end, the images last: where they are, the
    rest is.
    """
    out = Path(out)
    _refuse_taken(out)
    if wanted.count is not None and wanted.count < 1:
        raise OverreadError(f"{wanted.count} images cannot be made.", "give --count 1 or more")
    loaded = load_model(Path(model))
    maker, card = ImageMaker.of(loaded.predictor), loaded.card
    wanted = _of_each_class(wanted, maker) if wanted.each_class else wanted
    maker, form = _pushed(maker, wanted), _form(wanted, maker)
    along = [] if wanted.along is None else _along(wanted.along, wanted.count or 1, maker)
    count, guides = len(along) or wanted.count or USUAL, [each.guide for each in along]
    made = maker.make(count, wanted.seed, steps=_steps(wanted, maker), classes=wanted.classes, guides=guides)
    names = [f"synthetic-{wanted.seed}-{k + 1:04d}" for k in range(len(made))]
    mark = SyntheticMark(
        "synthetic", f"{card.network['name']}, seed {wanted.seed}", card.sha256, wanted.no_corner, card.is_phantom
    )
    files = [f"{name}{FORMATS[form]}" for name in names]
    record = _record(wanted, form, names, card, along) | {"repeats": repeats_of(Path(model), card)}
    with ExitStack() as places:
        images = places.enter_context(whole_folder(out))
        sheet = places.enter_context(whole(sheet_of(out)))
        for file, picture in zip(files, made, strict=True):
            write_picture(images / file, picture, mark=mark)
        if wanted.classes:
            write_text(images / LABELS, _labels(files, wanted.classes))
        write_json(images / RECORD, record)
        if along:
            masks = places.enter_context(whole_folder(masks_of(out)))
            _write_masks(masks, files, along, maker, is_phantom=card.is_phantom)
            places.enter_context(whole(link_of(out), OWNER_ONLY)).write_text(_links(files, along), encoding="utf-8")
        sheet.write_bytes(marked_png(_sheet(made, wanted, is_phantom=card.is_phantom), mark))
    return record


def repeats_of(model: Path, card: ModelCard) -> dict[str, Any] | None:
    """What `overread fidelity` found of training images that are repeated; None where it did not look, or at another model."""
    found = judged(model.parent, card.sha256) or judged(model, card.sha256)
    return {key: found["memory"][key] for key in ("fires", "sentence")} if found else None


def _refuse_taken(out: Path) -> None:
    beside = [path for path in (sheet_of(out), masks_of(out), link_of(out)) if path.exists()]
    taken = beside + ([out] if out.exists() and not (out.is_dir() and not any(out.iterdir())) else [])
    if taken:
        raise OverreadError(f"{taken[0]} is there already.", "give a new folder with --out")


def _write_masks(folder: Path, files: Sequence[str], along: Sequence[Followed], maker: ImageMaker, *, is_phantom: bool) -> None:
    description = f"{'PHANTOM, ' if is_phantom else ''}mask of a synthetic image"
    for file, each in zip(files, along, strict=True):
        mask = each.guide.as_mask(maker.question).layers[0]
        write_mask(folder / file, mask, each.guide.grid, description=description)


def _of_each_class(wanted: Wanted, maker: ImageMaker) -> Wanted:
    """The same order with every class of the network spelled out."""
    known = maker.question.conditions
    if not known:
        raise OverreadError("This model was taught no classes.", "make a project with --task synthesize --by-class")
    if wanted.classes:
        raise OverreadError("Classes are named, and every class is asked for.", "leave one of the two out")
    each = tuple(name for name in known for _ in range(wanted.count or USUAL))
    return replace(wanted, count=len(each), classes=each)


def sheet_of(out: Path) -> Path:
    """Where the sheet of the images of a folder lies."""
    return out.with_name(f"{out.name}-sheet.png")


def masks_of(out: Path) -> Path:
    """Where the masks lie along which the images of a folder were made, each under the name of its image."""
    return out.with_name(f"{out.name}-masks")


def link_of(out: Path) -> Path:
    """Where it stands which mask file each image of a folder follows: it may name patients, so it never travels in the folder."""
    return out.with_name(f"{out.name}-link.csv")


def _along(folder: Path, count: int, maker: ImageMaker) -> list[Followed]:
    """The masks of a folder, each as often as images of it are wanted."""
    if not maker.question.guides:
        raise OverreadError(
            "This model was taught no masks, so it cannot follow any.", "make a project with --task synthesize --by-mask"
        )
    files = mask_files(folder)
    if not files:
        raise OverreadError(f"{folder} holds no mask.", "give a folder of .nii.gz (or .png) files with --along")
    return [each for name, path in files.items() for each in [_followed(name, path, maker)] * count]


def _followed(name: str, path: Path, maker: ImageMaker) -> Followed:
    layers, grid = open_mask(path)
    return Followed(name, digest_file(path), maker.guide_of(label_map(name, layers, maker.question.of_masks, grid)))


def _form(wanted: Wanted, maker: ImageMaker) -> str:
    is_planar, channels = maker.preparation.is_planar, len(maker.question.classes)
    form = wanted.form or ("png" if is_planar else "nifti")
    if form == "dicom" and wanted.along is not None:
        raise OverreadError("Masks are written beside the images, and not as DICOM.", "say --format nifti, or leave --along out")
    if form == "png" and not is_planar:
        raise OverreadError("These images are volumes, and a PNG holds one slice.", "say --format nifti or --format dicom")
    if form == "png" and channels not in (1, COLOURS):
        raise OverreadError(f"These images have {channels} channels, and a PNG holds 1 or 3.", "say --format nifti")
    if form == "dicom" and channels != 1 and not (is_planar and channels == COLOURS):
        raise OverreadError(
            f"These images have {channels} channels, and a DICOM series holds one or colours.", "say --format nifti"
        )
    return form


def _steps(wanted: Wanted, maker: ImageMaker) -> int | None:
    if wanted.steps is not None and wanted.steps < 1:
        raise OverreadError(f"{wanted.steps} steps lead nowhere.", "give --steps 1 or more, or leave it out")
    if wanted.steps is not None and not maker.takes_steps:
        raise OverreadError("This model makes an image at once, not in steps.", "leave --steps out")
    return wanted.steps


def _pushed(maker: ImageMaker, wanted: Wanted) -> ImageMaker:
    """The maker with the guidance that is asked for."""
    if wanted.guidance is None:
        return maker
    task = maker.task
    if not isinstance(task, Diffusing | LatentDiffusing):
        raise OverreadError("This model makes an image at once; guidance is of diffusion.", "leave --guidance out")
    if not wanted.classes and wanted.along is None:
        raise OverreadError("Guidance pushes towards a class or a mask, and none is asked for.", "add --class or --along")
    if wanted.guidance < 0:
        raise OverreadError(
            f"Guidance {wanted.guidance:g} pushes away from what is asked.", "give --guidance 0 or more; 1 to 3 are usual"
        )
    return replace(maker, task=replace(task, guidance=wanted.guidance))


def _sheet(made: Sequence[Picture], wanted: Wanted, *, is_phantom: bool) -> bytes:
    shown = np.stack([picture.array[0] for picture in made[:SHOWN]])
    words = [] if len(wanted.classes) < 2 else list(wanted.classes[:SHOWN])
    title = f"{len(shown)} of {len(made)} images made with seed {wanted.seed}"
    return made_grid(shown, title=title, words=words, is_phantom=is_phantom)


def _labels(files: Sequence[str], classes: Sequence[str]) -> str:
    """A sheet with a row for each image, so that it can train a network that tells classes apart."""
    each = list(classes) * len(files) if len(classes) == 1 else list(classes)
    return _csv([("image", CLASS_COLUMN), *zip(files, each, strict=True)])


def _links(files: Sequence[str], along: Sequence[Followed]) -> str:
    """A row for each image: the name of the mask file that it follows, without its suffix, and the digest of that file."""
    return _csv([("image", "mask", "sha256"), *((file, each.name, each.digest) for file, each in zip(files, along, strict=True))])


def _csv(rows: Sequence[tuple[str, ...]]) -> str:
    told = io.StringIO()
    csv.writer(told, lineterminator="\n").writerows(rows)
    return told.getvalue()


def _trained_on(card: ModelCard) -> dict[str, Any]:
    """What the model says of who it learned from; models of earlier versions do not say who was held out."""
    return dict(card.training.get("trained_on") or {"cohort": None, "fold": None, "split": None})


def _record(wanted: Wanted, form: str, names: Sequence[str], card: ModelCard, along: Sequence[Followed]) -> dict[str, Any]:
    return {
        "format": 1,
        "model": card.sha256,
        "network": card.network["name"],
        "cohort": card.training.get("cohort", ""),
        "trained_on": _trained_on(card),
        "is_phantom": card.is_phantom,
        "count": len(names),
        "seed": wanted.seed,
        "classes": list(wanted.classes),
        "steps": wanted.steps,
        "guidance": wanted.guidance,
        "form": form,
        "corner_mark": "drawn" if form == "png" and not wanted.no_corner else wanted.no_corner or "the form has none",
        "images": list(names),
        **({"followed": [each.digest for each in along]} if along else {}),
        "use": "synthetic: for training only; Overread refuses them in tuning and test partitions",
    }
