"""Blocks against those of torchvision with the same weights: output and gradient."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.convnext import LayerNorm2d
from torchvision.models.densenet import _DenseBlock
from torchvision.models.googlenet import Inception
from torchvision.models.mobilenetv2 import InvertedResidual as TheirInverted
from torchvision.models.resnet import BasicBlock as TheirBasic
from torchvision.models.resnet import Bottleneck as TheirBottleneck
from torchvision.models.segmentation import deeplabv3
from torchvision.ops import FeaturePyramidNetwork, deform_conv2d
from torchvision.ops import SqueezeExcitation as TheirSqueeze

from overread.networks.blocks.aspp import ASPP
from overread.networks.blocks.deformable import DeformableConvolution
from overread.networks.blocks.dense_block import DenseBlock
from overread.networks.blocks.feature_pyramid import FeaturePyramid
from overread.networks.blocks.inception import InceptionBlock
from overread.networks.blocks.inverted import InvertedResidual
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.residual import BasicBlock, Bottleneck
from overread.networks.blocks.squeeze_excitation import SqueezeExcitation


def weights_over(ours: nn.Module, theirs: nn.Module, order: Sequence[int] | None = None) -> None:
    """Copy every learned number of theirs into ours, tensor by tensor in the order of definition."""
    source = [value for name, value in theirs.state_dict().items() if "num_batches" not in name]
    goal = [value for name, value in ours.state_dict().items() if "num_batches" not in name]
    assert len(source) == len(goal)
    for mine, other in zip(goal, source, strict=True):
        assert mine.numel() == other.numel(), (mine.shape, other.shape)
        mine.copy_(other.reshape(mine.shape))


def shaken(network: nn.Module) -> nn.Module:
    """Normalisations with scales and statistics as after learning."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
    return network


def agree(ours: nn.Module, theirs: nn.Module, *maps: torch.Tensor) -> None:
    """Same output and same gradient on the input, while learning and while reading."""
    for training in (True, False):
        answers, slopes = [], []
        for network in (ours.train(training), theirs.train(training)):
            leaves = [each.clone().requires_grad_() for each in maps]
            answer = network(*leaves)
            answer.square().sum().backward()
            answers.append(answer.detach())
            slopes.append([leaf.grad for leaf in leaves])
        assert torch.allclose(*answers, atol=1e-5)
        for mine, other in zip(*slopes, strict=True):
            assert torch.allclose(mine, other, atol=1e-3, rtol=1e-3)


