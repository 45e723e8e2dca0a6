"""Vision transformer: patches of the image ask one another, and one token that belongs to no place gathers the answer.

Sources: Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021, arXiv:2010.11929; the tiny and small widths from Touvron
et al., DeiT, ICML 2021, arXiv:2012.12877; in 3D as the encoder of Hatamizadeh et al., UNETR, WACV 2022, arXiv:2103.10504.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.convolution import CONVOLUTION
from overread.networks.blocks.self_attention import TransformerBlock
from overread.networks.image.initial import TRANSFORMER_SPREAD, draw_for_transformer
from overread.networks.image.network import ImageNetwork, known_size

PATCH = 16  # pixels along an axis, as published for photographs of 224
FEWEST_PATCHES = 7  # along the longest axis, where the size of a patch is not given


@dataclass(frozen=True)
class Size:
    """Numbers per token, layers, and heads of attention in each."""

    width: int
    layers: int
    heads: int


SIZES = {"vit_tiny": Size(192, 12, 3), "vit_small": Size(384, 12, 6)}


class PatchEmbedding(nn.Module):
    """The image in patches, each a token, after one token of no place; each place has a learned position that is added.

    (B, C, [Z,] Y, X) to (B, 1 + patches, width); parameters are called and ordered as in timm, so that its weights fit

    grid   patches along [Z,] Y, X; an image that does not divide evenly is padded with 0 at the end of its axes
    patch  pixels along an axis
    """

    def __init__(self, in_channels: int, width: int, grid: Sequence[int], patch: int) -> None:
        super().__init__()
        self.grid, self.patch = tuple(grid), patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + prod(grid), width))
        self.patches = CONVOLUTION[len(self.grid)](in_channels, width, patch, patch)

    def forward(self, images: Tensor) -> Tensor:
        missing = [places * self.patch - pixels for places, pixels in zip(self.grid, images.shape[2:], strict=True)]
        if any(missing):
            images = functional.pad(images, [side for pixels in reversed(missing) for side in (0, pixels)])
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        return torch.cat((self.cls_token.expand(len(tokens), -1, -1), tokens), dim=1) + self.pos_embed


class ClassToken(nn.Module):
    """The token of no place, which the answer is read from: (B, tokens, width) to (B, width)."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0]


def make_vit(
    name: str,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    patch: int | None = None,
    dropout: float = 0.0,
) -> ImageNetwork:
    """Patches, twelve transformer blocks, and a linear layer on the token of no place.

    image_size  pixels along [Z,] Y, X; the network has a position for every patch of this size alone
    patch       pixels along an axis of a patch; where not given the published 16, or less, so that the longest axis has 7 of them
    dropout     share dropped in every block and before the linear layer

    With random weights it needs more images than a convolutional network (Dosovitskiy 2021, section 4.3).
    """
    size, shape = known_size(image_size, dimensions, name), SIZES[name]
    side = patch or _patch_for(size)
    grid = tuple(-(-pixels // side) for pixels in size)
    embedding = PatchEmbedding(in_channels, shape.width, grid, side)
    blocks = [TransformerBlock(shape.width, shape.heads, dropout=dropout) for _ in range(shape.layers)]
    head = nn.Linear(shape.width, out_channels)
    stages = nn.Sequential(embedding, *blocks, nn.LayerNorm(shape.width))
    network = ImageNetwork(name, stages, ClassToken(), head, dimensions=dimensions, fixed_size=size, dropout=dropout)
    draw_for_transformer(network)
    for learned in (embedding.cls_token, embedding.pos_embed):
        nn.init.trunc_normal_(learned, std=TRANSFORMER_SPREAD)
    return network


def _patch_for(size: Sequence[int]) -> int:
    """The largest power of 2, up to 16, that leaves 7 patches along the longest axis; 1 for tiny images."""
    side = PATCH
    while side > 1 and max(size) < FEWEST_PATCHES * side:
        side //= 2
    return side
