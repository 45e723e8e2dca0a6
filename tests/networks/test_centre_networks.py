"""Our detector and our network of centres: what they are taught, what they answer, and that they learn."""

import math

import pytest
import torch

from overread.core.errors import OverreadError
from overread.networks import build
from overread.networks.objects.losses import modified_focal
from overread.networks.objects.targets import places_of, shares_of

pytestmark = pytest.mark.usefixtures("as_in_training")


def detector(dimensions: int, **options):
    torch.manual_seed(0)
    return build(
        "centre_detector",
        in_channels=1,
        out_channels=2,
        dimensions=dimensions,
        serves="objects",
        options={"base_features": 4, **options},
    )


def target(boxes, classes, dimensions: int = 3):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 2 * dimensions)
    if dimensions == 2:
        low, high = boxes[:, :2], boxes[:, 2:]
        flat = torch.full((len(boxes), 1), 0.5)
        boxes = torch.cat([-flat, low, flat, high], 1)
    return {"boxes": boxes, "classes": torch.tensor(classes, dtype=torch.int64)}


def test_heat_is_one_at_the_centre_and_as_wide_as_the_object():
    places = places_of(target([[-0.5, 3.5, 15.5, 31.5]], [1], 2), 2, (8, 16), (4, 4))
    assert places.heat[0].max() == 0
    assert places.heat[1, 2, 4] == 1  # rows 0..15 have their middle at 7.5, columns 4..31 at 17.5: places 2 and 4
    assert (places.heat[1] == 1).sum() == 1
    sigma = torch.tensor([4, 7]) * 0.54 / 6  # rows, columns in places
    assert places.heat[1, 2, 5] == pytest.approx(float(torch.exp(-0.5 / sigma[1] ** 2)), rel=1e-5)
    assert places.weights.sum() == pytest.approx(1.0)


def test_objects_weigh_the_same_and_places_go_to_the_nearer():
    places = places_of(target([[0, 0, 0, 4, 4, 4], [0, 0, 8, 30, 30, 31.0]], [0, 0]), 1, (16, 16, 16), (2, 2, 2))
    small = places.boxes[:, 5] == 4
    assert places.weights[small].sum() == pytest.approx(1.0)
    assert places.weights[~small].sum() == pytest.approx(1.0)
    empty = places_of(target([], []), 1, (4, 4, 4), (2, 2, 2))
    assert empty.heat.shape == (1, 4, 4, 4)
    assert len(empty.where) == 0


def test_an_object_that_the_window_cuts_is_asked_for_as_a_whole():
    cut = target([[-0.5, -0.5, 7.5, 5.5]], [0], 2)
    whole = target([[-0.5, -8.5, 7.5, 5.5]], [0], 2)["boxes"]
    places = places_of({**cut, "whole": whole}, 1, (8, 8), (2, 2))
    assert places.heat[0, 2, 0] == 1  # rows 0..7 have their middle at 3.5: place 2; columns -8..5 theirs outside
    assert (places.heat == 1).sum() == 1
    assert torch.equal(places.boxes, whole.expand_as(places.boxes))


def test_the_focal_loss_of_heat_by_its_formula():
    logits, heat = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)), torch.rand(2, 3, 5)
    heat[0, 0, 0] = heat[1, 1, 1] = 1
    p, total = logits.sigmoid(), 0.0
    for answer, truth in zip(p.flatten(), heat.flatten(), strict=True):
        total -= (1 - answer) ** 2 * answer.log() if truth == 1 else (1 - truth) ** 4 * answer**2 * (1 - answer).log()
    assert modified_focal(logits, heat) == pytest.approx(float(total / 2), rel=1e-5)
    assert modified_focal(logits, heat * 0.5) > 0  # no centre in sight: still finite


def test_shares_of_coarser_places():
    numbers = torch.zeros(1, 4, 8, dtype=torch.int16)
    numbers[0, :2, :4], numbers[0, 2:, 4:] = 1, 2
    taught = {**target([[0, 0, 1, 3], [2, 4, 3, 7.0]], [1, 0], 2), "numbers": numbers}
    torch.testing.assert_close(shares_of(taught, 2, (4, 4)), torch.tensor([[[0, 0.5]], [[0.5, 0]]]))
    assert shares_of(target([], [], 2), 2, (4, 4)) is None


