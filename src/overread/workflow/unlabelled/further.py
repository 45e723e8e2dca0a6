"""Further studies without labels: found as `init` finds images, prepared as the training images are, none that is judged by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from overread.batches.prepare import prepare_image
from overread.cohort.gather import gather_images
from overread.cohort.index import Cohort, read_index
from overread.cohort.inspect import inspect_cases
from overread.cohort.load import open_channels
from overread.cohort.progress import Progress
from overread.cohort.request import Request
from overread.cohort.usable import keep_usable
from overread.core.errors import OverreadError, Refused
from overread.core.preparation import Preparation
from overread.reading.model import predictor_of
from overread.reading.region import Finder
from overread.record.files import digest_json, write_with
from overread.workflow.cohorts.requests import request_of
from overread.workflow.first_model import FirstModel
from overread.workflow.project import Project
from overread.workflow.read import as_trained

JUDGED = {"internal": "pixels of an internal test image", "tuning": "pixels of a tuning image"}
TRAINING = "pixels of a training image, which is there already"
TWICE = "pixels of another image of the folder"


@dataclass(frozen=True)
class Further:
    """Images of a folder that may be learned from.

    images    (C, Z, Y, X) float16, memory-mapped
    digests   of their pixels as they came
    left_out  reason -> how many
    """

    images: tuple[np.ndarray, ...] = ()
    digests: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)


def further_images(
    project: Project,
    folder: Path,
    cohort: Cohort,
    preparation: Preparation,
    progress: Progress | None,
    first: FirstModel | None = None,
) -> Further:
    """Every image of the folder whose pixels are none of the tuning or internal test images; those are counted.

    first  the model that says which part of an image is read, where `[region]` names one
    Pixels are compared by digest: a copy that was rescaled, and another study of the same patient, are not known by it.
    """
    request = _request(project, folder)
    gathered = gather_images(request, progress)
    seen = inspect_cases(
        gathered.drafts, {}, gathered.folder, None, gaps=request.gaps, tilt=request.tilt, progress=progress
    )  # fmt: skip
    drafts, good, steps = keep_usable(gathered.drafts, seen, gathered.steps, "leave out")
    out = Counter(item.reason for step in steps for item in step.left_out)
    known = _known(project, cohort)
    place = project.path / "cohort" / "cache"
    key = digest_json(preparation.as_dict())[7:19]
    finder = None if first is None else Finder(predictor_of(first.card, first.network))
    images, digests = list[np.ndarray](), list[str]()
    if progress is not None:
        progress.start(len(drafts), "Preparing further images")
    for draft, look in zip(drafts, good, strict=True):
        if progress is not None:
            progress.advance(1)
        if reason := known.get(look.digest) or (TWICE if look.digest in digests else ""):
            out[reason] += 1
            continue
        file = place / f"further-{key}" / f"{look.digest.removeprefix('sha256:')[:24]}.npy"
        try:
            if not file.is_file():
                opened = open_channels(draft.name, draft.images, gathered.folder, gaps=request.gaps, tilt=request.tilt)
                if first is not None and finder is not None:
                    opened = replace(opened, region=finder.find(as_trained(opened, first.card)[0], first.region))
                prepared = prepare_image(opened, preparation).array.astype(np.float16)
                file.parent.mkdir(parents=True, exist_ok=True)
                _write(file, prepared)
        except Refused as refused:
            out[f"refused: {refused.code}"] += 1
            continue
        images.append(np.load(file, mmap_mode="r"))
        digests.append(look.digest)
    if progress is not None:
        progress.finish()
    if not images:
        told = ", ".join(f"{count} {reason}" for reason, count in out.items()) or "it holds none"
        raise OverreadError(f"No image of {folder.name} can be learned from: {told}.", "give another folder of images")
    return Further(tuple(images), tuple(digests), dict(out))


def _write(file: Path, array: np.ndarray) -> None:
    def save(beside: Path) -> None:
        with open(beside, "wb") as opened:
            np.save(opened, array)

    write_with(file, save)


def _request(project: Project, folder: Path) -> Request:
    """The project's own way to images, in another folder, without truth or sheet."""
    if not folder.exists():
        raise OverreadError(f"There is nothing at {folder}.", "give a folder of images")
    own = request_of(project)
    bare = Request(folder.resolve(), series=own.series, channels=own.channels, missing=own.missing, gaps=own.gaps, tilt=own.tilt)
    return replace(bare, faulty="leave out")


def _known(project: Project, cohort: Cohort) -> dict[str, str]:
    """Digest of the pixels of every image of the project -> why it is no further one; being judged by weighs most."""
    found = {row.digest: TRAINING for row in read_index(project.path)}
    for row in read_index(project.path):
        place = cohort.partition.get(row.case.case_id, "internal")  # a case that this run does not see is none of its own
        if place in JUDGED:
            found[row.digest] = JUDGED[place]
    return found
