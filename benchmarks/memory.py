"""Peak memory of training on a cohort and on one four times as large: it must not grow with the cohort.

    python benchmarks/memory.py

Draws volumes of noise with a ball in them, marked as PHANTOM, and makes and trains one project for each size,
every verb in a process of its own. Prepared cases lie in a memory-mapped file, so what grows is the file and the
mapped pages, which the system can drop whenever it needs the memory for something else. Anonymous memory, the part
that has to fit, should stay the same.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from common import WORK, Started, numbers, overread_program, parser, run, say_result, spread_of, table, write_result
from watch import run_watched

from overread.core.grid import Grid
from overread.imaging.nifti import write_nifti

GROWTH_ALLOWED = 1.15  # of anonymous memory, from the smallest to the largest cohort


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--cases", type=int, default=24, help="of the smallest cohort")
    options.add_argument("--times", type=numbers, default=[1, 4], help="multiples of it, e.g. 1,4")
    options.add_argument("--edge", type=int, default=160, help="voxels along each axis of a volume")
    options.add_argument("--epochs", type=int, default=1, help="of training; one looks at every case once")
    options.add_argument("--out", type=Path, default=WORK / "memory", help="folder for cohorts and projects; emptied at the end")
    asked, started = options.parse_args(), Started()
    rows = [one_size(asked.out / f"{times}x", asked.cases * times, asked.edge, asked.epochs) for times in asked.times]
    shutil.rmtree(asked.out)
    peaks = [row["train"]["peak_anonymous_gib"] for row in rows]
    growth = peaks[-1] / peaks[0]
    figures: dict[str, Any] = {"sizes": rows, "growth_of_anonymous_memory": round(growth, 3)}
    figures |= {"growth_of_cohort": rows[-1]["cases"] / rows[0]["cases"], "met": growth <= GROWTH_ALLOWED}
    settings = {"cases": asked.cases, "times": asked.times, "edge": asked.edge, "epochs": asked.epochs}
    spread = {"peak_anonymous_gib of train over sizes": spread_of(peaks)}
    path = write_result("memory", started, settings=settings, figures=figures, spread=spread)
    header = ["cases", "images GiB", "cache GiB", *(f"{verb}: {kind}" for verb in ("init", "train") for kind in KINDS), "train s"]
    cells = [
        [
            row["cases"],
            row["images_gib"],
            row["cache_gib"],
            *(f"{row[verb][key]:.2f}" for verb in ("init", "train") for key in KINDS.values()),
            row["train"]["seconds"],
        ]
        for row in rows
    ]
    verdict = (
        f"The cohort grew {figures['growth_of_cohort']:.1f} times, the peak of anonymous memory in training {growth:.2f} times "
        f"({GROWTH_ALLOWED} allowed): {'met' if figures['met'] else 'NOT met'}"
    )
    say_result(path, [*table(header, cells), "(peaks in GiB)", "", verdict])


KINDS = {"anonymous": "peak_anonymous_gib", "mapped": "peak_mapped_gib"}


def one_size(folder: Path, cases: int, edge: int, epochs: int) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    images, masks, project = folder / "images", folder / "masks", folder / "project"
    for number in range(cases):
        draw_case(images, masks, number, edge)
    program = overread_program()
    made = run_watched([program, "init", project, "--images", images, "--truth", masks, "--name", "1=ball"])
    # The spacing is kept so that the prepared cases are as large as the images.
    words: list[str | Path] = [program, "train", project, "--epochs", str(epochs), "--set", "training.spacing=[1.0, 1.0, 1.0]"]
    trained = run_watched(words)
    found: dict[str, Any] = {"cases": cases, "images_gib": gib_of(images), "cache_gib": gib_of(project / "cohort" / "cache")}
    found |= {"init": made.as_dict(), "train": trained.as_dict()}
    shutil.rmtree(folder)
    return found


def draw_case(images: Path, masks: Path, number: int, edge: int) -> None:
    """A volume of noise with a brighter ball somewhere, and the ball's mask; not compressed, which would only cost time."""
    random = np.random.default_rng(number)
    grid = Grid.from_spacing((edge, edge, edge), (1.0, 1.0, 1.0))
    centre, radius = random.uniform(0.35, 0.65, 3) * edge, random.uniform(0.1, 0.25) * edge
    z, y, x = (np.arange(edge) - middle for middle in centre)
    ball = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < radius**2
    volume = random.normal(0, 100, (edge, edge, edge)) + 150 * ball
    for folder in (images, masks):
        folder.mkdir(parents=True, exist_ok=True)
    write_nifti(images / f"case-{number:04d}.nii", volume.astype(np.int16), grid, description="PHANTOM, noise with a ball")
    write_nifti(masks / f"case-{number:04d}.nii", ball.astype(np.uint8), grid, description="PHANTOM, the ball")


def gib_of(folder: Path) -> float:
    """Size of all files under a folder."""
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**30, 3)


if __name__ == "__main__":
    run(main)
