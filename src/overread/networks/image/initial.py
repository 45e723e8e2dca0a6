"""How the weights of the networks that answer per image are drawn before anything is learned."""

from torch import nn

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
TRANSFORMER_SPREAD = 0.02  # standard deviation


def draw_for_rectifiers(network: nn.Module) -> None:
    """Convolutions keep the variance of gradients through rectifiers, layers before the last that of maps; biases 0.

    Source: He et al., Delving deep into rectifiers, ICCV 2015, arXiv:1502.01852.
    """
    for name, module in network.named_modules():
        if isinstance(module, _CONVOLUTIONS):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear) and name != "head":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, (*_CONVOLUTIONS, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)


def draw_for_tanh(network: nn.Module) -> None:
    """Weights that keep the variance through tanh; biases 0.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.
    """
    for module in network.modules():
        if isinstance(module, (*_CONVOLUTIONS, nn.Linear)):
            nn.init.xavier_normal_(module.weight, gain=nn.init.calculate_gain("tanh"))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def draw_for_transformer(network: nn.Module) -> None:
    """Small weights, biases 0, as in the published transformers and in ConvNeXt (Liu 2022, appendix A.1)."""
    for module in network.modules():
        if isinstance(module, (*_CONVOLUTIONS, nn.Linear)):
            nn.init.trunc_normal_(module.weight, std=TRANSFORMER_SPREAD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
