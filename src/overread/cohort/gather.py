"""From a folder, masks and a sheet to checked cases with their truth, still under their own names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from overread.cohort.ask import OBJECT_TASKS
from overread.cohort.ask_pictures import IMAGE_TASKS, WHY, assert_masks, image_truths, kinds_of, refuse_other_truth
from overread.cohort.choose_truth import (
    drawn_objects,
    follow_renamed,
    masks_or_labels,
    of_labels,
    question_of,
    refuse_unclear,
    with_truth,
)
from overread.cohort.columns import Roles
from overread.cohort.draft import Draft, Step
from overread.cohort.folders import folder_of, masks_inside, scan_images, sheet_and_truth_folder, truth_scan
from overread.cohort.identity import refuse_spellings
from overread.cohort.inspect import Seen, inspect_cases, refuse_mixture, refuse_unlike
from overread.cohort.join import Joined, describe_unknown
from overread.cohort.labels.read_drawn import drawn_truths
from overread.cohort.labels.read_masks import mask_truths
from overread.cohort.layouts import Layout, recognise
from overread.cohort.names import NAME_RULES, patient_by_name
from overread.cohort.object_notes import object_notes, others_note, without_others
from overread.cohort.patients import check_unit, hints, keep_index_exams, with_patients
from overread.cohort.progress import Progress
from overread.cohort.request import Request
from overread.cohort.rules import ImageRules, Rule, image_rules
from overread.cohort.series import Chosen, choose_series
from overread.cohort.sheet import Sheet, read_sheet
from overread.cohort.sheet_facts import enriched, join_requested, matched
from overread.cohort.usable import keep_usable, only_declared
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.imaging.found import Scan


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
    others      classes of the truth that are not asked
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
    others: tuple[str, ...] = ()

    def column(self, name: str) -> list[str | None]:
        """The cells of a sheet's column, one per draft."""
        return _column(name, self.joined, self.sheet_rows, self.drafts)

    @property
    def is_phantom(self) -> bool:
        return all(s.is_simulated for s in self.seen)


def _column(name: str, joined: Joined | None, rows: Mapping[str, int], drafts: Sequence[Draft]) -> list[str | None]:
    if joined is None:
        raise OverreadError(f"'{name}' would be a column, but there is no sheet.", "give the sheet with --sheet FILE")
    cells = joined.sheet.column(name)
    return [cells[rows[d.name]] if d.name in rows else None for d in drafts]


@dataclass(frozen=True)
class Images:
    """The images of a folder, with what the sheet says of each; nobody has asked for a truth yet.

    sheet_rows  draft name -> its (first) row in the sheet
    """

    folder: Path
    truth_folder: Path | None
    scanned: Scan
    rules: ImageRules
    layout: Layout
    chosen: Chosen
    sheet: Sheet | None
    joined: Joined | None
    roles: Roles | None
    drafts: tuple[Draft, ...]
    steps: tuple[Step, ...]

    @property
    def sheet_rows(self) -> dict[str, int]:
        return {self.chosen.drafts[k].name: rows[0] for k, rows in self.joined.rows.items()} if self.joined else {}

    def column(self, name: str) -> list[str | None]:
        """The cells of a sheet's column, one per draft."""
        return _column(name, self.joined, self.sheet_rows, self.drafts)


def gather_images(request: Request, progress: Progress | None = None, scanned: Scan | None = None) -> Images:
    """Find the images, choose among series, join the sheet."""
    rules = image_rules(request.series, request.channels, request.missing, request.gaps, request.tilt)
    folder, inside = folder_of(request.images)
    scanned = scanned or scan_images(request.images, request.gaps, request.tilt, progress, request.headers)
    layout = recognise(scanned, folder, inside, rules, masks_inside(request.truth, folder))
    chosen = choose_series(layout.drafts, rules)
    layout = replace(layout, truth_files=follow_renamed(layout.truth_files, chosen.renamed))
    steps = [*layout.steps, *([chosen.step] if chosen.step else [])]
    sheet_path, truth_folder = sheet_and_truth_folder(request, folder, layout)
    sheet = read_sheet(sheet_path) if sheet_path else None
    joined, roles = join_requested(request, sheet, chosen.drafts)
    drafts = [enriched(d, k, joined, roles) for k, d in enumerate(chosen.drafts)]
    if request.group_by in NAME_RULES:
        drafts = [replace(d, patient=patient_by_name(d.images[0].files[0], str(request.group_by))) for d in drafts]
    refuse_spellings(d.patient for d in drafts if d.patient)
    return Images(folder, truth_folder, scanned, rules, layout, chosen, sheet, joined, roles, tuple(drafts), tuple(steps))


