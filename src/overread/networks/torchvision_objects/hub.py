"""Published weights for detectors of torchvision: all of it from COCO where there are some, else the backbone's from ImageNet."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision import models
from torchvision.ops import FrozenBatchNorm2d

from overread.core.errors import OverreadError
from overread.networks.torchvision_objects.norms import FrozenNorm
from overread.networks.weights import Loaded, load_tensors

COCO = {  # by class of torchvision and backbone
    ("FasterRCNN", "resnet50"): "fasterrcnn_resnet50_fpn",
    ("MaskRCNN", "resnet50"): "maskrcnn_resnet50_fpn",
    ("RetinaNet", "resnet50"): "retinanet_resnet50_fpn",
    ("FCOS", "resnet50"): "fcos_resnet50_fpn",
    ("SSD", "vgg16"): "ssd300_vgg16",
}
_BODIES = ("backbone.body.", "backbone.features.")


def load_published(inner: nn.Module, backbone: str, norm: str) -> Loaded:
    """Give a detector the published weights of its name and backbone; heads for other classes stay random.

    The weights carry their own licences and come from ImageNet and COCO photographs.
    """
    if norm != "frozen" and backbone != "vgg16":
        raise OverreadError(
            f"the published weights of {backbone} were learned with batch normalisation, and this network has norm = '{norm}'",
            next="set norm = 'frozen' among the network's options",
        )
    published = COCO.get((type(inner).__name__, backbone))
    given = _of_detector(published) if published else _of_backbone(inner, backbone)
    return load_tensors(inner, given, published or backbone)


def _of_detector(name: str) -> dict[str, Tensor]:
    """Through torchvision's own network of that name, which knows the older names of tensors in the files."""
    try:
        whole = models.get_model(name, weights="DEFAULT")
    except (OSError, RuntimeError) as error:
        raise _unreachable(name, error) from error
    _take_epsilon_in(whole)
    return dict(whole.state_dict())


def _take_epsilon_in(network: nn.Module) -> None:
    """Statistics that give the same with our epsilon as with theirs, which is 0 for the weights of COCO."""
    for norm in network.modules():
        if isinstance(norm, FrozenBatchNorm2d) and norm.eps < FrozenNorm(1).eps:
            norm.running_var.sub_(FrozenNorm(1).eps - norm.eps).clamp_(min=0)


def _of_backbone(inner: Any, backbone: str) -> dict[str, Tensor]:
    library, _, name = backbone.rpartition(":")
    try:
        if library == "timm":
            import timm  # heavy, and only wanted when named

            whole: nn.Module = timm.create_model(name, features_only=True, pretrained=True)
        else:
            whole = models.get_model(name, weights="DEFAULT")
    except Exception as error:  # the hub's many: connection, address, missing file, no weights of that name
        raise _unreachable(backbone, error) from error
    prefix = next(part for part in _BODIES if any(key.startswith(part) for key in inner.state_dict()))
    return {f"{prefix}{key}": value for key, value in whole.state_dict().items()}


def _unreachable(name: str, error: Exception) -> OverreadError:
    return OverreadError(
        f"the published weights of {name} could not be loaded: {(str(error) or type(error).__name__).splitlines()[0]}",
        next="connect to the internet, give weights as a file, or start from random weights",
    )
