"""The networks that answer per voxel: how each is built, and its row in the table."""

from typing import Any

from torch import nn

from overread.networks.architecture import BOTH, DENSE, Architecture
from overread.networks.dense.unet import RESIDUAL_BLOCKS, UNet
from overread.networks.stages import BASE_FEATURES, stages_of

_UNET_PAPER = "Ronneberger 2015, arXiv:1505.04597; in the shape of Isensee 2021, doi:10.1038/s41592-020-01008-z"


def _unet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    patch: Any = None,
    spacing: Any = None,
    base_features: int = BASE_FEATURES,
    features: Any = None,
    kernels: Any = None,
    strides: Any = None,
    encoder_blocks: Any = 2,
    decoder_blocks: Any = 2,
    norm: str = "instance",
    dropout: float = 0.0,
    residual: bool = False,
) -> nn.Module:
    """A U-Net from features, kernels and strides, or from a patch (voxels) and spacing (mm) that stages are planned for."""
    return UNet(
        in_channels,
        out_channels,
        *stages_of(dimensions, patch, spacing, base_features, features, kernels, strides),
        encoder_blocks=encoder_blocks,
        decoder_blocks=decoder_blocks,
        norm=norm,
        dropout=dropout,
        residual=residual,
    )


def _residual_unet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    patch: Any = None,
    spacing: Any = None,
    base_features: int = BASE_FEATURES,
    features: Any = None,
    kernels: Any = None,
    strides: Any = None,
    encoder_blocks: Any = None,
    decoder_blocks: Any = 1,
    norm: str = "instance",
    dropout: float = 0.0,
) -> nn.Module:
    """A U-Net with residual blocks (1, 3, 4, 6, 6 ... per stage) in its encoder."""
    shape = {"patch": patch, "spacing": spacing, "base_features": base_features, "features": features, "kernels": kernels}
    parts = {"decoder_blocks": decoder_blocks, "norm": norm, "dropout": dropout, "residual": True}
    blocks = encoder_blocks or RESIDUAL_BLOCKS
    return _unet(in_channels, out_channels, dimensions, **shape, strides=strides, encoder_blocks=blocks, **parts)


ROWS = (
    Architecture("unet", DENSE, BOTH, _UNET_PAPER, "Apache-2.0", _unet),
    Architecture("residual_unet", DENSE, BOTH, "Isensee 2024, arXiv:2404.09556", "Apache-2.0", _residual_unet),
)
