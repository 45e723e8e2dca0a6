"""The libraries whose networks can be named, as "timm:NAME", "torchvision:NAME" or "monai:NAME"."""

from collections.abc import Callable

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.libraries.from_monai import make_monai
from overread.networks.libraries.from_timm import make_timm
from overread.networks.libraries.from_torchvision import make_torchvision

Make = Callable[..., nn.Module]  # (NAME, *, in_channels, out_channels, dimensions, serves, options, is_pretrained)
LIBRARIES: dict[str, Make] = {"timm": make_timm, "torchvision": make_torchvision, "monai": make_monai}


def library_of(name: str) -> tuple[Make, str] | None:
    """What makes the network of a name such as "timm:resnet18", and how the library calls it; None for a network of ours."""
    library, colon, inner = name.partition(":")
    if not colon:
        return None
    if library not in LIBRARIES:
        raise OverreadError(f"no library of networks is called '{library}'", next=f"choose one of {', '.join(LIBRARIES)}")
    return LIBRARIES[library], inner
