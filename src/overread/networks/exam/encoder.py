"""The 2D network that looks at each slice: one of ours, or one of a library."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from overread.networks.image import rows as of_images
from overread.networks.libraries.adapters import refuse_unknown_options, unknown_name
from overread.networks.libraries.table import library_of
from overread.networks.weights.fitting import load_tensors
from overread.networks.weights.loaded import Loaded
from overread.networks.weights.published import has_published, load_published


def make_encoder(
    name: str,
    channels: int,
    outputs: int,
    *,
    image_size: Sequence[int] | None,
    options: Mapping[str, Any],
    is_pretrained: bool = False,
) -> nn.Module:
    """A network (N, channels, H, W) to (N, outputs); its last layer is fresh.

    name        "resnet18" or another of ours that answers per 2D image, or "timm:NAME", "torchvision:NAME", "monai:NAME"
    image_size  (H, W) of a slice, for networks that ask for it
    """
    if (library := library_of(name)) is not None:
        make, inner = library
        asked = {"in_channels": channels, "out_channels": outputs, "dimensions": 2, "serves": "image"}
        return make(inner, options=options, is_pretrained=is_pretrained, **asked)
    row = ENCODERS.get(name)
    if row is None:
        raise unknown_name(name, "the table of 2D image networks", ENCODERS)
    known = {"image_size": tuple(image_size)} if image_size is not None and "image_size" in row.options else {}
    refuse_unknown_options(options, row.options, f"the encoder {name}")
    return row.build(channels, outputs, 2, **{**known, **options})


def published(name: str, made: Callable[..., nn.Module]) -> Callable[[nn.Module], Loaded] | None:
    """What loads the published weights of an encoder into one that was `made`; None where there are none.

    made  `make_encoder` with everything but `is_pretrained`
    """
    if ":" in name:
        return lambda encoder: load_tensors(encoder, made(is_pretrained=True).state_dict(), name)
    return partial(load_published, name=name) if has_published(name) else None


ENCODERS = {row.name: row for row in of_images.ROWS if 2 in row.dimensions}
