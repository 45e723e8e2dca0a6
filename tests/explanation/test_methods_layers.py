"""Layers are asked by name, the usual one is chosen well, and nothing that follows changes what a layer gave."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from asked_toys import WAYS, asked_of
from method_toys import Plain, asked_about, seeded, state_of
from overread import networks
from overread.core.errors import OverreadError
from overread.explanation.methods.class_activation import ClassActivation
from overread.explanation.methods.grad_cam import GradCam, GradCamPlusPlus, maps_and_slopes
from overread.explanation.methods.layers import chosen_layer, layers_of, parameters_used
from overread.explanation.methods.saliency import Saliency

USUAL = {
    "classification-2d-resnet10": "stages",
    "segmentation-2d-unet": "decoder.2",
    "detection-2d-unet": "decoder.2",
    "detection-2d-centre_detector": "pyramid",
    "detection-2d-retinanet": "inner.backbone",
    "instances-2d-centre_offset_unet": "decoder.2",
}


def of_library(name: str, dimensions: int = 2, **options: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return networks.build(name, in_channels=1, out_channels=3, dimensions=dimensions, serves="image", options=options)


@pytest.mark.parametrize("way", [w for w in WAYS if str(w) in USUAL], ids=str)
def test_the_usual_layer_of_our_networks(way: object) -> None:
    assert chosen_layer(asked_of(way), None) == USUAL[str(way)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "layer", "has_class_map"),
    [
        ("torchvision:resnet18", "inner.layer4", True),
        ("torchvision:mobilenet_v2", "inner.features", True),
        ("torchvision:densenet121", "inner.features", True),
        ("timm:resnet10t", "inner.layer4", True),
        ("timm:efficientnet_b0", "inner.bn2", True),
        ("timm:convnext_atto", "inner.stages", False),
        ("timm:vit_tiny_patch16_224", None, False),
    ],
)
def test_the_usual_layer_of_networks_of_others_is_their_last_map(name: str, layer: str | None, has_class_map: bool) -> None:
    size = (224, 224) if "vit" in name else (64, 64)
    asked = asked_about(of_library(name), size)
    assert chosen_layer(asked, None) == layer
    assert (ClassActivation().refusal(asked) is None) == has_class_map
    refusal = GradCam().refusal(asked)
    assert (refusal is None) == (layer is not None)
    if refusal is None:
        assert np.isfinite(GradCam()(asked)).all()
    else:
        assert "attention_rollout" in refusal


@pytest.mark.parametrize("name", ["monai:BasicUNet", "torchvision:lraspp_mobilenet_v3_large", "torchvision:fcn_resnet50"])
def test_a_network_of_others_that_answers_per_voxel_is_asked_before_its_answer(name: str) -> None:
    dense = asked_of(next(w for w in WAYS if str(w) == "segmentation-2d-unet"))
    network = networks.build(name, in_channels=1, out_channels=3, dimensions=2, serves="dense").eval()
    asked = dense.with_network(network)
    layer = chosen_layer(asked, None)
    assert layer is not None
    assert layers_of(asked)[layer][0] != 3
    assert GradCam()(asked).shape == asked.patch


def test_grad_cam_of_the_last_stage_of_a_u_net_is_its_own_logit_and_the_bottleneck_of_instance_norms_is_mute() -> None:
    """What the choice of the layer rests on: a normalisation takes the mean slope of all that comes before away."""
    asked = asked_of(next(w for w in WAYS if str(w) == "segmentation-2d-unet"))
    assert asked.target.voxels is not None
    head = asked.network.get_submodule("heads.2")
    (maps,), (slopes,) = maps_and_slopes(asked, "decoder.2")
    weights = head.weight[asked.target.number + 1].flatten()  # type: ignore[union-attr, index]
    logit = torch.einsum("c,cyx->yx", weights, maps).clamp_min(0).detach()
    np.testing.assert_allclose(GradCam()(asked)[0] * maps[0].numel(), logit.numpy(), rtol=1e-3, atol=1e-4)

    def share_of_mean(each: Tensor) -> float:
        return float(each.flatten(1).mean(1).abs().mean() / each.abs().mean())

    (_, (deep,)) = maps_and_slopes(asked, "encoder.0.1.conv")
    assert share_of_mean(deep) < 1e-3 < share_of_mean(slopes)


def test_maps_with_channels_last_are_told_by_their_edges() -> None:
    asked = asked_about(of_library("timm:swin_tiny_patch4_window7_224", img_size=64, window_size=4), (64, 64))
    shapes = layers_of(asked)
    assert shapes["inner.layers.0"] == (96, 16, 16)
    assert shapes["inner.layers.3"] == (768, 2, 2)
    assert GradCam().refusal(asked) is None
    assert GradCam()(asked).shape == (1, 64, 64)


def test_a_layer_that_does_not_exist_is_refused_with_the_nearest() -> None:
    asked = asked_about(seeded(Plain), (32, 24))
    with pytest.raises(OverreadError, match=r"The network has no layer 'secnd'\.") as refusal:
        GradCam("secnd").refusal(asked)
    assert refusal.value.next == "did you mean second?"
    with pytest.raises(OverreadError, match=r"no layer 'zzz'") as refusal:
        GradCamPlusPlus("zzz")(asked)
    assert refusal.value.next == "choose one of first, act, second, last_act"


def test_a_layer_without_maps_is_refused() -> None:
    asked = asked_about(seeded(Plain), (32, 24))
    with pytest.raises(OverreadError, match=r"The layer 'head' gives no maps of the image\."):
        GradCam("head")(asked)


def test_a_layer_that_the_answer_does_not_go_through_is_refused() -> None:
    class WithSpare(Plain):
        def forward(self, images: Tensor) -> Tensor:
            self.act(self.first(images))
            return self.head(self.second(self.first(images)).flatten(2).mean(2))

    with pytest.raises(OverreadError, match=r"The layer 'act' has no part in this answer\."):
        GradCam("act")(asked_about(seeded(WithSpare), (32, 24)))


def test_the_layer_that_was_used_is_told() -> None:
    asked = asked_of(WAYS[0])
    assert parameters_used(GradCam(), asked) == {"layer": "stages"}
    assert parameters_used(GradCam("stem.0"), asked) == {"layer": "stem.0"}
    assert parameters_used(Saliency(), asked) == {}


def test_what_follows_in_place_changes_no_kept_map() -> None:
    apart, inplace = (asked_about(seeded(Plain, is_inplace=flag), (32, 24)) for flag in (False, True))
    for layer in ("first", "second", "act"):
        wanted, found = maps_and_slopes(apart, layer), maps_and_slopes(inplace, layer)
        for one, other in zip(wanted, found, strict=True):
            torch.testing.assert_close(one[0], other[0])
        np.testing.assert_array_equal(GradCam(layer)(apart), GradCam(layer)(inplace))


def test_maps_of_a_layer_that_runs_at_every_stride_are_added() -> None:
    asked = asked_of(next(w for w in WAYS if w.network == "retinanet"))
    maps, _ = maps_and_slopes(asked, "inner.head.classification_head.conv.3")
    assert len({tuple(each.shape[1:]) for each in maps}) > 1
    assert GradCam("inner.head.classification_head.conv.3")(asked).max() > 0


@pytest.mark.parametrize("layer", ["stem.0", "stages.0", "stages.2.body.1", "stages"])
def test_every_layer_of_our_resnet_can_be_asked(layer: str) -> None:
    asked = asked_of(WAYS[0])
    before = state_of(asked.network)
    assert layer in layers_of(asked)
    assert np.isfinite(GradCamPlusPlus(layer)(asked)).all()
    assert state_of(asked.network) == before
