"""The detectors of torchvision behind our contract: losses, answers, coordinates, precision, weights, errors."""

import copy

import numpy as np
import pytest
import torch
from torchvision import models
from torchvision.models.detection import roi_heads
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import MultiScaleRoIAlign

from overread.core.errors import OverreadError
from overread.networks import build
from overread.networks.torchvision_objects.anchors import STRIDES, anchors_for, options_for
from overread.networks.torchvision_objects.generators import FineAnchors
from overread.networks.torchvision_objects.norms import FrozenNorm, replace_batch_norms
from overread.networks.torchvision_objects.roi import ChannelsLastRoIAlign
from overread.networks.torchvision_objects.targets import from_torchvision, paste, to_torchvision

pytestmark = pytest.mark.usefixtures("as_in_training")

NAMES = ("faster_rcnn", "mask_rcnn", "retinanet", "fcos", "ssd")
SIZE = 64


def make(name, weights="random", in_channels=1, **options):
    """A detector whose first answers, hundreds of them from random weights, are few enough for a test."""
    torch.manual_seed(0)
    question = {"in_channels": in_channels, "out_channels": 2, "dimensions": 2}
    network = build(name, **question, serves="objects", options=options, weights=weights)
    if name.endswith("rcnn"):
        network.inner.roi_heads.detections_per_img = 8
        network.inner.roi_heads.fg_bg_sampler.batch_size_per_image = 32
        network.inner.rpn._post_nms_top_n = {"training": 60, "testing": 40}
    return network


def truth(*boxes, size=SIZE):
    """Boxes (y0, x0, y1, x1) in index coordinates and their numbers."""
    numbers = torch.zeros(1, size, size, dtype=torch.int16)
    for k, (y0, x0, y1, x1) in enumerate(boxes):
        numbers[0, round(y0 + 0.5) : round(y1 + 0.5), round(x0 + 0.5) : round(x1 + 0.5)] = k + 1
    rows = [[-0.5, y0, x0, 0.5, y1, x1] for y0, x0, y1, x1 in boxes]
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return {"boxes": table, "classes": torch.arange(len(boxes)) % 2, "numbers": numbers}


@pytest.fixture
def images():
    return torch.randn(2, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def targets():
    return [truth((9.5, 9.5, 39.5, 29.5), (30.5, 2.5, 60.5, 40.5)), truth()]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns_and_a_saved_network_answers_alike(name, images, targets):
    network = make(name)
    losses = network(images, targets)
    assert all(term.ndim == 0 and term.dtype == torch.float32 and torch.isfinite(term) for term in losses.values())
    sum(losses.values()).backward()
    assert [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None] == []
    network.eval()
    again = make(name).eval()
    again.load_state_dict(copy.deepcopy(network.state_dict()))
    with torch.inference_mode():
        answers, repeated = network(images), again(images)
    for answer, other in zip(answers, repeated, strict=True):
        assert {"boxes", "scores", "classes"} <= set(answer)
        assert ("masks" in answer) == (name == "mask_rcnn")
        assert all(torch.equal(answer[key], other[key]) for key in answer)
        assert len(answer["scores"]) <= 300
        assert bool((answer["scores"] >= 0.01).all())
        assert bool((answer["scores"].diff() <= 0).all())
        assert bool(((answer["boxes"][:, [1, 2]] >= -0.5) & (answer["boxes"][:, [4, 5]] <= SIZE - 0.5)).all())
        assert set(answer["classes"].tolist()) <= {0, 1}
        if name == "mask_rcnn":
            assert answer["masks"].shape == (len(answer["scores"]), SIZE, SIZE)
    assert network.features(images).ndim == 2
    assert network.divisor == (32, 32)


@pytest.mark.parametrize("name", NAMES)
def test_images_without_objects_and_with_tiny_ones_give_finite_losses(name, images):
    network = make(name)
    for targets in ([truth(), truth()], [truth((5.5, 5.5, 6.5, 6.5)), truth((0.5, 0.5, 0.5, 3.5), (8.5, 8.5, 10.5, 9.5))]):
        losses = network(images, targets)
        assert all(bool(torch.isfinite(term)) for term in losses.values())
        network.zero_grad()
        sum(losses.values()).backward()
        assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_in_eval_mode_changes_no_state(name, images, targets):
    network = make(name).eval()
    before, draws = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    with torch.no_grad():
        first, second = network(images, targets), network(images, targets)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), draws)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_and_channels_last_stay_near_float32(name, images, targets):
    network = make(name).eval()
    with torch.no_grad():
        plain = network(images, targets)
        fast = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            rough, answers = network(fast, targets), network(fast)
    for key, value in plain.items():
        assert rough[key].dtype == torch.float32
        drawn = 0.4 if name.endswith("rcnn") else 0.1  # other proposals win by a hair, and others are drawn
        assert rough[key].item() == pytest.approx(value.item(), rel=drawn, abs=0.05)
    assert all(answer["boxes"].dtype == answer["scores"].dtype == torch.float32 for answer in answers)


