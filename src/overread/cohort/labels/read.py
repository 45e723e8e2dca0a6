"""Every truth of a cohort, by draft, from wherever it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overread.cohort import ask
from overread.cohort.ask import Said
from overread.cohort.draft import Draft
from overread.cohort.join import Joined
from overread.cohort.labels.masks import BY_GEOMETRY, join_by_geometry, join_masks, join_segmentations
from overread.cohort.labels.values import How, exclusive_truth, findings_truth, measured_truth, refuse_one_class, spelling_notes
from overread.cohort.layouts import Layout, structures_of
from overread.cohort.progress import Progress, stage
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.imaging.found import Found
from overread.imaging.scan import scan
from overread.record.files import read_json

SHOWN = 5


@dataclass(frozen=True)
class Truths:
    """What was read.

    by_name     draft name -> truth
    why_not     draft name -> why it has none, in words without names
    question    classification and regression; masks are opened before their question is known
    structures  segmentation: structure -> value, where declared
    matched     lines about how masks were joined
    unknown     masks that fit no image
    """

    by_name: Mapping[str, TruthReference]
    why_not: Mapping[str, str] = field(default_factory=dict)
    question: Question | None = None
    structures: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    matched: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


# ---- masks ------------------------------------------------------------------------------------------


def mask_truths(
    layout: Layout,
    truth: Path | None,
    truth_folder: Path | None,
    images_folder: Path,
    drafts: Sequence[Draft],
    how: How,
    progress: Progress | None,
) -> Truths | None:
    """Masks of a truth folder, or those that the layout of the image folder names; None where there are neither."""
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
    with stage(progress, f"looking at {truth_folder.name}") as tell:
        scanned = scan(truth_folder, progress=tell)
    references, matched, unknown = _join(scanned.found, drafts, truth_folder, images_folder, how)
    if not references and not unknown:
        raise OverreadError(
            f"The truth folder {truth_folder} holds no masks.", "give the folder with NIfTI, PNG or DICOM SEG masks"
        )
    unknown += [f"{r.path}: {r.reason}" for r in scanned.refused[:SHOWN]]
    return Truths(
        references,
        {d.name: "no mask" for d in drafts if d.name not in references},
        structures=_declared(truth_folder, layout),
        matched=tuple(matched),
        unknown=tuple(unknown),
    )


def _join(
    found: Sequence[Found], drafts: Sequence[Draft], truth_folder: Path, images_folder: Path, how: How
) -> tuple[dict[str, TruthReference], list[str], list[str]]:
    segs = [f for f in found if f.format == "dicom" and f.attributes.get("modality") == "SEG"]
    files = {f.files[0]: f.format for f in found if f.format in ("nifti", "raster")}
    references: dict[str, TruthReference] = {}
    rules: Counter[str] = Counter()
    if segs:
        joined = join_segmentations(segs, drafts)
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
    cells = {c: {k: aggregate(c, rows, aggregation) for k, rows in joined.cells(c).items()} for c in columns}
    if len(columns) > 1 or said.exclusive is False:
        question, reasons = ask.classification(said, [], columns)
        truths = {
            drafts[k].name: findings_truth({n: cells[c].get(k) for n, c in zip(question.classes, columns, strict=True)}, how)
            for k in joined.rows
        }
        return _checked(truths, why_not, question, reasons, joined, ())
    column = columns[0]
    named = {k: _named(cell, said) for k, cell in cells[column].items()}
    _refuse_one_class([named[k] for k in named], f"(column '{column}')")
    question, reasons = ask.classification(said, list(named.values()), columns)
    truths = {drafts[k].name: exclusive_truth(cell, question.classes, how) for k, cell in named.items()}
    return _checked(truths, why_not, question, reasons, joined, tuple(spelling_notes(joined.sheet.column(column), column)))


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


def _named(cell: str | None, said: Said) -> str | None:
    """The class name that the user gave to a value."""
    if cell is None:
        return None
    return said.names.get(cell, said.names.get(cell.removesuffix(".0"), cell))


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
        cells = [_named(label, said) for label in labels]
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


# ---- several rows of one image ----------------------------------------------------------------------


def aggregate(column: str, cells: Sequence[str | None], rule: str) -> str | None:
    """One cell of several rows: blank where all are blank; "any" and "max" take the highest."""
    known = [c for c in cells if c is not None]
    if len(known) < 2:
        return known[0] if known else None
    if rule in ("any", "max") and all(c.removesuffix(".0").isdigit() for c in known):
        return max(known, key=lambda c: int(c.removesuffix(".0")))
    if len({c.casefold() for c in known}) == 1:
        return known[0]
    raise OverreadError(
        f"Column '{column}' gives one image different classes ({', '.join(sorted(set(known)))}), "
        f"and the rule '{rule}' cannot order words.",
        "write grades as numbers, or one row per image",
    )


def aggregate_numbers(values: Sequence[float | None], rule: str) -> float | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    return sum(known) / len(known) if rule == "mean" else max(known) if rule in ("max", "any") else known[0]
