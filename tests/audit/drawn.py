"""Cohorts of drawn pictures, one for each number, so that copies can be planted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from scipy import ndimage

from overread.audit.audited import Audited, AuditedCase
from overread.core.grid import Grid
from overread.core.image import Image

PARTS = ("training", "training", "tuning", "internal")


def open_drawn(shown: Mapping[str, tuple[int, bool]], name: str) -> Image:
    """A picture of its own for each number, mirrored where asked."""
    seed, is_mirrored = shown[name]
    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(64, 64)), 3).astype(np.float32)
    array = np.ascontiguousarray(values[:, ::-1] if is_mirrored else values)[None, None]
    return Image(array, Grid.from_spacing((1, 64, 64), spacing_known=False, is_planar=True))


def cohort(count: int = 12, shown: Mapping[str, tuple[int, bool]] | None = None, **changes: Mapping[str, object]) -> Audited:
    """`count` patients with one case each; `changes` of single cases."""
    pictures = {f"c{k}": (k, False) for k in range(count)} | dict(shown or {})
    cases = [
        AuditedCase(name, f"p{k}", PARTS[k % 4], {"ill": 0.0}, truth_digest=f"image {pictures[name]}, ill 0")
        for k, name in enumerate(pictures)
    ]
    return Audited(tuple(replace(case, **changes.get(case.case_id, {})) for case in cases), partial(open_drawn, pictures))
