"""What the blocks of a network that weigh channels or places made of a case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.explanation.inside.learned_attention import CHANNELS, PLACES, Weighed, learned_attention
from overread.reporting.pictures.inside.attention import attention_picture
from overread.workflow.explanations.inside.looked import Looked, Made

MOST_BARS = 98  # of a chart
MOST_MAPS = 15  # of a picture
NAMED = 3  # channels that count most
FILE = "attention.png"


def attention_part(looked: Looked) -> Made:
    if not looked.several:
        raise OverreadError("Weights of channels and places are of a study, and none was given.", "name a study after the model")
    per_case = [learned_attention(window) for window in looked.windows]
    rows = [_row(block, [case[k] for case in per_case]) for k, block in enumerate(per_case[0])]
    places = [block for block in per_case[0] if block.weighs == PLACES]
    shown = _spread(places)
    pictures = {}
    if shown:
        pictures[FILE] = attention_picture(
            looked.image, looked.channels, looked.windows[0].prepared.grid, [(one.name, one.values) for one in shown],
            "How much each place counts", is_phantom=looked.is_phantom,
        )  # fmt: skip
    file = FILE if shown else None
    return {"cases": len(per_case), "blocks": rows, "file": file, "shown": [one.name for one in shown]}, pictures


def _row(block: Weighed, cases: Sequence[Weighed]) -> dict[str, Any]:
    values = block.values
    row: dict[str, Any] = {
        "name": block.name,
        "weighs": block.weighs,
        "title": block.title,
        "slices": block.slices,
        "lowest": float(values.min()),
        "mean": float(values.mean()),
        "highest": float(values.max()),
    }
    if block.weighs != CHANNELS:
        return {**row, "grid": list(values.shape)}
    order = np.argsort(-values, kind="stable")
    bars = [round(float(part.mean()), 4) for part in np.array_split(values[order], min(MOST_BARS, len(values)))]
    between = float(np.std([case.values for case in cases], axis=0).mean()) if len(cases) > 1 else None
    return {
        **row,
        "channels": len(values),
        "bars": bars,
        "most": order[:NAMED].tolist(),
        "between_channels": float(values.std()),
        "between_cases": between,
    }


def _spread(blocks: Sequence[Weighed]) -> Sequence[Weighed]:
    """As many as a picture takes, spread evenly from the first to the last."""
    if len(blocks) <= MOST_MAPS:
        return blocks
    return [blocks[round(k * (len(blocks) - 1) / (MOST_MAPS - 1))] for k in range(MOST_MAPS)]
