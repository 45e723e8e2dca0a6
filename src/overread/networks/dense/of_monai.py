"""Networks per voxel that MONAI has written, under names and with options of our own.

Source: Cardoso et al., MONAI, 2022, arXiv:2211.02701 (Apache-2.0); each network's own paper stands in its row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.libraries.from_monai import divisor_of, make_monai


def build_segresnet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    base_features: int = 32,
    blocks_down: Any = (1, 2, 2, 4),
    blocks_up: Any = (1, 1, 1),
    dropout: float = 0.0,
) -> nn.Module:
    """base_features at full resolution, a multiple of 8; blocks per stage on the way down and up; dropout of the image."""
    if base_features % 8:
        raise OverreadError(
            f"SegResNet normalises in 8 groups, and {base_features} base_features do not fall into them", "set base_features = 16"
        )
    options = {"init_filters": base_features, "blocks_down": tuple(blocks_down), "blocks_up": tuple(blocks_up)}
    return _make("SegResNet", in_channels, out_channels, dimensions, {**options, "dropout_prob": dropout or None})


def build_swin_unetr(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    feature_size: int = 48,
    depths: Any = (2, 2, 2, 2),
    dropout: float = 0.0,
) -> nn.Module:
    """feature_size  width of the first stage, a multiple of 12;  depths  transformer blocks per stage."""
    if feature_size % 12:
        raise OverreadError(f"feature_size = {feature_size} is no multiple of 12, as Swin UNETR needs", "set feature_size = 24")
    options = {"feature_size": feature_size, "depths": tuple(depths), "drop_rate": dropout}
    return _make("SwinUNETR", in_channels, out_channels, dimensions, options)


def build_unetr(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    img_size: Any = None,
    feature_size: int = 16,
    hidden_size: int = 768,
    num_heads: int = 12,
    dropout: float = 0.0,
) -> nn.Module:
    """img_size  of the window, which has a learned place per token: the plan sets it;  hidden_size  numbers per token."""
    options = {"feature_size": feature_size, "hidden_size": hidden_size, "mlp_dim": 4 * hidden_size, "num_heads": num_heads}
    given = {} if img_size is None else {"img_size": tuple(img_size)}
    return _make("UNETR", in_channels, out_channels, dimensions, {**options, **given, "dropout_rate": dropout})


def build_mednext(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    base_features: int = 32,
    kernel_size: int = 3,
    expansion: int = 2,
    blocks_down: Any = (2, 2, 2, 2),
    blocks_up: Any = (2, 2, 2, 2),
) -> nn.Module:
    """MedNeXt-S where nothing is set: depthwise kernels of kernel_size, widened expansion times inside a block."""
    wide = {f"{place}_expansion_ratio": expansion for place in ("encoder", "decoder", "bottleneck")}
    options = {"init_filters": base_features, "kernel_size": kernel_size, "use_residual_connection": True, **wide}
    blocks = {"blocks_down": tuple(blocks_down), "blocks_up": tuple(blocks_up)}
    return _make("MedNeXt", in_channels, out_channels, dimensions, {**options, **blocks})


def divisor_for(name: str) -> Callable[[int, Mapping[str, Any]], Sequence[int]]:
    """Of MONAI's network of that name, as a row of the table asks for it."""
    return lambda dimensions, options: divisor_of(name, dimensions, options)


def _make(name: str, in_channels: int, out_channels: int, dimensions: int, options: Mapping[str, Any]) -> nn.Module:
    question: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels, "dimensions": dimensions}
    return make_monai(name, serves="dense", options=options, is_pretrained=False, **question)
