"""Limitations of a study, drafted from what its record shows; each with the fact that called for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from overread.reporting.given import Record, ReportInput
from overread.reporting.of_images import own_truth
from overread.reporting.paper.carried_over import fallen, uncalibrated, uncovered
from overread.reporting.paper.limitation import Limitation
from overread.reporting.paper.limitations_objects import of_objects
from overread.reporting.paper.undone import test_openings, times_opened
from overread.reporting.sections.results import primary
from overread.reporting.words import leaks_accepted, listed, partition_name

_FEW_PATIENTS = 50  # in the internal test: below, intervals of a mean can be too narrow (El Jurdi et al., arXiv 2307.10926)
_FEW_OF_A_CLASS = 20
_WIDE = 0.15  # of an interval of a share, end to end


def limitations(given: ReportInput) -> list[Limitation]:
    """The gravest first."""
    return [
        *_of_the_images(given),
        *_of_the_test(given),
        *of_objects(given.evaluation),
        *_of_the_reference(given),
        *_of_the_cohort(given),
        *_of_the_audit(given.audit),
        *_of_the_training(given),
    ]


def _of_the_images(given: ReportInput) -> Iterator[Limitation]:
    if given.is_phantom:
        yield Limitation("All images were computed phantoms; no result says anything about patients.", "phantom")
    if leaks := leaks_accepted(given.ledger):
        yield Limitation(
            f"Partitions were not apart: {leaks} {'leak' if leaks == 1 else 'leaks'} (a shared patient, or an identical image) "
            "between them had been accepted, so that scores are too good.",
            "ledger: leak accepted",
        )
    if given.settings and not given.settings.get("cohort", {}).get("by_patient"):
        yield Limitation(
            "Patients were not identified, so independence of the partitions cannot be claimed, and intervals that take cases "
            "as independent may be too narrow.",
            "no patient identifier",
        )


def _of_the_test(given: ReportInput) -> Iterator[Limitation]:
    internal = given.evaluations.get("internal")
    if internal is None:
        yield Limitation(
            "No internal test was made; scores come from tuning cases, on which decisions were fitted.", "no internal evaluation"
        )
    if internal is not None:
        yield from _of_what_did_not_hold(given, internal)
    if not _external(given):
        yield Limitation(
            "The model was not tested on external data; performance at other hospitals, on other scanners and in other "
            "patients may be lower.",
            "no external evaluation",
        )
    times = times_opened(given.ledger)
    if times > 1:
        yield Limitation(
            f"The internal test was opened {times} times; each opening after the first lets choices follow what was seen, and "
            "makes scores optimistic.",
            f"ledger: {times} openings",
        )
    if corrected := corrected_after_opening(given):
        yield Limitation(
            f"The reference standard of {corrected} {'case' if corrected == 1 else 'cases'} was corrected after the seal had "
            "first been opened; corrections that follow the model's answers favour the model.",
            "versions of the cohort",
        )
    if internal is not None:
        yield from _of_its_size(internal)


def _of_what_did_not_hold(given: ReportInput, internal: Record) -> Iterator[Limitation]:
    if lower := fallen(given.evaluations):
        yield Limitation(
            f"What was reached on tuning cases did not hold: {lower}. Either the test cases are of another kind, or choices were "
            "fitted too closely to the tuning cases.",
            "tuning cases against the internal test",
        )
    if found := uncalibrated(internal):
        yield Limitation(f"Probabilities did not mean what they say on the internal test: {found}.", "calibration")
    if found := uncovered(internal):
        yield Limitation(f"Stated sets did not hold the truth as often as stated: {found}.", "coverage")


def _of_its_size(evaluation: Record) -> Iterator[Limitation]:
    patients = evaluation["n_patients"]
    if patients < _FEW_PATIENTS:
        yield Limitation(
            f"The internal test was small ({patients} patients), so that estimates are uncertain and some intervals too narrow.",
            f"{patients} patients",
        )
    if not (evaluation.get("opening") or {}).get("hypothesis"):
        yield Limitation("No hypothesis was declared in advance; all results are exploratory.", "no hypothesis in the ledger")
    head = primary(evaluation)
    if head is not None:
        low, high = head["interval"]["low"], head["interval"]["high"]
        is_share = not head.get("unit") and head.get("better") == "higher"
        if is_share and low is not None and high is not None and high - low > _WIDE:
            yield Limitation(
                f"The interval of the {'primary endpoint' if head['role'] == 'primary' else 'first score'} is wide "
                f"({low:.2f} to {high:.2f}).",
                "width of the interval",
            )
    refused = sum(bool(case.get("refused")) for case in evaluation["cases"])
    if refused:
        yield Limitation(
            f"The model gave no answer for {refused} of {evaluation['n_cases']} cases; they count as errors.", "refused cases"
        )
    exploratory = sum(s["role"] == "exploratory" for s in evaluation["scores"])
    if exploratory > 1:
        yield Limitation(f"{exploratory} scores were exploratory and not corrected for their number.", "roles of the scores")


def _of_the_reference(given: ReportInput) -> Iterator[Limitation]:
    if given.is_phantom or own_truth(given.question):
        return
    truth = given.settings.get("truth", {})
    missing = [name for name in ("reader", "method") if truth.get(name, "unknown") in ("", "unknown", None)]
    if missing and not given.answer("claim.14"):
        yield Limitation(
            "How the reference standard came about was not recorded, so its errors cannot be judged.", "project.toml"
        )
    if not given.answer("claim.18"):
        yield Limitation(
            "Agreement among readers was not measured; the reference standard was taken as free of error.", "no reads of readers"
        )
    if not given.answer("study.interval"):
        yield Limitation("The time between imaging and reference standard was not stated.", "claim.toml: study.interval")


def _of_the_cohort(given: ReportInput) -> Iterator[Limitation]:
    sites = {level for p in given.partitions for level in (p.get("levels") or {}).get("Site", {}) if level != "not known"}
    if len(sites) == 1:
        yield Limitation("All cases came from one site.", "one site")
    elif not sites and not given.is_phantom:
        yield Limitation("The sites of the cases were not recorded.", "no site")
    few = [
        f"{n} of {name} in {partition_name(p['partition'])}"
        for p in given.partitions
        for name, n in (p.get("classes") or {}).items()
        if isinstance(n, int) and n < _FEW_OF_A_CLASS
    ]
    if few:
        yield Limitation(f"Some classes were rare: {listed(few)}.", f"fewer than {_FEW_OF_A_CLASS} cases of a class")
    sampling = ((given.evaluation or {}).get("sampling") or {}).get("sampling")
    if sampling == "enriched" or "enriched" in given.answer("study.sampling").lower():
        yield Limitation(
            "Positive cases were sought out, so predictive values, average precision and calibration do not hold in practice, "
            "but at a stated prevalence.",
            "sampling: enriched",
        )
    elif sampling == "unknown" and not given.answer("study.sampling"):
        yield Limitation(
            "How the cases were sampled was not stated, so predictive values, average precision and calibration may hold at the "
            "share of positives of these cases only.",
            "sampling: unknown",
        )
    named = {name.lower() for p in given.partitions for name in [*(p.get("numbers") or {}), *(p.get("levels") or {})]}
    unknown = [name for name in ("age", "sex") if not any(name in known for known in named)]
    if unknown and not given.is_phantom:
        yield Limitation(
            f"{listed(unknown).capitalize()} of the patients {'was' if len(unknown) == 1 else 'were'} not known.", "sheet"
        )
    if not any(e.get("subgroups") for e in given.evaluations.values()):
        yield Limitation("Performance in subgroups of patients was not examined.", "no subgroups")


def _of_the_audit(audit: Mapping[str, Any] | None) -> Iterator[Limitation]:
    if audit is None:
        yield Limitation("Shortcuts (markers, borders, traits of scanners) were not searched for.", "no audit")
        return
    for concern in audit.get("concerns") or []:
        if concern.get("severity") in ("fault", "warning"):
            yield Limitation(str(concern["statement"]), f"audit: {concern['key']}")


def _of_the_training(given: ReportInput) -> Iterator[Limitation]:
    split = given.settings.get("split", {})
    if split.get("scheme") == "folds" and 0 < len(given.events) < split.get("folds", 0):
        yield Limitation(
            f"Of {split['folds']} folds {len(given.events)} had been trained; cases of the others were not tested.", "runs"
        )
    if given.plan:
        yield Limitation(
            "One training was evaluated; the spread from one random seed to another is not in the intervals.", "one seed"
        )


def _external(given: ReportInput) -> bool:
    return any(name.startswith("external") or e.get("external") for name, e in given.evaluations.items())


def first_opening(given: ReportInput) -> str | None:
    """When the seal of the internal test was first opened (ISO time); None where never."""
    return min((str(e["time"]) for e in test_openings(given.ledger) if e.get("time")), default=None)


def corrected_after_opening(given: ReportInput) -> int:
    """Cases whose truth was corrected in a version of the cohort made after the seal was first opened."""
    first = first_opening(given)
    if first is None:
        return 0
    later = [v for v in given.versions if str(v.get("time", "")) > first]
    return sum(count((v.get("changed") or {}).get("corrected_truths")) for v in later)


def count(value: Any) -> int:
    """A count, or the length of a list of what is counted."""
    return value if isinstance(value, int) else len(value or [])
