"""The weights that blocks give to channels and places of one case, against what the blocks say when asked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from asked_toys import Way, image_of, predictor_of
from overread.batches.prepare import prepare_image
from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.inside.learned_attention import CHANNELS, PLACES, learned_attention
from overread.explanation.inside.window import window_of
from overread.networks.blocks.channel_attention import ChannelAttention
from overread.networks.image.rows import ROWS


def window(way: Way) -> Asked:
    predictor = predictor_of(way)
    return window_of(predictor, prepare_image(image_of(way), predictor.preparation))


def entry_of(asked: Asked, block: str) -> list[Tensor]:
    """What enters a block, by a hook of torch's own."""
    seen: list[Tensor] = []
    hook = asked.network.get_submodule(block).register_forward_pre_hook(lambda _module, entry: seen.append(entry[0]))
    with torch.no_grad():
        asked.score(asked.images)
    hook.remove()
    return seen


@pytest.mark.parametrize("dimensions", [2, 3])
def test_channels_are_weighed_as_squeeze_and_excitation_says(dimensions: int) -> None:
    asked = window(Way("classification", dimensions, "se_resnet18", "image", {"width": 8}))
    found = learned_attention(asked)
    assert len(found) == 8
    assert {one.weighs for one in found} == {CHANNELS}
    for one in (found[0], found[-1]):
        maps = entry_of(asked, one.name)[0]
        block = asked.network.get_submodule(one.name)
        means = maps.flatten(2).mean(2)
        with torch.no_grad():
            truth = torch.sigmoid(block.excite(torch.relu(block.squeeze(means))))[0]  # type: ignore[operator]
        np.testing.assert_allclose(one.values, truth.numpy(), rtol=1e-5)
        assert one.slices == 1


def test_the_network_is_left_as_it_was() -> None:
    asked = window(Way("classification", 2, "se_resnet18", "image", {"width": 8}))
    with torch.no_grad():
        before = asked.score(asked.images)
        learned_attention(asked)
        assert torch.equal(before, asked.score(asked.images))
    assert not any("weights_of" in vars(module) for module in asked.network.modules())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_gates_are_those_that_the_network_itself_tells(dimensions: int) -> None:
    asked = window(Way("segmentation", dimensions, "attention_unet", "dense", {"base_features": 4}))
    with torch.no_grad():
        truth = asked.network.attention(asked.images)[::-1]  # type: ignore[operator]
    found = learned_attention(asked)
    assert [one.name for one in found] == [f"gates.{k}" for k in range(len(truth))]
    for one, gate in zip(found, truth, strict=True):
        assert one.weighs == PLACES
        np.testing.assert_allclose(one.values, gate[0, 0].numpy().reshape(one.values.shape), rtol=1e-5)
        assert one.values.ndim == 3


def test_blocks_of_a_composed_network_are_found() -> None:
    blocks = ["conv 8", "squeeze_excitation", "spatial_attention kernel=3", "max_pool 2", "conv 8", "global_average"]
    found = learned_attention(window(Way("classification", 2, "composed", "image", {"blocks": blocks})))
    assert [one.title for one in found] == ["squeeze and excitation", "spatial attention (CBAM)"]
    assert found[0].values.shape == (8,)
    assert found[1].values.shape == (1, 64, 64)


def test_slices_of_an_exam_lie_where_they_were() -> None:
    encoder = {"encoder": "cbam_resnet18", "encoder_options": {"width": 4}}
    asked = window(Way("classification", 3, "slices_mean", "image", {**encoder, "axis": 1}))
    images = asked.images.clone()
    images[:, :, :, 20:] = 0.0  # padding: no image from front to back 20 on
    asked = asked.with_images(images)
    found = {one.title: one for one in learned_attention(asked)}
    channels, places = found["channel attention (CBAM)"], found["spatial attention (CBAM)"]
    assert channels.slices == 20
    entered = torch.cat(entry_of(asked, places.name))
    with torch.no_grad():
        truth = asked.network.get_submodule(places.name).weights_of(entered)[:, 0].numpy()  # type: ignore[operator]
    assert places.values.shape[1] == 32
    np.testing.assert_allclose(places.values[:, :20], np.moveaxis(truth, 0, 1), rtol=1e-5)
    assert not places.values[:, 20:].any()


def test_a_network_without_such_blocks_says_so() -> None:
    with pytest.raises(OverreadError, match="no block of Overread's own that weighs channels or places") as refusal:
        learned_attention(window(Way("classification", 2, "resnet10", "image", {"width": 4})))
    assert "attention_unet" in refusal.value.next


def test_every_block_of_ours_that_weighs_maps_is_known() -> None:
    """By what they can do: whatever has `weights_of` in our networks per image is known, or weighs tokens or slices."""
    for name in ("cbam_resnet18", "se_resnet18", "mobilenet_v3_small", "efficientnet_b0"):
        build = next(row for row in ROWS if row.name == name).build
        with torch.device("meta"):
            network: nn.Module = build(1, 2, 2)
        able = {type(module).__name__ for module in network.modules() if hasattr(module, "weights_of")}
        assert able <= {"SqueezeExcitation", "SpatialAttention", ChannelAttention.__name__}
        assert able
