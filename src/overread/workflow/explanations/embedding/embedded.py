"""Features of the cases of a run, computed once: kept beside its explanations, for as long as model and images stay the same."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from overread.cohort.index import Cohort, read_index
from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.explanation.embedding.gathered import Embedded, embed
from overread.reading.model import Model
from overread.record.files import write_with
from overread.record.run import RunFolder

FILE = "features.npz"
FORMAT = 2
KEPT_EVERY = 128  # cases, so that one who stops a long look loses little


def embedded(
    project_dir: Path, run: RunFolder, model: Model, cohort: Cohort, cases: Sequence[Case], progress: Progress | None
) -> Embedded:
    """Features of these cases, in this order; only those that are not yet known are computed."""
    path = run.path / "explanation" / FILE
    pixels = {row.case.case_id: row.digest for row in read_index(project_dir)}
    known = _known(path, model.card.sha256, pixels)
    taken = set(known.case_ids)
    missing = [case for case in cases if case.case_id not in taken]
    if missing and progress is not None:
        progress.start(len(missing), "Looking at what the last layer sees of each case")
    for start in range(0, len(missing), KEPT_EVERY):
        known = known.and_also(_embed(model, cohort, missing[start : start + KEPT_EVERY], progress))
        _keep(path, model.card.sha256, pixels, known)
    if missing and progress is not None:
        progress.finish()
    return known.of([case.case_id for case in cases])


def _embed(model: Model, cohort: Cohort, cases: Sequence[Case], progress: Progress | None) -> Embedded:
    by_id = {case.case_id: case for case in cases}

    def done(case_id: str) -> None:
        if progress is not None:
            progress.advance(1, case_id)

    return embed(model.predictor, list(by_id), lambda case_id: load_image(cohort, by_id[case_id]), done)


def _known(path: Path, model: str, pixels: dict[str, str]) -> Embedded:
    """What was kept for this model, of cases whose pixels are the same."""
    nothing = Embedded((), *(np.zeros((0, 0), np.float32) for _ in range(3)))
    try:
        with np.load(path, allow_pickle=False) as kept:
            if int(kept["format"]) != FORMAT or str(kept["model"]) != model:
                return nothing
            ids, digests = kept["case_ids"].tolist(), kept["digests"].tolist()
            found = Embedded(tuple(ids), kept["features"], kept["pixels"], kept["answers"])
    except (FileNotFoundError, KeyError, ValueError, zipfile.BadZipFile):  # none yet, or one cut short: it is made anew
        return nothing
    return found.of([case_id for case_id, digest in zip(ids, digests, strict=True) if pixels.get(case_id) == digest])


def _keep(path: Path, model: str, pixels: dict[str, str], found: Embedded) -> None:
    digests = np.array([pixels[case_id] for case_id in found.case_ids])
    values = {"features": found.features, "pixels": found.pixels, "answers": found.answers, "digests": digests}

    def write(beside: Path) -> None:
        with beside.open("wb") as stream:
            np.savez(
                stream, format=np.array(FORMAT), model=np.array(model), case_ids=np.array(found.case_ids), allow_pickle=False,
                **values,
            )  # fmt: skip

    write_with(path, write)
