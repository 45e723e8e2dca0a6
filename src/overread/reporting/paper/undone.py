"""What was not done, derived from the record: a report that is silent about it flatters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.of_images import KINDS
from overread.reporting.words import leaks_accepted

_FEW = 30  # a proportion of fewer cases has an interval too wide to carry a decision


def undone(
    settings: Mapping[str, Any],
    evaluations: Mapping[str, Mapping[str, Any]],
    partitions: Sequence[Mapping[str, Any]],
    ledger: Sequence[Mapping[str, Any]],
    seed: int,
    is_phantom: bool,
    audit: Mapping[str, Any] | None = None,
    *,
    is_tried: bool = False,
    is_explained: bool = False,
) -> list[tuple[str, str]]:
    """(what was not done, what follows from it), the gravest first.

    audit     audit.json, where an audit was made: shortcuts are looked for there
    is_tried  the model read degraded images
    is_explained  attribution methods stood their trial on the model
    """
    items = [
        *_about_the_test(evaluations, ledger),
        *_about_the_truth(settings),
        *_about_the_cohort(settings, evaluations, partitions, ledger),
    ]
    if not any(name.startswith("external") for name in evaluations):
        items.append(
            (
                "No external testing.",
                "Training and test cases are of one collection. Scores at another hospital, on other scanners or in other "
                "patients may be lower.",
            )
        )
    items.append(
        (
            "No comparison with readers is part of this report.",
            "It does not tell how radiologists do on these cases, alone or with the model.",
        )
    )
    items.append(("One random seed.", _one_seed(evaluations, seed)))
    if not any(e.get("subgroups") for e in evaluations.values()):
        follows = "Scores were not broken down by age, sex, site or scanner; a group may be served worse than the mean."
        items.append(("No subgroups.", follows))
    if not is_tried:
        items.append(
            ("No test of robustness.", "How far noise, blur, motion or another reconstruction lower scores is not known.")
        )
    if not is_explained:
        follows = "What the model looks at is not known. A map shown elsewhere was not put to the test on this model."
        items.append(("No trial of explanations.", follows))
    if audit is None:
        items.append(
            ("No search for shortcuts.", "Whether the model relies on markers, devices or scanner traits was not examined.")
        )
    items.append(("No study of use.", "Whether the answers change decisions or help patients was not studied."))
    if is_phantom:
        items.insert(0, ("No patients.", "Every image is a computed phantom. No score on this page is evidence about patients."))
    return items


def _one_seed(evaluations: Mapping[str, Mapping[str, Any]], seed: int) -> str:
    folds = max((len(e.get("folds") or ()) for e in evaluations.values()), default=0)
    covers = "give somewhat different scores; the intervals"
    if folds:
        return (
            f"The {folds} networks were trained with seed {seed} on one division into folds. Others would {covers} take these "
            "networks as given and do not cover this."
        )
    return f"This run was trained with seed {seed}. Another seed would {covers} do not cover this."


def times_opened(ledger: Sequence[Mapping[str, Any]]) -> int:
    """How often the internal test was opened; with folds, how often the fold that was opened most."""
    openings = Counter(str(entry.get("partition", "internal")) for entry in test_openings(ledger))
    return max(openings.values(), default=0)


def test_openings(ledger: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Openings of the internal test, without those of external cohorts."""
    return [e for e in ledger if e.get("entry") == "opening" and not str(e.get("partition", "")).startswith("external")]


def _about_the_test(evaluations: Mapping[str, Mapping[str, Any]], ledger: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    items = []
    openings = times_opened(ledger)
    internal = evaluations.get("internal")
    if internal is None:
        items.append(
            (
                "The internal test was not evaluated for this run.",
                "Scores here, if any, come from tuning cases, on which decisions of the model were fitted and settings may have "
                "been chosen. Expect less on new cases.",
            )
        )
    elif not (internal.get("opening") or {}).get("hypothesis"):
        items.append(("No hypothesis was declared before the internal test was opened.", "All its scores are exploratory."))
    elif internal["opening"].get("margin") is None:
        items.append(
            (
                "No margin was declared.",
                "The hypothesis is neither confirmed nor refuted: the primary endpoint is an estimate with its interval.",
            )
        )
    if openings > 1:
        items.append(
            (
                f"The internal test was not kept for one use: it was opened {openings} times.",
                "Each opening after the first makes its scores more optimistic.",
            )
        )
    exploratory = sum(s["role"] == "exploratory" for s in (internal or {}).get("scores", ()))
    if exploratory:
        items.append(
            (
                "No correction for multiple comparisons.",
                f"{exploratory} exploratory scores are shown; some will look good, or bad, by chance.",
            )
        )
    return items


def _about_the_truth(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    asked = settings.get("question", {})
    if asked.get("task") in KINDS and not asked.get("guides"):  # the truth is an image, which nobody gave
        return []
    truth = settings.get("truth", {})
    items = []
    if truth.get("reader", "unknown") in ("", "unknown") or truth.get("method", "unknown") in ("", "unknown"):
        items.append(
            (
                "The reference standard is not described.",
                "Who established it, and how, is not recorded in project.toml ([truth] reader and method). A model cannot be "
                "better than its reference standard.",
            )
        )
    items.append(
        (
            "No agreement among readers.",
            "One reference standard per case was used; how far readers would differ was not measured.",
        )
    )
    return items


def _about_the_cohort(
    settings: Mapping[str, Any],
    evaluations: Mapping[str, Mapping[str, Any]],
    partitions: Sequence[Mapping[str, Any]],
    ledger: Sequence[Mapping[str, Any]],
) -> list[tuple[str, str]]:
    items = []
    if leaks := leaks_accepted(ledger):
        items.append(
            (
                "The partitions are not apart.",
                f"{leaks} leaks (shared patients, or identical images) between them were accepted; scores are too good.",
            )
        )
    if not settings.get("cohort", {}).get("by_patient"):
        items.append(
            (
                "No grouping by patient.",
                "No patient identifier was known. If a patient has several cases, partitions may share patients; "
                "scores are then too good and intervals too narrow.",
            )
        )
    known = {name.lower() for p in partitions for name in [*(p.get("numbers") or {}), *(p.get("levels") or {})]}
    missing = [name for name in ("age", "sex", "site", "scanner") if not any(name in k for k in known)]
    if missing:
        items.append((f"Not recorded: {', '.join(missing)}.", "Whom the cases represent can be judged only in part."))
    shown = evaluations.get("internal") or evaluations.get("tuning")
    if shown and shown["n_patients"] < _FEW:
        items.append(
            ("No sample size calculation.", f"With {shown['n_patients']} patients, read the intervals, not the estimates.")
        )
    return items
