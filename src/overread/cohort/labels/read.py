"""Every truth of a cohort, by draft, from wherever it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from overread.cohort import ask
from overread.cohort.ask import Said
from overread.cohort.draft import Draft
from overread.cohort.join import Joined
from overread.cohort.labels.masks import (
    BY_GEOMETRY,
    join_by_geometry,
    join_masks,
    join_segmentations,
    names_segments,
    segment_names,
)
from overread.cohort.labels.objects import Drawing, Objects, answer, numbering, renamed
from overread.cohort.labels.rows import aggregate, aggregate_numbers, positive_in
from overread.cohort.labels.values import (
    How,
    exclusive_truth,
    findings_truth,
    is_uncertain,
    measured_truth,
    named,
    refuse_one_class,
    spelling_notes,
    without_uncertain,
)
from overread.cohort.layouts import Layout, structures_of
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.imaging.found import Found, Scan
from overread.imaging.labels import open_labels, open_seg
from overread.record.files import read_json

SHOWN = 5
MASK_FORMATS = ("nifti", "nrrd", "mha", "raster")


@dataclass(frozen=True)
class Truths:
    """What was read.

    by_name     draft name -> truth
    why_not     draft name -> why it has none, in words without names
    question    classification and regression; masks are opened before their question is known
    structures  segmentation: structure -> value, where declared
    matched     lines about how masks were joined
    unknown     masks that fit no image
    readers     draft name -> the truth of every reader, where labels tell readers apart
    """

    by_name: Mapping[str, TruthReference]
    why_not: Mapping[str, str] = field(default_factory=dict)
    question: Question | None = None
    structures: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    matched: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    readers: Mapping[str, tuple[TruthReference, ...]] = field(default_factory=dict)


# ---- drawn labels -----------------------------------------------------------------------------------


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


# ---- masks ------------------------------------------------------------------------------------------


def mask_truths(
    layout: Layout,
    truth: Path | None,
    truth_folder: Path | None,
    images_folder: Path,
    drafts: Sequence[Draft],
    how: How,
    look: Callable[[], Scan],
    said: Said | None = None,
) -> Truths | None:
    """Masks of a truth folder, or those that the layout of the image folder names; None where there are neither.

    look  gives what lies at `truth`
    """
    if truth is None or truth_folder is None:
        if not layout.truth_files:
            return None
        by_name = {
            d.name: TruthReference(
                {},
                layout.truth_files[d.name],
                "dicom-seg" if d.images[0].format == "dicom" else d.images[0].format,
                reader=how.reader,
                method=how.method,
                date=how.date,
            )
            for d in drafts
            if d.name in layout.truth_files
        }
        return Truths(
            by_name,
            {d.name: "no mask" for d in drafts if d.name not in by_name},
            structures=layout.structures,
            matched=(f"masks: {len(by_name)} found in the image folder itself",),
        )
    scanned = look()
    images = _images_among(drafts, images_folder, truth_folder)
    masks = [f for f in scanned.found if truth_folder / f.files[0] not in images]
    references, matched, unknown = _join(masks, drafts, truth_folder, images_folder, how)
    if not references and not unknown and len(masks) < len(scanned.found):
        raise OverreadError(
            f"The truth folder {truth_folder} holds no masks: all that lies there was taken for images.",
            "give the folder with the masks; where both share one, say which files are the images, e.g. --series ct.file=_ct",
        )
    if not references and not unknown:
        raise OverreadError(
            f"The truth folder {truth_folder} holds no masks.", "give the folder with NIfTI, PNG or DICOM SEG masks"
        )
    unknown += [f"{r.path}: {r.reason}" for r in scanned.refused[:SHOWN]]
    structures = _declared(truth_folder, layout)
    numbers = by_segment_name(references, truth_folder, said or Said()) if not structures else {}
    if numbers:
        references = {n: replace(t, values={k: float(v) for k, v in numbers.items()}) for n, t in references.items()}
        structures = {renamed(name, said or Said()): value for name, value in numbers.items()}
        listed = ", ".join(f"{v} = {n}" for n, v in structures.items())
        matched.append(f"segments are numbered differently from file to file and were joined by their names: {listed}")
    return Truths(
        references,
        {d.name: "no mask" for d in drafts if d.name not in references},
        structures=structures,
        matched=tuple(matched),
        unknown=tuple(unknown),
    )


def _images_among(drafts: Sequence[Draft], images_folder: Path, truth_folder: Path) -> set[Path]:
    """The files of the cases, where they may lie among the masks: an image is never its own mask."""
    if not (truth_folder.is_relative_to(images_folder) or images_folder.is_relative_to(truth_folder)):
        return set()
    return {images_folder / f for d in drafts for i in d.images for f in i.files}


def _join(
    found: Sequence[Found], drafts: Sequence[Draft], truth_folder: Path, images_folder: Path, how: How
) -> tuple[dict[str, TruthReference], list[str], list[str]]:
    segs = [f for f in found if f.format == "dicom" and f.attributes.get("modality") == "SEG"]
    files = {f.files[0]: f.format for f in found if f.format in MASK_FORMATS}
    references: dict[str, TruthReference] = {}
    rules: Counter[str] = Counter()
    if segs:
        joined = join_segmentations(segs, drafts, (truth_folder, images_folder))
        rules.update(joined.rules)
        for s, d in joined.joined.items():
            references[drafts[d].name] = TruthReference(
                {}, segs[s].files, "dicom-seg", reader=how.reader, method=how.method, date=how.date
            )
        files |= {segs[s].files[0]: "dicom-seg" for s in joined.unmatched}
    open_drafts = [d for d in drafts if d.name not in references]
    names = list(files)
    by_name = join_masks(names, open_drafts)
    rules.update(by_name.rules)
    for m, d in by_name.joined.items():
        references[open_drafts[d].name] = TruthReference(
            {}, (names[m],), files[names[m]], reader=how.reader, method=how.method, date=how.date
        )
    rest = {names[m]: files[names[m]] for m in by_name.unmatched}
    by_grid = {} if references else join_by_geometry(rest, drafts, truth_folder, images_folder)
    for file, d in by_grid.items():
        references[drafts[d].name] = TruthReference(
            {}, (file,), rest.pop(file), reader=how.reader, method=how.method, date=how.date
        )
        rules[BY_GEOMETRY] += 1
    matched = (
        [f"masks: {sum(rules.values())} joined ({', '.join(f'{n} by {rule}' for rule, n in rules.items())})"] if rules else []
    )
    unknown = [f"mask {file}: no usable image is named alike" for file in list(rest)[:SHOWN]]
    if len(rest) > SHOWN:
        unknown.append(f"and {len(rest) - SHOWN} more masks")
    return references, matched, unknown


def by_segment_name(references: Mapping[str, TruthReference], folder: Path, said: Said) -> dict[str, int]:
    """Segment name -> label value for all files together, where the files number their segments differently; else empty."""
    if not references or not all(names_segments(t.format, folder / t.files[0]) for t in references.values()):
        return {}
    names: dict[str, set[int]] = {}
    values: dict[int, set[str]] = {}
    for truth in references.values():
        for name, value in segment_names(truth.format, folder / truth.files[0]).items():
            names.setdefault(name, set()).add(value)
            values.setdefault(value, set()).add(name)
    if all(len(n) == 1 for n in names.values()) and all(len(v) == 1 for v in values.values()):
        return {}
    return numbering(sorted(names, key=str.casefold), said)


def _declared(truth_folder: Path, layout: Layout) -> Mapping[str, int]:
    """Structures of a dataset.json in or beside the truth folder."""
    for place in (truth_folder / "dataset.json", truth_folder.parent / "dataset.json"):
        if place.is_file():
            return structures_of(read_json(place))
    return layout.structures


# ---- values -----------------------------------------------------------------------------------------


def label_truths(
    task: str,
    source: str,
    columns: Sequence[str],
    drafts: Sequence[Draft],
    joined: Joined | None,
    said: Said,
    aggregation: str,
    how: How,
) -> Truths:
    """Classes, findings or numbers of every draft."""
    if source == "layout":
        return _layout_labels(drafts, said, how)
    assert joined is not None
    why_not = {d.name: "no row in the sheet" if k not in joined.rows else "its label is blank" for k, d in enumerate(drafts)}
    if task == "regression":
        return _numbers(columns, drafts, joined, said, aggregation, how, why_not)
    is_findings = len(columns) > 1 or said.exclusive is False
    cells = {}
    for c in columns:
        is_positive = positive_in(joined.sheet.column(c), said, finding=is_findings)
        cells[c] = {k: aggregate(c, rows, aggregation, is_positive) for k, rows in joined.cells(c).items()}
    notes: list[str] = []
    for column in columns:
        before = cells[column]
        cells[column], more = without_uncertain(column, before, said.names, finding=is_findings)
        notes += more
        why_not |= {
            drafts[k].name: "its label is uncertain" for k, c in cells[column].items() if c is None and before[k] is not None
        }
    if is_findings:
        question, reasons = ask.classification(said, [], columns)
        truths = {
            drafts[k].name: findings_truth({n: cells[c].get(k) for n, c in zip(question.classes, columns, strict=True)}, how)
            for k in joined.rows
        }
        return _checked(truths, why_not, question, reasons, joined, tuple(notes))
    column = columns[0]
    called = {k: named(cell, said.names) for k, cell in cells[column].items()}
    if not said.one_class:
        _refuse_one_class(list(called.values()), f"(column '{column}')")
    question, reasons = ask.classification(said, list(called.values()), columns)
    truths = {drafts[k].name: exclusive_truth(cell, question.classes, how) for k, cell in called.items()}
    notes += spelling_notes([c for c in joined.sheet.column(column) if not is_uncertain(c)], column)
    return _checked(truths, why_not, question, reasons, joined, tuple(notes))


def _checked(
    truths: Mapping[str, TruthReference | None],
    why_not: Mapping[str, str],
    question: Question,
    reasons: Mapping[str, str],
    joined: Joined,
    notes: tuple[str, ...],
) -> Truths:
    known = {name: truth for name, truth in truths.items() if truth is not None}
    return Truths(known, why_not, question, reasons=reasons, notes=notes)


def _refuse_one_class(cells: Sequence[str | None], where: str) -> None:
    counts = Counter(c.casefold() for c in cells if c is not None)
    if counts:
        refuse_one_class(counts, where)


def _layout_labels(drafts: Sequence[Draft], said: Said, how: How) -> Truths:
    why_not = {d.name: "no label" for d in drafts}
    labels = [d.label for d in drafts]
    width = {len(label.split(",")) for label in labels if label is not None}
    if max(width, default=1) > 1:
        count = max(width)
        names = tuple(said.names.get(str(k), f"finding {k}") for k in range(count))
        question, reasons = ask.classification(said, [], names)
        truths: dict[str, TruthReference | None] = {
            d.name: findings_truth(dict(zip(question.classes, d.label.split(","), strict=True)), how) for d in drafts if d.label
        }
    else:
        cells = [named(label, said.names) for label in labels]
        if not said.one_class:
            _refuse_one_class(cells, "by folder or archive")
        question, reasons = ask.classification(said, cells, (ask.OF_LAYOUT,))
        truths = {d.name: exclusive_truth(cell, question.classes, how) for d, cell in zip(drafts, cells, strict=True)}
    return Truths({n: t for n, t in truths.items() if t is not None}, why_not, question, reasons=reasons)


def _numbers(
    columns: Sequence[str],
    drafts: Sequence[Draft],
    joined: Joined,
    said: Said,
    aggregation: str,
    how: How,
    why_not: Mapping[str, str],
) -> Truths:
    question, reasons = ask.regression(said, columns)
    numbers: dict[str, list[float | None]] = {}
    for column in columns:
        values = joined.sheet.numbers(column)
        if values is None:
            raise OverreadError(f"Column '{column}' holds words; a regression needs numbers.", "name another column with --label")
        numbers[column] = values
    truths = {}
    for k, rows in joined.rows.items():
        values_of = {
            name: aggregate_numbers([numbers[c][r] for r in rows], aggregation)
            for name, c in zip(question.classes, columns, strict=True)
        }
        truths[drafts[k].name] = measured_truth(values_of, how)
    return _checked(truths, why_not, question, reasons, joined, ())
