"""Lesions that touch, told apart in 3D: our network of centres beside connected components of a semantic mask.

    python benchmarks/touching.py
    python benchmarks/touching.py --patients 20 --size 128 --minutes 5 --on tuning

PHANTOM: drawn livers whose metastases lie in clusters that touch. Nothing measured here says anything about patients.

Both are U-Nets taught on the same cases for the same minutes. The one says of each voxel what it is and where the middle of its
object lies (`centre_offset_unet`, the default); the other says what it is, and connected voxels are one object (`unet`). Both
have their decisions fitted on the tuning cases, and the internal test is opened once for each; with --on tuning it stays shut.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common import WORK, Started, parser, run, say_result, spread_of, table, write_result
from phantom_metastases import NOTE, draw, open_or_init, scored
from runs import count_openings, interval_text, openings_line, train_or_resume

ARCHITECTURES = ("centre_offset_unet", "unet")
SHOWN = ("pq", "count_error", "merged", "split", "rq", "sq", "sensitivity_at_1fp")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--patients", type=int, default=40)
    options.add_argument("--size", type=int, default=160, help="pixels in each direction of the plane")
    options.add_argument("--seed", type=int, default=8)
    options.add_argument("--minutes", type=float, default=20.0, help="of training, for each")
    options.add_argument("--on", choices=("internal", "tuning"), default="internal", help="which cases to score")
    options.add_argument("--out", type=Path, default=WORK / "touching", help="folder for phantom and project")
    asked, started = options.parse_args(), Started()
    phantom = asked.out / "phantom"
    draw(phantom, {"patients": asked.patients, "size": asked.size, "seed": asked.seed}, "--touching")
    project = open_or_init(asked.out / "project", phantom, "instances", phantom / "metastases")
    figures: dict[str, Any] = {}
    for architecture in ARCHITECTURES:
        name = f"{architecture}-{asked.minutes:g}min"
        overrides = {"training.architecture": architecture}
        figures[name] = train_or_resume(project, name, asked.minutes, overrides=overrides)
    for name, figure in figures.items():
        result = scored(project, name, asked.on)
        figure["scores"] = {row["metric"]: row["interval"] for row in result["scores"] if row["metric"] in SHOWN}
        figure |= {"n_cases": result["n_cases"], "n_patients": result["n_patients"]}
    openings = count_openings("touching", project) if asked.on == "internal" else None
    settings = {key: getattr(asked, key) for key in ("patients", "size", "seed", "minutes", "on")}
    spread = {"pq": spread_of([figure["scores"]["pq"]["estimate"] for figure in figures.values()])}
    stem = "touching" + ("-tuning" if asked.on == "tuning" else "")
    path = write_result(stem, started, settings=settings, figures={**figures, "openings": openings}, spread=spread, notes=[NOTE])
    say_result(path, [*lines_of(figures, asked.on), "", openings_line(openings) if openings else "No seal was opened."])


def lines_of(figures: dict[str, Any], on: str) -> list[str]:
    where = {"internal": "internal test", "tuning": "tuning cases"}[on]
    rows = [
        [who, metric, interval_text(figure["scores"][metric])]
        for metric in SHOWN
        for who, figure in figures.items()
        if metric in figure["scores"]
    ]
    return ["PHANTOM", *table(["run", "metric", where], rows)]


if __name__ == "__main__":
    run(main)
