"""Charts of a search: the best so far, the score over each setting, the curves of all trials, the range test, what mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts import svg
from overread.reporting.sections.results import named

Row = Mapping[str, Any]
WIDE = 680.0
ACROSS = 3  # small charts beside each other
CELL, TALL, BELOW = 214.0, 190.0, 82.0
SECTION = "training."


def short(key: str) -> str:
    """``training.augmentation.scale`` -> ``augmentation scale``."""
    return key.removeprefix(SECTION).replace(".", " ").replace("_", " ")


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05
    return low - margin, high + margin


def progress_chart(found: Row) -> str:
    """The score of every trial in order, and the best so far; trials without a score are marks at the foot."""
    rows = [row for row in found["trials"] if row["value"] is not None]
    frame = svg.Frame((0.5, max(len(found["trials"]), 2) + 0.5), _span([row["value"] for row in rows]), left=62, width=600)
    count = len(found["trials"])
    step = max(1, -(-count // 14))
    parts = [frame.axes("trial", _score(found), [n for n in range(1, count + 1) if (n - 1) % step == 0])]
    default = rows[0]["value"] if rows[0]["number"] == 1 else None
    if default is not None:
        parts.append(frame.across(default, "chance", "as in project.toml"))
    parts.append(_best_so_far(frame, found, rows))
    for row in found["trials"]:
        says = f"trial {row['number']}: {_settings(row)}"
        if row["value"] is None:
            x, foot = frame.x(row["number"]), frame.top + frame.height
            parts.append(svg.line(x, foot - 9, x, foot, "mark" if row["state"] == "failed" else "whisker"))
        else:
            kind = "best" if row["is_best"] else "case"
            parts.append(
                frame.dot(row["number"], row["value"], kind, 5 if row["is_best"] else 3.4, f"{says}; {row['value']:.3f}")
            )
    return svg.picture("Score of every trial", f"{count} trials; best {found['words']}", "".join(parts), WIDE)


def _best_so_far(frame: svg.Frame, found: Row, rows: Sequence[Row]) -> str:
    """A line of steps: a value holds until a better one comes."""
    sign = -1.0 if found["endpoint"]["better"] == "higher" else 1.0
    best = rows[0]["value"]
    points: list[tuple[float, float]] = []
    for row in rows:
        points.append((row["number"], best))
        best = min(best, row["value"], key=lambda value: sign * value if sign < 0 else abs(value))
        points.append((row["number"], best))
    return frame.path([x for x, _ in points], [y for _, y in points], "line-a")


def settings_chart(found: Row) -> str:
    """One small chart for each setting that was searched: the score of every trial over its value."""
    rows = [row for row in found["trials"] if row["settings"]]
    axes = [axis for axis in found["space"] if any(axis["key"] in row["settings"] for row in rows)]
    if not axes:
        return ""
    span = _span([row["value"] for row in found["trials"] if row["value"] is not None])
    parts = []
    for k, axis in enumerate(axes):
        left, top = 58 + (k % ACROSS) * CELL, 24 + (k // ACROSS) * (TALL + BELOW)
        parts.append(svg.text(left, top - 9, short(axis["key"]), "label"))
        parts.append(_setting(axis, rows, span, left, top, is_first=k % ACROSS == 0))
    height = 24 + -(-len(axes) // ACROSS) * (TALL + BELOW)
    return svg.picture("Score over each setting", _score(found), "".join(parts), WIDE, height)


def _setting(axis: Row, rows: Sequence[Row], span: tuple[float, float], left: float, top: float, *, is_first: bool) -> str:
    is_log, names = bool(axis.get("log")), list(axis.get("values", ()))
    reach = (-0.5, len(names) - 0.5) if names else (_scaled(axis["low"], is_log), _scaled(axis["high"], is_log))
    frame = svg.Frame(reach, span, left, top, CELL - 46, TALL)
    parts = [_grid(frame, axis, names, is_log, is_first=is_first)]
    for row in rows:
        text = row["settings"].get(axis["key"])
        if text is None:
            continue
        x = names.index(text) + _aside(row["number"]) if names else _scaled(float(text), is_log)
        if row["value"] is None:
            foot = frame.top + frame.height
            parts.append(svg.line(frame.x(x), foot - 7, frame.x(x), foot, "whisker"))
            continue
        kind, radius = ("best", 4.6) if row["is_best"] else ("case", 3.0)
        parts.append(frame.dot(x, row["value"], kind, radius, f"trial {row['number']}: {text}; {row['value']:.3f}"))
    return "".join(parts)


def _grid(frame: svg.Frame, axis: Row, names: Sequence[str], is_log: bool, *, is_first: bool) -> str:
    bottom, right = frame.top + frame.height, frame.left + frame.width
    parts = []
    ticks = svg.ticks(*frame.y_range, wanted=4)
    for value in ticks:
        parts.append(svg.line(frame.left, frame.y(value), right, frame.y(value), "grid"))
        if is_first:
            parts.append(svg.text(frame.left - 6, frame.y(value) + 4, svg.tick_text(value, ticks), "tick", "end"))
    parts.append(
        svg.line(frame.left, bottom, right, bottom, "axis") + svg.line(frame.left, frame.top, frame.left, bottom, "axis")
    )
    if names:
        is_turned = max(map(len, names)) * len(names) > 26
        for k, name in enumerate(names):
            shown = name if len(name) <= 16 else f"{name[:15]}…"
            x = frame.x(k)
            turn = f' transform="rotate(-32 {x:.1f} {bottom + 13:.1f})"' if is_turned else ""
            parts.append(svg.text(x, bottom + 13, shown, "tick", "end" if is_turned else "middle", turn))
        return "".join(parts)
    for value, anchor in ((axis["low"], "start"), (axis["high"], "end")):
        parts.append(svg.text(frame.x(_scaled(value, is_log)), bottom + 15, f"{value:g}", "tick", anchor))
    return "".join(parts)


def _aside(number: int) -> float:
    """Dots of one column lie a little beside each other, the same way every time."""
    return 0.28 * (((number * 7) % 11) / 10 - 0.5)


def _scaled(value: float, is_log: bool) -> float:
    return math.log10(value) if is_log else value


def loss_chart(found: Row) -> str:
    """The lowest tuning loss so far of every trial, over the share of its budget; those ended early stop there."""
    rows = [row for row in found["trials"] if len(row["looks"]) > 1]
    if not rows:
        return ""
    values = sorted(loss for row in rows for _, loss in row["looks"])
    top = values[int(0.95 * (len(values) - 1))]
    frame = svg.Frame((0.0, 100.0), (values[0] - 0.05 * (top - values[0]), top * 1.02), left=62, width=600)
    parts = [frame.axes("share of the trial's budget (%)", "lowest tuning loss so far")]
    for row in sorted(rows, key=lambda row: row["is_best"]):
        kind = "line-b" if row["is_best"] else "line-e" if row["state"] == "ended early" else "line-thin"
        looks = row["looks"]
        parts.append(frame.path([100 * share for share, _ in looks], [min(loss, top * 1.02) for _, loss in looks], kind))
    entries = [("line-thin", "done"), ("line-e", "ended early"), ("line-b", "the best trial")]
    parts.append(svg.legend(entries, frame.left + frame.width - 120, frame.top + 14))
    return svg.picture("Tuning loss of every trial", f"{len(rows)} trials", "".join(parts), WIDE)


def range_chart(test: Row) -> str:
    """The running mean of the training loss over a rising learning rate, with the rates worth a search."""
    lowest = min(test["losses"])
    ceiling = min(max(test["losses"]), lowest + 1.6 * (test["losses"][0] - lowest) + 0.1 * abs(lowest) + 1e-6)
    xs = [math.log10(rate) for rate in test["rates"]]
    floor = lowest - 0.06 * (ceiling - lowest)
    frame = svg.Frame((xs[0], xs[-1]), (floor, ceiling), left=62, width=600)
    powers = [float(n) for n in range(math.ceil(xs[0] - 1e-9), math.floor(xs[-1] + 1e-9) + 1)]
    parts = [frame.axes("learning rate", "training loss, running mean", [], None)]
    for power in powers:
        parts.append(svg.line(frame.x(power), frame.top, frame.x(power), frame.top + frame.height, "grid"))
        parts.append(svg.text(frame.x(power), frame.top + frame.height + 16, f"{10**power:g}", "tick", "middle"))
    low, high = (math.log10(rate) for rate in test["worth_searching"])
    parts.append(svg.box(frame.x(low), frame.top, frame.x(high) - frame.x(low), frame.height, "band"))
    parts.append(frame.path(xs, [min(loss, ceiling) for loss in test["losses"]], "line-a"))
    for rate, words in ((test["steepest"], "falls fastest"), (test["planned"], "planned")):
        x = frame.x(min(max(math.log10(rate), xs[0]), xs[-1]))
        parts.append(svg.line(x, frame.top, x, frame.top + frame.height, "mark" if words == "planned" else "chance"))
        parts.append(svg.text(x - 5, frame.top + (16 if words == "planned" else 32), words, "note", "end"))
    return svg.picture("Learning-rate range test", test["words"], "".join(parts), WIDE)


def importance_chart(found: Row) -> str:
    """A bar for each setting: the share of the spread of the scores that it explains."""
    shares = found["importances"]
    if not shares:
        return ""
    parts, left, wide = [], 210.0, 400.0
    for k, (key, share) in enumerate(shares.items()):
        top = 8 + 26 * k
        parts.append(svg.text(left - 10, top + 13, short(key), "label", "end"))
        parts.append(svg.box(left, top, wide * share, 17, "bar", f"{share:.0%}"))
        parts.append(svg.text(left + wide * share + 7, top + 13, f"{share:.0%}", "tick"))
    return svg.picture("What the settings explain", "shares of the spread", "".join(parts), WIDE, 14 + 26 * len(shares))


def _score(found: Row) -> str:
    unit = f" ({found['endpoint']['unit']})" if found["endpoint"]["unit"] else ""
    return f"{named(found['endpoint'])}{unit}, tuning cases"


def _settings(row: Row) -> str:
    return ", ".join(f"{short(key)} {value}" for key, value in row["settings"].items()) or "as in project.toml"
