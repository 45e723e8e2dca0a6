"""Every network by name: what it serves, in how many dimensions, from which paper; and how one is built."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.adapters import refuse_unknown_options, unknown_name
from overread.networks.from_monai import make_monai
from overread.networks.from_timm import make_timm
from overread.networks.from_torchvision import make_torchvision
from overread.networks.objects.centre_detector import CentreDetector, coarsest_stride
from overread.networks.objects.centre_offset_unet import CentreOffsetUNet
from overread.networks.objects.pyramid import Pyramid
from overread.networks.resnet import DEPTHS, SMALL_IMAGE, WIDTH, ResNet
from overread.networks.stages import BASE_FEATURES, plan_stages
from overread.networks.unet import RESIDUAL_BLOCKS, UNet
from overread.networks.weights import load_weights

LIBRARIES: dict[str, Callable[..., nn.Module]] = {"timm": make_timm, "torchvision": make_torchvision, "monai": make_monai}
WANTED = {
    "dense": "per voxel",
    "image": "per image",
    "objects": "with a list of objects",
    "centres": "with classes, centres and offsets per voxel",
}


@dataclass(frozen=True)
class Architecture:
    """One network that can be asked for by name.

    serves      "dense" (an answer per voxel), "image" (per image), "objects" (a list of objects), "centres" (per voxel: class,
                heat of centres, way to the centre)
    dimensions  2, 3 or both
    paper       where it was published
    licence     of the code; random weights have none
    build       (in_channels, out_channels, dimensions, **options) to the network
    """

    name: str
    serves: frozenset[str]
    dimensions: frozenset[int]
    paper: str
    licence: str
    build: Callable[..., nn.Module]

    @property
    def options(self) -> dict[str, Any]:
        """Name and default of every option that the network takes."""
        arguments = inspect.signature(self.build).parameters.values()
        return {argument.name: argument.default for argument in arguments if argument.kind is argument.KEYWORD_ONLY}


def build(
    name: str,
    *,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    serves: str,
    options: Mapping[str, Any] | None = None,
    weights: str | Path = "random",
) -> nn.Module:
    """The network of a name, ours or "timm:NAME", "torchvision:NAME", "monai:NAME".

    serves   "dense": forward gives (B, out_channels, [Z,] Y, X); "image": (B, out_channels); "objects": a list of objects per
             image, or losses by name where targets are given; "centres": (B, out_channels + 2 + dimensions, [Z,] Y, X)
    out_channels  for "objects" and "centres": the number of classes, without background
    options  of the network; an unknown one is refused
    weights  "random", "hub" (the library's own pretrained), or a file; what a file gave is in ``weights_loaded``
    """
    options = dict(options or {})
    library, colon, inner_name = name.partition(":")
    question = {"in_channels": in_channels, "out_channels": out_channels, "dimensions": dimensions}
    if colon:
        if library not in LIBRARIES:
            raise OverreadError(f"no library of networks is called '{library}'", next=f"choose one of {', '.join(LIBRARIES)}")
        network = LIBRARIES[library](inner_name, serves=serves, options=options, is_pretrained=str(weights) == "hub", **question)
    else:
        network = _build_own(name, question, serves, options, weights)
    if str(weights) not in ("random", "hub"):
        network.weights_loaded = load_weights(network, Path(weights))  # type: ignore[assignment]
    return network


def _build_own(name: str, question: dict[str, int], serves: str, options: dict[str, Any], weights: str | Path) -> nn.Module:
    if name not in ARCHITECTURES:
        raise unknown_name(name, "Overread", ARCHITECTURES)
    row = ARCHITECTURES[name]
    if serves not in row.serves:
        fitting = ", ".join(other for other, entry in ARCHITECTURES.items() if serves in entry.serves)
        wanted = WANTED[serves]
        raise OverreadError(f"{name} does not answer {wanted}", next=f"choose one of {fitting}")
    if question["dimensions"] not in row.dimensions:
        own = " or ".join(f"{axes}D" for axes in sorted(row.dimensions))
        raise OverreadError(
            f"{name} reads {own} images, and the images are {question['dimensions']}D", next="choose another network"
        )
    if str(weights) == "hub" and name not in _TORCHVISION:
        raise OverreadError(f"{name} has no published weights", next='give a file, or set weights = "random"')
    refuse_unknown_options(options, row.options, name)
    network = row.build(**question, **options)
    if str(weights) == "hub":
        network.weights_loaded = network.load_published()  # type: ignore[operator]
    return network


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
        *_stages(dimensions, patch, spacing, base_features, features, kernels, strides),
        encoder_blocks=encoder_blocks,
        decoder_blocks=decoder_blocks,
        norm=norm,
        dropout=dropout,
        residual=residual,
    )


def _stages(
    dimensions: int, patch: Any, spacing: Any, base_features: int, features: Any, kernels: Any, strides: Any
) -> tuple[Any, Any, Any]:
    """Features, kernels and strides per stage: as given, else planned for a patch (voxels) and spacing (mm)."""
    if strides is None:
        stages = plan_stages(patch or (32,) * dimensions, spacing or (1.0,) * dimensions, base_features=base_features)
        strides, kernels, features = stages.strides, kernels or stages.kernels, features or stages.features
    features = features or [base_features * 2**stage for stage in range(len(strides))]
    kernels = kernels or [(3,) * dimensions] * len(strides)
    if any(len(entry) != dimensions for entry in (*kernels, *strides)):
        raise OverreadError(
            f"the kernels and strides of a {dimensions}D U-Net need {dimensions} numbers each; got {kernels}, {strides}"
        )
    return features, kernels, strides


def _centre_detector(
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
    coarsest: Any = None,
    segmentation: bool = True,
    norm: str = "group",
    dropout: float = 0.0,
) -> nn.Module:
    """Stages as of the U-Net; normalised in groups of channels, which leaves an image without an object cold.

    coarsest      largest step of the answer in voxels, one number or one per axis; 4 in 2D and 2 in 3D where left out
    segmentation  taught beside the boxes, where the truth has voxels
    """
    stages = _stages(dimensions, patch, spacing, base_features, features, kernels, strides)
    steps = coarsest_stride(coarsest, dimensions)
    pyramid = Pyramid(in_channels, *stages, coarsest=steps, norm=norm, dropout=dropout)
    return CentreDetector(pyramid, out_channels, dimensions, segmentation=segmentation)


def _centre_offset_unet(
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
    norm: str = "group",
    dropout: float = 0.0,
    residual: bool = False,
) -> nn.Module:
    """Stages as of the U-Net."""
    stages = _stages(dimensions, patch, spacing, base_features, features, kernels, strides)
    return CentreOffsetUNet(in_channels, out_channels, *stages, norm=norm, dropout=dropout, residual=residual)


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


def _resnet(name: str) -> Callable[..., nn.Module]:
    blocks, is_bottleneck = DEPTHS[name]

    def make(
        in_channels: int,
        out_channels: int,
        dimensions: int,
        *,
        image_size: Any = None,
        keeps_size: bool | None = None,
        width: int = WIDTH,
        dropout: float = 0.0,
        norm: str = "batch",
    ) -> nn.Module:
        """A ResNet; keeps_size (a stem that keeps the resolution) is on for an image_size of 64 or fewer pixels."""
        keeps = keeps_size if keeps_size is not None else image_size is not None and max(image_size) <= SMALL_IMAGE
        shape = (in_channels, out_channels, dimensions, blocks)
        return ResNet(*shape, is_bottleneck=is_bottleneck, keeps_size=keeps, width=width, dropout=dropout, norm=norm)

    return make


class _OfTorchvision:
    """A builder of torchvision's detectors, imported when it is asked for: torchvision takes as long to import as torch."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *question: int, **options: Any) -> nn.Module:
        network: nn.Module = self._builder()(*question, **options)
        return network

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._builder())

    def _builder(self) -> Callable[..., nn.Module]:
        from overread.networks.torchvision_objects import builders

        return getattr(builders, self.name)


