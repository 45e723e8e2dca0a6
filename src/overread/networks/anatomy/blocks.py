"""Which modules of a network are one block each: what a drawing in a paper would show as one box."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

from overread.networks.anatomy.kinds import ADDS, ONE_LAYER, PRODUCTS, is_layer, is_over_all
from overread.networks.anatomy.trace import Trace

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
OURS = "overread.networks.blocks."
ALWAYS = re.compile(r"FeaturePyramid|Dense_?Block|Inception([A-E]|Block)?$|ASPP|PyramidPool|PPM$|Fire$")
TWO_SIZES = 2  # of maps inside a block: before and after its step


def blocks_of(network: nn.Module, trace: Trace) -> list[str]:
    """Names of the modules that are a block each, in no order; none lies inside another.

    A container, and whatever takes maps through three sizes or more or holds a row of larger parts, is opened; what neither
    learns nor changes a size (normalisation, activation) belongs to what stands before it.
    """
    working = _working(network, trace)
    sizes, ran = _sizes(trace), {answer.module for answer in trace.answers}
    adding = {o.inside[-1] for o in trace.operations if o.inside and o.name in ADDS and len(set(o.reads)) > 1}
    found: list[str] = []

    def visit(name: str, module: nn.Module) -> None:
        if name not in working:
            return
        is_known = type(module).__module__.startswith(OURS)  # some are asked by a method of theirs
        if name and (name in ran or is_known) and _is_block(name, module, sizes, adds=name in adding):
            found.append(name)
            return
        for child, inner in module.named_children():
            visit(f"{name}.{child}" if name else child, inner)

    visit("", network)
    return found


def _working(network: nn.Module, trace: Trace) -> set[str]:
    """Modules in which a map is convolved, multiplied, pooled or enlarged; lists of modules, which do not run, among them."""
    pools = {name for name, module in network.named_modules() if re.search("Pool|Global", type(module).__name__)}
    inner = {
        o.inside[-1] for o in trace.operations if o.inside and (is_layer(o.name) or (is_over_all(o) and o.inside[-1] in pools))
    }
    return {".".join(name.split(".")[:depth]) for name in inner for depth in range(name.count(".") + 2)}


def _sizes(trace: Trace) -> dict[str, set[tuple[int, ...]]]:
    """Sizes of the maps that layers inside of a module answer with; those of one point are left out."""
    sizes: dict[str, set[tuple[int, ...]]] = {}
    for operation in trace.operations:
        shape = operation.shapes[0]
        is_map = is_layer(operation.name) and operation.name not in PRODUCTS and len(shape) > 3
        if is_map and max(shape[2:]) > 1:
            for name in operation.inside:
                sizes.setdefault(name, set()).add(shape[2:])
    return sizes


def _is_block(name: str, module: nn.Module, sizes: Mapping[str, set[tuple[int, ...]]], *, adds: bool) -> bool:
    children = list(module.children())
    if not children or isinstance(module, nn.MultiheadAttention):
        return True
    if _is_known(module) or (is_head(module) and len(sizes.get(name, ())) > TWO_SIZES):
        return True
    if type(module) in CONTAINERS or len(children) == 1:
        return False
    if _holds_known(module) and not (adds and len(sizes.get(name, ())) == 1):  # a row of blocks with one shortcut over all
        return False
    return len(sizes.get(name, ())) <= TWO_SIZES and not _holds_a_row(module)


def _is_known(module: nn.Module) -> bool:
    return type(module).__module__.startswith(OURS) or ALWAYS.search(type(module).__name__) is not None


def _holds_known(module: nn.Module) -> bool:
    inner = (m for m in module.modules() if m is not module and any(m.children()) and _is_known(m))
    return any(isinstance(layer, ONE_LAYER) for m in inner for layer in m.modules())


def is_head(module: nn.Module) -> bool:
    """A detector's head, which runs over several sizes of map."""
    name = type(module).__name__
    return name.endswith("Head") and not any(type(child).__name__.endswith("Head") for child in module.children())


def _holds_a_row(module: nn.Module) -> bool:
    """Several parts of one class in a row, each of them with two layers or more: blocks themselves."""
    for inner in module.modules():
        if isinstance(inner, CONTAINERS):
            parts = [child for child in inner.children() if sum(isinstance(m, ONE_LAYER) for m in child.modules()) > 1]
            if len(parts) > 1 and len({type(part) for part in parts}) == 1 and type(parts[0]) not in CONTAINERS:
                return True
    return False
