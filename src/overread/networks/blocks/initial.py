"""How weights are drawn before anything is learned."""

from typing import Literal

from torch import Tensor, nn

from overread.networks.blocks.norms import SLOPE
from overread.networks.blocks.residual import BasicBlock, Bottleneck, ResidualBlock


def he_initialise(network: nn.Module, slope: float = SLOPE, mode: Literal["fan_in", "fan_out"] = "fan_in") -> None:
    """Draw convolution weights so that the variance stays the same through (leaky) ReLUs (He 2015); biases 0.

    The last normalisation of each residual block starts at 0, so that a deep network starts as a shallow one (Goyal 2017).
    slope  of the activation below zero; 0 for a ReLU
    mode   whether the variance stays the same forward ("fan_in") or that of the slopes backward ("fan_out", as our ResNets)

    Sources: He 2015, arXiv:1502.01852; Goyal 2017, arXiv:1706.02677.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight, a=slope, mode=mode)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, ResidualBlock | BasicBlock | Bottleneck):
            last = module.second.norm if isinstance(module, ResidualBlock) else module.last_norm
            if isinstance(last.weight, Tensor):
                nn.init.zeros_(last.weight)
    for module in network.modules():
        if callable(start := getattr(module, "own_start", None)):  # a block that begins in a way of its own
            start()