def gather(request: Request, progress: Progress | None = None, scanned: Scan | None = None) -> Gathered:
    """Find, join, ask and check. Stops on what only the user can decide or put right.

    scanned  what lies in the image folder, where that is known already
    """
    images = gather_images(request, progress, scanned)
    folder, truth_folder, layout, joined, roles = images.folder, images.truth_folder, images.layout, images.joined, images.roles
    drafts, steps = list(images.drafts), list(images.steps)
    look = truth_scan(request.truth, folder, images.scanned, progress)
    refuse_unclear(request, layout, joined)
    of_images = request.said.task in IMAGE_TASKS
    objects = None if of_images else drawn_objects(request, layout, look, folder, drafts, joined)
    if of_images:
        refuse_other_truth(request.said, request.truth is not None)
    columns: tuple[str, ...] = ()
    if request.said.by_mask:
        task, source, why = str(request.said.task), "masks", "you said so; the truth is the mask of each image"
        truths = assert_masks(mask_truths(layout, request.truth, truth_folder, folder, drafts, request.how, look, request.said))
    elif of_images:
        task, source, why, truth_folder = str(request.said.task), "images", WHY, None
        truths, columns = image_truths(request, drafts, joined)
    elif objects is not None:
        task, truths = drawn_truths(objects, drafts, request.said, request.how)
        source, columns, why, truth_folder = "objects", request.said.labels, truths.reasons["question.task"], objects.root
    else:
        masks = mask_truths(layout, request.truth, truth_folder, folder, drafts, request.how, look, request.said)
        task, source, columns, why, truths = masks_or_labels(request, masks, truth_folder, joined, roles, drafts)
    reasons = {**layout.reasons, "question.task": why}
    drafts, steps = with_truth(drafts, truths, steps, joined, request)
    drafts, steps = keep_index_exams(drafts, steps, request, joined, images.chosen.drafts)
    check_unit(request, task, drafts, joined)
    seen = inspect_cases(
        drafts,
        truths.by_name,
        folder,
        truth_folder,
        gaps=request.gaps,
        tilt=request.tilt,
        objects=(request.said.objects or "components") if task in OBJECT_TASKS else None,
        progress=progress,
    )
    drafts, seen, steps = keep_usable(drafts, seen, steps, request.faulty)
    refuse_mixture(drafts, seen)
    refuse_unlike(drafts, seen, kinds_of(request.said, drafts, truths))
    told = others_note(seen, truths.others, of_objects=task in OBJECT_TASKS)
    seen = without_others(seen, truths.others)
    question, more = question_of(task, request.said, truths, drafts, seen)
    if objects is not None:
        more = of_labels(more)
    drafts, seen, steps = only_declared(question, drafts, seen, steps, request.faulty)
    drafts, known, patient_reason = with_patients(drafts, request, roles, layout)
    return Gathered(
        folder,
        truth_folder,
        layout,
        layout.channels or images.rules.channels,
        images.rules.series,
        images.rules.missing,
        images.chosen.told,
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
        (*matched(joined), *truths.matched),
        (*(describe_unknown(joined, drafts) if joined else ()), *truths.unknown),
        (
            *layout.notes,
            *(images.sheet.notes if images.sheet else ()),
            *truths.notes,
            *object_notes(question, seen, truths.others),
            *told,
            *hints(folder, drafts, known, joined is not None),
        ),
        images.sheet_rows,
        truths.not_asked,
    )
