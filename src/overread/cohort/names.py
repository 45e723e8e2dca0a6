"""What the parts of a path say: a partition, a class, a patient, a channel, a side."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from overread.cohort.match import IMAGE_WORDS, MASK_WORDS, tokens, undecorated, without_suffix

PARTITION_WORDS = {
    "train": "training", "training": "training", "trn": "training",
    "val": "tuning", "valid": "tuning", "validation": "tuning", "tuning": "tuning", "dev": "tuning", "tune": "tuning",
    "test": "internal", "testing": "internal", "internal": "internal", "internal test": "internal", "internal_test": "internal",
}  # fmt: skip
CHANNEL_WORDS = {
    "t1", "t1w", "t1ce", "t1c", "t1gd", "t1n", "t2", "t2w", "t2f", "flair", "pd", "pdw", "swi",
    "adc", "dwi", "dce", "pet", "ct", "suv",
}  # fmt: skip
PATIENT_FOLDER = re.compile(r"(p|pat|patient|subj|subject|sub|case|pid|mrn)[-_ ]?[a-z]*\d+", re.IGNORECASE)
NUMBERED = re.compile(r"^(?P<base>.+)_(?P<channel>\d{4})$")
SIDE_WORDS = {"l": "left", "left": "left", "lt": "left", "r": "right", "right": "right", "rt": "right"}
MOST_CLASSES = 20
NAME_RULES = {"prefix": "beginning of the name", "folder": "folder"}  # what --group-by may say instead of a column
FEWEST_PER_CLASS = 3


def partition_of(word: str) -> str | None:
    """ "training", "tuning" or "internal" for the word that a data set uses; None for any other word."""
    return PARTITION_WORDS.get(word.strip().casefold())


def folder_parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[:-1])


def stem(path: str) -> str:
    return without_suffix(path).rsplit("/", 1)[-1]


def side_of(name: str) -> tuple[str, str]:
    """The side that a file name ends or begins with, and the name without it: 'p12_L' -> ('left', 'p12')."""
    parts = re.split(r"[-_ ]+", name)
    for position in (-1, 0):
        if len(parts) > 1 and parts[position].casefold() in SIDE_WORDS:
            rest = parts[:-1] if position == -1 else parts[1:]
            return SIDE_WORDS[parts[position].casefold()], "_".join(rest)
    return "", name


def class_folders(paths: Sequence[str]) -> dict[str, str] | None:
    """path -> class, where the innermost folder of every file is a class: few folders, many files in each.

    Folders that name partitions, patients, or what a file is (images, masks) are no classes.
    """
    classes = {}
    for path in paths:
        parts = folder_parts(path)
        if not parts:
            return None
        name = parts[-1]
        if partition_of(name) or PATIENT_FOLDER.fullmatch(name) or name.casefold() in MASK_WORDS | IMAGE_WORDS or name.isdigit():
            return None
        classes[path] = name
    sizes = Counter(classes.values())
    if not 2 <= len(sizes) <= MOST_CLASSES or min(sizes.values()) < FEWEST_PER_CLASS:
        return None
    return classes


def partition_folders(paths: Sequence[str]) -> dict[str, str] | None:
    """path -> partition, where every file lies in a folder named train, val or test, and at least two of these occur."""
    found = {}
    for path in paths:
        words = [partition_of(part) for part in folder_parts(path)]
        named = [w for w in words if w]
        if len(named) != 1:
            return None
        found[path] = named[0]
    return found if len(set(found.values())) > 1 else None


def patient_folders(paths: Sequence[str]) -> dict[str, str] | None:
    """path -> patient, where every file lies below a folder with a name like patient07 or sub-01."""
    found = {}
    for path in paths:
        hits = [part for part in folder_parts(path) if PATIENT_FOLDER.fullmatch(part)]
        if not hits:
            return None
        found[path] = hits[0]
    return found


def patient_by_name(path: str, rule: str) -> str:
    """The patient by a file's name: "folder", or "prefix", which is all but the last part of the name."""
    if rule == "folder":
        return "/".join(folder_parts(path)) or "."
    name = stem(path)
    return re.split(r"[-_. ]+[^-_. ]*$", name)[0] or name


