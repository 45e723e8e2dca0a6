"""Plain sentences about the question, the partitions and the settings of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.imaging.degrade.simulated import parse_degradation
from overread.reporting.of_images import is_unpaired, own_truth, task_title

PARTITIONS = {"training": "training", "tuning": "tuning", "internal": "internal test", "answers": "given answers"}


def partition_name(key: str) -> str:
    """``internal`` -> ``internal test``, ``external:north`` -> ``external test, north``."""
    kind, _, name = key.partition(":")
    return f"external test{f', {name}' if name else ''}" if kind == "external" else PARTITIONS.get(key, key)


_EACH = "each class against the others"
_MOST_LEVELS = 12  # values of a column that are named in a sentence
_YES = {"yes", "true", "1", "positive", "pos", "present", "y"}  # classes that say nothing without their column
_UNITS = {"lesion": "lesion", "side": "side of the body", "exam": "exam", "patient": "patient"}


_IMAGES = {
    "autoencode": "How well can the image{answer} of each {unit} be made again from a short code of it?",
    "vae": "How well can the image{answer} of each {unit} be made again from a short code of it, and what do drawn codes show?",
    "translate": "What would the image{answer} of each {unit} look like, seen from {given}?",
    "restore": "What did the image{answer} of each {unit} look like before it was made worse?",
    "synthesize": "What could further images{answer} like these look like?",
}


def question_sentence(question: Mapping[str, Any]) -> str:
    """The question as a radiologist would ask it."""
    unit = _UNITS.get(question.get("unit", "exam"), "exam")
    classes = list(question["classes"])
    if question["task"] == "segmentation":
        return f"Where in each {unit} {'is' if len(classes) == 1 else 'are'} {listed(classes)}?"
    if question["task"] == "detection":
        return f"Where in each {unit} does a {listed_or(classes)} lie, and how many are there?"
    if question["task"] == "instances":
        return f"Which voxels of each {unit} belong to which {listed_or(classes)}, one by one?"
    if is_unpaired(question):
        first, second = question["conditions"]
        return f"What would the image of each {unit}, which is of kind {first}, look like if it were of kind {second}?"
    if question.get("guides"):
        return f"What could further images look like that show {listed(list(question['guides']))} where a mask says?"
    if question["task"] in _IMAGES:
        given = listed(list(question.get("given") or ()))
        answer = "" if list(classes) == ["image"] else f" {listed(classes)}"  # an only channel has no name of its own
        return _IMAGES[question["task"]].format(answer=answer, given=given, unit=unit)
    if question["task"] == "regression":
        units = list(question.get("units") or [])
        named = [f"{c} ({u})" if u else c for c, u in zip(classes, units + [""] * len(classes), strict=False)]
        return f"How large is {listed(named)} in each {unit}?"
    if question.get("positive") and len(classes) == 2:
        if question.get("finding") and str(question["positive"]).lower() in _YES:
            return f"Does each {unit} show {question['finding']}?"
        other = next(c for c in classes if c != question["positive"])
        return f"Does each {unit} show {question['positive']} (rather than {other})?"
    if question.get("exclusive", True):
        return f"Which one of {listed(classes)} does each {unit} show?"
    return f"Which of {listed(classes)} does each {unit} show?"


def question_facts(
    question: Mapping[str, Any], settings: Mapping[str, Any], evaluation: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    """What a reader must know of the question: (name, words)."""
    asked = settings.get("question", {})
    truth = settings.get("truth", {})
    planned = settings.get("evaluation", {})
    opening = (evaluation or {}).get("opening") or {}
    facts = [("Task", task_title(question["task"])), ("Unit of analysis", question.get("unit", "exam"))]
    if question["task"] == "classification":
        facts.append(("Classes", listed(question["classes"])))
        of = f" (column “{question['finding']}”)" if question.get("finding") else ""
        facts.append(("Counts as positive", f"{question['positive']}{of}" if question.get("positive") else _EACH))
    else:
        named = {"segmentation": "Structures", "detection": "Objects", "instances": "Objects"}
        named |= dict.fromkeys(_IMAGES, "Channels of the answer")
        what = named.get(question["task"], "Quantities")
        facts.append((what, listed(question["classes"])))
    if question.get("guides"):
        facts.append(("Structures of the masks", listed(question["guides"])))
    if matching := ((evaluation or {}).get("rules") or {}).get("matching"):
        facts.append(("What counts as found", matching))
    if question.get("degradation"):
        facts.append(("What is read", parse_degradation(question["degradation"]).sentence))
    if asked.get("aggregation", "none") != "none":
        facts.append(("From image to unit of analysis", f"by {asked['aggregation']}"))
    facts.append(
        ("Index exam", {"all": "all exams of a patient are used"}.get(asked.get("index_exam", "all"), asked.get("index_exam")))
    )
    if own := own_truth(question):
        facts.append(("Truth", own))
    else:
        facts.append(("Reference standard given by", _known(truth.get("reader"))))
        facts.append(("Reference standard established by", _known(truth.get("method"))))
    facts.append(("Hypothesis", opening.get("hypothesis") or planned.get("hypothesis") or "none was declared"))
    facts.append(("Primary endpoint", opening.get("primary_endpoint") or planned.get("primary_endpoint") or "none was declared"))
    margin = opening.get("margin") if opening else planned.get("margin")
    facts.append(("Margin", f"the interval must clear {margin:g}" if margin is not None else "none"))
    if question["task"] in ("classification", "detection", "instances"):
        rules = dict.fromkeys(point["rule"] for point in (evaluation or {}).get("operating_points") or [])
        one_of_several = question.get("exclusive", True) and len(question["classes"]) > 2
        rule = (
            "the class with the highest probability is called" if one_of_several else planned.get("threshold_rule", "not stated")
        )
        facts.append(("Rule of the operating point", "; ".join(rule_words(r) for r in rules) or rule_words(rule)))
    return [(name, str(words)) for name, words in facts]


def rule_words(rule: str) -> str:
    """The rule of an operating point; a name alone is explained."""
    return {"youden": "the largest sum of sensitivity and specificity (Youden)"}.get(rule.lower(), rule)


def _known(words: str | None) -> str:
    return words if words and words != "unknown" else "not recorded"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing"


def listed_or(names: Sequence[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    names = list(names)
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)


_FITTED: dict[str, tuple[str, ...]] = {
    "classification": ("the operating point", "the calibration"),
    "segmentation": ("the clean-up of masks",),
    "regression": (),
    "detection": ("the operating point", "the clean-up of objects"),
    "instances": ("the operating point", "the clean-up of objects"),
    **dict.fromkeys(_IMAGES, ()),
}


def _fitted(evaluation: Mapping[str, Any], decisions: Mapping[str, Any]) -> str:
    """What was fitted on tuning cases, as a sentence without its end."""
    task = evaluation["task"]
    fitted = list(_FITTED[task])
    if task == "segmentation" and decisions.get("temperature", 1.0) != 1.0:
        fitted.append("the temperature of their probabilities")
    if decisions.get("conformal") or any(s["metric"] == "conformal_coverage" for s in evaluation.get("scores", ())):
        fitted.append("the width of the intervals around its numbers" if task == "regression" else "the sets of possible classes")
    if not fitted:
        return "Nothing in the model was fitted on tuning cases"
    said = listed(fitted)
    return f"{said[0].upper()}{said[1:]} {'was' if len(fitted) == 1 else 'were'} fitted on tuning cases"


def standing(evaluation: Mapping[str, Any], decisions: Mapping[str, Any] | None = None) -> str:
    """What the cases of an evaluation had to do with the model.

    decisions  frozen in the model
    """
    if str(evaluation["partition"]).startswith("external"):
        return "They are of another source than the training cases; model and threshold were frozen before."
    if evaluation["partition"] == "tuning":
        return f"{_fitted(evaluation, decisions or {})}; settings may have been chosen by them. Expect less on new cases."
    number = (evaluation.get("opening") or {}).get("number", 1)
    if number > 1:
        return f"Their truth was under seal; this is opening number {number}, so choices may have followed what was seen."
    return "Their truth was under seal during training and every choice; this was the first opening."


def leaks_accepted(ledger: Sequence[Mapping[str, Any]]) -> int:
    """How many leaks between given partitions were accepted when the project was made."""
    return sum(len(entry.get("leaks") or []) for entry in ledger if entry.get("entry") == "leak accepted")


def split_sentence(settings: Mapping[str, Any], ledger: Sequence[Mapping[str, Any]]) -> str:
    """How cases were divided, in one or two sentences."""
    split, cohort = settings.get("split", {}), settings.get("cohort", {})
    scheme = split.get("scheme", "partitions")
    by = f" Stratified by {split['stratify_by']}." if split.get("stratify_by") else ""
    if leaks := leaks_accepted(ledger):
        return (
            f"The partitions were given. {leaks} {'leak' if leaks == 1 else 'leaks'} between them "
            f"{'was' if leaks == 1 else 'were'} found and accepted; the reason stands in the ledger.{by}"
        )
    how = _by_rule(split) or {
        "given": "The partitions were given with the images and checked for shared patients and identical images.",
        "folds": f"Cases were divided into {split.get('folds', 5)} folds; "
        "each fold is the test of a network that has not seen it.",
    }.get(scheme, f"Cases were divided at random (seed {split.get('seed', 0)}) and frozen before training.")
    column = f" (column “{cohort['group_by']}”)" if cohort.get("group_by") else ""
    together = (
        f" All cases of one patient{column} are in the same {'fold' if scheme == 'folds' else 'partition'}."
        if cohort.get("by_patient")
        else " No patient identifier was available: each case counts as its own patient, "
        "so that a patient with several cases may be in more than one partition."
    )
    return how + together + by


def _by_rule(split: Mapping[str, Any]) -> str:
    """A division by a column or by time, which is not at random; "" where there was none. Of a day only the year is told."""
    rule = split.get("rule") or {}
    if rule.get("by"):
        levels = [str(level) for level in rule.get("levels", ())]
        named = f" ({listed(levels)})" if 0 < len(levels) <= _MOST_LEVELS else ""
        return (
            f"Cases were divided by “{rule['by']}”, not at random: one fold for each of its {len(levels)} values{named}. Each is "
            "the test of a network that has seen none of it."
        )
    if rule.get("after"):
        return (
            f"Cases were divided by time, not at random: patients first seen on or after a day in {str(rule['after'])[:4]} (the "
            f"day stands in cohort/splits.json) are the internal test; those before it were divided at random (seed "
            f"{split.get('seed', 0)}) into training and tuning. This was frozen before training."
        )
    return ""


def partition_table(partitions: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str], bool]]:
    """Rows of the table of partitions: (name, one cell per partition, is a heading)."""
    rows: list[tuple[str, list[str], bool]] = [
        ("Cases", [str(p["cases"]) for p in partitions], False),
        ("Patients", [str(p["patients"]) for p in partitions], False),
    ]
    classes = list(dict.fromkeys(name for p in partitions for name in p.get("classes") or {}))
    if classes:
        rows.append(("Reference standard", [], True))
        rows += [(name, [_share((p.get("classes") or {}).get(name), p["cases"]) for p in partitions], False) for name in classes]
    for name in dict.fromkeys(name for p in partitions for name in p.get("quantities") or {}):
        rows.append(
            (
                f"Reference standard, {name}: known",
                [_known_count((p.get("quantities") or {}).get(name)) for p in partitions],
                False,
            )
        )
    numbers = list(dict.fromkeys(name for p in partitions for name in p.get("numbers") or {}))
    if numbers:
        rows.append(("Numbers", [], True))
    for name in numbers:
        rows.append((f"{name}, mean ± SD (range)", [_spread((p.get("numbers") or {}).get(name)) for p in partitions], False))
    for title in dict.fromkeys(name for p in partitions for name in p.get("levels") or {}):
        names = list(dict.fromkeys(level for p in partitions for level in (p["levels"].get(title) or {})))
        rows.append((title, [], True))
        rows += [
            (level, [_share(p["levels"].get(title, {}).get(level, 0), p["cases"]) for p in partitions], False) for level in names
        ]
    return rows


def _share(count: int | None, of: int) -> str:
    if count is None:
        return "sealed"
    return f"{count} ({count / of:.0%})" if of else str(count)


def _known_count(summary: Mapping[str, Any] | None) -> str:
    if not summary or not summary.get("known"):
        return "not known"
    return str(summary["known"])


def _spread(summary: Mapping[str, Any] | None) -> str:
    if not summary or summary.get("mean") is None:
        return "not known"
    words = f"{summary['mean']:.1f} ± {summary['sd']:.1f} ({summary['low']:.4g} to {summary['high']:.4g})"
    return words + (f", {summary['missing']} missing" if summary.get("missing") else "")
