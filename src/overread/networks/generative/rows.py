"""The networks whose answer is an image: how each is built, and its row in the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from overread.networks.architecture import BOTH, MADE, PICTURES, Architecture
from overread.networks.dense.u_shape import divisor_of_options
from overread.networks.generative.autoencoder import Autoencoder
from overread.networks.generative.cycle_gan import CycleGan
from overread.networks.generative.dcgan import Dcgan
from overread.networks.generative.diffusion_unet import DiffusionUNet
from overread.networks.generative.latent_diffusion import LatentDiffusion
from overread.networks.generative.pix2pix import build_pix2pix
from overread.networks.generative.variational_autoencoder import VariationalAutoencoder
from overread.networks.generative.wasserstein_gan import WassersteinGan

_NARROW_PAIR = {"features": (64, 128, 256, 512)}


class _Maker:
    """A builder of a network that makes images: what other networks read are here the classes that can be asked for."""

    def __init__(self, network: type[nn.Module]) -> None:
        self.network = network

    def __call__(self, in_channels: int, out_channels: int, dimensions: int, **options: Any) -> nn.Module:
        return self.network(out_channels, dimensions, classes=in_channels, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        arguments = inspect.signature(self.network).parameters.values()
        return inspect.Signature([argument for argument in arguments if argument.name != "classes"])


def _picture(
    name: str, paper: str, build: Callable[..., nn.Module], on_processor: Mapping[str, Any] | None = None, **known: Any
) -> Architecture:
    return Architecture(name, PICTURES, BOTH, paper, "Apache-2.0", build, on_processor=on_processor or {}, **known)


def _made(name: str, paper: str, network: type[nn.Module], on_processor: Mapping[str, Any]) -> Architecture:
    return Architecture(name, MADE, BOTH, paper, "Apache-2.0", _Maker(network), on_processor=on_processor)


ROWS = (
    _picture("autoencoder", "Hinton 2006, doi:10.1126/science.1127647", Autoencoder),
    _picture("variational_autoencoder", "Kingma 2014, arXiv:1312.6114", VariationalAutoencoder),
    _picture("pix2pix", "Isola 2017, arXiv:1611.07004", build_pix2pix, {"critic_features": 16}, divisor=divisor_of_options),
    _picture("cycle_gan", "Zhu 2017, arXiv:1703.10593", CycleGan, {"base_features": 16, "critic_features": 16}),
    _made("dcgan", "Radford 2016, arXiv:1511.06434", Dcgan, _NARROW_PAIR),
    _made("wasserstein_gan", "Gulrajani 2017, arXiv:1704.00028", WassersteinGan, _NARROW_PAIR),
    _made("diffusion_unet", "Ho 2020, arXiv:2006.11239", DiffusionUNet, {"features": (32, 64, 64), "blocks": 1}),
    _made(
        "latent_diffusion",
        "Rombach 2022, arXiv:2112.10752",
        LatentDiffusion,
        {"autoencoder_features": (16, 32), "features": (64, 128), "blocks": 1},
    ),
)
