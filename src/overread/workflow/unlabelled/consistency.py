"""Images without a truth beside the labelled ones of a training: which they are, and what is learned from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from overread.batches.prepare import prepare_image
from overread.batches.unlabelled import Unlabelled
from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.cohort.subdivision import read_subdivision
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.record.files import digest_json
from overread.training.consistency import NONE, Consistency
from overread.workflow.first_model import with_regions
from overread.workflow.plan import Planned
from overread.workflow.project import Project
from overread.workflow.unlabelled.further import further_images

REST = "rest"  # training cases of the project whose truth this run is not told: in a learning curve, a simulation of labelling
TOLD_IN_PARTS = ("a learning curve", "a simulation of labelling")  # of these the last part is told every truth


def consistency_of(
    project: Project, planned: Planned, unlabelled: str, fold: int | None, device: torch.device, progress: Progress | None
) -> tuple[Consistency | None, str]:
    """The term that images without a truth add, and a digest of which images they are; None and "" where none is planned.

    unlabelled  as in [training]: a folder, or "rest"
    """
    plan = planned.plan
    if plan.semi == NONE:
        if unlabelled:
            raise OverreadError(
                "[training] unlabelled names images without a truth, and semi does not say how to learn from them.",
                'set semi = "mean_teacher" or "pseudo_labels", or leave unlabelled out',
            )
        return None, ""
    if not unlabelled:
        raise OverreadError(
            f'[training] semi = "{plan.semi}" learns from images without a truth, and none are named.',
            'set unlabelled = "FOLDER", or "rest" in a learning curve',
        )
    names, images = (
        _rest(project, planned, fold, progress) if unlabelled == REST else _further(project, planned, unlabelled, progress)
    )
    planned.run.events.write("unlabelled", images=len(images), way=plan.semi)
    if not images:
        return None, ""
    source = Unlabelled(
        images,
        plan.preparation.patch,
        min(plan.sampling.batch, len(images)),
        plan.augmentation,
        roams=plan.network["serves"] == "dense",
        spacing=plan.preparation.spacing or (1.0, 1.0, 1.0),
        dimensions=plan.preparation.dimensions,
        seed=plan.seed,
        device=device,
    )
    return Consistency(planned.task, plan.semi, source.looks), digest_json(sorted(names))


def _further(project: Project, planned: Planned, folder: str, progress: Progress | None) -> tuple[list[str], list[np.ndarray]]:
    found = further_images(project, project.place_of(folder), planned.cohort, planned.plan.preparation, progress, planned.first)
    return list(found.digests), list(found.images)


def _rest(project: Project, planned: Planned, fold: int | None, progress: Progress | None) -> tuple[list[str], list[np.ndarray]]:
    """Training cases of the project that are none of this run, prepared; in memory, as a share of the training cases is small."""
    known = {case.case_id for case in planned.cohort.cases}
    whole = project.cohort(fold)
    rest = [case for case in whole.of("training") if case.case_id not in known]
    if not rest:
        _refuse_no_rest(planned)
    seen = with_regions(project, replace(whole, cases=tuple(rest)), planned.first, progress)
    if progress is not None:
        progress.start(len(rest), "Preparing images without a truth")

    def prepared(case: Case) -> np.ndarray:
        array: np.ndarray = prepare_image(load_image(seen, case), planned.plan.preparation).array.astype(np.float16)
        if progress is not None:
            progress.advance(1, case.case_id)
        return array

    images = [prepared(case) for case in rest]
    if progress is not None:
        progress.finish()
    return [case.case_id for case in rest], images


def _refuse_no_rest(planned: Planned) -> None:
    """A run that knows every truth has nothing to learn from beside them; excused where others of its series have."""
    given = read_subdivision(planned.run.subdivision)
    if given is not None and given.part_of in TOLD_IN_PARTS:
        return
    run = "this run" if given is None else f"a training of {given.part_of}"
    raise OverreadError(
        f'[training] unlabelled = "rest", and {run} is told the truth of every training case.',
        "name a folder of images without a truth, or ask for a learning curve",
    )
