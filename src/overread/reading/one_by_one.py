"""A reader that reads every case by itself and counts its seconds: once, or several times with the answers averaged.

Test-time augmentation: Wang et al., Neurocomputing 2019;338:34; Shanmugam et al., ICCV 2021, arXiv:2011.11156.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from overread.batches.prepare import Prepared
from overread.core.image import Image
from overread.core.kinds import Boxes, Instances
from overread.reading.answering import Answering
from overread.reading.predictor import Predictor
from overread.reading.uncertain_passes import raws_of
from overread.reading.uncertain_ways import Ways


class OneByOne(Answering):
    """Answers as its reader does, or as the mean of several readings of each case.

    ways     where several readings come from; None reads once, as the reader does by itself
    seconds  spent on answers so far, preparation of images left out
    """

    def __init__(self, reader: Predictor, ways: Ways | None = None) -> None:
        self.reader, self.ways, self.seconds = reader, ways, 0.0
        self.task, self.preparation, self.decisions = reader.task, reader.preparation, reader.decisions

    def prepare(self, image: Image) -> Prepared:
        return self.reader.prepare(image)

    def raw_of(self, prepared: Prepared) -> np.ndarray:
        began = time.perf_counter()
        if self.ways is None:
            answer = self.reader.raw_of(prepared)
        else:
            answer = np.asarray(sum(weight * raw for weight, raw in raws_of(self.reader, prepared, self.ways)))
        self.seconds += time.perf_counter() - began
        return answer

    def raws_of(self, several: Sequence[Prepared], batch: int) -> np.ndarray:
        return np.stack([self.raw_of(prepared) for prepared in several])

    def candidates(self, prepared: Prepared) -> Boxes | Instances:
        began = time.perf_counter()
        found = self.reader.candidates(prepared)
        self.seconds += time.perf_counter() - began
        return found
