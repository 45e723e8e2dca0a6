"""Every network of ours that answers per image can be asked where it looked, or says in words why not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from method_toys import asked_about, state_of
from overread.explanation.asked import Asked
from overread.explanation.methods.attention import AttentionRollout, rollout
from overread.explanation.methods.class_activation import ClassActivation
from overread.explanation.methods.grad_cam import GradCam
from overread.explanation.methods.layers import chosen_layer, layers_of
from overread.explanation.methods.transformers import Transformer, attentions, transformer_of
from tiny_image_networks import COVER, REST, size_for, tiny

WITHOUT_MAPS = ("perceptron", "mlp")
OF_TOKENS = ("vit_tiny", "vit_small")
DENSE_LAYERS = ("lenet", "alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "mobilenet_v3_small", "convnext_tiny")
EVERY = [*COVER, *(pytest.param(*way, marks=pytest.mark.every_row) for way in REST)]


def asked_of_tiny(name: str, dimensions: int) -> Asked:
    return asked_about(tiny(name, dimensions), size_for(name, dimensions))


@pytest.mark.parametrize(("name", "dimensions"), EVERY)
def test_the_last_maps_are_asked(name: str, dimensions: int) -> None:
    asked = asked_of_tiny(name, dimensions)
    before, refusal = state_of(asked.network), GradCam().refusal(asked)
    if name in WITHOUT_MAPS:
        assert refusal is not None
        assert "no layer of this network gives any; ask for saliency or occlusion" in refusal
        return
    if name in OF_TOKENS:
        assert refusal is not None
        assert "ask for attention_rollout" in refusal
        return
    assert refusal is None
    layer = chosen_layer(asked, None)
    assert layer is not None
    assert layer.partition(".")[0] in ("stages", "inner")
    assert "neck" not in layer
    values = GradCam()(asked)
    assert values.shape == asked.patch
    assert np.isfinite(values).all()
    assert values.min() >= 0
    refusal = ClassActivation().refusal(asked)
    if name in DENSE_LAYERS:
        assert refusal is not None
        assert "ends otherwise" in refusal
    else:
        assert refusal is None
        assert ClassActivation()(asked).shape == asked.patch
    assert state_of(asked.network) == before


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_attention_of_our_transformer_lies_on_the_image(dimensions: int) -> None:
    asked = asked_of_tiny("vit_tiny", dimensions)
    before = state_of(asked.network)
    assert AttentionRollout().refusal(asked) is None
    transformer = transformer_of(asked)
    assert isinstance(transformer, Transformer)
    assert transformer.grid == tuple(-(-pixels // 8) for pixels in size_for("vit_tiny", dimensions))
    layers = attentions(asked, transformer)
    tokens = 1 + int(np.prod(transformer.grid))
    assert [layer.shape for layer in layers] == [(3, tokens, tokens)] * 12
    for layer in layers:
        torch.testing.assert_close(layer.sum(2), torch.ones_like(layer[..., 0]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rollout(layers).sum(1), torch.ones(tokens), rtol=1e-4, atol=1e-5)
    values = AttentionRollout()(asked)
    assert values.shape == asked.patch
    assert values.std() > 0
    assert state_of(asked.network) == before


def test_a_network_of_ours_without_attention_is_refused() -> None:
    assert "has no attention" in str(AttentionRollout().refusal(asked_of_tiny("lenet", 2)))


def test_the_maps_before_a_fixed_number_of_places_are_asked() -> None:
    """The 7 x 7 places that VGG's dense layers read are more than the maps had: they would show one value everywhere."""
    asked = asked_of_tiny("vgg11", 2)
    assert "neck.0" in layers_of(asked)
    assert layers_of(asked)["neck.0"][1:] == (7, 7)
    chosen = chosen_layer(asked, None)
    assert chosen is not None
    assert chosen.startswith("stages.4")
