"""The perceptron, and the perceptron of several layers: every pixel has a weight of its own.

Sources: Rosenblatt, The perceptron, Psychological Review 1958;65:386, doi 10.1037/h0042519;
Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature 1986;323:533, doi 10.1038/323533a0.
"""

from collections.abc import Sequence
from math import prod

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.blocks.activations import make_activation
from overread.networks.image.initial import draw_for_rectifiers
from overread.networks.image.network import ImageNetwork, known_size

HIDDEN = (512, 256)  # neurons


def make_perceptron(
    in_channels: int, out_channels: int, dimensions: int, *, image_size: Sequence[int] | None = None
) -> ImageNetwork:
    """One neuron per class: the weighted sum of all pixels and a bias; its threshold became the sigmoid of the task.

    image_size  pixels along [Z,] Y, X; the network reads this size alone
    """
    size = known_size(image_size, dimensions, "perceptron")
    head = nn.Linear(in_channels * prod(size), out_channels)
    return ImageNetwork("perceptron", nn.Sequential(nn.Flatten()), nn.Identity(), head, dimensions=dimensions, fixed_size=size)


def make_multilayer_perceptron(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    hidden: Sequence[int] = HIDDEN,
    activation: str = "relu",
    dropout: float = 0.0,
) -> ImageNetwork:
    """Layers of neurons, each of which reads all of the layer before it.

    image_size  pixels along [Z,] Y, X; the network reads this size alone
    hidden      neurons of each hidden layer
    dropout     share of neurons dropped after each hidden layer
    """
    size = known_size(image_size, dimensions, "mlp")
    if not hidden or min(hidden) < 1:
        raise OverreadError(
            f"a multilayer perceptron with the hidden layers {tuple(hidden)} has no layer between pixels and answer",
            next="give hidden = [512, 256], or choose perceptron",
        )
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = in_channels * prod(size)
    for neurons in hidden:
        if len(layers) > 1:
            layers.append(nn.Dropout(dropout))
        layers += [nn.Linear(inputs, neurons), make_activation(activation)]
        inputs = neurons
    head = nn.Linear(inputs, out_channels)
    network = ImageNetwork(
        "mlp", nn.Sequential(*layers), nn.Identity(), head, dimensions=dimensions, fixed_size=size, dropout=dropout
    )
    draw_for_rectifiers(network)
    return network
