"""Sentences of a paper from the record of a run: past tense, nothing that the record does not hold.

What is not known is written as ``[NOT STATED: ...]``, so that a draft cannot pass for a finished text.
"""

from __future__ import annotations

from collections.abc import Sequence

from overread.reporting import words
from overread.reporting.given import Record, ReportInput
from overread.reporting.page import upper_first
from overread.reporting.paper.undone import test_openings, times_opened
from overread.reporting.proportions import in_words
from overread.reporting.sections.results import primary

_PACKAGES = {"overread": "Overread", "torch": "PyTorch", "numpy": "NumPy", "scipy": "SciPy", "scikit-learn": "scikit-learn"}


def not_stated(what: str) -> str:
    return f"[NOT STATED: {what}]"


def partitions(given: ReportInput) -> str:
    """``training, 240 cases of 171 patients; ...``"""
    named = (f"{words.partition_name(p['partition'])}, {people(given, p['cases'], p['patients'])}" for p in given.partitions)
    return "; ".join(named)


def people(given: ReportInput, cases: int, patients: int) -> str:
    """``84 cases of 61 patients``; without the patients where nobody knows them."""
    if given.settings and not given.settings.get("cohort", {}).get("by_patient"):
        return f"{cases} cases (patients not identified)"
    return f"{cases} cases of {patients} patients"


def flow(given: ReportInput) -> str:
    """What was found, left out and kept, in a sentence; "" where nothing was recorded."""
    if not given.flow:
        return ""
    first, last = given.flow[0], given.flow[-1]
    before = first["kept"] + (first.get("excluded") or 0)
    found = f"Of {before} {_things(first['step'])}, {last['kept']} were included{_among(last)}"
    reasons = [f"{why} ({n})" for step in given.flow for why, n in (step.get("reasons") or {}).items()]
    out = sum(step.get("excluded") or 0 for step in given.flow)
    if not out:
        return f"{found}; none was excluded."
    return f"{found}. Excluded {_were(out)} {out}{': ' + words.listed(reasons) if reasons else ''}."


def _among(step: Record) -> str:
    """What the last step says of those that were kept: how many of them a network made."""
    head, _, said = step["step"].partition("; ")
    return f" ({said})" if head == "placed" else ""


def _things(step: str) -> str:
    return step.removesuffix(" found").removeprefix("found ") if step.endswith("found") else f"({step})"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def division(given: ReportInput) -> str:
    return words.split_sentence(given.settings, given.ledger) if given.settings else not_stated("how cases were divided")


def operating_points(evaluation: Record | None) -> str:
    points = (evaluation or {}).get("operating_points") or []
    what = "score" if (evaluation or {}).get("task") in ("detection", "instances") else "probability"
    named = [
        f"{p['class_name']}{f' (fold {k})' if (k := p.get('fold')) is not None else ''} was called from a {what} of "
        f"{p['threshold']:.3f} (rule: {words.rule_words(p['rule'])}; chosen on {p.get('fitted_on', 'tuning')} "
        "cases, then frozen)"
        for p in points
    ]
    return f"{upper_first('; '.join(named))}." if named else ""


def objects(given: ReportInput) -> str:
    """What counted as found, on how many objects, and what was done to answers before; "" where the answers are no objects."""
    evaluation = given.evaluation
    if evaluation is None or evaluation["task"] not in ("detection", "instances"):
        return ""
    counts = [f"{sum(case['truth'].get(n, 0) for case in evaluation['cases'])} of {n}" for n in evaluation["question"]["classes"]]
    clean = sum(not any(case["truth"].values()) for case in evaluation["cases"])
    rules = evaluation.get("rules") or {}
    told = [f"To be found were {words.listed(counts)}; {clean} of {evaluation['n_cases']} cases held none"]
    told += [upper_first(str(rules["matching"]))] if rules.get("matching") else []
    done = str(rules.get("post_processing", ""))
    told += [f"Before, {done}" if not done.startswith("none") else "Answers were not cleaned up before"] if done else []
    return " ".join(f"{sentence.rstrip('.')}." for sentence in told)


