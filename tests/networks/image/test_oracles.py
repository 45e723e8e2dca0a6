"""Our networks answer as those of torchvision, timm and MONAI do with the same tensors, laid in one after the other."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import monai.networks.nets
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from overread import networks

CLASSES = 5
COUNTER = "num_batches_tracked"
NORMS = (nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)


def of_torchvision(name: str, **options: object) -> Callable[[], nn.Module]:
    return lambda: torchvision.models.get_model(name, num_classes=CLASSES, **options)


def of_timm(name: str, **options: object) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=CLASSES, **options)


def googlenet() -> nn.Module:
    """torchvision's, with the filters of 5 pixels that the paper has."""
    inner = torchvision.models.googlenet(num_classes=CLASSES, aux_logits=False, init_weights=False)
    for name, block in inner.named_children():
        if name.startswith("inception"):
            small = block.branch3[1].conv
            block.branch3[1].conv = nn.Conv2d(small.in_channels, small.out_channels, 5, padding=2, bias=False)
    return inner


TWINS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet18": (of_torchvision("resnet18"), 65),
    "resnext50": (of_torchvision("resnext50_32x4d"), 65),
    "densenet121": (of_torchvision("densenet121"), 65),
    "googlenet": (googlenet, 75),
    "mobilenet_v2": (of_torchvision("mobilenet_v2"), 67),
    "mobilenet_v3_small": (of_torchvision("mobilenet_v3_small"), 67),
    "efficientnet_b0": (of_torchvision("efficientnet_b0"), 67),
    "convnext_tiny": (of_torchvision("convnext_tiny"), 70),
    "vit_tiny": (of_timm("vit_tiny_patch16_224", img_size=64), 64),
    "resnet18_preactivation": (of_timm("resnetv2_18"), 65),
}
LARGE: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet34": (of_torchvision("resnet34"), 65),
    "resnet50": (of_torchvision("resnet50"), 65),
    "resnet101": (of_torchvision("resnet101"), 65),
    "alexnet": (of_torchvision("alexnet"), 97),
    "vgg11": (of_torchvision("vgg11"), 65),
    "vgg16": (of_torchvision("vgg16"), 65),
    "efficientnet_b3": (of_torchvision("efficientnet_b3"), 67),
    "vit_small": (of_timm("vit_small_patch16_224", img_size=64), 64),
}
EVERY = [*TWINS, *(pytest.param(name, marks=pytest.mark.every_row) for name in LARGE)]


def without_values(make: Callable[[], nn.Module]) -> nn.Module:
    """A network whose tensors hold nothing yet, which is quick."""
    with torch.device("meta"):
        network = make()
    for module in network.modules():
        if isinstance(module, NORMS):
            module.eps = 1e-5  # others have 1e-3 or 1e-6 here and there
    return network.to_empty(device="cpu").eval()


def fill(network: nn.Module) -> None:
    """Numbers with which signals neither vanish nor explode, statistics of normalisations among them."""
    dice = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith(COUNTER):
            tensor.zero_()
        elif name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.uniform_(0.8, 1.2, generator=dice)
        elif tensor.ndim > 1 and "layer_scale" not in name:
            bound = (4 / prod(tensor.shape[1:])) ** 0.5
            tensor.uniform_(-bound, bound, generator=dice)
        else:
            tensor.uniform_(-0.2, 0.2, generator=dice)


def lay_in(ours: nn.Module, theirs: nn.Module) -> None:
    own, given = (tensors_of(network) for network in (ours, theirs))
    assert len(own) == len(given)
    for (name, mine), (_, other) in zip(own, given, strict=True):
        assert mine.numel() == other.numel(), name
        assert trimmed(mine) == trimmed(other), name
        mine.copy_(other.reshape(mine.shape))


def tensors_of(network: nn.Module) -> list[tuple[str, Tensor]]:
    """In the order in which a network names them, but the shortcut of a block last, which timm has first."""
    given = [(name, tensor) for name, tensor in network.state_dict().items() if not name.endswith(COUNTER)]
    names = [name for name, _ in given]
    blocks = dict.fromkeys(name.partition("downsample.")[0] for name in names if "downsample." in name)
    first = {block: next(k for k, name in enumerate(names) if name.startswith(block)) for block in blocks}

    def place(entry: tuple[int, tuple[str, Tensor]]) -> tuple[int, bool, int]:
        number, (name, _) = entry
        block = next((block for block in blocks if name.startswith(block)), None)
        return (number if block is None else first[block], "downsample." in name, number)

    return [entry for _, entry in sorted(enumerate(given), key=place)]


def trimmed(tensor: Tensor) -> tuple[int, ...]:
    """The shape without axes of 1 at its end: a linear layer is a convolution of one pixel."""
    shape = tuple(tensor.shape)
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


@pytest.mark.parametrize("name", EVERY)
def test_the_same_tensors_give_the_same_answers(name: str) -> None:
    make, edge = {**TWINS, **LARGE}[name]
    question = {"in_channels": 3, "out_channels": CLASSES, "dimensions": 2, "serves": "image"}
    known = {"image_size": (64, 64), "patch": 16} if name.startswith("vit") else {}
    ours = without_values(lambda: networks.build(name, **question, options=known))  # type: ignore[arg-type]
    theirs = without_values(make)
    fill(theirs)
    lay_in(ours, theirs)
    images = torch.randn(2, 3, edge, edge if known else edge + 14, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answer, expected = ours(images), theirs(images)
    assert expected.std() > 1e-3
    torch.testing.assert_close(answer / expected.std(), expected / expected.std(), rtol=1e-3, atol=1e-3)


def test_densenet_in_3d_answers_as_monais() -> None:
    def make() -> nn.Module:
        return monai.networks.nets.DenseNet121(spatial_dims=3, in_channels=2, out_channels=CLASSES, block_config=(6, 12, 24, 16))

    ours = without_values(
        lambda: networks.build("densenet121", in_channels=2, out_channels=CLASSES, dimensions=3, serves="image", options={})
    )
    theirs = without_values(make)
    fill(theirs)
    lay_in(ours, theirs)
    images = torch.randn(1, 2, 32, 40, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answer, expected = ours(images), theirs(images)
    torch.testing.assert_close(answer / expected.std(), expected / expected.std(), rtol=1e-3, atol=1e-3)


def test_cbam_weighs_as_written_out() -> None:
    from overread.networks.blocks.channel_attention import ChannelAttention

    torch.manual_seed(0)
    block, maps = ChannelAttention(32, 3), torch.randn(2, 32, 3, 4, 5)
    first, _, second = block.layers

    def layers(values: Tensor) -> Tensor:
        return (values @ first.weight.T + first.bias).clamp_min(0) @ second.weight.T + second.bias

    weights = 1 / (1 + torch.exp(-(layers(maps.mean((2, 3, 4))) + layers(maps.amax((2, 3, 4))))))
    torch.testing.assert_close(block.weights_of(maps), weights)
    torch.testing.assert_close(block(maps), maps * weights[:, :, None, None, None])
