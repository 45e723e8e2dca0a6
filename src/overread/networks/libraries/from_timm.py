"""Networks of timm by name, for one answer per 2D image."""

from collections.abc import Mapping
from typing import Any

from overread.core.errors import OverreadError
from overread.networks.libraries.adapters import ImageAdapter, unknown_name


def make_timm(
    name: str,
    *,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    serves: str,
    options: Mapping[str, Any],
    is_pretrained: bool,
) -> ImageAdapter:
    """timm:NAME with its head for out_channels; timm itself adapts pretrained weights to in_channels.

    options go to timm.create_model: drop_rate, drop_path_rate, img_size and what the architecture takes.

    Source: Wightman, PyTorch Image Models (Apache-2.0); each weight has its own licence, see its card.
    """
    import timm  # heavy, and only wanted when named

    source = f"timm:{name}"
    if name.split(".")[0] not in timm.list_models():
        raise unknown_name(name, "timm", timm.list_models())
    if serves != "image":
        raise OverreadError(f"{source} answers per image, not per voxel", next="choose unet, residual_unet or monai:SegResNet")
    if dimensions != 2:
        raise OverreadError(f"{source} reads 2D images only", next="choose resnet18 or monai:DenseNet121 for 3D")
    try:
        inner: Any = timm.create_model(name, pretrained=is_pretrained, in_chans=in_channels, num_classes=out_channels, **options)
    except TypeError as error:
        raise OverreadError(f"{source} does not take these options: {error}", next="leave the option out") from error
    except Exception as error:  # the hub's many: connection, address, missing file, no weights of that name
        if not is_pretrained:
            raise
        raise OverreadError(
            f"the pretrained weights of {source} could not be loaded: {str(error).splitlines()[0]}",
            next="connect to the internet, give weights as a file, or start from random weights",
        ) from error
    classifier = inner.get_classifier()
    head = classifier[0] if isinstance(classifier, tuple) else classifier  # two in distilled networks
    head_name = next(path for path, module in inner.named_modules() if module is head)
    return ImageAdapter(inner, head_name, source, dimensions)
