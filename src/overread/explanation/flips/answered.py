"""The answer to one window, as it is given with all frozen decisions: is it another one now, and which way is that?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from overread.batches.prepare import Prepared
from overread.core.errors import OverreadError
from overread.explanation.asked import Asked, ask
from overread.explanation.flips.decisions import Decided, class_given, decide, is_called, is_other, likeliest
from overread.explanation.targets import targets_of
from overread.networks.fusion.fused import about
from overread.networks.layout import memory_format
from overread.reading.answering import Answering
from overread.reading.predictor import Predictor
from overread.tasks.target import Target, mean_over


@dataclass(frozen=True)
class Answered:
    """One answer about one window.

    asked   the question; its target is what was answered: the class that was given, the finding, the structure, the object
    before  the answer as it was given
    sign    -1 for a finding that was not called, so that to turn the answer is to raise it
    """

    predictor: Predictor
    asked: Asked
    before: Decided
    sign: float = 1.0

    def now(self, images: Tensor) -> Decided:
        """The answer to a changed window (1, C, [Z,] Y, X)."""
        return decide(self.predictor, self.asked.target, window_array(self.asked, images))

    def flipped(self, images: Tensor) -> bool:
        """Whether the answer to a changed window is another one."""
        return is_other(self.before, self.now(images))

    def lead(self, images: Tensor) -> Tensor:
        """(B,): how far the answer is ahead of the next one; differentiable. What a change has to bring down.

        Of logits: a probability near 1 has no slope left.
        """
        question, target = self.asked.task.question, self.asked.target
        if question.is_of_objects:
            return self.asked.score(images)
        logits = self.asked.network(images.contiguous(memory_format=memory_format(images.ndim))).float()
        if not question.exclusive:
            return self.sign * self._over_voxels(logits[:, target.number])
        if question.task == "segmentation":
            return self._over_voxels(_ahead(logits, target.number + 1))
        is_graded = logits.shape[1] < len(question.classes)
        return _within(logits, target.number) if is_graded else _ahead(logits, target.number)

    def _over_voxels(self, ahead: Tensor) -> Tensor:
        """(B, ...) -> (B,): the mean over the voxels of a structure; an answer per case as it is."""
        voxels = self.asked.target.voxels
        return ahead if voxels is None else mean_over(ahead, self.asked.target)


def answered(answering: Answering, prepared: Prepared) -> Answered | None:
    """The answer to a prepared image that is to be turned; None where nothing was found that could be lost."""
    refuse_unturnable(answering)
    assert isinstance(answering, Predictor)
    predictor = replace(answering, precision="float32", network=about(answering.network, prepared.clinical))
    question = predictor.task.question
    if question.task == "classification":
        asked = ask(predictor, prepared, Target("", 0))
        array = window_array(asked, asked.images)
        number = (
            question.classes.index(class_given(predictor, array)[0])
            if question.exclusive
            else likeliest(predictor, question, array)
        )
        name = question.classes[number]
        asked = replace(asked, target=Target(name, number))
        sign = 1.0 if question.exclusive or is_called(predictor, name, array)[0] else -1.0
        return Answered(predictor, asked, decide(predictor, asked.target, array), sign)
    targets = targets_of(predictor, prepared)
    if not targets:
        return None
    largest = max(targets, key=lambda target: 0 if target.voxels is None else int(target.voxels.sum()))
    asked = ask(predictor, prepared, largest)
    before = decide(predictor, asked.target, window_array(asked, asked.images))
    if isinstance(before.value, np.ndarray):  # the window alone may be outlined a little otherwise than the whole image
        asked = replace(asked, target=replace(asked.target, voxels=before.value))
        before = decide(predictor, asked.target, window_array(asked, asked.images))
        return Answered(predictor, asked, before) if asked.target.voxels is not None and asked.target.voxels.any() else None
    return Answered(predictor, asked, before) if before.value else None


def refuse_unturnable(answering: Answering) -> None:
    """Stop where an answer has no other side, or is that of several networks."""
    if answering.task.question.task == "regression":
        raise OverreadError(
            "A measured number has no other side that it could be turned to.",
            "`overread robustness` shows how far the number moves when images get worse",
        )
    if not isinstance(answering, Predictor):
        raise OverreadError(
            "An ensemble has no single network whose answer could be turned.", "name the run of one of its members with --run"
        )


def window_array(asked: Asked, images: Tensor) -> np.ndarray:
    """(1, C, [Z,] Y, X) -> (C, Z, Y, X) float32."""
    values = images[0].detach().cpu().numpy()
    return np.ascontiguousarray(values.reshape(values.shape[0], *asked.patch), dtype=np.float32)


def _ahead(logits: Tensor, number: int) -> Tensor:
    """(B, K, ...) -> (B, ...): one logit less the largest other."""
    others = torch.cat([logits[:, :number], logits[:, number + 1 :]], 1)
    return logits[:, number] - others.max(1).values


def _within(above: Tensor, grade: int) -> Tensor:
    """(B, K - 1) logits of "above grade k" -> (B,): how far the answer is from the next grade, down or up."""
    sides = [above[:, grade - 1]] if grade > 0 else []
    sides += [-above[:, grade]] if grade < above.shape[1] else []
    return torch.stack(sides, 1).min(1).values
