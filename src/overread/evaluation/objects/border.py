"""Answered boxes that reach beyond their image, as detectors give them: cut at its border before anything is measured.

A truth ends at the border, so what lies beyond could only make the overlap smaller than it is. A box that lies wholly outside
keeps no area: it finds nothing by overlap, and counts as a false positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread.core.kinds import Boxes, Instances

ROUNDING = 0.01  # voxels beyond the border that nobody needs to be told of


@dataclass(frozen=True)
class Overshoot:
    """reaching, outside: answers of one case that reach beyond the image, and those of them that do not touch it; most: by how
    many voxels at most"""

    reaching: int = 0
    outside: int = 0
    most: float = 0.0


NOTHING = Overshoot()


def within(answer: Boxes | Instances) -> tuple[Boxes | Instances, Overshoot]:
    """The answer cut at the border of its image; voxels lie inside already."""
    if isinstance(answer, Instances) or not len(answer.classes):
        return answer, NOTHING
    corners = np.asarray(answer.corners, dtype=float).reshape(-1, 2, 3)
    first, last = np.full(3, -0.5), np.asarray(answer.grid.shape, dtype=float) - 0.5
    cut = np.clip(corners, first, last)
    beyond = np.abs(corners - cut).max((1, 2))
    reaching = beyond > ROUNDING
    if not reaching.any():
        return answer, NOTHING
    gone = (cut[:, 1] <= cut[:, 0]).any(1)
    return replace(answer, corners=cut), Overshoot(int(reaching.sum()), int((reaching & gone).sum()), float(beyond.max()))


def told(overshoots: Sequence[Overshoot], answers: int) -> list[str]:
    """A note of all cases together; nothing where every answer lies inside its image."""
    reaching, outside = sum(o.reaching for o in overshoots), sum(o.outside for o in overshoots)
    if not reaching:
        return []
    most = max(o.most for o in overshoots)
    note = (
        f"{reaching} of {answers} answered boxes reach beyond their image, by up to {most:.3g} pixels, and were cut at its border"
    )
    if outside:
        note += f"; {outside} of them do not touch it at all and count as false positives"
    return [f"{note}. Many of these, or far ones, mean that answers and images do not belong together."]
