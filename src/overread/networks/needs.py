"""What a network per voxel needs to be told and given, known by its name before it is built."""

from collections.abc import Collection, Mapping
from typing import Any

from overread.networks.libraries import from_monai
from overread.networks.table import ARCHITECTURES

_STAGES = {"features", "kernels", "strides"}


def options_taken(name: str) -> Collection[str]:
    """The options that a network takes; none known of timm's and torchvision's."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name].options
    inner = _in_monai(name)
    return from_monai.options_of(inner) if inner else ()


def takes_stages(name: str) -> bool:
    """Whether widths, kernels and strides per stage can be laid out for it."""
    return name in ARCHITECTURES and set(options_taken(name)) >= _STAGES


def divisor_of(name: str, dimensions: int, options: Mapping[str, Any]) -> tuple[int, ...]:
    """To what each axis of an image must be a multiple of."""
    if name in ARCHITECTURES:
        return tuple(ARCHITECTURES[name].divisor(dimensions, options))
    inner = _in_monai(name)
    return from_monai.divisor_of(inner, dimensions, options) if inner else (1,) * dimensions


def has_scales(name: str) -> bool:
    """Whether it answers at several places, which deep supervision can ask."""
    return name in ARCHITECTURES and ARCHITECTURES[name].scales


def answers_with_pictures(name: str) -> bool:
    """Whether it was made for images as answers, beside those per voxel that can give one, too."""
    return name in ARCHITECTURES and "pictures" in ARCHITECTURES[name].serves


def on_processor(name: str) -> Mapping[str, Any]:
    """Options that make it narrower than published, for where there is no GPU."""
    return ARCHITECTURES[name].on_processor if name in ARCHITECTURES else {}


def _in_monai(name: str) -> str | None:
    """MONAI's own name of a network of its that we know."""
    library, _, inner = name.partition(":")
    return inner if library == "monai" and inner in from_monai.ROWS else None
