"""One case of an evaluation of images, scored: small numbers, the images are let go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from overread.core.score import Score
from overread.metrics.pictures.score import ChannelScores

NO_FOLD = -1


@dataclass(frozen=True)
class PictureCase:
    """The scores of one case, by channel.

    read_scaled  what was read was first laid on the truth's scale, see `overread.evaluation.pictures.read`
    """

    case_id: str
    patient_id: str
    channels: Mapping[str, ChannelScores]
    fold: int = NO_FOLD
    read_scaled: bool = False

    def score(self, metric: str, channel: str) -> Score:
        return self.channels[channel].scores[metric]
