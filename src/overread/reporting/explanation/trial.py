"""The trial on the page: every method against every criterion, the controls beside, and what a map can and cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from overread.core.score import Interval
from overread.reporting.charts.cascade import cascade_chart
from overread.reporting.page_parts import Block, Chart, Part, Section, Table, Words

MARKS = {"passed": "✓", "failed": "✗", "not tried": "–", "incomplete": "–"}
MEASURES = (
    ("energy", "share of the map inside"),
    ("pointing", "highest voxel inside"),
    ("slice", "fullest slice holds it"),
    ("iou", "overlap (IoU)"),
)
CAN = (
    "A map can tell where in the image the number that this network computes comes from, as far as its method passed. That is "
    "enough to find a marker that was learned in place of a disease. It cannot tell why an answer is right, nor that the network "
    "looks at a disease as a radiologist does; a map on the right place can go with a wrong answer."
)
BURDEN = (
    "Each criterion has a bound that was set beforehand. A method has to show that it meets it: where the interval, resampled by "
    "patient, reaches across the bound, it failed. One failure is enough."
)
NO_PROOF = "A pass is no proof. It says that the map was given every chance of this trial to be shown wrong, and was not."
LEGEND = (
    "Likeness of the maps to those of the trained network, while its layers lose their weights from the head on (left: the head "
    "alone; right: all layers). Solid: as pictures (SSIM). Dashed: order of the voxels (rank correlation). Thin line: how alike "
    "the trained network's maps of different patients are, mean of both. A map of what was learned falls to about that line."
)

Row = Mapping[str, Any]


def trial_section(part: Part) -> Section:
    """What `overread trial` left."""
    record = part.record
    tried, controls = record["methods"], record["controls"]
    columns = _columns([*tried, *controls])
    blocks: list[Block] = [
        Words(CAN),
        Words(f"{BURDEN} {NO_PROOF}"),
        _table("Verdicts", tried, columns, _interval_note(tried, record), counts=True),
        _table("Controls, which never look at the network", controls, columns, ""),
        _of_controls(record),
        *_untried([*tried]),
        *(Words(f"{row['title']} could not be tried: {row['reason']}.") for row in record["refused"]),
        *_cascade([*tried, *controls]),
        *_places(record),
        _rules([*tried, *controls]),
        *(Words(note) for note in record["notes"]),
    ]
    return Section("trial", "The methods on trial", _lead(record), blocks)


def _lead(record: Row) -> str:
    counts = {
        verdict: sum(row["verdict"] == verdict for row in record["methods"]) for verdict in ("passed", "failed", "incomplete")
    }
    words = [f"{counts['failed']} failed"] if counts["failed"] else []
    words += (
        [f"{counts['incomplete']} failed nothing that could be tried, and something essential could not"]
        if counts["incomplete"]
        else []
    )
    words += [f"{counts['passed']} passed"] if counts["passed"] else []
    methods = _counted(len(record["methods"]), "method")
    about = f"{_counted(record['n_cases'], 'tuning case')} of {_counted(record['n_patients'], 'patient')}"
    return f"{methods} on trial, on {about}: {'; '.join(words)}."


def _columns(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Criteria that were tried on any method: key and title."""
    found: dict[str, str] = {}
    for row in rows:
        for each in row["criteria"]:
            if each["verdict"] != "not tried":
                found[each["criterion"]] = each["title"]
    order = {each["criterion"]: place for row in rows for place, each in enumerate(row["criteria"])}
    return sorted(found.items(), key=lambda item: order[item[0]])


def _table(title: str, rows: Sequence[Row], columns: Sequence[tuple[str, str]], note: str, *, counts: bool = False) -> Table:
    """counts  begin with what the numbers are and where they pass"""
    cells: list[tuple[Any, ...]] = []
    if counts:
        about = {each["criterion"]: each for row in rows for each in row["criteria"]}
        cells.append(("(passes)", "", *(f"{about[key]['what']}: {_passes(about[key])}" for key, _ in columns)))
    for row in rows:
        by_key = {each["criterion"]: each for each in row["criteria"]}
        cells.append((row["title"], _verdict(row["verdict"]), *(_cell(by_key.get(key)) for key, _ in columns)))
    return Table(title, ("method", "verdict", *(name for _, name in columns)), cells, note)


def _passes(found: Row) -> str:
    return f"{found['bound']['side']} {found['bound']['limit']:g}"


def _verdict(verdict: str) -> Markup:
    return Markup("<strong>{}\u00a0{}</strong>").format(MARKS[verdict], verdict)


def _cell(found: Row | None) -> Markup | None:
    if found is None or found["verdict"] == "not tried":
        return None
    mean, _, interval = span(found["interval"]).partition(" (")
    shown = (f"{MARKS[found['verdict']]} {found['verdict']}", mean, f"({interval}" if interval else "")
    return Markup("<br>").join(part.replace(" ", "\u00a0") for part in shown if part)


