"""Weights by layer before and after training; the network before training is made again and checked by its digest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from overread.core.errors import OverreadError
from overread.networks.weights import weights_digest

BINS = 41


@dataclass(frozen=True)
class WeightsRow:
    """The weights of one layer; biases and scales of normalisations are left out.

    change     |after - before| / |before|, lengths of the weights as one vector
    edges      (BINS + 1,) borders of the histogram's bins
    histogram_before, histogram_after  (BINS,) share of the weights per bin
    """

    name: str
    count: int
    sd_before: float
    sd_after: float
    change: float
    edges: np.ndarray
    histogram_before: np.ndarray
    histogram_after: np.ndarray


def initial_network(build: Callable[[], nn.Module], seed: int, digest: str | None) -> nn.Module:
    """The network as it was before its first step; refused where it cannot be made again exactly.

    build    makes the network as its training did, with what it began with
    digest   of the first weights as the training recorded them
    """
    if digest is None:
        raise OverreadError(
            "The weights before training were not recorded by this training, so they cannot be made again with certainty.",
            "train again to compare: from this version on their digest is kept",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
    if weights_digest(network) != digest:
        raise OverreadError(
            "The weights before training cannot be made again exactly: those made from the seed here are others than the "
            "training began with (another version of torch, or other published weights).",
            "run this with the versions that stand in model.json",
        )
    return network


def compare_weights(before: nn.Module, after: nn.Module) -> tuple[WeightsRow, ...]:
    """Every tensor of two or more axes (kernels and matrices), in the order of the network."""
    first = dict(before.named_parameters())
    rows = []
    for name, weight in after.named_parameters():
        if weight.ndim < 2:
            continue
        old, new = (w.detach().double().cpu().numpy().ravel() for w in (first[name], weight))
        rows.append(_row(name.removesuffix(".weight"), old, new))
    return tuple(rows)


def _row(name: str, old: np.ndarray, new: np.ndarray) -> WeightsRow:
    edge = float(np.percentile(np.abs(np.concatenate([old, new])), 99.8)) or 1.0
    edges = np.linspace(-edge, edge, BINS + 1)
    shares = [np.histogram(np.clip(values, -edge, edge), edges)[0] / len(values) for values in (old, new)]
    length = float(np.linalg.norm(old))
    change = float(np.linalg.norm(new - old) / length) if length else float("inf")
    return WeightsRow(name, len(new), float(old.std()), float(new.std()), change, edges, *shares)
