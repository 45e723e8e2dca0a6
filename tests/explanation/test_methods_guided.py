"""Guided backpropagation holds back negative slopes at every rectifier, however it is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asked_toys import WAYS, asked_of
from method_toys import Functional, Plain, asked_about, seeded
from overread.explanation.methods.guided import GuidedBackpropagation, guided_gradient
from overread.explanation.methods.saliency import input_gradient
from overread.networks.blocks.convolution import ConvBlock


class _GuidedRectifier(torch.autograd.Function):
    """The rule, written out: what comes from above, cut below 0, times the slope of the activation."""

    @staticmethod
    def forward(ctx: object, maps: Tensor, leak: float) -> Tensor:
        ctx.save_for_backward(maps)  # type: ignore[attr-defined]
        ctx.leak = leak  # type: ignore[attr-defined]
        return F.leaky_relu(maps, leak)

    @staticmethod
    def backward(ctx: object, above: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (maps,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return above.clamp_min(0) * torch.where(maps > 0, 1.0, ctx.leak), None  # type: ignore[attr-defined]


class _ByHand(Plain):
    """The plain network with the rule in place of its rectifiers."""

    leak = 0.0

    def forward(self, images: Tensor) -> Tensor:
        maps = _GuidedRectifier.apply(self.first(images), self.leak)
        return self.head(_GuidedRectifier.apply(self.second(maps), self.leak).flatten(2).mean(2))


@pytest.mark.parametrize(
    "network", [seeded(Plain), seeded(Plain, is_inplace=True), seeded(Functional)], ids=["modules", "in place", "functions"]
)
def test_the_rule_holds_for_modules_in_place_and_functions_alike(network: nn.Module) -> None:
    asked, by_hand = asked_about(network, (32, 24)), asked_about(seeded(_ByHand), (32, 24))
    guided = guided_gradient(asked, asked.images)
    torch.testing.assert_close(guided, input_gradient(by_hand, by_hand.images))
    assert not torch.allclose(guided, input_gradient(asked, asked.images))


@pytest.mark.parametrize("is_inplace", [False, True])
def test_a_leaky_rectifier_keeps_its_slope_below_0(is_inplace: bool) -> None:
    by_hand = asked_about(seeded(_ByHand), (32, 24))
    by_hand.network.leak = 0.3  # type: ignore[assignment]
    asked = asked_about(seeded(Plain, is_inplace=is_inplace, leak=0.3), (32, 24))
    torch.testing.assert_close(guided_gradient(asked, asked.images), input_gradient(by_hand, by_hand.images))


class _Bricks(nn.Module):
    """Two bricks of our U-Nets, whose leaky rectifier lies in an autograd function of its own on a processor."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.bricks = nn.Sequential(ConvBlock(1, 4, (3, 3), norm=norm), ConvBlock(4, 8, (3, 3), 2, norm=norm))
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.bricks(images)[..., ::2, :].flatten(2).mean(2))


class _BricksByHand(_Bricks):
    def forward(self, images: Tensor) -> Tensor:
        for brick in self.bricks:
            images = brick.conv(images)  # type: ignore[operator]
            images = F.instance_norm(images, weight=brick.norm.weight, bias=brick.norm.bias)  # type: ignore[union-attr, arg-type]
            images = _GuidedRectifier.apply(images.contiguous(), 0.01)
        return self.head(images[..., ::2, :].flatten(2).mean(2))


def test_the_rule_holds_inside_our_own_autograd_function() -> None:
    asked, by_hand = asked_about(seeded(_Bricks, "instance"), (16, 16)), asked_about(seeded(_BricksByHand, "instance"), (16, 16))
    guided = guided_gradient(asked, asked.images)
    torch.testing.assert_close(guided, input_gradient(by_hand, by_hand.images), rtol=1e-4, atol=1e-7)
    assert not torch.allclose(guided, input_gradient(asked, asked.images), rtol=1e-2)


@pytest.mark.parametrize("kind", [nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.PReLU, nn.RReLU])
def test_every_rectifier_is_served(kind: type[nn.Module]) -> None:
    network = seeded(Plain)
    network.act, network.last_act = kind(), kind()
    asked = asked_about(network, (32, 24))
    assert GuidedBackpropagation().refusal(asked) is None
    with torch.no_grad():
        network.head.weight.fill_(-1.0)  # type: ignore[union-attr, operator]
    assert not GuidedBackpropagation()(asked).any()  # all that comes from above lowers the score


@pytest.mark.parametrize(("kind", "word"), [(nn.GELU, "GELU"), (nn.SiLU, "SiLU"), (nn.Hardswish, "Hardswish"), (nn.Tanh, "none")])
def test_a_network_without_rectifiers_is_refused(kind: type[nn.Module], word: str) -> None:
    network = seeded(Plain)
    network.act, network.last_act = kind(), kind()
    refusal = GuidedBackpropagation().refusal(asked_about(network, (32, 24)))
    assert refusal is not None
    assert refusal.endswith(f"this network has {word}")


@pytest.mark.parametrize("way", [w for w in WAYS if w.dimensions == 2 and w.network != "mask_rcnn"], ids=str)
def test_every_kind_of_network_gives_another_map_than_the_gradient(way: object) -> None:
    asked = asked_of(way)  # type: ignore[arg-type]
    guided, plain = guided_gradient(asked, asked.images), input_gradient(asked, asked.images)
    assert guided.abs().max() > 0
    assert np.corrcoef(guided.flatten(), plain.flatten())[0, 1] < 0.999
