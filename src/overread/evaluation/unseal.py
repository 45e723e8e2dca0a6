"""Opening the seal of the internal test: said beforehand, written down first, counted.

Nobody but `overread.workflow.evaluate` imports this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.cohort.seal import sealed_truths
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.decisions.false_positives import false_positives_rule
from overread.evaluation.decisions.operating import stated_rule
from overread.metrics.table import default_endpoint, resolve_endpoint
from overread.record.ledger import Ledger

ENTRY = "opening"
EXTERNAL = "external:"
PHANTOM_HYPOTHESIS = "A phantom: the software runs from end to end. Nothing is claimed about patients."


@dataclass(frozen=True)
class Declaration:
    """What is said before anybody has seen a test case.

    primary_endpoint  "metric" or "metric/subject"
    margin            the value that the whole interval of the primary endpoint has to clear; None where none is set
    threshold_rule    how probabilities become calls; "" where nothing is called
    declared          secondary endpoints; every other score is exploratory
    by_default        nobody said it: a phantom's own declaration
    """

    hypothesis: str
    primary_endpoint: str
    margin: float | None
    threshold_rule: str
    declared: tuple[str, ...] = ()
    by_default: bool = False


def make_declaration(
    question: Question, settings: Mapping[str, Any], said: Mapping[str, Any] | None = None, *, is_phantom: bool = False
) -> Declaration:
    """Join what `project.toml` says with what was said now, which wins, and check that all of it means something.

    settings  hypothesis, primary_endpoint, margin, threshold_rule, declared, false_positives
    said      the same names; blank ones count as not said
    """
    values = {**settings, **{k: v for k, v in (said or {}).items() if v not in (None, "", (), [])}}
    missing = [name for name in ("hypothesis", "primary_endpoint") if not values.get(name)]
    if missing and not is_phantom:
        raise _not_declared(question, missing)
    defaults = {"hypothesis": PHANTOM_HYPOTHESIS, "primary_endpoint": default_endpoint(question)}
    values.update({name: defaults[name] for name in missing})
    for endpoint in (values["primary_endpoint"], *values.get("declared", ())):
        resolve_endpoint(question, endpoint)
    metric, _ = resolve_endpoint(question, values["primary_endpoint"])
    rule = _rule(question, values, said or {})
    margin = values.get("margin")
    if margin is not None and metric.better == "none":
        raise OverreadError(
            f"No margin can be cleared by '{values['primary_endpoint']}': neither higher nor lower is better.",
            "leave the margin out, or declare another primary endpoint",
        )
    return Declaration(
        str(values["hypothesis"]),
        str(values["primary_endpoint"]),
        None if margin is None else float(margin),
        rule,
        tuple(values.get("declared", ())),
        bool(missing),
    )


def open_seal(
    project_dir: Path,
    declaration: Declaration,
    *,
    partition: str | int = "internal",
    model: str,
    run: str,
    external: Path | None = None,
    cohort: str = "",
    thresholds: Mapping[str, float] | None = None,
) -> tuple[dict[str, TruthReference], dict[str, Any]]:
    """Write the opening into the ledger, then give the truths and the entry.

    partition  "internal", or the number of a fold
    model      hash of the model that is about to be tested
    external   folder of the external cohort whose seal is opened; its openings stand in the project's ledger,
               and are counted by themselves
    cohort     digest of the version of the cohort that is opened
    thresholds class -> the frozen probability from which it is called; None where nothing is called

    The entry stands before anything is read, so an evaluation that fails afterwards has still been an opening.
    """
    ledger = Ledger(Path(project_dir) / "cohort" / "ledger.jsonl")
    name = partition if isinstance(partition, str) else f"fold-{partition}"
    if external is not None:
        name = f"{EXTERNAL}{external.name}"
    entry = ledger.append(
        ENTRY,
        counted_by="partition",
        partition=name,
        run=run,
        model=model,
        cohort=cohort,
        hypothesis=declaration.hypothesis,
        primary_endpoint=declaration.primary_endpoint,
        margin=declaration.margin,
        threshold_rule=declaration.threshold_rule,
        thresholds=dict(thresholds or {}),
        declared=list(declaration.declared),
        by_default=declaration.by_default,
    )
    return sealed_truths(Path(project_dir if external is None else external), partition), entry


def _rule(question: Question, values: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """Of objects, the false positives per case that the settings allow, unless something else was said now."""
    if not question.is_of_objects:
        return stated_rule(question, values.get("threshold_rule") or "youden")
    return str(said.get("threshold_rule") or false_positives_rule(float(values.get("false_positives", 1.0))))


def _not_declared(question: Question, missing: list[str]) -> OverreadError:
    endpoint = default_endpoint(question)
    subject = f"/{question.classes[0]}" if question.task == "segmentation" else ""
    lines = {
        "hypothesis": ("--hypothesis 'what you expect to find'", 'hypothesis = "what you expect to find"'),
        "primary_endpoint": (f"--primary-endpoint {endpoint}{subject}", f'primary_endpoint = "{endpoint}{subject}"'),
    }
    options = " ".join(lines[name][0] for name in missing)
    toml = "; ".join(lines[name][1] for name in missing)
    return OverreadError(
        f"The internal test stays sealed: {' and '.join(name.replace('_', ' ') for name in missing)} not declared.",
        f"add {options}, or write under [evaluation] in project.toml: {toml}",
    )
