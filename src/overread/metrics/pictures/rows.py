"""The rows of the table of metrics for images as answers: each score, the same of what was read, and what was gained over it."""

from __future__ import annotations

from dataclasses import replace

from overread.core.question import Question
from overread.metrics.metric import Metric, mean_from_sums

_WINDOWS = "Gaussian windows of 11 voxels, sigma 1.5"

MAE = Metric(
    "image_mae", "Mean absolute error of intensities", "mean over voxels of |A - T|, mean over cases", "lower",
    synonyms=("MAE", "L1"), from_sums=mean_from_sums,
)  # fmt: skip
RMSE = Metric(
    "image_rmse", "Root mean squared error of intensities", "square root of the mean over voxels of (A - T)^2, mean over cases",
    "lower", synonyms=("RMSE",), from_sums=mean_from_sums,
)  # fmt: skip
NMSE = Metric(
    "nmse", "Normalised squared error", "sum of (A - T)^2 over sum of T^2 (HU counted from air), mean over cases", "lower",
    synonyms=("NMSE",), from_sums=mean_from_sums,
)  # fmt: skip
PSNR = Metric(
    "psnr", "Peak signal-to-noise ratio",
    "20 log10(range) - 10 log10(mean of (A - T)^2), at most 100; range of each truth, HU: -1000 to 1000; mean over cases",
    "higher", unit="dB", synonyms=("PSNR",), from_sums=mean_from_sums,
)  # fmt: skip
SSIM = Metric(
    "ssim", "Structural similarity", f"SSIM over {_WINDOWS}, range as for PSNR, mean over cases", "higher",
    synonyms=("SSIM",), from_sums=mean_from_sums,
)  # fmt: skip
MS_SSIM = Metric(
    "ms_ssim", "Structural similarity over scales",
    f"MS-SSIM over {_WINDOWS}, at most 5 scales, range as for PSNR, mean over cases", "higher",
    synonyms=("MS-SSIM",), from_sums=mean_from_sums,
)  # fmt: skip
BODY_MAE = replace(
    MAE, key="body_mae", name="Mean absolute error within the body", formula=f"{MAE.formula}; voxels of the body alone"
)
BODY_PSNR = replace(
    PSNR, key="body_psnr", name="Peak signal-to-noise ratio within the body", formula=f"{PSNR.formula}; voxels of the body alone"
)
BODY_SSIM = replace(
    SSIM, key="body_ssim", name="Structural similarity within the body", formula=f"{SSIM.formula}; voxels of the body alone"
)

SCORES = (SSIM, PSNR, MAE, RMSE, NMSE, MS_SSIM, BODY_SSIM, BODY_PSNR, BODY_MAE)
IN_UNITS = (MAE.key, RMSE.key, BODY_MAE.key)  # their unit is that of the images
READ, GAIN = "_read", "_gain"


def of_what_was_read(metric: Metric) -> Metric:
    """The same score of what was read, unchanged."""
    return replace(
        metric, key=metric.key + READ, name=f"{metric.name} of what was read", better="none", synonyms=(),
        formula=f"{metric.formula}; A is what was read, unchanged",
    )  # fmt: skip


def gained(metric: Metric) -> Metric:
    """How much better the answer is than what was read, case by case: above 0 is better."""
    turned = "read less answer" if metric.better == "lower" else "answer less read"
    return replace(
        metric, key=metric.key + GAIN, name=f"Gain in {_lower(metric.name)}", better="higher", synonyms=(),
        formula=f"{metric.formula}: {turned}, case by case",
    )  # fmt: skip


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


GAINS = tuple(gained(metric) for metric in SCORES)
OF_READ = tuple(of_what_was_read(metric) for metric in SCORES)
ROWS = (*SCORES, *GAINS, *OF_READ)


def is_of_another_image(question: Question) -> bool:
    """What is read differs from the truth, so that leaving it as it is is a rival worth to be beaten."""
    return question.task in ("translate", "restore") or bool(question.degradation)


def metrics_of(question: Question) -> tuple[Metric, ...]:
    """The rows of one channel."""
    return ROWS if is_of_another_image(question) else SCORES
