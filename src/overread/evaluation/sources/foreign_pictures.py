"""Images that any program made, and the true ones, as two folders: matched by name, on the same voxels, in one unit.

A file (NIfTI, NRRD, MetaImage, PNG, TIFF or one DICOM file) is a case and is called by its name without the suffix; a DICOM
series of several files is one too, and is called by its folder. `true/lung/*.dcm` and `made/lung.nii.gz` are one case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from overread.cohort.load import open_channels
from overread.core.case import ImageReference
from overread.core.errors import OverreadError, Refused
from overread.core.question import Question
from overread.evaluation.sources.foreign import match_ids, no_patients_note, read_patients
from overread.evaluation.sources.foreign_picture import Channels, ForeignPicture
from overread.imaging.found import Found
from overread.imaging.scan import scan

ALONE = "image"  # the one case of a folder that is itself a series of several files
KINDS = "NIfTI, PNG, TIFF or DICOM images"
NAMED = 3  # names that a message quotes
BY_HEADER = "Patients are those that the headers of the true images name."
IN_CORNER = (
    "{} answers are pictures (PNG) that a network made: where the mark of that is drawn into their corner, it counts as error."
)


@dataclass(frozen=True)
class ForeignPictures:
    """Two folders of images, matched; or three, where what the model was given is there too."""

    question: Question
    pairs: tuple[ForeignPicture, ...]
    notes: tuple[str, ...]
    is_phantom: bool


def read_foreign_pictures(
    truth: Path,
    answers: Path,
    task: str,
    *,
    classes: Sequence[str] | None = None,
    given: Path | None = None,
    patients: Path | None = None,
) -> ForeignPictures:
    """Look at the folders and match the cases; pixels are opened later, case by case.

    classes   names of the channels, where there are several, or where the name tells the unit ("ct" is in HU)
    given     restore, translate: the images that the model was given, scored beside the answers
    patients  a sheet of case and patient; without it patients are those of the headers where all name one
    """
    names = tuple(classes or ())
    true, made = _Folder.of(truth, names), _Folder.of(answers, names)
    _refuse_made(truth, true)
    ids = _matched(true, made, truth, answers)
    read = None if given is None else _given(given, names if task == "restore" else (), ids, truth)
    question = Question(task, names or _channels(true, ids[0]), given=("image",))
    who, notes = _patients(patients, true, ids)
    pairs = tuple(
        ForeignPicture(
            name,
            who.get(name, name),
            (true.path, true.cases[name]),
            (made.path, made.cases[name]),
            question,
            None if read is None else (read.path, read.cases[name]),
        )
        for name in ids
    )
    drawn = sum(each.format == "raster" and bool(each.attributes.get("made")) for name in ids for each in made.found[name])
    notes += (IN_CORNER.format(drawn),) if drawn else ()
    extra = len(made.cases) - len(ids)
    notes += (f"{extra} answers have no truth and are left out.",) if extra else ()
    is_phantom = any(each.attributes.get("synthetic") for name in ids for each in true.found[name])
    return ForeignPictures(question, pairs, notes, is_phantom)


# ---- what lies in a folder ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Folder:
    """Case -> its images, one reference for each file or series; and what was found of them."""

    path: Path
    cases: Mapping[str, Channels]
    found: Mapping[str, tuple[Found, ...]]

    @classmethod
    def of(cls, path: Path, channels: tuple[str, ...]) -> _Folder:
        """channels  names that may end the names of files, where a case has several"""
        if not path.is_dir():
            raise OverreadError(f"{path} is not a folder of images.", f"give a folder of {KINDS}, one per case")
        named = _named(path)
        several = _by_channel(named, channels)
        if several is not None:
            return cls(path, {c: tuple(_reference(f, n) for n, f in own.items()) for c, own in several.items()}, _all(several))
        name = channels[0] if len(channels) == 1 else ALONE
        return cls(path, {c: (_reference(f, name),) for c, f in named.items()}, {c: (f,) for c, f in named.items()})


def _named(path: Path) -> dict[str, Found]:
    """Case -> image; whatever cannot be read is refused, or the hard cases could be missing unseen."""
    looked = scan(path)
    faulty = [f"{f.files[0]}: {f.attributes['ineligible']}" for f in looked.found if not f.is_eligible]
    faulty += [f"{one.path}: {one.reason}" for one in looked.refused]
    if faulty:
        more = f" (and {len(faulty) - 1} more)" if len(faulty) > 1 else ""
        raise Refused(
            "unreadable-image", f"{path}: {faulty[0]}{more}", "mend the file, or take it out of both folders and say so"
        )
    if not looked.eligible:
        raise OverreadError(f"{path} holds no image.", f"give a folder of {KINDS}, one per case")
    beside: dict[PurePosixPath, int] = defaultdict(int)
    for each in looked.eligible:
        beside[PurePosixPath(each.files[0]).parent] += 1
    found: dict[str, Found] = {}
    for each in looked.eligible:
        name = _name(each, beside[PurePosixPath(each.files[0]).parent])
        if name in found:
            raise OverreadError(
                f"{path}: {each.files[0]} and {found[name].files[0]} are both the case '{name}'.", "give one image per case"
            )
        found[name] = each
    return found


def _name(found: Found, beside: int) -> str:
    """beside  images that lie in its folder"""
    file = PurePosixPath(found.files[0])
    if found.format == "dicom" and (len(found.files) > 1 or (beside == 1 and file.parent.parts)):
        return file.parent.as_posix() if file.parent.parts else ALONE
    return found.name if found.format != "dicom" else file.stem


def _by_channel(named: Mapping[str, Found], channels: tuple[str, ...]) -> dict[str, dict[str, Found]] | None:
    """Case -> channel -> image, where every name ends with that of a channel; None where the files hold all channels."""
    if len(channels) < 2:
        return None
    cases: dict[str, dict[str, Found]] = defaultdict(dict)
    for name, found in named.items():
        channel = next((c for c in channels if name.endswith(f"_{c}")), None)
        if channel is None:
            return None
        cases[name.removesuffix(f"_{channel}")][channel] = found
    for case, own in cases.items():
        lacking = [c for c in channels if c not in own]
        if lacking:
            raise OverreadError(f"The case '{case}' has no image {case}_{lacking[0]}.", "give every channel of every case")
    return {case: {c: own[c] for c in channels} for case, own in cases.items()}


def _all(several: Mapping[str, Mapping[str, Found]]) -> dict[str, tuple[Found, ...]]:
    return {case: tuple(own.values()) for case, own in several.items()}


def _reference(found: Found, channel: str) -> ImageReference:
    return ImageReference(channel, found.format, found.files, found.index)


def _given(path: Path, channels: tuple[str, ...], ids: Sequence[str], truth: Path) -> _Folder:
    """What was read of each case."""
    read = _Folder.of(path, channels)
    match_ids(ids, sorted(read.cases), str(truth), str(path))
    return read


def _matched(true: _Folder, made: _Folder, truth: Path, answers: Path) -> list[str]:
    """The cases of the truth; each needs an answer of the same name."""
    if not set(true.cases) & set(made.cases):
        raise OverreadError(
            f"No image of {answers} has the name of a true one: {truth} holds {_some(true)}, {answers} holds {_some(made)}.",
            "call every answer as its truth is called (a DICOM series by its folder)",
        )
    return match_ids(sorted(true.cases), sorted(made.cases), str(truth), str(answers))


def _some(folder: _Folder) -> str:
    names = sorted(folder.cases)
    return ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")


def _refuse_made(path: Path, true: _Folder) -> None:
    """What a network made is no truth: the file says so in its header."""
    made = [case for case, found in true.found.items() if any(each.attributes.get("made") for each in found)]
    if made:
        raise Refused(
            "made-by-a-network",
            f"{len(made)} of {len(true.cases)} images in {path} say that a network made or changed them, {made[0]} for example. "
            "A score against them says nothing about patients.",
            "give the images that a scanner took as --truth, and what the network made as --answers",
        )


def _channels(true: _Folder, case: str) -> tuple[str, ...]:
    """What the channels of the first true image are called."""
    return open_channels(f"the truth of {case}", true.cases[case], true.path).channels


def _patients(sheet: Path | None, true: _Folder, ids: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Case -> patient, and what is to be said of it."""
    if sheet is not None:
        return read_patients(sheet, ids), ()
    headers = {case: true.found[case][0].patient for case in ids}
    named = {case: patient for case, patient in headers.items() if patient}
    return (named, (BY_HEADER,)) if len(named) == len(ids) else ({}, (no_patients_note(len(ids)),))
