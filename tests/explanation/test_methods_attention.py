"""Attention rollout of the transformers of three libraries; others are refused in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from asked_toys import WAYS, asked_of
from method_toys import asked_about, state_of
from overread import networks
from overread.explanation.asked import Asked
from overread.explanation.methods.attention import AttentionRollout, rollout
from overread.explanation.methods.transformers import Transformer, attentions, transformer_of

_SMALL_TIMM = {"img_size": 32, "patch_size": 8, "depth": 2}
_SMALL_MONAI = {"patch_size": (8, 8), "hidden_size": 24, "mlp_dim": 24, "num_heads": 2, "num_layers": 3, "img_size": (32, 32)}
TRANSFORMERS = {
    "timm:vit_tiny_patch16_224": (2, _SMALL_TIMM),
    "timm:deit_tiny_distilled_patch16_224": (2, _SMALL_TIMM),
    "timm:vit_base_patch16_siglip_224": (2, {**_SMALL_TIMM, "global_pool": "avg", "embed_dim": 24, "num_heads": 2}),
    "timm:eva02_tiny_patch14_224": (2, {**_SMALL_TIMM, "ref_feat_shape": (4, 4)}),
    "monai:ViT": (2, _SMALL_MONAI),
    "monai:ViT 3d": (3, {**_SMALL_MONAI, "img_size": (16, 16, 24), "patch_size": (8, 8, 8)}),
    "torchvision:vit_b_32": (2, {"image_size": 64}),
}


def asked_of_transformer(name: str) -> Asked:
    dimensions, options = TRANSFORMERS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = networks.build(
            name.split()[0], in_channels=1, out_channels=3, dimensions=dimensions, serves="image", options=options
        )
    size = options.get("img_size", options.get("image_size"))
    return asked_about(network, size if isinstance(size, tuple) else (size, size))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_rollout_lies_on_the_window_and_leaves_the_network_as_it_was(name: str) -> None:
    asked = asked_of_transformer(name)
    before = state_of(asked.network)
    assert AttentionRollout().refusal(asked) is None
    values = AttentionRollout()(asked)
    assert values.shape == asked.patch
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.std() > 0
    np.testing.assert_array_equal(values, AttentionRollout()(asked))
    assert state_of(asked.network) == before


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_rows_of_attention_add_up_to_1_and_belong_to_every_token(name: str) -> None:
    asked = asked_of_transformer(name)
    transformer = transformer_of(asked)
    assert isinstance(transformer, Transformer)
    layers = attentions(asked, transformer)
    assert len(layers) == len(transformer.layers)
    tokens = transformer.prefix + int(np.prod(transformer.grid))
    for layer in layers:
        assert layer.shape[1:] == (tokens, tokens)
        torch.testing.assert_close(layer.sum(2), torch.ones_like(layer[..., 0]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rollout(layers).sum(1), torch.ones(tokens), rtol=1e-4, atol=1e-5)


def test_attention_in_steps_gives_the_answer_of_fused_attention() -> None:
    asked = asked_of_transformer("timm:vit_tiny_patch16_224")
    fused = asked.score(asked.images)
    for block in asked.network.get_submodule("inner.blocks"):  # type: ignore[union-attr]
        assert block.attn.fused_attn
        block.attn.fused_attn = False
    torch.testing.assert_close(asked.score(asked.images), fused, rtol=1e-4, atol=1e-5)


def test_rollout_is_the_product_written_out() -> None:
    first, second = torch.tensor([[[0.9, 0.1], [0.2, 0.8]]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    mixed = torch.tensor([[0.95, 0.05], [0.1, 0.9]])
    last = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    torch.testing.assert_close(rollout([first, second]), last @ mixed)


def test_a_patch_that_alone_is_attended_to_lights_alone() -> None:
    asked = asked_of_transformer("monai:ViT")
    shares = torch.zeros(2, 17, 17)
    shares[:, :, 1 + 6] = 1.0  # row 1, column 2 of the grid of 4 by 4 patches
    grid = rollout([shares])[0, 1:].reshape(4, 4)
    assert grid.argmax() == 6
    assert grid.sum() == grid[1, 2]
    assert isinstance(asked.network, nn.Module)


def test_the_network_is_left_as_it_was_after_an_error() -> None:
    asked = asked_of_transformer("timm:vit_tiny_patch16_224")
    before = state_of(asked.network)
    wrong = asked.with_images(torch.zeros(1, 5, 32, 32))
    with pytest.raises(RuntimeError):
        AttentionRollout()(wrong)
    assert state_of(asked.network) == before


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("timm:swin_tiny_patch4_window7_224", {"img_size": 64, "window_size": 4}, "attends in windows"),
        ("timm:vit_base_patch16_siglip_224", {**_SMALL_TIMM, "embed_dim": 24, "num_heads": 2}, "attends in windows"),
        ("torchvision:resnet18", {}, "has none"),
    ],
)
def test_a_network_without_attention_to_all_patches_is_refused(name: str, options: dict[str, object], words: str) -> None:
    network = networks.build(name, in_channels=1, out_channels=3, dimensions=2, serves="image", options=options)
    refusal = AttentionRollout().refusal(asked_about(network, (64, 64)))
    assert refusal is not None
    assert words in refusal


def test_our_networks_are_refused() -> None:
    assert "has no attention" in str(AttentionRollout().refusal(asked_of(WAYS[0])))
    dense = next(w for w in WAYS if w.serves == "dense")
    assert "answers per voxel" in str(AttentionRollout().refusal(asked_of(dense)))
