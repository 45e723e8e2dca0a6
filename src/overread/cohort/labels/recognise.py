"""Which label format a file or folder holds: by its content, for names say little."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from overread.cohort.labels.coco import is_coco, read_coco
from overread.cohort.labels.labelme import is_labelme, read_labelme
from overread.cohort.labels.marks import MarkFile
from overread.cohort.labels.odd_marks import oriented
from overread.cohort.labels.parsing import damaged, read_json_labels
from overread.cohort.labels.via import HEADER, is_via, read_via
from overread.cohort.labels.voc import read_voc
from overread.cohort.labels.yolo import is_dota, is_yolo, names_file, read_names, read_yolo
from overread.core.errors import OverreadError, Refused

FORMS = ("coco", "yolo", "voc", "via", "labelme")
NAMES = {"coco": "COCO", "yolo": "YOLO", "voc": "Pascal VOC", "via": "VIA", "labelme": "LabelMe"}
HEAD = 4096
SUFFIXES = (".json", ".txt", ".xml", ".csv")


@dataclass(frozen=True)
class LabelFiles:
    """Label files of one format.

    form    one of `FORMS`
    files   paths relative to `folder`, or "." where `folder` is itself the one file
    extra   relative path of the file with class names (YOLO); "" where there is none
    """

    form: str
    folder: Path
    files: tuple[str, ...]
    extra: str = ""


def find_labels(place: Path) -> LabelFiles | None:
    """Label files at a path; None where there are none. Several formats are refused, for one would be dropped."""
    place = Path(place)
    if place.is_file():
        form = form_of(place)
        return None if form is None else LabelFiles(form, place, (".",), _extra(form, place, place.parent))
    forms = {name: form for name in _below(place) if (form := form_of(place / name)) is not None}
    if not forms:
        return None
    counts = Counter(forms.values())
    if len(counts) > 1:
        some = ", ".join(f"{n} {NAMES[f]} ({next(p for p, g in forms.items() if g == f)})" for f, n in counts.items())
        raise Refused(
            "several-formats",
            f"The truth folder {place} holds labels of several formats: {some}.",
            "name one file or one folder with --truth",
        )
    form = next(iter(counts))
    files = sorted(forms)
    if form == "yolo":
        files = sorted({*files, *_empty_beside(place, files)})
    return LabelFiles(form, place, tuple(files), _extra(form, place / files[0], place))


def form_of(path: Path) -> str | None:
    """The format of one file; None where it holds no drawn labels."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return None
    try:
        with open(path, encoding="utf-8-sig") as file:
            head = file.read(HEAD)
    except (OSError, UnicodeDecodeError):
        return None
    if suffix == ".txt":
        lines = head[: head.rfind("\n")] if len(head) == HEAD else head
        if is_dota(lines):
            raise oriented(f"{path.name} holds eight corners and a name in each line (DOTA)")
        return "yolo" if is_yolo(lines) else None
    if suffix == ".csv":
        return "via" if HEADER in head else None
    if suffix == ".xml":
        return "voc" if "<annotation" in head else None
    return _form_of_json(path, head)


def _form_of_json(path: Path, head: str) -> str | None:
    if head.lstrip()[:1] != "{":
        return None
    try:
        content = read_json_labels(path)
    except Refused:
        # damaged, but it begins like labels: reading it will say what is wrong
        return next((f for f, key in (("coco", '"annotations"'), ("labelme", '"shapes"'), ("via", "_via_")) if key in head), None)
    for form, test in (("coco", is_coco), ("labelme", is_labelme), ("via", is_via)):
        if test(content):
            return form
    if isinstance(content, dict) and isinstance(content.get("config"), dict) and {"view", "metadata"} <= set(content):
        raise Refused("via-3", f"{path.name} is a project of VIA 3, which is not read.", "export it from VIA as COCO")
    return None


def _below(folder: Path) -> list[str]:
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        names = [f for f in files if not f.startswith(".") and Path(f).suffix.lower() in SUFFIXES]
        found += [Path(os.path.relpath(os.path.join(root, name), folder)).as_posix() for name in names]
    return sorted(found)


def _empty_beside(folder: Path, files: Sequence[str]) -> list[str]:
    """Empty text files in the folders of the others: images that are known to hold nothing."""
    folders = sorted({os.path.dirname(name) for name in files} | _twins(folder, files))
    return [
        f"{place}/{path.name}".lstrip("/")
        for place in folders
        for path in sorted((folder / place).glob("*.txt"))
        if path.stat().st_size < HEAD and not path.read_bytes().strip()
    ]


def _twins(folder: Path, files: Sequence[str]) -> set[str]:
    """Folders called labels, whose every file may be empty."""
    called = {os.path.basename(os.path.dirname(name)) for name in files} - {""}
    return {p.relative_to(folder).as_posix() for name in called for p in folder.rglob(name) if p.is_dir()}


def _extra(form: str, file: Path, place: Path) -> str:
    if form != "yolo":
        return ""
    found = names_file(file.parent)
    root = place if place.is_dir() else place.parent
    return "" if found is None else Path(os.path.relpath(found, root)).as_posix()


def read_labels(form: str, path: Path, extra: Path | None = None) -> MarkFile:
    """Read one label file; a file that did not change is not parsed again."""
    if form not in FORMS:
        raise OverreadError(f"The label format '{form}' is not known; expected one of {', '.join(FORMS)}.")
    return _read(form, str(path), _stamp(path), None if extra is None else str(extra), _stamp(extra) if extra else (0, 0))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise Refused(
            "missing-file", f"The label file {path} does not exist.", "put it back, or run `overread update`"
        ) from error
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=8)
def _names(path: str, stamp: tuple[int, int]) -> tuple[str, ...]:
    return read_names(Path(path))


@lru_cache(maxsize=16)
def _read(form: str, path: str, stamp: tuple[int, int], extra: str | None, extra_stamp: tuple[int, int]) -> MarkFile:
    if form == "yolo":
        return read_yolo(Path(path), _names(extra, extra_stamp) if extra else ())
    readers = {"coco": read_coco, "voc": read_voc, "via": read_via, "labelme": read_labelme}
    try:
        return readers[form](Path(path))
    except RecursionError as error:
        raise damaged(Path(path).name, "it nests too deep") from error
