"""Several readings of one case: by the members of an ensemble, with dropout on, mirrored, slightly changed, or all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, combinations

import numpy as np

from overread.batches.prepare import Prepared
from overread.core.kinds import Boxes, Instances, Piece
from overread.reading.answering import Answering
from overread.reading.ensemble import Ensemble, Together, moved
from overread.reading.lists import mirrored
from overread.reading.objects import as_kind, candidates
from overread.reading.predictor import Predictor
from overread.reading.uncertain_ways import CHANGES, DROPOUT, MEMBERS, MIRROR, Ways, dropout_on, readers_of
from overread.tasks.objects import Found, clipped, shifted

Shape = tuple[int, int, int]

SHIFT = 0.02  # of the image's edge, in whole voxels, at least one
GAIN = 0.1  # contrast goes up or down by up to this share
OFFSET = 0.1  # brightness, of the spread that the preparation brings to 1


@dataclass(frozen=True)
class Change:
    """A film laid a little otherwise, developed a little otherwise.

    step          (z, y, x) voxels by which the image is moved; its edge is repeated
    gain, offset  contrast and brightness of the prepared intensities
    """

    step: Shape = (0, 0, 0)
    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Pass:
    """One reading of a case by one network.

    axes     array axes over which the image is mirrored before
    dropout  seed of the dropout; None leaves it off
    """

    reader: Predictor
    weight: float
    axes: tuple[int, ...] = ()
    dropout: int | None = None
    change: Change = Change()

    def raw(self, prepared: Prepared) -> np.ndarray:
        """Raw answer, see `Predictor.raw`; maps lie on the prepared grid as if nothing had been mirrored or moved."""
        with self._thinned():
            raw = self.reader.raw(self._given(prepared.array), prepared.clinical)
        if self.reader.task.serves == "image":
            return raw
        back = moved_by(raw, (-self.change.step[0], -self.change.step[1], -self.change.step[2]))
        return np.flip(back, tuple(axis + 1 for axis in self.axes)) if self.axes else back

    def objects(self, prepared: Prepared) -> Boxes | Instances:
        """Candidates on the source grid, see `Answering.candidates`."""
        with self._thinned():
            found = self.reader.found(self._given(prepared.array))
        shape: Shape = prepared.array.shape[1:]
        back = clipped(shifted(found, [-s for s in self.change.step]), shape) if any(self.change.step) else found
        return candidates(turned_back(back, self.axes, shape), prepared, self.reader.task.question)

    def _given(self, array: np.ndarray) -> np.ndarray:
        given = np.flip(array, tuple(axis + 1 for axis in self.axes)) if self.axes else array
        change = self.change
        if change != Change():
            given = moved_by(given, change.step) * np.float32(change.gain) + np.float32(change.offset)
        return np.ascontiguousarray(given, dtype=np.float32)

    def _thinned(self) -> AbstractContextManager[None]:
        return nullcontext() if self.dropout is None else dropout_on(self.reader.network, self.dropout)


def passes_of(reader: Predictor, share: float, ways: Ways) -> list[Pass]:
    """The readings of one network. Where neither dropout nor mirrorings are asked for, it mirrors as it always does."""
    several: list[tuple[int, ...]] = _subsets(ways.axes(reader)) if MIRROR in ways.by else [()]
    is_random = DROPOUT in ways.by or CHANGES in ways.by
    count = -(-ways.passes // len(several)) * len(several) if is_random else len(several)
    alone = replace(reader, mirror=()) if MIRROR in ways.by or DROPOUT in ways.by else reader
    return [
        Pass(
            alone,
            share / count,
            several[k % len(several)],
            _seed(ways.seed, k) if DROPOUT in ways.by else None,
            _change(reader, ways.seed, k) if CHANGES in ways.by else Change(),
        )
        for k in range(count)
    ]


def count_of(answering: Answering, ways: Ways) -> int:
    """How many times each case is read."""
    return sum(len(passes_of(reader, share, ways)) for reader, share in _asked(answering, ways))


def raws_of(answering: Answering, prepared: Prepared, ways: Ways) -> Iterator[tuple[float, np.ndarray]]:
    """Weight and raw answer of every pass, the weights 1 in all; maps on the grid of `prepared`."""
    for one, view in _passes(answering, prepared, ways):
        yield one.weight, moved(one.raw(view), view.grid, prepared.grid) if one.reader.task.serves != "image" else one.raw(view)


def objects_of(answering: Answering, prepared: Prepared, ways: Ways) -> Iterator[tuple[float, Boxes | Instances]]:
    """Weight and candidates of every pass on the source grid; nothing where a gate sees no disease."""
    question = answering.task.question
    is_open = _gate_opens(answering, prepared)
    for one, view in _passes(answering, prepared, ways):
        nothing = as_kind(Found.nothing(with_pieces=question.task == "instances"), question, prepared.source)
        yield one.weight, one.objects(view) if is_open else nothing


def _passes(answering: Answering, prepared: Prepared, ways: Ways) -> Iterator[tuple[Pass, Prepared]]:
    for (reader, share), view in zip(_asked(answering, ways), _views(answering, prepared, ways), strict=True):
        seen = view()
        for one in passes_of(reader, share, ways):
            yield one, seen


def _asked(answering: Answering, ways: Ways) -> list[tuple[Predictor, float]]:
    """All members, or, where these are not to be told apart, the one with the largest share."""
    readers = readers_of(answering)
    if MEMBERS in ways.by or len(readers) == 1:
        return list(readers)
    return [(max(readers, key=lambda pair: pair[1])[0], 1.0)]


def _views(answering: Answering, prepared: Prepared, ways: Ways) -> list[Callable[[], Prepared]]:
    if not isinstance(answering, Ensemble):
        return [lambda: prepared]
    assert isinstance(prepared, Together)
    views = {id(member): view for member, view in zip(answering.members, prepared.views, strict=True)}
    return [views[id(reader)] for reader, _ in _asked(answering, ways)]


def _gate_opens(answering: Answering, prepared: Prepared) -> bool:
    if not isinstance(answering, Ensemble) or answering.gate is None:
        return True
    assert isinstance(prepared, Together)
    assert prepared.gate is not None
    return answering.gate.opens(prepared.gate)


def _subsets(axes: Sequence[int]) -> list[tuple[int, ...]]:
    return list(chain.from_iterable(combinations(axes, size) for size in range(len(axes) + 1)))


def _seed(seed: int, k: int) -> int:
    return int(np.random.SeedSequence([seed, k]).generate_state(1)[0])


def _change(reader: Predictor, seed: int, k: int) -> Change:
    """The change of pass k; none in the first, which sees the image as it is."""
    if k == 0:
        return Change()
    random = np.random.default_rng([seed, k, 1])
    edges = reader.preparation.patch
    z, y, x = (int(random.integers(-most, most + 1)) if (most := _most(n)) else 0 for n in edges)
    return Change((z, y, x), float(random.uniform(1 - GAIN, 1 + GAIN)), float(random.uniform(-OFFSET, OFFSET)))


def _most(edge: int) -> int:
    return max(1, round(SHIFT * edge)) if edge > 1 else 0


def moved_by(array: np.ndarray, step: Shape) -> np.ndarray:
    """(C, Z, Y, X) moved by whole voxels; the edge is repeated."""
    for axis, voxels in enumerate(step):
        if voxels:
            size = array.shape[axis + 1]
            array = array.take(np.clip(np.arange(size) - voxels, 0, size - 1), axis + 1)
    return array


def turned_back(found: Found, axes: Sequence[int], shape: Shape) -> Found:
    """Objects of an image (Z, Y, X) that was mirrored over some array axes, mirrored back."""
    if not axes:
        return found
    boxes = mirrored(found.boxes, axes, shape).astype(np.float32)
    pieces = None if found.pieces is None else tuple(_piece_back(piece, axes, shape) for piece in found.pieces)
    return Found(boxes, found.scores, found.classes, pieces)


def _piece_back(piece: Piece, axes: Sequence[int], shape: Shape) -> Piece:
    first = [n - s - m if k in axes else s for k, (n, s, m) in enumerate(zip(shape, piece.start, piece.mask.shape, strict=True))]
    return Piece((first[0], first[1], first[2]), np.ascontiguousarray(np.flip(piece.mask, tuple(axes))))
