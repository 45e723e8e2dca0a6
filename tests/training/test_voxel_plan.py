"""The plan of a network per voxel: its window, options and answers follow from what its row says, whatever its name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import tiny_voxel_networks
from overread.cohort.fingerprint import Fingerprint, Intensity
from overread.cohort.object_facts import ObjectFacts
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.networks.table import ARCHITECTURES
from overread.reading.model import build_network
from overread.training.plan import Plan, make_plan
from overread.training.wishes import CPU, GPU, Wishes

LIVER = Question("segmentation", ("liver", "lesion"), (1, 2))
SIZES = {2: (1, 90, 70), 3: (35, 51, 36)}
LAID_OUT = ("unet", "residual_unet", "attention_unet", "unet_plus_plus", "vnet", "segnet")


def facts(shape: tuple[float, ...], spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Fingerprint:
    level = (Intensity(50.0, 40.0, -100.0, 200.0, -1000.0, 1500.0),)
    counts = {"liver": 100, "lesion": 20}
    planar = shape[0] == 1
    return Fingerprint(100, 100, planar, not planar, (shape,) * 5, (spacing,) * 5, ("image",), "a.u.", "", level, level, counts)


def planned(name: str, dimensions: int, *, device: str = "cpu", **wishes: object) -> Plan:
    asked = Wishes(architecture=name, **wishes)  # type: ignore[arg-type]
    return make_plan(LIVER, facts(SIZES[dimensions]), asked, device=device)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", tiny_voxel_networks.NAMES)
def test_the_window_is_a_multiple_of_what_the_network_needs(name: str, dimensions: int) -> None:
    plan = planned(name, dimensions)
    options, row = plan.network["options"], ARCHITECTURES[name]
    window = plan.preparation.patch[3 - dimensions :]
    assert all(n % by == 0 for n, by in zip(window, row.divisor(dimensions, options), strict=True))
    assert set(options) <= set(row.options)
    assert ("strides" in options) == (name in LAID_OUT)
    assert all(options[option] == list(window) for option in ("image_size", "img_size") if option in row.options)
    assert plan.deep_supervision == row.scales
    if name in LAID_OUT:
        assert options["features"][0] == CPU.base_features


@pytest.mark.parametrize("name", ["attention_unet", "segnet", "fcn", "deeplab_v3_plus", "pspnet", "fc_densenet"])
def test_what_is_planned_can_be_built_and_reads_its_window(name: str) -> None:
    plan = planned(name, 2)
    network = build_network(plan.network).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, *plan.preparation.patch[1:])).shape == (1, 3, *plan.preparation.patch[1:])


def test_a_window_that_grows_says_why() -> None:
    plan = planned("swin_unetr", 3)
    assert plan.preparation.patch == (64, 64, 64)
    assert "rounded up to a multiple of 32 x 32 x 32, as swin_unetr needs" in plan.reasons["patch"]
    assert "rounded" not in planned("unet", 3).reasons["patch"]


def test_a_network_of_a_library_gets_its_window_and_its_size_too() -> None:
    plan = planned("monai:UNETR", 3)
    assert plan.preparation.patch == (48, 64, 48)
    assert plan.network["options"] == {"img_size": [48, 64, 48]}
    assert not plan.deep_supervision
    assert "one answer" in plan.reasons["deep_supervision"]


def test_without_a_gpu_networks_are_narrower_than_published() -> None:
    assert planned("deeplab_v3_plus", 2).network["options"]["encoder"] == "resnet18"
    assert set(planned("deeplab_v3_plus", 2, device="cuda").network["options"]) == {"image_size"}
    assert planned("vnet", 3, device="cuda").network["options"]["features"][0] == GPU.base_features


def test_what_the_settings_say_of_the_network_comes_first() -> None:
    narrow = planned("unet", 2, network={"base_features": 8, "skips": False}).network["options"]
    assert narrow["features"][:2] == [8, 16]
    assert narrow["skips"] is False
    steps = [[1, 1], [2, 2], [2, 2], [2, 2], [2, 2], [2, 2]]
    plan = planned("unet", 2, network={"strides": steps})
    assert plan.network["options"] == {"base_features": 16, "strides": steps}
    assert plan.preparation.patch == (1, 96, 96)  # 80 would do for the stages that the plan lays out
    assert len(build_network(plan.network).encoder) == 6
    assert planned("fcn", 2, network={"encoder": "vgg11"}).network["options"]["encoder"] == "vgg11"


def test_thick_slices_keep_flat_kernels_in_wide_ones_too() -> None:
    plan = make_plan(LIVER, facts((20, 64, 64), (5.0, 1.0, 1.0)), Wishes(architecture="vnet", network={"base_features": 4}))
    network = build_network(plan.network)
    assert network.entry.conv.kernel_size == (1, 5, 5)
    assert network.divisor[0] < network.divisor[1]


REFUSED = [
    ("vnet", {"deep_supervision": True}, "Deep supervision asks a network for several answers, and vnet has one"),
    ("unetr", {"network": {"img_size": [32, 32]}}, r"img_size = \[32, 32\], but the window that unetr reads has"),
    ("unet", {"network": {"strides": [[1, 1, 1], [2, 2, 2]]}}, "need 2 numbers each"),
    ("unet", {"network": {"base_features": True}}, "base_features = True is no number of channels"),
    ("unet", {"network": {"base_features": "few"}}, "base_features = few is no number of channels.\n  Next: set 16, or leave it"),
    (
        "fc_densenet",
        {"network": {"depth": 50}},
        "no Tiramisu was published with 50 layers\n  Next: set depth to one of 56, 67, 103",
    ),
]


@pytest.mark.parametrize(("name", "wishes", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_wishes_that_do_not_fit_are_refused(name: str, wishes: dict, message: str) -> None:
    with pytest.raises(OverreadError, match=message):
        planned(name, 2, **wishes)


@pytest.mark.parametrize("name", tiny_voxel_networks.NAMES)
def test_objects_by_the_dense_route_take_every_network_per_voxel(name: str) -> None:
    sizes = tuple((1.0, 20.0 * f, 20.0 * f) for f in (0.5, 0.7, 1.0, 1.5, 2.0))
    cells = ObjectFacts(100, 50, sizes, (1, 2, 3, 4, 5), (1, 1, 2, 3, 4))  # type: ignore[arg-type]
    given = replace(facts((1, 640, 600)), objects={"cell": cells}, have_voxels=True, class_counts={"cell": 50})
    plan = make_plan(Question("instances", ("cell",)), given, Wishes(architecture=name))
    options, row = plan.network["options"], ARCHITECTURES[name]
    assert plan.network["serves"] == "dense"
    assert set(options) <= set(row.options)
    assert all(n % by == 0 for n, by in zip(plan.preparation.patch[1:], row.divisor(2, options), strict=True))
    assert plan.preparation.shape in (None, plan.preparation.patch)
