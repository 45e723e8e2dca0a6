"""Sizes of the objects against what the network can tell apart: the step of its answer, and its anchors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from overread.reporting.charts import svg

_LABELS = 130.0  # pixels for the names of the classes
_ROW = 30.0


def size_chart(sizes: Mapping[str, Sequence[float]], steps: Sequence[float], anchors: Sequence[float]) -> str:
    """A bar per class from the 10th to the 90th percentile, on a scale that doubles.

    sizes    class -> percentiles 0, 10, 50, 90, 100 of the objects' edge (mean over the axes) in voxels that the network sees
    steps    voxels between two answers of the network
    anchors  edges of the anchors in voxels; empty where the network has none
    """
    marks = [*steps, *anchors, *(v for row in sizes.values() for v in row)]
    low, high = math.floor(math.log2(max(min(marks), 0.5))), math.ceil(math.log2(max(*marks, 2.0)))
    frame = svg.Frame((low, high), (0.0, float(len(sizes))), left=_LABELS, width=500.0, height=_ROW * len(sizes) + 16)
    bottom = frame.top + frame.height
    parts = []
    for power in range(low, high + 1):
        parts.append(svg.line(frame.x(power), frame.top, frame.x(power), bottom, "grid"))
        parts.append(svg.text(frame.x(power), bottom + 16, f"{2.0**power:g}", "tick", "middle"))
    parts.append(svg.line(frame.left, bottom, frame.left + frame.width, bottom, "axis"))
    parts.append(
        svg.text(
            frame.left + frame.width / 2, bottom + 36, "edge of an object in voxels that the network sees", "label", "middle"
        )
    )
    for row, (name, values) in enumerate(sizes.items()):
        y = frame.top + 8 + _ROW * (row + 0.5)
        least, small, middle, large, most = (frame.x(math.log2(max(v, 2.0**low))) for v in values)
        says = f"{name}: 10th percentile {values[1]:.3g}, median {values[2]:.3g}, 90th percentile {values[3]:.3g}"
        parts.append(svg.line(least, y, most, y, "axis"))
        parts.append(svg.box(small, y - 6, max(large - small, 1.0), 12, "bar", says))
        parts.append(svg.line(middle, y - 9, middle, y + 9, "axis"))
        parts.append(svg.text(_LABELS - 8, y + 4, name, "tick", "end"))
    for step in steps:
        x = frame.x(math.log2(step))
        parts.append(svg.line(x, frame.top, x, bottom, "line-b"))
        parts.append(svg.text(x + 4, frame.top + 8, f"step {step:g}", "note"))
    for anchor in anchors:
        x = frame.x(math.log2(anchor))
        parts.append(svg.line(x, bottom - 12, x, bottom, "line-c"))
        parts.append(svg.text(x, bottom - 14, f"{anchor:.0f}", "note", "middle"))
    what = f"{len(sizes)} classes; an answer every {', '.join(f'{s:g}' for s in steps)} voxels"
    what += f"; anchors of {', '.join(f'{a:.0f}' for a in anchors)} voxels" if anchors else ""
    return svg.picture("Sizes of the objects", what, "".join(parts), width=660, height=bottom + 46)
