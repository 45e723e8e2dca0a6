"""New names for files that carry no identifier inside: folders and stems become codes, the same code for the same stem.

An image and its mask with the same stem stay together. Endings that say what a file is (_0000, _seg, _t1) are kept, and so
are folders with a plain name (images, labels, train).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from overread.imaging.deidentify.secret import Secret

KINDS = (
    "mask|masks|seg|segmentation|label|labels|gt|truth|image|img|ct|mr|pet|pt|t1|t1w|t1c|t1ce|t1gd|t2|t2w|t2f|flair|adc|dwi|swi|pd|"
    "dce|sub|pre|post|arterial|venous|portal|delayed"
)
ENDING = re.compile(rf"[_\-. ](?:\d{{4}}|{KINDS})$", re.IGNORECASE)
FOLDERS_TEXT = (
    "images imagestr imagests imagesval image labels labelstr labelsts label masks mask seg segmentations train training test "
    "testing val valid tuning internal normal abnormal positive negative benign malignant ct mr pet dicom nifti png data"
)
PLAIN_FOLDERS = frozenset(FOLDERS_TEXT.split())
SUFFIXES = (".nii.gz", ".seg.nrrd")


def new_name(source: str, secret: Secret) -> str:
    """The new path of a file, relative like the old one."""
    path = PurePosixPath(source)
    stem, suffix = split_name(path.name)
    folders = [part if part.lower() in PLAIN_FOLDERS else secret.code("folder", part) for part in path.parts[:-1]]
    return "/".join([*folders, new_stem(stem, secret) + suffix])


def new_stem(stem: str, secret: Secret) -> str:
    endings = ""
    while found := ENDING.search(stem):
        stem, endings = stem[: found.start()], found[0].lower() + endings
    return secret.code("name", stem) + endings


def split_name(name: str) -> tuple[str, str]:
    """``scan.nii.gz`` -> ``("scan", ".nii.gz")``"""
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], suffix
    path = PurePosixPath(name)
    return path.stem, path.suffix.lower()
