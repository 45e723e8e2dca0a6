"""The page of a search: every trial, the best so far, what mattered, and what to do next. No case is shown on it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from overread.core.score import Interval
from overread.reporting.page import environment
from overread.reporting.page_parts import Block, Chart, Section, Table, Words
from overread.reporting.searches.charts import importance_chart, loss_chart, progress_chart, range_chart, settings_chart, short
from overread.reporting.sections.learning_curve import budget_words
from overread.reporting.sections.results import counts, named

Found = Mapping[str, Any]
METHODS = {
    "tpe": "tree-structured Parzen estimator (Bergstra 2011), by Optuna",
    "random": "at random (Bergstra and Bengio 2012), by Optuna",
    "grid": "every combination, in an order shuffled by the seed",
}
EARLY = (
    "A trial is ended early where its tuning loss, after a quarter of its budget or more, is above the median of what the done "
    "trials of the same loss had reached by then (median stopping rule, Golovin 2017)."
)
FOREST = (
    "Shares of the spread of the scores, by functional analysis of variance on a random forest of the done trials (Hutter 2014). "
    "They hold for these trials and this space: a setting that was searched in a narrow range looks unimportant."
)


def search_page(title: str, found: Found) -> str:
    """The page as HTML, from what `search.json` holds."""
    sections = [_best(found), _trials(found), _settings(found), *_rates(found), _next(found)]
    template = environment().get_template("searches.html.j2")
    return template.render(
        kicker="Search for settings",
        title=title,
        lead=found["words"],
        dateline=f"{found['name']}; {METHODS[found['method']]}; {budget_words(found['budget'])} a trial; seed {found['seed']}; "
        f"{counts(found['n_cases'], found['n_patients'])} of the tuning partition",
        warning=found["notes"][0],
        sections=sections,
        is_phantom=found["is_phantom"],
        written=datetime.now(UTC).strftime("%-d %B %Y"),
    )


def _best(found: Found) -> Section:
    row = next(row for row in found["trials"] if row["is_best"])
    blocks: list[Block] = []
    settings = [(short(key), value) for key, value in row["settings"].items()]
    if settings:
        blocks.append(Table(f"Settings of trial {row['number']}", ("setting", "value"), settings))
    compared = found["comparison"]
    if compared is not None:
        interval = Interval.from_dict(compared["difference"])
        rows = [
            ("as in project.toml (trial 1)", f"{compared['default']:.3f}"),
            (f"trial {row['number']}", f"{compared['best']:.3f}"),
            ("difference", interval.short),
        ]
        note = f"{interval.method}; {counts(interval.n_cases, interval.n_patients)}. {compared['remark']}".strip()
        blocks.append(Table(f"{named(found['endpoint'])} on the same tuning cases", ("", "value"), rows, note))
    blocks += [Words(note, is_warning=k == 0) for k, note in enumerate(found["notes"])]
    lead = f"Trial {row['number']} has the best {named(found['endpoint'])} on the tuning cases. It is trained for "
    return Section("best", "Best settings", f"{lead}{budget_words(found['final'])} as run `{found['name']}`.", blocks)


def _trials(found: Found) -> Section:
    rows = [_row(found, row) for row in found["trials"]]
    columns = ("trial", named(found["endpoint"]), "state", "minutes", "settings")
    blocks: list[Block] = [
        Chart(Markup(progress_chart(found)), "Dots: trials. Line: the best so far. Marks at the foot: trials without a score."),
        Table("Every trial", columns, rows),
    ]
    losses = loss_chart(found)
    if losses:
        blocks.append(Chart(Markup(losses), EARLY))
    spent = f"{len(rows)} trials in {found['spent_minutes']:.1f} minutes; it ended because {found['ended']}."
    return Section("trials", "Trials", spent, blocks)


def _row(found: Found, row: Mapping[str, Any]) -> tuple[Any, ...]:
    value = None if row["value"] is None else f"{row['value']:.3f}"
    if row["interval"] is not None and row["interval"]["low"] is not None:
        value = f"{row['value']:.3f} ({row['interval']['low']:.3f} to {row['interval']['high']:.3f})"
    settings = ", ".join(f"{short(key)} {text}" for key, text in row["settings"].items()) or "as in project.toml"
    state = f"{row['state']}: {row['reason']}" if row["reason"] else row["state"]
    number = f"{row['number']} (best)" if row["is_best"] else str(row["number"])
    return number, value, state, round(row["minutes"], 2), settings


def _settings(found: Found) -> Section:
    blocks: list[Block] = []
    for chart, caption in (
        (settings_chart(found), "Orange: the best trial. Marks at the foot: trials without a score."),
        (importance_chart(found), FOREST),
    ):
        if chart:
            blocks.append(Chart(Markup(chart), caption))
    if not found["importances"]:
        blocks.append(Words("Too few trials are done to say which settings mattered."))
    return Section("settings", "What mattered", "The score of every trial over each setting that was searched.", blocks)


def _rates(found: Found) -> list[Section]:
    test = found["range_test"]
    if test is None:
        return []
    caption = (
        "Grey: where the loss fell fastest. Orange: the planned rate. Shaded: rates worth a search (Smith 2017). The rate rises "
        "at each step of one training, which is spoiled by it."
    )
    return [Section("rates", "Learning-rate range test", test["words"], [Chart(Markup(range_chart(test)), caption)])]


def _next(found: Found) -> Section:
    blocks = [Words(f"{step['why']}{': ' if step['why'] else ''}`{step['command']}`") for step in found["next"]]
    return Section(
        "next", "What to do next", "A fair comparison needs the same budget for both, and cases that chose nothing.", blocks
    )