_BOTH = frozenset({2, 3})
_UNET_PAPER = "Ronneberger 2015, arXiv:1505.04597; in the shape of Isensee 2021, doi:10.1038/s41592-020-01008-z"
_CENTRE_PAPER = "Zhou 2019, arXiv:1904.07850; taught as in Liu 2020, arXiv:1909.00700"
_TORCHVISION = {
    "faster_rcnn": "Ren 2015, arXiv:1506.01497",
    "mask_rcnn": "He 2017, arXiv:1703.06870",
    "retinanet": "Lin 2017, arXiv:1708.02002",
    "fcos": "Tian 2019, arXiv:1904.01355",
    "ssd": "Liu 2016, arXiv:1512.02325",
}
_ROWS = (
    Architecture("unet", frozenset({"dense"}), _BOTH, _UNET_PAPER, "Apache-2.0", _unet),
    Architecture("residual_unet", frozenset({"dense"}), _BOTH, "Isensee 2024, arXiv:2404.09556", "Apache-2.0", _residual_unet),
    Architecture("centre_detector", frozenset({"objects"}), _BOTH, _CENTRE_PAPER, "Apache-2.0", _centre_detector),
    Architecture(
        "centre_offset_unet", frozenset({"centres"}), _BOTH, "Cheng 2020, arXiv:1911.10194", "Apache-2.0", _centre_offset_unet
    ),
    *(
        Architecture(name, frozenset({"objects"}), frozenset({2}), paper, "BSD-3-Clause", _OfTorchvision(name))
        for name, paper in _TORCHVISION.items()
    ),
    *(
        Architecture(name, frozenset({"image"}), _BOTH, "He 2016, arXiv:1512.03385", "Apache-2.0", _resnet(name))
        for name in DEPTHS
    ),
)
ARCHITECTURES: dict[str, Architecture] = {row.name: row for row in _ROWS}
