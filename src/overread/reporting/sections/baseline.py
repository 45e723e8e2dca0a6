"""Hand-made features: the model of a baseline in words, and a network beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.reporting.given import Record, ReportInput
from overread.reporting.proportions import in_words

SHOWN = ("auc", "sensitivity", "specificity", "accuracy", "balanced_accuracy", "mae", "bias", "rmse")


def model_sentence(fitted: Record) -> str:
    """What was fitted, on how many cases, and how it was chosen."""
    cases, clinical = fitted["cases"], fitted.get("clinical", ())
    taken = f", and taken from the sheet ({', '.join(clinical)})" if clinical else ""
    kind = "" if clinical else "hand-made "
    return (
        f"No network was trained. {fitted['features']} {kind}features of intensity, texture, shape and gradients were computed "
        f"from each image{taken}. Of {len(fitted['tried'])} small models fitted on {cases['training']} training cases the one "
        f"with the lowest loss on {cases['tuning']} tuning cases was kept: {fitted['chosen']}."
    )


def tried_rows(fitted: Record) -> list[dict[str, Any]]:
    """Each small model with its loss on tuning cases, the lowest first."""
    rows = sorted(fitted["tried"], key=lambda row: float(row["loss"]))
    return [
        {"model": row["model"], "setting": row["setting"], "loss": f"{row['loss']:.4f}", "is_chosen": number == 0}
        for number, row in enumerate(rows)
    ]


def beside_baseline(given: ReportInput, partition: str) -> dict[str, Any] | None:
    """A network beside the baseline on the same cases; None where no baseline was evaluated on them."""
    found = given.beside.get(partition)
    if not found:
        return None
    paired = {(c["metric"], c["subject"]): c for c in found["comparisons"]}
    reference = {(s["metric"], s["subject"]): s for s in found["reference"]}
    both = [(key, s) for s in found["model"] if (key := (s["metric"], s["subject"])) in reference]
    wanted = [(key, s) for key, s in both if key in paired] + [
        (key, s) for key, s in both if key not in paired and key[0] in SHOWN and s["interval"]["estimate"] is not None
    ]
    return {
        "baseline": found["baseline"],
        "chosen": found["chosen"],
        "rows": [_row(score, reference[key], paired.get(key)) for key, score in wanted],
        "sentences": [c["sentence"] for c in found["comparisons"]],
        "reason": found["reason"],
    }


def _row(model: Record, reference: Record, pair: Mapping[str, Any] | None) -> dict[str, str]:
    subject = str(model["subject"])
    return {
        "name": str(model["name"]),
        "subject": "" if subject == "all" else subject,
        "reference": in_words(reference),
        "model": in_words(model),
        "difference": in_words({"interval": pair["difference"], "unit": model.get("unit", "")}) if pair else "",
        "p": "" if pair is None or pair["p"] is None else "< 0.001" if pair["p"] < 0.001 else f"{pair['p']:.3f}",
    }
