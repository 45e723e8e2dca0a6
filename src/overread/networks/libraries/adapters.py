"""What makes a network of another library answer like ours: one shape of answer, features, errors that name sizes."""

import difflib
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.fit import refuse_indivisible
from overread.networks.weights import adapt_channels

_MAPS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.modules.batchnorm._NormBase, nn.GroupNorm)
_COMPLAINTS_OF_SIZE = (  # how torch and the libraries say that an image is too small or of the wrong size
    "Output size is too small",
    "Kernel size can't be greater",
    "output size is too small",
    "smaller than kernel size",
    "doesn't match model",
    "should be divisible",
    "must be divisible",
    "Expected more than 1 value",
    "Expected more than 1 spatial element",
    "Wrong image",
    "input image size",
)


class ImageAdapter(nn.Module):
    """A network of another library that answers per image.

    inner      the library's network
    head_name  its last layer, whose input are the features
    """

    def __init__(self, inner: nn.Module, head_name: str, source: str, dimensions: int) -> None:
        super().__init__()
        self.inner, self.head_name, self.source, self.dimensions = inner, head_name, source, dimensions

    def forward(self, images: Tensor) -> Tensor:
        """Logits per image: (B, C, [Z,] Y, X) to (B, out_channels)."""
        return _ask(self, images)

    def features(self, images: Tensor) -> Tensor:
        """What the last layer sees, averaged over space where it still has some: (B, F)."""
        seen: list[Tensor] = []
        hook = self.inner.get_submodule(self.head_name).register_forward_pre_hook(lambda _, entry: seen.append(entry[0]))
        try:
            self(images)
        finally:
            hook.remove()
        return seen[0].flatten(2).mean(2) if seen[0].ndim > 2 else seen[0]


class DenseAdapter(nn.Module):
    """A network of another library that answers per voxel.

    inner    the library's network
    divisor  by how much each axis of an image must be divisible
    """

    def __init__(self, inner: nn.Module, divisor: tuple[int, ...], source: str) -> None:
        super().__init__()
        self.inner, self.divisor, self.source, self.dimensions = inner, divisor, source, len(divisor)

    def forward(self, images: Tensor) -> Tensor:
        """Logits per voxel: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        refuse_indivisible(tuple(images.shape[2:]), self.divisor, self.source)
        return _ask(self, images)

    def forward_scales(self, images: Tensor) -> list[Tensor]:
        """The full resolution alone: these networks answer at one."""
        return [self(images)]

    def features(self, images: Tensor) -> Tensor:
        """The smallest map inside the network, averaged over space: (B, F)."""
        deepest: list[Tensor] = []

        def note(_module: nn.Module, _entry: object, maps: Any) -> None:
            is_map = isinstance(maps, Tensor) and maps.ndim == images.ndim
            if is_map and (not deepest or maps[0, 0].numel() <= deepest[0][0, 0].numel()):
                deepest[:] = [maps]

        hooks = [module.register_forward_hook(note) for module in self.inner.modules() if isinstance(module, _MAPS)]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return deepest[0].flatten(2).mean(2)


def unknown_name(name: str, library: str, known: Iterable[str]) -> OverreadError:
    """The error for a name that a library does not have, with the nearest it has."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.4)
    lower = {entry.lower(): entry for entry in known}
    near = list(dict.fromkeys([*filter(None, [lower.get(name.lower())]), *near]))
    what = f"{library} has no network called '{name}'"
    return OverreadError(
        what, next=f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(sorted(known)[:20])}"
    )


def refuse_unknown_options(options: Iterable[str], allowed: Iterable[str], source: str) -> None:
    """Stop at an option that a network does not take, with the nearest that it does."""
    allowed = sorted(allowed)
    for option in options:
        if option not in allowed:
            near = difflib.get_close_matches(option, allowed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(allowed) or 'none'}"
            raise OverreadError(f"{source} has no option '{option}'", next=hint)


def replace_head(network: nn.Module, outputs: int) -> str:
    """Put a fresh last layer with so many outputs in place of the network's own; returns its name."""
    layers = list(network.named_modules())
    linear = [(name, layer) for name, layer in layers if isinstance(layer, nn.Linear)]
    if linear:
        name, last = linear[-1]
        _put(network, name, nn.Linear(last.in_features, outputs))
        return name
    name, final = [(name, layer) for name, layer in layers if isinstance(layer, nn.Conv2d | nn.Conv3d)][-1]
    _put(network, name, type(final)(final.in_channels, outputs, final.kernel_size, final.stride, final.padding))  # type: ignore[arg-type]
    return name


def replace_entry(network: nn.Module, channels: int) -> None:
    """Make the first convolution read so many channels, its weights averaged over the former ones (Carreira 2017)."""
    name, first = next((name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Conv3d))
    if first.in_channels == channels:
        return
    fresh = type(first)(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    fresh.weight.data = adapt_channels(first.weight.data, channels)
    if first.bias is not None and fresh.bias is not None:
        fresh.bias.data = first.bias.data
    _put(network, name, fresh)


def _put(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, layer)


def _ask(adapter: ImageAdapter | DenseAdapter, images: Tensor) -> Tensor:
    """The inner network's answer; a complaint about the size of the image becomes one that names it."""
    size = tuple(images.shape[2:])
    if len(size) != adapter.dimensions:
        raise OverreadError(f"{adapter.source} was built for {adapter.dimensions}D images, and got one of size {size}")
    try:
        answer = adapter.inner(images)
    except (RuntimeError, ValueError, AssertionError) as error:
        if any(complaint in str(error) for complaint in _COMPLAINTS_OF_SIZE):
            raise OverreadError(
                f"an image of {size} does not fit {adapter.source}: {str(error).splitlines()[0]}",
                next="use larger images, or a network with fewer strides",
            ) from error
        raise
    if isinstance(answer, dict):  # torchvision's segmentation networks
        answer = answer["out"]
    return answer[0] if isinstance(answer, tuple | list) else answer
