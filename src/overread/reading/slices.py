"""Which slices an answer rests on, as the network tells, in the numbering of the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import torch

from overread.batches.prepare import Prepared
from overread.core.image import Image
from overread.core.slices import SliceShare, numbers_of
from overread.networks.exam.told import axis_of, meaning, slice_weights
from overread.networks.fusion.fused import about
from overread.networks.layout import memory_format
from overread.reading.answering import Answering
from overread.reading.ensemble import Ensemble, Together
from overread.reading.predictor import Predictor

SHOWN = 3  # slices that are named with an answer
KEPT = 10  # of a case in slices.csv


@dataclass(frozen=True)
class Planes:
    """Shares of all planes across one array axis of the source; (N,) float, 1 in all."""

    axis: int
    shares: np.ndarray

    def largest(self, image: Image, most: int = SHOWN) -> tuple[SliceShare, ...]:
        """The planes with the largest shares, largest first; those without a share are left out."""
        numbers = numbers_of(image) if self.axis == 0 else None
        even = 1 / max(1, int((self.shares > 0).sum()))
        order = [int(k) for k in np.argsort(-self.shares, kind="stable")[:most] if self.shares[k] > 0]
        called = [k + 1 if numbers is None else numbers[k] for k in order]
        return tuple(
            SliceShare(self.axis, k, number, float(self.shares[k]), even) for k, number in zip(order, called, strict=True)
        )


def reads_slices(answering: Answering) -> bool:
    """Whether it can say which slices an answer rests on."""
    if isinstance(answering, Ensemble):
        return any(reads_slices(member) for member in answering.members)
    return isinstance(answering, Predictor) and axis_of(answering.network) is not None


def told_by(answering: Answering) -> str:
    """What the share of a slice is, in words; empty where nothing is told of slices."""
    members = answering.members if isinstance(answering, Ensemble) else (answering,)
    kinds = {meaning(member.network) for member in members if reads_slices(member)}  # type: ignore[attr-defined]
    return "; in other members ".join(sorted(kinds))


def influential(answering: Answering, prepared: Prepared, image: Image, most: int = SHOWN) -> tuple[SliceShare, ...]:
    """The planes of the source with the largest shares in the answer; none where the network tells none."""
    planes = planes_of(answering, prepared) if reads_slices(answering) else None
    return () if planes is None else planes.largest(image, most)


def planes_of(answering: Answering, prepared: Prepared) -> Planes | None:
    """The share of every plane of the source in the answer to one prepared image; None where the network tells none.

    An ensemble's are the mean over its members that tell, by their weights; all must see slices along one axis of the source.
    """
    if isinstance(answering, Ensemble):
        assert isinstance(prepared, Together)
        asked = zip(answering.members, answering.shares, prepared.views, strict=True)
        told = [(planes_of(member, view()), share) for member, share, view in asked if share > 0]
        return _mean([(planes, share) for planes, share in told if planes is not None])
    assert isinstance(answering, Predictor)
    axis = axis_of(answering.network)
    return None if axis is None else on_source(_weights(answering, prepared, axis), prepared, axis)


def on_source(weights: np.ndarray, prepared: Prepared, axis: int) -> Planes:
    """(S,) weights of the planes across an axis of the prepared grid, on those of the source.

    Preparation turns, mirrors, resamples and pads, but leaves axes parallel, so a plane stays a plane. Of planes that lie closer
    than those of the source, each gives its weight to those that it overlaps; of planes further apart, each plane of the source
    takes what lies between its neighbours. What lies beyond the source is padding, and is left out.
    """
    order, _ = prepared.axes
    along = order[axis]
    count = prepared.source.shape[along]
    middles = np.tile((np.array(prepared.grid.shape) - 1) / 2, (len(weights) + 1, 1))
    middles[:, axis] = np.arange(len(weights) + 1)
    places = prepared.source.to_index(prepared.grid.to_world(middles))[:, along]  # one more, for the distance of a single plane
    step, places = abs(float(places[1] - places[0])), places[:-1]
    rising = np.argsort(places)
    places, values = places[rising], np.asarray(weights, dtype=float)[rising]
    if step < 1:
        edges = np.append(places - step / 2, places[-1] + step / 2)
        shares = np.diff(np.interp(np.arange(count + 1) - 0.5, edges, np.append(0.0, np.cumsum(values))))
    else:
        shares = np.interp(np.arange(count), places, values)
        shares[np.abs(np.arange(count)[:, None] - places).min(1) > step / 2 + 1e-6] = 0.0  # cropped away: nobody looked there
    total = shares.sum()
    return Planes(along, shares / total if total > 0 else np.full(count, 1 / count))


@torch.inference_mode()
def _weights(predictor: Predictor, prepared: Prepared, axis: int) -> np.ndarray:
    """(S,) float64 along an axis of the prepared grid, in float32 throughout; the mean over the answer's mirrorings.

    Where clinical values are read beside the image, they are those of the patient.
    """
    network = about(predictor.network.eval(), prepared.clinical)
    volume = torch.from_numpy(np.asarray(prepared.array, dtype=np.float32))[None].to(predictor.device)
    every = []
    for axes in chain.from_iterable(combinations(predictor.mirror, count) for count in range(len(predictor.mirror) + 1)):
        seen = volume.flip([2 + a for a in axes]).contiguous(memory_format=memory_format(5))
        weights = slice_weights(network, seen)[0]
        every.append((weights.flip(0) if axis in axes else weights).double().cpu().numpy())
    return np.asarray(np.mean(every, axis=0))


def _mean(told: Sequence[tuple[Planes, float]]) -> Planes | None:
    axes = {planes.axis for planes, _ in told}
    if len(axes) != 1:
        return None
    total = sum(share for _, share in told)
    return Planes(axes.pop(), np.sum([planes.shares * (share / total) for planes, share in told], axis=0))
