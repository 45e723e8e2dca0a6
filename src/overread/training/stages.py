"""The stages of any network from its entry to its head: what is frozen, thawed and taught at rates of its own.

Ours are known by how they are built: a U-Net by its encoder, decoder and heads, a detector by its pyramid, the others by the
order of their children, where a row of blocks is cut where its width changes. A network of another library has its
top-level children in order, merged to about five where there are more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from torch import nn

from overread.networks.fusion.fused import Fused

MOST_STAGES = 6  # of a network that is known by the order of its children alone; neighbours with few weights are put together
FEWEST_STAGES = 3  # below which the largest part is opened once more
BODIES = ("pyramid", "backbone", "inner", "encoder")  # children that hold the features, where others stand on them
HEADS = ("head", "heads", "fc", "classifier")
PARTS = 4  # of a long row of blocks of one width, such as a transformer's


@dataclass(frozen=True)
class Stage:
    """Some layers of a network that are treated alike.

    name      as it is shown: "stem", "stages.0-1", "encoder.2"
    prefixes  of the names of its parameters and modules
    is_head   gives the answer, and is never frozen
    """

    name: str
    prefixes: tuple[str, ...]
    is_head: bool = False

    def holds(self, name: str) -> bool:
        """Whether a parameter, buffer or module of this name is part of it."""
        return any(name == prefix or name.startswith(prefix + ".") for prefix in self.prefixes)


def stages_of(network: nn.Module) -> tuple[Stage, ...]:
    """From the entry to the head, which comes last; every parameter lies in exactly one."""
    if isinstance(network, Fused):  # what reads clinical values is new wherever the image's weights come from
        *body, head = (Stage(s.name, tuple(f"inner.{p}" for p in s.prefixes), s.is_head) for s in stages_of(network.inner))
        return (*body, Stage("head", (*head.prefixes, "told", "head"), is_head=True))
    inner, is_adapter = getattr(network, "inner", None), len(_learning(network)) == 1
    if isinstance(inner, nn.Module) and is_adapter:
        found = _within("inner", inner, getattr(network, "head_name", ""))
    else:
        found = _within("", network, "")
    return _complete(network, found)


def _within(front: str, network: nn.Module, head_name: str) -> list[Stage]:
    children = _learning(network)
    while len(children) == 1 and _learning(children[0][1]):  # a wrapper around one network
        front, network = _joined(front, children[0][0]), children[0][1]
        children = _learning(network)
    names = [name for name, _ in children]
    if {"encoder", "decoder", "upsample", "heads"} <= set(names):
        return _of_u_net(front, network)
    for body in BODIES:
        if body in names[:-1]:
            return _around(front, network, names, body)
    return _in_order(front, children, head_name)


def _around(front: str, network: nn.Module, names: list[str], body: str) -> list[Stage]:
    """What comes before the body, the body's stages, what follows; a head of the body's own is no part of its features."""
    at = names.index(body)
    child = network.get_submodule(body)
    own_head = [name for name, _ in _learning(child)[-1:] if name in HEADS]
    inside = [s for s in _opened(_joined(front, body), child) if s.prefixes != (_joined(front, f"{body}.{''.join(own_head)}"),)]
    before = [Stage(_short(_joined(front, name)), (_joined(front, name),)) for name in names[:at]]
    rest = names[at + 1 :]
    between = rest[:-1] if body == "encoder" else []  # a decoder; what stands on a detector's body answers
    stages = [Stage(_short(_joined(front, name)), (_joined(front, name),)) for name in between]
    of_head = [*(f"{body}.{name}" for name in own_head), *(name for name in rest if name not in between)]
    last = names[-1] if "head" in between else "head"
    return [*before, *inside, *stages, Stage(last, tuple(_joined(front, name) for name in of_head), is_head=True)]


def _of_u_net(front: str, network: nn.Module) -> list[Stage]:
    stages = [Stage("stem", (_joined(front, "stem"),))] if any(True for _ in _parameters(getattr(network, "stem", None))) else []
    for part in ("encoder", "decoder"):
        for number, _ in _learning(network.get_submodule(part)):
            prefixes = [f"{part}.{number}"] if part == "encoder" else [f"upsample.{number}", f"decoder.{number}"]
            stages.append(Stage(f"{part}.{number}", tuple(_joined(front, prefix) for prefix in prefixes)))
    known = {"stem", "encoder", "decoder", "upsample"}
    heads = tuple(_joined(front, name) for name, _ in _learning(network) if name not in known)
    return [*stages, Stage("heads", heads, is_head=True)]


def _in_order(front: str, children: list[tuple[str, nn.Module]], head_name: str) -> list[Stage]:
    """The children one after the other; the head is the one that holds `head_name`, else the last."""
    at = next((k for k, (name, _) in enumerate(children) if head_name == name or head_name.startswith(name + ".")), -1)
    head = children[at]
    body = [child for child in children if child is not head]
    units = [unit for name, child in body for unit in _cut(_joined(front, name), child)]
    while 0 < len(units) < FEWEST_STAGES:
        opened = _open_largest(units)
        if len(opened) == len(units):
            break
        units = opened
    merged = _merged(units)
    return [*(unit.stage for unit in merged), Stage(_short(_joined(front, head[0])), (_joined(front, head[0]),), is_head=True)]


_Block = tuple[str, nn.Module, int]  # its name, itself, the channels it answers with


@dataclass(frozen=True)
class _Unit:
    stage: Stage
    modules: tuple[nn.Module, ...]

    @property
    def count(self) -> int:
        return sum(p.numel() for module in self.modules for p in module.parameters())

    @property
    def has_kernels(self) -> bool:
        return any(p.ndim > 1 for module in self.modules for p in module.parameters())


def _cut(name: str, child: nn.Module) -> list[_Unit]:
    """A row of blocks, cut where its width changes; one of a single width in up to four parts. Anything else as it is."""
    blocks = _learning(child) if isinstance(child, nn.Sequential | nn.ModuleList) else []
    if len(blocks) < 2:
        return [_Unit(Stage(_short(name), (name,)), (child,))]
    groups = [list(group) for _, group in groupby(_with_width(blocks), key=lambda entry: entry[2])]
    if len(groups) == 1 and len(blocks) < PARTS:
        return [_Unit(Stage(_short(name), (name,)), (child,))]
    groups = [part for group in groups for part in (_quartered(group) if len(group) > len(blocks) / 2 else [group])]
    units = []
    for group in groups:
        first, last = group[0][0], group[-1][0]
        shown = f"{_short(name)}.{first}" + (f"-{last}" if len(group) > 1 else "")
        prefixes = tuple(f"{name}.{number}" for number, _, _ in group)
        units.append(_Unit(Stage(shown, prefixes), tuple(block for _, block, _ in group)))
    return units


def _quartered(row: list[_Block]) -> list[list[_Block]]:
    """A long row of blocks of one width in four parts."""
    if len(row) < 2 * PARTS and len(row) != PARTS:
        return [row]
    return [row[a:b] for a, b in pairwise(round(k * len(row) / PARTS) for k in range(PARTS + 1))]


def _with_width(blocks: list[tuple[str, nn.Module]]) -> Iterator[_Block]:
    """Each block with the channels it answers with; one without kernels has those of the block before."""
    width = 0
    for name, block in blocks:
        kernels = [p for p in _parameters(block) if p.ndim > 1]
        width = int(max(kernel.shape[0] for kernel in kernels)) if kernels else width
        yield name, block, width


def _open_largest(units: list[_Unit]) -> list[_Unit]:
    """The largest part replaced by its children."""
    large = max(range(len(units)), key=lambda k: units[k].count)
    unit = units[large]
    if len(unit.modules) != 1:
        return units
    children = _learning(unit.modules[0])
    if not children or (len(children) == 1 and not _learning(children[0][1])):
        return units
    inside = [part for name, child in children for part in _cut(f"{unit.stage.prefixes[0]}.{name}", child)]
    return [*units[:large], *inside, *units[large + 1 :]]


def _opened(name: str, child: nn.Module) -> list[Stage]:
    """The stages of a network inside another one, where all of it is features."""
    grandchildren = _learning(child)
    if {"encoder", "decoder", "upsample"} <= {part for part, _ in grandchildren}:
        return _of_u_net(name, child)[:-1]
    units = [unit for part, module in grandchildren for unit in _cut(f"{name}.{part}", module)]
    while 0 < len(units) < FEWEST_STAGES:
        opened = _open_largest(units)
        if len(opened) == len(units):
            break
        units = opened
    return [unit.stage for unit in _merged(units)] or [Stage(_short(name), (name,))]


def _merged(units: list[_Unit]) -> list[_Unit]:
    """A lone normalisation goes with what it follows; then neighbours are put together, the smallest first."""
    while alone := [k for k in range(1, len(units)) if not units[k].has_kernels]:
        units = _joined_at(units, alone[0] - 1)
    while len(units) > MOST_STAGES:
        units = _joined_at(units, min(range(len(units) - 1), key=lambda k: units[k].count + units[k + 1].count))
    return units


def _joined_at(units: list[_Unit], at: int) -> list[_Unit]:
    one, other = units[at], units[at + 1]
    name = f"{one.stage.name.split(' to ')[0]} to {other.stage.name.split(' to ')[-1]}"
    both = _Unit(Stage(name, (*one.stage.prefixes, *other.stage.prefixes)), (*one.modules, *other.modules))
    return [*units[:at], both, *units[at + 2 :]]


def _complete(network: nn.Module, stages: list[Stage]) -> tuple[Stage, ...]:
    """Parameters that lie in no child (class tokens, positions) belong to the entry."""
    lost = tuple(name for name, _ in network.named_parameters() if not any(stage.holds(name) for stage in stages))
    if not lost:
        return tuple(stages)
    first = stages[0]
    return (Stage(first.name, (*first.prefixes, *lost), first.is_head), *stages[1:])


def _learning(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Children with parameters of their own; one that shares all of its with an earlier one is no part of the order."""
    found, seen = [], set[int]()
    for name, child in module.named_children():
        own = {id(parameter) for parameter in child.parameters()} - seen
        if own:
            found.append((name, child))
            seen |= own
    return found


def _parameters(module: Any) -> Iterator[nn.Parameter]:
    return module.parameters() if isinstance(module, nn.Module) else iter(())


def _joined(front: str, name: str) -> str:
    return f"{front}.{name}" if front else name


def _short(name: str) -> str:
    """Without the adapter around a network of another library."""
    return name.removeprefix("inner.")
