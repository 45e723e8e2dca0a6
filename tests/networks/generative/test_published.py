"""Our generative networks beside their papers and MONAI's: layers, weights, fields, embeddings."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from monai.networks.nets.diffusion_model_unet import DiffusionUNetResnetBlock, get_timestep_embedding
from monai.networks.nets.patchgan_discriminator import PatchDiscriminator

from overread.networks.anatomy.receptive_field import receptive_fields
from overread.networks.count import count_parameters
from overread.networks.generative.autoencoder import Autoencoder
from overread.networks.generative.cycle_gan import CycleGan
from overread.networks.generative.dcgan import Dcgan
from overread.networks.generative.patch_critic import PatchCritic
from overread.networks.generative.pix2pix import build_pix2pix
from overread.networks.generative.time_embedding import WAVES, waves_of
from overread.networks.generative.timed_block import TimedBlock


def test_dcgan_has_the_maps_of_the_paper() -> None:
    """Radford 2016, figure 1: 1024 maps of 4 x 4, then half as many of twice the size, to an image of 64 x 64 x 3."""
    with torch.device("meta"):
        network = Dcgan(3, 2, image_size=(64, 64), latent=100)
    seen = []
    for up in network.generator.ups:
        up.register_forward_hook(lambda _, given, answer: seen.append((tuple(given[0].shape[1:]), tuple(answer.shape[1:]))))
    network.generator(torch.empty(1, 100, device="meta"))
    maps = [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    assert seen == list(pairwise(maps))
    widths = [1024, 512, 256, 128, 3]
    layers = sum(16 * a * b + b for a, b in pairwise(widths))
    by_hand = 101 * 1024 * 16 + layers + sum(2 * width for width in widths[:-1])
    assert count_parameters(network.generator) == by_hand
    assert [tuple(step.conv.weight.shape[:2]) for step in network.critic.steps] == [(128, 3), (256, 128), (512, 256), (1024, 512)]
    assert not network.critic.steps[0].norm.weight


@pytest.mark.parametrize(("steps", "pixels"), [(1, 16), (2, 34), (3, 70), (5, 286)])
def test_a_score_sees_as_much_as_published(steps: int, pixels: int) -> None:
    """Isola 2017, appendix 6.1.2: critics of 16, 70 and 286 pixels."""
    critic = PatchCritic(6, ((2, 2),) * steps, 4)
    fields = receptive_fields(critic, (1, 6, 512, 512))
    assert fields[f"layers.{steps + 1}", 0].size == (pixels, pixels)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_critic_of_patches_scores_as_that_of_monai(dimensions: int) -> None:
    theirs = PatchDiscriminator(dimensions, 4, 2, norm=("INSTANCE", {"affine": True}))
    ours = PatchCritic(2, ((2,) * dimensions,) * 3, 4)
    given = [value for name, value in theirs.state_dict().items() if "weight" in name or ".conv.bias" in name]
    taken = [value for name, value in ours.state_dict().items() if _is_theirs(name)]
    for mine, value in zip(taken, given, strict=True):
        mine.copy_(value)
    for name, parameter in ours.named_parameters():
        if not _is_theirs(name):
            torch.nn.init.zeros_(parameter)
    images = torch.randn(2, 2, *(32,) * dimensions)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images)[-1], rtol=1e-4, atol=1e-5)


def _is_theirs(name: str) -> bool:
    """MONAI's convolutions before a normalisation have no bias, which the normalisation would take away."""
    return "weight" in name or name in ("layers.0.conv.bias", "layers.4.bias")


def test_times_are_the_waves_of_monai() -> None:
    times = torch.tensor([0, 1, 17, 500, 999])
    torch.testing.assert_close(waves_of(times), get_timestep_embedding(times, 2 * WAVES))
    angle = torch.tensor(17 * 10_000 ** (-3 / WAVES))
    torch.testing.assert_close(waves_of(times)[2, [3, WAVES + 3]], torch.stack((angle.cos(), angle.sin())))


@pytest.mark.parametrize(("inputs", "outputs", "dimensions"), [(8, 16, 2), (16, 16, 3)])
def test_a_timed_block_answers_as_that_of_monai(inputs: int, outputs: int, dimensions: int) -> None:
    theirs = DiffusionUNetResnetBlock(dimensions, inputs, 12, outputs, norm_num_groups=8, norm_eps=1e-5)
    ours = TimedBlock(inputs, outputs, 12, dimensions, dropout=0.0)
    torch.nn.init.normal_(theirs.conv2.conv.weight)
    for mine, value in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.data.copy_(value)
    maps, told = torch.randn(2, inputs, *(6,) * dimensions), torch.randn(2, 12)
    with torch.no_grad():
        torch.testing.assert_close(ours(maps, told), theirs(maps, told), rtol=1e-4, atol=1e-5)


def test_parameters_by_hand() -> None:
    autoencoder = Autoencoder(1, 1, 2, image_size=(28, 28), latent=10, features=(4, 8, 16))  # 28, 14, 7 and no further
    encoder = (16 * 4 + 4 + 8) + (16 * 4 * 8 + 8 + 16) + sum(2 * (9 * w * w + w + 2 * w) for w in (4, 8))
    assert count_parameters(autoencoder.encoder) == encoder + (8 * 49 * 10 + 10)
    decoder = (16 * 8 * 4 + 4 + 8) + (16 * 4 * 4 + 4 + 8) + sum(2 * (9 * w * w + w + 2 * w) for w in (4, 8))
    assert count_parameters(autoencoder.decoder) == (10 * 8 * 49 + 8 * 49) + decoder + (9 * 4 + 1)


def test_the_parts_of_translators_and_their_critics() -> None:
    cycle = CycleGan(2, 3, 2, image_size=(64, 64), base_features=4, blocks=1, critic_features=4)
    images = torch.randn(1, 2, 64, 64)
    there = cycle.forth(images)
    assert there.shape == (1, 3, 64, 64)
    assert cycle.back(there).shape == images.shape
    assert cycle.critic_a(images).shape == cycle.critic_b(there).shape == (1, 1, 6, 6)
    pair = build_pix2pix(2, 3, 2, patch=(64, 64), base_features=4, critic_features=4)
    assert pair.critic(torch.cat((images, pair(images)), 1)).shape == (1, 1, 6, 6)
    assert len(pair.generator.heads) == 1
    flat = build_pix2pix(1, 1, 3, patch=(4, 32, 32), spacing=(5.0, 1.0, 1.0), base_features=4, critic_features=4)
    assert flat.critic(torch.zeros(1, 2, 4, 32, 32)).shape == (1, 1, 4, 2, 2)
