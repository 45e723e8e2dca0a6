"""What a model sees of many cases: a row of features for each, and a small picture to compare them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool3d

from overread.batches.prepare import Prepared
from overread.core.image import Image
from overread.explanation.asked import single
from overread.reading.answering import Answering
from overread.reading.features import features_of_several
from overread.reading.predictor import WINDOW_BATCH

SMALL = (12, 24, 24)  # of the small picture; a planar one has one slice
AT_ONCE = 16  # images in memory where there is one answer per case


@dataclass(frozen=True)
class Embedded:
    """Cases as rows.

    features  (N, F) float32, what the last layer sees; of an ensemble those of its members side by side
    pixels    (N, P) float32, the prepared image made small, of mean 0 and length 1
    answers   (N, K) float32 raw answers, where there is one answer per case; else (N, 0)
    """

    case_ids: tuple[str, ...]
    features: np.ndarray
    pixels: np.ndarray
    answers: np.ndarray

    def __len__(self) -> int:
        return len(self.case_ids)

    def of(self, case_ids: Sequence[str]) -> Embedded:
        """The rows of these cases, in this order."""
        place = {case_id: row for row, case_id in enumerate(self.case_ids)}
        rows = [place[case_id] for case_id in case_ids]
        return Embedded(tuple(case_ids), self.features[rows], self.pixels[rows], self.answers[rows])

    def and_also(self, others: Embedded) -> Embedded:
        if not len(self):
            return others
        names = ("features", "pixels", "answers")
        joined = {name: np.concatenate([getattr(self, name), getattr(others, name)]) for name in names}
        return replace(self, case_ids=(*self.case_ids, *others.case_ids), **joined)


def embed(
    answering: Answering, case_ids: Sequence[str], load: Callable[[str], Image], done: Callable[[str], None] = lambda _: None
) -> Embedded:
    """Look at each case once.

    load  the image of a case
    done  is told of each case
    """
    is_per_case = answering.task.serves == "image"
    waiting = iter(case_ids)
    parts: list[Embedded] = []
    while some := list(islice(waiting, AT_ONCE if is_per_case else 1)):
        parts.append(_some(answering, some, [load(case_id) for case_id in some]))
        for case_id in some:
            done(case_id)
    if not parts:
        return Embedded((), *(np.zeros((0, 0), np.float32) for _ in range(3)))
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in ("features", "pixels", "answers")]
    return Embedded(tuple(case_ids), joined[0], joined[1], joined[2])


def _some(answering: Answering, case_ids: Sequence[str], images: Sequence[Image]) -> Embedded:
    prepared = [answering.prepare(image) for image in images]
    features = np.concatenate(list(_of_networks(answering, images, prepared)), axis=1)
    pixels = np.stack([small_picture(each.array, is_planar=answering.preparation.is_planar) for each in prepared])
    is_per_case = answering.task.serves == "image"
    answers = answering.raws_of(prepared, len(prepared)) if is_per_case else np.zeros((len(prepared), 0))
    return Embedded(tuple(case_ids), features, pixels, np.asarray(answers, np.float32))


def _of_networks(answering: Answering, images: Sequence[Image], prepared: Sequence[Prepared]) -> Iterator[np.ndarray]:
    networks = single(answering)
    for predictor, share in networks:
        if share > 0:
            seen = prepared if len(networks) == 1 else [predictor.prepare(image) for image in images]
            yield features_of_several(predictor, seen, AT_ONCE if predictor.task.serves == "image" else WINDOW_BATCH)


def small_picture(array: np.ndarray, *, is_planar: bool) -> np.ndarray:
    """(C, Z, Y, X) -> (P,) float32: averaged over blocks, of mean 0 and length 1, so that a product is a correlation."""
    size = (1, *SMALL[1:]) if is_planar else SMALL
    small = adaptive_avg_pool3d(torch.from_numpy(np.asarray(array, dtype=np.float32))[None], size)[0].numpy().astype(np.float64)
    flat = (small - small.mean()).reshape(-1)
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-12), dtype=np.float32)
