"""What lies in a folder: every image with its attributes, every refusal with its reason, in a fixed order.

Only headers are read. Above some hundred DICOM files the work is shared among processes.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from overread.core.errors import OverreadError, Refused
from overread.imaging.dicom.header import Header
from overread.imaging.found import Found, RefusedFile, Scan
from overread.imaging.header_cache import HeaderCache
from overread.imaging.inspect import Inspection, inspect_file
from overread.imaging.listing import dicom_series, npz_rows, one_file

PARALLEL_FROM = 400  # files; below, starting processes costs more than it saves
CHUNK = 64  # files handed to a process at a time


def scan(
    folder: Path,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    gaps: str = "refuse",
    tilt: str = "refuse",
    cache: Path | None = None,
) -> Scan:
    """Look at every file below `folder`.

    workers     processes; None decides by the number of files and processors
    progress    called with (files done, files in all)
    gaps, tilt  "resample" makes series eligible that opening with the same setting will repair
    cache       SQLite file that remembers headers by path, size and time, so that a second scan is quick
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise OverreadError(f"{folder} is not a folder.", "give the folder that holds the images")
    names = sorted(_files_below(folder))
    inspections = _inspect_all(folder, names, workers, progress, cache)
    return _collect(folder, inspections, gaps, tilt)


def scan_file(path: Path, *, gaps: str = "refuse", tilt: str = "refuse") -> tuple[Found, ...]:
    """The images in one file, with paths relative to its folder; refused where there is none."""
    path = Path(path)
    inspection = inspect_file(path.parent, path.name)
    if inspection.code:
        raise Refused(inspection.code, inspection.reason, inspection.next)
    if inspection.format == "ignored":
        raise Refused(
            "unknown-format", f"{path.name} is no image that Overread reads.", "give DICOM, NIfTI, PNG, JPEG, TIFF or .npz"
        )
    return _collect(path.parent, [inspection], gaps, tilt).found


def _files_below(folder: Path) -> Iterator[str]:
    """Relative paths with forward slashes; hidden files and folders are left out, linked folders entered once."""
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        for name in files:
            if not name.startswith("."):
                yield Path(os.path.relpath(os.path.join(root, name), folder)).as_posix()


def _inspect_all(
    folder: Path,
    names: Sequence[str],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
    cache: Path | None,
) -> Iterator[Inspection]:
    """One inspection per file, in the order of `names`."""
    remembered = HeaderCache(cache) if cache else None
    try:
        known = {name: remembered.get(folder, name) for name in names} if remembered else {}
        missing = [name for name in names if known.get(name) is None]
        fresh = _inspect(folder, missing, workers)
        for done, name in enumerate(names, start=1):
            inspection = known.get(name)
            if inspection is None:
                inspection = next(fresh)
                if remembered:
                    remembered.put(folder, inspection)
            if progress:
                progress(done, len(names))
            yield inspection
    finally:
        if remembered:
            remembered.close()


def _inspect(folder: Path, names: Sequence[str], workers: int | None) -> Iterator[Inspection]:
    count = workers if workers is not None else _worker_count(len(names))
    if count <= 1:
        for name in names:
            yield inspect_file(folder, name)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads; the children only parse headers
        with ProcessPoolExecutor(count, mp_context=get_context("fork")) as pool:
            yield from pool.map(inspect_file, [folder] * len(names), names, chunksize=CHUNK)


def _worker_count(files: int) -> int:
    """One where there is little to do, or where processes cannot be forked (a script would run twice)."""
    return 1 if files < PARALLEL_FROM or os.name != "posix" or os.uname().sysname != "Linux" else min(os.cpu_count() or 1, 8)


def _collect(folder: Path, inspections: Iterator[Inspection] | Sequence[Inspection], gaps: str, tilt: str) -> Scan:
    found: list[Found] = []
    refused: list[RefusedFile] = []
    ignored: Counter[str] = Counter()
    headers: list[Header] = []
    for inspection in inspections:
        if inspection.code:
            refused.append(RefusedFile(inspection.path, inspection.code, inspection.reason))
        elif inspection.format == "ignored":
            ignored[Path(inspection.path).suffix.lower()] += 1
        elif inspection.header is not None:
            headers.append(inspection.header)
        elif inspection.format == "npz":
            found += npz_rows(folder, inspection)
        else:
            found.append(one_file(inspection))
    series, copies = dicom_series(headers, folder, gaps, tilt)
    found = sorted([*found, *series], key=lambda f: (f.files, -1 if f.index is None else f.index))
    refused = sorted([*refused, *copies], key=lambda r: r.path)
    return Scan(str(folder), tuple(found), tuple(refused), dict(sorted(ignored.items())))
