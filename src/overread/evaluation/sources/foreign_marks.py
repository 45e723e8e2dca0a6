"""Drawn labels and what a detector wrote: COCO truth with COCO results, YOLO text with scores, and the other label formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.cohort.labels.coco import read_coco
from overread.cohort.labels.marks import MarkedImage
from overread.cohort.labels.parsing import read_json_labels
from overread.cohort.labels.recognise import NAMES, find_labels, read_labels
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.question import Question
from overread.evaluation.sources.crowds import off_crowds
from overread.evaluation.sources.drawn_cases import DrawnCase, answered_objects, by_case, is_deep, true_objects
from overread.evaluation.sources.objects_file import Objects
from overread.evaluation.sources.pair_of_objects import NO_SCORES, NOWHERE, ObjectPairs, nothing
from overread.imaging.door import open_image

ON_CROWDS = "answers lie on crowds and find no object; they count neither as right nor as false, as in COCO."
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class _Marked:
    """Label files read: case -> its picture or slices, classes in their order."""

    cases: Mapping[str, DrawnCase]
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
    for case, drawn in true.cases.items():
        reply = answered.cases.get(case)
        grid = _grid(case, drawn, reply, true.folder, spacing)
        truths[case], crowds = true_objects(f"the truth of {case}", drawn, classes, task, grid, notes)
        if reply is not None:
            _check(reply, true.classes, answers)
            every = answered_objects(f"the answer to {case}", reply, classes, task, grid, notes)
            replies[case] = off_crowds(every, truths[case], crowds, "mask" if task == "instances" else "box")
            if len(replies[case].classes) < len(every.classes):
                notes[ON_CROWDS] += len(every.classes) - len(replies[case].classes)
    left: dict[str, Objects] = {case: nothing(task, NOWHERE) for case in answered.cases if case not in true.cases}
    told = [f"{n} {text}" for text, n in notes.items()]
    if results is None and all(mark.score == 1 for drawn in answered.cases.values() for i in drawn.values() for mark in i.marks):
        told.append(f"{answers.name} gives no scores. {NO_SCORES}")
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
    images: list[MarkedImage] = []
    classes: dict[str, None] = {}
    notes: list[str] = []
    for name in found.files:
        path = found.folder if name == "." else found.folder / name
        labels = read_labels(found.form, path, extra)
        classes |= dict.fromkeys(labels.classes)
        notes += labels.notes
        images += labels.images
    content = read_json_labels(found.folder) if found.form == "coco" and found.files == (".",) else None
    folder = found.folder if found.folder.is_dir() else found.folder.parent
    told = tuple(f"{NAMES[found.form]}: {note}" for note in dict.fromkeys(notes))
    return _Marked(by_case(images, place.name), tuple(classes), told, content, folder)


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
    rows_of = [{"id": k, **row, "iscrowd": 0} for k, row in enumerate(rows, 1)]
    labels = read_coco(path, {**true.content, "annotations": rows_of})
    named = [image for image in labels.images if image.marks]
    return _Marked(by_case(named, path.name), labels.classes, labels.notes)


def _check(case: DrawnCase, classes: Sequence[str], path: Path) -> None:
    for image in case.values():
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


def _grid(
    case: str, drawn: DrawnCase, reply: DrawnCase | None, folder: Path | None, spacing: tuple[float, float, float] | None
) -> Grid:
    """Of the size that either file says, else that of the picture beside the labels; a volume reaches to its last slice."""
    if reply is not None and is_deep(reply) != is_deep(drawn):
        raise OverreadError(f"'{case}' is a picture in one file and a volume in the other.", "name slices in both, or in none")
    sizes = {image.size: None for image in (*drawn.values(), *(reply or {}).values()) if image.size}
    if len(sizes) > 1 and is_deep(drawn):
        told = " and ".join(f"{x} x {y}" for y, x in sizes)
        raise OverreadError(f"The slices of '{case}' are not of one size: {told} pixels (width x height).", "correct the sizes")
    size = next(iter(sizes), None) or _size_of_picture(case, folder)
    depth = 1 + max((*drawn, *(reply or {}))) if is_deep(drawn) else 1
    step = spacing or (1.0, 1.0, 1.0)
    return Grid.from_spacing((depth, *size), step, spacing_known=spacing is not None, is_planar=not is_deep(drawn))


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
