"""A DICOMDIR: the table of contents of a disc. It is no image; the files it names should be there.

Source: DICOM PS3.3 F.3 (Basic Directory IOD), PS3.10 8.2 (file ids).
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path

from overread.core.errors import Refused
from overread.imaging.dicom.parse import parse
from overread.imaging.dicom.values import words

DIRECTORY = 0x00041220  # Directory Record Sequence


def listed_files(path: Path) -> tuple[str, ...]:
    """The files that a DICOMDIR names, relative to its own folder, with forward slashes and as it spells them."""
    path = Path(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            records = parse(path, wanted=[DIRECTORY], force=False).get("DirectoryRecordSequence") or ()
            names = ["/".join(words(record, "ReferencedFileID")) for record in records]
        except Exception as error:  # a damaged file can break the parser anywhere; whatever it says goes to the user
            what = f"{path.name} is a damaged DICOMDIR: {type(error).__name__} {error}."
            raise Refused("damaged-dicomdir", what, "the images beside it are read all the same") from error
    return tuple(dict.fromkeys(name for name in names if name))


def not_there(listed: Collection[str], present: Collection[str]) -> list[str]:
    """Which of the listed files are missing.

    present  files below the folder of the DICOMDIR, relative to it

    Discs are mounted in small letters by some systems, with a version (``;1``) or a final dot by others.
    """
    there = {_alike(name) for name in present}
    return [name for name in listed if _alike(name) not in there]


def _alike(name: str) -> str:
    return name.casefold().partition(";")[0].rstrip(".")
