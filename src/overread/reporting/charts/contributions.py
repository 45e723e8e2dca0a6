"""How much each group of features brought to the answers: a bar for each."""

from __future__ import annotations

from collections.abc import Sequence

from overread.reporting.charts import svg

_ROW = 26.0
_LABEL = 190.0
_WIDTH = 560.0


def contribution_chart(title: str, unit: str, rows: Sequence[tuple[str, float]]) -> str:
    """Horizontal bars from 0, the longest first.

    rows  name, mean size
    """
    widest = max((value for _, value in rows), default=0.0) or 1.0
    frame = svg.Frame((0.0, 1.08 * widest), (0.0, 1.0), left=_LABEL, width=_WIDTH - _LABEL - 12, height=_ROW * len(rows) + 6)
    parts = [frame.axes(f"mean size of the contribution{f' ({unit})' if unit else ''}", "", None, ())]
    for number, (name, value) in enumerate(rows):
        top = frame.top + 3 + _ROW * number
        parts.append(svg.text(_LABEL - 10, top + _ROW / 2 + 4, name[:28], "tick", "end"))
        parts.append(svg.box(frame.left, top + 5, frame.x(value) - frame.left, _ROW - 10, "bar", f"{name}: {value:.3g}"))
    said = "; ".join(f"{name}: {value:.3g}" for name, value in rows)
    return svg.picture(title, said, "".join(parts), _WIDTH, frame.height + 58, "chart forest")
