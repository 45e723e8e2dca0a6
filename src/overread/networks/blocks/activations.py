"""Activations: the bend after a layer, without which a stack of layers would be one straight line.

Sigmoid and tanh saturate and let gradients vanish in deep networks; ReLU and its successors do not on the positive side.
"""

from collections.abc import Callable

from torch import nn

from overread.core.errors import OverreadError

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,  # Nair 2010
    "relu6": nn.ReLU6,  # a ReLU cut off at 6: Howard 2017, arXiv:1704.04861
    "leaky_relu": lambda: nn.LeakyReLU(0.01),  # Maas 2013
    "prelu": nn.PReLU,  # learns its slope below zero: He 2015, arXiv:1502.01852
    "elu": nn.ELU,  # Clevert 2016, arXiv:1511.07289
    "selu": nn.SELU,  # Klambauer 2017, arXiv:1706.02515
    "gelu": nn.GELU,  # Hendrycks 2016, arXiv:1606.08415
    "silu": nn.SiLU,  # also called swish: Elfwing 2018, arXiv:1702.03118; Ramachandran 2017, arXiv:1710.05941
    "mish": nn.Mish,  # Misra 2020, arXiv:1908.08681
    "hardswish": nn.Hardswish,  # Howard 2019, arXiv:1905.02244
    "hardsigmoid": nn.Hardsigmoid,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,  # LeNet: LeCun 1998
    "softplus": nn.Softplus,  # a ReLU with a round corner: Glorot 2011
    "none": nn.Identity,
}
_CAN_OVERWRITE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid)


def make_activation(name: str, *, overwrite: bool = False) -> nn.Module:
    """An activation by name; the shape stays.

    overwrite  write the answer over the input, which saves memory; only where nobody else needs the input
    """
    if name not in ACTIVATIONS:
        raise OverreadError(f"no activation is called '{name}'", next=f"choose one of {', '.join(ACTIVATIONS)}")
    activation = ACTIVATIONS[name]()
    if overwrite and isinstance(activation, _CAN_OVERWRITE):
        activation.inplace = True
    return activation
