"""From a folder, masks and a sheet to checked cases with their truth, still under their own names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from overread.cohort import ask
from overread.cohort.ask import Said
from overread.cohort.columns import Roles, infer_roles
from overread.cohort.draft import Draft, LeftOut, Step
from overread.cohort.exams import choose_index_exam, parse_index_exam
from overread.cohort.identity import refuse_spellings
from overread.cohort.inspect import Seen, declared_names, inspect_cases, refuse_faults, refuse_mixture, refuse_unlike
from overread.cohort.join import Joined, describe_unknown, join_sheet
from overread.cohort.labels.find import find_objects, label_root, scan_truth
from overread.cohort.labels.objects import Objects
from overread.cohort.labels.read import Truths, drawn_truths, findings_of_masks, label_truths, mask_truths
from overread.cohort.labels.recognise import find_labels
from overread.cohort.labels.values import How
from overread.cohort.layouts import Layout, recognise
from overread.cohort.names import NAME_RULES, SIDE_WORDS, patient_by_name, shared_beginnings
from overread.cohort.progress import Progress, stage
from overread.cohort.rules import Rule, image_rules
from overread.cohort.series import choose_series
from overread.cohort.sheet import Sheet, is_number, read_sheet, refuse_rounded_ids
from overread.core.case import TruthReference
from overread.core.errors import OverreadError, Refused
from overread.core.question import UNITS_OF_ANALYSIS, Question
from overread.imaging.found import Scan
from overread.imaging.scan import scan

MASK_FAULTS = (
    "mask-on-another-grid",
    "other-grid",
    "undeclared-value",
    "not-labels",
    "colour-mask",
    "other-frame-of-reference",
    "label-size",
    "outside-image",
    "boxes-only",
    "slice-unknown",
    "contours-elsewhere",
    "contours-not-parallel",
    "image-missing",
    "damaged-contour",
    "damaged-region",
)


@dataclass(frozen=True)
class Request:
    """What to gather. None or empty is to be inferred.

    images    folder, or one file in it that holds the images
    truth     folder with masks, or a sheet with labels
    series    rules for the choice among series, see `overread.cohort.rules`
    channels  name -> rule, or pattern of the file's name
    missing   "refuse" or "zeros": exams that lack a channel
    how       reader, method and date of the reference standard
    faulty    "refuse" or "leave out": cases whose mask does not fit
    headers   SQLite file that remembers image headers, so that another look is quick
    """

    images: Path
    truth: Path | None = None
    sheet: Path | None = None
    said: Said = field(default_factory=Said)
    id_column: str | None = None
    group_by: str | None = None
    site: str | None = None
    scanner: str | None = None
    date: str | None = None
    side: str | None = None
    covariates: tuple[str, ...] = ()
    series: Mapping[str, str] = field(default_factory=dict)
    aggregation: str = "none"
    index_exam: str = "all"
    gaps: str = "refuse"
    tilt: str = "refuse"
    how: How = field(default_factory=How)
    faulty: str = "refuse"
    headers: Path | None = None
    channels: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    missing: str = "refuse"


def headers_path(project_dir: Path) -> Path:
    """Where a project remembers image headers: with identifiers, so among what is private."""
    return Path(project_dir) / "cohort" / "private" / "headers.sqlite"


@dataclass(frozen=True)
class Gathered:
    """Checked cases, all with truth.

    channels    name -> rule, the reference first; empty where a case has one image without a name
    chosen      lines about which series were chosen
    seen        what opening showed, one per draft
    patient_known  some file or column names patients; without one each image counts as a patient of its own
    splits      columns of the sheet that hold a distributed split
    matched     lines about how truth was joined to images
    unknown     rows or masks that fit no image
    sheet_rows  draft name -> its (first) row in the sheet
    """

    images_folder: Path
    truth_folder: Path | None
    layout: Layout
    channels: Mapping[str, Rule]
    series: Rule
    missing: str
    chosen: tuple[str, ...]
    question: Question
    source: str
    label_columns: tuple[str, ...]
    drafts: tuple[Draft, ...]
    truths: Mapping[str, TruthReference]
    seen: tuple[Seen, ...]
    joined: Joined | None
    roles: Roles | None
    steps: tuple[Step, ...]
    patient_known: bool
    patient_reason: str
    reasons: Mapping[str, str]
    matched: tuple[str, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]
    sheet_rows: Mapping[str, int]

    def column(self, name: str) -> list[str | None]:
        """The cells of a sheet's column, one per draft."""
        if self.joined is None:
            raise OverreadError(f"'{name}' would be a column, but there is no sheet.", "give the sheet with --sheet FILE")
        cells = self.joined.sheet.column(name)
        return [cells[self.sheet_rows[d.name]] if d.name in self.sheet_rows else None for d in self.drafts]

    @property
    def is_phantom(self) -> bool:
        return all(s.is_simulated for s in self.seen)


