"""How fast intervals and surface distances are computed, beside scikit-learn in a loop and MONAI, in one run.

    python benchmarks/statistics_speed.py
    python benchmarks/statistics_speed.py --loops 20 --repeats 1

The interval: area under the ROC curve of 10,000 cases of 2,500 patients, 10,000 resamples by patient, by our bootstrap; and
scikit-learn's `roc_auc_score` on the same draws of patients in a loop, timed on fewer of them and scaled, as each takes as
long as any other. The masks: two ellipsoids with bumps in a box of 256 x 256 x 128; 95 % Hausdorff distance and surface
Dice at 2 mm by us and by MONAI's `compute_hausdorff_distance` and `compute_surface_dice` with the same spacing.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Started, parser, run, say_result, spread_of, table, write_result
from sklearn.metrics import roc_auc_score

from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.evaluation.intervals.bootstrap import bootstrap_interval, draws
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.label_maps import score_label_maps
from overread.metrics.ranking import Ranking

CASES, PATIENTS, RESAMPLES = 10_000, 2_500, 10_000
SHAPE = (128, 256, 256)
SPACING = (2.0, 1.0, 1.0)
TOLERANCE = 2.0
MOST_SECONDS, LEAST_TIMES_SKLEARN, LEAST_TIMES_MONAI = 5.0, 50.0, 5.0


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--loops", type=int, default=100, help="resamples that scikit-learn is timed on")
    options.add_argument("--repeats", type=int, default=3, help="times that each is measured; the median counts")
    asked, started = options.parse_args(), Started()
    interval, interval_rows = of_interval(asked.loops, asked.repeats)
    masks, mask_rows = of_masks(asked.repeats)
    met = {
        "interval in less than 5 s": interval["seconds"] < MOST_SECONDS,
        "interval 50 times scikit-learn": interval["times"] >= LEAST_TIMES_SKLEARN,
        "masks 5 times MONAI": masks["times"] >= LEAST_TIMES_MONAI,
    }
    settings = {"cases": CASES, "patients": PATIENTS, "resamples": RESAMPLES, "shape": SHAPE, "spacing_mm": SPACING}
    spread = {"interval": interval.pop("spread"), "masks": masks.pop("spread"), "monai": masks.pop("monai_spread")}
    notes = [
        f"scikit-learn's seconds are those of {asked.loops} resamples, times {RESAMPLES / asked.loops:g}",
        "MONAI counts the edges of a mask a little differently, so its numbers lie near ours and are not the same",
    ]
    figures: dict[str, Any] = {"interval": interval, "masks": masks, "met": met}
    path = write_result("statistics_speed", started, settings=settings, figures=figures, spread=spread, notes=notes)
    header = ["what", "ours, s", "theirs, s", "times", "aim"]
    verdicts = [f"{name}: {'met' if yes else 'NOT met'}" for name, yes in met.items()]
    say_result(path, [*table(header, [interval_rows, mask_rows]), "", *verdicts])


def of_interval(loops: int, repeats: int) -> tuple[dict[str, Any], list[object]]:
    random = np.random.default_rng(0)
    number = np.repeat(np.arange(PATIENTS), CASES // PATIENTS)
    truth = random.random(CASES) < 0.3
    score = random.normal(size=PATIENTS)[number] + random.normal(size=CASES) + truth
    patients, rules = Patients.of(number), Rules(resamples=RESAMPLES)

    def ours() -> Any:
        draws.cache_clear()
        return bootstrap_interval(Ranking.of(truth, score).by_unit(number).auc, patients, rules, "one class")

    seconds, found = timed(ours, repeats)
    counts = draws(PATIENTS, RESAMPLES, rules.seed)[:loops]
    values = Ranking.of(truth, score).by_unit(number).auc(counts.astype(float))
    began = time.perf_counter()
    looped = []
    for row in counts:
        cases = np.repeat(np.arange(CASES), row[number])  # the cases of the drawn patients, as often as these were drawn
        looped.append(roc_auc_score(truth[cases], score[cases]))
    loop = (time.perf_counter() - began) / loops * RESAMPLES
    middle = statistics.median(seconds)
    figures = {
        "seconds": round(middle, 3),
        "sklearn_seconds": round(loop, 1),
        "times": round(loop / middle, 1),
        "largest_difference_between_the_two": float(np.abs(values - looped).max()),
        "interval": str(found),
        "spread": spread_of(seconds, 3),
    }
    return figures, [
        "AUC, 10,000 resamples of 10,000 cases",
        f"{middle:.2f}",
        f"{loop:.0f}",
        f"{loop / middle:.0f}",
        "50, in 5 s",
    ]


def of_masks(repeats: int) -> tuple[dict[str, Any], list[object]]:
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    truth, answer = ellipsoid(0.0), ellipsoid(6.0)
    grid = Grid.from_spacing(SHAPE, SPACING)
    maps = [LabelMap(mask[None].astype(np.uint8), (Structure("liver", 1),), grid) for mask in (truth, answer)]
    tensors = [torch.from_numpy(mask[None, None].astype(np.uint8)) for mask in (answer, truth)]

    def theirs() -> tuple[float, float]:
        distance = compute_hausdorff_distance(*tensors, include_background=True, percentile=95, spacing=list(SPACING))
        dice = compute_surface_dice(*tensors, class_thresholds=[TOLERANCE], include_background=True, spacing=list(SPACING))
        return float(distance), float(dice)

    own, scores = timed(lambda: score_label_maps(maps[0], maps[1], ("liver",), TOLERANCE)["liver"].scores, repeats)
    other, found = timed(theirs, repeats)
    ours, monai = statistics.median(own), statistics.median(other)
    figures = {
        "seconds": round(ours, 3),
        "monai_seconds": round(monai, 3),
        "times": round(monai / ours, 1),
        "hd95_mm": {"ours": scores["hd95"].value, "monai": found[0]},
        "surface_dice": {"ours": scores["surface_dice"].value, "monai": found[1]},
        "voxels": [int(truth.sum()), int(answer.sum())],
        "spread": spread_of(own, 3),
        "monai_spread": spread_of(other, 3),
    }
    return figures, ["HD95 and surface Dice, 256 x 256 x 128", f"{ours:.3f}", f"{monai:.3f}", f"{monai / ours:.1f}", "5"]


def timed(work: Callable[[], Any], repeats: int) -> tuple[list[float], Any]:
    seconds, found = [], None
    for _ in range(repeats):
        began = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - began)
    return seconds, found


def ellipsoid(shift: float) -> np.ndarray:
    """(Z, Y, X) bool: an organ about as large as a liver, with bumps; shifted by so many voxels along X."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    radius = ((z - 64) / 45) ** 2 + ((y - 128) / 70) ** 2 + ((x - 128 - shift) / 90) ** 2
    return radius + 0.12 * np.sin(z / 7) * np.cos(y / 9 + shift) * np.sin(x / 11) < 1


if __name__ == "__main__":
    run(main)