def span(values: Row | None) -> str:
    """ "0.12 (0.03 to 0.20)"; the mean alone where there is no interval."""
    if values is None or values["estimate"] is None:
        return "–"
    numbers = [value for value in (values["estimate"], values["low"], values["high"]) if value is not None]
    shown = [f"{round(value, 2) + 0.0:.2f}".replace("-", "−") for value in numbers]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if len(shown) == 3 else shown[0]


def _interval_note(rows: Sequence[Row], record: Row) -> str:
    intervals = [Interval.from_dict(dict(each["interval"])) for row in rows for each in row["criteria"] if each["interval"]]
    known = [interval for interval in intervals if interval.low is not None]
    method = f"; {known[0].method}" if known else ""
    doubts = sorted({interval.reason for interval in intervals if interval.reason})
    told = " ".join(f"{doubt[:1].upper()}{doubt[1:]}." for doubt in doubts)
    return f"Mean and {record['level']:.0%} interval{method}. {told}".strip()


def _of_controls(record: Row) -> Words:
    if record["escaped"]:
        told = "; ".join(record["escaped"])
        return Words(
            f"The trial is in doubt here: {told}. What a map that never looks at the network passes is no criterion "
            "on these cases; where a method passes it too, that counts as not tried.",
            is_warning=True,
        )
    found = [f"the {row['title'].lower()} by {' and '.join(caught(row))}" for row in record["controls"] if caught(row)]
    missed = [f"the {row['title'].lower()}" for row in record["controls"] if not caught(row)]
    words = [f"The trial works on these cases: it catches {'; '.join(found)}."] if found else []
    words += [f"Whether it catches {', '.join(missed)} could not be tried on these cases."] if missed else []
    return Words(" ".join(words), is_warning=bool(missed))


def caught(control: Row) -> list[str]:
    """What the control had to fail and did, by title."""
    return [
        each["title"].lower()
        for each in control["criteria"]
        if each["criterion"] in control["must_fail"] and each["verdict"] == "failed"
    ]


def _untried(rows: Sequence[Row]) -> list[Block]:
    """Why criteria were not tried, with the methods where it is not all of them."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for each in row["criteria"]:
            if each["verdict"] == "not tried":
                reasons.setdefault((each["title"], each["why"]), []).append(row["title"])
    told = []
    for (title, why), methods in reasons.items():
        of = "" if len(methods) == len(rows) else f" of {', '.join(methods)}"
        told.append(f"{title}{of}: {why}.")
    return [Words(f"Not tried. {' '.join(told)}")] if told else []


def _cascade(rows: Sequence[Row]) -> list[Block]:
    curves = []
    for row in rows:
        for each in row["criteria"]:
            if each["criterion"] == "weight_randomisation" and each["facts"].get("cascade"):
                curves.append((row["title"], each["facts"]["cascade"], each["beside"]["different_patients"]["estimate"]))
    return [Chart(Markup(cascade_chart(curves)), LEGEND)] if curves else []


def _places(record: Row) -> list[Block]:
    """Localisation against the drawing: methods, maps that know nothing, other readers."""
    rows: list[tuple[str, ...]] = []
    measures: list[tuple[str, str]] = []
    for row in [*record["methods"], *record["controls"]]:
        found = next((each for each in row["criteria"] if each["criterion"] == "localisation"), None)
        if found is None or not found["beside"]:
            continue
        if not rows:
            measures = [(key, name) for key, name in MEASURES if key in found["beside"]]
            for suffix, name in (("even", "the same everywhere"), ("middle", "always the middle of the image")):
                rows.append((f"({name})", *(span(found["beside"].get(f"{key}_{suffix}")) for key, _ in measures)))
        rows.append((row["title"], *(span(found["beside"].get(key)) for key, _ in measures)))
    if not rows:
        return []
    for reader in record["human"]:
        rows.append((f"Reader {reader['reader']} (drawing)", *(span(reader["measures"].get(key)) for key, _ in measures)))
    note = (
        f"{_counted(record['n_drawn'], 'case')} with a drawing of what is asked about. IoU of a map takes its highest voxels; "
        "how many was chosen on the other half of the patients. "
    )
    note += (
        "Readers are compared with the first."
        if record["human"]
        else "One reader drew, so that how well people agree is not known."
    )
    return [Table("Where the maps lie, against the drawings", ("map", *(name for _, name in measures)), rows, note)]


def _rules(rows: Sequence[Row]) -> Table:
    known: dict[str, tuple[str, str, str]] = {}
    for row in rows:
        for each in row["criteria"]:
            known.setdefault(each["criterion"], (each["title"], each["rule"], each["reason"]))
    return Table("Rules, set beforehand", ("criterion", "rule", "why so"), list(known.values()))


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"
