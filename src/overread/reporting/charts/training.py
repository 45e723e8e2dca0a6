"""Charts of how a training went and of how cases came in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts import svg
from overread.reporting.sections.verdict import Verdict, kept_epoch

_LINES = ("line-a", "line-b", "line-c", "line-d", "line-e", "line-f")


_OBJECTS = {"ap50": "AP50", "sensitivity_at_1fp": "sensitivity, 1 FP", "pq": "PQ"}


def loss_chart(events: Sequence[Mapping[str, Any]], verdict: Verdict) -> str:
    """Training and tuning loss by epoch; the epoch kept and the epoch where the gap starts are marked."""
    epochs = [e for e in events if e.get("event") == "epoch"]
    training = [(e["epoch"], e["loss"]) for e in epochs if e.get("loss") is not None]
    tuning = [(e["epoch"], e["tuning_loss"]) for e in epochs if e.get("tuning_loss") is not None]
    values = [v for _, v in training + tuning]
    if not values:
        return ""
    low, high = min(values), _calm_top(values)
    frame = svg.Frame(_epoch_range(epochs), (min(low, 0.0) if low < 0.25 * high else low * 0.95, high * 1.03))
    parts = [frame.axes("epoch", "loss")]
    if verdict.gap_epoch is not None:
        x = frame.x(verdict.gap_epoch)
        parts.append(svg.box(x, frame.top, frame.left + frame.width - x, frame.height, "gap"))
        parts.append(svg.line(x, frame.top, x, frame.top + frame.height, "mark"))
        anchor, shift = ("start", 5) if x < frame.left + 0.6 * frame.width else ("end", -5)
        parts.append(svg.text(x + shift, frame.top + 62, f"gap grows from epoch {verdict.gap_epoch}", "note", anchor))
    kept_at = kept_epoch(events)
    if kept_at is not None:
        x = frame.x(kept_at)
        parts.append(svg.line(x, frame.top, x, frame.top + frame.height, "mark"))
        anchor, shift = ("start", 5) if x < frame.left + 0.6 * frame.width else ("end", -5)
        parts.append(svg.text(x + shift, frame.top + 80, f"weights of epoch {kept_at} kept", "note", anchor))
    for points, kind in ((training, "line-a"), (tuning, "line-b")):
        kept = [(x, min(y, frame.y_range[1])) for x, y in points]
        parts.append(frame.path([x for x, _ in kept], [y for _, y in kept], kind))
    entries = [("line-a", "training loss (with augmentation)"), ("line-b", "tuning loss")]
    parts.append(svg.legend(entries, frame.left + frame.width - 208, frame.top + 14))
    ends = f"training loss ends at {training[-1][1]:.3g}" if training else "no training loss"
    ends += f", tuning loss at {tuning[-1][1]:.3g}" if tuning else ", no tuning loss"
    return svg.picture("Training and tuning loss", f"{len(epochs)} epochs; {ends}. {verdict.what}", "".join(parts))


def score_chart(events: Sequence[Mapping[str, Any]]) -> str:
    """Scores on tuning cases by epoch, at most six; empty where none was measured."""
    epochs = [e for e in events if e.get("event") == "epoch" and e.get("scores")]
    names = _telling(list(dict.fromkeys(name for e in epochs for name in e["scores"])))[: len(_LINES)]
    values = [e["scores"][n] for e in epochs for n in names if e["scores"].get(n) is not None]
    if not values:
        return ""
    is_share = all(0 <= v <= 1 for v in values)
    frame = svg.Frame(_epoch_range(epochs), (0.0, 1.0) if is_share else (min(0.0, *values), max(values) * 1.05))
    parts = [frame.axes("epoch", "score on tuning cases")]
    for name, kind in zip(names, _LINES, strict=False):
        points = [(e["epoch"], e["scores"][name]) for e in epochs if e["scores"].get(name) is not None]
        parts.append(frame.path([x for x, _ in points], [y for _, y in points], kind))
    entries = list(zip(_LINES, (readable(n) for n in names), strict=False))
    late = [v for e in epochs[len(epochs) // 2 :] for v in e["scores"].values() if v is not None]
    parts.append(
        svg.legend(entries, frame.left + frame.width - 150, _free_height(frame, [frame.y(v) for v in late], len(entries)))
    )
    ends = ", ".join(f"{readable(n)} {epochs[-1]['scores'][n]:.3f}" for n in names if epochs[-1]["scores"].get(n) is not None)
    return svg.picture("Scores on tuning cases by epoch", f"At the last epoch: {ends}.", "".join(parts))


def _telling(names: Sequence[str]) -> list[str]:
    """Without the score of the only class or structure where the mean over classes says the same."""
    metrics = [name.partition("/")[0] for name in names]
    several = Counter(metric for metric, name in zip(metrics, names, strict=True) if name != metric)
    return [n for n, metric in zip(names, metrics, strict=True) if n == metric or several[metric] > 1 or metric not in names]


def readable(name: str) -> str:
    """``dice/liver`` -> ``Dice, liver``."""
    metric, _, subject = name.partition("/")
    shown = {"auc": "AUC", "ap": "average precision", "mae": "MAE", "rmse": "RMSE", "dice": "Dice", "iou": "IoU", **_OBJECTS}.get(
        metric, metric
    )
    return f"{shown}, {subject}" if subject else f"{shown}, mean" if metric in ("dice", "iou") else shown


def _free_height(frame: svg.Frame, taken: Sequence[float], lines: int) -> float:
    """Where a legend of so many lines hides the fewest points of the curves' right half."""
    size = 17 * lines
    places = [frame.top + 14 + share * (frame.height - size - 16) for share in (0, 0.25, 0.5, 0.75, 1)]
    return min(places, key=lambda top: sum(top - 14 <= y <= top + size for y in taken))


