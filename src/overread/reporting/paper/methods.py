"""Methods and results as a draft to paste: every fact from the record, every gap said."""

from __future__ import annotations

from overread.reporting.given import ReportInput
from overread.reporting.of_images import own_truth
from overread.reporting.page import upper_first
from overread.reporting.paper import facts, facts_model
from overread.reporting.paper.facts import not_stated
from overread.reporting.paper.limitations import limitations
from overread.reporting.sections.baseline import model_sentence
from overread.reporting.sections.results import primary
from overread.reporting.words import partition_name, question_sentence


def methods_text(given: ReportInput) -> list[tuple[str, str]]:
    """(heading, paragraph), in the order of a paper."""
    found = [
        ("Study and patients", _patients(given)),
        ("Reference standard", _reference(given)),
        ("Partitions", _partitions(given)),
        ("Image preparation and model", _model(given)),
        ("Testing and statistics", _testing(given)),
        ("Results", _results(given)),
    ]
    return [(heading, " ".join(paragraph.split())) for heading, paragraph in found]


def as_text(given: ReportInput) -> str:
    """The draft as one plain text, for a file."""
    head = (
        f"Draft for {given.title}, run {given.run}, {given.created}. From the record of Overread; not reviewed by the authors.\n"
    )
    limits = " ".join(found.sentence for found in limitations(given))
    return (
        "\n\n".join([head, *(f"{heading}\n{text}" for heading, text in (*methods_text(given), ("Limitations", limits)))]) + "\n"
    )


def _said(given: ReportInput, name: str, what: str) -> str:
    """The author's answer as a sentence, or the gap."""
    answer = given.answer(name)
    return f"{answer.rstrip('.')}." if answer else f"{not_stated(f'{what} ({name})')}."


def _patients(given: ReportInput) -> str:
    if given.is_phantom:
        return f"All images were computed phantoms; no patient took part. {facts.flow(given)}"
    return " ".join(
        [
            _said(given, "claim.5", "prospective or retrospective"),
            _said(given, "study.ethics", "ethics approval and its number"),
            _said(given, "study.consent", "consent"),
            _said(given, "claim.7", "where the images come from"),
            _said(given, "study.period", "years of the images"),
            _said(given, "claim.8", "criteria of inclusion and exclusion before the images came here"),
            _sampling(given),
            facts.flow(given),
        ]
    )


def _sampling(given: ReportInput) -> str:
    stated = ((given.evaluation or {}).get("sampling") or {}).get("sampling")
    if stated in (None, "unknown") or given.answer("study.sampling"):
        return _said(given, "study.sampling", "how cases were sampled")
    return "Cases were consecutive." if stated == "consecutive" else "The sample was enriched: positive cases were sought out."


def _reference(given: ReportInput) -> str:
    truth = given.settings.get("truth", {})
    reader, method = (_known(truth.get(name)) for name in ("reader", "method"))
    asked = f"The question was: {question_sentence(given.question)}"
    by = f"The reference standard was given by {reader}." if reader else f"{not_stated('who gave the reference standard')}."
    how = f"It was established by {method}." if method else f"{not_stated('how the reference standard was established')}."
    if own := own_truth(given.question):
        return f"{asked} {own}"
    if given.is_phantom:
        return f"{asked} The reference standard was computed together with the images."
    extra = given.answer("claim.14")
    gap = _said(given, "study.interval", "time between imaging and reference standard")
    return " ".join([asked, by, how, f"{extra.rstrip('.')}." if extra else "", gap])


def _known(words: object) -> str:
    return str(words) if words and words != "unknown" else ""


def _partitions(given: ReportInput) -> str:
    said = f"The partitions were: {facts.partitions(given)}." if given.partitions else f"{not_stated('partitions')}."
    return f"{said} {facts.division(given)}"


def _model(given: ReportInput) -> str:
    if given.fitted:
        return f"{model_sentence(given.fitted)} {facts.software(given)}".strip()
    if not given.plan:
        return f"{not_stated('the model; no plan was recorded')}."
    return " ".join(
        [
            facts_model.preparation(given.plan),
            facts_model.network(given),
            facts_model.start_of_weights(given.plan, given.events),
            facts_model.training(given),
            facts_model.final_model(given),
            facts.software(given),
        ]
    )


def _testing(given: ReportInput) -> str:
    if given.evaluation is None:
        return f"{not_stated('no evaluation was made')}."
    rules = " ".join(f"{str(rule).rstrip('.')}." for name, rule in given.evaluation["rules"].items() if name == "empty_truth")
    return " ".join(
        [
            facts.openings(given),
            facts.objects(given),
            facts.operating_points(given.evaluation),
            facts.statistics(given.evaluation),
            upper_first(rules),
        ]
    )


def _results(given: ReportInput) -> str:
    evaluation = given.evaluation
    if evaluation is None:
        return f"{not_stated('no evaluation was made')}."
    where = "the internal test" if given.shown == "internal" else "tuning cases, on which decisions were fitted (not a test)"
    counts = f"On {where} ({facts.people(given, evaluation['n_cases'], evaluation['n_patients'])}):"
    return " ".join([counts, *facts.results(given), *_opening_result(given), *_elsewhere(given)])


def _elsewhere(given: ReportInput) -> list[str]:
    """The primary endpoint of each external test."""
    told = []
    for name, evaluation in sorted(given.evaluations.items()):
        score = primary(evaluation) if name.startswith("external") else None
        if score is not None:
            size = facts.people(given, evaluation["n_cases"], evaluation["n_patients"])
            told.append(f"On the {partition_name(name)} ({size}): {facts.sentence(score)}")
    return told


def _opening_result(given: ReportInput) -> list[str]:
    opening = (given.evaluation or {}).get("opening") or {}
    met = opening.get("endpoint_met")
    if met is None:
        return []
    return [f"The primary endpoint ({opening['primary_endpoint']}, margin {opening['margin']:g}) was {'' if met else 'not '}met."]
