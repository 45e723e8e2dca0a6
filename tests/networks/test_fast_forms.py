"""Our own forms of instance norm, upsampling and skips for channels-last maps, against torch's plain ones."""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from overread.networks.blocks.convolution import ConvBlock
from overread.networks.blocks.norms import SLOPE, InstanceNorm, _ChannelsLastInstanceNorm, mend_instance_norms
from overread.networks.blocks.upsampling import Upsample

LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
SHAPES = [(3, 5, 6, 7, 8), (2, 4, 40, 40), (2, 3, 12, 12, 12), (1, 8, 2, 2)]


def leaf(tensor):
    return tensor.detach().clone(memory_format=LAYOUTS[tensor.ndim]).requires_grad_()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("activate", [True, False])
def test_instance_norm_agrees_with_torch(shape, precision, tolerance, activate):
    torch.manual_seed(0)
    # A mean away from 0 shows a variance taken from the sum of squares; bfloat16 itself cannot hold one.
    mean = 0 if precision == torch.bfloat16 else 3
    maps = leaf((torch.randn(shape, dtype=torch.float64) + mean).to(precision))
    norm = InstanceNorm(shape[1], activate=activate)
    torch.nn.init.uniform_(norm.weight, 0.5, 2)
    torch.nn.init.normal_(norm.bias)
    norm = norm.double() if precision == torch.float64 else norm
    ours = norm(maps)
    assert ours.dtype == precision
    assert ours.is_contiguous(memory_format=LAYOUTS[len(shape)])

    plain, weight, bias = (
        maps.detach().double().contiguous().requires_grad_(),
        norm.weight.detach().double(),
        norm.bias.detach().double(),
    )
    weight.requires_grad_()
    bias.requires_grad_()
    theirs = functional.instance_norm(plain, weight=weight, bias=bias, eps=1e-5)
    theirs = functional.leaky_relu(theirs, SLOPE) if activate else theirs
    slope = torch.randn_like(ours)
    ours.backward(slope)
    theirs.backward(slope.double().contiguous())  # torch's own gradient is wrong for a batch of one otherwise
    for mine, right in ((ours, theirs), (maps.grad, plain.grad), (norm.weight.grad, weight.grad), (norm.bias.grad, bias.grad)):
        scale = max(1.0, right.abs().max().item())
        assert (mine.double() - right).abs().max().item() <= tolerance * scale


def test_instance_norm_has_the_gradient_of_finite_differences():
    torch.manual_seed(0)
    maps = leaf(torch.randn(2, 3, 3, 2, 2, dtype=torch.float64))
    weight = torch.rand(3, dtype=torch.float64).add(0.5).requires_grad_()
    bias = torch.randn(3, dtype=torch.float64).requires_grad_()

    def ask(maps, weight, bias):
        return _ChannelsLastInstanceNorm.apply(maps, weight, bias, 1e-5, SLOPE)

    assert torch.autograd.gradcheck(ask, (maps, weight, bias))


@pytest.mark.parametrize("is_last_in", [True, False])
@pytest.mark.parametrize("is_last_out", [True, False])
def test_the_layout_of_maps_and_slopes_does_not_change_the_gradient(is_last_in, is_last_out):
    """A batch of one with channels-last slopes is where torch's own instance norm goes wrong on a processor."""
    torch.manual_seed(0)
    maps, slope = torch.randn(1, 8, 4, 4, dtype=torch.float64), torch.randn(1, 8, 4, 4, dtype=torch.float64)

    def by_hand(maps):
        spread, mean = torch.var_mean(maps, dim=(2, 3), unbiased=False, keepdim=True)
        return (maps - mean) / (spread + 1e-5).sqrt()

    plain = maps.clone().requires_grad_()
    by_hand(plain).backward(slope)
    ours = maps.contiguous(memory_format=torch.channels_last if is_last_in else torch.contiguous_format).requires_grad_()
    network = torch.nn.Sequential(torch.nn.InstanceNorm2d(8))
    mend_instance_norms(network)
    network(ours).backward(slope.contiguous(memory_format=torch.channels_last if is_last_out else torch.contiguous_format))
    torch.testing.assert_close(ours.grad, plain.grad, atol=1e-6, rtol=1e-6)  # ours has float32 weights of 1


@pytest.mark.parametrize("stride", [(2, 2), (1, 2, 2), (2, 2, 2), (1, 4)])
def test_upsampling_is_a_transposed_convolution(stride):
    torch.manual_seed(0)
    layer = Upsample(6, 4, stride)
    size = (3, 4, 5)[: len(stride)]
    maps = leaf(torch.randn(2, 6, *size))
    plain = maps.detach().contiguous().requires_grad_()
    ours, theirs = layer(maps), layer.conv(plain)
    assert ours.is_contiguous(memory_format=LAYOUTS[maps.ndim])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    slope = torch.randn_like(theirs)
    wanted = torch.autograd.grad(theirs, [plain, *layer.conv.parameters()], slope)
    for mine, right in zip(torch.autograd.grad(ours, [maps, *layer.conv.parameters()], slope), wanted, strict=True):
        torch.testing.assert_close(mine, right, atol=1e-4, rtol=1e-5)


def test_two_convolutions_equal_one_of_both_maps():
    torch.manual_seed(0)
    block = ConvBlock(12, 6, (3, 3, 3), norm="group")
    below, skip = leaf(torch.randn(2, 6, 4, 4, 4)), leaf(torch.randn(2, 6, 4, 4, 4))
    ours, theirs = block(below, skip), block(torch.cat((below, skip), dim=1))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    slope = torch.randn_like(ours)
    wanted = torch.autograd.grad(theirs, [below, skip, *block.parameters()], slope)
    for mine, right in zip(torch.autograd.grad(ours, [below, skip, *block.parameters()], slope), wanted, strict=True):
        torch.testing.assert_close(mine, right, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("width", [4, 8, 10])
def test_narrow_steps_do_not_write_beyond_their_memory(width):
    """In a process of its own: where it goes wrong there is no error to catch."""
    code = f"""
import torch
from torch.nn import functional
from overread.networks.blocks.convolution import convolution
from overread.networks.layout import to_channels_last
torch.manual_seed(0)
step = to_channels_last(convolution({width}, {2 * width}, (1, 1), 2, bias=False))
images = torch.randn(8, {width}, 47, 48).contiguous(memory_format=torch.channels_last).requires_grad_(True)
for _ in range(10):
    answer = step(images)
    answer.backward(torch.randn_like(answer))
torch.testing.assert_close(answer, functional.conv2d(images.contiguous(), step.weight.contiguous(), stride=2))
"""
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"})
    assert ended.returncode == 0
