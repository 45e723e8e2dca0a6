"""Networks of MONAI by name, per voxel and per image, in 2D and 3D."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.blocks.norms import mend_instance_norms
from overread.networks.libraries.adapters import DenseAdapter, ImageAdapter, refuse_unknown_options, unknown_name

_Values = Mapping[str, Any]


@dataclass(frozen=True)
class _Row:
    """How a network of MONAI is made.

    serves      "dense" or "image"
    entry, out  what its constructor calls the channels of the image and of the answer
    fixed       what we set where the user sets nothing
    divisor     from the constructor's values to what each axis must be divisible by
    """

    serves: str
    entry: str = "in_channels"
    out: str = "out_channels"
    fixed: Callable[[int], dict[str, Any]] = field(default=lambda dimensions: {})
    divisor: Callable[[_Values], int | Sequence[int]] = field(default=lambda values: 1)
    dimensions: tuple[int, ...] = (2, 3)


def _steps(values: _Values) -> list[int]:
    """The product of the strides per axis, where a stride is one number or one per axis."""
    axes = values["spatial_dims"]
    rows = [(stride,) * axes if isinstance(stride, int) else tuple(stride) for stride in values["strides"]]
    return [prod(row[axis] for row in rows) for axis in range(axes)]


def _stages(dimensions: int) -> dict[str, Any]:
    return {"channels": (32, 64, 128, 256), "strides": (2, 2, 2)}


def _dynamic(dimensions: int) -> dict[str, Any]:
    once, twice, three = (1,) * dimensions, (2,) * dimensions, (3,) * dimensions
    return {"kernel_size": [three] * 4, "strides": [once, twice, twice, twice], "upsample_kernel_size": [twice] * 3}


_PER_IMAGE = _Row("image")
_PER_IMAGE_CLASSES = _Row("image", out="num_classes")
_PER_IMAGE_RESNET = _Row("image", entry="n_input_channels", out="num_classes")

ROWS: dict[str, _Row] = {
    "AttentionUnet": _Row("dense", fixed=_stages, divisor=_steps),
    "BasicUNet": _Row("dense", divisor=lambda values: 16),
    "BasicUNetPlusPlus": _Row("dense", divisor=lambda values: 16),
    "DynUNet": _Row("dense", fixed=_dynamic, divisor=_steps),
    "FlexibleUNet": _Row("dense", fixed=lambda dimensions: {"backbone": "efficientnet-b0"}, divisor=lambda values: 32),
    "HighResNet": _Row("dense"),
    "MedNeXt": _Row("dense", divisor=lambda values: 2 ** len(values.get("blocks_down", range(4)))),
    "SegResNet": _Row("dense", divisor=lambda values: 2 ** (len(values.get("blocks_down", range(4))) - 1)),
    "SwinUNETR": _Row("dense", divisor=lambda values: 32),
    "UNETR": _Row("dense", divisor=lambda values: 16),
    "UNet": _Row("dense", fixed=lambda dimensions: {**_stages(dimensions), "num_res_units": 2}, divisor=_steps),
    "VNet": _Row("dense", divisor=lambda values: 16),
    **{f"DenseNet{depth}": _PER_IMAGE for depth in (121, 169, 201, 264)},
    **{f"SEResNet{depth}": _PER_IMAGE_CLASSES for depth in (50, 101, 152)},
    **{f"SEResNext{depth}": _PER_IMAGE_CLASSES for depth in (50, 101)},
    "SENet154": _PER_IMAGE_CLASSES,
    "EfficientNetBN": _Row(
        "image", out="num_classes", fixed=lambda dimensions: {"model_name": "efficientnet-b0", "pretrained": False}
    ),
    # MONAI ends its transformer with a tanh, which no loss here expects.
    "ViT": _Row(
        "image", out="num_classes", fixed=lambda d: {"patch_size": (16,) * d, "classification": True, "post_activation": "none"}
    ),
    **{f"resnet{depth}": _PER_IMAGE_RESNET for depth in (10, 18, 34, 50, 101, 152, 200)},
}


def make_monai(
    name: str,
    *,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    serves: str,
    options: Mapping[str, Any],
    is_pretrained: bool,
) -> ImageAdapter | DenseAdapter:
    """monai:NAME; options go to its constructor and replace what we set.

    Source: Cardoso et al., MONAI, 2022 (Apache-2.0); each network names its paper in MONAI's documentation.
    """
    from monai.networks import nets  # heavy, and only wanted when named

    source = f"monai:{name}"
    if name not in ROWS:
        raise unknown_name(name, "MONAI (as far as it answers per voxel or per image)", ROWS)
    row, maker = ROWS[name], getattr(nets, name)
    if row.serves != serves:
        answers, wanted = ("per voxel", "per image") if row.serves == "dense" else ("per image", "per voxel")
        near = ", ".join(f"monai:{other}" for other, entry in ROWS.items() if entry.serves == serves)
        raise OverreadError(f"{source} answers {answers}, not {wanted}", next=f"choose one of {near}")
    refuse_unknown_options(options, _parameters(maker), source)
    values = {**row.fixed(dimensions), **options, "spatial_dims": dimensions, row.entry: in_channels, row.out: out_channels}
    if "img_size" in _parameters(maker) and "img_size" not in values:
        raise OverreadError(
            f"{source} is built for one size of image", next="set its option img_size, e.g. img_size = [96, 96, 96]"
        )
    inner = _make(maker, values, source, is_pretrained)
    mend_instance_norms(inner)
    _settle_spare(inner)
    if serves == "image":
        return ImageAdapter(inner, _head_name(inner), source, dimensions)
    return DenseAdapter(inner, divisor_of(name, dimensions, options), source)


def divisor_of(name: str, dimensions: int, options: Mapping[str, Any]) -> tuple[int, ...]:
    """To what each axis of an image must be a multiple of, known before the network is built."""
    row = ROWS[name]
    divisor = row.divisor({**row.fixed(dimensions), **options, "spatial_dims": dimensions})
    return (divisor,) * dimensions if isinstance(divisor, int) else tuple(divisor)


def options_of(name: str) -> set[str]:
    """The options that a network of MONAI takes."""
    from monai.networks import nets  # heavy, and only wanted when named

    return _parameters(getattr(nets, name))


def _make(maker: Callable[..., nn.Module], values: dict[str, Any], source: str, is_pretrained: bool) -> nn.Module:
    if is_pretrained:
        if "pretrained" not in _parameters(maker):
            raise OverreadError(
                f"MONAI has no pretrained weights for {source}", next="give weights as a file, or start from random weights"
            )
        values = {**values, "pretrained": True}
    try:
        return maker(**values)
    except (TypeError, ValueError, AssertionError, NotImplementedError, OSError, RuntimeError) as error:
        what = "the pretrained weights could not be loaded" if is_pretrained else "it cannot be built so"
        raise OverreadError(
            f"{source}: {what}: {error}", next="change its options" if not is_pretrained else "give weights as a file"
        ) from error


def _parameters(maker: Callable[..., object]) -> set[str]:
    """Names of a constructor's arguments, those of the classes above it too, which MONAI passes on as **kwargs."""
    sources = maker.__mro__ if inspect.isclass(maker) else (maker, _residual_network())
    found: set[str] = set()
    for source in sources:
        if source not in (object, nn.Module):
            found |= set(inspect.signature(source).parameters)
    return found - {"kwargs", "args", "self"}


def _residual_network() -> type[nn.Module]:
    from monai.networks.nets import ResNet  # what resnet10 ... resnet200 hand their arguments to

    return ResNet


def _settle_spare(inner: nn.Module) -> None:
    """MONAI gives each block of a transformer a normalisation for a cross-attention that most do not have: nothing to learn."""
    for block in inner.modules():
        if not getattr(block, "with_cross_attention", True):
            block.norm_cross_attn.requires_grad_(False)


def _head_name(inner: nn.Module) -> str:
    return [name for name, module in inner.named_modules() if isinstance(module, nn.Linear)][-1]
