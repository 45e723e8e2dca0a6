"""Feature pyramids on networks of torchvision and timm that were made for classification."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.detection.backbone_utils import BackboneWithFPN, _resnet_fpn_extractor
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool, LastLevelP6P7

from overread.core.errors import OverreadError
from overread.networks.libraries.adapters import replace_entry, unknown_name
from overread.networks.torchvision_objects.norms import norm_layer, replace_batch_norms

WIDTH = 256  # channels of the pyramid
ALL_LAYERS = 5
_STRIDES = (4, 8, 16, 32)
_LOOK = 128  # pixels of the image that shows at which stride each layer works


class Pyramid(nn.Module):
    """A network's maps at some strides, joined from coarse to fine; as torchvision's ``BackboneWithFPN``.

    Source: Lin 2017, Feature Pyramid Networks, arXiv:1612.03144.
    """

    def __init__(self, body: nn.Module, channels: list[int], extra: Any, names: list[str]) -> None:
        super().__init__()
        self.body, self.names, self.out_channels = body, names, WIDTH
        self.fpn = FeaturePyramidNetwork(channels, WIDTH, extra_blocks=extra)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, C, Y, X) to maps (B, 256, Y / stride, X / stride) by name, finest first."""
        return self.fpn(_named(self.body(images), self.names))


def make_pyramid(backbone: str, in_channels: int, norm: str, trainable_layers: int, *, finest: int, deepens: bool) -> nn.Module:
    """The pyramid of a backbone: strides from the finest to 32, and one or two more.

    backbone  a network of torchvision, or "timm:NAME"
    finest    stride of the finest map, 4 or 8
    deepens   two more levels by convolution (RetinaNet, FCOS), else one by leaving out pixels (Faster and Mask R-CNN)
    """
    extra: Any = LastLevelP6P7(WIDTH, WIDTH) if deepens else LastLevelMaxPool()
    if backbone in _resnets():
        inner = models.get_model(backbone, weights=None, norm_layer=norm_layer(norm))
        refuse_layers(trainable_layers)
        replace_entry(inner, in_channels)
        first = 1 + _STRIDES.index(finest)
        pyramid: BackboneWithFPN = _resnet_fpn_extractor(inner, trainable_layers, list(range(first, 5)), extra)
        return pyramid
    body, channels, names = make_body(backbone, in_channels, norm, trainable_layers, finest=finest)
    return Pyramid(body, channels, extra, names)


def make_body(
    backbone: str, in_channels: int, norm: str, trainable_layers: int, *, finest: int
) -> tuple[nn.Module, list[int], list[str]]:
    """A network that gives its last map of each stride, how many channels each has, and names for them."""
    strides = _STRIDES[_STRIDES.index(finest) :]
    if trainable_layers != ALL_LAYERS and backbone not in _resnets():
        raise OverreadError(
            f"layers of {backbone} cannot be kept from learning one by one",
            next=f"set trainable_layers = {ALL_LAYERS}, or choose a ResNet",
        )
    library, _, name = backbone.rpartition(":")
    make = _from_timm if library == "timm" else _from_torchvision
    body, found = make(name, in_channels, norm, strides)
    if tuple(found) != strides:
        raise OverreadError(
            f"{backbone} gives no pyramid: a detector wants maps at strides {', '.join(map(str, strides))}, "
            f"and it has {', '.join(map(str, found)) or 'none'}",
            next="choose a ResNet, EfficientNet, RegNet, ConvNeXt or DenseNet",
        )
    return body, list(found.values()), [str(number) for number in range(len(strides))]


def _from_timm(name: str, in_channels: int, norm: str, strides: tuple[int, ...]) -> tuple[nn.Module, dict[int, int]]:
    import timm  # heavy, and only wanted when named

    if name.split(".")[0] not in timm.list_models():
        raise unknown_name(name, "timm", timm.list_models())
    make: Callable[..., Any] = timm.create_model
    try:
        whole = make(name, features_only=True, in_chans=in_channels, pretrained=False)
        wanted = [k for k, stride in enumerate(whole.feature_info.reduction()) if stride in strides]
        body = make(name, features_only=True, in_chans=in_channels, pretrained=False, out_indices=wanted)
    except (RuntimeError, AttributeError, AssertionError, TypeError) as error:
        raise OverreadError(
            f"timm:{name} gives no pyramid: {str(error).splitlines()[0]}", next="choose another backbone"
        ) from error
    replace_batch_norms(body, norm)
    return body, dict(zip(body.feature_info.reduction(), body.feature_info.channels(), strict=True))


def _from_torchvision(name: str, in_channels: int, norm: str, strides: tuple[int, ...]) -> tuple[nn.Module, dict[int, int]]:
    known = models.list_models(module=models)
    if name not in known:
        raise unknown_name(name, "torchvision", known)
    whole = models.get_model(name, weights=None)
    replace_entry(whole, in_channels)
    replace_batch_norms(whole, norm)
    try:
        last = _last_layers(whole, in_channels)
    except (AssertionError, RuntimeError, ValueError):  # networks for one size of image have no pyramid
        return whole, {}
    found = {stride: last[stride][1] for stride in strides if stride in last}
    if tuple(found) != strides:
        return whole, found
    return create_feature_extractor(whole, {last[stride][0]: str(stride) for stride in strides}), found


def _last_layers(network: nn.Module, in_channels: int) -> dict[int, tuple[str, int]]:
    """The outermost layer that gives the last map of each stride, by stride: its name and channels."""
    seen: dict[int, tuple[str, int]] = {}

    def note(name: str) -> Callable[..., None]:
        def look(_layer: nn.Module, _entry: object, maps: object) -> None:
            if isinstance(maps, Tensor) and maps.ndim == 4 and maps.shape[2] == maps.shape[3] > 1 and _LOOK % maps.shape[2] == 0:
                seen[_LOOK // maps.shape[2]] = (name, maps.shape[1])

        return look

    hooks = [layer.register_forward_hook(note(name)) for name, layer in network.named_modules() if name.count(".") == 1]
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, in_channels, _LOOK, _LOOK))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return seen


def _named(maps: Any, names: list[str]) -> OrderedDict[str, Tensor]:
    values = maps.values() if isinstance(maps, dict) else maps
    return OrderedDict(zip(names, values, strict=True))


def _resnets() -> list[str]:
    return [name for name in models.list_models(module=models) if name.startswith(("resnet", "resnext", "wide_resnet"))]


def refuse_layers(trainable_layers: int) -> None:
    if not 0 <= trainable_layers <= ALL_LAYERS:
        raise OverreadError(f"trainable_layers is {trainable_layers}", next=f"give a number from 0 to {ALL_LAYERS}")
