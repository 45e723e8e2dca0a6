"""How far a plain threshold gets on a phantom, in words, to stand beside every score on it."""

from __future__ import annotations

from typing import Any

from overread.record.files import read_json
from overread.workflow.project import Project

_NO_INTERVAL = "none: the best threshold for these very exams, optimistic on purpose"


def threshold_rows(project: Project) -> list[dict[str, str]]:
    """Rows (score, of, value, interval, method) from the phantom's own ``phantom.json``; empty where the images have none."""
    for folder in (project.images_folder, project.images_folder.parent):
        if (folder / "phantom.json").exists():
            return _rows(read_json(folder / "phantom.json").get("threshold") or {})
    return []


def _rows(threshold: dict[str, Any]) -> list[dict[str, str]]:
    liver, spread = threshold.get("liver") or {}, threshold.get("metastasis") or {}
    found = [
        ("Dice coefficient, mean", "liver", liver.get("mean_dice"), f"{liver.get('low_hu')} to {liver.get('high_hu')} HU", liver),
        (
            "Dice coefficient, mean",
            "metastasis",
            spread.get("mean_dice"),
            f"below {spread.get('below_hu')} HU in the true liver",
            spread,
        ),
        ("Area under the ROC curve", "any metastasis", spread.get("auc_any_metastasis"), "volume below that threshold", spread),
        (
            "Area under the ROC curve",
            "pneumonia",
            threshold.get("auc_pneumonia_by_brightness_of_lungs"),
            "mean brightness of the lungs",
            threshold,
        ),
    ]
    return [
        {
            "score": score,
            "of": subject,
            "value": f"{value:.3f}",
            "interval": _NO_INTERVAL,
            "method": rule + (f"; all {source['exams']} exams of the phantom" if "exams" in source else ""),
        }
        for score, subject, value, rule, source in found
        if value is not None
    ]
