"""The theoretical receptive field of every layer against a brute-force one: which voxels have a gradient at all."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from overread import networks
from overread.networks.anatomy.body import body_of
from overread.networks.anatomy.receptive_field import receptive_fields
from overread.networks.blocks.norms import Activated, InstanceNorm
from overread.networks.dense.unet import UNet

UNET = {"features": [2, 2, 2], "kernels": [[3, 3]] * 3, "strides": [[1, 1], [2, 2], [2, 2]]}
FLAT = {"features": [2, 2], "kernels": [[1, 3, 3], [3, 3, 3]], "strides": [[1, 1, 1], [1, 2, 2]]}
CASES = [
    ("unet", 2, "dense", UNET, (96, 96), ["encoder.1", "upsample.0", "decoder.0", "heads.1"]),
    ("unet", 3, "dense", FLAT, (12, 32, 32), ["encoder.1", "decoder.0"]),
    ("residual_unet", 2, "dense", {**UNET, "encoder_blocks": [1, 2, 2]}, (128, 128), ["stem", "encoder.2", "decoder.1"]),
    ("centre_detector", 2, "objects", UNET, (96, 96), ["pyramid.encoder.2", "pyramid", "heat.last", "segmentation"]),
    ("centre_offset_unet", 2, "centres", UNET, (96, 96), ["heads.0", "offset"]),
    ("resnet10", 2, "image", {"width": 2}, (288, 288), ["stem", "stages.1", "stages.2.shortcut", "stages.3"]),
    ("resnet10", 3, "image", {"width": 2, "keeps_size": True}, (24, 24, 24), ["stem", "stages.1"]),
    ("monai:DynUNet", 2, "dense", {}, (64, 64), ["inner.input_block", "inner.bottleneck"]),
]


@pytest.mark.parametrize(("name", "axes", "serves", "options", "size", "layers"), CASES, ids=[f"{c[0]}-{c[1]}d" for c in CASES])
def test_a_field_is_as_wide_as_the_gradient_of_the_furthest_unit(name, axes, serves, options, size, layers) -> None:
    network = body_of(
        networks.build(name, in_channels=1, out_channels=2, dimensions=axes, serves=serves, options=options, weights="random")
    )
    fields = receptive_fields(network, (1, 1, *size))
    linear = all_positive(network)
    for layer in layers:
        assert fields[layer, 0].size == brute_force(linear, layer, size), layer
        assert fields[layer, 0].why == ""


def test_dilation_steps_padding_and_branches_by_hand() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.near = nn.Conv2d(1, 2, 3, padding=1)
            self.far = nn.Conv2d(1, 2, 3, padding=4, dilation=4)
            self.down = nn.MaxPool2d(3, 2, 1)
            self.last = nn.Conv2d(4, 1, (1, 5), padding=(0, 2))

        def forward(self, images: Tensor) -> Tensor:
            return self.last(self.down(torch.cat([self.near(images), self.far(images)], 1)))

    fields = receptive_fields(Branches(), (1, 1, 64, 64))
    assert fields["near", 0].size == (3, 3)
    assert fields["far", 0].size == (9, 9)
    assert fields["down", 0].size == (11, 11)  # 9 + 2
    assert fields["last", 0].size == (11, 19)  # four steps of 2 more along the rows


def test_pooling_over_the_image_reads_the_whole_of_it() -> None:
    network = networks.build("resnet10", in_channels=1, out_channels=2, dimensions=2, serves="image", options={"width": 2})
    fields = receptive_fields(network, (1, 1, 64, 64))
    assert fields["head", 0].is_whole
    assert fields["head", 0].why == ""


def test_behind_a_fixed_grid_fields_are_those_of_the_image_at_hand() -> None:
    network = networks.build("lenet", in_channels=1, out_channels=2, dimensions=2, serves="image", options={})
    fields = receptive_fields(network, (1, 1, 32, 32))
    assert fields["head", 0].is_whole
    assert fields["stages.1", 0].size == (16, 16)
    assert fields["neck", 0].is_whole


def test_a_place_of_a_fixed_grid_reads_its_share_of_the_image() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.AdaptiveAvgPool2d(4), nn.Conv2d(1, 1, 1))
    for edge in (64, 128):
        fields = receptive_fields(network, (1, 1, edge, edge))
        assert fields["0", 0].size == (3, 3)
        for layer in ("1", "2"):
            assert fields[layer, 0].size == brute_force(all_positive(network), layer, (edge, edge)) == (edge // 4 + 2,) * 2


def test_attention_is_said_to_have_no_exact_field() -> None:
    options = {"img_size": 64, "patch_size": 16, "embed_dim": 16, "depth": 1, "num_heads": 2}
    network = networks.build(
        "timm:vit_tiny_patch16_224", in_channels=1, out_channels=2, dimensions=2, serves="image", options=options
    )
    fields = receptive_fields(network, (1, 1, 64, 64))
    assert fields["inner.patch_embed.proj", 0].size == (16, 16)
    assert fields["inner.blocks.0", 0].is_whole
    assert fields["inner.blocks.0", 0].why


def all_positive(network: nn.Module) -> nn.Module:
    """The same connections with equal positive weights, no activation, no statistics, and means in place of maxima."""
    linear = copy.deepcopy(network).eval()
    for parent in list(linear.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InstanceNorm | Activated | nn.ReLU | nn.LeakyReLU | nn.modules.batchnorm._NormBase):
                setattr(parent, name, nn.Identity())
            if isinstance(child, nn.MaxPool2d | nn.MaxPool3d):
                mean = nn.AvgPool2d if isinstance(child, nn.MaxPool2d) else nn.AvgPool3d
                setattr(parent, name, mean(child.kernel_size, child.stride, child.padding))
    for weight in linear.parameters():
        nn.init.constant_(weight, 1 / max(1, weight[0].numel()))
    return linear


def brute_force(network: nn.Module, layer: str, size: tuple[int, ...]) -> tuple[int, ...]:
    """The widest extent of the gradient along each axis, over units around the middle."""
    images = torch.ones((1, 1, *size), requires_grad=True)
    kept: list[Tensor] = []
    with network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output)):
        network(images)
    maps = kept[0][0].sum(0)
    widest = [0] * len(size)
    around = [range(n // 2, min(n, n // 2 + max(1, 4 * n // whole + 1))) for n, whole in zip(maps.shape, size, strict=True)]
    for place in itertools.product(*around):
        (gradient,) = torch.autograd.grad(maps[place], images, retain_graph=True)
        there = np.nonzero(gradient[0, 0].numpy())
        widest = [max(w, int(axis.max() - axis.min()) + 1) for w, axis in zip(widest, there, strict=True)]
    return tuple(widest)


def test_the_field_of_a_unet_is_that_of_its_longest_branch() -> None:
    network = UNet(1, 2, UNET["features"], UNET["kernels"], UNET["strides"])
    fields = receptive_fields(network, (1, 1, 32, 32))
    assert fields["encoder.0", 0].size == (5, 5)
    assert fields["decoder.1", 0].size[0] > fields["encoder.2", 0].size[0] > 5
