"""Truths that are masks: joined to images, with what their values mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from overread.cohort.ask import Said
from overread.cohort.chosen_classes import chosen
from overread.cohort.draft import Draft
from overread.cohort.labels.answered import numbering, renamed
from overread.cohort.labels.masks import (
    BY_GEOMETRY,
    join_by_geometry,
    join_masks,
    join_segmentations,
    names_segments,
    segment_names,
)
from overread.cohort.labels.truths import Truths
from overread.cohort.labels.values import How
from overread.cohort.layouts import Layout, structures_of
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.imaging.found import Found, Scan
from overread.record.files import read_json

SHOWN = 5
MASK_FORMATS = ("nifti", "nrrd", "mha", "raster")


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
    said = said or Said()
    found = _masks(layout, truth, truth_folder, images_folder, drafts, how, look, said)
    return None if found is None else of_chosen(found, said)


def of_chosen(truths: Truths, said: Said) -> Truths:
    """Masks whose every value has a name, of which some are asked: the truth of each case says what its values mean."""
    if not (said.only or said.others):
        return truths
    named = {name: int(value) for value, name in said.names.items() if value.isdecimal()}
    declared = dict(truths.structures) or named
    asked, left = chosen(said, tuple(declared))
    values = {name: float(value) for name, value in declared.items()}
    by_name = {n: t if t.values else replace(t, values=values) for n, t in truths.by_name.items()}
    others = {n: declared[n] for n in left if n in declared}
    return replace(truths, by_name=by_name, structures={n: declared[n] for n in asked}, others=others, not_asked=left)


def _masks(
    layout: Layout,
    truth: Path | None,
    truth_folder: Path | None,
    images_folder: Path,
    drafts: Sequence[Draft],
    how: How,
    look: Callable[[], Scan],
    said: Said,
) -> Truths | None:
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
    numbers = by_segment_name(references, truth_folder, said) if not structures else {}
    if numbers:
        references = {n: replace(t, values={k: float(v) for k, v in numbers.items()}) for n, t in references.items()}
        structures = {renamed(name, said): value for name, value in numbers.items()}
        listed = ", ".join(f"{v} = {n}" for n, v in structures.items())
        matched.append(f"{_why_by_name(said)} joined by their names: {listed}")
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
    """Segment name -> label value for all files together, where they number their segments differently or some are chosen."""
    if not references or not all(names_segments(t.format, folder / t.files[0]) for t in references.values()):
        return {}
    names: dict[str, set[int]] = {}
    values: dict[int, set[str]] = {}
    for truth in references.values():
        for name, value in segment_names(truth.format, folder / truth.files[0]).items():
            names.setdefault(name, set()).add(value)
            values.setdefault(value, set()).add(name)
    alike = all(len(n) == 1 for n in names.values()) and all(len(v) == 1 for v in values.values())
    if alike and not (said.only or said.others):
        return {}
    return numbering(sorted(names, key=str.casefold), said)


def _why_by_name(said: Said) -> str:
    if said.only or said.others:
        return "segments were chosen, and"
    return "segments are numbered differently from file to file and were"


def _declared(truth_folder: Path, layout: Layout) -> Mapping[str, int]:
    """Structures of a dataset.json in or beside the truth folder."""
    for place in (truth_folder / "dataset.json", truth_folder.parent / "dataset.json"):
        if place.is_file():
            return structures_of(read_json(place))
    return layout.structures
