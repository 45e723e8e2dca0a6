"""Where images, truth and sheet lie, and what is found there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from overread.cohort.labels.find import label_root, scan_truth
from overread.cohort.labels.recognise import find_labels
from overread.cohort.layouts import Layout
from overread.cohort.progress import Progress, stage
from overread.cohort.request import Request
from overread.core.errors import OverreadError
from overread.imaging.found import Scan
from overread.imaging.scan import scan


def headers_path(project_dir: Path) -> Path:
    """Where a project remembers image headers: with identifiers, so among what is private."""
    return Path(project_dir) / "cohort" / "private" / "headers.sqlite"


def scan_images(
    images: Path, gaps: str = "refuse", tilt: str = "refuse", progress: Progress | None = None, headers: Path | None = None
) -> Scan:
    """Look at a folder of images, or at the one file that was named; what lies beside that is nobody's business."""
    folder, inside = folder_of(images)
    with stage(progress, f"looking at {inside or folder.name}") as tell:
        return scan(folder, progress=tell, gaps=gaps, tilt=tilt, cache=headers, only=inside)


def folder_of(images: Path) -> tuple[Path, str]:
    """The folder to scan, and the one file in it that was named."""
    images = Path(images).resolve()
    if images.is_dir():
        return images, ""
    if images.is_file():
        return images.parent, images.name
    raise OverreadError(f"The image folder {images} does not exist.", "give the folder that holds the images with --images")


def sheet_and_truth_folder(request: Request, folder: Path, layout: Layout) -> tuple[Path | None, Path | None]:
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


def masks_inside(truth: Path | None, folder: Path) -> str:
    """The truth folder relative to the image folder, where it lies inside and holds masks: these are no images."""
    if truth is None or not Path(truth).is_dir() or find_labels(Path(truth)) is not None:
        return ""
    place = Path(truth).resolve()
    return place.relative_to(folder).as_posix() if place != folder and place.is_relative_to(folder) else ""


def truth_scan(truth: Path | None, folder: Path, images: Scan, progress: Progress | None) -> Callable[[], Scan]:
    """What lies at --truth, looked at once and only where it is asked for."""
    if truth is None or Path(truth).resolve() == folder:
        return lambda: images
    return cache(lambda: scan_truth(Path(truth), progress))
