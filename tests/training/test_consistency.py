"""Learning from images without a truth: the terms against their formulas, worked out one by one."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.tasks import Scaling, make
from overread.tasks.base import UNSCALED
from overread.training.consistency import RISE, SURE, WEIGHT, Consistency, choose_semi, weight_at
from overread.training.wishes import Wishes

TWO = Question("classification", ("no", "yes"), positive="yes")
SEVERAL = Question("classification", ("mass", "edema", "nodule"), exclusive=False)
MASKS = Question("segmentation", ("liver",), values=(1,))
NUMBER = Question("regression", ("age", "weight"), units=("y", "kg"))


class Echo(nn.Module):
    """Answers with its input's first values as logits."""

    def __init__(self, outputs: int, *, is_dense: bool = False) -> None:
        super().__init__()
        self.gain, self.outputs, self.is_dense = nn.Parameter(torch.ones(())), outputs, is_dense

    def forward(self, images):
        return self.gain * (images[:, : self.outputs] if self.is_dense else images.flatten(1)[:, : self.outputs])


def term(question, way, outputs, is_dense=False, progress=1.0, scaling=UNSCALED):
    torch.manual_seed(3)
    calm, disturbed = 4 * torch.randn(2, 5, 4, 3, 3)
    student, teacher = Echo(outputs, is_dense=is_dense), Echo(outputs, is_dense=is_dense)
    task = make(question, scaling=scaling)
    found = Consistency(task, way, lambda step: (calm, disturbed))(student, teacher, 7, progress)
    assert list(found) == [way]
    value = found[way]
    value.backward()
    assert student.gain.grad is not None
    assert teacher.gain.grad is None
    return float(value.detach()), task.respond(student, disturbed).detach().numpy(), task.respond(teacher, calm).detach().numpy()


@pytest.mark.parametrize(("question", "outputs", "is_dense"), [(TWO, 2, False), (SEVERAL, 3, False), (MASKS, 2, True)])
def test_mean_teacher_is_the_mean_square_of_probabilities(question, outputs, is_dense):
    value, answer, wanted = term(question, "mean_teacher", outputs, is_dense)
    assert value == pytest.approx(WEIGHT["mean_teacher"] * ((answer - wanted) ** 2).sum(1).mean(), rel=1e-5)


def test_numbers_are_compared_in_standard_deviations():
    value, answer, wanted = term(NUMBER, "mean_teacher", 2, scaling=Scaling((50.0, 70.0), (20.0, 10.0)))
    squares = ((answer - wanted) / np.array([20.0, 10.0])) ** 2
    assert value == pytest.approx(WEIGHT["mean_teacher"] * squares.mean(), rel=1e-5)


def test_pseudo_labels_count_where_the_teacher_is_sure():
    value, answer, wanted = term(TWO, "pseudo_labels", 2)
    losses = [-math.log(a[w.argmax()]) if w.max() >= SURE else 0.0 for a, w in zip(answer, wanted, strict=True)]
    assert 0 < sum(w.max() >= SURE for w in wanted) < len(wanted), "some sure, some not"
    assert value == pytest.approx(WEIGHT["pseudo_labels"] * np.mean(losses), rel=1e-4)


def test_findings_that_may_occur_together_are_sure_one_by_one():
    value, answer, wanted = term(SEVERAL, "pseudo_labels", 3)
    losses = []
    for a, w in zip(answer.ravel(), wanted.ravel(), strict=True):
        losses.append(-math.log(a) if w >= SURE else -math.log(1 - a) if w <= 1 - SURE else 0.0)
    assert value == pytest.approx(WEIGHT["pseudo_labels"] * np.mean(losses), rel=1e-4)


def test_the_weight_rises_with_the_budget_and_stays():
    assert weight_at(0.0) == pytest.approx(math.exp(-5))
    assert weight_at(RISE / 2) == pytest.approx(math.exp(-1.25))
    assert weight_at(RISE) == weight_at(0.9) == 1.0
    early, _, _ = term(TWO, "mean_teacher", 2, progress=0.0)
    late, _, _ = term(TWO, "mean_teacher", 2)
    assert early == pytest.approx(late * math.exp(-5), rel=1e-5)


def test_nothing_disturbed_costs_nothing():
    network, images = Echo(2), torch.randn(2, 1, 3, 3)
    found = Consistency(make(TWO), "mean_teacher", lambda step: (images, images))(network, network, 0, 1.0)
    assert float(found["mean_teacher"].detach()) == 0.0


@pytest.mark.parametrize(
    ("question", "wishes", "serves", "what"),
    [
        (Question("detection", ("mass",)), Wishes(semi="mean_teacher"), "objects", "by a list of objects"),
        (NUMBER, Wishes(semi="pseudo_labels"), "image", "a number has no such sureness"),
        (TWO, Wishes(semi="mean_teacher", clinical=("age",)), "image", "learns from images alone"),
    ],
)
def test_what_makes_no_sense_is_refused(question, wishes, serves, what):
    with pytest.raises(OverreadError, match=what):
        choose_semi(question, wishes, serves, {})


def test_the_plan_says_why():
    reasons = {}
    assert choose_semi(TWO, Wishes(semi="pseudo_labels"), "image", reasons) == "pseudo_labels"
    assert "is sure of" in reasons["semi"]
    assert choose_semi(TWO, Wishes(), "image", {}) == "none"
