"""Made-up studies of the three tasks, realistic enough to look at, built from a seeded generator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Findings, LabelMap, Measurements, Structure
from overread.reporting.pictures.figures import case_panel
from overread.reporting.report import Panel, ReportInput

HASH = "sha256:" + "4be1c0a97f" * 6 + "4be1"


def epochs(kind: str = "good", count: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """Epoch events of a training that went well, overfitted, underfitted, ..."""
    random = np.random.default_rng(seed)
    t = np.arange(count)
    training = 0.9 * np.exp(-t / (count / 8)) + 0.22 + 0.006 * random.standard_normal(count)
    tuning = 0.9 * np.exp(-t / (count / 8)) + 0.26 + 0.012 * random.standard_normal(count)
    if kind == "overfit":
        training = 0.9 * np.exp(-t / (count / 5)) + 0.02
        tuning = tuning + 0.35 * np.clip(t - count / 3, 0, None) / count * 2
    elif kind == "gap":
        training = 0.5 * np.exp(-t / (count / 8)) + 0.55 - 0.4 * t / count
    elif kind == "underfit":
        training, tuning = 1.1 - 0.5 * t / count, 1.15 - 0.48 * t / count + 0.005 * random.standard_normal(count)
    elif kind == "noisy":
        tuning = 0.75 - 0.15 * t / count + 0.4 * random.standard_normal(count)
    elif kind == "not learning":
        training, tuning = 0.693 + 0.004 * random.standard_normal(count), 0.695 + 0.004 * random.standard_normal(count)
    return [
        {
            "event": "epoch",
            "epoch": int(n) + 1,
            "step": 50 * (int(n) + 1),
            "loss": float(training[n]),
            "losses": {"dice": float(training[n])},
            "tuning_loss": float(tuning[n]),
            "scores": {},
            "minutes": 0.3 * (n + 1),
            "rate": 0.01 * (1 - n / count),
        }
        for n in t
    ]


def score(
    metric: str, name: str, subject: str, estimate: float | None, half: float = 0.03, role: str = "exploratory", **more: Any
) -> dict[str, Any]:
    interval = {
        "estimate": estimate,
        "low": None if estimate is None else estimate - half,
        "high": None if estimate is None else (min(estimate + half, 1.0) if estimate <= 1 else estimate + half),
        "method": more.get("method", "bootstrap by patient (BCa), 2000 resamples"),
        "n_cases": 84,
        "n_patients": 61,
        "level": 0.95,
        "reason": "no case of this class" if estimate is None else "",
    }
    return {
        "metric": metric,
        "name": name,
        "subject": subject,
        "unit": more.get("unit", ""),
        "better": more.get("better", "higher"),
        "definition": f"{metric}/1",
        "formula": more.get("formula", "the formula in plain text"),
        "role": role,
        "interval": interval,
    }


def _evaluation(question: dict[str, Any], partition: str, **parts: Any) -> dict[str, Any]:
    opening = {
        "number": 1,
        "hash": HASH,
        "time": "2031-05-04T10:11:12+00:00",
        "hypothesis": parts.pop("hypothesis"),
        "primary_endpoint": parts.pop("endpoint"),
        "margin": 0.85,
        "threshold_rule": "sensitivity >= 0.95",
        "declared": [],
        "endpoint_met": True,
    }
    return {
        "format": 1,
        "task": question["task"],
        "partition": partition,
        "question": question,
        "is_phantom": parts.pop("is_phantom", False),
        "n_cases": 84,
        "n_patients": 61,
        "model": HASH,
        "created": "2031-05-04T10:11:12+00:00",
        "opening": opening if partition == "internal" else None,
        "scores": [],
        "operating_points": [],
        "confusion": None,
        "curves": {},
        "cases": [],
        "rules": {"aggregation": "one answer per exam"},
        "notes": [],
        **parts,
    }


def _question(task: str, classes: list[str], **more: Any) -> dict[str, Any]:
    empty = {"values": [], "positive": None, "exclusive": True, "ordered": False, "units": [], "unit": "exam", "sided": False}
    return {"task": task, "classes": classes, **empty, **more}


def _body(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A torso of ellipses with a liver and a lesion, (24, 96, 128) HU, and its labels."""
    random = np.random.default_rng(seed)
    z, y, x = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 96), np.linspace(-1.33, 1.33, 128), indexing="ij")
    hu = np.full(z.shape, -1000.0)
    hu[(x / 1.2) ** 2 + (y / 0.85) ** 2 < 1] = -90
    hu[(x / 1.08) ** 2 + (y / 0.74) ** 2 < 1] = 45
    hu[x**2 + ((y - 0.45) / 0.9) ** 2 < 0.03] = 350
    liver = ((x + 0.5) / 0.5) ** 2 + ((y + 0.05) / 0.55) ** 2 + (z / 0.8) ** 2 < 1
    lesion = (x + 0.55) ** 2 + (y + 0.1) ** 2 + (z / 0.5) ** 2 < 0.02 + 0.02 * random.random()
    hu[liver], hu[lesion] = 105, 60
    return (hu + 14 * random.standard_normal(hu.shape)).astype(np.float32), np.where(lesion, 2, liver).astype(np.int16)


