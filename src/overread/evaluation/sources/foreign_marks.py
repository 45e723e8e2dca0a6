"""Drawn labels and what a detector wrote: COCO truth with COCO results, YOLO text with scores, and the other label formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from overread.cohort.labels.coco import read_coco
from overread.cohort.labels.convert import Converted, boxes_of_marks, instances_of_marks
from overread.cohort.labels.marks import MarkedImage, fit
from overread.cohort.labels.parsing import read_json_labels
from overread.cohort.labels.recognise import NAMES, find_labels, read_labels
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances
from overread.core.question import Question
from overread.evaluation.sources.objects_file import Objects
from overread.evaluation.sources.pair_of_objects import ObjectPairs, nothing
from overread.imaging.door import open_image

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
CROWDS = "crowds in the truth are no single object and were left out; answers that lie on them count as false."


@dataclass(frozen=True)
class _Marked:
    """Label files read: case -> picture, classes in their order."""

    images: Mapping[str, MarkedImage]
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    content: Any = None  # of a COCO truth, whose ids the results name
    folder: Path | None = None


def read_marks(
    truth: Path, answers: Path, task: str, names: Sequence[str], spacing: tuple[float, float, float] | None
) -> ObjectPairs:
    """names  of the classes that are evaluated; empty takes those that the truth names"""
    true = _read(truth)
    results = _results(answers)
    answered = _read(answers) if results is None else _of_results(true, truth, answers, results)
    classes = tuple(names) or true.classes
    unknown = [name for name in classes if name not in true.classes]
    if unknown:
        raise OverreadError(f"{truth.name} has no class '{unknown[0]}'; it has {', '.join(true.classes)}.", "correct --class")
    truths: dict[str, Objects] = {}
    replies: dict[str, Objects] = {}
    notes: Counter[str] = Counter()
    for case, image in true.images.items():
        grid = _grid(case, image, answered.images.get(case), true.folder, spacing)
        found = _objects(f"the truth of {case}", image, classes, task, grid, notes)
        truths[case] = found
        if case in answered.images:
            reply = _check(answered.images[case], true.classes, answers)
            replies[case] = _objects(f"the answer to {case}", reply, classes, task, grid, Counter())
    left: dict[str, Objects] = {
        case: nothing(task, truths[min(truths)].grid) for case in answered.images if case not in true.images
    }
    told = [f"{n} {text}" for text, n in notes.items()]
    return ObjectPairs(Question(task, classes), truths, {**replies, **left}, lists_all=False, notes=(*true.notes, *told))


def _read(place: Path) -> _Marked:
    found = find_labels(place)
    if found is None:
        raise OverreadError(
            f"{place} holds no objects that can be read.",
            "give COCO (truth and results), YOLO text, Pascal VOC, LabelMe or VIA; a sheet with case, class, score, x0, y0, x1 "
            "and y1; or a folder of masks",
        )
    extra = (found.folder / found.extra if found.folder.is_dir() else found.folder.parent / found.extra) if found.extra else None
    images: dict[str, MarkedImage] = {}
    classes: dict[str, None] = {}
    notes: list[str] = []
    for name in found.files:
        path = found.folder if name == "." else found.folder / name
        labels = read_labels(found.form, path, extra)
        classes |= dict.fromkeys(labels.classes)
        notes += labels.notes
        for image in labels.images:
            _add(images, image, place)
    content = read_json_labels(found.folder) if found.form == "coco" and found.files == (".",) else None
    folder = found.folder if found.folder.is_dir() else found.folder.parent
    told = tuple(f"{NAMES[found.form]}: {note}" for note in dict.fromkeys(notes))
    return _Marked(images, tuple(classes), told, content, folder)


def _add(images: dict[str, MarkedImage], image: MarkedImage, place: Path) -> None:
    case = PurePosixPath(image.name.replace("\\", "/")).stem
    if image.slice is not None:
        raise OverreadError(
            f"{place.name} labels slices of volumes ({image.name}, slice {image.slice}).",
            "give masks or a sheet of boxes in 3D, or make a project of the volumes",
        )
    if case in images:
        raise OverreadError(f"{place.name} names two pictures '{case}'.", "name every picture once")
    images[case] = image


def _results(path: Path) -> list[Any] | None:
    """The rows of a COCO results file; None where the file is something else."""
    if path.is_dir() or path.suffix.lower() != ".json":
        return None
    content = read_json_labels(path)
    return content if isinstance(content, list) else None


def _of_results(true: _Marked, truth: Path, path: Path, rows: list[Any]) -> _Marked:
    """COCO results name images and categories by the numbers of the truth."""
    if true.content is None:
        raise OverreadError(
            f"{path.name} holds COCO results, which name images by number, and {truth.name} is no COCO file.",
            "give the COCO file that was answered as --truth",
        )
    without = next((k for k, row in enumerate(rows, 1) if not isinstance(row, dict) or "score" not in row), None)
    if without is not None:
        raise OverreadError(f"{path.name}, row {without}: no score.", "COCO results need image_id, category_id, bbox and score")
    named = [{"id": k, **row, "iscrowd": 0} for k, row in enumerate(rows, 1)]
    labels = read_coco(path, {**true.content, "annotations": named})
    images: dict[str, MarkedImage] = {}
    for image in labels.images:
        if image.marks:
            _add(images, image, path)
    return _Marked(images, labels.classes, labels.notes)


def _check(image: MarkedImage, classes: Sequence[str], path: Path) -> MarkedImage:
    for mark in image.marks:
        if mark.class_name not in classes:
            raise OverreadError(
                f"{path.name} names the class '{mark.class_name}'; the truth has {', '.join(classes)}.",
                "name the classes alike in both",
            )
        if not 0 <= mark.score <= 1:
            raise OverreadError(
                f"{path.name}: an object on {image.name} has the score {mark.score:g}; 0 to 1 was expected.",
                "give probabilities, no logits or percentages",
            )
    return image


def _grid(
    case: str, image: MarkedImage, reply: MarkedImage | None, folder: Path | None, spacing: tuple[float, float, float] | None
) -> Grid:
    """The picture's grid: its size as either file says, else as the picture beside the labels has it."""
    size = image.size or (reply.size if reply is not None else None) or _size_of_picture(case, folder)
    step = spacing or (1.0, 1.0, 1.0)
    return Grid.from_spacing((1, *size), step, spacing_known=spacing is not None, is_planar=True)


