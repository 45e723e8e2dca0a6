"""What every network whose answer is an image does, in 2D and 3D: shapes, gradients, precision, layout, reloading, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from overread import networks
from overread.core.errors import OverreadError
from overread.networks.generative.dcgan import Dcgan
from overread.networks.generative.diffusion_unet import DiffusionUNet
from overread.networks.generative.latent_diffusion import LatentDiffusion
from overread.networks.generative.parts import OfParts
from overread.networks.generative.rows import ROWS
from overread.networks.generative.variational_autoencoder import VariationalAutoencoder
from overread.networks.generative.wasserstein_gan import WassersteinGan
from overread.networks.layout import memory_format, to_channels_last

pytestmark = pytest.mark.usefixtures("as_in_training")

CLASSES = 3
SMALL: dict[str, dict[str, Any]] = {
    "autoencoder": {"latent": 4, "features": (4, 8)},
    "variational_autoencoder": {"latent": 4, "features": (4, 8)},
    "pix2pix": {"base_features": 4, "critic_features": 4},
    "cycle_gan": {"base_features": 4, "blocks": 1, "critic_features": 4},
    "dcgan": {"latent": 4, "features": (4, 8)},
    "wasserstein_gan": {"latent": 4, "features": (4, 8)},
    "diffusion_unet": {"features": (4, 8), "blocks": 1, "heads": 2, "guide_channels": 1},
    "latent_diffusion": {
        "codes": 2,
        "autoencoder_features": (4,),
        "features": (4, 8),
        "blocks": 1,
        "heads": 2,
        "guide_channels": 1,
    },
}
WAYS = [(row.name, dimensions) for row in ROWS for dimensions in sorted(row.dimensions)]
SIZES = [(28, 28), (30, 17), (5, 18, 9)]


def made(name: str, size: tuple[int, ...], seed: int = 0) -> nn.Module:
    row = next(row for row in ROWS if row.name == name)
    torch.manual_seed(seed)
    (serves,) = row.serves
    options = {**SMALL[name], **{key: size for key in ("image_size", "patch") if key in row.options}}
    channels = CLASSES if serves == "made" else 1
    network = networks.build(name, in_channels=channels, out_channels=1, dimensions=len(size), serves=serves, options=options)
    with torch.no_grad():  # some layers start at 0, and what lies behind them would get no slope
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network.eval()


def images_of(size: tuple[int, ...]) -> Tensor:
    return torch.randn((2, 1, *size), generator=torch.Generator().manual_seed(1))


def everything(network: nn.Module, images: Tensor) -> Tensor:
    """What all parts together answer, with every condition that the network takes."""
    asked, times = torch.eye(CLASSES)[: len(images)], torch.arange(len(images)) + 5
    if isinstance(network, DiffusionUNet):
        return network.denoise(images, times, asked, images)
    if isinstance(network, LatentDiffusion):
        return network.decode(network.denoise(network.encode(images), times, asked, images))
    if isinstance(network, VariationalAutoencoder):
        mean, log_variance = network.encode(images)
        return network.decode(mean + (0.5 * log_variance).exp())
    return network.whole(images) if isinstance(network, OfParts) else network(images)


@pytest.mark.parametrize(("name", "dimensions"), WAYS)
def test_answers_are_images_that_do_not_hang_on_their_batch_and_reload_to_the_same(name: str, dimensions: int) -> None:
    size = (16,) * dimensions
    network, images = made(name, size), images_of(size)
    with torch.no_grad():
        answer, alone, known = network(images), network(images[:1]), network.features(images)
    assert answer.shape == images.shape
    torch.testing.assert_close(alone, answer[:1], rtol=1e-4, atol=1e-5)
    assert (known.ndim, len(known)) == (2, 2)
    again = made(name, size, seed=1)
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(everything(again, images), everything(network, images))


@pytest.mark.parametrize(("name", "dimensions"), WAYS)
def test_gradients_reach_every_parameter_and_are_the_same_in_channels_last(name: str, dimensions: int) -> None:
    size = (16,) * dimensions
    network, twin, images = made(name, size), made(name, size), images_of(size)
    to_channels_last(twin)
    lying = images.contiguous(memory_format=memory_format(images.ndim))
    for one, seen in ((network, images), (twin, lying)):
        everything(one.train(), seen).square().mean().backward()
    for (parameter_name, one), other in zip(network.named_parameters(), twin.parameters(), strict=True):
        assert one.grad is not None, f"{parameter_name} never receives a gradient"
        assert other.grad is not None
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-2, atol=1e-3 * one.grad.abs().max().item() + 1e-5)
    twin.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16):
        rough = everything(twin, lying)
    rough.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in twin.parameters())
    sure = everything(network, images)
    assert (rough.float() - sure).abs().mean() < 0.1 * sure.abs().mean() + 0.02


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SMALL)
def test_sizes_that_are_no_powers_of_two(name: str, size: tuple[int, ...]) -> None:
    if name == "pix2pix":  # a U-Net, whose window is planned
        size = tuple(-(-edge // 4) * 4 for edge in size)
    network, images = made(name, size), images_of(size)
    with torch.no_grad():
        assert network(images).shape == images.shape
        assert everything(network, images).isfinite().all()


@pytest.mark.parametrize("make", [Dcgan, WassersteinGan])
def test_makers_of_images_make_one_for_each_row_of_numbers(make: type[Dcgan] | type[WassersteinGan]) -> None:
    network = make(2, 2, image_size=(16, 16), latent=4, features=(4, 8), classes=CLASSES).eval()
    latents, asked = torch.randn(5, 4), torch.eye(CLASSES)[[0, 1, 2, 0, 1]]
    images = network.generator(latents, asked)
    assert images.shape == (5, *network.image_shape)
    assert network.critic(images, asked).shape == (5,)
    assert not torch.equal(images, network.generator(latents, asked.roll(1, 0)))
    assert not torch.equal(network.critic(images, asked), network.critic(images, asked.roll(1, 0)))
    torch.testing.assert_close(network(images), network(images + 1), rtol=0, atol=0)
    plain = make(1, 2, image_size=(16, 16), latent=4, features=(4, 8))
    assert plain.generator(latents, torch.zeros(5, 0)).shape == (5, 1, 16, 16)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_slope_of_the_wasserstein_critic_has_a_slope(dimensions: int) -> None:
    """The gradient penalty (Gulrajani 2017) is differentiated once more, image by image."""
    size = (16,) * dimensions
    network = made("wasserstein_gan", size)
    images, asked = images_of(size).requires_grad_(), torch.eye(CLASSES)[:2]
    (slope,) = torch.autograd.grad(network.critic(images, asked).sum(), images, create_graph=True)
    (alone,) = torch.autograd.grad(network.critic(images[:1], asked[:1]).sum(), images)
    torch.testing.assert_close(alone[:1], slope[:1])
    (slope.flatten(1).norm(dim=1) - 1).square().mean().backward()
    weights = {name: p for name, p in network.critic.named_parameters() if name.endswith("weight")}
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in weights.values())


def test_a_condition_of_zeros_is_no_condition_and_a_guide_is_read() -> None:
    network, images = made("diffusion_unet", (16, 16)), images_of((16, 16))
    times, nothing = torch.tensor([3, 700]), torch.zeros(2, CLASSES)
    with torch.no_grad():
        free = network.denoise(images, times, None, images)
        assert torch.equal(network.denoise(images, times, nothing, images), free)
        assert not torch.equal(network.denoise(images, times, torch.eye(CLASSES)[:2], images), free)
        assert not torch.equal(network.denoise(images, times + 1, None, images), free)
        assert not torch.equal(network.denoise(images, times, None, images + 1), free)


def test_a_code_is_scaled_on_the_way_to_the_denoiser_and_back() -> None:
    network, images = made("latent_diffusion", (28, 28)), images_of((28, 28))
    assert network.code_shape == (2, 14, 14)
    with torch.no_grad():
        before, code = network(images), network.encode(images)
        network.scale.fill_(4.0)
        torch.testing.assert_close(network.encode(images), 4 * code)
        torch.testing.assert_close(network(images), before)
    assert network.state_dict()["scale"] == 4.0


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ("pix2pix", "cycle_gan")])
def test_a_network_for_one_size_must_know_it_and_refuses_another(name: str) -> None:
    row = next(row for row in ROWS if row.name == name)
    (serves,) = row.serves
    with pytest.raises(OverreadError, match=rf"{name} has weights for every place(?s:.*)image_size = \[height, width\]"):
        networks.build(name, in_channels=1, out_channels=1, dimensions=2, serves=serves, options=SMALL[name])
    if name in ("dcgan", "wasserstein_gan"):
        return
    with pytest.raises(OverreadError, match=rf"{name} was built for images of \(16, 16\), and got one of size \(20, 16\)"):
        made(name, (16, 16))(torch.zeros(1, 1, 20, 16))


@pytest.mark.parametrize("name", ["autoencoder", "dcgan", "latent_diffusion"])
def test_an_image_that_cannot_be_halved_is_refused(name: str) -> None:
    with pytest.raises(OverreadError, match=rf"an image of \(6, 7\) does not fit {name}: one axis must have at least 8 pixels"):
        made(name, (6, 7))


def test_a_condition_or_guide_that_does_not_fit_is_refused() -> None:
    pair, denoiser, images = made("dcgan", (16, 16)), made("diffusion_unet", (16, 16)), images_of((16, 16))
    with pytest.raises(
        OverreadError, match="takes a condition of 3 numbers, one per class, and was given one of 0\n  Next: give one"
    ):
        pair.generator(torch.zeros(2, 4))
    with pytest.raises(OverreadError, match="this critic takes a condition of 3 numbers, one per class, and was given one of 2"):
        pair.critic(images, torch.zeros(2, 2))
    with pytest.raises(OverreadError, match="this diffusion_unet takes a condition of 3 numbers"):
        denoiser.denoise(images, torch.zeros(2), torch.zeros(2, 2), images)
    with pytest.raises(OverreadError, match="guided by 1 channels beside the image, and was given 0\n  Next: give a guide"):
        denoiser.denoise(images, torch.zeros(2))
    plain = Dcgan(1, 2, image_size=(16, 16), latent=4, features=(4, 8))
    with pytest.raises(OverreadError, match="takes no condition, and was given one of 3\n  Next: leave the condition out"):
        plain.generator(torch.zeros(2, 4), torch.eye(3)[:2])
