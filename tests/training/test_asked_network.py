"""Networks that are asked for by name: what cannot answer a task is refused with what can."""

from __future__ import annotations

import pytest

from overread.core.errors import OverreadError
from overread.tasks.table import TASKS
from overread.training.asked_network import refuse_unfit_network


@pytest.mark.parametrize(
    ("task", "name", "said"),
    [
        ("segmentation", "resnet18", "resnet18 does not answer segmentation.\n  Next: choose one of unet"),
        ("classification", "mask_rcnn", "mask_rcnn does not answer classification.\n  Next: choose one of resnet10"),
        ("synthesize", "timm:resnet18", "timm:resnet18 does not answer synthesize.\n  Next: choose one of "),
        ("detection", "resnet19", "Overread has no network called 'resnet19'\n  Next: did you mean segresnet, retinanet"),
        ("detection", "mask_rcn", "Next: did you mean mask_rcnn"),
    ],
)
def test_what_cannot_answer_is_refused(task: str, name: str, said: str) -> None:
    with pytest.raises(OverreadError) as refused:
        refuse_unfit_network(task, name)
    assert said in str(refused.value)


@pytest.mark.parametrize("task", TASKS)
def test_the_plan_may_choose_for_every_task(task: str) -> None:
    refuse_unfit_network(task, "auto")


@pytest.mark.parametrize(
    ("task", "name"),
    [("detection", "unet"), ("instances", "mask_rcnn"), ("classification", "timm:resnet18"), ("vae", "variational_autoencoder")],
)
def test_what_can_answer_passes(task: str, name: str) -> None:
    refuse_unfit_network(task, name)