MAPS = torch.randn(2, 8, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("stride", [1, 2])
def test_basic_block(stride):
    match = nn.Sequential(nn.Conv2d(8, 8, 1, stride, bias=False), nn.BatchNorm2d(8)) if stride > 1 else None
    theirs = shaken(TheirBasic(8, 8, stride, match))
    ours = BasicBlock(8, 8, 2, stride)
    weights_over(ours, theirs)
    agree(ours, theirs, MAPS)


@pytest.mark.parametrize("groups", [1, 4])
def test_bottleneck_with_and_without_groups(groups):
    match = nn.Sequential(nn.Conv2d(8, 32, 1, 2, bias=False), nn.BatchNorm2d(32))
    theirs = shaken(TheirBottleneck(8, 8, 2, match, groups=groups, base_width=64))
    ours = Bottleneck(8, theirs.conv2.out_channels, 32, 2, 2, groups=groups)
    weights_over(ours, theirs)
    agree(ours, theirs, MAPS)


@pytest.mark.parametrize(("outputs", "stride", "expand"), [(8, 1, 6), (12, 2, 6), (8, 1, 1)])
def test_inverted_residual(outputs, stride, expand):
    theirs = shaken(TheirInverted(8, outputs, stride, expand))
    ours = InvertedResidual(8, outputs, 2, stride, expand=expand)
    weights_over(ours, theirs)
    agree(ours, theirs, MAPS)


def test_dense_block():
    theirs = shaken(_DenseBlock(3, 8, 4, 6, 0.0))
    ours = DenseBlock(8, 6, 3, 2)
    weights_over(ours, theirs)
    agree(ours, theirs, MAPS)


def test_inception_block():
    theirs = shaken(Inception(8, 4, 6, 8, 2, 5, 3))
    ours = InceptionBlock(8, 4, (6, 8), (2, 5), 3, 2)
    their_wide = theirs.branch3[1].conv
    wide = nn.Conv2d(2, 5, 5, padding=2, bias=False)  # their 3x3 (torchvision #906) in the middle of the paper's 5x5
    nn.init.zeros_(wide.weight)
    wide.weight.data[:, :, 1:4, 1:4] = their_wide.weight.data
    theirs.branch3[1].conv = wide
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3  # of theirs
    weights_over(ours, theirs)
    agree(ours, theirs, MAPS)


def test_squeeze_and_excitation():
    theirs, ours = TheirSqueeze(8, 2), SqueezeExcitation(8, 2, ratio=4)
    weights_over(ours, theirs)
    agree(ours, theirs, MAPS)
    weights = ours.weights_of(MAPS)
    assert torch.allclose(MAPS * weights[:, :, None, None], ours(MAPS))


def test_atrous_pyramid():
    theirs = shaken(deeplabv3.ASPP(8, (2, 3), 6)).eval()
    pooled = theirs.convs[-1][2]  # our mean of the image has no normalisation: make theirs do nothing but shift
    pooled.eps = 0.0
    nn.init.ones_(pooled.weight)
    nn.init.ones_(pooled.running_var)
    nn.init.zeros_(pooled.running_mean)
    ours = ASPP(8, 6, (2, 3), 2)
    for mine, other in zip(ours.branches, theirs.convs, strict=False):
        weights_over(mine, other)
    weights_over(ours.join, theirs.project)
    ours.of_image.conv.weight.data = theirs.convs[-1][1].weight.data
    ours.of_image.conv.bias.data = pooled.bias.data
    with torch.no_grad():
        assert torch.allclose(ours.eval()(MAPS), theirs(MAPS), atol=1e-5)


def test_feature_pyramid():
    theirs, ours = FeaturePyramidNetwork([8, 4, 6], 5), FeaturePyramid((8, 4, 6), 5, 2)
    weights_over(ours, theirs)
    stages = [torch.randn(2, width, size, size) for width, size in ((8, 12), (4, 6), (6, 3))]
    with torch.no_grad():
        their_maps = list(theirs(dict(zip("abc", stages, strict=True))).values())
        our_maps = ours(stages)
    for mine, other in zip(our_maps, their_maps, strict=True):
        assert torch.allclose(mine, other, atol=1e-5)


def test_layer_norm_of_maps():
    theirs, ours = LayerNorm2d(8), make_norm("layer", 8, 2, activate=False)
    agree(ours, theirs, MAPS)


def test_deformable_convolution_starts_as_half_a_convolution_and_looks_where_it_is_told():
    ours = DeformableConvolution(8, 4, (3, 3))
    half = nn.functional.conv2d(MAPS, ours.conv.weight / 2, ours.conv.bias, padding=1)
    assert torch.allclose(ours(MAPS), half, atol=1e-5)
    ours.shifts.bias.data[1::2] = 1.0  # every weight one pixel to the right
    beside = nn.functional.conv2d(MAPS.roll(-1, 3), ours.conv.weight / 2, ours.conv.bias, padding=1)
    assert torch.allclose(ours(MAPS)[..., 1:-2], beside[..., 1:-2], atol=1e-5)
    shifts, strengths = ours.shifts(MAPS), torch.sigmoid(ours.strengths(MAPS))
    theirs = deform_conv2d(MAPS, shifts, ours.conv.weight, ours.conv.bias, padding=1, mask=strengths)
    assert torch.allclose(ours(MAPS), theirs, atol=1e-6)


def test_torch_counts_a_deformable_convolution_like_a_plain_one():
    ours = DeformableConvolution(8, 4, (3, 3))
    with FlopCounterMode(display=False) as counter:
        ours(MAPS)
    places = MAPS.numel() // 8
    assert counter.get_total_flops() == 2 * places * 8 * 9 * (4 + 18 + 9)  # the filter, its shifts, its strengths
