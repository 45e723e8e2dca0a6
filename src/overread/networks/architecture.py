"""What the table says of a network."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

BOTH = frozenset({2, 3})
PLANE = frozenset({2})
IMAGE, DENSE, OBJECTS, CENTRES = (frozenset({serves}) for serves in ("image", "dense", "objects", "centres"))
PICTURES, MADE = frozenset({"pictures"}), frozenset({"made"})


def any_size(dimensions: int, options: Mapping[str, Any]) -> Sequence[int]:
    """The divisor of a network that reads images of any size."""
    return (1,) * dimensions


@dataclass(frozen=True)
class Architecture:
    """One network that can be asked for by name.

    serves      "dense" (an answer per voxel), "image" (per image), "objects" (a list of objects), "centres" (per voxel: class,
                heat of centres, way to the centre), "pictures" (an image), "made" (images of nothing but random numbers)
    dimensions  2, 3 or both
    paper       where it was published
    licence     of the code; random weights have none
    build       (in_channels, out_channels, dimensions, **options) to the network; one that serves several is told which as
                serves; of "made" in_channels are the classes that can be asked for, 0 for none
    divisor     "dense": (dimensions, options) to what each axis of an image must be a multiple of, known before it is built
    scales      "dense": it answers at several places, which deep supervision can ask
    on_processor  options that the plan sets where there is no GPU: narrower than published
    """

    name: str
    serves: frozenset[str]
    dimensions: frozenset[int]
    paper: str
    licence: str
    build: Callable[..., nn.Module]
    divisor: Callable[[int, Mapping[str, Any]], Sequence[int]] = any_size
    scales: bool = False
    on_processor: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """Name and default of every option that the network takes."""
        arguments = inspect.signature(self.build).parameters.values()
        return {argument.name: argument.default for argument in arguments if argument.kind is argument.KEYWORD_ONLY}
