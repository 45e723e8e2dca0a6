"""Drawn labels of a cohort, wherever they lie: the one way from a path to `Objects`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from overread.cohort.draft import Draft
from overread.cohort.labels.join_dicom import join_reports, join_structure_sets
from overread.cohort.labels.join_marks import join_marks
from overread.cohort.labels.objects import Objects
from overread.cohort.labels.recognise import find_labels
from overread.cohort.progress import Progress, stage
from overread.core.errors import OverreadError, Refused
from overread.imaging.dicom.header import looks_like_dicom
from overread.imaging.found import Found, Scan
from overread.imaging.scan import scan

STRUCTURES, REPORTS, SEGMENTATIONS = "RTSTRUCT", "SR", "SEG"


def label_root(path: Path) -> Path | None:
    """What label files are relative to, where the path is a single one of them: itself, or the folder of a DICOM object."""
    if not path.is_file():
        return None
    if find_labels(path) is not None:
        return path.resolve()
    return path.resolve().parent if looks_like_dicom(path) else None


def scan_truth(truth: Path, progress: Progress | None = None) -> Scan:
    """What lies at a path, a folder or one file; paths are relative to the folder."""
    truth = truth.resolve()
    with stage(progress, f"looking at {truth.name}") as tell:
        return scan(truth, progress=tell) if truth.is_dir() else scan(truth.parent, progress=tell, only=truth.name)


def find_objects(
    truth: Path,
    drafts: Sequence[Draft],
    images_folder: Path,
    *,
    task: str | None = None,
    leave_out: bool = False,
    look: Callable[[], Scan] | None = None,
) -> Objects | None:
    """The drawn labels at a path, joined to images; None where there are none (masks, or a sheet).

    truth      a label file, or a folder of them
    task       what is asked, where the user said so: where a folder holds a SEG and a report, a regression takes the report
    leave_out  images whose labels do not fit are left out instead of stopping everything
    look       gives what lies there, where the caller keeps that
    """
    truth = Path(truth).resolve()
    labels = find_labels(truth) if truth.exists() else None
    if labels is not None:
        objects = join_marks(labels, drafts, images_folder, leave_out=leave_out)
    else:
        dicom = _dicom(truth, drafts, images_folder, task, leave_out, look or (lambda: scan_truth(truth)))
        if dicom is None:
            return None
        objects = dicom
    if not objects.by_name and not objects.refused:
        raise OverreadError(
            f"No label matches an image: {objects.title} labels were found, and none is about one of the {len(drafts)} images. "
            + "; ".join(objects.unknown[:3]),
            "check --truth and --images; labels are joined by the file names or the UIDs that they give",
        )
    return objects


def _dicom(
    truth: Path,
    drafts: Sequence[Draft],
    images_folder: Path,
    task: str | None,
    leave_out: bool,
    look: Callable[[], Scan],
) -> Objects | None:
    if truth.is_file() and not looks_like_dicom(truth):
        return None
    root = truth if truth.is_dir() else truth.parent
    found = look().found
    by_kind = {kind: _files(found, kind) for kind in (STRUCTURES, REPORTS, SEGMENTATIONS)}
    if by_kind[SEGMENTATIONS] and task != "regression":
        if by_kind[STRUCTURES]:
            raise Refused(
                "several-formats",
                f"The truth folder {root} holds segmentations (SEG) and structure sets (RTSTRUCT).",
                "give a folder with one of them as --truth",
            )
        return None
    if by_kind[STRUCTURES] and task != "regression":
        return join_structure_sets(by_kind[STRUCTURES], root, drafts, images_folder, leave_out=leave_out)
    if by_kind[REPORTS]:
        return join_reports(by_kind[REPORTS], root, drafts, images_folder)
    return None


def _files(found: Sequence[Found], modality: str) -> list[str]:
    return [f.files[0] for f in found if f.format == "dicom" and str(f.attributes.get("modality", "")).upper() == modality]
