"""The figures of a report as files: each as SVG, with the numbers behind it as CSV beside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.record.files import write_text
from overread.reporting.charts.cases import agreement_chart, distribution_chart, scatter_chart
from overread.reporting.charts.groups import decision_chart, forest_chart, risk_chart
from overread.reporting.charts.probability import calibration_chart, pr_chart, roc_chart
from overread.reporting.charts.standalone import standalone
from overread.reporting.charts.training import flow_chart, loss_chart, score_chart
from overread.reporting.charts.voxels import voxel_figures
from overread.reporting.checklists.claim import as_csv
from overread.reporting.given import Record, ReportInput
from overread.reporting.sections.learning_curve import COLUMNS as CURVE_COLUMNS
from overread.reporting.sections.learning_curve import curve_chart, curve_rows
from overread.reporting.sections.objects import object_figures
from overread.reporting.sections.results import distributions
from overread.reporting.sections.robustness import COLUMNS as ROBUST_COLUMNS
from overread.reporting.sections.robustness import drop_chart, source_rows
from overread.reporting.sections.verdict import judge
from overread.reporting.words import partition_name, partition_table


@dataclass(frozen=True)
class Figure:
    """name of the files without suffix; svg "" for a table alone; columns and rows are its source data."""

    name: str
    svg: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


def write_figures(folder: Path, given: ReportInput) -> list[Path]:
    """Write every figure that this record can draw into `folder`, and `index.csv`, which lists them.

    Figures of an earlier report that are no longer drawn are removed; other files in the folder stay.
    """
    index = Path(folder) / "index.csv"
    before = {row.partition(",")[0] for row in index.read_text(encoding="utf-8").splitlines()[1:]} if index.exists() else set()
    written = []
    for figure in figures(given):
        written.append(Path(folder) / f"{figure.name}.csv")
        write_text(written[-1], as_csv(figure.columns, figure.rows))
        if figure.svg:
            written.append(Path(folder) / f"{figure.name}.svg")
            write_text(written[-1], standalone(figure.svg))
    for name in before - {path.name for path in written}:
        (Path(folder) / Path(name).name).unlink(missing_ok=True)
    write_text(index, as_csv(("file", "run"), [(path.name, given.run) for path in written]))
    return [*written, index]


def figures(given: ReportInput) -> list[Figure]:
    """All figures and tables, in the order of the report."""
    found = [*_of_the_cohort(given)]
    for name, events in given.events.items():
        found += _of_a_training(_safe(name), events)
    for partition, evaluation in given.evaluations.items():
        found += _of_an_evaluation(_safe(partition), evaluation)
    for name, robust in given.robustness.items():
        found.append(Figure(_joined("robustness", _safe(name)), drop_chart(robust), ROBUST_COLUMNS, source_rows(robust)))
    if given.curve:
        found.append(Figure("learning-curve", curve_chart(given.curve), CURVE_COLUMNS, curve_rows(given.curve)))
    return found


def _safe(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name).strip("-").lower()


def _joined(*parts: str) -> str:
    return "-".join(part for part in parts if part)


def _of_the_cohort(given: ReportInput) -> Iterator[Figure]:
    if given.flow:
        parts = [(partition_name(p["partition"]), int(p["cases"])) for p in given.partitions]
        rows = [(s["step"], s["kept"], s.get("excluded") or 0, "", "") for s in given.flow]
        rows += [(s["step"], "", "", why, n) for s in given.flow for why, n in (s.get("reasons") or {}).items()]
        rows += [(f"partition: {name}", cases, "", "", "") for name, cases in parts]
        yield Figure("flow", flow_chart(given.flow, parts), ("step", "kept", "excluded", "reason", "excluded for it"), rows)
    if given.partitions:
        heads = tuple(partition_name(p["partition"]) for p in given.partitions)
        cells = [(name, *row) if row else (name, *[""] * len(heads)) for name, row, _ in partition_table(given.partitions)]
        yield Figure("table-1-partitions", "", ("characteristic", *heads), cells)


def _of_a_training(name: str, events: Sequence[Record]) -> Iterator[Figure]:
    epochs = [e for e in events if e.get("event") == "epoch"]
    if not epochs:
        return
    rows = [(e["epoch"], e.get("loss"), e.get("tuning_loss"), e.get("rate"), e.get("minutes")) for e in epochs]
    columns = ("epoch", "training loss", "tuning loss", "learning rate", "minutes")
    yield Figure(_joined("loss", name), loss_chart(events, judge(events)), columns, rows)
    names = tuple(dict.fromkeys(key for e in epochs for key in e.get("scores") or {}))
    if names:
        scored = [(e["epoch"], *((e.get("scores") or {}).get(key) for key in names)) for e in epochs]
        yield Figure(_joined("tuning-scores", name), score_chart(events), ("epoch", *names), scored)


def _of_an_evaluation(partition: str, evaluation: Record) -> Iterator[Figure]:
    rows: list[Sequence[Any]]
    keys: tuple[str, ...]
    yield Figure(f"scores-{partition}", "", _SCORE_COLUMNS, [_score(s) for s in evaluation["scores"]])
    curves = evaluation.get("curves") or {}
    for name, roc in (curves.get("roc") or {}).items():
        rows = list(zip(roc["threshold"], roc["fpr"], roc["tpr"], strict=True))
        yield Figure(
            f"roc-{partition}-{_safe(name)}", roc_chart(name, roc, None), ("threshold", "1 - specificity", "sensitivity"), rows
        )
    for name, curve in (curves.get("pr") or {}).items():
        rows = list(zip(curve["recall"], curve["precision"], strict=True))
        yield Figure(f"precision-recall-{partition}-{_safe(name)}", pr_chart(name, curve), ("recall", "precision"), rows)
    for name, bins in (curves.get("calibration") or {}).items():
        if bins:
            keys = ("low", "high", "mean_probability", "rate", "rate_low", "rate_high", "n")
            yield Figure(
                f"calibration-{partition}-{_safe(name)}",
                calibration_chart(name, bins),
                keys,
                [[b.get(k) for k in keys] for b in bins],
            )
    for name, chart, keys, rows in object_figures(evaluation):
        yield Figure(f"{_safe(name)}-{partition}", chart, keys, rows)
    for name, chart, keys, rows in voxel_figures(evaluation):
        yield Figure(f"voxel-calibration-{partition}-{_safe(name)}", chart, keys, rows)
    for name, curve in (curves.get("decision") or {}).items():
        keys = ("threshold", "net_benefit", "low", "high", "treat_all")
        rows = list(zip(*(curve[k] for k in keys), strict=True))
        yield Figure(f"decision-curve-{partition}-{_safe(name)}", decision_chart(name, curve), keys, rows)
    for name, curve in (curves.get("risk_coverage") or {}).items():
        rows = list(zip(curve["coverage"], curve["risk"], strict=True))
        yield Figure(f"risk-coverage-{partition}-{_safe(name)}", risk_chart(curve), ("coverage", "risk"), rows)
    yield from _of_cases(partition, evaluation)
    for row in evaluation.get("subgroups") or []:
        yield _of_groups(partition, row)


def _of_cases(partition: str, evaluation: Record) -> Iterator[Figure]:
    rows: list[Sequence[Any]]
    for name, pairs in ((evaluation.get("curves") or {}).get("agreement") or {}).items():
        if pairs.get("truth"):
            rows = list(zip(pairs["truth"], pairs["answer"], strict=True))
            stem = f"{partition}-{_safe(name)}"
            yield Figure(f"model-reference-{stem}", scatter_chart(name, "", pairs), ("reference", "model"), rows)
            yield Figure(f"bland-altman-{stem}", agreement_chart(name, "", pairs), ("reference", "model"), rows)
    for strip in distributions(evaluation):
        chart = distribution_chart(strip.title, strip.unit, strip.groups, strip.is_bounded)
        if chart:
            rows = [(group, case, value) for group, values in strip.groups.items() for case, value in values]
            yield Figure(f"by-case-{partition}-{_safe(strip.title)}", chart, ("of", "case", "value"), rows)
    if confusion := evaluation.get("confusion"):
        rows = [(label, *row) for label, row in zip(confusion["labels"], confusion["counts"], strict=True)]
        yield Figure(f"confusion-{partition}", "", ("reference", *(f"model: {n}" for n in confusion["labels"])), rows)


def _of_groups(partition: str, row: Record) -> Figure:
    columns = ("group", "cases", "patients", "estimate", "low", "high", "method", "too few to say")
    rows = [
        (
            level["level"], level["n_cases"], level["n_patients"], level["interval"]["estimate"], level["interval"]["low"],
            level["interval"]["high"], level["interval"]["method"], level.get("too_few") or "",
        )
        for level in row["levels"]
    ]  # fmt: skip
    named = {**row, "name": row.get("name", row.get("metric", "score"))}
    return Figure(f"subgroups-{partition}-{_safe(row['column'])}", forest_chart(named, None), columns, rows)


_SCORE_COLUMNS = (
    "score", "of", "unit", "role", "estimate", "low", "high", "level", "method", "cases", "patients", "reason", "definition",
)  # fmt: skip


def _score(score: Record) -> tuple[Any, ...]:
    i = score["interval"]
    return (
        score["name"], score["subject"], score.get("unit", ""), score["role"], i["estimate"], i["low"], i["high"],
        i.get("level"), i["method"], i["n_cases"], i["n_patients"], i.get("reason", ""), score["definition"],
    )  # fmt: skip
