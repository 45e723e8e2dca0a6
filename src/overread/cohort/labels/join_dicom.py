"""Structure sets and reports joined to image series: by Series Instance UID, by the images they name, by frame of reference."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from overread.cohort.draft import Draft
from overread.cohort.labels.drawn import CONTOURS, REPORT
from overread.cohort.labels.images import Images
from overread.cohort.labels.objects import Drawing, Objects
from overread.core.errors import OverreadError, Refused
from overread.imaging.dicom.rtstruct_reading import AREAS, StructureSet, read_rtstruct
from overread.imaging.dicom.sr_reading import Group, Report, read_sr

SHOWN = 5
AREA_KINDS = ("POLYLINE", "POLYGON", "CIRCLE", "ELLIPSE")


def join_structure_sets(
    files: Sequence[str], root: Path, drafts: Sequence[Draft], images_folder: Path, *, leave_out: bool = False
) -> Objects:
    """RTSTRUCT files of a truth folder."""
    images = Images(drafts, images_folder)
    by_name: dict[str, list[Drawing]] = defaultdict(list)
    refused: dict[str, str] = {}
    unknown: list[str] = []
    notes: list[str] = []
    classes: set[str] = set()
    regions = 0
    for file in files:
        structures = read_rtstruct(root / file)
        hits = images.join(structures.series, structures.images, structures.frames_of_reference)
        if not hits:
            unknown.append(f"structure set {file}: the series that it was drawn on is not among the images")
            continue
        draft = _one(hits, drafts, file, "structure set")
        try:
            notes += _check_frame(structures, draft, drafts, images)
        except Refused as fault:
            if not leave_out:
                raise
            refused[drafts[draft].name] = f"refused: {fault.code}"
            continue
        present = frozenset(roi.name for roi in structures.rois if any(c.kind in AREAS for c in roi.contours))
        classes |= present
        regions += len(present)
        by_name[drafts[draft].name].append(
            Drawing((file,), (), present, reader=structures.reader or structures.label, date=structures.date)
        )
    shown = tuple(sorted(classes, key=str.casefold))
    total = len(by_name)
    for name in shown:
        have = sum(name in d.present for ds in by_name.values() for d in ds[:1])
        if have < total:
            notes.append(f"'{name}' is drawn in {have} of {total} structure sets; elsewhere it counts as absent")
    return Objects(
        CONTOURS,
        "RTSTRUCT",
        root,
        shown,
        _apart(by_name),
        0,
        regions,
        refused,
        (f"structure sets: {total} series joined by UID; {regions} regions",) if total else (),
        _some(unknown),
        tuple(notes),
    )


def _check_frame(structures: StructureSet, draft: int, drafts: Sequence[Draft], images: Images) -> list[str]:
    own = str(drafts[draft].attributes.get("frame_of_reference") or "")
    if not own or not structures.frames_of_reference or own in structures.frames_of_reference:
        return []
    if structures.images & images.files(draft).keys():
        return [
            f"{structures.name} names another frame of reference than its images, and the images themselves; these were believed"
        ]
    raise Refused(
        "other-frame-of-reference",
        f"{structures.name} was drawn in another frame of reference than {drafts[draft].name}, so its millimetres mean "
        "another place.",
        "give the image that it was drawn on, or register the two and export the structure set again",
    )


def join_reports(files: Sequence[str], root: Path, drafts: Sequence[Draft], images_folder: Path) -> Objects:
    """TID 1500 reports of a truth folder: numbers, regions on images, and findings."""
    images = Images(drafts, images_folder)
    by_name: dict[str, list[Drawing]] = defaultdict(list)
    unknown: list[str] = []
    notes: list[str] = []
    classes: set[str] = set()
    regions = 0
    for file in files:
        report = read_sr(root / file)
        frames = frozenset(r.frame_of_reference for g in report.groups for r in g.regions) - {""}
        hits = images.join(report.series, report.images, frames)
        if not hits:
            unknown.append(f"report {file}: the series that it speaks of is not among the images")
            continue
        for draft, groups in _by_draft(report, hits, drafts, images, file).items():
            drawing, count = _reported(report, groups, file, root, images.files(draft), images_folder, notes)
            classes |= drawing.present
            regions += count
            by_name[drafts[draft].name].append(drawing)
    total = len(by_name)
    return Objects(
        REPORT,
        "SR",
        root,
        tuple(sorted(classes, key=str.casefold)),
        _apart(by_name),
        0,
        regions,
        {},
        (f"reports: {total} images joined by UID; {regions} closed regions",) if total else (),
        _some(unknown),
        tuple(dict.fromkeys(notes)),
    )


def _by_draft(report: Report, hits: Sequence[int], drafts: Sequence[Draft], images: Images, file: str) -> dict[int, list[Group]]:
    """Groups by the image that their regions lie on; one that names no image belongs to the only series there is."""
    found: dict[int, list[Group]] = {k: [] for k in dict.fromkeys(hits)}
    for group in report.groups:
        uids = frozenset(r.image for r in group.regions if r.image)
        own = [k for k in found if uids & images.files(k).keys()] if uids else list(found)
        if uids and not own:
            continue  # drawn on an image that is not here
        found[_one(own, drafts, file, "report")].append(group)
    return {k: groups for k, groups in found.items() if groups}


def _reported(
    report: Report, groups: Sequence[Group], file: str, root: Path, own: dict[str, str], images_folder: Path, notes: list[str]
) -> tuple[Drawing, int]:
    numbers: dict[str, tuple[float, str]] = {}
    several: set[str] = set()
    for group in groups:
        for measured in group.measurements:
            several |= {measured.name} & numbers.keys()
            numbers[measured.name] = measured.value, measured.unit
    for name in several:
        del numbers[name]
        notes.append(f"'{name}' is measured in several groups of one report; which one counts is not said, so it was left out")
    regions = [r for group in groups for r in group.regions if r.kind in AREA_KINDS]
    used = dict.fromkeys(own[r.image] for r in regions if r.image in own)
    pictures = tuple(Path(os.path.relpath(images_folder / f, root)).as_posix() for f in used)
    present = frozenset(group.name for group in groups)
    return Drawing((file, *pictures), (), present, numbers, report.reader, report.date), len(regions)


def _one(hits: Sequence[int], drafts: Sequence[Draft], file: str, what: str) -> int:
    several = list(dict.fromkeys(hits))
    if len(several) > 1:
        some = ", ".join(drafts[k].name for k in several[:3])
        raise OverreadError(
            f"The {what} {file} speaks of {len(several)} images: {some}.",
            "choose one series for each exam (--series), or give a file for each",
        )
    return several[0]


def _apart(by_name: dict[str, list[Drawing]]) -> dict[str, tuple[Drawing, ...]]:
    return {name: tuple(drawings) for name, drawings in by_name.items()}


def _some(lines: Sequence[str]) -> tuple[str, ...]:
    rest = len(lines) - SHOWN
    return (*lines[:SHOWN], *((f"and {rest} more",) if rest > 0 else ()))
