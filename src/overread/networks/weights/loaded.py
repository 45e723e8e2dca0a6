"""What a network was given, and the digest by which its weights are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from overread.record.files import digest_bytes

MOST_NAMED = 6  # tensors in a sentence


@dataclass(frozen=True)
class Loaded:
    """What a file of weights gave a network; names are those of the network's state.

    loaded    tensors taken over as they are
    adapted   tensors taken over with the input channels averaged or repeated
    random    tensors of the network that stayed as they were initialised, with the reason
    unused    tensors of the file that the network has no place for
    inflated  tensors taken over from a 2D network into a 3D one, repeated along z
    how       how tensors were matched where not by their own names: "as a ResNet of torchvision", "by order and shape"; else ""
    licence   of the weights, where their source says it
    """

    loaded: tuple[str, ...]
    adapted: tuple[str, ...]
    random: Mapping[str, str]
    unused: tuple[str, ...]
    inflated: tuple[str, ...] = ()
    how: str = ""
    licence: str = ""

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded{f' ({self.how})' if self.how else ''}"]
        if self.adapted:
            parts.append(f"{len(self.adapted)} adapted to the input channels ({', '.join(self.adapted)})")
        if self.inflated:
            parts.append(f"{len(self.inflated)} inflated from 2D to 3D")
        if self.random:
            named = [f"{name}: {why}" for name, why in self.random.items()]
            more = f"; and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
            parts.append(f"{len(named)} stayed random ({'; '.join(named[:MOST_NAMED])}{more})")
        if self.unused:
            parts.append(f"{len(self.unused)} of the file unused")
        return ", ".join(parts)

    def state_of(self, name: str) -> str:
        """What became of one tensor of the network: "loaded", "adapted", "inflated" or "random"."""
        if name in self.random:
            return "random"
        return "adapted" if name in self.adapted else "inflated" if name in self.inflated else "loaded"

    def as_dict(self) -> dict[str, Any]:
        """Counts and words for a record; no names of files."""
        counts = {name: len(getattr(self, name)) for name in ("loaded", "adapted", "inflated", "random", "unused")}
        return {**counts, "how": self.how, "licence": self.licence}


def weights_digest(network: nn.Module) -> str:
    """Digest of all tensors of a network, by name, wherever they lie in memory."""
    state = sorted(network.state_dict().items())
    return digest_bytes(part for name, tensor in state for part in (name.encode(), tensor.detach().cpu().numpy().tobytes()))
