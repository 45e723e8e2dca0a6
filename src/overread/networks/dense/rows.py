"""The networks that answer per voxel: the rows of the table; how each is built stands in its file."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from overread.networks.architecture import BOTH, DENSE, Architecture
from overread.networks.dense.attention_unet import build_attention_unet
from overread.networks.dense.deeplab import build_deeplab_v3_plus
from overread.networks.dense.fc_densenet import build_fc_densenet, divisor_of_layers
from overread.networks.dense.fcn import build_fcn
from overread.networks.dense.of_monai import build_mednext, build_segresnet, build_swin_unetr, build_unetr, divisor_for
from overread.networks.dense.pspnet import build_pspnet
from overread.networks.dense.segnet import build_segnet
from overread.networks.dense.u_shape import divisor_of_options
from overread.networks.dense.unet import build_residual_unet, build_unet
from overread.networks.dense.unet_plus_plus import build_unet_plus_plus
from overread.networks.dense.vnet import build_vnet
from overread.networks.dense.voxelwise import build_voxelwise

_UNET_PAPER = "Ronneberger 2015, arXiv:1505.04597; in the shape of Isensee 2021, doi:10.1038/s41592-020-01008-z"
_SMALL_ENCODER = {"encoder": "resnet18", "width": 32}


def _row(name: str, paper: str, build: Callable[..., nn.Module], on_processor: Mapping[str, Any], **known: Any) -> Architecture:
    return Architecture(name, DENSE, BOTH, paper, "Apache-2.0", build, on_processor=on_processor, **known)


def _of_stages(name: str, paper: str, build: Callable[..., nn.Module], scales: bool = False) -> Architecture:
    """Made of stages that the plan lays out, narrower on a processor."""
    return _row(name, paper, build, {}, divisor=divisor_of_options, scales=scales)


ROWS = (
    _of_stages("unet", _UNET_PAPER, build_unet, scales=True),
    _of_stages("residual_unet", "Isensee 2024, arXiv:2404.09556", build_residual_unet, scales=True),
    _of_stages("attention_unet", "Oktay 2018, arXiv:1804.03999", build_attention_unet, scales=True),
    _of_stages("unet_plus_plus", "Zhou 2018, arXiv:1807.10165", build_unet_plus_plus, scales=True),
    _of_stages("vnet", "Milletari 2016, arXiv:1606.04797", build_vnet),
    _of_stages("segnet", "Badrinarayanan 2017, arXiv:1511.00561", build_segnet),
    _row("fcn", "Long 2015, arXiv:1411.4038", build_fcn, _SMALL_ENCODER),
    _row("deeplab_v3_plus", "Chen 2018, arXiv:1802.02611", build_deeplab_v3_plus, {**_SMALL_ENCODER, "features": 64}),
    _row("pspnet", "Zhao 2017, arXiv:1612.01105", build_pspnet, _SMALL_ENCODER),
    _row("fc_densenet", "Jegou 2017, arXiv:1611.09326", build_fc_densenet, {}, divisor=divisor_of_layers),
    _row(
        "segresnet", "Myronenko 2018, arXiv:1810.11654", build_segresnet, {"base_features": 16}, divisor=divisor_for("SegResNet")
    ),
    _row(
        "swin_unetr",
        "Hatamizadeh 2022, arXiv:2201.01266",
        build_swin_unetr,
        {"feature_size": 12},
        divisor=divisor_for("SwinUNETR"),
    ),
    _row("unetr", "Hatamizadeh 2022, arXiv:2103.10504", build_unetr, {"hidden_size": 192}, divisor=divisor_for("UNETR")),
    _row("voxelwise", "Lin 2014, arXiv:1312.4400", build_voxelwise, {}),
    _row("mednext", "Roy 2023, arXiv:2303.09975", build_mednext, {"base_features": 16}, divisor=divisor_for("MedNeXt")),
)
