"""A window of a case, or of noise, through one network, without a target: what looking at layers needs."""

from __future__ import annotations

import math

import numpy as np
import torch

from overread.batches.clinical import absent
from overread.batches.prepare import Prepared
from overread.batches.sampler import flatten
from overread.batches.windows import centred_start, cut
from overread.core.grid import Grid
from overread.explanation.asked import Asked
from overread.explanation.methods.layers import chosen_layer, layers_of
from overread.networks.fusion.fused import about
from overread.reading.predictor import Predictor
from overread.tasks.target import Target


def window_of(predictor: Predictor, prepared: Prepared, number: int = 0) -> Asked:
    """The window in the middle of a prepared image; as a target all of it, of the class with this number."""
    patch = predictor.preparation.patch
    start = centred_start(prepared.array.shape[1:], patch)
    values = torch.from_numpy(cut(prepared.array, start, patch)[None]).to(predictor.device).float()
    box = np.array([-0.5, -0.5, -0.5, *(n - 0.5 for n in patch)], dtype=np.float32)
    name = predictor.task.question.classes[number]
    target = Target(name, number, np.ones(patch, dtype=bool), box)
    dimensions = predictor.preparation.dimensions
    network = about(predictor.network.eval(), prepared.clinical)
    return Asked(network, predictor.task, prepared, start, patch, dimensions, target, flatten(values, dimensions))


def noise_for(predictor: Predictor, seed: int) -> Prepared:
    """An image of noise, as bright and as rough as a normalised one is on average; the same for the same seed."""
    preparation = predictor.preparation
    array = np.random.default_rng(seed).normal(size=(len(preparation.channels), *preparation.patch)).astype(np.float32)
    spacing, known = preparation.spacing or (1.0, 1.0, 1.0), preparation.spacing is not None
    grid = Grid.from_spacing(preparation.patch, spacing, spacing_known=known, is_planar=preparation.is_planar)
    values = None if preparation.clinical is None else absent(preparation.clinical)
    return Prepared(array, grid, grid, ((0, 1, 2), (False, False, False)), values)


def stations(asked: Asked) -> tuple[str, ...]:
    """Three layers on the way: the last one at the first size of map, one half way down, and the deepest that is usually asked.

    Fewer where the network has no more; names as the network calls them.
    """
    shapes = layers_of(asked)
    deepest = chosen_layer(asked, None) or (list(shapes)[-1] if shapes else None)
    if deepest is None:
        return ()
    names = list(shapes)[: list(shapes).index(deepest) + 1]
    runs: list[list[str]] = []
    for name in names:
        if runs and shapes[runs[-1][-1]][1:] == shapes[name][1:]:
            runs[-1].append(name)
        elif not runs or math.prod(shapes[name][1:]) < math.prod(shapes[runs[-1][-1]][1:]):
            runs.append([name])
    picked = [runs[0][-1], runs[len(runs) // 2][-1], deepest]
    return tuple(dict.fromkeys(picked))
