"""Steps of DDIM against quality, images per second, and what bfloat16 gains: the diffusion of `generative_pneumonia.py`.

    python benchmarks/sampling_steps.py
    python benchmarks/sampling_steps.py --steps 5,20 --count 100 --repeats 2

The trained network makes the same number of images from the same random numbers with fewer and more steps; KID and FID are by the
encoder of that benchmark, against the tuning images. Speed is of 16 images at once; float32 and bfloat16 take turns, medians
of the repeats. Run `generative_pneumonia.py` first: its project is used where it lies in `work/`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import WORK, Started, numbers, parser, run, say_result, spread_of, table, write_result
from runs import interval_text

from overread.cli.progress import reporter
from overread.core.errors import OverreadError
from overread.reading.making import AT_ONCE, ImageMaker
from overread.workflow.fidelity import fidelity
from overread.workflow.frozen import model_of
from overread.workflow.generation.seen_by import ENCODER
from overread.workflow.project import Project

SHOWN = ("fid", "kid", "precision", "recall")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--steps", type=numbers, default=[5, 10, 20, 50, 100])
    options.add_argument("--count", type=int, default=300, help="images made with each number of steps")
    options.add_argument("--repeats", type=int, default=5, help="of each timing")
    options.add_argument("--project", type=Path, default=WORK / "generative-pneumonia-10min" / "synthesize")
    options.add_argument("--run", default="diffusion_unet-0")
    asked, started = options.parse_args(), Started()
    if not (asked.project / "project.toml").exists():
        raise OverreadError("The project of the trained diffusion is missing.", "run benchmarks/generative_pneumonia.py first")
    project = Project.open(asked.project)
    seen_by = str(project.run(ENCODER).path)
    rows = {str(steps): one(project, asked, steps, seen_by) for steps in asked.steps}
    speeds = speeds_of(project, asked)
    gains = {steps: speeds["bfloat16"][steps]["median"] / speeds["float32"][steps]["median"] for steps in speeds["bfloat16"]}
    settings = {key: getattr(asked, key) for key in ("steps", "count", "repeats")}
    figures = {"quality": rows, "images_per_second": speeds, "bfloat16_gain": gains}
    path = write_result("sampling-steps", started, settings=settings, figures=figures, spread=speeds)
    cells = [
        [steps, *(interval_text(row[key]) for key in SHOWN)]
        + [f"{speeds[precision][steps]['median']:.2f}" for precision in ("float32", "bfloat16")]
        for steps, row in rows.items()
    ]
    gained = ", ".join(f"{steps} steps {gain:.2f}" for steps, gain in gains.items())
    header = ["steps", *SHOWN, "images/s float32", "images/s bfloat16"]
    say_result(path, [*table(header, cells), "", f"bfloat16 makes so many times as many images per second: {gained}"])


def one(project: Project, asked: Any, steps: int, seen_by: str) -> dict[str, Any]:
    found = fidelity(project, asked.run, asked.count, features=seen_by, steps=steps, progress=reporter())
    return {row["metric"]: row["interval"] for row in found["fidelity"]["scores"] if row["metric"] in SHOWN}


def speeds_of(project: Project, asked: Any) -> dict[str, dict[str, Any]]:
    """Images per second by precision and number of steps; the two precisions take turns."""
    maker = ImageMaker.of(model_of(project, project.run(asked.run)).predictor)
    makers = {precision: replace(maker, precision=precision) for precision in ("float32", "bfloat16")}
    found: dict[str, dict[str, Any]] = {precision: {} for precision in makers}
    for steps in asked.steps:
        rates: dict[str, list[float]] = {precision: [] for precision in makers}
        for repeat in range(asked.repeats + 1):
            for precision, each in makers.items():
                began = time.perf_counter()
                each.make(AT_ONCE, seed=repeat, steps=steps)
                rates[precision].append(AT_ONCE / (time.perf_counter() - began))
        for precision in makers:
            found[precision][str(steps)] = spread_of(rates[precision][1:])  # the first one warms up
    return found


if __name__ == "__main__":
    run(main)
