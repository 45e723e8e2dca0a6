"""What the gates of an attention U-Net let through, as a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from overread.explanation.asked import Asked
from overread.explanation.methods.grad_cam import upsampled
from overread.networks.dense.attention_unet import AttentionUNet


@dataclass(frozen=True)
class AttentionGates:
    """The share of each place of the skips that comes through, 0 to 1, mean over the gates of all resolutions.

    It is the same for every target: a gate opens for what the decoder needs, whatever for.
    """

    name: ClassVar[str] = "attention_gates"
    title: ClassVar[str] = "Attention gates"
    source: ClassVar[str] = "Oktay, MIDL 2018, arXiv:1804.03999"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        return None if isinstance(asked.network, AttentionUNet) else "it reads the gates of an attention U-Net"

    def __call__(self, asked: Asked) -> np.ndarray:
        network = asked.network
        assert isinstance(network, AttentionUNet), "refused"
        with torch.no_grad():
            gates = network.attention(asked.images)
        return asked.volume(upsampled([gate[0, 0].float() / len(gates) for gate in gates], asked.images))
