"""One map: what is asked of each network behind an answer, and their maps as one, on the grid of the image as it came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from overread.batches.prepare import Prepared, undo_boxes, undo_map, undo_piece
from overread.core.image import Image
from overread.core.kinds import Piece
from overread.explanation.asked import Asked, ask, single
from overread.explanation.methods.method import Method
from overread.explanation.targets import MOST_OBJECTS, targets_of
from overread.reading.answering import Answering
from overread.tasks.target import SAME_OBJECT, Target


@dataclass(frozen=True)
class Topic:
    """What maps of a case are about, and how each network behind the answer is asked.

    asked    one question per network that answers it, with the network's share of the answer
    silent   networks that list no such structure or object; their part of a map is 0
    voxels   (Z, Y, X) bool on the grid of the image: what was asked about
    box      (2, 3) on that grid: the object that was asked about
    window   (2, 3) on that grid: what the first network was shown; None where that is the whole image
    """

    name: str
    number: int
    asked: tuple[tuple[Asked, float], ...]
    silent: int
    voxels: np.ndarray | None
    box: np.ndarray | None
    window: np.ndarray | None

    @torch.no_grad()
    def score(self) -> float:
        """The number that the maps explain; of several networks the sum by their shares."""
        return float(sum(share * float(asked.score(asked.images)[0]) for asked, share in self.asked))


@dataclass(frozen=True)
class Made:
    """values  (Z, Y, X) float32 on the grid of the image"""

    values: np.ndarray
    seconds: float


def topics_of(answering: Answering, image: Image, target: str | None = None) -> tuple[Topic, ...]:
    """What can be asked of an image, see `explanation.targets`; objects that networks list at one place are one topic.

    Empty where nothing was answered that could be asked about.
    """
    networks = [(predictor, share) for predictor, share in single(answering) if share > 0]
    found: list[tuple[Topic, Target, Prepared]] = []
    for predictor, share in networks:
        prepared = predictor.prepare(image)
        for each in targets_of(predictor, prepared, target):
            made = _topic(ask(predictor, prepared, each), each, share, silent=len(networks) - 1)
            same = next((k for k, (topic, _, _) in enumerate(found) if _is_same(topic, made)), None)
            if same is None:
                found.append((made, each, prepared))
            else:
                first = found[same][0]
                joined = replace(first, asked=first.asked + made.asked, silent=first.silent - 1)
                found[same] = (joined, *found[same][1:])
    if not answering.task.question.is_of_objects:
        return tuple(topic for topic, _, _ in found)
    ranked = sorted((topic for topic, _, _ in found), key=lambda t: -sum(share for _, share in t.asked))  # stable: surest first
    return tuple(ranked[:MOST_OBJECTS])


def map_of(topic: Topic, method: Method) -> Made | str:
    """The map of a method, those of several networks added by their shares; or why it cannot be asked."""
    for refusal in _refusals(topic, method):
        return refusal
    started = time.monotonic()
    total: np.ndarray | None = None
    for asked, share in topic.asked:
        part = asked.on_source(method(asked)) * np.float32(share)
        total = part if total is None else total + part
    assert total is not None
    return Made(total, time.monotonic() - started)


def _refusals(topic: Topic, method: Method) -> Iterator[str]:
    for asked, _ in topic.asked:
        if why := method.refusal(asked):
            yield why


def _topic(asked: Asked, target: Target, share: float, *, silent: int) -> Topic:
    prepared = asked.prepared
    voxels = None if target.voxels is None else _on_source(target, prepared)
    box = None if target.box is None else undo_boxes(target.box[None], prepared)[0]
    return Topic(target.name, target.number, ((asked, share),), silent, voxels, box, _window(asked))


def _on_source(target: Target, prepared: Prepared) -> np.ndarray:
    """(Z, Y, X) bool: the voxels of a target on the grid of the image; of an object at least one."""
    assert target.voxels is not None
    if target.box is None:
        return undo_map(target.voxels.astype(np.float32), prepared) > 0.5
    whole = np.zeros(prepared.source.shape, bool)
    piece = undo_piece(Piece.of(target.voxels), prepared)
    whole[piece.place] = piece.mask
    return whole


def _window(asked: Asked) -> np.ndarray | None:
    first = np.array(asked.start) - 0.5
    shown = undo_boxes(np.concatenate([first, first + asked.patch])[None], asked.prepared)[0]
    whole = np.array([[-0.5] * 3, np.array(asked.prepared.source.shape) - 0.5])
    return None if np.abs(shown - whole).max() < 1 else shown


def _is_same(one: Topic, other: Topic) -> bool:
    """The same class, quantity or structure; of objects also the same place."""
    if one.number != other.number or one.box is None or other.box is None:
        return one.number == other.number and one.box is None and other.box is None
    low, high = np.maximum(one.box[0], other.box[0]), np.minimum(one.box[1], other.box[1])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    both = float(np.prod(one.box[1] - one.box[0]) + np.prod(other.box[1] - other.box[0])) - shared
    return shared / max(both, 1e-9) >= SAME_OBJECT
