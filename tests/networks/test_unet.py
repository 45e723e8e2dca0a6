"""The U-Net: scales, size checks, layouts, precision, and agreement with an independent one."""

import pytest
import torch
from monai.networks.nets import DynUNet

from overread.core.errors import OverreadError
from overread.networks.dense.unet import UNet
from overread.networks.layout import memory_format, to_channels_last

pytestmark = pytest.mark.usefixtures("as_in_training")

SHAPES = {
    "2D": (((3, 3),) * 3, ((1, 1), (2, 2), (2, 2)), (16, 24)),
    "3D": (((3, 3, 3),) * 3, ((1, 1, 1), (2, 2, 2), (2, 2, 2)), (8, 8, 16)),
    "thick slices": (((1, 3, 3), (3, 3, 3), (3, 3, 3)), ((1, 1, 1), (1, 2, 2), (2, 2, 2)), (4, 8, 8)),
}


def make(shape, **options):
    torch.manual_seed(0)
    kernels, strides, size = SHAPES[shape]
    return UNet(2, 3, (8, 12, 16), kernels, strides, **options), torch.randn(2, 2, *size)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("residual", [False, True])
def test_every_scale_answers_and_every_parameter_learns(shape, residual):
    network, images = make(shape, residual=residual)
    scales = network.forward_scales(images)
    strides = SHAPES[shape][1]
    assert tuple(scales[0].shape) == (2, 3, *images.shape[2:])
    assert tuple(scales[1].shape[2:]) == tuple(size // step for size, step in zip(images.shape[2:], strides[1], strict=True))
    assert len(scales) == 2
    torch.testing.assert_close(network(images), scales[0])
    assert network.features(images).shape == (2, 16)
    sum(scale.square().sum() for scale in scales).backward()
    # Each head learns from its own scale: with `forward` alone those of low resolution would get none.
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["instance", "batch", "group"])
def test_channels_last_changes_nothing(shape, norm, monkeypatch):
    # Without its kink at 0, where a rounding error turns a slope over, the gradient can be compared in float32.
    monkeypatch.setattr("overread.networks.blocks.norms.SLOPE", 1.0)
    network, images = make(shape, norm=norm)
    plain = network.forward_scales(images)
    wanted = torch.autograd.grad(sum(scale.square().mean() for scale in plain), list(network.parameters()))
    to_channels_last(network)
    turned = network.forward_scales(images.contiguous(memory_format=memory_format(images.ndim)))
    gradients = torch.autograd.grad(sum(scale.square().mean() for scale in turned), list(network.parameters()))
    for ours, theirs in zip([*turned, *gradients], [*plain, *wanted], strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("residual", [False, True])
def test_bfloat16_stays_near_float32(residual):
    network, images = make("3D", residual=residual)
    to_channels_last(network)
    images = images.contiguous(memory_format=torch.channels_last_3d)
    exact = network(images)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(images)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().mean() < 0.03 * exact.abs().mean() + 0.02


@pytest.mark.parametrize("shape", ["2D", "3D"])
def test_the_same_numbers_as_monai_dynunet(shape):
    """nnU-Net's network as MONAI wrote it, given our weights in the order of the layers, answers the same."""
    network, images = make(shape)
    kernels, strides, size = SHAPES[shape]
    norm = ("instance", {"affine": True})
    other = DynUNet(len(size), 2, 3, kernels, strides, strides[1:], filters=(8, 12, 16), trans_bias=True, norm_name=norm)
    _copy_by_layer(network, other)
    torch.testing.assert_close(network(images), other.eval()(images), atol=2e-5, rtol=1e-4)


def _copy_by_layer(ours, theirs):
    """Our weights into MONAI's, whose convolutions have no bias (instance normalisation takes it away again)."""
    pairs = [
        (ours.encoder[0], theirs.input_block),
        (ours.encoder[1], theirs.downsamples[0]),
        (ours.encoder[2], theirs.bottleneck),
    ]
    pairs += [(ours.decoder[0], theirs.upsamples[0].conv_block), (ours.decoder[1], theirs.upsamples[1].conv_block)]
    for stage, block in pairs:
        for number, conv in enumerate(stage, start=1):
            getattr(block, f"conv{number}").conv.weight.data = conv.conv.weight.data
            getattr(block, f"norm{number}").load_state_dict(conv.norm.state_dict())
    for mine, other in zip(ours.upsample, theirs.upsamples, strict=True):
        other.transp_conv.conv.load_state_dict(mine.conv.state_dict())
    theirs.output_block.conv.conv.load_state_dict(ours.heads[-1].state_dict())


def test_dropout_acts_in_training_only():
    network, images = make("2D", dropout=0.5)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_same_seed_same_network():
    first, images = make("2D")
    again, _ = make("2D")
    assert torch.equal(first(images), again(images))


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((10, 8, 16), r"an image of \(10, 8, 16\) does not fit this U-Net: each axis must be a multiple of \(4, 4, 4\)"),
        ((2, 2, 2), r"pad the image to \(4, 4, 4\)"),
        ((4, 4, 4), "leaves one voxel at the bottleneck"),
        ((16, 16), "built for 3D images, and got one of size"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_sizes(size, message):
    network, _ = make("3D")
    with pytest.raises(OverreadError, match=message):
        network(torch.zeros(1, 2, *size))


def test_unequal_stages_are_refused():
    with pytest.raises(OverreadError, match="got 2 widths, 3 kernels, 3 strides"):
        UNet(1, 2, (8, 16), *SHAPES["2D"][:2])


def test_unknown_norm_is_refused():
    with pytest.raises(OverreadError, match="choose one of instance, batch, group"):
        make("2D", norm="spectral")
