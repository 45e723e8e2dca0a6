"""The answers of a network's coarser stages, asked in the number format of the run."""

from __future__ import annotations

from typing import Any

from lightning_fabric import Fabric
from torch import Tensor, nn


def format_scales(network: nn.Module, fabric: Fabric) -> None:
    """Let `forward_scales` run in the format of the run, and answer in float32, as Fabric does for `forward` alone.

    On one device Fabric leaves every other method of a network as it is: without this, deep supervision learns in float32.
    """
    plain: Any = getattr(network, "forward_scales", None)
    if plain is None:
        return

    def forward_scales(images: Tensor) -> list[Tensor]:
        with fabric.autocast():
            return [scale.float() for scale in plain(images)]

    network.forward_scales = forward_scales  # type: ignore[assignment]
