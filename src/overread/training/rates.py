"""A share of the learning rate for each weight: groups of an optimizer, split by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

Groups = list[dict[str, Any]]
SHARE = "share"  # in a group of an optimizer: of the rate that the schedule says; 1 where there is none


def split_by_rate(groups: Sequence[Mapping[str, Any]], network: nn.Module, shares: Mapping[str, float] | None) -> Groups:
    """Groups of weights of one rate each, largest rate first; without shares the groups as they are.

    shares  name of a parameter -> its share of the rate
    """
    filled = [dict(group) for group in groups if group["params"]]
    if not shares or set(shares.values()) == {1.0}:
        return filled
    share_of = {id(parameter): shares[name] for name, parameter in network.named_parameters()}
    split: Groups = []
    for group in filled:
        for share in sorted({share_of[id(p)] for p in group["params"]}, reverse=True):
            own = [p for p in group["params"] if share_of[id(p)] == share]
            split.append({**group, "params": own, SHARE: share})
    return split
