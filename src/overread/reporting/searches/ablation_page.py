"""The page of an ablation: what each part adds, with its interval, and what could not be switched off. No case is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from overread.core.score import Interval
from overread.reporting.charts import svg
from overread.reporting.page import environment
from overread.reporting.page_parts import Block, Chart, Section, Table, Words
from overread.reporting.sections.learning_curve import budget_words
from overread.reporting.sections.results import counts, named

Found = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]
WIDE, LEFT, STEP = 680.0, 250.0, 34.0
VERDICTS = {"helps": "helps", "harms": "harms", "not shown": "not shown either way"}


def ablation_page(title: str, found: Found) -> str:
    """The page as HTML, from what `ablation.json` holds."""
    sections = [*_trained(found), *_read(found)]
    template = environment().get_template("searches.html.j2")
    return template.render(
        kicker="Ablation: one switch at a time",
        title=title,
        lead=lead(found),
        dateline=f"{found['name']}; {counts(found['n_cases'], found['n_patients'])} of the tuning partition",
        warning=found["notes"][0],
        sections=sections,
        is_phantom=found["is_phantom"],
        written=datetime.now(UTC).strftime("%-d %B %Y"),
    )


def lead(found: Found) -> str:
    """What was found, in one sentence for each verdict."""
    rows = [row for part in (found["trained"], found["read"]) if part for row in part["rows"]]
    said = []
    for verdict, words in (("helps", "Shown to help"), ("harms", "Shown to harm"), ("not shown", "Not shown either way")):
        names = [row["title"] for row in rows if row["verdict"] == verdict]
        said += [f"{words}: {'; '.join(names)}."] if names else []
    return " ".join(said) or "Nothing could be switched off."


def _trained(found: Found) -> list[Section]:
    part = found["trained"]
    if part is None:
        return []
    several = len(part["seeds"]) > 1
    told = (
        f"{part['n_trainings']} trainings of {budget_words(part['budget'])} each: the base and {len(part['rows'])} variants with "
        f"one part switched off, {'seeds' if several else 'seed'} {', '.join(map(str, part['seeds']))}."
    )
    columns = ("switched off", "with it", "without", "what it adds", "spread over seeds", "verdict")
    rows = [
        (
            row["title"],
            f"{row['with']:.3f}",
            f"{row['without']:.3f}",
            Interval.from_dict(row["gain"]).short,
            None if row["spread_over_seeds"] is None else f"{row['spread_over_seeds']:.3f}",
            VERDICTS[row["verdict"]],
        )
        for row in part["rows"]
    ]
    blocks: list[Block] = [
        Chart(
            Markup(gain_chart(found, part["rows"])),
            "Dots with lines: mean over seeds with its interval. Small dots: seeds.",
        ),
        Table(f"{named(found['endpoint'])}, mean over seeds", columns, rows, _note(found, part["rows"])),
        Table("How each was switched off", ("part", "settings"), [(row["title"], _settings(row)) for row in part["rows"]]),
        *_left_out(found, found["not_trained"]),
        *(Words(note) for note in found["notes"][1:]),
    ]
    return [Section("trained", "Trained without", told, blocks)]


def _read(found: Found) -> list[Section]:
    part = found["read"]
    if not part and not found["not_read"]:
        return []
    blocks: list[Block] = []
    told = "Nothing was read otherwise."
    if part:
        told = f"The frozen model of run `{part['run']}` reads every tuning case once, and in other ways; nothing is trained."
        columns = ("read otherwise", "once", "this way", "what it adds", "seconds a case, once", "this way ", "verdict")
        rows = [
            (
                row["title"],
                f"{row['without']:.3f}",
                f"{row['with']:.3f}",
                Interval.from_dict(row["gain"]).short,
                f"{row['seconds_without']:.3g}",
                f"{row['seconds_with']:.3g}",
                VERDICTS[row["verdict"]],
            )
            for row in part["rows"]
        ]
        blocks.append(Table(named(found["endpoint"]), columns, rows, _note(found, part["rows"])))
    blocks += _left_out(found, found["not_read"])
    blocks += [Words(note) for note in found["notes_read"]]
    return [Section("read", "Read otherwise", told, blocks)]


def _left_out(found: Found, refused: Mapping[str, str]) -> list[Block]:
    rows = [(found["titles"][name], why) for name, why in refused.items()]
    return [Table("Left out", ("part", "why"), rows)] if rows else []


def _settings(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in row["settings"].items())


def _note(found: Found, rows: Rows) -> str:
    methods = "; ".join(dict.fromkeys(row["gain"]["method"] for row in rows if row["gain"]["method"] != "none"))
    remarks = " ".join(dict.fromkeys(row["remark"] for row in rows if row["remark"]))
    rule = f"A part helps or harms where p < {1 - found['level']:.2g} after Holm's correction for all parts of the table."
    return f"{methods}. {rule} {remarks}".strip()


def gain_chart(found: Found, rows: Rows) -> str:
    """A line for each part: what it adds, with its interval; to the right of 0 it helps. Seeds are small dots."""
    ends = [0.0]
    for row in rows:
        ends += [row["gain"][key] for key in ("estimate", "low", "high") if row["gain"][key] is not None]
        ends += [value for value in row["each_seed"] if value is not None]
    margin = 0.06 * (max(ends) - min(ends)) or 0.05
    height = STEP * len(rows)
    frame = svg.Frame((min(ends) - margin, max(ends) + margin), (0.0, 1.0), LEFT, 10, WIDE - LEFT - 20, height)
    unit = f" ({found['endpoint']['unit']})" if found["endpoint"]["unit"] else ""
    parts = [frame.axes(f"gain in {named(found['endpoint'])}{unit}; above 0 the part helps", "", None, [])]
    parts.append(svg.line(frame.x(0), frame.top, frame.x(0), frame.top + height, "chance"))
    for k, row in enumerate(rows):
        y = frame.top + STEP * (k + 0.5)
        gain = row["gain"]
        parts.append(svg.text(LEFT - 12, y + 4, row["title"], "label", "end"))
        if gain["low"] is not None:
            parts.append(svg.line(frame.x(gain["low"]), y, frame.x(gain["high"]), y, "whisker"))
        share = 1 - (y - frame.top) / height
        parts += [frame.dot(v, share, "hollow", 2.6, f"seed: {v:+.3f}") for v in row["each_seed"] if v is not None]
        parts.append(frame.dot(gain["estimate"], share, "point-a", 5, f"{gain['estimate']:+.3f}"))
    return svg.picture("What each part adds", lead(found), "".join(parts), WIDE, height + 60)
