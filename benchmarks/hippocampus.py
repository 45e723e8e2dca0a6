"""Hippocampus MR, two structures, five grouped folds: Dice and HD95 against the published level.

    python benchmarks/hippocampus.py
    python benchmarks/hippocampus.py --minutes 5 --folds 0
    python benchmarks/hippocampus.py --members 3

Makes a project of the Medical Segmentation Decathlon's Task04 (194 volumes of 128 presumed subjects), trains
each fold for the given minutes, opens the seal of each fold and pools. May be stopped and started again:
trained folds are left alone, a stopped one goes on. With --members 3 the minutes of a fold are shared equally among
networks of seeds 0, 1 and 2, which then answer together.

Aim: Dice of at least 0.893 (anterior) and 0.875 (posterior) pooled over five folds at 15 minutes each on two
cores. nnU-Net published 0.899 and 0.882 after 1,000 epochs on a GPU, on folds that are not grouped by person
and with a third more training volumes (Isensee et al., Nature Methods 18, 203, 2021).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from common import WORK, Started, numbers, parser, run, say_result, shared_data, spread_of, table, write_result
from runs import TRAINED, count_openings, examine_once, interval_text, openings_line, train_or_resume
from watch import MemoryWatch

import overread
from overread.cli.progress import reporter
from overread.evaluation.result import Result
from overread.record.files import read_json, write_json
from overread.workflow.ensemble import ensemble
from overread.workflow.project import Project

AIMS = {"Anterior": 0.893, "Posterior": 0.875}
PUBLISHED = {"Anterior": 0.899, "Posterior": 0.882}
METRICS = ("dice", "hd95")
RUN = "first"
TOGETHER = "together"
TUNING = 0.08  # share of the subjects outside the fold; a segmentation fits little on them, and learns from the rest
DECLARED = {
    "hypothesis": "Minutes of training on a processor come within 0.01 Dice of nnU-Net's published cross-validation",
    "primary_endpoint": "dice",
    "declared": ["dice/Anterior", "dice/Posterior", "hd95/Anterior", "hd95/Posterior"],
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=15.0, help="of training, per fold")
    options.add_argument("--members", type=int, default=1, help="networks that share the minutes and answer together")
    options.add_argument("--folds", type=numbers, default=[0, 1, 2, 3, 4], help="which of the five, e.g. 0,1")
    options.add_argument("--out", type=Path, help="folder of the project; work/hippocampus-<minutes>min where not given")
    asked = options.parse_args()
    name = f"hippocampus-{asked.minutes:g}min{f'-{asked.members}members' if asked.members > 1 else ''}"
    started = Started()
    project = open_or_init(asked.out or WORK / name)
    is_whole = set(asked.folds) == set(project.folds)
    if asked.members > 1:
        run_name, took = TOGETHER, {fold: train_members(project, asked.members, asked.minutes, fold) for fold in asked.folds}
    else:
        run_name, took = RUN, {fold: train_or_resume(project, RUN, asked.minutes, fold=fold) for fold in asked.folds}
    if is_whole:
        pooled = examine_once(project, run_name, DECLARED)
        folds = {row["fold"]: Result(row) for row in pooled["folds"]}
    else:
        name += f"-fold{''.join(map(str, asked.folds))}"
        pooled = None
        folds = {fold: examine_once(project, run_name, DECLARED, fold) for fold in asked.folds}
    openings = count_openings("hippocampus", project)
    rows = [{"fold": fold, **figures_of(folds[fold]), **took[fold]} for fold in asked.folds]
    figures: dict[str, Any] = {"folds": rows, "pooled": figures_of(pooled) if pooled else None, "openings": openings}
    figures |= {"aims_dice": AIMS, "nnunet_published_dice": PUBLISHED}
    figures["met"] = {s: pooled["dice"][s].estimate >= aim for s, aim in AIMS.items()} if pooled else None
    spread = {f"{m}/{s} over folds": spread_of([row[m][s]["estimate"] for row in rows]) for m in METRICS for s in AIMS}
    settings = {
        "minutes": asked.minutes,
        "members": asked.members,
        "folds": asked.folds,
        "grouped_by": "presumed_subject",
        "tuning": TUNING,
    }
    path = write_result(name, started, settings=settings, figures=figures, spread=spread, notes=pooled["notes"] if pooled else ())
    say_result(path, [*lines_of(rows, figures["pooled"]), "", *verdict(figures), openings_line(openings)])


def train_members(project: Project, members: int, minutes: float, fold: int) -> dict[str, Any]:
    """Train networks of different seeds for an equal share of the minutes, and let them answer together; what it took in all."""
    seeds = [f"seed-{k}" for k in range(members)]
    each = [
        train_or_resume(project, seed, minutes / members, fold=fold, overrides={"training.seed": str(k)})
        for k, seed in enumerate(seeds)
    ]
    run, began = project.run(TOGETHER, fold), time.monotonic()
    if not run.path.exists():
        with MemoryWatch() as watch:
            ensemble(project, seeds, TOGETHER, fold=fold, progress=reporter())
        write_json(run.path / TRAINED, {"seconds": round(time.monotonic() - began, 1), **watch.peak.as_dict()})
    each.append(read_json(run.path / TRAINED) if (run.path / TRAINED).exists() else {})
    added = {key: sum(one.get(key, 0) for one in each) for key in ("minutes", "steps", "epochs", "seconds")}
    peaks = {key: max(one.get(key, 0) for one in each) for one in each for key in one if key not in added}
    return {**added, **peaks}


def open_or_init(folder: Path) -> Project:
    """The project in `folder`; made of the Decathlon's folder, its sheet and the given folds where there is none."""
    if (folder / "project.toml").exists():
        return Project.open(folder)
    images = shared_data() / "msd_hippocampus"
    folds = shared_data().parent / "bench" / "hippocampus_folds.json"
    project = overread.init(
        folder, images=images, sheet=images / "cases.csv", group_by="presumed_subject", splits=folds, tuning=TUNING
    )
    print(project.summary)
    return project


def figures_of(result: Result) -> dict[str, Any]:
    scores = {metric: {s: i.as_dict() for s, i in result[metric].items()} for metric in METRICS}
    return {"n_cases": result["n_cases"], "n_patients": result["n_patients"], **scores}


def lines_of(rows: list[dict[str, Any]], pooled: dict[str, Any] | None) -> list[str]:
    header = ["fold", "cases", *(f"{m} {s}" for m in ("Dice", "HD95 mm") for s in AIMS), "steps", "minutes", "s in all", "GiB"]
    cells = []
    for row in [*rows, *([{"fold": "pooled", **pooled}] if pooled else [])]:
        scores = [interval_text(row[m][s], 3 if m == "dice" else 2) for m in METRICS for s in AIMS]
        took = [row.get(key, "") for key in ("steps", "minutes", "seconds", "peak_anonymous_gib")]
        cells.append([row["fold"], row["n_cases"], *scores, *took])
    return table(header, cells)


def verdict(figures: dict[str, Any]) -> list[str]:
    if figures["pooled"] is None:
        return ["Not all folds were asked for, so nothing is pooled and no aim is judged."]
    return [
        f"{s}: {figures['pooled']['dice'][s]['estimate']:.4f}; the aim of {aim} is {'met' if figures['met'][s] else 'NOT met'}; "
        f"nnU-Net published {PUBLISHED[s]}"
        for s, aim in AIMS.items()
    ]


if __name__ == "__main__":
    run(main)
