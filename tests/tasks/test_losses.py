"""Losses against independent implementations, and on empty structures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss, DiceLoss, TverskyLoss
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from overread.core.errors import OverreadError
from overread.core.kinds import Findings, Measurements
from overread.core.question import Decisions, Question
from overread.tasks import Scaling, make
from overread.tasks.losses import classification, regression, segmentation

torch.manual_seed(0)
LOGITS = torch.randn(3, 4, 5, 6, 7)
TARGET = torch.randint(0, 4, (3, 5, 6, 7))


def test_dice_equals_monai():
    other = DiceLoss(include_background=False, softmax=True, to_onehot_y=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)
    assert segmentation.dice(LOGITS, TARGET) == pytest.approx(float(other(LOGITS, TARGET[:, None])), abs=1e-6)


def test_dice_ce_equals_monai():
    other = DiceCELoss(include_background=False, softmax=True, to_onehot_y=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)
    dice = DiceLoss(include_background=False, softmax=True, to_onehot_y=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)
    entropy = F.cross_entropy(LOGITS, TARGET)  # MONAI's own drops the background from the entropy as well
    expected = float(dice(LOGITS, TARGET[:, None]) + entropy)
    assert segmentation.dice_ce(LOGITS, TARGET) == pytest.approx(expected, abs=1e-5)
    assert other is not None


def test_tversky_equals_monai():
    other = TverskyLoss(
        include_background=False, softmax=True, to_onehot_y=True, batch=True, alpha=0.3, beta=0.7, smooth_nr=1e-5, smooth_dr=1e-5
    )
    assert segmentation.tversky(LOGITS, TARGET) == pytest.approx(float(other(LOGITS, TARGET[:, None])), abs=1e-5)


def test_focal_equals_torchvision_for_two_classes():
    logits, truth = torch.randn(50, 1), torch.randint(0, 2, (50, 1)).float()
    pair = torch.cat((torch.zeros_like(logits), logits), 1)
    two = torch.cat((1 - truth, truth), 1)
    other = sigmoid_focal_loss(logits, truth, alpha=-1, gamma=2.0, reduction="mean")
    assert classification.focal(pair, two) == pytest.approx(float(other), abs=1e-6)
    assert classification.SEVERAL["focal"](logits, truth, None) == pytest.approx(float(other), abs=1e-6)


@pytest.mark.parametrize("name", segmentation.EXCLUSIVE)
def test_an_empty_structure_gives_a_finite_loss_and_gradient(name):
    logits = torch.randn(2, 3, 4, 4, 4, requires_grad=True)
    loss = segmentation.EXCLUSIVE[name](logits, torch.zeros(2, 4, 4, 4, dtype=torch.long), None)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", segmentation.EXCLUSIVE)
def test_a_perfect_answer_costs_almost_nothing(name):
    sure = F.one_hot(TARGET, 4).movedim(-1, 1).float() * 40 - 20
    assert segmentation.EXCLUSIVE[name](sure, TARGET, None) < 1e-3


def test_unknown_findings_weigh_nothing():
    logits = torch.tensor([[2.0, -1.0]])
    truth = torch.tensor([[1.0, float("nan")]])
    expected = F.binary_cross_entropy_with_logits(torch.tensor(2.0), torch.tensor(1.0))
    assert classification.SEVERAL["cross_entropy"](logits, truth, None) == pytest.approx(float(expected))


def test_unknown_numbers_weigh_nothing():
    answer, truth = torch.tensor([[1.0, 9.0]]), torch.tensor([[3.0, float("nan")]])
    assert regression.BY_NAME["l1"](answer, truth) == pytest.approx(2.0)
    assert regression.BY_NAME["mse"](answer, truth) == pytest.approx(4.0)


def test_grades_cost_more_the_further_away():
    question = Question("classification", ("none", "mild", "severe"), ordered=True)
    task = make(question)
    truth = torch.from_numpy(task.encode(Findings({"none": 1.0, "mild": 0.0, "severe": 0.0}), None))[None]

    class Says(torch.nn.Module):
        def __init__(self, logits):
            super().__init__()
            self.logits = torch.tensor([logits])

        def forward(self, images):
            return self.logits

    near = sum(task.losses(Says([5.0, -5.0]), None, truth).values())
    far = sum(task.losses(Says([5.0, 5.0]), None, truth).values())
    assert far > near
    probabilities = task.respond(Says([0.3, 2.0]), None)
    assert probabilities.min() >= 0
    assert probabilities.sum() == pytest.approx(1.0)


def test_regression_comes_back_in_its_unit():
    task = make(Question("regression", ("age",), units=("months",)), scaling=Scaling((100.0,), (20.0,)))
    encoded = task.encode(Measurements({"age": 140.0}), None)
    assert encoded[0] == pytest.approx(2.0)
    answer = task.respond(lambda images: torch.tensor([[2.0]]), None)
    decoded = task.decode(answer[0].numpy(), Decisions())
    assert decoded.values["age"] == pytest.approx(140.0)
    assert decoded.units == {"age": "months"}


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(OverreadError, match=r"'dise' is no loss for segmentation(?s:.*)dice_ce"):
        make(Question("segmentation", ("liver",), (1,)), loss="dise")


def test_exclusive_classes_need_exactly_one():
    task = make(Question("classification", ("a", "b"), positive="b"))
    with pytest.raises(OverreadError, match="Exactly one of a, b must hold"):
        task.encode(Findings({"a": 1.0, "b": 1.0}), None)


def test_temperature_softens_and_keeps_the_order():
    task = make(Question("classification", ("a", "b"), positive="b"))
    raw = np.array([0.1, 0.9])
    soft = task.decode(raw, Decisions(temperature=2.0)).probabilities
    assert 0.5 < soft["b"] < 0.9
    assert soft["a"] + soft["b"] == pytest.approx(1.0)
