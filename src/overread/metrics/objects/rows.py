"""The rows of the table of metrics for questions of objects."""

from __future__ import annotations

from dataclasses import replace

from overread.metrics.metric import Metric
from overread.metrics.objects.counts import COUNTED
from overread.metrics.objects.froc import RATES
from overread.metrics.objects.panoptic import PANOPTIC
from overread.metrics.ranking import AUC

_NO_TRUTH = "no object in the truth"
_WRITTEN = ("1/8", "1/4", "1/2", "1", "2", "4", "8")

FROC = Metric(
    "froc", "Mean sensitivity at 1/8 to 8 false positives per case",
    "mean of the sensitivities at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives per case; each the highest of a threshold with "
    "at most so many; the last is carried on where the answers never reach a rate",
    "higher", undefined=_NO_TRUTH, synonyms=("FROC score", "CPM", "LUNA16 score"),
)  # fmt: skip
AT_RATES = {
    f"sensitivity_at_{written.replace('/', '_')}fp": (rate, written) for rate, written in zip(RATES, _WRITTEN, strict=True)
}
RATE_OF = {key: rate for key, (rate, _) in AT_RATES.items()}  # key of the row -> false positives per case
SENSITIVITY_AT = tuple(
    Metric(
        key, f"Sensitivity at {written} false positive{'s' if rate > 1 else ''} per case",
        f"highest share of the objects found by a threshold with at most {written} false positives per case",
        "higher", undefined=_NO_TRUTH,
    )
    for key, (rate, written) in AT_RATES.items()
)  # fmt: skip
WAFROC = Metric(
    "wafroc", "Weighted AFROC area",
    "share of (object, case without one) pairs in which the object scores higher than the worst false positive of that case; "
    "ties count half, the objects of a case share one weight",
    "higher", undefined="every case holds an object, or none does", synonyms=("wAFROC-AUC",),
)  # fmt: skip
AP50 = Metric(
    "ap50", "Average precision at IoU 0.5",
    "COCO: precision at 101 recalls, averaged, of the 100 highest answers in each case; an answer is true from an IoU of "
    "0.5",
    "higher", undefined=_NO_TRUTH, synonyms=("AP50", "mAP50"), depends_on_prevalence=True,
)  # fmt: skip
AP = Metric(
    "ap", "Average precision, IoU 0.5 to 0.95",
    "COCO: mean over ten limits of the IoU, 0.50 to 0.95, of the average precision of the 100 highest answers in each case",
    "higher", undefined=_NO_TRUTH, synonyms=("AP", "mAP"), depends_on_prevalence=True,
)  # fmt: skip
PATIENT_AUC = replace(
    AUC,
    key="patient_auc",
    name="Patient-level area under the ROC curve",
    formula="share of (patient with, patient without) pairs in which the highest score of the one is higher; ties count half",
    undefined="every patient has the object, or none has",
)

DETECTION = (FROC, *SENSITIVITY_AT, WAFROC, *COUNTED, AP50, AP, PATIENT_AUC)
INSTANCES = (*PANOPTIC, *DETECTION)
ROWS: dict[str, Metric] = {metric.key: metric for metric in INSTANCES}


def metrics_of(task: str) -> tuple[Metric, ...]:
    """Rows of "detection" (by box) or "instances" (the same by mask, and panoptic quality)."""
    return INSTANCES if task == "instances" else DETECTION