@pytest.mark.parametrize("dimensions", [2, 3])
def test_answers_are_sorted_lists_inside_the_image(dimensions):
    network = detector(dimensions).eval()
    assert network.stride == ((4, 4) if dimensions == 2 else (2, 2, 2))
    with torch.inference_mode():
        answers = network(torch.randn(2, 1, *(32,) * dimensions))
    for one in answers:
        assert one["boxes"].shape == (len(one["scores"]), 6)
        assert len(one["scores"]) <= 300
        assert (one["scores"].diff() <= 0).all()
        assert ((one["scores"] >= 0.01) & (one["scores"] <= 1)).all()
        assert one["classes"].dtype == torch.int64
        assert one["boxes"].min() >= -0.5
        assert one["boxes"].max() <= 31.5
        if dimensions == 2:
            assert (one["boxes"][:, [0, 3]] == torch.tensor([-0.5, 0.5])).all()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_losses_have_gradients_with_and_without_objects_and_voxels(dimensions):
    network, images = detector(dimensions), torch.randn(2, 1, *(16,) * dimensions)
    box = [[2.0] * dimensions + [9.0] * dimensions]
    numbers = torch.zeros(1, *(16,) * dimensions, dtype=torch.int16)
    numbers[(0, *[slice(3, 9)] * dimensions)] = 1
    with_voxels = {**target(box, [1], dimensions), "numbers": numbers}
    for taught in ([with_voxels, target([], [], dimensions)], [target([], [], dimensions)] * 2):
        network.zero_grad(set_to_none=True)
        terms = network(images, targets=taught)
        assert set(terms) == {"heat", "boxes", "segmentation"}
        sum(terms.values()).backward()
        assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
        assert all(torch.isfinite(value) for value in terms.values())
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(images, targets=[with_voxels] * 2)
    exact = network.eval()(images, targets=[with_voxels] * 2)
    for name, value in exact.items():
        assert rough[name].dtype == torch.float32
        torch.testing.assert_close(rough[name], value, rtol=0.05, atol=0.02)


def test_the_stride_follows_thick_slices_and_is_checked():
    strides = ((1, 1, 1), (1, 2, 2), (2, 2, 2))
    assert detector(3, strides=strides, coarsest=(1, 4, 4)).stride == (1, 2, 2)
    assert detector(3, strides=strides, coarsest=4).stride == (2, 4, 4)
    assert detector(3, strides=strides, coarsest=1).stride == (1, 1, 1)
    with pytest.raises(OverreadError, match="coarsest of a 3D detector needs 3 whole numbers of 1 or more; got"):
        detector(3, coarsest=(2, 2))
    with pytest.raises(OverreadError, match="leaves one voxel"):
        detector(2)(torch.randn(1, 1, 8, 8))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_network_of_centres_has_a_channel_for_each_thing(dimensions):
    torch.manual_seed(0)
    network = build(
        "centre_offset_unet", in_channels=1, out_channels=2, dimensions=dimensions, serves="centres", options={"base_features": 4}
    )
    images = torch.randn(1, 1, *(16,) * dimensions)
    answers = network(images)
    assert answers.shape == (1, 3 + 1 + dimensions, *images.shape[2:])
    with torch.autocast("cpu", torch.bfloat16):
        assert network(images).dtype == torch.float32


def test_boxes_that_overlap_are_dropped_or_fall_in_score():
    heat, boxes = torch.full((2, 16, 16), -9.0), torch.zeros(4, 16, 16)
    heat[0, 7, 6], heat[0, 7, 8], boxes[2:] = 2.0, 1.0, math.log(2)  # edges of 8 places, 2 places apart: IoU 6 / 10
    hard, soft = (detector(2, duplicates=name)._answer(heat, boxes) for name in ("nms", "soft_nms"))
    first, second = torch.tensor([2.0, 1.0]).sigmoid().tolist()
    assert hard["scores"].tolist() == pytest.approx([first])
    assert soft["scores"].tolist() == pytest.approx([first, second * math.exp(-(0.6**2) / 0.5)])
    assert torch.equal(soft["boxes"][0], hard["boxes"][0])
    with pytest.raises(OverreadError, match="thins out its boxes by nms or soft_nms, not by 'wbf'"):
        detector(2, duplicates="wbf")
