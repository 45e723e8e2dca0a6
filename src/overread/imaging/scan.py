"""What lies in a folder: every image with its attributes, every refusal with its reason, in a fixed order.

Only headers are read. Above some hundred files the work is shared among processes. Headers wait on disk until their
series is put together, so that what is held grows with the number of images and of paths, not with that of headers.
"""

from __future__ import annotations

import sqlite3
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath
from tempfile import gettempdir
from typing import Any

from overread.core.errors import OverreadError, Refused
from overread.imaging.archive import Member, lies_unpacked
from overread.imaging.crew import CHUNK, inspect_all, process_count
from overread.imaging.dicom.directory import not_there
from overread.imaging.found import Found, RefusedFile, Scan
from overread.imaging.header_cache import HeaderCache
from overread.imaging.inspect import inspect_file, unpack
from overread.imaging.listing import copy_of, dicom_series, npz_rows, one_file
from overread.imaging.walk import Walk, stamp_of

IMAGE_FILES = ("nifti", "nrrd", "mha", "raster")
KEEP_SECONDS = 5.0  # an interrupted scan loses no more than this
Tell = Callable[[int, int], None]


def scan(
    folder: Path,
    *,
    workers: int | None = None,
    progress: Tell | None = None,
    gaps: str = "refuse",
    tilt: str = "refuse",
    cache: Path | None = None,
    only: str = "",
) -> Scan:
    """Look at every file below `folder`, members of .zip archives among them.

    workers     processes; None decides by the number of files and processors
    progress    called with (files done, files in all)
    gaps, tilt  "resample" makes series eligible that opening with the same setting will repair
    cache       SQLite file that remembers headers by path, size and time, so that a second scan is quick
    only        the one file in the folder to look at, such as an archive; what lies beside it is not touched
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise OverreadError(f"{folder} is not a folder.", "give the folder that holds the images")
    return _scanned(folder, only, workers, progress, (gaps, tilt), cache)


def scan_file(path: Path, *, gaps: str = "refuse", tilt: str = "refuse") -> tuple[Found, ...]:
    """The images in one file, with paths relative to its folder; refused where there is none."""
    path = Path(path)
    inspection = inspect_file(path.parent, path.name)
    if inspection.code:
        raise Refused(inspection.code, inspection.reason, inspection.next)
    if inspection.format == "dicomdir":
        what = f"{path.name} is the table of contents of a disc, not an image."
        raise Refused("dicomdir", what, "give the folder that it lies in")
    if inspection.format == "ignored":
        raise Refused("unknown-format", f"{path.name} is no image that Overread reads.", f"give {FORMATS_TEXT}")
    result = scan(path.parent, only=path.name, gaps=gaps, tilt=tilt)
    if not result.found:
        reasons = "; ".join(refused.reason for refused in result.refused[:5])
        raise Refused(
            "nothing-eligible", f"{path.name} holds no image that can be read. {reasons}".strip(), f"give {FORMATS_TEXT}"
        )
    return result.found


FORMATS_TEXT = "DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF, .npz, or a .zip of these"


def _scanned(
    folder: Path, only: str, workers: int | None, progress: Tell | None, repairs: tuple[str, str], cache: Path | None
) -> Scan:
    walk, seen = Walk(folder), HeaderCache(folder, cache)
    try:
        seen.expect(walk.files() if not only else [(only, stamp_of((folder / only).stat()))])
        _look(seen, folder, workers, progress)
        if notes_of_archives := _expect_members(seen, folder, walk):
            _look(seen, folder, workers, progress)
        result = _collect(seen, folder, walk, repairs, notes_of_archives)
        seen.forget_others()
        seen.close()
        return result
    except (sqlite3.DatabaseError, zlib.error, ValueError, KeyError, TypeError) as error:
        if cache is None:
            if isinstance(error, sqlite3.OperationalError):
                raise OverreadError(f"Headers could not be put aside: {error}.", f"free space in {gettempdir()}") from error
            raise
        seen.abandon(remove=not isinstance(error, sqlite3.OperationalError))  # locked by another scan, or damaged inside
        return _scanned(folder, only, workers, progress, repairs, None)
    except BaseException:
        seen.close()
        raise


def _look(seen: HeaderCache, folder: Path, workers: int | None, progress: Tell | None) -> None:
    """Inspect what is not known yet."""
    total, missing = seen.expected(), seen.unknown()
    done = total - missing
    if progress and total and done:
        progress(done, total)
    kept = time.monotonic()
    processes = process_count(missing) if workers is None else workers
    for rows in inspect_all(folder, seen.next_unknown(CHUNK), processes):
        seen.put(rows)
        done += len(rows)
        if progress:
            progress(done, total)
        if time.monotonic() - kept > KEEP_SECONDS:
            seen.keep()
            kept = time.monotonic()
    seen.keep()


def _expect_members(seen: HeaderCache, folder: Path, walk: Walk) -> list[str]:
    """Add the members of archives to what is to be looked at; a note for each archive."""
    notes = []
    for path, stamp, content in list(seen.of_format("archive")):
        facts = unpack(path, content).facts
        members = [Member(**member) for member in facts["members"]]
        walk.refused += [RefusedFile(f"{path}/{name}", code, reason) for name, code, reason in facts["refused"]]
        if lies_unpacked(folder / path, members):
            notes.append(f"{path} lies unpacked beside itself; its files were read there")
            continue
        notes.append(f"{path} is an archive; files read in it: {len(members)}")
        seen.expect(((f"{path}/{m.path}", f"{stamp}/{m.checksum}/{m.size}") for m in members), inside=True)
    return notes


def _collect(seen: HeaderCache, folder: Path, walk: Walk, repairs: tuple[str, str], notes: list[str]) -> Scan:
    refused, found = list(walk.refused), list[Found]()
    for path, _, content in seen.of_format("refused"):
        inspection = unpack(path, content)
        refused.append(RefusedFile(path, inspection.code, inspection.reason))
    for format in IMAGE_FILES:
        found += [_plain(one_file(unpack(path, content))) for path, _, content in seen.of_format(format)]
    for path, _, content in seen.of_format("npz"):
        found += npz_rows(folder, unpack(path, content))
    for path, known, one, other in seen.copies():
        refused.append(copy_of(unpack(path, one), unpack(known, other)))
    for _, rows in groupby(seen.by_series(), key=itemgetter(0)):
        headers = [unpack(path, content).header for _, path, content in rows]
        found += [_plain(f) for f in dicom_series([h for h in headers if h is not None], *repairs)]
    ignored: Counter[str] = Counter()
    of_headers = {name for f in found if f.format in IMAGE_FILES for name in f.files[1:]}
    for path, _, _ in seen.of_format("ignored"):
        if path not in of_headers:
            ignored[PurePosixPath(path).suffix.lower()] += 1
    for path, _, content in seen.of_format("dicomdir"):
        missing, note = _of_dicomdir(seen, path, unpack(path, content).facts["lists"])
        refused += missing
        notes.append(note)
    return Scan(
        str(folder),
        tuple(sorted(found, key=lambda f: (f.files, -1 if f.index is None else f.index))),
        tuple(sorted(refused, key=lambda r: (r.path, r.code))),
        dict(sorted(ignored.items())),
        walk.hidden,
        tuple(notes),
    )


def _of_dicomdir(seen: HeaderCache, path: str, listed: list[str]) -> tuple[list[RefusedFile], str]:
    """Files that a DICOMDIR lists and that are not there, and a note."""
    below = path.rpartition("/")[0]
    missing = not_there(listed, set(seen.names(below)))
    lost = [
        RefusedFile(f"{below}/{name}" if below else name, "missing-file", f"{path} lists {name}, which is not there.")
        for name in missing
    ]
    return lost, f"{path} is the table of contents of a disc: {len(listed)} files, {len(missing)} of them missing"


def _plain(found: Found) -> Found:
    """With texts that many images share held once."""
    attributes: dict[str, Any] = {
        sys.intern(name): sys.intern(value) if isinstance(value, str) else value for name, value in found.attributes.items()
    }
    return Found(
        found.format,
        found.files,
        sys.intern(found.name),
        None if found.patient is None else sys.intern(found.patient),
        None if found.study is None else sys.intern(found.study),
        found.series,
        attributes,
        found.shape,
        found.spacing,
        found.index,
    )
