"""Learning from images without a truth: what the network answers must not change when the image is disturbed.

The moving average of the network is the teacher: it answers the calm image, and the network must answer the disturbed one alike.

Sources: mean teacher, Tarvainen and Valpola 2017, arXiv:1703.01780; pseudo-labels, Lee 2013, in the form of FixMatch, Sohn 2020,
arXiv:2001.07685; the rise of the weight at the beginning, Laine and Aila 2017, arXiv:1610.02242.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.tasks.base import Task
from overread.training.wishes import Wishes

MEAN_TEACHER, PSEUDO_LABELS = "mean_teacher", "pseudo_labels"
NONE = "none"
WHY = {
    MEAN_TEACHER: "set in project.toml: of images without a truth the network must answer a disturbed one as its own moving "
    "average answers the calm one",
    PSEUDO_LABELS: "set in project.toml: of images without a truth, what the moving average is sure of counts as their truth",
}
WEIGHT = {MEAN_TEACHER: 10.0, PSEUDO_LABELS: 1.0}  # squares of differences of probabilities are small
SURE = 0.95  # from here on what the teacher answers counts as a truth
RISE = 0.3  # share of the budget in which the weight grows: at first the teacher knows nothing


@dataclass(frozen=True)
class Consistency:
    """One further term of the loss, from images without a truth.

    looks  step -> the images as they are and disturbed, each (B, C, [Z,] Y, X), of the same places
    """

    task: Task
    way: str
    looks: Callable[[int], tuple[Tensor, Tensor]]

    def __call__(self, student: nn.Module, teacher: nn.Module, step: int, progress: float) -> dict[str, Tensor]:
        """The term by its name.

        progress  share of the budget that is spent, 0 to 1
        """
        calm, disturbed = self.looks(step)
        with torch.no_grad():
            wanted = self.task.respond(teacher, calm)
        answer = self.task.respond(student, disturbed)
        judge = _squares if self.way == MEAN_TEACHER else _against_the_sure
        apart = judge(self.task, answer, wanted)
        return {self.way: WEIGHT[self.way] * weight_at(progress) * apart}


def weight_at(progress: float) -> float:
    """0 to 1: exp(-5 (1 - t)^2) while t rises from 0 to 1 over the first share of the budget."""
    t = min(1.0, max(0.0, progress / RISE))
    return float(torch.exp(torch.tensor(-5.0 * (1 - t) ** 2)))


def choose_semi(question: Question, wishes: Wishes, serves: str, reasons: dict[str, str]) -> str:
    """The way that was asked for; stop where it means nothing for the question."""
    way = wishes.semi
    if way == NONE:
        return way
    if serves not in ("image", "dense"):
        raise OverreadError(
            f'[training] semi = "{way}" is not offered for networks that answer by a list of objects or by centres.',
            'set semi = "none", or architecture = "unet" where the objects have outlines',
        )
    if question.task == "regression" and way == PSEUDO_LABELS:
        raise OverreadError(
            f'[training] semi = "{way}" takes answers that the teacher is sure of, and a number has no such sureness.',
            f'set semi = "{MEAN_TEACHER}"',
        )
    if wishes.clinical:
        raise OverreadError(
            f'[training] semi = "{way}" learns from images alone, and this network reads clinical values beside them.',
            'set semi = "none", or clinical = []',
        )
    reasons["semi"] = WHY[way]
    return way


def _squares(task: Task, answer: Tensor, wanted: Tensor) -> Tensor:
    """Mean square of the difference of probabilities, summed over classes; of numbers in standard deviations of training."""
    if task.question.task == "regression":
        scale = torch.tensor(task.scaling.scale, device=answer.device)
        return (((answer - wanted) / scale) ** 2).mean()
    return ((answer - wanted) ** 2).sum(1).mean()


def _against_the_sure(task: Task, answer: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy against what the teacher is sure of, 0 where it is not sure; a mean over all, sure or not."""
    answer = answer.clamp(1e-6, 1 - 1e-6)
    if task.question.exclusive:
        best, label = wanted.max(1)
        loss = -answer.gather(1, label[:, None])[:, 0].log()
        return (loss * (best >= SURE)).mean()
    is_yes, is_no = wanted >= SURE, wanted <= 1 - SURE
    loss = -torch.where(is_yes, answer.log(), (1 - answer).log())
    return (loss * (is_yes | is_no)).mean()
