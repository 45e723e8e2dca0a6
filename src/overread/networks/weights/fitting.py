"""Tensors of a file into a network: what fits is copied, adapted or inflated; what does not stays random and is listed."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.weights.adapting import adapt_channels, can_adapt, can_inflate, can_take, inflate
from overread.networks.weights.files import read_weights
from overread.networks.weights.loaded import Loaded
from overread.networks.weights.twins import COUNTER, names_by_order, resnet_names

TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)
HEAD_LEFT = "the head of another question"


def load_weights(network: nn.Module, path: Path) -> Loaded:
    """Copy the tensors of a file whose name and shape fit into a network; refuse a file of which nothing fits.

    An input convolution for another number of channels is averaged over its channels and scaled to keep the sum, and 2D
    kernels are repeated along z and divided for a 3D network (Carreira 2017); a head for other classes stays random.
    """
    return load_tensors(network, read_weights(path), path.name)


def load_tensors(network: nn.Module, given: Mapping[str, Tensor], source: str, *, without: Collection[str] = ()) -> Loaded:
    """As ``load_weights``, from tensors in memory; source names them in an error.

    without  names of the network's tensors that are to stay random: the head, where another question is asked
    """
    own = network.state_dict()
    matched = _matched(given, own)
    fitting: dict[str, Tensor] = {}
    adapted: list[str] = []
    inflated: list[str] = []
    random: dict[str, str] = {}
    entry = next((name for name, tensor in own.items() if tensor.ndim > 3), "")
    for name, tensor in own.items():
        other = given.get(matched.names.get(name, ""))
        if name in without:
            random[name] = HEAD_LEFT
        elif other is None:
            if not name.endswith(COUNTER):
                random[name] = "not in the file"
        elif can_take(other, tensor) or (name == entry and other.ndim > 3 and can_adapt(other, tensor)):
            fitting[name] = _taken(network, name, other, tensor)
            if other.ndim != tensor.ndim:
                inflated.append(name)
            elif other.shape != tensor.shape:
                adapted.append(name)
        else:
            random[name] = f"{tuple(other.shape)} in the file, {tuple(tensor.shape)} here"
    if not any(tensor.ndim > 0 for tensor in fitting.values()):
        raise OverreadError(
            f"nothing in {source} fits this network: it holds {_some(given)}, the network expects {_some(own)}",
            next="give weights of the same architecture and width (`overread plan` lists the options it chose)",
        )
    network.load_state_dict(fitting, strict=False)
    loaded = tuple(name for name in fitting if name not in adapted and name not in inflated)
    unused = tuple(name for name in given if name not in {matched.names[own_name] for own_name in fitting})
    return Loaded(loaded, tuple(adapted), random, unused, tuple(inflated), matched.how)


@dataclass(frozen=True)
class _Matched:
    """names  of the network -> of the file;  how  in words, "" where they are the same or differ by what they are wrapped in."""

    names: Mapping[str, str]
    how: str = ""

    def fits(self, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> int:
        """How many kernels and matrices have a place, whatever the channels of the entry."""
        pairs = [(own[mine], given[theirs]) for mine, theirs in self.names.items() if mine in own]
        return sum(mine.ndim > 1 and can_take(theirs, mine) for mine, theirs in pairs)


def _matched(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> _Matched:
    """The way of matching by which most fits; by the file's own names where several do alike."""
    ways = [
        _Matched({name: name for name in own if name in given}),
        _Matched(_wrapped(given, own)),
        _Matched({mine: theirs for mine, theirs in resnet_names(given).items() if mine in own}, "as a ResNet of torchvision"),
    ]
    best = max(ways, key=lambda way: way.fits(given, own))
    in_order = _Matched(names_by_order(given, own), "by order and shape")
    return in_order if in_order.fits(given, own) > 2 * best.fits(given, own) else best


def _wrapped(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, str]:
    """Names that are the same but for one word in front, of the network ("inner.") or of the file ("encoder.")."""
    mine = {name: _endings(name) for name in own}
    by_ending: dict[str, list[str]] = {}
    for name, endings in mine.items():
        for ending in endings:
            by_ending.setdefault(ending, []).append(name)
    pairs = [(name, theirs) for theirs in given for ending in _endings(theirs) for name in by_ending.get(ending, ())]
    one_inside = [(m, t) for m, t in pairs if m.endswith(t) or t.endswith(m)]
    fronts = Counter((m[: -len(t)], "") if m.endswith(t) else ("", t[: -len(m)]) for m, t in set(one_inside))
    if not fronts:
        return {}
    here, there = fronts.most_common(1)[0][0]
    return {m: t for m, t in one_inside if here + t == there + m and m.startswith(here) and t.startswith(there)}


def _endings(name: str) -> list[str]:
    """ "a.b.weight" -> "a.b.weight", "b.weight"; a single word says nothing."""
    words = name.split(".")
    return [".".join(words[k:]) for k in range(max(1, len(words) - 1))]


def _taken(network: nn.Module, name: str, given: Tensor, own: Tensor) -> Tensor:
    """A tensor of the file in the shape of the network's own."""
    if given.shape == own.shape:
        return given
    if given.shape[1] != own.shape[1]:
        given = adapt_channels(given, own.shape[1])
    if not can_inflate(given, own):
        return given
    layer = network.get_submodule(name.rpartition(".")[0])
    return inflate(given, own.shape[2], spreads=isinstance(layer, TRANSPOSED) and layer.stride[0] == layer.kernel_size[0])


def _some(tensors: Mapping[str, Tensor]) -> str:
    names = list(tensors)
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
