"""How far a plain threshold gets on a phantom, in words, to stand beside every score on it."""

from __future__ import annotations

from typing import Any

from overread.core.question import Question
from overread.record.files import read_json
from overread.workflow.project import Project

BURDEN = "tumour_burden_ml"  # the quantity in the phantom's sheet
_NO_INTERVAL = "none: the best threshold for these very exams, optimistic on purpose"


def threshold_rows(project: Project) -> list[dict[str, str]]:
    """Rows (score, of, value, interval, method) from the phantom's own ``phantom.json``, of the scores that this task has."""
    for folder in (project.images_folder, project.images_folder.parent):
        if (folder / "phantom.json").exists():
            return _rows(read_json(folder / "phantom.json")["plain_threshold"], project.question)
    return []


def _rows(threshold: dict[str, Any], question: Question) -> list[dict[str, str]]:
    liver, spread, burden = (threshold.get(name) or {} for name in ("liver", "metastasis", "tumour_burden"))
    below = f"below {spread.get('below_hu')} HU in the true liver"
    dice = [
        ("Mean Dice", "liver", liver.get("mean_dice"), f"{liver.get('low_hu')} to {liver.get('high_hu')} HU", liver),
        ("Mean Dice", "metastasis", spread.get("mean_dice"), below, spread),
    ]
    area = [
        ("AUC", "any metastasis", spread.get("auc_any_metastasis"), f"volume {below}", spread),
        ("AUC", "pneumonia", threshold.get("auc_pneumonia_by_brightness_of_lungs"), "mean brightness of the lungs", threshold),
    ]
    within = f"volume of the true liver below {burden.get('below_hu')} HU"
    error = [("Mean absolute error", BURDEN, burden.get("mean_absolute_error_ml"), within, burden)]
    by_task = {"segmentation": dice, "classification": area, "regression": error if BURDEN in question.classes else []}
    return [
        {
            "score": score,
            "of": subject,
            "value": f"{value:.2f} ml" if subject == BURDEN else f"{value:.3f}",
            "interval": _NO_INTERVAL,
            "method": rule + (f"; all {source['exams']} exams of the phantom" if "exams" in source else ""),
        }
        for score, subject, value, rule, source in by_task.get(question.task, [])
        if value is not None
    ]
