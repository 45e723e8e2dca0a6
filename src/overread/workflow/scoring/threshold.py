"""How far a plain threshold gets on a phantom, in words, to stand beside every score on it."""

from __future__ import annotations

from typing import Any

from overread.record.files import read_json
from overread.workflow.project import Project

_NO_INTERVAL = "none: the best threshold for these very exams, optimistic on purpose"


def threshold_rows(project: Project) -> list[dict[str, str]]:
    """Rows (score, of, value, interval, method) from the phantom's own ``phantom.json``, of the scores that this task has."""
    for folder in (project.images_folder, project.images_folder.parent):
        if (folder / "phantom.json").exists():
            return _rows(read_json(folder / "phantom.json")["plain_threshold"], project.question.task)
    return []


def _rows(threshold: dict[str, Any], task: str) -> list[dict[str, str]]:
    liver, spread = threshold.get("liver") or {}, threshold.get("metastasis") or {}
    below = f"below {spread.get('below_hu')} HU in the true liver"
    dice = [
        ("Mean Dice", "liver", liver.get("mean_dice"), f"{liver.get('low_hu')} to {liver.get('high_hu')} HU", liver),
        ("Mean Dice", "metastasis", spread.get("mean_dice"), below, spread),
    ]
    area = [
        ("AUC", "any metastasis", spread.get("auc_any_metastasis"), f"volume {below}", spread),
        ("AUC", "pneumonia", threshold.get("auc_pneumonia_by_brightness_of_lungs"), "mean brightness of the lungs", threshold),
    ]
    return [
        {
            "score": score,
            "of": subject,
            "value": f"{value:.3f}",
            "interval": _NO_INTERVAL,
            "method": rule + (f"; all {source['exams']} exams of the phantom" if "exams" in source else ""),
        }
        for score, subject, value, rule, source in {"segmentation": dice, "classification": area}.get(task, [])
        if value is not None
    ]
