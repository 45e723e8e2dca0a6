"""Weights from a file into a network, with a list of what was loaded and what stayed random. Never a pickle."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.record.files import digest_bytes

_WRAPPERS = ("state_dict", "model_state_dict", "network_weights", "model", "net")  # under which others store the tensors
_PREFIXES = ("module.", "_orig_mod.", "model.", "network.")


@dataclass(frozen=True)
class Loaded:
    """What a file of weights gave a network; names are those of the network's state.

    loaded   tensors taken over as they are
    adapted  tensors taken over with the input channels averaged or repeated
    random   tensors of the network that stayed as they were initialised, with the reason
    unused   tensors of the file that the network has no place for
    """

    loaded: tuple[str, ...]
    adapted: tuple[str, ...]
    random: Mapping[str, str]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        if self.adapted:
            parts.append(f"{len(self.adapted)} adapted to the input channels ({', '.join(self.adapted)})")
        if self.random:
            parts.append(f"{len(self.random)} stayed random ({'; '.join(f'{name}: {why}' for name, why in self.random.items())})")
        if self.unused:
            parts.append(f"{len(self.unused)} of the file unused")
        return ", ".join(parts)


def weights_digest(network: nn.Module) -> str:
    """Digest of all tensors of a network, by name, wherever they lie in memory."""
    state = sorted(network.state_dict().items())
    return digest_bytes(part for name, tensor in state for part in (name.encode(), tensor.detach().cpu().numpy().tobytes()))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a .safetensors file or a torch file; prefixes of wrappers are taken off."""
    if not path.is_file():
        raise OverreadError(f"there is no file of weights at {path}", next="give the path of a .safetensors, .pt or .pth file")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise OverreadError(
            f"{path.name} is damaged or holds Python objects beside tensors, which could run code when read",
            next="save its state_dict as .safetensors, or fetch it again",
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise OverreadError(f"{path.name} is not a readable file of weights ({error})", next="fetch the file again") from error
    return _tensors(content, path)


def load_weights(network: nn.Module, path: Path) -> Loaded:
    """Copy the tensors of a file whose name and shape fit into a network; refuse a file of which nothing fits.

    An input convolution for another number of channels is averaged over its channels and scaled to keep the sum
    (Carreira 2017); a head for other classes stays random.
    """
    tensors = read_weights(path)
    inner = getattr(network, "inner", None)  # an adapter's file may be ours or the library's own, without the adapter
    if isinstance(inner, nn.Module) and not any(name.startswith("inner.") for name in tensors):
        return load_tensors(inner, tensors, path.name)
    return load_tensors(network, tensors, path.name)


def load_tensors(network: nn.Module, given: Mapping[str, Tensor], source: str) -> Loaded:
    """As ``load_weights``, from tensors in memory; source names them in an error."""
    own = network.state_dict()
    fitting: dict[str, Tensor] = {}
    adapted: list[str] = []
    random: dict[str, str] = {}
    for name, tensor in own.items():
        if name not in given:
            random[name] = "not in the file"
        elif given[name].shape == tensor.shape:
            fitting[name] = given[name]
        elif _differs_in_channels_only(given[name], tensor) and not adapted:
            fitting[name] = adapt_channels(given[name], tensor.shape[1])
            adapted.append(name)
        else:
            random[name] = f"{tuple(given[name].shape)} in the file, {tuple(tensor.shape)} here"
    if not fitting:
        raise OverreadError(
            f"nothing in {source} fits this network: it holds {_some(given)}, the network expects {_some(own)}",
            next="give weights of the same architecture",
        )
    network.load_state_dict(fitting, strict=False)
    loaded = tuple(name for name in fitting if name not in adapted)
    return Loaded(loaded, tuple(adapted), random, tuple(name for name in given if name not in own))


def adapt_channels(weight: Tensor, channels: int) -> Tensor:
    """An input convolution (outputs, inputs, ...) for another number of channels, answering alike to repeated channels."""
    mean = weight.mean(dim=1, keepdim=True) * (weight.shape[1] / channels)
    return mean.expand(-1, channels, *weight.shape[2:]).contiguous()


def _differs_in_channels_only(given: Tensor, own: Tensor) -> bool:
    """True for an input convolution from images of 1 or 3 channels; the first tensor of that kind is the input's."""
    if given.ndim != own.ndim or own.ndim < 4:
        return False
    return given.shape[0] == own.shape[0] and given.shape[2:] == own.shape[2:] and given.shape[1] in (1, 3)


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    while isinstance(content, dict) and (wrapper := next((key for key in _WRAPPERS if isinstance(content.get(key), dict)), None)):
        content = content[wrapper]
    found = (
        {str(name): value for name, value in content.items() if isinstance(value, Tensor)} if isinstance(content, dict) else {}
    )
    if not found:
        raise OverreadError(f"{path.name} holds no named tensors", next="save the network's state_dict()")
    while prefix := next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in found)), None):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _some(tensors: Mapping[str, Tensor]) -> str:
    names = list(tensors)
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