@pytest.mark.parametrize(
    "backbone", ["resnet34", "densenet121", "efficientnet_b0", "timm:resnet10t", "timm:mobilenetv3_small_050"]
)
@pytest.mark.parametrize("norm", ["group", "frozen"])
def test_other_backbones(backbone, norm, images, targets):
    network = make("retinanet", backbone=backbone, norm=norm)
    sum(network(images, targets).values()).backward()
    assert [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None] == []
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


def test_ssd_on_vgg_is_that_of_torchvision(targets):
    network = make("ssd", backbone="vgg16")
    assert set(network.inner.state_dict()) == set(models.detection.ssd300_vgg16(weights=None, weights_backbone=None).state_dict())
    answer = network.eval()(torch.zeros(1, 1, 300, 310))
    assert len(answer) == 1
    with pytest.raises(OverreadError, match=r"\(288, 320\) is too small for ssd on vgg16: each axis must have at least 300"):
        network(torch.zeros(1, 1, 288, 320))


def test_coordinates_go_there_and_back():
    target = truth((-0.5, -0.5, 0.5, 0.5), (9.5, 4.5, 12.5, 20.5))
    found = to_torchvision([target], (SIZE, SIZE), first_class=1, with_masks=True, source="")[0]
    assert found["boxes"].tolist() == [[0, 0, 1, 1], [5, 10, 21, 13]]
    assert found["labels"].tolist() == [1, 2]
    assert found["masks"].sum(dim=(1, 2)).tolist() == [1, 48]
    answer = {"boxes": found["boxes"], "labels": found["labels"], "scores": torch.tensor([0.3, 0.6])}
    back = from_torchvision(answer, first_class=1)
    assert torch.equal(back["boxes"], target["boxes"].flip(0))
    assert back["classes"].tolist() == [1, 0]


def test_overlapping_objects_keep_their_own_masks():
    target = truth((9.5, 9.5, 19.5, 19.5))
    second = torch.zeros(1, SIZE, SIZE, dtype=torch.int16)
    second[0, 15:25, 15:25] = 2
    boxes = torch.tensor([[-0.5, 9.5, 9.5, 0.5, 19.5, 19.5], [-0.5, 14.5, 14.5, 0.5, 24.5, 24.5]])
    target |= {"boxes": boxes, "classes": torch.tensor([0, 1]), "numbers": torch.cat([target["numbers"], second])}
    masks = to_torchvision([target], (SIZE, SIZE), first_class=1, with_masks=True, source="")[0]["masks"]
    assert masks.sum(dim=(1, 2)).tolist() == [100, 100]


def test_masks_are_pasted_where_the_box_is():
    half = torch.zeros(1, 28, 28)
    half[:, :, 14:] = 1
    pasted = paste(half, torch.tensor([[10.0, 20.0, 20.0, 40.0]]), (SIZE, SIZE))[0]
    rows, columns = np.nonzero((pasted > 0.5).numpy())
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 39, 15, 19)
    assert paste(half[:0], torch.zeros(0, 4), (8, 8)).shape == (0, 8, 8)
    assert roi_heads.paste_masks_in_image(half[:, None], torch.tensor([[10.0, 20.0, 20.0, 40.0]]), (SIZE, SIZE)).shape[-1] == SIZE


