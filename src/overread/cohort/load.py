"""Pixels and truths on demand: a case is a row until it is opened here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.labels.drawn import drawn_layers, is_drawn
from overread.cohort.labels.masks import PLACED
from overread.cohort.labels.object_truth import TrueObjects, open_objects
from overread.cohort.overlay import overlay
from overread.cohort.pictures import given_image, true_picture
from overread.cohort.place import place_layers
from overread.core.case import Case, ImageReference, TruthReference
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, LabelMap, Measurements, Picture, Structure
from overread.core.question import Question
from overread.imaging.door import open_image
from overread.imaging.labels import open_labels


def load_image(cohort: Cohort, case: Case, draw: int = 0) -> Image:
    """The pixels of a case: the channels that are read, on the grid of the first one; and what its row of the sheet says.

    draw  restore: which of the many ways in which chance could have made the image worse; 0 is the one that is scored
    """
    image = load_whole_image(cohort, case)
    if cohort.question.is_of_pictures:
        image = given_image(image, cohort.question, f"{case.case_id}/{draw}" if draw else case.case_id)
    return replace(image, clinical=case.covariates, region=cohort.boxes.get(case.case_id))


def load_whole_image(cohort: Cohort, case: Case) -> Image:
    """Every channel of a case as it came: also those that are to be answered, and before any degradation."""
    return open_channels(case.case_id, case.images, cohort.images_folder, gaps=cohort.gaps, tilt=cohort.tilt)


def open_channels(
    what: str, references: Sequence[ImageReference], folder: Path, *, gaps: str = "refuse", tilt: str = "refuse"
) -> Image:
    """Open the files of one case, check what no later step could repair, and lay the channels over the first one.

    what  how messages call the case

    Training and reading both come here, so that they cannot differ.
    """
    opened = [_with_units(i, r.channel) for i, r in zip(_open(references, folder, gaps, tilt), references, strict=True)]
    for image in opened:
        if image is not None:
            _check_image(what, image)
    first = opened[0]
    if len(opened) == 1 and first is not None:
        return replace(first, channels=(references[0].channel,)) if len(first.channels) == 1 else first
    return overlay(what, [(r.channel, image) for r, image in zip(references, opened, strict=True)])


def _open(references: Sequence[ImageReference], folder: Path, gaps: str, tilt: str) -> list[Image | None]:
    """One image per reference; None where it is missing. Volumes of one NIfTI file are decoded together."""
    whole: dict[tuple[str, ...], Image] = {}
    nifti = [r for r in references if r.format == "nifti" and r.index is not None]
    for files in {r.files for r in nifti if sum(other.files == r.files for other in nifti) > 1}:
        with suppress(Refused):  # a file with more volumes than are ever taken for channels opens volume by volume
            whole[files] = open_image([folder / f for f in files], "nifti", None, gaps, tilt)
    images: list[Image | None] = []
    for r in references:
        if r.format == "missing":
            images.append(None)
        elif r.files in whole and r.index is not None and r.index < len(whole[r.files].channels):
            several = whole[r.files]
            images.append(replace(several, array=several.array[r.index : r.index + 1], channels=(r.channel,)))
        else:
            images.append(open_image([folder / f for f in r.files], r.format, r.index, gaps, tilt))
    return images


def _with_units(image: Image | None, channel: str) -> Image | None:
    """A file without units whose channel is called "ct" holds HU, as nnU-Net and the Decathlon agree."""
    if image is not None and channel.lower() == "ct" and image.units == "a.u.":
        return replace(image, units="HU")
    return image


def _check_image(what: str, image: Image) -> None:
    if not image.grid.is_invertible:
        raise Refused(
            "affine",
            f"{what}: the image's affine is not invertible, so voxels have no place in the patient.",
            "write the image again with a valid orientation and spacing, or take it out of the folder",
        )
    if image.array.dtype.kind == "f" and not np.isfinite(image.array).all():
        wrong = int((~np.isfinite(image.array)).sum())
        raise Refused(
            "not-finite",
            f"{what}: {wrong} voxels of the image are NaN or infinite; numbers were expected.",
            "find out how they came there; set them to the background value of the scanner, or leave the image out",
        )


def load_truth(
    cohort: Cohort, case: Case, reference: TruthReference | None = None
) -> Findings | Measurements | LabelMap | Boxes | Instances | Picture:
    """The truth of a case, by default its own; one under seal is refused."""
    truth = _reference(cohort, case, reference)
    question = cohort.question
    if question.guides:
        return open_label_map(case.case_id, truth, _truth_folder(cohort), question.of_masks, cohort.grids[case.case_id])
    if question.is_of_images:
        return true_picture(load_whole_image(cohort, case), question, case.case_id)
    if question.is_of_objects:
        found = _objects(cohort, case, truth, voxels=question.task == "instances")
        names = class_of_value(question)
        return found.instances(names, case.case_id) if question.task == "instances" else found.boxes(names)
    if question.task == "segmentation":
        return open_label_map(case.case_id, truth, _truth_folder(cohort), question, cohort.grids[case.case_id])
    values = {name: truth.values.get(name) for name in question.classes}
    if question.task == "regression":
        return Measurements(values, dict(zip(question.classes, question.units, strict=False)))
    return Findings(values)


def load_instances(cohort: Cohort, case: Case, reference: TruthReference | None = None) -> Instances:
    """The objects of a case with their voxels, also where boxes are asked; refused where one is a box without an outline."""
    found = open_case_objects(cohort, case, reference)
    return found.instances(class_of_value(cohort.question), case.case_id)


def open_case_objects(cohort: Cohort, case: Case, reference: TruthReference | None = None) -> TrueObjects:
    """The objects of a case, with their voxels where these were drawn."""
    return _objects(cohort, case, _reference(cohort, case, reference), voxels=True)


def class_of_value(question: Question) -> dict[int, str]:
    """Label value of an object -> its class; where every value of a mask is an object, all are of the one class."""
    if question.objects == "values" and not question.values:
        return {1: question.classes[0]}
    return dict(zip(question.values, question.classes, strict=True))


def _objects(cohort: Cohort, case: Case, truth: TruthReference, *, voxels: bool) -> TrueObjects:
    question, grid = cohort.question, cohort.grids[case.case_id]
    by_value = question.objects == "values"
    found = open_objects(case.case_id, truth, _truth_folder(cohort), grid, by_value=by_value, voxels=voxels)
    left = not_asked(truth, question)
    found = replace(found, objects=tuple(o for o in found.objects if o.value not in left)) if left else found
    refuse_undeclared(case.case_id, found.counts(), class_of_value(question))
    return found


def not_asked(truth: TruthReference, question: Question) -> set[int]:
    """Label values that the truth has a name for and the question does not ask: background."""
    if not question.values or truth.format == "value":
        return set()
    return {int(value) for value in truth.values.values() if value is not None} - set(question.values)


def _truth_folder(cohort: Cohort) -> Path:
    if cohort.truth_folder is None:
        raise OverreadError(
            f"This project asks for {cohort.question.task} and names no truth folder.", "set truth.path in project.toml"
        )
    return cohort.truth_folder


def _reference(cohort: Cohort, case: Case, reference: TruthReference | None) -> TruthReference:
    truth = reference or case.truth
    if truth is None:
        sealed = cohort.partition.get(case.case_id) == "internal"
        why = "lies under the seal of the internal test" if sealed else "is not known"
        raise OverreadError(
            f"The truth of {case.case_id} {why}.",
            "the seal is opened by `overread evaluate --on internal` alone"
            if sealed
            else "leave the case out, or give its truth",
        )
    return truth


def open_layers(what: str, truth: TruthReference, folder: Path, grid: Grid) -> np.ndarray:
    """(L, Z, Y, X) integers of a truth's label files, on the image's grid."""
    if is_drawn(truth):
        return drawn_layers(what, truth, folder, grid)
    target = grid if truth.format in PLACED else None  # a SEG leaves out what is empty, so its reader places it
    layers, source = open_labels([folder / f for f in truth.files], truth.format, grid=target)
    return place_layers(layers, source, grid, what=what)


def open_label_map(what: str, truth: TruthReference, folder: Path, question: Question, grid: Grid) -> LabelMap:
    """The label map of a case, checked against its image's grid and the declared values."""
    layers = open_layers(what, truth, folder, grid)
    left = not_asked(truth, question)
    return label_map(what, np.where(np.isin(layers, list(left)), 0, layers) if left else layers, question, grid)


def label_map(what: str, layers: np.ndarray, question: Question, grid: Grid) -> LabelMap:
    """Name the values of label layers; a value that nobody declared is refused."""
    structures = []
    present = [set(np.unique(layer).tolist()) - {0} for layer in layers]
    refuse_undeclared(what, set().union(*present), dict(zip(question.values, question.classes, strict=True)))
    for name, value in zip(question.classes, question.values, strict=True):
        layer = next((k for k, values in enumerate(present) if value in values), 0)
        structures.append(Structure(name, int(value), layer))
    return LabelMap(layers, tuple(structures), grid)


def refuse_undeclared(what: str, found: Iterable[int], names: Mapping[int, str]) -> None:
    """Stop on label values without a name."""
    undeclared = sorted(set(found) - set(names))
    if undeclared:
        declared = ", ".join(f"{v} = {n}" for v, n in names.items())
        raise Refused(
            "undeclared-value",
            f"{what}: the mask holds {'values' if len(undeclared) > 1 else 'the value'} "
            f"{', '.join(str(v) for v in undeclared[:10])}, which nobody declared; declared are {declared}.",
            "correct the mask, or name the value in project.toml: its structure under question.classes "
            "(question.guides where images are made along masks), the value under question.values",
        )
