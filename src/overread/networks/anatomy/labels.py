"""What a block is called in a drawing."""

from __future__ import annotations

import re

from torch import nn

from overread.networks.anatomy import kinds

OF_KIND = {
    kinds.CONVOLUTION: "convolutions",
    kinds.RESIDUAL: "residual block",
    kinds.BRANCHES: "branches",
    kinds.SCALES: "several scales",
    kinds.ATTENTION: "attention block",
    kinds.POOLING: "pooling",
    kinds.UPSAMPLING: "upsampling",
    kinds.LINEAR: "fully connected",
    kinds.RECURRENT: "recurrent",
    kinds.OTHER: "other",
}
NAMES = {  # of classes whose own name says less
    "ConvNeXtBlock": "ConvNeXt block",
    "UnetResBlock": "residual block",
    "UnetrUpBlock": "upsampling, residual block",
    "FeaturePyramidNetwork": "feature pyramid",
    "RPNHead": "proposals",
    "TwoMLPHead": "box features",
    "FastRCNNPredictor": "classes and boxes",
    "MaskRCNNHeads": "mask features",
    "MaskRCNNPredictor": "masks",
    **{f"{network}ClassificationHead": "classes" for network in ("FCOS", "RetinaNet", "SSD")},
    **{f"{network}RegressionHead": "boxes" for network in ("FCOS", "RetinaNet", "SSD")},
}
SHORT = {"Norm", "Activation", "Layer", "Block", "Stage", "Head", "Module", "Unit"}  # a name of these words alone says nothing


def label_of(module: nn.Module, kind: str) -> str:
    """In words: "3×3 convolution", "max pooling", "residual block", or the words of the class's name."""
    if isinstance(module, nn.modules.pooling._MaxPoolNd | nn.modules.pooling._AdaptiveMaxPoolNd):
        return "max pooling"
    if isinstance(module, nn.modules.pooling._AvgPoolNd | nn.modules.pooling._AdaptiveAvgPoolNd):
        return "average pooling"
    if isinstance(module, nn.Linear):
        return "fully connected"
    if type(module).__name__ in NAMES:
        return NAMES[type(module).__name__]
    if isinstance(module, nn.Upsample):
        return "upsampling"
    convolutions = [m for m in module.modules() if isinstance(m, nn.modules.conv._ConvNd)]
    if len(convolutions) == 1 and kind in (kinds.CONVOLUTION, kinds.UPSAMPLING):
        return _convolution(convolutions[0])
    words = _words(type(module).__name__)
    return words or OF_KIND[kind]


def _convolution(layer: nn.modules.conv._ConvNd) -> str:
    size = "×".join(str(edge) for edge in layer.kernel_size)
    gap = "" if max(layer.dilation) == 1 else f", dilated {_one(layer.dilation)}"
    what = "transposed convolution" if layer.transposed else "convolution"
    return f"{size} {what}{gap}"


def _one(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))


def _words(name: str) -> str:
    """``InvertedResidual`` -> "inverted residual"; "" of a private name, or one that says nothing."""
    parts = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+", name.replace("NeXt", "next"))
    if name.startswith("_") or not parts or set(parts) <= SHORT:
        return ""
    return " ".join(part if part.isupper() else part.lower() for part in parts)
