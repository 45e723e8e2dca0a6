"""Truths of drawn labels, and findings of masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from overread.cohort.ask import Said
from overread.cohort.draft import Draft
from overread.cohort.labels.answered import answer
from overread.cohort.labels.masks import names_segments
from overread.cohort.labels.objects import Drawing, Objects
from overread.cohort.labels.truths import Truths
from overread.cohort.labels.values import How
from overread.core.errors import OverreadError
from overread.imaging.labels import open_labels, open_seg


def drawn_truths(objects: Objects, drafts: Sequence[Draft], said: Said, how: How) -> tuple[str, Truths]:
    """The task, and the truths that boxes, outlines, contours or reports give for it."""
    if said.labels and said.task != "regression":
        raise OverreadError(
            f"--truth gives {objects.title} labels, and --label names the column '{said.labels[0]}' of a sheet.",
            "keep one of them; patients and covariates may stay in the sheet",
        )
    found = answer(objects, said, how)
    silent = f"no {objects.title} label is about it"
    why_not = {d.name: objects.refused.get(d.name, silent) for d in drafts if d.name not in found.by_name}
    return found.task, Truths(
        found.by_name,
        why_not,
        found.question,
        found.structures,
        found.reasons,
        objects.matched,
        objects.unknown,
        (*objects.notes, *found.notes),
        found.readers,
        found.others,
        found.not_asked,
    )


def findings_of_masks(masks: Truths, drafts: Sequence[Draft], folder: Path, said: Said, how: How) -> Truths:
    """Which structures each mask holds at all, as findings.

    folder  what the mask files are relative to
    """
    held: dict[str, set[str]] = {}
    called = {value: name for name, value in masks.structures.items()}
    for name, truth in masks.by_name.items():
        if names_segments(truth.format, folder / truth.files[0]):
            label_map = open_seg(folder / truth.files[0])
            held[name] = {n for n in label_map.names if label_map.mask(n).any()}
            continue
        layers, _ = open_labels([folder / f for f in truth.files], truth.format)
        held[name] = {called.get(v, said.names.get(str(v), f"label {v}")) for v in np.unique(layers).tolist() if v}
    classes = tuple(called.values()) or tuple(sorted(set().union(*held.values())))
    drawings = {name: (Drawing(masks.by_name[name].files, (), frozenset(present)),) for name, present in held.items()}
    objects = Objects("masks", "mask", folder, classes, drawings, 0, 0, {}, masks.matched, masks.unknown)
    return drawn_truths(objects, drafts, replace(said, task="classification"), how)[1]
