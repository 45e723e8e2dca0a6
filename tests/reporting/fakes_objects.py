"""A made-up study of objects: lesions in a simulated film or volume, some found, some missed, some seen where nothing is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Boxes, Instances
from overread.metrics.objects.criterion import Criterion
from overread.reporting.given import Panel, ReportInput
from overread.reporting.pictures.close_ups import thumbnail
from overread.reporting.pictures.figures import case_panel
from reporting import fakes

NAME = "metastasis"
Listed = list[dict[str, Any]]


def scene(seed: int, *, planar: bool, masks: bool = False) -> tuple[Image, Boxes | Instances, Boxes | Instances, Listed]:
    """Image, truth, answer and the objects as an evaluation lists them."""
    random = np.random.default_rng(seed)
    shape = (1, 160, 200) if planar else (24, 96, 112)
    grid = Grid.from_spacing(shape, (3.0, 1.5, 1.5), is_planar=planar)
    field = random.normal(90, 9, shape).astype(np.float32)
    z, y, x = np.indices(shape)
    sizes = np.array([0.6, 7.0, 7.0]) if planar else np.array([2.6, 6.0, 6.0])

    def ball(centre: np.ndarray, size: float) -> np.ndarray:
        radii = sizes * size
        return sum(((at - c) / r) ** 2 for at, c, r in zip((z, y, x), centre, radii, strict=True)) <= 1  # type: ignore[return-value]

    low, high = np.array([0, 20, 20]), np.array(shape) - (1, 20, 20)
    centres = random.uniform(low, np.maximum(high, low + 1e-9), (6, 3))
    if planar:
        centres[:, 0] = 0
    true = [ball(c, random.uniform(0.7, 1.5)) for c in centres[:4]]
    for mask in true:
        field[mask] -= 45
    answers = [ball(c + np.array([0, 1.5, -1]), 1.1) for c in (*centres[:3], *centres[4:])]
    scores = np.array([0.94, 0.81, 0.43, 0.72, 0.35])
    image = Image(field[None], grid, "HU", ("grey",), {})
    truth = Instances.of_masks(np.array(true), (NAME,) * 4, np.ones(4), grid)
    answer = Instances.of_masks(np.array(answers), (NAME,) * 5, scores, grid)
    listed = [_item("matched", answer.corners[k], float(scores[k]), grid, overlap=0.6) for k in range(3)]
    listed.append(_item("missed", truth.corners[3], None, grid, distance=21.0))
    listed += [_item("false", answer.corners[k], float(scores[k]), grid, overlap=0.04) for k in (3, 4)]
    if masks:
        return image, truth, answer, listed
    boxes = [Boxes(k.corners, k.classes, k.scores, grid) for k in (truth, answer)]
    return image, boxes[0], boxes[1], listed


def _item(
    state: str, corners: np.ndarray, score: float | None, grid: Grid, overlap: float | None = None, distance: float | None = None
) -> dict[str, Any]:
    edges = (corners[1] - corners[0]) * grid.spacing
    return {
        "state": state, "class": NAME, "score": score, "size_mm": float(edges.max()),
        "size_px": float((corners[1] - corners[0]).prod()), "box": [float(v) for v in corners.ravel()],
        "overlap": overlap, "distance_mm": distance,
    }  # fmt: skip


def froc() -> dict[str, Any]:
    rates = [0.0, 0.05, 0.1, 0.2, 0.45, 0.9, 1.6, 3.0, 6.0, 11.0]
    found = [0.18, 0.36, 0.45, 0.58, 0.7, 0.8, 0.85, 0.89, 0.91, 0.92]
    return {
        "fp_per_case": rates, "sensitivity": found, "low": [s - 0.1 for s in found], "high": [min(s + 0.07, 1) for s in found],
        "threshold": list(np.linspace(0.98, 0.05, len(rates))),
    }  # fmt: skip


def objects(task: str = "detection", *, planar: bool = True) -> ReportInput:
    """A whole report of a detection or of instances."""
    given = fakes.segmentation()
    question = fakes._question(task, [NAME])
    cases, panels, pictures = [], [], {}
    for seed in range(6):
        image, truth, answer, listed = scene(seed, planar=planar, masks=task == "instances")
        case_id = f"C-{seed:04d}"
        cases.append({"case_id": case_id, "patient_id": f"P-{seed:04d}", "fold": -1, "truth": {NAME: 4}, "answer": {NAME: 5},
                      "error": 3.0, "scores": {}, "objects": listed})  # fmt: skip
        if seed < 3:
            png = case_panel(image, truth, answer, title=f"worst {seed + 1}: {case_id}", is_phantom=True, objects=listed)
            panels.append(Panel(png, case_id, "worst", "3 of 4 found, 2 false"))
        pictures |= {(case_id, k): thumbnail(image, item) for k, item in enumerate(listed) if item["state"] != "matched"}
    criterion = Criterion.parse("auto", of="mask" if task == "instances" else "box", is_planar=planar)
    evaluation = {**given.evaluations["internal"], "task": task, "question": question, "cases": cases, "confusion": None,
                  "scores": _scores(task), "curves": {"froc": {NAME: froc()}, "roc": {NAME: _roc()}}, "baseline": [],
                  "subgroups": [],
                  "rules": {"matching": criterion.words, "threshold": "at most 1 false positive per case on tuning cases",
                            "post_processing": "of two of one class that overlap by more than 0.3 the lower score is dropped"},
                  "operating_points": [], "post_processing": _steps(), "sizes": _sizes()}  # fmt: skip
    opening = {**(evaluation.get("opening") or {}), "primary_endpoint": "froc", "hypothesis": "Metastases are found."}
    evaluation["opening"] = opening
    tuning = {**evaluation, "partition": "tuning", "opening": None}
    return replace(
        given, question=question, evaluations={"internal": evaluation, "tuning": tuning}, panels={"internal": panels},
        thumbnails={"internal": pictures}, title="Metastases",
    )  # fmt: skip


def _roc() -> dict[str, list[float | None]]:
    return {"fpr": [0.0, 0.1, 0.3, 1.0], "tpr": [0.0, 0.7, 0.95, 1.0], "threshold": [None, 0.8, 0.4, 0.0]}


def _steps() -> Listed:
    return [{"subject": NAME, "before": {"froc": 0.71, "answers": 184}, "after": {"froc": 0.741, "answers": 118}}]


def _sizes() -> Listed:
    bands = ("below 5 mm", "5 to 10 mm", "10 to 20 mm", "20 mm and more")
    return [
        {"subject": NAME, "band": band, "unit": "mm", "truths": n, "answers": n + 1}
        | {key: fakes.score(key, key, NAME, value, 0.08)["interval"] for key in ("sensitivity", "ppv", "overlap")}
        for band, n, value in zip(bands, (0, 12, 8, 4), (None, 0.58, 0.91, 1.0), strict=True)
    ]


def _scores(task: str) -> Listed:
    score = fakes.score
    scores = [
        score("froc", "Mean sensitivity at 1/8 to 8 false positives per case", NAME, 0.741, 0.07, role="primary"),
        score("lesion_sensitivity", "Lesion sensitivity", NAME, 0.75, 0.1),
        score("lesion_ppv", "Lesion positive predictive value", NAME, 0.6, 0.1),
        score("fp_per_case", "False positives per case", NAME, 2.0, 0.5, unit="per case", better="lower"),
        score("ap50", "Average precision at IoU 0.5", NAME, 0.66, 0.09),
        score("patient_auc", "Patient-level area under the ROC curve", NAME, 0.93, 0.05),
        *(
            score(f"sensitivity_at_{w}fp", f"Sensitivity at {w.replace('_', '/')} false positives per case", NAME, s, 0.07)
            for w, s in zip(("1_8", "1_4", "1_2", "1", "2", "4", "8"), (0.45, 0.58, 0.7, 0.8, 0.85, 0.89, 0.91), strict=True)
        ),
    ]
    if task == "instances":
        scores += [
            score("pq", "Panoptic quality", NAME, 0.55, 0.06),
            score("count_error", "Count error", NAME, 0.8, 0.3, unit="per case"),
            score("merged", "Merged lesions", NAME, 0.08, 0.05), score("split", "Split lesions", NAME, 0.02, 0.02),
        ]  # fmt: skip
    return scores