def liver_panels(is_phantom: bool) -> list[Panel]:
    structures = (Structure("liver", 1), Structure("metastasis", 2))
    grid = Grid.from_spacing((24, 96, 128), (8.0, 3.0, 3.0))
    panels = []
    for number, (why, dice) in enumerate((("worst", 0.61), ("median", 0.91), ("random", 0.94))):
        hu, label = _body(number)
        truth = LabelMap(label[None], structures, grid)
        answer = LabelMap(np.roll(label, (number, 4 - number, 3), (0, 1, 2))[None], structures, grid)
        title = f"Case C-{number:04d}, {why}"
        png = case_panel(Image(hu[None], grid, "HU"), truth, answer, title=title, is_phantom=is_phantom)
        panels.append(Panel(png, f"C-{number:04d}", why, f"Dice of the liver {dice:.2f}."))
    return panels


def _film(seed: int) -> Image:
    y, x = np.meshgrid(np.linspace(-1, 1, 120), np.linspace(-1, 1, 110), indexing="ij")
    lungs = ((np.abs(x) - 0.42) / 0.3) ** 2 + (y / 0.7) ** 2 < 1
    film = 170 - 110 * lungs + 20 * np.sin(14 * y + x) + 6 * np.random.default_rng(seed).standard_normal(x.shape)
    return Image(film[None, None].astype(np.float32), Grid.from_spacing((1, 120, 110), spacing_known=False, is_planar=True))