def scan_images(
    images: Path, gaps: str = "refuse", tilt: str = "refuse", progress: Progress | None = None, headers: Path | None = None
) -> Scan:
    """Look at a folder of images, or at the one file that was named; what lies beside that is nobody's business."""
    folder, inside = _folder_of(images)
    with stage(progress, f"looking at {inside or folder.name}") as tell:
        return scan(folder, progress=tell, gaps=gaps, tilt=tilt, cache=headers, only=inside)


def gather(request: Request, progress: Progress | None = None, scanned: Scan | None = None) -> Gathered:
    """Find, join, ask and check. Stops on what only the user can decide or put right.

    scanned  what lies in the image folder, where that is known already
    """
    rules = image_rules(request.series, request.channels, request.missing, request.gaps, request.tilt)
    folder, inside = _folder_of(request.images)
    scanned = scanned or scan_images(request.images, request.gaps, request.tilt, progress, request.headers)
    layout = recognise(scanned, folder, inside, rules, _masks_inside(request.truth, folder))
    chosen = choose_series(layout.drafts, rules)
    layout = replace(layout, truth_files=_moved(layout.truth_files, chosen.renamed))
    steps = [*layout.steps, *([chosen.step] if chosen.step else [])]
    sheet_path, truth_folder = _places(request, folder, layout)
    sheet = read_sheet(sheet_path) if sheet_path else None
    joined, roles = _join(request, sheet, chosen.drafts)
    drafts = [_enriched(d, k, joined, roles) for k, d in enumerate(chosen.drafts)]
    if request.group_by in NAME_RULES:
        drafts = [replace(d, patient=patient_by_name(d.images[0].files[0], str(request.group_by))) for d in drafts]
    refuse_spellings(d.patient for d in drafts if d.patient)
    look = _truth_scan(request.truth, folder, scanned, progress)
    _refuse_unclear(request, layout, joined)
    objects = _objects(request, layout, look, folder, drafts, joined)
    if objects is not None:
        task, truths = drawn_truths(objects, drafts, request.said, request.how)
        source, columns, why, truth_folder = "objects", request.said.labels, truths.reasons["question.task"], objects.root
    else:
        masks = mask_truths(layout, request.truth, truth_folder, folder, drafts, request.how, look, request.said)
        task, source, columns, why, truths = _masks_or_labels(request, masks, truth_folder, joined, roles, drafts)
    reasons = {**layout.reasons, "question.task": why}
    drafts, steps = _with_truth(drafts, truths, steps, joined, request)
    drafts, steps = _index_exam(drafts, steps, request, joined, chosen.drafts)
    _check_unit(request, drafts, joined)
    seen = inspect_cases(drafts, truths.by_name, folder, truth_folder, gaps=request.gaps, tilt=request.tilt, progress=progress)
    drafts, seen, steps = _readable(drafts, seen, steps, request.faulty)
    refuse_mixture(drafts, seen)
    refuse_unlike(drafts, seen)
    question, more = _question(task, request.said, truths, drafts, seen)
    drafts, seen, steps = _only_declared(question, drafts, seen, steps, request.faulty)
    drafts, known, patient_reason = _patients(drafts, request, roles, layout)
    return Gathered(
        folder,
        truth_folder,
        layout,
        layout.channels or rules.channels,
        rules.series,
        rules.missing,
        chosen.told,
        replace(question, unit=request.said.unit or "exam"),
        source,
        columns,
        tuple(drafts),
        {d.name: truths.by_name[d.name] for d in drafts},
        tuple(seen),
        joined,
        roles,
        tuple(steps),
        known,
        patient_reason,
        {**reasons, **more},
        (*_matched(joined), *truths.matched),
        (*(describe_unknown(joined, drafts) if joined else ()), *truths.unknown),
        (*layout.notes, *(sheet.notes if sheet else ()), *truths.notes, *hints(folder, drafts, known, sheet is not None)),
        {chosen.drafts[k].name: rows[0] for k, rows in joined.rows.items()} if joined else {},
    )


