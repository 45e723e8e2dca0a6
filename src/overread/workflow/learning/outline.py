"""The network of a plan without memory for its weights: wrong options stop before any case is prepared, and batches too small
for batch normalisation are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from overread.core.errors import OverreadError
from overread.networks.exam.rows import NAMES as OVER_SLICES
from overread.networks.needs import options_taken
from overread.networks.table import ARCHITECTURES
from overread.reading.model import build_network
from overread.training.freezing import Freezing, Frozen
from overread.training.plan import Plan

FEWEST = 8  # images of a step, below which the error of batch normalisation grows fast (Wu 2018, figure 1)


def outline(network: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> nn.Module:
    """The network of a plan, on torch's device without memory ("meta") where it is ours; options that do not fit are refused.

    own  options among them that were set by hand, for the message where the network breaks on one

    Networks of other libraries are built as they are: some need values to be built from, and some of ours hold one of these.
    """
    values = dict(network)
    with torch.random.fork_rng(devices=[]):
        if values["name"] in ARCHITECTURES:
            try:
                with torch.device("meta"):
                    return build_network(values)
            except (OverreadError, NotImplementedError, RuntimeError, TypeError, ValueError):
                pass  # built as it is, the network says whether its options are wrong or it only needs values
        try:
            return build_network(values)
        except (RuntimeError, TypeError, ValueError) as error:
            if not own:
                raise
            told = ", ".join(f"{key} = {value!r}" for key, value in own.items())
            raise OverreadError(
                f"{values['name']} cannot be built with {told}: {error}", "put [training.network] right, or leave the option out"
            ) from error


def small_batch_note(plan: Plan, network: nn.Module) -> str:
    """What to say, and to set, where batch norms learn from few images in a step; empty where there is nothing to say.

    network  the outline of the plan's; frozen norms keep their statistics, so that no batch matters to them

    Source: Wu and He, Group Normalization, ECCV 2018, arXiv:1803.08494.
    """
    batch = _images_together(plan)
    norms = _norms(network) - _held(plan, network)
    if batch >= FEWEST or not norms:
        return ""
    images = "1 image" if batch == 1 else f"{batch} images"
    larger = f"training.batch={FEWEST} or more, as far as memory allows"
    other = _without_batches(plan)
    return (
        f"{plan.network['name']} takes the mean and spread of its {len(norms)} batch normalisations from the {images} of one "
        f"step. Below {FEWEST} they change so much from step to step that answers for single cases suffer; set "
        + (f"{other}, which looks at one image at a time, or {larger}" if other else larger)
    )


def _images_together(plan: Plan) -> int:
    """Images whose mean a batch norm takes: of a network over slices the slices of all volumes, as far as one pass holds them."""
    options, shape = plan.network["options"], plan.preparation.shape
    if plan.network["name"] not in OVER_SLICES or shape is None:
        return plan.sampling.batch
    slices = plan.sampling.batch * shape[options.get("axis", 0)]
    return min(slices, options.get("chunk") or slices)


def _norms(network: nn.Module) -> frozenset[str]:
    return frozenset(name for name, module in network.named_modules() if isinstance(module, _BatchNorm))


def _held(plan: Plan, network: nn.Module) -> frozenset[str]:
    """Norms that stay as they were loaded for the whole training."""
    if plan.unfreeze:
        return frozenset()
    return Frozen(network, Freezing(plan.freeze)).norms_held()


def _without_batches(plan: Plan) -> str:
    """The setting that leaves this network without batch norms, tried out; none where weights were made with them."""
    name, given = plan.network["name"], plan.network["options"]
    if plan.weights != "random" or name not in ARCHITECTURES:
        return ""
    taken = options_taken(name)
    if "norm" in taken:
        options, setting = {**given, "norm": "group"}, "training.network.norm=group"
    elif "encoder_options" in taken:
        options = {**given, "encoder_options": {**(given.get("encoder_options") or {}), "norm": "group"}}
        setting = "training.network.encoder_options={norm='group'}"
    else:
        return ""
    try:
        return "" if _norms(outline({**plan.network, "options": options})) else setting
    except OverreadError:  # this network knows no group normalisation
        return ""
