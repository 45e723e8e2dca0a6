"""The rows of scores of made images."""

from __future__ import annotations

from overread.metrics.metric import Metric, mean_from_sums, proportion

FID = Metric(
    "fid", "Frechet distance of features", "|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of the features of real and made images",
    "lower", synonyms=("FID",),
)  # fmt: skip
KID = Metric(
    "kid", "Kernel distance of features", "unbiased squared MMD with the kernel (x . y / F + 1)^3; no pair of one patient",
    "lower", synonyms=("KID",),
)  # fmt: skip
MMD = Metric(
    "mmd", "Discrepancy of features", "unbiased squared MMD, Gaussian kernel as wide as the median distance of two real images; "
    "no pair of one patient", "lower", synonyms=("MMD",),
)  # fmt: skip
PRECISION = proportion(
    "precision", "Precision of generation", "of the made images, those within reach of a real one (its 3rd neighbour)",
    (0,), (0, 1), "no made image",
)  # fmt: skip
RECALL = proportion(
    "recall", "Recall of generation", "of the real images, those within reach of a made one (its 3rd neighbour)",
    (0,), (0, 1), "no real image",
)  # fmt: skip
DENSITY = Metric(
    "density", "Density", "real images within whose reach (5th neighbour) a made one lies, over 5; mean over made images",
    "higher", from_sums=mean_from_sums,
)  # fmt: skip
COVERAGE = proportion(
    "coverage", "Coverage", "of the real images, those with a made one within their reach (5th neighbour)", (0,), (0, 1),
    "no real image",
)  # fmt: skip
DIVERSITY = Metric(
    "diversity", "Diversity", "mean distance between two made images over that between two real ones; 1 is ideal", "none"
)
PAIR_MS_SSIM = Metric(
    "pair_ms_ssim", "Likeness of made images", "mean MS-SSIM of pairs of made images; to be read beside that of real ones", "none"
)
NEAREST_RATIO = Metric(
    "nearest_ratio", "Distance to the nearest training image",
    "median over made images of the distance to the nearest training image, over that of held-out real images", "none",
    undefined="held-out images equal training images",
)  # fmt: skip
NEARER = Metric(
    "nearer", "Made images nearer to training than any held-out image",
    "of the made images, those whose nearest training image is nearer than that of every held-out real image", "lower",
    interval="wilson", parts=((0,), (0, 1)),
)  # fmt: skip

ROWS = (FID, KID, MMD, PRECISION, RECALL, DENSITY, COVERAGE, DIVERSITY, PAIR_MS_SSIM, NEAREST_RATIO, NEARER)
