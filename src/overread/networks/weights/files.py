"""Named tensors from a file. Never a pickle that could run code."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from overread.core.errors import OverreadError

_WRAPPERS = ("state_dict", "model_state_dict", "network_weights", "model", "net")  # under which others store the tensors
_PREFIXES = ("module.", "_orig_mod.", "model.", "network.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a .safetensors file or a torch file; prefixes of wrappers are taken off."""
    if not path.is_file():
        raise OverreadError(
            f"there is no file of weights at {path}",
            next="give the path of a .safetensors, .pt or .pth file, of a model file or of a MONAI bundle, or run:NAME",
        )
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise OverreadError(
            f"{path.name} is damaged or holds Python objects beside tensors, which could run code when read",
            next="save its state_dict as .safetensors, or fetch it again",
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise OverreadError(f"{path.name} is not a readable file of weights ({error})", next="fetch the file again") from error
    return named_tensors(content, path.name)


def named_tensors(content: object, source: str) -> dict[str, Tensor]:
    """The tensors of a file's content, out of its wrappers."""
    while isinstance(content, dict) and (wrapper := next((key for key in _WRAPPERS if isinstance(content.get(key), dict)), None)):
        content = content[wrapper]
    found = (
        {str(name): value for name, value in content.items() if isinstance(value, Tensor)} if isinstance(content, dict) else {}
    )
    if not found:
        raise OverreadError(f"{source} holds no named tensors", next="save the network's state_dict()")
    while prefix := next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in found)), None):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found
