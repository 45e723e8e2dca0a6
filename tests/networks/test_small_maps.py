"""Maps smaller than their kernel: gradients as in float64, and nothing changed for all others."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from overread.networks.exam.gather import MeanOfSlices
from overread.networks.exam.network import ExamNetwork
from overread.networks.small_maps import SmallMaps

BY = {
    ("plain", 2): nn.Conv2d,
    ("plain", 3): nn.Conv3d,
    ("transposed", 2): nn.ConvTranspose2d,
    ("transposed", 3): nn.ConvTranspose3d,
}
# way, kernel, stride, padding, extents of the map; without SmallMaps each gives garbage or ends the process on some processor
FAILED = [
    ("plain", 3, 2, 1, (5, 1)),
    ("plain", 7, 2, 3, (8, 1)),
    ("plain", 3, 1, 1, (2, 8, 8)),
    ("plain", 3, 2, 1, (8, 1, 1)),
    ("plain", 4, 2, 1, (8, 2, 2)),
    ("plain", 4, 1, 1, (3, 2, 2)),
    ("plain", 5, 1, 2, (4, 8, 8)),
    ("plain", 7, 2, 3, (5, 8, 8)),
    ("plain", 7, 2, 3, (7, 8, 8)),
    ("transposed", 4, 2, 2, (2, 8, 8)),
]


def gradients(layer: nn.Module, images: Tensor, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    images = images.clone().requires_grad_()
    answer = layer(images)
    return answer, *torch.autograd.grad(answer, (layer.weight, images), slope.to(answer.dtype))


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
@pytest.mark.parametrize(("way", "kernel", "stride", "padding", "extents"), FAILED, ids=str)
def test_a_small_map_is_learned_from_rightly(
    way: str, kernel: int, stride: int, padding: int, extents: tuple[int, ...], precision: str
) -> None:
    torch.manual_seed(0)
    layer = BY[way, len(extents)](16, 16, kernel, stride=stride, padding=padding)
    layer.weight.data = layer.weight.data.bfloat16().float()
    images = torch.randn(2, 16, *extents).bfloat16().float()
    exact = BY[way, len(extents)](16, 16, kernel, stride=stride, padding=padding).double()
    exact.load_state_dict(layer.state_dict())
    slope = torch.randn_like(exact(images.double())).bfloat16().double()
    expected = gradients(exact, images.double(), slope)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"), SmallMaps():
        answer, weights, back = gradients(layer, images, slope)
    tolerance = 0.03 if precision == "bfloat16" else 1e-5
    for ours, right in zip((answer, weights, back), expected, strict=True):
        assert ours.shape == right.shape
        assert (ours.double() - right).abs().max() <= tolerance * right.abs().max()


def test_wide_kernels_from_many_channels_to_few() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(128, 1, 7, padding=3).to(memory_format=torch.channels_last)
    images = torch.randn(2, 128, 2, 2).to(memory_format=torch.channels_last)
    slope = torch.randn_like(layer(images))
    expected = gradients(layer, images, slope)
    with torch.autocast("cpu", torch.bfloat16), SmallMaps():
        rough = gradients(layer, images, slope)
    for ours, right in zip(rough, expected, strict=True):
        assert (ours - right).abs().max() <= 0.03 * right.abs().max()


@pytest.mark.parametrize("more", [{"stride": 2, "output_padding": 1}, {"dilation": 2}, {"groups": 4}], ids=str)
@pytest.mark.parametrize("way", ["plain", "transposed"])
def test_steps_gaps_and_groups_are_kept(way: str, more: dict[str, int]) -> None:
    torch.manual_seed(0)
    options = {"kernel_size": 5, "padding": 3} | {
        key: value for key, value in more.items() if way == "transposed" or key != "output_padding"
    }
    layer = BY[way, 3](8, 8, **options).double()
    images = torch.randn(2, 8, 3, 6, 7, dtype=torch.float64)
    plain = layer(images)
    with SmallMaps():
        assert torch.allclose(layer(images), plain, rtol=1e-10)


def test_a_large_map_takes_the_plain_way() -> None:
    layer, images = nn.Conv2d(4, 4, 3, padding=1), torch.randn(1, 4, 9, 9)
    with SmallMaps():
        assert torch.equal(layer(images), nn.functional.conv2d(images, layer.weight, layer.bias, padding=1))


class _Steps(nn.Sequential):
    """A step down to maps of one pixel for each halving: a film of 32 pixels ends smaller than a kernel of 3."""

    def __init__(self) -> None:
        super().__init__(*(nn.Conv2d(4 if k else 1, 4, 3, 2, 1) for k in range(6)), nn.Flatten())


@pytest.mark.parametrize("within", [SmallMaps, nullcontext])
def test_slices_that_are_encoded_again_in_the_backward_pass_take_the_same_way(within: type) -> None:
    """Computed in pieces and once more, as at once; the forward pass within the mode and outside it."""
    torch.manual_seed(0)
    chunked = ExamNetwork(_Steps(), MeanOfSlices(4), 2, chunk=2)
    volume = torch.randn(1, 1, 6, 32, 32)
    slopes = []
    for chunk in (2, 0):
        chunked.chunk = chunk
        chunked.zero_grad()
        with within():
            loss = chunked(volume).square().sum()
        loss.backward()
        slopes.append([parameter.grad.clone() for parameter in chunked.parameters() if parameter.grad is not None])
    assert slopes[0]
    for pieces, whole in zip(*slopes, strict=True):
        assert torch.allclose(pieces, whole, rtol=1e-4, atol=1e-6)


def test_what_torch_refuses_is_refused() -> None:
    images, weight = torch.randn(1, 4, 2, 2, 2), torch.randn(4, 4, 3, 3, 3, requires_grad=True)
    with SmallMaps(), pytest.raises(RuntimeError):
        nn.functional.conv_transpose3d(images, weight, padding=1, output_padding=1)
