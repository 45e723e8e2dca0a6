"""The table: which metrics answer which question, and what an endpoint's name stands for."""

from __future__ import annotations

from difflib import get_close_matches

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.metrics import agreement, calibration, certainty, decided, overlap, prevalence, ranking, readers, surface
from overread.metrics.metric import Metric, proportion
from overread.metrics.objects import rows as objects
from overread.metrics.pictures import rows as pictures

PRESENCE_SENSITIVITY = proportion(
    "presence_sensitivity", "Cases found", "of the cases with the structure, those in which the answer holds any of it",
    (decided.TP,), (decided.TP, decided.FN), "no case holds the structure",
)  # fmt: skip
PRESENCE_SPECIFICITY = proportion(
    "presence_specificity", "Empty cases left empty", "of the cases without the structure, those in which the answer holds none",
    (decided.TN,), (decided.TN, decided.FP), "every case holds the structure",
)  # fmt: skip

PER_CASE = (
    overlap.DICE, overlap.IOU, surface.HD95, surface.ASSD, surface.SURFACE_DICE, overlap.VOXEL_SENSITIVITY, overlap.VOXEL_PPV,
    overlap.VOLUME_ERROR_ML, overlap.VOLUME_ERROR_PERCENT, overlap.ABSOLUTE_VOLUME_ERROR_PERCENT,
)  # fmt: skip
WITHOUT_MEAN = ("volume_error_ml", "volume_error_percent", "presence_sensitivity", "presence_specificity")  # of unlike structures
PER_FINDING = (
    ranking.AUC, ranking.PARTIAL_AUC, ranking.AVERAGE_PRECISION, *decided.PER_CLASS, *calibration.PER_CLASS,
    *prevalence.PER_CLASS_AT,
)  # fmt: skip
OVER_CLASSES = ("auc", "average_precision", "sensitivity", "specificity", "ppv", "npv", "f1", "brier", "ece")  # have a macro mean

# Of questions about cases, voxels and images; objects have rows of their own, `objects.rows.ROWS`, whose keys are others.
METRICS: dict[str, Metric] = {
    m.key: m
    for m in (
        *PER_FINDING,
        *decided.OVERALL,
        *decided.GRADES,
        calibration.BRIER_ALL,
        *prevalence.OVERALL_AT,
        *certainty.ALL,
        readers.ICC,
        *agreement.ALL,
        *PER_CASE,
        PRESENCE_SENSITIVITY,
        PRESENCE_SPECIFICITY,
        *pictures.ROWS,
    )
}


def metrics_for(question: Question) -> dict[str, tuple[Metric, ...]]:
    """Metrics by subject: a class, structure or quantity; "mean" over several of them; "all" for the answer as a whole."""
    if question.task == "segmentation":
        each = (*PER_CASE, PRESENCE_SENSITIVITY, PRESENCE_SPECIFICITY)
        mean = tuple(m for m in PER_CASE if m.key not in WITHOUT_MEAN)
        return {**dict.fromkeys(question.classes, each), **({"mean": mean} if len(question.classes) > 1 else {})}
    if question.task == "regression":
        return dict.fromkeys(question.classes, agreement.ALL)
    if question.is_of_pictures:
        shown = pictures.metrics_of(question)
        return {**dict.fromkeys(question.classes, shown), **({"mean": shown} if len(question.classes) > 1 else {})}
    if question.task == "synthesize":  # answers no case: what is made is judged as a whole, see `metrics.generation`
        return {}
    if question.is_of_objects:
        found = objects.metrics_of(question.task)
        return {**dict.fromkeys(question.classes, found), **({"mean": found} if len(question.classes) > 1 else {})}
    if question.is_binary:
        return {positive_class(question): PER_FINDING, "all": (*decided.OVERALL, *prevalence.OVERALL_AT)}
    mean = tuple(METRICS[key] for key in OVER_CLASSES)
    several = len(question.classes) > 1
    grades = decided.GRADES if question.ordered else ()
    whole = (*decided.OVERALL, *grades, calibration.BRIER_ALL, *prevalence.OVERALL_AT)
    overall = {"all": whole} if question.exclusive else {}
    return {**dict.fromkeys(question.classes, PER_FINDING), **({"mean": mean} if several else {}), **overall}


def positive_class(question: Question) -> str:
    """The class that counts as disease; never guessed."""
    if question.positive in question.classes:
        return str(question.positive)
    raise OverreadError(
        f"Two classes, {' and '.join(question.classes)}: which one is positive is not said (positive is {question.positive!r}).",
        f"name it: question.positive in project.toml, or --positive {question.classes[-1]}",
    )


def default_endpoint(question: Question) -> str:
    """Of images SSIM: bounded, free of units, and a blurred answer, which PSNR rewards, does not please it."""
    by_task = {"segmentation": "dice", "regression": "mae", "detection": "froc", "instances": "pq"}
    return "ssim" if question.is_of_pictures else by_task.get(question.task, "auc")


def resolve_endpoint(question: Question, endpoint: str) -> tuple[Metric, str]:
    """ "metric" or "metric/subject" -> (metric, subject); refused with what there is.

    Without a subject: the mean over classes or structures where there is one, else the answer as a whole, else the only subject.
    """
    table = metrics_for(question)
    key, _, subject = endpoint.strip().partition("/")
    having = {name: {m.key: m for m in metrics} for name, metrics in table.items()}
    fitting = [name for name, metrics in having.items() if key in metrics]
    if not fitting:
        known = sorted({k for metrics in having.values() for k in metrics})
        near = get_close_matches(key, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise OverreadError(
            f"The endpoint '{endpoint}' names no metric of a {question.task}: {hint}", "write it as metric or metric/subject"
        )
    if not subject:
        chosen = next((name for name in ("mean", "all") if name in fitting), fitting[0] if len(fitting) == 1 else "")
        if chosen:
            return having[chosen][key], chosen
        raise OverreadError(
            f"The endpoint '{endpoint}' leaves open which of {', '.join(fitting)}.", f"write {key}/{fitting[0]}, for example"
        )
    if subject not in fitting:
        raise OverreadError(
            f"The endpoint '{endpoint}': {key} exists for {', '.join(fitting)}, not for '{subject}'.", f"write {key}/{fitting[0]}"
        )
    return having[subject][key], subject
