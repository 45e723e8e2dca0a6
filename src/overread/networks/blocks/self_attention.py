"""Self-attention: every place asks every other place, however far, and takes from those that answer best.

Places are called tokens here: (B, tokens, width). Attention knows no order and no neighbourhood; a network has to tell it.
Source: Vaswani 2017, arXiv:1706.03762.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import CONVOLUTION


class SelfAttention(nn.Module):
    """Each token becomes a weighted mean of all tokens, in several heads side by side: (B, tokens, width) to the same.

    The weights are softmax(question . key / sqrt(width of a head)).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise OverreadError(
                f"a width of {width} does not fall into {heads} heads of attention",
                next="choose a number of heads that divides it",
            )
        self.heads = heads
        self.ask = nn.Linear(width, 3 * width)  # question, key and value of every token
        self.answer = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        mixed = functional.scaled_dot_product_attention(*self._asked(tokens))
        return self.answer(mixed.transpose(1, 2).flatten(2))

    def weights_of(self, tokens: Tensor) -> Tensor:
        """How much each token takes from each other: (B, heads, tokens, tokens), rows sum to 1."""
        question, key, _ = self._asked(tokens)
        return torch.softmax(question @ key.transpose(-1, -2) / question.shape[-1] ** 0.5, dim=-1)

    def _asked(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Question, key and value, each (B, heads, tokens, width of a head)."""
        question, key, value = self.ask(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return question, key, value


class TransformerBlock(nn.Module):
    """Attention across tokens, then two layers at each token, both beside a shortcut: (B, tokens, width) to the same.

    ratio    the first of the two layers is so many times wider
    dropout  share of elements silenced on both branches

    Source: Dosovitskiy 2021 (ViT), arXiv:2010.11929: normalisation before each branch.
    """

    def __init__(self, width: int, heads: int, ratio: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_before_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm_before_layers = nn.LayerNorm(width)
        self.layers = nn.Sequential(
            nn.Linear(width, ratio * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(ratio * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.dropout(self.attention(self.norm_before_attention(tokens)))
        return tokens + self.dropout(self.layers(self.norm_before_layers(tokens)))


class AttentionBeside(nn.Module):
    """Self-attention beside a shortcut: what a place takes from afar is added to it. (B, tokens, width) to the same.

    Source: Wang 2018 (non-local networks), arXiv:1711.07971.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(width), SelfAttention(width, heads)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.attention(self.norm(tokens))


class OverMaps(nn.Module):
    """A block over tokens put to maps, each place a token: (B, width, [Z,] Y, X) to the same shape.

    Memory of plain attention grows with the square of the places: put it where maps are small.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, maps: Tensor) -> Tensor:
        tokens = self.block(maps.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).unflatten(2, maps.shape[2:])


class Patches(nn.Module):
    """The image cut into tiles, each described by its features: (B, inputs, [Z,] Y, X) to (B, width, [Z,] Y, X) / size.

    size  of a tile, one number per axis, which divides the image

    Source: Dosovitskiy 2021 (ViT), arXiv:2010.11929.
    """

    def __init__(self, inputs: int, width: int, size: Sequence[int]) -> None:
        super().__init__()
        self.conv = CONVOLUTION[len(size)](inputs, width, tuple(size), tuple(size))  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images)


class Position(nn.Module):
    """Adds a learned vector to each place, so that attention knows where it looks: maps of one size to the same.

    Kept as one long vector, so that an optimizer does not take it for a matrix of weights, nor decay it.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.places = nn.Parameter(torch.zeros(prod(shape)))
        nn.init.trunc_normal_(self.places, std=0.02)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.places.view(self.shape)
