"""How weights are drawn before anything is learned."""

import torch
from torch import nn

from overread.networks.blocks.norms import SLOPE
from overread.networks.blocks.residual import ResidualBlock


def he_initialise(network: nn.Module) -> None:
    """Draw convolution weights so that the variance stays the same through leaky ReLUs (He 2015); biases 0.

    The last normalisation of each residual block starts at 0, so that a deep network starts as a shallow one (Goyal 2017).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight, a=SLOPE)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, ResidualBlock):
            weight = module.second.norm.weight
            assert isinstance(weight, torch.Tensor)
            nn.init.zeros_(weight)
