"""Tuning images that a run translated without pairs: as they were read, and as it answered them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.cohort.unpaired import as_read
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.evaluation.sources.predictions import Predictions
from overread.metrics.generation.manifold import K_COVERAGE
from overread.record.run import RunFolder
from overread.reporting.generation.grid import translated_grid
from overread.workflow.generation.answered import own_and_answered
from overread.workflow.project import Project

SHOWN = 6


@dataclass(frozen=True)
class Translated:
    """Images as they were read, and what became of each; in the order of the cases."""

    cases: tuple[Case, ...]
    before: tuple[Image, ...]
    after: tuple[Image, ...]

    def shown(self, cohort: Cohort, real: Sequence[Case]) -> bytes:
        """Some of them as PNG: before, after, and real images of the kind that was wanted."""
        number = min(SHOWN, len(self.cases))
        return translated_grid(
            [_first_channel(image) for image in self.before[:number]],
            [_first_channel(image) for image in self.after[:number]],
            [_first_channel(load_image(cohort, real[k % len(real)])) for k in range(number)],
            kinds=(cohort.question.conditions[0], cohort.question.conditions[1]),
            names=[case.case_id for case in self.cases[:number]],
            title=f"{number} of {len(self.cases)} translated images",
            is_phantom=cohort.is_phantom,
        )


def refuse_few(done: Translated, wanted: Sequence[Case], kinds: Sequence[str]) -> None:
    """Neighbours among so few images tell nothing; said before an encoder spends its minutes.

    wanted  tuning cases of the kind that was wanted
    """
    counts = (len(done.cases), "images", kinds[0]), (len({case.patient_id for case in wanted}), "patients", kinds[1])
    for count, what, kind in counts:
        if count <= K_COVERAGE:
            raise OverreadError(
                f"The tuning partition has {count} {what} of kind '{kind}' to compare; {K_COVERAGE + 1} are the least.",
                "take in more patients with `overread update`, or make a new project with a larger --tuning",
            )


def _first_channel(image: Image) -> np.ndarray:
    """(Z, Y, X)"""
    return np.asarray(image.array[0], np.float32)


def translated(project: Project, run: RunFolder, cohort: Cohort, most: int) -> Translated:
    """Of a large partition some, spread evenly; a case that was refused has no answer."""
    read, question = as_read(cohort), project.question
    predictions = Predictions(run.predictions / "tuning", question, project.resume_command(run))
    predictions.check_complete([case.case_id for case in read.of("tuning")])
    answered = [case for case in read.of("tuning") if case.case_id not in predictions.refused]
    places = np.unique(np.linspace(0, len(answered) - 1, min(most, len(answered))).round()).astype(int)
    cases = tuple(answered[k] for k in places)
    after = []
    for case in cases:
        _, made = own_and_answered(read, case, predictions)
        after.append(made)
    return Translated(cases, tuple(load_image(read, case) for case in cases), tuple(after))