def _epoch_range(epochs: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    numbers = [e["epoch"] for e in epochs]
    return float(min(numbers)), float(max(max(numbers), min(numbers) + 1))


def _calm_top(values: Sequence[float]) -> float:
    """The highest value, unless the first steps tower over the rest and would flatten the curve."""
    ordered = sorted(values)
    usual = ordered[int(0.95 * (len(ordered) - 1))]
    return min(ordered[-1], 2.5 * usual) if usual > 0 else ordered[-1]


def flow_chart(flow: Sequence[Mapping[str, Any]], partitions: Sequence[tuple[str, int]]) -> str:
    """From what was found to what was used: a box per step, exclusions with reasons beside it, partitions below."""
    left, wide, aside, step = 10, 250, 290, 14
    y, parts = 6.0, []
    for number, entry in enumerate(flow):
        reasons = [f"{n} {reason}" for reason, n in (entry.get("reasons") or {}).items()]
        tall = 46.0
        parts.append(svg.box(left, y, wide, tall, "flow"))
        parts.append(svg.text(left + wide / 2, y + 19, str(entry["step"])[:44], "flow-step", "middle"))
        parts.append(svg.text(left + wide / 2, y + 37, f"n = {entry['kept']}", "flow-count", "middle"))
        if entry.get("excluded"):
            lines = [f"excluded: {entry['excluded']}", *reasons]
            high = 10 + 15 * len(lines)
            parts.append(svg.line(left + wide, y + tall / 2, aside, y + tall / 2, "flow-line"))
            parts.append(svg.box(aside, y, 330, high, "flow-out"))
            parts += [svg.text(aside + 9, y + 17 + 15 * k, words[:58], "note") for k, words in enumerate(lines)]
            tall = max(tall, high)
        bottom = y + 46
        y += tall + step
        if number + 1 < len(flow) or partitions:
            parts.append(svg.line(left + wide / 2, bottom, left + wide / 2, y, "flow-line"))
    if partitions:
        parts.append(_partition_boxes(partitions, left, y, left + wide / 2))
        y += 70
    words = "; ".join(f"{e['step']}: {e['kept']} kept, {e.get('excluded', 0)} excluded" for e in flow)
    return svg.picture("Flow of cases", words or "no steps recorded", "".join(parts), 630, max(y + 4, 60), "chart flowchart")


def _partition_boxes(partitions: Sequence[tuple[str, int]], left: float, y: float, spine: float) -> str:
    gap = 12.0
    wide = (610 - gap * (len(partitions) - 1)) / len(partitions)
    centres = [left + k * (wide + gap) + wide / 2 for k in range(len(partitions))]
    parts = [svg.line(min(*centres, spine), y, max(*centres, spine), y, "flow-line")] if len(partitions) > 1 else []
    for centre, (name, cases) in zip(centres, partitions, strict=True):
        parts.append(svg.line(centre, y, centre, y + 14, "flow-line"))
        parts.append(svg.box(centre - wide / 2, y + 14, wide, 46, "flow flow-part"))
        parts.append(svg.text(centre, y + 33, name, "flow-step", "middle"))
        parts.append(svg.text(centre, y + 51, f"n = {cases}", "flow-count", "middle"))
    return "".join(parts)