def shared_beginnings(paths: Sequence[str]) -> str | None:
    """An example where a good part of the files share the beginning of their names in small groups, as visits of a patient do."""
    members = defaultdict(list)
    for path in paths:
        members[patient_by_name(path, "prefix")].append(stem(path))
    several = [names for names in members.values() if len(names) > 1]
    if len(members) < 3 or sum(map(len, several)) < 0.1 * len(paths) or max(map(len, several)) > 0.3 * len(paths):
        return None
    return f"{several[0][0]} and {several[0][1]}"


def split_masks(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Images, and masks among them: called like another file but for a word such as 'seg' in the name or the folder's name."""
    plain: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    named: dict[str, tuple[str, ...]] = {}
    for path in paths:
        words = re.split(r"[-_. ]+", stem(path))
        rest = [w for w in words if w.casefold() not in MASK_WORDS]
        if rest and len(rest) < len(words):
            named[path] = tokens("_".join(rest))
        else:
            whole = tokens(stem(path))
            plain |= {(folder_parts(path), whole[: k + 1]) for k in range(len(whole))}
    masks = [p for p, base in named.items() if (folder_parts(p), base) in plain]
    masks += [p for p in _in_mask_folders(paths) if p not in set(masks)]
    return [p for p in paths if p not in set(masks)], masks


def _in_mask_folders(paths: Sequence[str]) -> list[str]:
    """Files below a folder called masks, labels ... that are called like a file outside it."""
    inside = [p for p in paths if any(part.casefold() in MASK_WORDS for part in folder_parts(p))]
    outside = {undecorated(p) for p in set(paths) - set(inside)} - {()}
    return [p for p in inside if undecorated(p) in outside]


def channels_of(paths: Sequence[str]) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """Group the files of one case by a channel at the end (or the start) of the name.

    returns  ({case path: {channel: file}}, channels in order); a channel called "image" where files stand alone

    `liver_001_0000` and `liver_001_0001` are channels 0000 and 0001 of `liver_001` (nnU-Net);
    `sub-01_flair` and `sub-01_t1` are channels flair and t1 of `sub-01`.
    """
    for reading in (_numbered, _worded_end, _worded_start):
        split = {p: reading(p) for p in paths}
        if any(v is None for v in split.values()):
            continue
        cases: dict[str, dict[str, str]] = defaultdict(dict)
        for path, found in split.items():
            assert found is not None
            cases[found[0]][found[1]] = path
        names = tuple(sorted({c for files in cases.values() for c in files}))
        if sum(map(len, cases.values())) != len(paths):
            continue
        if len(names) > 1:
            return dict(cases), names
        if reading is _numbered:
            return {case: {"image": path} for case, files in cases.items() for path in files.values()}, ("image",)
    return {without_suffix(p): {"image": p} for p in paths}, ("image",)


def _numbered(path: str) -> tuple[str, str] | None:
    hit = NUMBERED.match(stem(path))
    return None if hit is None else (_join(path, hit["base"]), hit["channel"])


def _worded_end(path: str) -> tuple[str, str] | None:
    base, _, word = stem(path).rpartition("_")
    return (_join(path, base), word.casefold()) if base and word.casefold() in CHANNEL_WORDS else None


def _worded_start(path: str) -> tuple[str, str] | None:
    """FLAIR_..., T1_... in a folder of their own for each patient: the folder is the case."""
    word, _, _ = stem(path).partition("_")
    folder = "/".join(folder_parts(path))
    return (folder, word.casefold()) if folder and word.casefold() in CHANNEL_WORDS else None


def _join(path: str, name: str) -> str:
    return "/".join([*folder_parts(path), name])
