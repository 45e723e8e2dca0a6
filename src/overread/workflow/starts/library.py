"""What "hub" gave a network: everything but the layers that were made anew for this question."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from overread.networks.weights import Loaded

UNSTATED = "see the page of the weights in their library"


def published_parts(network: nn.Module) -> Loaded:
    """As listed where the network listed it; of an adapter all but its last layer, which answers another question."""
    listed = getattr(network, "weights_loaded", None)
    if isinstance(listed, Loaded):
        return listed if listed.licence else replace(listed, licence=UNSTATED)
    inner = network.get_submodule("inner")
    fresh = _fresh(inner, getattr(network, "head_name", ""))
    names = list(network.state_dict())
    random = {name: "made for this question" for name in names if any(name.startswith(f"inner.{head}.") for head in fresh)}
    return Loaded(tuple(name for name in names if name not in random), (), random, (), licence=_licence(inner))


def _fresh(inner: nn.Module, head_name: str) -> tuple[str, ...]:
    """The layers that adapters make anew: the head that they name, else the last convolutions of a segmentation network."""
    if head_name:
        return (head_name,)
    pairs = tuple(f"classifier.{name}" for name in ("low_classifier", "high_classifier") if hasattr(inner.classifier, name))
    last = [name for name, layer in inner.named_modules() if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear)][-1]
    return pairs or (last,)


def _licence(inner: nn.Module) -> str:
    """timm says it of every weight; torchvision and MONAI do not."""
    said = getattr(inner, "pretrained_cfg", None)
    return str((said or {}).get("license") or UNSTATED)
