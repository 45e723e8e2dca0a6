"""Two folders of masks as objects: every value one object (instance maps), or every connected part of a structure one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from overread.cohort.labels.convert import boxes_of_instances, components, pieces_of
from overread.cohort.load import label_map
from overread.cohort.place import place_layers
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Instances
from overread.core.question import Question
from overread.evaluation.sources.foreign_masks import SUFFIXES, described, mask_files, open_mask
from overread.evaluation.sources.objects_file import Objects
from overread.evaluation.sources.pair_of_objects import NO_SCORES, NOWHERE, ObjectPairs, nothing

ONE_CLASS = "object"
BY_VALUE = "Every value of the masks is one object of the one class '{}': no structures were named (--class NAME=VALUE)."
BY_PART = "Voxels of a structure that touch, by an edge or a corner too, are one object."


def holds_masks(folder: Path) -> bool:
    return any(path.name.lower().endswith(tuple(SUFFIXES)) for path in folder.rglob("*"))


def read_instance_masks(
    truth: Path, answers: Path, task: str, values: Mapping[str, int] | None, spacing: tuple[float, float, float] | None
) -> ObjectPairs:
    """values  structure -> value; None takes a dataset.json beside the masks, and without one every value is an object"""
    true, answered = mask_files(truth), mask_files(answers)
    values = values or described(truth)
    classes = tuple(values) if values else (ONE_CLASS,)
    question = Question(task, classes, tuple(values.values()) if values else (), objects="components" if values else "values")
    if not true:
        raise OverreadError(f"{truth} holds no masks.", "give a folder of .nii.gz (or .png) files, one per case")
    truths: dict[str, Objects] = {}
    replies: dict[str, Objects] = {}
    for case, path in true.items():
        layers, grid = open_mask(path, spacing)
        truths[case] = _objects(f"the truth of {case}", layers, question, grid)
        if case in answered:
            own, source = open_mask(answered[case], spacing)
            placed = place_layers(own, source, grid, what=f"the answer to {case}")
            replies[case] = _objects(f"the answer to {case}", placed, question, grid)
    replies |= {case: nothing(task, NOWHERE) for case in answered if case not in true}  # left out, and named
    notes = (f"Masks have no scores. {NO_SCORES}", BY_PART if values else BY_VALUE.format(ONE_CLASS))
    return ObjectPairs(question, truths, replies, lists_all=True, notes=notes)


def _objects(what: str, layers: np.ndarray, question: Question, grid: Grid) -> Objects:
    if question.objects == "components":
        found = components(label_map(what, layers, replace(question, task="segmentation"), grid)).kind
    else:
        pieces = [piece for layer in layers for piece in pieces_of(layer).values()]
        found = Instances(tuple(pieces), (ONE_CLASS,) * len(pieces), np.ones(len(pieces)), grid)
    return found if question.task == "instances" else boxes_of_instances(found).kind
