"""The page of a trial of made images: the same training without and with them, and what they add. No case is shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from overread.core.score import Interval
from overread.reporting.page import environment
from overread.reporting.page_parts import Block, Chart, Section, Table, Words
from overread.reporting.searches.ablation_page import gain_chart
from overread.reporting.sections.learning_curve import budget_words
from overread.reporting.sections.results import counts, named

Found = Mapping[str, Any]
WHERE = {"tuning": "the tuning cases", "internal": "the internal test"}


def usefulness_page(title: str, found: Found) -> str:
    """The page as HTML, from what `usefulness.json` holds."""
    shown = sorted(found["parts"], key=lambda on: on != found["on"])
    template = environment().get_template("searches.html.j2")
    return template.render(
        kicker="Do made images help?",
        title=title,
        lead=" ".join(f"On {WHERE[on]}: {found['parts'][on]['words']}" for on in shown),
        dateline=f"{found['name']}; {found['n_made']} made images beside {found['n_training']} training cases",
        warning=" ".join(found["warnings"]),
        sections=[*(_part(found, on) for on in shown), _trainings(found)],
        is_phantom=found["is_phantom"],
        written=datetime.now(UTC).strftime("%-d %B %Y"),
    )


def _part(found: Found, on: str) -> Section:
    part = found["parts"][on]
    gain, difference = Interval.from_dict(part["gain"]), Interval.from_dict(part["difference"])
    row = {**part, "title": "made images"}
    chart = gain_chart({"endpoint": part["endpoint"], "trained": {"rows": [row]}, "read": None}, [row])
    both = [
        ("with less without, these trainings", difference.short, _p(part["p"]), difference.method),
        ("gain, over trainings too (above 0: they help)", gain.short, _p(part["p_over_trainings"]), gain.method),
    ]
    blocks: list[Block] = [
        Chart(Markup(chart), "Dot with line: mean over seeds with its interval. Small dots: seeds."),
        Table(f"{named(part['endpoint'])}, by training", ("seed", "without", "with"), _scores(part)),
        Table("Paired difference", ("what", "difference", "p", "method"), both, part["remark"]),
        *(Words(note) for note in part["notes"]),
    ]
    lead = f"{part['words']} {counts(part['n_cases'], part['n_patients'])}."
    return Section(on, f"On {WHERE[on]}", lead, blocks)


def _scores(part: Found) -> list[tuple[Any, ...]]:
    pairs = zip(part["scores"]["without"], part["scores"]["with"], strict=True)
    each = [(str(seed), _short(a), _short(b)) for seed, (a, b) in zip(part["seeds"], pairs, strict=True)]
    return [*each, ("mean", f"{part['values']['without']:.3f}", f"{part['values']['with']:.3f}")]


def _trainings(found: Found) -> Section:
    rows = [
        (one["run"], one["cases"], one["steps"], f"{one['minutes']:.2f}", f"{one['passes']:g}")
        for pair in zip(found["trainings"]["without"], found["trainings"]["with"], strict=True)
        for one in pair
    ]
    columns = ("training", "training images", "steps", "minutes", "times each image was seen, about")
    lead = f"Each training got {budget_words(found['budget'])}; the two of a seed have the same settings."
    return Section("trainings", "The trainings", lead, [Table("What each got", columns, rows), *map(Words, found["notes"])])


def _short(interval: Mapping[str, Any] | None) -> str | None:
    return None if interval is None else Interval.from_dict(dict(interval)).short


def _p(value: float | None) -> str | None:
    return None if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