def _size_of_picture(case: str, folder: Path | None) -> tuple[int, int]:
    """(Y, X) of the picture beside the label, or in the folder `images` where labels lie in `labels`."""
    places = [] if folder is None else [folder, folder.parent / "images", folder.parent.parent / "images" / folder.name]
    for place in places:
        for suffix in PICTURES:
            path = place / f"{case}{suffix}"
            if path.is_file():
                shape = open_image([path], "raster").grid.shape
                return shape[1], shape[2]
    raise OverreadError(
        f"How large the picture '{case}' is, neither the truth nor the answers say, and it does not lie beside them.",
        "put the pictures in a folder 'images' beside 'labels', or give the truth as COCO, which holds their sizes",
    )


def _objects(what: str, image: MarkedImage, classes: Sequence[str], task: str, grid: Grid, notes: Counter[str]) -> Objects:
    marks = fit(image, (grid.shape[1], grid.shape[2]), what)
    of_classes = [mark for mark in marks if mark.class_name in classes]
    own = [mark for mark in of_classes if not mark.is_crowd]
    if len(own) < len(of_classes):
        notes[CROWDS] += len(of_classes) - len(own)
    if task == "detection":
        boxes: Converted[Boxes] = boxes_of_marks({0: own}, grid)
        return boxes.kind
    bare = [mark for mark in own if not mark.has_area]
    if bare:
        raise OverreadError(
            f"{what}: a '{bare[0].class_name}' is a box without an outline.",
            "give outlines or masks of every object, or say --task detection",
        )
    found: Converted[Instances] = instances_of_marks({0: own}, grid)
    return found.kind
