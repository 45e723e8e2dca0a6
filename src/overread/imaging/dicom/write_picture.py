"""An image that a network made or changed, as a DICOM series that says so: on the frames of its source, or of nobody.

One file per source frame: of the source's own kind for CT and MR, a secondary capture for films and colour pictures.
Source: DICOM PS3.3 A.3, A.4 and A.8.1 (CT, MR, Secondary Capture), C.7.6.1 (General Image), C.12.1 (SOP Common).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

from overread.core.errors import OverreadError, Refused
from overread.core.kinds import Picture
from overread.imaging.dicom import picture_tags as tags
from overread.imaging.dicom.evidence import Evidence, read_evidence
from overread.imaging.dicom.stored_values import stored_values
from overread.imaging.dicom.write_common import (
    DESCRIPTION_LENGTH,
    DISCLAIMER,
    RESEARCH,
    About,
    Algorithm,
    digest_of,
    finish,
)
from overread.imaging.dicom.write_ct import uid_of, write_file
from overread.imaging.made import DERIVED, SyntheticMark
from overread.record.files import whole_folder, write_with

SERIES_NUMBER = 940
COLOURS = 3
Save = Callable[[Path], Any]


def write_picture_series(
    path: Path, picture: Picture, mark: SyntheticMark, source_files: Sequence[Path] = ()
) -> tuple[Path, ...]:
    """Write a picture, whole or not at all: a folder with one file per frame, or one file where the path ends in .dcm.

    picture       (C, Z, Y, X) on the grid of the source; one channel, or three colours of 0 to 255
    source_files  the images it was made from: its patient, study, places and kind are taken over. Without them the series
                  belongs to nobody: a volume in HU is a CT, all else a secondary capture of an unnamed modality
    returns       the files, in order along the normal
    """
    channels = picture.array.shape[0]
    if channels not in (1, COLOURS):
        what = f"A DICOM picture has one channel or three colours; this one has {channels} channels."
        raise OverreadError(what, "write it as NIfTI, or one channel at a time")
    if not np.isfinite(picture.array).all():
        raise Refused("not-finite", "The picture holds NaN or infinity.", "write finite values")
    if not source_files:
        return _write(Path(path), _of_nobody(picture, mark))
    evidence = read_evidence(source_files, picture.grid)
    is_phantom = mark.is_phantom or any(header.is_simulated for header in evidence.headers)
    return _write(Path(path), _on_source(picture, replace(mark, is_phantom=is_phantom), evidence))


def _write(path: Path, saves: Sequence[Save]) -> tuple[Path, ...]:
    if path.suffix.lower() == ".dcm":
        if len(saves) > 1:
            raise OverreadError(f"{path.name} would hold {len(saves)} frames; a series is a folder.", "give a path without .dcm")
        saves[0](path)
        return (path,)
    if path.exists():
        raise OverreadError(f"{path} exists already.", "choose a new folder for the series")
    names = [f"{k + 1:04d}.dcm" for k in range(len(saves))]
    with whole_folder(path) as beside:
        for name, save in zip(names, saves, strict=True):
            save(beside / name)
    return tuple(path / name for name in names)


def _on_source(picture: Picture, mark: SyntheticMark, evidence: Evidence) -> list[Save]:
    """How each frame is saved, as a derived series of the source's study."""
    shown = np.stack([frame.take(picture.array) for frame in evidence.frames], axis=1)  # (C, N, rows, columns)
    is_colour = len(shown) == COLOURS
    kind = tags.kind_of(evidence.first, is_colour=is_colour)
    stored = None if is_colour else stored_values(shown[0], whole=kind == tags.CT)
    sources = {str(source.SOPInstanceUID): source for source in evidence.tags}
    content = digest_of(picture.array)
    algorithm = Algorithm(mark.made_by, model=mark.model_digest)
    about = About("PICTURE", evidence, algorithm, mark.words, SERIES_NUMBER, content)
    series_uid = uid_of(about.series_uid, content)  # another picture of the same network is another series
    saves: list[Save] = []
    for k, frame in enumerate(evidence.frames):
        own = replace(about, instance=k + 1)
        made = tags.begun(kind)
        tags.take_over(made, sources[frame.header.sop_uid])
        tags.put_as(made, frame, evidence.grid.spacing[evidence.through])
        if stored is None:
            tags.set_colour(made, shown[:, k])
        else:
            tags.set_grey(made, stored, k, _shown(shown))
        tags.say_network(made, mark, about.when)
        tags.point_to(made, frame)
        made.SeriesInstanceUID, made.SOPInstanceUID = series_uid, own.sop_uid
        made.SeriesNumber, made.InstanceNumber = SERIES_NUMBER, k + 1
        saves.append(partial(_finish, made, own))
    return saves


def _of_nobody(picture: Picture, mark: SyntheticMark) -> list[Save]:
    """How each slice of a wholly made image is saved: a study of its own, whose patient is nobody."""
    if mark.kind == DERIVED:
        raise OverreadError(
            "A derived picture shows a patient, and no source was given.", "give the files of the image that it was made from"
        )
    grid, array = picture.grid, picture.array
    is_colour, is_placed = len(array) == COLOURS, not grid.is_planar and grid.spacing_known
    kind = tags.CT if picture.units == "HU" and is_placed and not is_colour else tags.OTHER
    key = digest_of(picture.array, mark.model_digest, mark.made_by)
    when = datetime.now()
    across, down = grid.affine[:3, 2] / grid.spacing[2], grid.affine[:3, 1] / grid.spacing[1]
    stored = None if is_colour else stored_values(array[0], whole=kind == tags.CT)
    saves: list[Save] = []
    for k in range(array.shape[1]):
        made = tags.begun(kind)
        tags.belong_to_nobody(made, key, uid_of(key, "study"))
        if is_placed:
            made.FrameOfReferenceUID = uid_of(key, "frame of reference")
            position = grid.to_world(np.array([k, 0, 0]))
            tags.put(made, tuple(position), (*across, *down), grid.spacing[1:], grid.spacing[0])
        if stored is None:
            tags.set_colour(made, array[:, k])
        else:
            tags.set_grey(made, stored, k, _shown(array))
        tags.say_network(made, mark, when)
        made.SeriesInstanceUID, made.SOPInstanceUID = uid_of(key, "series"), uid_of(key, "slice", k)
        made.SeriesNumber, made.InstanceNumber = SERIES_NUMBER, k + 1
        _describe(made, mark, when)
        saves.append(partial(_save, made))
    return saves


def _finish(made: Dataset, about: About, path: Path) -> None:
    finish(made, about, path, words=[about.algorithm.name])


def _save(made: Dataset, path: Path) -> None:
    write_with(path, lambda beside: write_file(made, beside))


def _describe(made: Dataset, mark: SyntheticMark, when: datetime) -> None:
    """What `finish` says of a series with a source."""
    made.SeriesDescription = f"{RESEARCH} {mark.words}"[:DESCRIPTION_LENGTH]
    made.ImageComments = f"{DISCLAIMER} {mark.sentence}"
    made.StudyDate, made.StudyTime = DA(when.date()), TM(when.time())
    for stem in ("InstanceCreation", "Content", "Series"):
        setattr(made, f"{stem}Date", DA(when.date()))
        setattr(made, f"{stem}Time", TM(when.time()))
    if not mark.made_by.isascii():
        made.SpecificCharacterSet = "ISO_IR 192"


def _shown(values: np.ndarray) -> tuple[float, float]:
    """The range that holds all but the darkest and brightest percent."""
    low, high = np.percentile(values, (1, 99))
    return float(low), float(high)
