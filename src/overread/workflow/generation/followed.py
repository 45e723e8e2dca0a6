"""Whether made images can carry what is held out into training: which masks they follow, and whom their maker learned from.

What `overread sample` wrote beside the images is asked, and the digests of mask files that came in with the cohort; no seal is
opened. What no record tells is said, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from overread.cohort.check import read_files
from overread.cohort.gather import Gathered
from overread.cohort.index import Cohort
from overread.cohort.split_identity import trained_on
from overread.core.errors import OverreadError, Refused
from overread.imaging.archive import file_of
from overread.record.files import read_json
from overread.workflow.sample import FORMATS, RECORD

LEARNED_FROM = (
    "Whether the network that made these images learned from patients who are held out here cannot be seen in them: it must have "
    "been trained on the same split (--splits FILE), or this comparison is not fair."
)
ENDINGS = sorted((ending for ending in FORMATS.values() if ending), key=len, reverse=True)


@dataclass(frozen=True)
class Records:
    """What the records in a folder say of its images.

    followed  image -> digest of the mask file that it follows; "" where it follows none; None where the record does not say
    trained   of each record, what it says of the cases its maker was trained with; None where it does not say
    """

    followed: Mapping[str, str | None]
    trained: tuple[Mapping[str, Any] | None, ...]


def read_records(folder: Path) -> Records:
    """Every `sample.json` in the folder and below; an image is named by its path without the ending of its format."""
    followed: dict[str, str | None] = {}
    trained: list[Mapping[str, Any] | None] = []
    for path in sorted(folder.rglob(RECORD)):
        found = read_json(path)
        names = [(path.relative_to(folder).parent / name).as_posix() for name in found.get("images", ())]
        masks: list[str | None] = list(found.get("followed") or [None if found.get("along") else ""] * len(names))
        if len(masks) != len(names):
            raise OverreadError(
                f"{path} names {len(names)} images and {len(masks)} masks that they follow; one for each was expected.",
                "make the images again with `overread sample`",
            )
        followed |= dict(zip(names, masks, strict=True))
        trained.append(found.get("trained_on"))
    return Records(followed, tuple(trained))


def masks_of(cohort: Cohort) -> tuple[frozenset[str], frozenset[str]]:
    """Digests of the mask files of who tunes or is tested, and of the training cases; the seal stays closed.

    The former are those of no training case, without those that have the bytes of one: an empty mask tells nothing of whose
    it is.
    """
    if cohort.truth_folder is None:
        return frozenset(), frozenset()
    home = cohort.truth_folder
    own = {file_of(home, f) for case in cohort.of("training") if case.truth for f in case.truth.files}
    masks = [version for version in read_files(cohort.folder) if version.root == "truth"]
    learned = frozenset(version.sha256 for version in masks if version.path in own)
    return frozenset(version.sha256 for version in masks if version.path not in own) - learned, learned


def checked_for_held_out(cohort: Cohort, fold: int | None, gathered: Gathered, masks: Mapping[str, str]) -> tuple[str, ...]:
    """Refuse what would train on who is held out; returns what has to be said aloud, as it could not be checked.

    masks  mask file of the made images -> digest of its bytes
    """
    records, (held, learned_from) = read_records(gathered.images_folder), masks_of(cohort)
    files = [draft.images[0].files[0] for draft in gathered.drafts]
    told = [next((records.followed[name] for name in _names(file) if name in records.followed), None) for file in files]
    _refuse_followed([digest for digest in told if digest in held], len(files))
    same = [file for file, digest in masks.items() if digest in held]
    if same:
        raise Refused(
            "made-by-a-network",
            f"{len(same)} of {len(masks)} masks of the made images are, byte by byte, masks of cases that are held out here "
            f"(tuning or internal test), {same[0]} for example.",
            "give the masks along which the images were made, of training cases alone",
        )
    free = sum(digest not in learned_from for digest in told if digest or masks)
    unnamed = not all(any(name in records.followed for name in _names(file)) for file in files)
    learned = [_learned(trained, cohort, fold) for trained in (*records.trained, *([None] if unnamed else []))]
    return tuple(dict.fromkeys([_not_checked(free, len(files))] * bool(free) + [said for said in learned if said]))


def _names(file: str) -> Iterator[str]:
    """What a record may call the image of a file: its path without the ending, or the folder of a DICOM series."""
    yield next((file.removesuffix(ending) for ending in ENDINGS if file.endswith(ending)), file)
    yield PurePosixPath(file).parent.as_posix()


def _refuse_followed(wrong: list[str | None], count: int) -> None:
    if wrong:
        raise Refused(
            "made-by-a-network",
            f"{len(wrong)} of {count} made images follow masks of cases that are held out here (tuning or internal test): what "
            "is to be found there would train.",
            "make images along masks of training cases alone: `overread sample MODEL --along FOLDER`",
        )


def _not_checked(count: int, of: int) -> str:
    return (
        f"Of {count} of {of} made images no {RECORD} says which mask files they follow, or these are not, byte by byte, masks of "
        "training cases here; so nobody could check that they are no masks of cases that are held out. Only you know; if they "
        "are, this comparison means nothing."
    )


def _learned(trained: Mapping[str, Any] | None, cohort: Cohort, fold: int | None) -> str:
    """What has to be said of one maker; "" where it held out the same cases; refused where it held out others."""
    own = trained_on(cohort.folder, cohort.partition, fold)
    if not trained or trained.get("cohort") != own["cohort"]:
        return LEARNED_FROM
    if trained.get("split") == own["split"]:
        return ""
    before = "another split" if trained.get("fold") is None else f"fold {trained['fold']}"
    here = "this split" if fold is None else f"fold {fold}"
    raise Refused(
        "made-by-a-network",
        f"The network that made these images learned from the same cohort with other cases held out ({before}; here {here}), so "
        "it may have seen patients who are held out here.",
        "make images with a model that was trained on the same split: `overread init ... --splits FILE`, and the same --fold",
    )
