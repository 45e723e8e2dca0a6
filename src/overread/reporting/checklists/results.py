"""What the record knows of items 22 to 43: model, training, evaluation, results."""

from __future__ import annotations

from overread.reporting.checklists.known import Known, Maker, member_file, partly, run_file, whole
from overread.reporting.given import ReportInput
from overread.reporting.paper import facts, facts_model
from overread.reporting.paper.limitations import limitations
from overread.reporting.paper.undone import times_opened
from overread.reporting.sections.baseline import model_sentence
from overread.reporting.sections.explanations import tried_words
from overread.reporting.words import listed, partition_name


def _model(given: ReportInput) -> Known:
    if given.fitted:
        return whole(model_sentence(given.fitted), "report.html#plan", member_file(given, "baseline.json"))
    shape = facts_model.network(given)
    sha = given.model.get("sha256")
    text = f"{shape}{f' Model file {str(sha)[:19]}.' if sha else ''}" if shape else ""
    return whole(text, "report.html#plan", member_file(given, "plan.toml"), member_file(given, "model/model.json"))


def _software(given: ReportInput) -> Known:
    return whole(facts.software(given), "report.html#reproduce")


def _start(given: ReportInput) -> Known:
    if given.fitted:
        return Known("No network, so no weights that began from others.", ("report.html#plan",), does_not_apply=True)
    text = facts_model.start_of_weights(given.plan, given.events)
    proof = ("report.html#plan", member_file(given, "plan.toml"))
    loaded = given.plan.get("weights", "random") != "random"  # whose weights, learned from what, only the author can say
    return partly(text, *proof) if loaded else whole(text, *proof)


def _training(given: ReportInput) -> Known:
    if given.fitted:
        tried = "; ".join(f"{row['model']}, {row['setting']}" for row in given.fitted["tried"])
        return whole(f"Fitted and compared: {tried}.", "report.html#training", member_file(given, "baseline.json"))
    has_events = any(e.get("event") == "epoch" for rows in given.events.values() for e in rows)
    text = facts_model.training(given) if has_events else ""
    return whole(
        text, "report.html#plan", "report.html#training", member_file(given, "plan.toml"), member_file(given, "events.jsonl")
    )


def _final(given: ReportInput) -> Known:
    if given.fitted:
        text = f"The lowest loss on tuning cases: {given.fitted['chosen']}."
        return whole(text, "report.html#training", member_file(given, "baseline.json"))
    return whole(facts_model.final_model(given), "report.html#training", member_file(given, "plan.toml"))


def _ensemble(given: ReportInput) -> Known:
    several = len(given.events) > 1
    text = (
        f"One {'model' if given.fitted else 'network'} answers each case."
        if not several
        else "Each case was answered by the one network that had not seen its fold."
    )
    return Known(text, ("report.html#training",), does_not_apply=True) if given.events else Known()


def _metrics(given: ReportInput) -> Known:
    names = list(dict.fromkeys(s["name"] for s in (given.evaluation or {}).get("scores", ())))
    text = f"Computed: {listed(names)}; each with its formula." if names else ""
    return partly(f"{text} {facts.objects(given)}".strip(), "report.html#results")


def _uncertainty(given: ReportInput) -> Known:
    return whole(facts.statistics(given.evaluation), "report.html#results")


def _robustness(given: ReportInput) -> Known:
    if given.robustness:
        tried = list(dict.fromkeys(row["title"].lower() for found in given.robustness.values() for row in found["rows"]))
        return whole(f"Drop of the score on tuning cases under {listed(tried)}.", "report.html#robustness")
    return partly("No analysis of robustness was made in this run.", "report.html#undone")


def _explanations(given: ReportInput) -> Known:
    if not given.explanations:
        return Known("No explanation of answers was made or shown.", does_not_apply=True)
    told = [tried_words(records.get("trial")) for records in given.explanations.values()]
    return whole(" ".join(dict.fromkeys(told)), "report.html#explanations", run_file(given, "explanation.html"))


