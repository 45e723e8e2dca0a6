"""Networks of torchvision by name: per image in 2D, per image of a video net in 3D, per pixel in 2D."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.libraries.adapters import DenseAdapter, ImageAdapter, replace_entry, replace_head, unknown_name


def make_torchvision(
    name: str,
    *,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    serves: str,
    options: Mapping[str, Any],
    is_pretrained: bool,
) -> ImageAdapter | DenseAdapter:
    """torchvision:NAME with its first layer for in_channels and its last for out_channels.

    options go to the network's constructor, e.g. dropout for vgg16.

    Source: torchvision (BSD-3-Clause); its weights come from ImageNet, Kinetics or COCO, see their pages.
    """
    from torchvision import models  # heavy, and only wanted when named

    per_image = models.list_models(module=models) + models.list_models(module=models.video)
    per_voxel = models.list_models(module=models.segmentation)
    if name not in (*per_image, *per_voxel):
        raise unknown_name(name, "torchvision", [*per_image, *per_voxel])
    _refuse_unfit(name, serves, dimensions, per_voxel, models.list_models(module=models.video))
    inner = _make(models, name, options, is_pretrained, {"weights_backbone": None} if name in per_voxel else {})
    for spare in ("AuxLogits", "aux1", "aux2", "aux_classifier"):  # answers half-way up, for training only
        if hasattr(inner, spare):
            setattr(inner, spare, None)
    for switch in ("aux_logits", "transform_input"):
        if hasattr(inner, switch):
            setattr(inner, switch, False)
    replace_entry(inner, in_channels)
    source = f"torchvision:{name}"
    if name in per_voxel:
        _replace_voxel_head(inner, out_channels)
        return DenseAdapter(inner, (1, 1), source)
    return ImageAdapter(inner, replace_head(inner, out_channels), source, dimensions)


def _refuse_unfit(name: str, serves: str, dimensions: int, per_voxel: list[str], videos: list[str]) -> None:
    if (serves == "dense") != (name in per_voxel):
        answers, wanted = ("per pixel", "per image") if name in per_voxel else ("per image", "per voxel")
        raise OverreadError(f"torchvision:{name} answers {answers}, not {wanted}", next=f"choose one that answers {wanted}")
    own = 3 if name in videos else 2
    if dimensions != own:
        raise OverreadError(
            f"torchvision:{name} reads {own}D images only, and the images are {dimensions}D",
            next="choose resnet18 or monai:DenseNet121" if serves == "image" else "choose unet or monai:SegResNet",
        )


def _make(models: Any, name: str, options: Mapping[str, Any], is_pretrained: bool, extra: dict[str, Any]) -> nn.Module:
    try:
        return models.get_model(name, weights="DEFAULT" if is_pretrained else None, **({} if is_pretrained else extra), **options)
    except TypeError as error:
        raise OverreadError(f"torchvision:{name} does not take these options: {error}", next="leave the option out") from error
    except (OSError, RuntimeError, KeyError) as error:
        if not is_pretrained:
            raise
        raise OverreadError(
            f"the pretrained weights of torchvision:{name} could not be loaded: {error}",
            next="connect to the internet, give weights as a file, or start from random weights",
        ) from error


def _replace_voxel_head(inner: nn.Module, outputs: int) -> None:
    """Fresh last convolutions: one for FCN and DeepLab, one per resolution for LR-ASPP, which adds two."""
    classifier = inner.classifier
    assert isinstance(classifier, nn.Module)
    for name in ("low_classifier", "high_classifier"):
        if hasattr(classifier, name):
            setattr(classifier, name, nn.Conv2d(getattr(classifier, name).in_channels, outputs, 1))
    if not hasattr(classifier, "low_classifier"):
        replace_head(classifier, outputs)
