"""Model card and data card as Markdown, from the record and the author's answers; what neither holds says so.

Model card: Mitchell et al., Model Cards for Model Reporting, FAT* 2019; with the fields that radiology's registries ask for
(name, version, licence, authors, input, output, architecture, workflow phase, benefit, limitations, recommendations).
Data card: Gebru et al., Datasheets for Datasets, Communications of the ACM 2021;64(12):86.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from overread.core.question import PICTURES
from overread.reporting.given import ReportInput
from overread.reporting.of_images import own_truth
from overread.reporting.paper import facts, facts_model
from overread.reporting.paper.limitations import limitations
from overread.reporting.proportions import in_words
from overread.reporting.sections.results import OF_OBJECTS, ROLES
from overread.reporting.words import listed, partition_name, partition_table, question_sentence

NEEDS = "**Needs author**"
_WARNING = "> For research. Not a medical device. Not to be used for the diagnosis or treatment of patients."
_PHANTOM = "> **PHANTOM.** Every image was computed. Nothing here is evidence about patients."


def model_card(given: ReportInput) -> str:
    """The model, what it is for, how it was tested, and where it fails."""
    sections = [
        ("Model", _details(given)),
        (
            "Intended use",
            [
                f"Question: {question_sentence(given.question)}",
                _asked(given, "study.use", "Use, user and moment in the workflow"),
                _asked(given, "study.not_for", "Out of scope"),
                _asked(given, "study.benefit", "Hoped-for benefit"),
            ],
        ),
        ("Input and output", _input_and_output(given)),
        ("Factors", _factors(given)),
        ("Metrics and decisions", _metrics(given)),
        ("Training data", _data_of(given, ("training", "tuning"))),
        ("Evaluation data", [*_data_of(given, ("internal",)), facts.openings(given)]),
        ("Results", _results(given)),
        ("Ethics", _ethics(given)),
        ("Limitations and recommendations", [*_limits(given), _asked(given, "claim.41", "Recommendations for use")]),
    ]
    return _page(f"Model card: {given.title}, run {given.run}", given, sections)


def data_card(given: ReportInput) -> str:
    """The images and their truth: why, whence, how prepared, how divided, for what they may be used."""
    truth = given.settings.get("truth", {})
    sections = [
        (
            "Motivation",
            [
                f"Question put to the data: {question_sentence(given.question)}",
                _asked(given, "claim.3", "Why the data were brought together"),
                _asked(given, "claim.44", "Funding"),
            ],
        ),
        (
            "Composition",
            [
                f"Partitions: {facts.partitions(given)}.",
                *_table(given),
                _asked(given, "study.patients", "Whom the cases represent"),
            ],
        ),
        (
            "Collection",
            ["Computed; no patient took part.", facts.flow(given)]
            if given.is_phantom
            else [
                _asked(given, "claim.7", "Sources"),
                _asked(given, "study.period", "Years of the images"),
                _asked(given, "study.sampling", "Sampling"),
                facts.flow(given) or f"{NEEDS}: no data flow was recorded.",
                _asked(given, "study.consent", "Consent"),
                _asked(given, "study.ethics", "Ethics approval"),
            ],
        ),
        (
            "Labels (reference standard)",
            [own_truth(given.question)]
            if own_truth(given.question)
            else ["Computed together with the images."]
            if given.is_phantom
            else [
                _recorded("Given by", truth.get("reader")),
                _recorded("Established by", truth.get("method")),
                _asked(given, "study.interval", "Time between imaging and reference standard"),
                _asked(given, "claim.18", "Agreement among readers"),
            ],
        ),
        (
            "Preparation and de-identification",
            [
                facts_model.preparation(given.plan) or f"{NEEDS}: no plan was recorded.",
                "Cases are named by pseudonyms; the link to the originals stays in the project folder (cohort/private).",
                _asked(given, "claim.11", "De-identification of the images"),
            ],
        ),
        ("Division", [facts.division(given), *_audit(given)]),
        (
            "Use, distribution and upkeep",
            [
                _asked(given, "study.data_licence", "Licence or agreement"),
                _asked(given, "study.availability", "Where the data can be had"),
                _asked(given, "study.maintenance", "Upkeep"),
            ],
        ),
        ("Versions", _versions(given)),
    ]
    return _page(f"Data card: {given.title}", given, sections)


def _page(title: str, given: ReportInput, sections: Sequence[tuple[str, Iterable[str]]]) -> str:
    lines = [f"# {_plain(title)}", "", _WARNING, *([_PHANTOM] if given.is_phantom else []), ""]
    lines += [f"Written {given.created} by `overread report` from the record of the run and the answers in claim.toml.", ""]
    for heading, entries in sections:
        lines += [f"## {heading}", ""]
        for entry in entries:
            lines += ["", entry, ""] if entry.startswith("|") else [f"- {entry}"]
        lines.append("")
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def _asked(given: ReportInput, name: str, what: str) -> str:
    answer = given.answer(name)
    return f"{what}: {_plain(answer)}" if answer else f"{what}: {NEEDS} (claim.toml: {name})"


def _recorded(what: str, value: object) -> str:
    return f"{what}: {_plain(str(value))}" if value not in (None, "", "unknown") else f"{what}: {NEEDS} (project.toml: truth)"


def _details(given: ReportInput) -> list[str]:
    sha = given.model.get("sha256")
    versions = given.provenance.get("versions") or {}
    return [
        f"Name: {_plain(given.title)}; version: run {given.run}, written {given.created}",
        f"Fingerprint: `{sha}`" if sha else f"Fingerprint: {NEEDS} (no frozen model was found in this run)",
        f"Architecture: {facts_model.network(given) or NEEDS}",
        f"Training: {facts_model.training(given) or NEEDS}",
        f"Software: Overread {versions.get('overread', 'of unknown version')}",
        _asked(given, "study.authors", "Authors and contact"),
        _asked(given, "study.licence", "Licence of the model"),
        _asked(given, "study.citation", "Citation"),
    ]


def _input_and_output(given: ReportInput) -> list[str]:
    made = given.plan.get("preparation") or {}
    channels = listed(list(made.get("channels") or [])) if made.get("channels") else NEEDS
    units = f" in {made['units']}" if made.get("units") else ""
    outputs = listed(list(given.question["classes"]))
    kind = {
        "classification": "a probability for",
        "segmentation": "outlines of",
        "regression": "a number for",
        "detection": "boxes with scores around each",
        "instances": "an outline with a score for each",
        **dict.fromkeys(PICTURES, "an image of"),
        "synthesize": "made images of",
    }[given.question["task"]]
    once = "" if given.question["task"] == "synthesize" else f", one answer per {given.question.get('unit', 'exam')}"
    return [
        f"Input: {channels}{units.removesuffix('.')}. {facts_model.preparation(given.plan)}".strip(),
        f"Output: {kind} {outputs}{once}",
    ]


def _factors(given: ReportInput) -> list[str]:
    examined = [row for e in given.evaluations.values() for row in e.get("subgroups") or []]
    if not examined:
        return ["Subgroups (age, sex, site, scanner): not examined in this run."]
    return [_plain(str(row["sentence"])) for row in examined if row.get("sentence")]


def _metrics(given: ReportInput) -> list[str]:
    evaluation = given.evaluation
    if evaluation is None:
        return ["No evaluation was made."]
    return [entry for entry in (facts.operating_points(evaluation), facts.statistics(evaluation)) if entry] or [NEEDS]


def _data_of(given: ReportInput, partitions: tuple[str, ...]) -> list[str]:
    found = [p for p in given.partitions if p["partition"] in partitions] or [
        p for p in given.partitions if str(p["partition"]).startswith("fold")
    ]
    return [
        f"{partition_name(p['partition']).capitalize()}: {facts.people(given, p['cases'], p['patients'])}" for p in found
    ] or [NEEDS]


def _results(given: ReportInput) -> list[str]:
    evaluation = given.evaluation
    if evaluation is None:
        return ["No evaluation was made."]
    head = "Internal test" if given.shown == "internal" else "Tuning cases (not a test; expect less on new ones)"
    lines = ["| Score | Of | Value | Cases (patients) | Role |", "|---|---|---|---|---|"]
    for score in sorted(evaluation["scores"], key=lambda s: s["role"] != "primary"):
        interval = score["interval"]
        rests = f"{interval['n_cases']}{' objects' if score['metric'] in OF_OBJECTS else ''} ({interval['n_patients']})"
        cells = (score["name"], score["subject"], in_words(score), rests, ROLES.get(score["role"], ""))
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return [f"{head}: {facts.people(given, evaluation['n_cases'], evaluation['n_patients'])}.", "\n".join(lines)]


def _cell(text: str) -> str:
    return _plain(str(text)).replace("|", "\\|")


def _ethics(given: ReportInput) -> list[str]:
    if given.is_phantom:
        return ["No patient took part: the images were computed."]
    return [
        _asked(given, "study.ethics", "Approval"),
        _asked(given, "study.consent", "Consent"),
        _asked(given, "study.harm", "What a wrong answer could do"),
    ]


def _limits(given: ReportInput) -> list[str]:
    return [_plain(found.sentence) for found in limitations(given)]


def _table(given: ReportInput) -> list[str]:
    if not given.partitions:
        return []
    heads = [partition_name(p["partition"]) for p in given.partitions]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for name, cells, is_heading in partition_table(given.partitions):
        shown = [f"**{_cell(name)}**", *[""] * len(heads)] if is_heading else [_cell(name), *map(_cell, cells)]
        lines.append(f"| {' | '.join(shown)} |")
    return ["\n".join(lines)]


def _audit(given: ReportInput) -> list[str]:
    if given.audit is None:
        return ["Audit: none was made (`overread audit`)."]
    concerns = given.audit.get("concerns") or []
    counts = {s: sum(c.get("severity") == s for c in concerns) for s in ("fault", "warning", "note")}
    return [f"Audit: {counts['fault']} faults, {counts['warning']} warnings, {counts['note']} notes; see audit/audit.html."]


def _versions(given: ReportInput) -> list[str]:
    return [
        f"Version {v['version']} ({str(v['time'])[:10]}, {v['reason']}): {v['cases']} cases of {v['patients']} patients, "
        f"`{str(v['digest'])[:19]}`"
        for v in given.versions
    ] or ["No version was recorded."]
