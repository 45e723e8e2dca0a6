"""Published weights for networks of ours that have a twin in torchvision, layer by layer.

The weights were learned from ImageNet-1k photographs; torchvision's code is BSD-3-Clause, and what the photographs' terms of
research use mean for weights learned from them is for their user to judge.
"""

from dataclasses import replace
from typing import Any

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.weights.fitting import load_tensors
from overread.networks.weights.loaded import Loaded

# Ours -> torchvision's; a test compares the answers of each pair.
TWINS = {
    **{name: name for name in ("resnet18", "resnet34", "resnet50", "resnet101", "alexnet", "densenet121", "mobilenet_v2")},
    **{name: name for name in ("vgg11", "vgg13", "vgg16", "vgg19")},
    "resnext50": "resnext50_32x4d",
}
LICENCE = "BSD-3-Clause (torchvision), learned from ImageNet-1k photographs"


def has_published(name: str) -> bool:
    return name in TWINS


def load_published(network: nn.Module, name: str) -> Loaded:
    """The twin's weights; the head stays random, 2D kernels are inflated for 3D, channels adapted."""
    from torchvision import models  # heavy, and only wanted when asked for

    try:
        tensors: dict[str, Any] = dict(models.get_model_weights(TWINS[name]).DEFAULT.get_state_dict(progress=False))
    except (OSError, RuntimeError) as error:
        raise OverreadError(
            f"the published weights of {name} could not be loaded: {str(error).splitlines()[0]}",
            next="connect to the internet, give weights as a file, or start from random weights",
        ) from error
    last = list(tensors)[-1].rpartition(".")[0]  # the classes of photographs are none of ours
    body = {key: tensor for key, tensor in tensors.items() if not key.startswith(last + ".")}
    found = load_tensors(network, body, f"torchvision's {TWINS[name]}")
    return replace(found, licence=LICENCE)