@pytest.mark.parametrize("size", [(64, 96), (65, 90)])
def test_our_roi_align_gives_the_numbers_of_torchvision(size):
    torch.manual_seed(0)
    maps = {str(k): torch.randn(2, 8, -(-size[0] // s), -(-size[1] // s)) for k, s in enumerate((4, 8, 16, 32))}
    corners = torch.rand(2, 40, 2) * 60 - 5
    boxes = list(torch.cat([corners, corners + torch.exp(torch.rand(2, 40, 2) * 5)], dim=2))
    boxes[1] = boxes[1][:3]
    found = []
    for pool in (MultiScaleRoIAlign, ChannelsLastRoIAlign):
        leaves = {name: m.clone().contiguous(memory_format=torch.channels_last).requires_grad_() for name, m in maps.items()}
        pooled = pool(list(maps), 7, 2)(leaves, boxes, [size] * 2)
        pooled.square().sum().backward()
        found.append((pooled.detach(), [leaf.grad for leaf in leaves.values()]))
    torch.testing.assert_close(found[1][0], found[0][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1][1], found[0][1], atol=1e-3, rtol=1e-3)


def test_anchors_are_those_of_torchvision_but_for_rounding():
    images, maps = ImageList(torch.zeros(2, 1, 64, 96), [(64, 96)] * 2), [torch.zeros(2, 4, 8, 12), torch.zeros(2, 4, 4, 6)]
    theirs = AnchorGenerator(((32.0,), (64.0,)), ((0.25, 1.0, 4.0),) * 2)(images, maps)
    ours = FineAnchors([(32.0,), (64.0,)], (0.25, 1.0, 4.0))
    assert torch.equal(ours(images, maps)[1], theirs[1])
    assert ours(images, [level.bfloat16() for level in maps])[0].dtype == torch.float32
    assert ours(images, maps)[0] is ours(images, maps)[0]


def test_frozen_norm_is_that_of_torchvision():
    norm = models.detection.backbone_utils.misc_nn_ops.FrozenBatchNorm2d(4)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    ours = FrozenNorm(4)
    ours.load_state_dict(norm.state_dict())
    images = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(ours(images), norm(images))
    assert ours(images.bfloat16()).dtype == torch.bfloat16


def test_norms_are_replaced_with_their_activation():
    import timm

    body = timm.create_model("mobilenetv3_small_050", features_only=True, pretrained=False)
    names = {name for name in body.state_dict() if "num_batches" not in name}
    replace_batch_norms(body, "frozen")
    assert set(body.state_dict()) == names


def test_published_weights_come_in_and_the_head_stays_random(tmp_path, monkeypatch):
    """torchvision looks into the hub's folder first; the file there is made here."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    whole = models.detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    address = models.detection.RetinaNet_ResNet50_FPN_Weights.DEFAULT.url
    torch.save(whole.state_dict(), tmp_path / "hub" / "checkpoints" / address.rsplit("/", 1)[1])
    network = make("retinanet", weights="hub", **options_for("retinanet", "hub"))
    own, given = network.inner.state_dict(), whole.state_dict()
    assert torch.equal(own["backbone.body.layer3.2.conv2.weight"], given["backbone.body.layer3.2.conv2.weight"])
    assert torch.equal(own["head.regression_head.bbox_reg.weight"], given["head.regression_head.bbox_reg.weight"])
    assert network.weights_loaded.adapted == ("backbone.body.conv1.weight",)
    assert set(network.weights_loaded.random) == {
        "head.classification_head.cls_logits.weight",
        "head.classification_head.cls_logits.bias",
    }
    assert any(not p.requires_grad for p in network.inner.backbone.body.parameters())


def test_published_weights_want_frozen_statistics():
    with pytest.raises(OverreadError, match="learned with batch normalisation, and this network has norm = 'group'"):
        make("retinanet", weights="hub", backbone="resnet50")


def test_a_file_of_weights(tmp_path):
    network = make("fcos")
    torch.save(network.state_dict(), tmp_path / "own.pt")
    again = make("fcos", weights=tmp_path / "own.pt")
    assert not again.weights_loaded.random


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("retinanet", {"backbone": "resnet19"}, "torchvision has no network called 'resnet19'"),
        ("retinanet", {"backbone": "vit_b_16"}, "vit_b_16 gives no pyramid"),
        ("retinanet", {"norm": "batch"}, "have no normalisation 'batch'"),
        ("retinanet", {"anchor_sizes": [8, 16]}, "anchor_sizes wants 5 sizes"),
        ("ssd", {"anchor_sizes": [8, 16]}, "anchor_sizes of ssd wants 5 sizes"),
        ("fcos", {"backbone": "densenet121", "trainable_layers": 3}, "layers of densenet121 cannot be kept"),
        ("faster_rcnn", {"trainable_layers": 7}, "trainable_layers is 7"),
    ],
)
def test_errors_name_what_is_wrong(name, options, message):
    with pytest.raises(OverreadError, match=message):
        make(name, **options)


def test_errors_of_images_and_truth(images):
    with pytest.raises(OverreadError, match=r"\(64, 80\) does not fit retinanet: each axis must be a multiple of \(32, 32\)"):
        make("retinanet")(torch.zeros(1, 1, 64, 80))
    boxes_alone = {key: value for key, value in truth((9.5, 9.5, 39.5, 29.5)).items() if key != "numbers"}
    with pytest.raises(OverreadError, match="mask_rcnn learns outlines"):
        make("mask_rcnn")(images[:1], [boxes_alone])


def test_anchors_follow_the_objects():
    sizes = [(1, 4, 4), (1, 10, 10), (1, 20, 20), (1, 40, 40), (1, 90, 90)]
    found = anchors_for(sizes, STRIDES["retinanet"])
    assert found.sizes == (10.0, 20.0, 40.0, 80.0, 160.0)
    assert found.aspect_ratios == (0.5, 1.0, 2.0)
    assert "objects are 10 to 40 pixels across" in found.reason
    assert "those below 24 pixels may lie between the anchors, which stand 8 pixels apart" in found.reason
    tall = anchors_for([(1, 100, 25)] * 5, STRIDES["faster_rcnn"])
    assert tall.aspect_ratios == (2.0, 4.0, 8.0)
    assert "4.0 times as high as wide" in tall.reason
    wide_range = anchors_for([(4, 4), (4, 4), (30, 30), (1024, 1024), (1024, 1024)], STRIDES["mask_rcnn"])
    assert wide_range.sizes == (4.0, 16.0, 64.0, 256.0, 1024.0)
    options = options_for("retinanet", "random", found)
    assert options["anchor_sizes"] == [10.0, 20.0, 40.0, 80.0, 160.0]
    assert "anchor_sizes" not in options_for("fcos", "hub", found)
    assert options_for("ssd", "hub")["backbone"] == "vgg16"
