"""A look at the tuning cases during training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cached_property
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from overread.batches.cache import PreparedCase
from overread.batches.prepare import normalise
from overread.batches.sampler import fixed_patches, flatten
from overread.cohort.unpaired import as_read
from overread.core.grid import Grid
from overread.core.kinds import Findings, Kind, Measurements, Picture
from overread.core.question import Decisions, Question
from overread.metrics.quick import quick_scores
from overread.reading.making import Guide, ImageMaker
from overread.reading.objects import as_kind, surest
from overread.reading.predictor import Predictor
from overread.tasks.base import ObjectTask
from overread.tasks.generative.making import MakingTask
from overread.tasks.generative.signs import DIVERSITY, NEAREST, diversity
from overread.tasks.generative.turns import TakesTurns
from overread.tasks.generative.variational import Vae
from overread.training.loop import Looked
from overread.workflow.generation.repeats import Repeats
from overread.workflow.generation.watched import COUNT, keep_made
from overread.workflow.learning.object_truths import object_truth, prepared_grid
from overread.workflow.learning.predict import raw_kind
from overread.workflow.plan import Planned, partners_of

SIGNED = 16  # tuning images on which signs rest, at most
FEWEST = 2  # cases in a look, however slow
LOOK_CASES = 24  # tuning cases looked at where a look reads whole volumes


class Look:
    """A look at the tuning cases during training: loss on fixed patches, and quick scores on the prepared grid.

    seconds  where a look reads whole volumes: the first look stops after so long, and the cases read by then
             are the ones of every later look; None reads up to `LOOK_CASES`
    """

    def __init__(self, planned: Planned, device: torch.device, seconds: float | None = None) -> None:
        self.planned, self.device, self.seconds = planned, device, seconds
        cases = planned.cache.of(c.case_id for c in as_read(planned.cohort).of("tuning"))
        self.by_windows = planned.task.serves != "image"
        self.cases = cases[:: max(1, math.ceil(len(cases) / LOOK_CASES))] if self.by_windows else cases
        preparation = planned.plan.preparation
        partners = partners_of(planned.plan, planned.cache, planned.cohort, "tuning")
        self.fixed = fixed_patches(cases, preparation.patch, preparation.dimensions, partners=partners)

    def __call__(self, network: nn.Module, *, final: bool) -> Looked:
        task, question = self.planned.task, self.planned.plan.question
        loss, signs = self._loss(network), self._signs(network)
        if isinstance(task, MakingTask | Vae):
            maker = self._maker(network, task)
            made = keep_made(self.planned.run, maker, self._guides())
            signs |= self._signs_of_made(self._scaled(made), with_diversity=maker.takes_steps)
        if isinstance(task, MakingTask) or question.is_unpaired:  # no case has a true picture to compare an answer with
            return Looked(loss, {}, signs)
        return Looked(loss, quick_scores(question, *self._pairs(network)), signs)

    @torch.no_grad()
    def _signs(self, network: nn.Module) -> dict[str, float]:
        """What alarms rest on; nothing of tasks that make no image."""
        task, (images, targets) = self.planned.task, self.fixed
        if not isinstance(task, TakesTurns) or isinstance(targets, list):
            return {}
        count = min(SIGNED, 4 * self.planned.plan.sampling.batch)  # without gradients no dearer than a step
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.planned.plan.precision == "bfloat16"):
            return dict(task.signs(network, images[:count].to(self.device), targets[:count].to(self.device)))

    def _signs_of_made(self, made: Tensor, *, with_diversity: bool) -> dict[str, float]:
        """with_diversity: images are made in steps, too dear to be made for this sign alone."""
        signs = {DIVERSITY: diversity(made, self.fixed[0][:SIGNED])} if with_diversity else {}
        return signs if self.repeats is None else signs | {NEAREST: self.repeats.nearest(made)}

    @cached_property
    def repeats(self) -> Repeats | None:
        parts = ([case.case_id for case in self.planned.cohort.of(part)] for part in ("training", "tuning"))
        training, tuning = (self.planned.cache.of(part) for part in parts)
        preparation = self.planned.plan.preparation
        return Repeats.of(training, tuning, preparation.patch, preparation.dimensions)

    def _scaled(self, made: np.ndarray) -> Tensor:
        """Made images (N, C, Z, Y, X) as the network sees them: (N, C, [Z,] Y, X)."""
        preparation = self.planned.plan.preparation
        scaled = np.stack([normalise(image, preparation.normalisation) for image in made])
        return flatten(torch.from_numpy(scaled), preparation.dimensions)

    @torch.no_grad()
    def _loss(self, network: nn.Module) -> float:
        total, batch = 0.0, self.planned.plan.sampling.batch
        images, targets = self.fixed
        for k in range(0, len(images), batch):
            some = images[k : k + batch].to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.planned.plan.precision == "bfloat16"):
                terms = self.planned.task.losses(network, some, _moved(targets[k : k + batch], self.device))
            total += float(torch.stack(list(terms.values())).sum()) * len(some)
        return total / len(images)

    def _pairs(self, network: nn.Module) -> tuple[list[Kind], list[Kind]]:
        plan, task = self.planned.plan, self.planned.task
        predictor = Predictor(
            network, task, plan.preparation, Decisions(), overlap=0.25, precision=plan.precision, device=str(self.device)
        )
        if not self.by_windows:
            return self._image_pairs(predictor)
        pair = self._pair_of(task.question)
        truths: list[Kind] = []
        answers: list[Kind] = []
        start = time.monotonic()
        for case in self.cases:
            if self.seconds is not None and len(answers) >= FEWEST and time.monotonic() - start > self.seconds:
                break
            truth, answer = pair(predictor, case)
            truths.append(truth)
            answers.append(answer)
        self.cases, self.seconds = self.cases[: len(answers)], None
        return truths, answers

    def _maker(self, network: nn.Module, task: MakingTask | Vae) -> ImageMaker:
        plan = self.planned.plan
        return ImageMaker(network, task, plan.preparation, plan.precision, str(self.device))

    def _guides(self) -> list[Guide]:
        """Masks of tuning cases, the same at every look; none where images are not made along masks."""
        plan = self.planned.plan
        if not plan.question.guides:
            return []
        shown = [self.cases[k % len(self.cases)] for k in range(COUNT)]
        return [Guide(np.array(case.target), prepared_grid(case, plan.preparation)) for case in shown]

    def _pair_of(self, question: Question) -> Callable[[Predictor, PreparedCase], tuple[Kind, Kind]]:
        if question.is_of_pictures:
            return self._picture_pair
        return self._object_pair if question.is_of_objects else self._mask_pair

    def _picture_pair(self, predictor: Predictor, case: PreparedCase) -> tuple[Kind, Kind]:
        """In scaled intensities, on the prepared grid."""
        grid = prepared_grid(case, self.planned.plan.preparation)
        raw = predictor.raw(case.image.astype(np.float32))
        return Picture(np.asarray(case.target, np.float32), grid), Picture(raw, grid)

    def _mask_pair(self, predictor: Predictor, case: PreparedCase) -> tuple[Kind, Kind]:
        plan, task = self.planned.plan, self.planned.task
        grid = Grid.from_spacing(case.image.shape[1:], plan.preparation.spacing or (1.0, 1.0, 1.0))
        raw = predictor.raw(case.image.astype(np.float32))
        labels = raw.argmax(0).astype(np.uint8) if plan.question.exclusive else (raw > 0.5).astype(np.uint8)
        return task.decode_map(case.target, grid, Decisions()), task.decode_map(labels, grid, Decisions())

    def _object_pair(self, predictor: Predictor, case: PreparedCase) -> tuple[Kind, Kind]:
        grid = prepared_grid(case, self.planned.plan.preparation)
        answer = as_kind(surest(predictor.found(case.image.astype(np.float32))), self.planned.plan.question, grid)
        return object_truth(case, cast(ObjectTask, self.planned.task), grid), answer

    def _image_pairs(self, predictor: Predictor) -> tuple[list[Kind], list[Kind]]:
        question, scaling = self.planned.plan.question, self.planned.task.scaling
        images, told = [case.image for case in self.cases], [case.clinical for case in self.cases]
        raws = predictor.raw_several(images, 4 * self.planned.plan.sampling.batch, told)
        truths: list[Kind] = []
        for case in self.cases:
            values = np.array(case.target, dtype=np.float64)
            if question.task == "regression":
                values = values * scaling.scale + scaling.centre
            named = {c: None if np.isnan(v) else float(v) for c, v in zip(question.classes, values, strict=True)}
            truths.append(Findings(named) if question.task == "classification" else Measurements(named))
        return truths, [raw_kind(question, raw) for raw in raws]


def _moved(targets: Tensor | list[dict[str, Tensor]], device: torch.device) -> Tensor | list[dict[str, Tensor]]:
    """Targets of some patches on the device; questions of objects have a list of them."""
    if isinstance(targets, list):
        return [{name: values.to(device) for name, values in target.items()} for target in targets]
    return targets.to(device)