def _common(task: str, is_phantom: bool) -> dict[str, Any]:
    return {
        "run": "first",
        "created": "4 May 2031",
        "settings": {
            "question": {"aggregation": "none", "index_exam": "all"},
            "truth": {"reader": "two radiologists, consensus", "method": "histology or follow-up of 12 months"},
            "cohort": {"group_by": "PatientID", "by_patient": True},
            "split": {"scheme": "partitions", "seed": 0, "stratify_by": None},
            "training": {"seed": 0},
            "evaluation": {"threshold_rule": "sensitivity >= 0.95"},
        },
        "plan": {
            "preparation": {"spacing": [5.0, 1.5, 1.5], "patch": [40, 160, 160], "channels": ["portal venous"]},
            "network": {"architecture": "residual-encoder U-Net", "stages": 5, "parameters_millions": 12.4},
            "training": {
                "batch": 2,
                "loss": "dice + cross-entropy",
                "learning_rate": 0.01,
                "precision": "bfloat16",
                "minutes": 15.0,
            },
            "reasons": {
                "preparation.spacing": "median of the training cases in plane, their 10th percentile across slices",
                "preparation.patch": "the largest window that fits 6 GiB at batch 2; covers 73 % of the median volume",
                "training.precision": "measured: bfloat16 is 3.1 times as fast as float32 on this processor",
                "network.stages": "the smallest axis can be halved four times",
            },
        },
        "flow": [
            {"step": "series found", "kept": 412, "excluded": 0, "reasons": {}},
            {
                "step": "eligible series",
                "kept": 389,
                "excluded": 23,
                "reasons": {"localizer": 15, "missing slice": 5, "gantry tilt": 3},
            },
            {"step": "with reference standard", "kept": 380, "excluded": 9, "reasons": {"no row in the label sheet": 9}},
        ],
        "partitions": [
            {
                "partition": name,
                "cases": cases,
                "patients": patients,
                "classes": {"metastasis": round(cases * 0.31), "no metastasis": cases - round(cases * 0.31)},
                "numbers": {"Age (years)": {"mean": 61.2, "sd": 11.3, "low": 23, "high": 88, "missing": 2}},
                "levels": {
                    "Sex": {"F": cases // 2, "M": cases - cases // 2},
                    "Site": {"north": cases // 3, "south": cases - cases // 3},
                    "Scanner": {"Vendor A 64": cases // 4, "Vendor B 128": cases - cases // 4},
                },
            }
            for name, cases, patients in (("training", 240, 171), ("tuning", 56, 40), ("internal", 84, 61))
        ],
        "ledger": [
            {
                "entry": "opening",
                "time": "2031-05-04T10:11:12+00:00",
                "run": "first",
                "model": HASH,
                "hypothesis": "The model finds metastases with an AUC above 0.85.",
                "primary_endpoint": "auc",
                "margin": 0.85,
                "threshold_rule": "sensitivity >= 0.95",
                "declared": [],
                "hash": HASH,
            }
        ],
        "provenance": {
            "versions": {"overread": "0.1.0", "numpy": "2.4.6", "torch": "2.15.0"},
            "machine": {"processor": "Example CPU", "cores": 2, "memory_gib": 16.0, "system": "Linux", "python": "3.11.7"},
            "seed": 0,
            "hashes": {"Cohort": HASH, "Splits": HASH, "Model": HASH},
            "commands": [
                "overread train liver --name first --minutes 15",
                "overread evaluate liver --on internal",
                "overread report liver",
            ],
        },
        "is_phantom": is_phantom,
    }


def classification(is_phantom: bool = False) -> ReportInput:
    question = _question("classification", ["no metastasis", "metastasis"], positive="metastasis")
    random = np.random.default_rng(1)
    truth = (np.arange(84) % 3 == 0).astype(int)
    probability = 1 / (1 + np.exp(-(2.6 * truth - 1.6 + 1.1 * random.standard_normal(84))))
    fpr, tpr, threshold = roc_curve(truth, probability, drop_intermediate=False)
    precision, recall, _ = precision_recall_curve(truth, probability)
    auc = float(roc_auc_score(truth, probability))
    bins = []
    for low in np.arange(0, 1, 0.2):
        inside = (probability >= low) & (probability < low + 0.2)
        n, k = int(inside.sum()), int(truth[inside].sum())
        rate = k / n if n else None
        bins.append(
            {
                "low": float(low),
                "high": float(low + 0.2),
                "mean_probability": float(probability[inside].mean()) if n else None,
                "rate": rate,
                "rate_low": max(rate - 0.15, 0) if rate is not None else None,
                "rate_high": min(rate + 0.15, 1) if rate is not None else None,
                "n": n,
            }
        )
    called = probability >= 0.35
    counts = [[int(((truth == t) & (called == a)).sum()) for a in (0, 1)] for t in (0, 1)]
    parts = {
        "hypothesis": "The model finds metastases with an AUC above 0.85.",
        "endpoint": "auc",
        "is_phantom": is_phantom,
        "operating_points": [
            {
                "class_name": "metastasis",
                "threshold": 0.35,
                "rule": "sensitivity >= 0.95",
                "fitted_on": "tuning",
                "sensitivity": 0.95,
                "specificity": 0.7,
            }
        ],
        "confusion": {"labels": ["no metastasis", "metastasis"], "counts": counts},
        "curves": {
            "roc": {
                "metastasis": {
                    "fpr": fpr.tolist(),
                    "tpr": tpr.tolist(),
                    "threshold": [None if not np.isfinite(t) else float(t) for t in threshold],
                    "auc": auc,
                }
            },
            "pr": {"metastasis": {"recall": recall.tolist(), "precision": precision.tolist(), "prevalence": float(truth.mean())}},
            "calibration": {"metastasis": bins},
        },
        "cases": [
            {
                "case_id": f"C-{n:04d}",
                "patient_id": f"P-{n // 2:04d}",
                "truth": question["classes"][truth[n]],
                "answer": {"metastasis": float(probability[n])},
                "scores": {},
                "reasons": {},
                "error": float(abs(truth[n] - probability[n])),
            }
            for n in range(84)
        ],
    }

    def scores(role: str, first: str) -> list[dict[str, Any]]:
        return [
            score("auc", "Area under the ROC curve (AUC)", "metastasis", auc, 0.05, first, method="DeLong, clustered by patient"),
            score("ap", "Average precision", "metastasis", auc - 0.05, 0.08, role),
            score("sensitivity", "Sensitivity", "metastasis", 78 / 84, 0.06, role, method="Wilson, effective number of cases"),
            score("specificity", "Specificity", "metastasis", 0.75, 0.1, role, method="Wilson, effective number of cases"),
            score("ppv", "Positive predictive value (PPV)", "metastasis", 0.65, 0.11, role),
            score("mcc", "Matthews correlation (MCC)", "metastasis", None, role=role),
            score("brier", "Brier score", "metastasis", 0.12, 0.03, role, better="lower"),
        ]

    panels = [
        Panel(
            case_panel(
                _film(n),
                Findings({"metastasis": float(n % 2), "no metastasis": 1.0 - n % 2}),
                Findings({"metastasis": 0.83 - 0.2 * n, "no metastasis": 0.17 + 0.2 * n}),
                title=f"Case C-{n:04d}",
                is_phantom=is_phantom,
            ),
            f"C-{n:04d}",
            why,
            "Answer and reference beside the film.",
        )
        for n, why in enumerate(("worst", "median", "random"))
    ]
    common = _common("classification", is_phantom)
    common["events"] = {"": _with_scores(epochs("overfit"), {"auc": auc})}
    return ReportInput(
        title="Liver metastases on CT",
        question=question,
        evaluations={
            "internal": _evaluation(question, "internal", scores=scores("exploratory", "primary"), **parts),
            "tuning": _evaluation(question, "tuning", scores=scores("tuning", "tuning"), **parts),
        },
        panels={"internal": panels},
        **common,
    )


def segmentation(is_phantom: bool = True) -> ReportInput:
    question = _question("segmentation", ["liver", "metastasis"], values=[1, 2])
    random = np.random.default_rng(2)
    dice = {
        "liver": np.clip(0.95 + 0.02 * random.standard_normal(84), 0, 1),
        "metastasis": np.clip(0.75 + 0.15 * random.standard_normal(84), 0, 1),
    }
    hd95 = {name: 2 + 30 * (1 - values) for name, values in dice.items()}
    cases = []
    for n in range(84):
        healthy = n % 4 == 0
        cases.append(
            {
                "case_id": f"C-{n:04d}",
                "patient_id": f"P-{n // 2:04d}",
                "truth": None,
                "answer": {},
                "scores": {
                    "dice/liver": float(dice["liver"][n]),
                    "dice/metastasis": None if healthy else float(dice["metastasis"][n]),
                    "hd95/liver": float(hd95["liver"][n]),
                    "hd95/metastasis": None if healthy else float(hd95["metastasis"][n]),
                },
                "reasons": {"dice/metastasis": "empty in truth and answer", "hd95/metastasis": "empty in truth and answer"}
                if healthy
                else {},
                "error": float(1 - dice["liver"][n]),
            }
        )
    volumes = 1400 + 300 * random.standard_normal(84)
    difference = 12 + 40 * random.standard_normal(84)

    def scores(role: str, first: str) -> list[dict[str, Any]]:
        return [
            score("dice", "Dice coefficient", "liver", 0.951, 0.008, first, formula="2 |A and B| / (|A| + |B|), mean over cases"),
            score("dice", "Dice coefficient", "metastasis", 0.748, 0.041, role),
            score("hd95", "Hausdorff distance, 95th percentile", "liver", 3.42, 0.4, role, unit="mm", better="lower"),
            score("hd95", "Hausdorff distance, 95th percentile", "metastasis", 9.6, 1.4, role, unit="mm", better="lower"),
            score("surface_dice", "Surface Dice at 2 mm", "liver", 0.93, 0.01, role),
            score("volume_error", "Volume error", "liver", 12.0, 8.0, role, unit="ml", better="zero"),
        ]

    parts = {
        "hypothesis": "The liver is outlined with a mean Dice above 0.85.",
        "endpoint": "dice/liver",
        "is_phantom": is_phantom,
        "curves": {
            "agreement": {
                "liver": {
                    "truth": volumes.tolist(),
                    "answer": (volumes + difference).tolist(),
                    "bias": float(difference.mean()),
                    "low": float(difference.mean() - 1.96 * difference.std()),
                    "high": float(difference.mean() + 1.96 * difference.std()),
                }
            }
        },
        "cases": cases,
        "rules": {
            "empty_truth": "empty in truth and answer: not defined and left out; empty in one only: Dice 0",
            "aggregation": "mean over cases",
        },
    }
    common = _common("segmentation", is_phantom)
    common["events"] = {"": _with_scores(epochs("good"), {"dice/liver": 0.95, "dice/metastasis": 0.72, "dice": 0.83})}
    for partition in common["partitions"]:
        partition["classes"] = {"liver": partition["cases"], "metastasis": round(0.75 * partition["cases"])}
    baseline = [
        {
            "score": "Dice coefficient",
            "of": "metastasis",
            "value": "0.412",
            "interval": "0.360 to 0.463",
            "method": "40 to 85 HU inside the liver; 95 %, bootstrap by patient",
        }
    ]
    beside = {"baseline": baseline} if is_phantom else {}
    return ReportInput(
        title="Liver and metastases",
        question=question,
        evaluations={
            "internal": {**_evaluation(question, "internal", scores=scores("exploratory", "primary"), **parts), **beside},
            "tuning": _evaluation(question, "tuning", scores=scores("tuning", "tuning"), **parts),
        },
        panels={"internal": liver_panels(is_phantom)},
        **common,
    )


def regression() -> ReportInput:
    """Folds, no internal hypothesis, no patient identifier: the report must say what is missing."""
    question = _question("regression", ["age"], units=["years"], unit="patient")
    random = np.random.default_rng(3)
    truth = 20 + 60 * random.random(84)
    answer = truth + 5 * random.standard_normal(84)
    error = answer - truth
    parts = {
        "hypothesis": "",
        "endpoint": "",
        "scores": [
            score(
                "mae",
                "Mean absolute error (MAE)",
                "age",
                float(np.abs(error).mean()),
                0.6,
                "tuning",
                unit="years",
                better="lower",
            ),
            score(
                "rmse",
                "Root mean square error (RMSE)",
                "age",
                float(np.sqrt((error**2).mean())),
                0.7,
                "tuning",
                unit="years",
                better="lower",
            ),
            score("bias", "Bias", "age", float(error.mean()), 1.1, "tuning", unit="years", better="zero"),
        ],
        "curves": {
            "agreement": {
                "age": {
                    "truth": truth.tolist(),
                    "answer": answer.tolist(),
                    "bias": float(error.mean()),
                    "low": -9.6,
                    "high": 10.1,
                }
            }
        },
        "cases": [
            {
                "case_id": f"C-{n:04d}",
                "patient_id": f"P-{n:04d}",
                "truth": float(truth[n]),
                "answer": {"age": float(answer[n])},
                "scores": {"absolute_error/age": float(abs(error[n]))},
                "reasons": {},
                "error": float(abs(error[n])),
            }
            for n in range(84)
        ],
    }
    common = _common("regression", False)
    common["ledger"] = []
    common["settings"] = {
        **common["settings"],
        "truth": {"reader": "unknown", "method": "unknown"},
        "cohort": {"group_by": None, "by_patient": False},
        "split": {"scheme": "folds", "folds": 2, "seed": 0, "stratify_by": "age"},
    }
    common["partitions"] = [
        {"partition": f"fold {k}", "cases": 42, "patients": 42, "classes": {}, "numbers": {}, "levels": {}} for k in range(2)
    ]
    common["events"] = {
        f"fold {k}": _with_scores(epochs(kind, seed=k), {"mae/age": 4.2}) for k, kind in enumerate(("underfit", "good"))
    }
    panel = case_panel(
        _film(9),
        Measurements({"age": 43.0}, {"age": "years"}),
        Measurements({"age": 61.5}, {"age": "years"}),
        title="Case C-0009",
        is_phantom=False,
    )
    return ReportInput(
        title="Age from a chest film",
        question=question,
        evaluations={"tuning": _evaluation(question, "tuning", **parts)},
        panels={"tuning": [Panel(panel, "C-0009", "worst", "Error 18.5 years.")]},
        **common,
    )


def subgroup(column: str, levels: list[tuple[str, int, float | None, str]]) -> dict[str, Any]:
    """A row of an evaluation's "subgroups": (level, cases, estimate, why too few)."""
    rows = []
    for name, n, estimate, too_few in levels:
        interval = score("auc", "", "", estimate, 2.0 / n)["interval"] | {"n_cases": n, "n_patients": n}
        calibration = {"metastasis": {"rate": 0.31, "mean_probability": 0.36}} if not too_few else None
        rows.append(
            {"level": name, "n_cases": n, "n_patients": n, "interval": interval, "calibration": calibration, "too_few": too_few}
        )
    worst = min((r for r in rows if not r["too_few"]), key=lambda r: r["interval"]["estimate"])["level"]
    return {
        "column": column,
        "metric": "auc",
        "name": "Area under the ROC curve (AUC)",
        "subject": "metastasis",
        "unit": "",
        "better": "higher",
        "banding": "as in the sheet",
        "levels": rows,
        "worst": worst,
        "gap": {},
        "sentence": f"{column}: the area under the ROC curve is worst in '{worst}'.",
    }


def complete() -> ReportInput:
    """A classification with everything that an evaluation can hold, an audit, later versions and an author's answers."""
    plain = classification()
    threshold = np.arange(1, 100) / 100
    benefit = 0.31 - 0.28 * threshold
    decision = {
        "threshold": threshold.tolist(),
        "net_benefit": benefit.tolist(),
        "low": (benefit - 0.06).tolist(),
        "high": [None, *(benefit[1:] + 0.06).tolist()],
        "treat_all": (0.33 - 0.67 * threshold / (1 - threshold)).tolist(),
        "prevalence": 1 / 3,
        "is_stated_prevalence": False,
        "method": "Student's interval at each threshold",
        "n_cases": 84,
        "n_patients": 61,
    }
    coverage = np.linspace(0.05, 1, 40)
    internal = dict(plain.evaluations["internal"])
    internal["curves"] = {
        **internal["curves"],
        "decision": {"metastasis": decision},
        "risk_coverage": {"all": {"coverage": coverage.tolist(), "risk": (0.2 * coverage**2).tolist(), "confidence": []}},
    }
    internal["subgroups"] = [
        subgroup("Sex", [("F", 44, 0.96, ""), ("M", 40, 0.91, "")]),
        subgroup("Site", [("north", 50, 0.95, ""), ("south", 30, 0.88, ""), ("east", 4, 0.7, "4 patients, 20 are the least")]),
    ]
    internal["scores"] = [
        *internal["scores"],
        score("accuracy", "Accuracy", "all", 70 / 84, 0.08, method="Wilson by patient (effective number of cases 75.2)"),
    ]
    internal["answered_only"] = {
        "n_refused": 2, "reasons": {"missing slice": 2}, "n_cases": 82, "n_patients": 60, "scores": internal["scores"][:2],
    }  # fmt: skip
    internal["earlier"] = [
        {
            "number": 1,
            "time": "2031-05-02T08:00:00+00:00",
            "model": HASH,
            "primary_endpoint": "auc",
            "interval": score("auc", "", "", 0.91)["interval"],
            "endpoint_met": False,
            "n_cases": 84,
            "n_patients": 61,
        }
    ]
    interval = {name: score("x", "", "", 0.9)["interval"] for name in ("sensitivity", "specificity")}
    impossible = {**interval, "sensitivity": score("x", "", "", None)["interval"]}
    internal["label_error"] = [{"missed": 0.0, "false": 0.05, **interval}, {"missed": 0.1, "false": 0.1, **impossible}]
    reference, there = interval["sensitivity"], interval["specificity"]
    moved = {"reference": reference, "external": there, "difference": score("x", "", "", -0.04)["interval"]}
    external = {
        **plain.evaluations["tuning"],
        "partition": "external:north",
        "external": {
            "name": "north",
            "compared_with": "internal",
            "drop": [
                {"metric": "f1", "role": "exploratory", "name": "F1", "subject": "all", "unit": "", "moved": "worse", **moved},
                {
                    "metric": "auc",
                    "role": "primary",
                    "name": "AUC",
                    "subject": "metastasis",
                    "unit": "",
                    "moved": "worse",
                    **moved,
                },
            ],
            "shift": [{"what": "class", "of": "metastasis", "unlike": True, "training": None, **moved}],
        },
    }
    opened = plain.ledger[0]["time"]
    return replace(
        plain,
        evaluations={**plain.evaluations, "internal": internal, "external:north": external},
        versions=[
            {"version": 1, "time": "2031-05-01T08:00:00+00:00", "reason": "init", "digest": HASH, "cases": 378, "patients": 271,
             "changed": {}},
            {"version": 2, "time": f"2032{opened[4:]}", "reason": "update", "digest": HASH, "cases": 380, "patients": 272,
             "changed": {"new_cases": ["C-0379", "C-0380"], "corrected_truths": ["C-0003"], "removed_cases": 0}},
        ],
        answers={"study.ethics": "Ethics committee of the North, 31-007", "claim.5": "Retrospective study",
                 "claim.34": "not applicable: no trial"},
        audit={"concerns": [{"key": "border", "severity": "warning", "statement": "Borders alone tell the label."}],
               "tables": {"acquisition": {"rows": [{"column": "kvp"}, {"column": "vendor"}]}}},
        model={"sha256": HASH, "decisions": {"temperature": 1.4, "operating_points": [{}]},
               "training": {"licences": {"code": "Apache-2.0", "weights": "as the training data allow"}}},
    )  # fmt: skip


def _with_scores(events: list[dict[str, Any]], final: dict[str, float]) -> list[dict[str, Any]]:
    """Give each epoch scores that approach their final values."""
    count = len(events)
    for number, event in enumerate(events):
        reached = 1 - 0.9 * np.exp(-5 * (number + 1) / count)
        event["scores"] = {
            name: float(value * reached if value <= 1 else value + 10 * (1 - reached)) for name, value in final.items()
        }
    return [{"event": "started", "run": "first", "seed": 0}, *events, {"event": "finished", "minutes": 12.0, "epochs": count}]
