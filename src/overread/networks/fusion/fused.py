"""A network that reads clinical values beside an image, made of any network that answers per image.

The inner network answers with a short summary of the image in place of classes, so that nothing needs to be known of its
insides; the values go through two layers of their own; a small head reads both. Values reach the network as further channels
behind those of the image, the same number in every voxel, and are taken off again before the image is looked at.

Sources: joint fusion, Huang et al., npj Digital Medicine 3, 136 (2020), doi:10.1038/s41746-020-00341-z; feature-wise modulation,
Perez et al., AAAI 2018, arXiv:1709.07871.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError

CONCATENATION, MODULATION = "concatenation", "modulation"
WAYS = (CONCATENATION, MODULATION)
SUMMARY = 32  # numbers that the inner network says of an image: more than any few variables can say


class Fused(nn.Module):
    """inner           network of `channels` image channels that answers with `summary` numbers
    values          clinical numbers per case
    outputs         logits, or numbers, per case
    by              "concatenation": the head reads summary and embedded values side by side; "modulation": the values
                    scale and shift every number of the summary
    """

    def __init__(
        self,
        inner: nn.Module,
        channels: int,
        values: int,
        outputs: int,
        dimensions: int,
        *,
        by: str = CONCATENATION,
        summary: int = SUMMARY,
    ) -> None:
        super().__init__()
        if by not in WAYS:
            raise OverreadError(f"Clinical values cannot be fused by '{by}'.", f"choose one of {', '.join(WAYS)}")
        self.channels, self.values, self.dimensions, self.by, self.summary = channels, values, dimensions, by, summary
        self.inner = inner
        wide = 2 * summary
        self.told = nn.Sequential(
            nn.Linear(values, summary), nn.ReLU(), nn.Linear(summary, wide if by == MODULATION else summary)
        )
        self.head = nn.Sequential(
            nn.Linear(summary if by == MODULATION else wide, summary), nn.ReLU(), nn.Linear(summary, outputs)
        )
        self.patient: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        """(B, channels + values, [Z,] Y, X), or without the values where they are fixed, to (B, outputs)."""
        picture, values = self.split(images)
        if values is None:
            raise ValueError(f"this network reads {self.values} clinical values beside the image, and none came")
        return self.answer(self.inner(picture), values)

    def answer(self, summary: Tensor, values: Tensor) -> Tensor:
        """(B, summary) of the images and (B, values) to (B, outputs); in float32, so that an age stays what it is."""
        with _without_autocast(summary.device.type):
            summary, told = summary.float(), self.told(values.float())
            if self.by == MODULATION:
                scale, shift = told.chunk(2, 1)
                return self.head((1 + scale) * summary + shift)
            return self.head(torch.cat([summary, told], 1))

    def features(self, images: Tensor) -> Tensor:
        """(B, F) of the image alone, as the inner network sees it; what is unusual in an image is no matter of age."""
        features: Tensor = self.inner.features(self.split(images)[0])  # type: ignore[operator]
        return features

    def split(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The image (B, channels, [Z,] Y, X), and the values (B, values): those in its further channels, or those fixed."""
        if images.shape[1] == self.channels:
            return images, None if self.patient is None else self.patient.to(images.device).expand(len(images), -1)
        if images.shape[1] != self.channels + self.values:
            raise ValueError(f"{self.channels} channels and {self.values} values were expected, and {images.shape[1]} came")
        flat = images[:, self.channels :].flatten(2)[:, :, 0]
        picture = images[:, : self.channels]
        is_last = images.ndim == 4 and images.is_contiguous(memory_format=torch.channels_last)
        return picture.contiguous(memory_format=torch.channels_last if is_last else torch.contiguous_format), flat

    def about(self, values: np.ndarray) -> Fused:
        """The same network and weights with the values (D,) of one patient fixed: it then reads images alone."""
        one = copy.copy(self)
        one.patient = torch.from_numpy(np.asarray(values, dtype=np.float32))[None]
        return one


def _without_autocast(device: str) -> AbstractContextManager[Any]:
    """Numbers as they are; shapes alone ("meta") have none."""
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)


def about(network: nn.Module, values: np.ndarray | None) -> nn.Module:
    """The network as it reads one patient, whose clinical values are fixed; itself where it reads none."""
    return network.about(values) if isinstance(network, Fused) and values is not None else network


def fused(inner: nn.Module, row: Mapping[str, Any]) -> Fused:
    """The network that a card describes, around the one that reads its images.

    row  of the card: in_channels, out_channels, dimensions, and under "fusion" values, by and summary
    """
    how = row["fusion"]
    network = Fused(
        inner,
        row["in_channels"],
        how["values"],
        row["out_channels"],
        row["dimensions"],
        by=how["by"],
        summary=how["summary"],
    )
    if hasattr(inner, "weights_loaded"):  # what a file gave, for the record
        network.weights_loaded = inner.weights_loaded
    return network