def _moved(truth_files: Mapping[str, tuple[str, ...]], renamed: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Truths of a series that became a channel belong to its case; that of the reference counts first."""
    moved = dict(truth_files)
    for series, case in renamed.items():
        if series in truth_files:
            moved.setdefault(case, truth_files[series])
    return moved


def _folder_of(images: Path) -> tuple[Path, str]:
    """The folder to scan, and the one file in it that was named."""
    images = Path(images).resolve()
    if images.is_dir():
        return images, ""
    if images.is_file():
        return images.parent, images.name
    raise OverreadError(f"The image folder {images} does not exist.", "give the folder that holds the images with --images")


def _places(request: Request, folder: Path, layout: Layout) -> tuple[Path | None, Path | None]:
    """The sheet, and the folder that label files are relative to."""
    sheet, truth = request.sheet, request.truth
    if truth is not None and not Path(str(truth).partition("#")[0]).exists():
        raise OverreadError(
            f"The truth {truth} does not exist.", "give a folder with masks, or a sheet with labels, with --truth"
        )
    root = label_root(Path(truth)) if truth is not None else None
    if root is not None:
        return sheet, root
    if truth is not None and Path(truth).suffix.lower() in (".json", ".xml", ".txt"):
        raise OverreadError(
            f"{Path(truth).name} holds no labels that Overread knows (COCO, VIA, LabelMe, Pascal VOC, YOLO).",
            "give a label file, a folder with masks or labels, or a sheet as --truth",
        )
    if truth is not None and not Path(truth).is_dir():
        if sheet is not None and Path(sheet) != Path(truth):
            raise OverreadError(
                "--truth and --sheet both name a sheet.", "join the two in the spreadsheet and give one, or give masks as --truth"
            )
        return truth, None
    if truth is not None:
        return sheet, Path(truth).resolve()
    return sheet, folder if layout.truth_files else None


def _masks_inside(truth: Path | None, folder: Path) -> str:
    """The truth folder relative to the image folder, where it lies inside and holds masks: these are no images."""
    if truth is None or not Path(truth).is_dir() or find_labels(Path(truth)) is not None:
        return ""
    place = Path(truth).resolve()
    return place.relative_to(folder).as_posix() if place != folder and place.is_relative_to(folder) else ""


def _truth_scan(truth: Path | None, folder: Path, images: Scan, progress: Progress | None) -> Callable[[], Scan]:
    """What lies at --truth, looked at once and only where it is asked for."""
    if truth is None or Path(truth).resolve() == folder:
        return lambda: images
    return cache(lambda: scan_truth(Path(truth), progress))


def _refuse_unclear(request: Request, layout: Layout, joined: Joined | None) -> None:
    """Label files beside the images that cannot be told apart count only where they would be the truth."""
    said = request.said
    wanted = said.task in (None, "segmentation") or (said.task == "classification" and joined is None)
    if layout.unclear is not None and request.truth is None and not said.labels and wanted:
        raise layout.unclear


def _objects(
    request: Request,
    layout: Layout,
    look: Callable[[], Scan],
    folder: Path,
    drafts: Sequence[Draft],
    joined: Joined | None,
) -> Objects | None:
    """Boxes, outlines, contours or reports: at --truth, or in the image folder itself where nothing else is a truth."""
    if request.truth is not None and (Path(request.truth).is_dir() or label_root(Path(request.truth)) is not None):
        where = Path(request.truth)
    elif (
        request.truth is None
        and not (layout.truth_files or request.said.labels or any(d.label for d in drafts))
        and (joined is None or request.said.task == "segmentation")
    ):
        where = folder
    else:
        return None
    leave_out = request.faulty != "refuse"
    return find_objects(where, drafts, folder, task=request.said.task, leave_out=leave_out, look=look)


def _masks_or_labels(
    request: Request,
    masks: Truths | None,
    truth_folder: Path | None,
    joined: Joined | None,
    roles: Roles | None,
    drafts: Sequence[Draft],
) -> tuple[str, str, tuple[str, ...], str, Truths]:
    """Task, source, columns, reason and truths where they are masks, columns of a sheet or class folders."""
    said, labels = request.said, [d.label for d in drafts]
    has_words = joined is not None or any(labels) or said.labels
    if masks is not None and truth_folder is not None and said.task == "classification" and not has_words:
        return said.task, "masks", (), "you said so", findings_of_masks(masks, drafts, truth_folder, said, request.how)
    task, source, columns, why = ask.choose_task(said, masks is not None, joined, roles, labels)
    if masks is not None and task == "segmentation":
        return task, source, columns, why, masks
    return task, source, columns, why, label_truths(task, source, columns, drafts, joined, said, request.aggregation, request.how)


def _join(request: Request, sheet: Sheet | None, drafts: Sequence[Draft]) -> tuple[Joined | None, Roles | None]:
    by_column = None if request.group_by in NAME_RULES else request.group_by
    if sheet is None:
        for name, value in (
            ("--group-by", by_column),
            ("--id-column", request.id_column),
            ("--site", request.site),
        ):
            if value:
                raise OverreadError(
                    f"{name} names the column '{value}', but there is no sheet.", "give the sheet with --sheet FILE"
                )
        return None, None
    said = {
        "patient": by_column,
        "date": request.date,
        "side": request.side,
        "site": request.site,
        "scanner": request.scanner,
    }
    before = infer_roles(sheet, request.id_column or "", said, request.covariates)
    joined = join_sheet(
        sheet, drafts, request.id_column, side=before.side, day=before.date, several_rows=request.aggregation != "none"
    )
    roles = infer_roles(sheet, joined.column, said, request.covariates)
    if roles.patient:
        refuse_rounded_ids(sheet, roles.patient)
    return joined, roles


def _enriched(draft: Draft, k: int, joined: Joined | None, roles: Roles | None) -> Draft:
    """A draft with what its row of the sheet says of patient, side, date, site, scanner and covariates."""
    if joined is None or roles is None or k not in joined.rows:
        return draft

    def cell(column: str | None) -> str | None:
        return None if column is None else joined.cell(k, column)

    covariates = {**draft.covariates, **{n: _value(cell(c)) for n, c in roles.covariates.items() if cell(c) is not None}}
    day: date | None = draft.date
    if roles.date is not None:
        day = joined.sheet.dates(roles.date)[joined.rows[k][0]] or day
    return replace(
        draft,
        patient=cell(roles.patient) or draft.patient,
        side=SIDE_WORDS.get((cell(roles.side) or "").casefold(), draft.side),
        date=day,
        site=cell(roles.site) or draft.site,
        scanner=cell(roles.scanner) or draft.scanner,
        covariates=covariates,
    )


def _value(cell: str | None) -> Any:
    if cell is None or not is_number(cell):
        return cell
    return float(cell.replace(",", ".")) if not cell.lstrip("-").isdecimal() else int(cell)


def _with_truth(
    drafts: Sequence[Draft], truths: Truths, steps: Sequence[Step], joined: Joined | None, request: Request
) -> tuple[list[Draft], list[Step]]:
    kept = [d for d in drafts if d.name in truths.by_name]
    out = tuple(LeftOut(d.name, truths.why_not.get(d.name, "no truth")) for d in drafts if d.name not in truths.by_name)
    if not kept:
        reasons = Counter(item.reason for item in out).most_common(1)
        raise OverreadError(
            f"No label matches: none of the {len(drafts)} images has a truth ({reasons[0][0] if reasons else 'none given'})."
            + ("" if not truths.unknown else f" Left over: {'; '.join(truths.unknown[:3])}."),
            "check --truth and --sheet; labels are joined by file, patient, study or accession name",
        )
    return kept, [*steps, Step("truth known", len(kept), out)]


def _index_exam(
    drafts: list[Draft], steps: list[Step], request: Request, joined: Joined | None, order: Sequence[Draft]
) -> tuple[list[Draft], list[Step]]:
    rule = parse_index_exam(request.index_exam)
    wanted: dict[int, date | None] = {}
    if rule.kind == "nearest":
        if joined is None:
            raise OverreadError(f"The index exam needs the column '{rule.column}', but there is no sheet.", "give --sheet FILE")
        days = joined.sheet.dates(rule.column)
        position = {d.name: k for k, d in enumerate(order)}
        wanted = {k: days[joined.rows[position[d.name]][0]] for k, d in enumerate(drafts) if position[d.name] in joined.rows}
    kept, step = choose_index_exam(drafts, rule, wanted)
    return [drafts[k] for k in kept], steps if step is None else [*steps, step]


def _check_unit(request: Request, drafts: Sequence[Draft], joined: Joined | None) -> None:
    """A truth of patients on several exams each needs a rule: which exam, or how exams become one answer."""
    unit = request.said.unit
    if unit is not None and unit not in UNITS_OF_ANALYSIS:
        raise OverreadError(f"There is no unit of analysis '{unit}'.", f"say --unit {', '.join(UNITS_OF_ANALYSIS)}")
    shared = sum(1 for rows in joined.rows.values() if len(rows) > 1) if joined is not None else 0
    if request.aggregation != "none" and request.said.task == "segmentation":
        raise OverreadError(
            f"--aggregation {request.aggregation} puts findings of several images together; masks are scored image by image.",
            "leave --aggregation out, and pick one exam with --index-exam where each patient should count once",
        )
    if unit == "lesion" and shared:
        raise OverreadError(
            f"The unit of analysis is the lesion, and {shared} images have several lesions (rows of the sheet); an image has one "
            "answer here.",
            "give each lesion an image of its own, or ask for one answer per exam: --unit exam --aggregation max, mean or any",
        )
    counts = Counter(d.patient for d in drafts if d.patient)
    several = sum(1 for n in counts.values() if n > 1)
    by_patient = unit == "patient" or (unit is None and joined is not None and joined.level == "patient")
    if by_patient and several and request.aggregation == "none":
        raise OverreadError(
            f"The unit of analysis is the patient, and {several} of {len(counts)} patients have more than one exam here.",
            "say how exams become one answer (--unit patient --aggregation max, mean or any), or which one counts "
            "(--index-exam first, last, or 'nearest to COLUMN within N days'); or answer each exam by itself with --unit exam",
        )


def _readable(
    drafts: Sequence[Draft], seen: Sequence[Seen], steps: Sequence[Step], faulty: str, title: str = "opened and checked"
) -> tuple[list[Draft], list[Seen], list[Step]]:
    """Leave out, with the reason counted, what cannot be opened; stop on masks that do not fit."""
    if faulty == "refuse":
        refuse_faults(seen, MASK_FAULTS)
    out = [LeftOut(_told(d.name, s.refusal), _reason(s.refusal)) for d, s in zip(drafts, seen, strict=True) if s.refusal]
    if len(out) == len(drafts):
        refuse_faults(seen, tuple({s.refusal.code for s in seen if isinstance(s.refusal, Refused)}))
    good = [k for k, s in enumerate(seen) if s.refusal is None]
    return [drafts[k] for k in good], [seen[k] for k in good], [*steps, Step(title, len(good), tuple(out))]


def _told(name: str, refusal: OverreadError) -> str:
    return refusal.what if refusal.what.startswith(name) else f"{name}: {refusal.what}"


def _reason(refusal: OverreadError | None) -> str:
    return f"refused: {refusal.code}" if isinstance(refusal, Refused) else "refused"


def _question(
    task: str, said: Said, truths: Truths, drafts: Sequence[Draft], seen: Sequence[Seen]
) -> tuple[Question, dict[str, str]]:
    if task == "segmentation":
        found = Counter(value for s in seen for value in s.voxels)
        return ask.segmentation(said, truths.structures or declared_names(drafts, seen), found)
    assert truths.question is not None
    return truths.question, dict(truths.reasons)


def _only_declared(
    question: Question, drafts: list[Draft], seen: list[Seen], steps: list[Step], faulty: str
) -> tuple[list[Draft], list[Seen], list[Step]]:
    """Stop on masks that hold a value which nobody declared, or leave their cases out."""
    if question.task != "segmentation":
        return drafts, seen, steps
    declared = ", ".join(f"{v} = {n}" for n, v in zip(question.classes, question.values, strict=True))
    checked = []
    for draft, s in zip(drafts, seen, strict=True):
        undeclared = sorted(set(s.voxels) - set(question.values))
        refusal = Refused(
            "undeclared-value",
            f"{draft.name}: the mask holds {', '.join(map(str, undeclared[:10]))}, which nobody declared; "
            f"declared are {declared}.",
            "correct the mask, or declare the value in dataset.json or with --name VALUE=NAME",
        )
        checked.append(replace(s, refusal=refusal) if undeclared else s)
    if all(s.refusal is None for s in checked):
        return drafts, seen, steps
    return _readable(drafts, checked, steps, faulty, "masks hold declared values only")


def _patients(drafts: Sequence[Draft], request: Request, roles: Roles | None, layout: Layout) -> tuple[list[Draft], bool, str]:
    """Every draft with a patient; where nothing names one, the image itself stands in."""
    unknown = sum(d.patient is None for d in drafts)
    if request.group_by in NAME_RULES:
        reason = f"the {NAME_RULES[str(request.group_by)]} of each file, you said so"
    elif roles is not None and roles.patient:
        reason = f"column '{roles.patient}', {roles.reasons.get(roles.patient, '')}"
    elif unknown == len(drafts):
        reason = "no column, folder or header names the patient: images of one person may lie on both sides of the split"
    else:
        reason = layout.reasons.get("cohort.group_by", "Patient ID of the image headers")
    if 0 < unknown < len(drafts):
        reason += f"; {unknown} of {len(drafts)} images name no patient and count as one each"
    return [d if d.patient else replace(d, patient=d.name) for d in drafts], unknown < len(drafts), reason


def hints(folder: Path, drafts: Sequence[Draft], patient_known: bool, has_sheet: bool) -> list[str]:
    """Where a patient might be named, when nothing has named one yet."""
    if patient_known:
        return []
    lines = []
    beginnings = shared_beginnings([d.images[0].files[0] for d in drafts]) if drafts[0].images[0].format != "npz" else None
    if beginnings:
        lines.append(f"file names share beginnings ({beginnings}); if these are patients, say --group-by prefix")
    sheets = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in (".csv", ".xlsx"))
    if sheets and not has_sheet:
        lines.append(f"{sheets[0]} lies in the image folder; if it names patients, say --sheet {folder / sheets[0]}")
    return lines


def _matched(joined: Joined | None) -> list[str]:
    if joined is None:
        return []
    rules = ", ".join(f"{n} by {rule}" for rule, n in joined.rules.items())
    about = "" if joined.level == "image" else f"; a row is about {'an' if joined.level == 'exam' else 'a'} {joined.level}"
    return [f"sheet column '{joined.column}' names the images: {len(joined.rows)} images have a row ({rules}){about}"]
