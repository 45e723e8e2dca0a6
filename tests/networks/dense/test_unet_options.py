"""Options of the U-Nets: skips off, activation by name; UNet++'s answers; gates and old model files."""

from __future__ import annotations

import hashlib

import pytest
import torch

from overread import networks
from overread.core.question import Question
from overread.networks.count import count_parameters
from overread.tasks import make
from tiny_voxel_networks import images_for, tiny

U_NETS = ("unet", "residual_unet")
FIRST = {  # digests of names and shapes of the tensors, of the first release
    ("unet", 2): "e14a1aae770d0d07",
    ("unet", 3): "a726addfad25caf3",
    ("residual_unet", 2): "f9d7f0112333ea6d",
    ("residual_unet", 3): "1f950e79366d1247",
}


@pytest.mark.parametrize(("name", "dimensions"), FIRST)
def test_model_files_of_the_first_release_fit(name: str, dimensions: int) -> None:
    question = {"in_channels": 2, "out_channels": 3, "dimensions": dimensions, "serves": "dense"}
    network = networks.build(name, options={"base_features": 4, "patch": (16,) * dimensions}, **question)
    told = " ".join(f"{part}{tuple(tensor.shape)}" for part, tensor in network.state_dict().items())
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == FIRST[name, dimensions]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", U_NETS)
def test_without_skips_only_the_bottleneck_tells_the_decoder(name: str, dimensions: int) -> None:
    images = images_for(name, dimensions)
    network, usual = tiny(name, dimensions, skips=False), tiny(name, dimensions)
    assert count_parameters(network) < count_parameters(usual)
    assert [n for n, _ in network.named_parameters()] == [n for n, _ in usual.named_parameters()]
    assert {n for n, t in network.state_dict().items() if t.shape != usual.state_dict()[n].shape} == {
        f"decoder.{stage}.0.conv.weight" for stage in range(len(network.decoder))
    }
    for made, is_told in ((network, False), (usual, True)):
        before = made(images)
        made.encoder[-1].register_forward_hook(lambda _module, _entry, maps: torch.zeros_like(maps))
        silenced = made(images)
        assert not torch.allclose(silenced, before)
        assert (silenced.amax((2, 3)) - silenced.amin((2, 3)) > 1e-3).any() == is_told  # the image is seen by the skips alone


def test_the_activation_of_a_residual_block_follows_the_name() -> None:
    network = tiny("residual_unet", 2, activation="gelu")
    assert not [m for m in network.modules() if isinstance(m, torch.nn.LeakyReLU)]
    assert not [n for n in network.modules() if getattr(n, "activate", False)]


def test_deep_supervision_asks_every_answer_of_unet_plus_plus() -> None:
    """All are at full resolution, so none is left out as too coarse."""
    network, images = tiny("unet_plus_plus", 2).train(), images_for("unet_plus_plus", 2)
    task = make(Question("segmentation", ("ball", "core"), (1, 2)), deep_supervision=True)
    terms = task.losses(network, images, torch.ones(2, 1, *images.shape[2:], dtype=torch.uint8))
    assert list(terms) == ["dice_ce", "dice_ce of answer 2"]
    sum(terms.values()).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_an_answer_of_unet_plus_plus_is_that_of_a_shallower_network() -> None:
    """Its second answer knows nothing of the deepest stage, so that the network could be pruned (Zhou 2020)."""
    network, images = tiny("unet_plus_plus", 2), images_for("unet_plus_plus", 2)
    deep, shallow = network.forward_scales(images)
    network.encoder[-1].register_forward_hook(lambda _module, _entry, maps: torch.zeros_like(maps))
    deep_without, shallow_without = network.forward_scales(images)
    torch.testing.assert_close(shallow_without, shallow)
    assert not torch.allclose(deep_without, deep)