def openings(given: ReportInput) -> str:
    """How the test was kept, and what was declared before it was opened."""
    times = times_opened(given.ledger)
    if not times:
        return "The truth of the internal test was under seal and had not been opened."
    often = "once" if times == 1 else f"{times} times"
    first = test_openings(given.ledger)[0]
    opening = (given.evaluation or {}).get("opening") or first
    said = opening.get("hypothesis")
    declared = (
        f' The hypothesis declared beforehand was: "{str(said).rstrip(".")}." The primary endpoint was '
        f"{opening.get('primary_endpoint')}; {_margin(opening)}."
        if said
        else " No hypothesis had been declared."
    )
    which = "" if times == 1 else f"; the scores given are of opening number {opening.get('number', times)}"
    sealed = f"The truth of the internal test was under seal during training{' and every choice' if times == 1 else ''}"
    return f"{sealed}, and was opened {often}{which}.{declared}"


def _margin(opening: Record) -> str:
    """By what the hypothesis is decided."""
    if opening.get("margin") is None:
        return "no margin was set for it, so the result is an estimate and decides nothing"
    return f"its whole interval had to clear {opening['margin']:g}"


def statistics(evaluation: Record | None) -> str:
    """Which interval for which score; "" where nothing was evaluated."""
    if not evaluation:
        return ""
    methods: dict[str, list[str]] = {}
    for score in evaluation["scores"]:
        method = str(score["interval"]["method"]).partition(" (effective")[0]
        if method and method != "none":
            methods.setdefault(method, []).append(score["name"])
    level = next((f"{100 * s['interval'].get('level', 0.95):g}" for s in evaluation["scores"]), "95")
    named = "; ".join(f"{method} for {_some(list(dict.fromkeys(names)))}" for method, names in methods.items())
    clustered = " Cases of one patient were not taken as independent." if evaluation["n_patients"] < evaluation["n_cases"] else ""
    return f"Intervals are {level} % confidence intervals: {named}.{clustered}" if named else ""


def _some(names: Sequence[str]) -> str:
    return words.listed([_small(n) for n in names[:3]]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def software(given: ReportInput) -> str:
    versions = given.provenance.get("versions") or {}
    if not versions:
        return ""
    named = [f"{shown} {versions[name]}" for name, shown in _PACKAGES.items() if name in versions]
    python = (given.provenance.get("machine") or {}).get("python")
    return f"Software: {', '.join(named)}{f', Python {python}' if python else ''}."


def results(given: ReportInput) -> list[str]:
    """The primary score first, then what is printed of it in every paper: one sentence each."""
    evaluation = given.evaluation
    if evaluation is None:
        return []
    head = primary(evaluation)
    first = [head] if head is not None else []
    calibration = ("calibration_slope", "observed_expected")
    objects = ("froc", "sensitivity_at_1fp", "lesion_sensitivity", "lesion_ppv", "fp_per_case", "pq", "ap50", "patient_auc")
    usual = ("auc", "sensitivity", "specificity", "accuracy", *calibration, "dice", "hd95", "mae", "bias", *objects)
    rest = [
        s for key in usual for s in evaluation["scores"]
        if s["metric"] == key and s is not head and s["interval"]["estimate"] is not None
    ]  # fmt: skip
    if evaluation["task"] in ("detection", "instances"):
        rest.sort(key=lambda s: s["subject"] != "mean")  # of several classes the means before each
    return [sentence(score) for score in [*first, *rest[:9]]]


def sentence(score: Record) -> str:
    """``The sensitivity for malignant was 69 % (29 of 42; 95 % CI 54 to 81).``"""
    subject = score["subject"]
    of = "" if subject in ("all", "") else " (mean)" if subject == "mean" else f" for {subject}"
    unsure = score["interval"].get("reason") if score["interval"]["low"] is not None else ""
    name = "Dice coefficient" if score["name"] == "Dice" else _small(score["name"])
    return f"The {name}{of} was {in_words(score)}{f'; {unsure}' if unsure else ''}."


def _small(name: str) -> str:
    """First letter small, unless the word is an abbreviation or a name."""
    first = name.split()[0] if name else ""
    keep = (
        first.isupper()
        or first in ("Dice", "Brier", "Matthews", "Hausdorff", "Cohen's", "Pearson", "R")
        or not first[1:].islower()
    )
    return name if keep else name[:1].lower() + name[1:]
