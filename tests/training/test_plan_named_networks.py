"""The plan gives a network what its row takes: the size of the image, and channels that a processor can train."""

from __future__ import annotations

import pytest
import torch

from overread.cohort.fingerprint import Fingerprint, Intensity
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.reading.model import build_network
from overread.training.plan import Plan, make_plan
from overread.training.wishes import Wishes
from tiny_image_networks import NAMES, SLOW

PNEUMONIA = Question("classification", ("normal", "pneumonia"), positive="pneumonia")


def plan_for(name: str, edge: int = 128, depth: int = 1, device: str = "cpu", **options: object) -> Plan:
    shapes = ((float(depth), float(edge), float(edge)),) * 5
    level = (Intensity(50.0, 40.0, -100.0, 200.0, -1000.0, 1500.0),)
    counts = {"normal": 25, "pneumonia": 75}
    planar = depth == 1
    spacings = () if planar else ((1.0, 1.0, 1.0),) * 5
    facts = Fingerprint(100, 100, planar, not planar, shapes, spacings, ("image",), "a.u.", "", level, level, counts, {})
    return make_plan(PNEUMONIA, facts, Wishes(architecture=name, network=dict(options)), device=device)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.every_row) if n in SLOW else n for n in NAMES])
def test_every_network_is_planned_and_built(name: str) -> None:
    if name == "swin_tiny":
        pytest.skip("timm's cannot be built without values")
    plan = plan_for(name)
    assert plan.network["options"]["image_size"] == [128, 128]
    with torch.device("meta"):
        network = build_network(plan.network)
        assert network(torch.zeros(4, 1, 128, 128)).shape == (4, 2)


def test_channels_follow_the_published_ones_of_the_row() -> None:
    for name, published in (("resnet18", 64), ("vgg11", 64), ("convnext_tiny", 96), ("densenet40", 24)):
        assert plan_for(name).network["options"]["width"] == published // 2
        assert plan_for(name, edge=28).network["options"]["width"] == published // 4
        plan = plan_for(name, device="cuda")
        assert plan.network["options"]["width"] == published
        assert plan.reasons["width"] == f"{published} channels as published"
    assert "width" not in plan_for("efficientnet_b0").network["options"]


def test_what_is_set_stands() -> None:
    plan = plan_for("vgg11", width=8, norm="batch")
    assert plan.network["options"] == {"image_size": [128, 128], "width": 8, "norm": "batch"}
    assert plan.reasons["width"] == "set in project.toml"


def test_images_too_small_for_a_network_are_refused_with_the_patch_that_would_do() -> None:
    plan = plan_for("alexnet", edge=28)
    with pytest.raises(OverreadError, match=r"at least 63 pixels(?s:.*)patch = \[1, 63, 63\]"):
        build_network(plan.network)
