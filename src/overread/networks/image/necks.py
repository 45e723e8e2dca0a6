"""From the last maps to features: dense layers over a fixed number of places, for the networks from before global averages."""

from collections.abc import Sequence

from torch import nn

from overread.networks.blocks.activations import make_activation

ADAPTIVE_AVERAGE: dict[int, type[nn.AdaptiveAvgPool2d] | type[nn.AdaptiveAvgPool3d]] = {
    2: nn.AdaptiveAvgPool2d,
    3: nn.AdaptiveAvgPool3d,
}


def dense_neck(
    channels: int, grid: int, neurons: Sequence[int], dimensions: int, *, activation: str = "relu", dropouts: Sequence[float] = ()
) -> nn.Sequential:
    """Averages over a fixed grid of places, so that images of any size fit, then dense layers with their activation.

    grid      places along each axis of the published network in 2D; in 3D fewer, so that there are about as many in all
    neurons   of each dense layer
    dropouts  share dropped before each of them
    """
    along = places(grid, dimensions)
    layers: list[nn.Module] = [ADAPTIVE_AVERAGE[dimensions](along), nn.Flatten()]
    inputs = channels * along**dimensions
    for number, outputs in enumerate(neurons):
        if number < len(dropouts) and dropouts[number]:
            layers.append(nn.Dropout(dropouts[number]))
        layers += [nn.Linear(inputs, outputs), make_activation(activation)]
        inputs = outputs
    return nn.Sequential(*layers)


def places(grid: int, dimensions: int) -> int:
    """Places along an axis, so that a cube has about as many as a published square."""
    return round(grid ** (2 / dimensions))