def _internal(given: ReportInput) -> Known:
    evaluation = given.evaluations.get("internal")
    if evaluation is None:
        return partly("The internal test was not evaluated for this run.", "report.html#undone")
    times = times_opened(given.ledger)
    text = f"{facts.people(given, evaluation['n_cases'], evaluation['n_patients'])}; the seal was opened {_times(times)}."
    text += " Tuning scores stand beside." if "tuning" in given.evaluations else ""
    return whole(text, "report.html#results", "report.html#seal", run_file(given, "evaluation-internal.json"))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _external(given: ReportInput) -> Known:
    names = [name.partition(":")[2] for name in given.evaluations if name.startswith("external")]
    if names:
        return partly(f"Tested on {listed(names)} with model and threshold frozen.", "report.html#results")
    return partly("Not tested on external data; drafted as a limitation.", "report.html#limitations")


def _numbers(given: ReportInput) -> Known:
    text = facts.flow(given)
    return partly(f"{text} From the first import on; what came before is the author's." if text else "", "report.html#flow")


def _characteristics(given: ReportInput) -> Known:
    named = list(dict.fromkeys(n for p in given.partitions for n in [*(p.get("numbers") or {}), *(p.get("levels") or {})]))
    classes = any(p.get("classes") or p.get("quantities") for p in given.partitions)
    have = [*(["the reference standard"] if classes else []), *named]
    return partly(f"By partition: {listed(have)}." if have else "", "report.html#partitions")


def _performance(given: ReportInput) -> Known:
    if not given.evaluations:
        return Known()
    where = listed([partition_name(name) for name in given.evaluations])
    groups = any(e.get("subgroups") for e in given.evaluations.values())
    text = f"On {where}, with intervals and counts. {'By subgroup too.' if groups else 'Subgroups were not examined.'}"
    proof = ("report.html#results", *(run_file(given, f"evaluation-{name.replace(':', '-')}.json") for name in given.evaluations))
    return whole(text, *proof) if groups and "internal" in given.evaluations else partly(text, *proof)


def _accuracy(given: ReportInput) -> Known:
    evaluation = given.evaluation
    if evaluation is None:
        return Known()
    scores = " ".join(facts.results(given)[:4])
    calibrated = bool((evaluation.get("curves") or {}).get("calibration"))
    more = [" Calibration is drawn." if calibrated else "", "" if evaluation.get("subgroups") else " Groups were not compared."]
    is_whole = (
        given.shown == "internal" and (calibrated or evaluation["task"] != "classification") and evaluation.get("subgroups")
    )
    return (whole if is_whole else partly)(f"{scores}{''.join(more)}", "report.html#results")


def _failures(given: ReportInput) -> Known:
    shown = sum(len(panels) for panels in given.panels.values())
    parts = [
        _errors_listed(given),
        "Confusion counts are in the report." if (given.evaluation or {}).get("confusion") else "",
        f"{shown} cases are pictured, worst, median and random, chosen by rule." if shown else "",
        "Every case is ranked by its error in the evaluation file." if given.evaluation else "",
    ]
    return partly(" ".join(part for part in parts if part), "report.html#results", "report.html#cases")


def _errors_listed(given: ReportInput) -> str:
    """False positives and misses; "" where the answers are no objects."""
    items = [item["state"] for case in (given.evaluation or {}).get("cases", ()) for item in case.get("objects") or ()]
    wrong, missed = items.count("false"), items.count("missed")
    return f"All {wrong} false positives and {missed} misses are listed with score, size and what they are." if items else ""


def _limitations(given: ReportInput) -> Known:
    return partly(f"{len(limitations(given))} limitations were drafted from the record.", "report.html#limitations")


def _technical(given: ReportInput) -> Known:
    hashes = given.provenance.get("hashes") or {}
    text = "; ".join(f"{name} {str(sha)[:19]}" for name, sha in hashes.items())
    return partly(f"Fingerprints: {text}." if text else "", "report.html#reproduce")


def _availability(given: ReportInput) -> Known:
    licences = (given.model.get("training") or {}).get("licences") or {}
    text = (
        f"Licence of the code: {licences['code']}; of the weights: {licences.get('weights', 'not known')}."
        if "code" in licences
        else ""
    )
    return partly(text, member_file(given, "model/model.json"))


RESULTS: dict[int, Maker] = {
    22: _model,
    23: _software,
    24: _start,
    25: _training,
    26: _final,
    27: _ensemble,
    28: _metrics,
    29: _uncertainty,
    30: _robustness,
    31: _explanations,
    32: _internal,
    33: _external,
    35: _numbers,
    36: _characteristics,
    37: _performance,
    38: _accuracy,
    39: _failures,
    40: _limitations,
    42: _technical,
    43: _availability,
}
