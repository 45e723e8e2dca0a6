"""What the table says of a network."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

BOTH = frozenset({2, 3})
PLANE = frozenset({2})
IMAGE, DENSE, OBJECTS, CENTRES = (frozenset({serves}) for serves in ("image", "dense", "objects", "centres"))


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
