"""The names that one library gives a network, and those that ours has for the same layers.

A ResNet of torchvision or timm has the layers of ours in other folders:

    conv1, bn1                    stem.0, stem.1
    layerS.B.convK, layerS.B.bnK  stages.N.body.(3K-3), stages.N.body.(3K-2)   N counts blocks through all four stages
    layerS.B.downsample.J         stages.N.shortcut.J
    fc                            head

Steps, paddings and the place of the step in a bottleneck (its 3x3 convolution) are the same, so that with these tensors ours
answers as theirs does; a test compares the two. Other networks of one layout under other names are matched by order: the same
kinds of tensors of the same shapes, one after the other, from the entry on, as far as they agree.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from overread.networks.weights.adapting import can_adapt, can_take

FEWEST_WEIGHTS = 4  # kernels or matrices in a row that must agree before an order is believed
COUNTER = "num_batches_tracked"  # of batch norm; nothing is learned in it
_BLOCK = re.compile(r"layer(\d)\.(\d+)\.(conv|bn)(\d)\.(\w+)$")
_SHORTCUT = re.compile(r"layer(\d)\.(\d+)\.downsample\.(\d)\.(\w+)$")
_ENDS = {"conv1.": "stem.0.", "bn1.": "stem.1.", "fc.": "head."}


def resnet_names(given: Mapping[str, Tensor]) -> dict[str, str]:
    """Our name -> the name in a file of a torchvision or timm ResNet; empty where it is none."""
    blocks = sorted({(int(m[1]), int(m[2])) for name in given if (m := _BLOCK.match(name))})
    number = {block: place for place, block in enumerate(blocks)}
    return {ours: name for name in given if number and (ours := _as_ours(name, number))}


def _as_ours(name: str, number: Mapping[tuple[int, int], int]) -> str:
    if match := _BLOCK.match(name):
        place = 3 * (int(match[4]) - 1) + (match[3] == "bn")  # convolution, norm, ReLU, convolution ...
        return f"stages.{number[int(match[1]), int(match[2])]}.body.{place}.{match[5]}"
    if match := _SHORTCUT.match(name):
        return f"stages.{number[int(match[1]), int(match[2])]}.shortcut.{match[3]}.{match[4]}"
    return next((ours + name.removeprefix(theirs) for theirs, ours in _ENDS.items() if name.startswith(theirs)), "")


def names_by_order(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, str]:
    """Our name -> the file's name, for the longest run from the entry on in which kind and shape agree."""
    pairs: dict[str, str] = {}
    theirs, ours = ([name for name in names if not name.endswith(COUNTER)] for names in (given, own))
    for mine, other in zip(ours, theirs, strict=False):
        if _kind(mine) != _kind(other) or not _agree(given[other], own[mine], is_entry=not pairs):
            break
        pairs[mine] = other
    if sum(own[name].ndim > 1 for name in pairs) < FEWEST_WEIGHTS:
        return {}
    counters = {_sibling(mine): _sibling(other) for mine, other in pairs.items() if _kind(mine) == "running_mean"}
    return pairs | {mine: other for mine, other in counters.items() if mine in own and other in given}


def _agree(given: Tensor, own: Tensor, *, is_entry: bool) -> bool:
    return can_take(given, own) or (is_entry and given.ndim > 3 and own.ndim > 3 and can_adapt(given, own))


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _sibling(name: str) -> str:
    return f"{name.rpartition('.')[0]}.{COUNTER}"
