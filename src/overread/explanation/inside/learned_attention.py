"""The weights that a network gives to channels and places of one case, where it has blocks that learned to give them.

Sources: Hu 2018, arXiv:1709.01507 (squeeze and excitation); Woo 2018, arXiv:1807.06521 (CBAM); Oktay 2018, arXiv:1804.03999
(attention gates).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.networks.blocks.attention_gate import AttentionGate
from overread.networks.blocks.channel_attention import ChannelAttention
from overread.networks.blocks.spatial_attention import SpatialAttention
from overread.networks.blocks.squeeze_excitation import SqueezeExcitation
from overread.networks.exam.network import ExamNetwork
from overread.networks.exam.slices import present

CHANNELS, PLACES = "channels", "places"
KINDS: Mapping[type[nn.Module], tuple[str, str]] = {  # what a block weighs, and what it is called
    SqueezeExcitation: (CHANNELS, "squeeze and excitation"),
    ChannelAttention: (CHANNELS, "channel attention (CBAM)"),
    SpatialAttention: (PLACES, "spatial attention (CBAM)"),
    AttentionGate: (PLACES, "attention gate"),
}


@dataclass(frozen=True)
class Weighed:
    """What one block made of the window.

    name    of the block in the network
    weighs  CHANNELS or PLACES
    title   what such a block is called
    values  (C,) float32 of channels, or (Z, Y, X) of places, 0 to 1; Z is 1 in a network in two dimensions
    slices  of how many slices the channels' weights are the mean; 1 where the network reads the window as a whole
    """

    name: str
    weighs: str
    title: str
    values: np.ndarray
    slices: int


def learned_attention(asked: Asked) -> tuple[Weighed, ...]:
    """The weights of every such block for the window, in the order in which the blocks first run."""
    blocks = {name: block for name, block in asked.network.named_modules() if type(block) in KINDS}
    if not blocks:
        raise OverreadError(
            "This network has no block of Overread's own that weighs channels or places by what it sees (squeeze and "
            "excitation, channel or spatial attention, attention gate).",
            "look at maps of layers, or train one that has them, such as se_resnet18 or attention_unet",
        )
    with _recorded(blocks) as kept, torch.no_grad():
        asked.score(asked.images)
    return tuple(_weighed(name, blocks[name], torch.cat(_of_one_size(given)), asked) for name, given in kept.items())


@contextmanager
def _recorded(blocks: Mapping[str, nn.Module]) -> Iterator[dict[str, list[Tensor]]]:
    """What `weights_of` of each block gives while the network runs, whoever calls it: the block itself or its network."""
    kept: dict[str, list[Tensor]] = {}

    def recording(name: str, ask: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def weights_of(*maps: Tensor) -> Tensor:
            weights = ask(*maps)
            kept.setdefault(name, []).append(weights.detach().float().cpu())
            return weights

        return weights_of

    for name, block in blocks.items():
        block.weights_of = recording(name, block.weights_of)  # type: ignore[assignment, arg-type]
    try:
        yield kept
    finally:
        for block in blocks.values():
            del block.weights_of


def _of_one_size(given: list[Tensor]) -> list[Tensor]:
    """A block that runs several times sees parts of the slices; of maps of several sizes the finest count."""
    finest = max(given, key=lambda weights: weights[0].numel()).shape[1:]
    return [weights for weights in given if weights.shape[1:] == finest]


def _weighed(name: str, block: nn.Module, weights: Tensor, asked: Asked) -> Weighed:
    """weights: (B, C) or (B, 1, [Z,] Y, X); B is 1, or the slices of the window that hold an image."""
    weighs, title = KINDS[type(block)]
    if weighs == CHANNELS:
        return Weighed(name, weighs, title, weights.mean(0).numpy(), len(weights))
    maps = weights[:, 0]
    over_slices = next((part for part in asked.network.modules() if isinstance(part, ExamNetwork)), None)
    if over_slices is not None:
        return Weighed(name, weighs, title, _stacked(maps, over_slices.axis, asked.images), len(maps))
    values = maps[0] if asked.dimensions == 3 else maps
    return Weighed(name, weighs, title, np.ascontiguousarray(values.numpy()), 1)


def _stacked(maps: Tensor, axis: int, images: Tensor) -> np.ndarray:
    """The maps of slices that hold an image, (N, h, w), where they lie in the window; 0 for slices that are padding."""
    holds = present(images.movedim(2 + axis, 2))[0].cpu()
    whole = torch.zeros(len(holds), *maps.shape[1:])
    whole[holds] = maps
    return np.ascontiguousarray(whole.movedim(0, axis).numpy())
