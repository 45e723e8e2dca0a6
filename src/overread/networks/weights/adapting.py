"""Weights for another number of input channels, and 2D weights for a 3D network.

Source: Carreira and Zisserman, Quo vadis, action recognition?, CVPR 2017, arXiv:1705.07750, section 2.4: a filter is repeated
along the new axis and divided by the number of repeats, so that a film that does not change along it is answered alike.
"""

from torch import Tensor

KERNEL_AXES = 2  # of a weight before its kernel: outputs and inputs


def adapt_channels(weight: Tensor, channels: int) -> Tensor:
    """An input convolution (outputs, inputs, ...) for another number of channels, answering alike to repeated channels."""
    mean = weight.mean(dim=1, keepdim=True) * (weight.shape[1] / channels)
    return mean.expand(-1, channels, *weight.shape[2:]).contiguous()


def inflate(weight: Tensor, depth: int, *, spreads: bool = False) -> Tensor:
    """A 2D kernel (O, I, Y, X) as a 3D one (O, I, depth, Y, X) that answers alike to an image that is constant along z.

    spreads  of a transposed convolution whose step along z is its kernel: every voxel of the answer comes from one of the
             kernel's layers, so the layers are repeated as they are
    """
    repeated = weight.unsqueeze(2).expand(-1, -1, depth, -1, -1)
    return (repeated if spreads else repeated / depth).contiguous()


def can_adapt(given: Tensor, own: Tensor) -> bool:
    """Two kernels that differ in their input channels alone, and perhaps in the z axis."""
    return given.shape[1] != own.shape[1] and can_take(given[:, :1], own[:, :1])


def can_inflate(given: Tensor, own: Tensor) -> bool:
    """A 2D kernel and a 3D one of the same outputs, inputs and extent in the plane."""
    is_pair = given.ndim == KERNEL_AXES + 2 and own.ndim == KERNEL_AXES + 3
    return is_pair and given.shape[:2] == own.shape[:2] and given.shape[2:] == own.shape[3:]


def can_take(given: Tensor, own: Tensor) -> bool:
    """The same shape, or one that can be inflated to it."""
    return given.shape == own.shape or can_inflate(given, own)
