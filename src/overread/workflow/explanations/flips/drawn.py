"""The pictures of a turned answer: the image, the change made visible, the changed image, with the answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from overread.explanation.flips.answered import window_array
from overread.reporting.pictures.changed import After, Before, changed_panel
from overread.workflow.explanations.flips.one_case import Flipped

SHOWN = 2  # worsenings, those that change the image least
WHAT = {"largest": "largest change", "mean": "mean change"}


def drawn(found: Flipped, *, is_phantom: bool) -> dict[str, bytes]:
    """PNG by name: "voxels" of the changes voxel by voxel, "worsened" of the least worsenings; each where there is one."""
    asked, before = found.answered.asked, found.answered.before
    grid = replace(asked.prepared.grid, shape=asked.patch)
    is_inverted = bool(found.image.source.get("shown_inverted"))
    array = window_array(asked, asked.images)
    given = Before(array, grid, before.words, _mask(before.value), is_inverted)
    pictures = {}
    changes = [_after(found, asked.images + one.values, f"{WHAT[one.norm]}, {one.size:.2g} SD") for one in found.changes]
    if changes:
        title = f"{found.case_id}: the smallest aimed changes that were found to turn the answer"
        pictures["voxels"] = changed_panel(given, changes, title=title, is_phantom=is_phantom, is_by_network=True)
    turning = sorted((one for one in found.worsened if one.window is not None), key=lambda one: one.change)[:SHOWN]
    worse = [_after(found, one.window, f"{one.title}, {one.words}") for one in turning if one.window is not None]
    if worse:
        title = f"{found.case_id}: the mildest degradations that were found to turn the answer"
        pictures["worsened"] = changed_panel(given, worse, title=title, is_phantom=is_phantom, is_by_network=False)
    return pictures


def _after(found: Flipped, images: Tensor, what: str) -> After:
    now = found.answered.now(images)
    return After(window_array(found.answered.asked, images), what, now.words, _mask(now.value))


def _mask(value: object) -> np.ndarray | None:
    return value if isinstance(value, np.ndarray) else None
