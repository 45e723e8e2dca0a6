"""Metastases in phantom CTs, found in 3D: lesion sensitivity at one false positive per scan, by size, beside an HU threshold.

    python benchmarks/phantom_metastases.py
    python benchmarks/phantom_metastases.py --architecture unet
    python benchmarks/phantom_metastases.py --patients 24 --size 128 --minutes 5 --on tuning

PHANTOM: drawn livers with metastases among what is mistaken for them (cysts, haemangiomas, perfusion differences,
calcifications); whatever is called there and is no metastasis is a false positive. Nothing measured here says anything about
patients.

Ours is the detector that the plan chooses, or the one that --architecture names (`unet` segments and then boxes). Beside it
stands what needs no training: voxels within a band of HU inside the body that hang together, the band fitted on the training
cases (hu_threshold.py). Both have their score threshold fitted on the tuning cases, for one false positive per scan, and the
internal test is opened once for each; with --on tuning it stays shut.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import hu_threshold
from common import WORK, Started, overread_program, parser, run, say_result, spread_of, table, write_result
from runs import count_openings, examine_once, interval_text, openings_line, train_or_resume
from watch import run_watched

import overread
from overread.cli.progress import reporter
from overread.evaluation.result import Result
from overread.record.files import read_json, write_json
from overread.workflow.project import Project

AIM_MM, AIM = 10, 0.90
THRESHOLD = "hu-threshold"
SHOWN = ("sensitivity_at_1fp", "froc", "ap50", "patient_auc")
DECLARED = {
    "hypothesis": "The detector finds more metastases than a threshold on HU at one false positive per scan",
    "primary_endpoint": "sensitivity_at_1fp",
}
NOTE = "PHANTOM: drawn images; nothing here says anything about patients"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--patients", type=int, default=40)
    options.add_argument("--size", type=int, default=192, help="pixels in each direction of the plane")
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--minutes", type=float, default=30.0, help="of training")
    options.add_argument("--architecture", help="instead of the one that the plan chooses")
    options.add_argument("--on", choices=("internal", "tuning"), default="internal", help="which cases to score")
    options.add_argument("--out", type=Path, default=WORK / "phantom-metastases", help="folder for phantom and project")
    asked, started = options.parse_args(), Started()
    phantom = asked.out / "phantom"
    draw(phantom, {"patients": asked.patients, "size": asked.size, "seed": asked.seed})
    project = open_or_init(asked.out / "project", phantom, "detection", phantom / "metastases")
    name = "-".join(filter(None, (asked.architecture, f"{asked.minutes:g}min")))
    overrides = {"training.architecture": asked.architecture} if asked.architecture else None
    took = {name: train_or_resume(project, name, asked.minutes, overrides=overrides), THRESHOLD: threshold(project)}
    results = {each: scored(project, each, asked.on) for each in took}
    figures: dict[str, Any] = {each: {**took[each], **figures_of(result)} for each, result in results.items()}
    openings = count_openings("phantom-metastases", project) if asked.on == "internal" else None
    settings = {key: getattr(asked, key) for key in ("patients", "size", "seed", "minutes", "architecture", "on")}
    first = next(iter(results.values()))
    settings |= {"n_cases": first["n_cases"], "n_patients": first["n_patients"], "aim": {"from_mm": AIM_MM, "sensitivity": AIM}}
    spread = {each: spread_of([row["sensitivity"]["estimate"] or 0.0 for row in f["sizes"]]) for each, f in figures.items()}
    stem = "-".join(filter(None, ("phantom-metastases", asked.architecture, "tuning" if asked.on == "tuning" else "")))
    path = write_result(stem, started, settings=settings, figures={**figures, "openings": openings}, spread=spread, notes=[NOTE])
    say_result(path, [*lines_of(figures, asked.on), "", openings_line(openings) if openings else "No seal was opened."])


def draw(folder: Path, asked: dict[str, int], *words: str) -> None:
    """Draw the phantom, or take the one that lies there if it is the one asked for."""
    about = folder / "benchmark.json"
    if about.exists() and read_json(about)["asked"] == asked:
        return
    shutil.rmtree(folder, ignore_errors=True)
    given = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    ran = run_watched([overread_program(), "phantom", folder, *given, *words, "--format", "nifti", "--json"])
    write_json(about, {"asked": asked, "exams": json.loads(ran.output)["exams"], **ran.as_dict()})


def open_or_init(folder: Path, phantom: Path, task: str, truth: Path) -> Project:
    """A question of metastases; each value of a label map is one of them."""
    if (folder / "project.toml").exists():
        return Project.open(folder)
    project = overread.init(
        folder,
        images=phantom / "images",
        truth=truth,
        sheet=phantom / "labels.csv",
        task=task,
        group_by="patient_id",
        objects="values",
        names={"object": "metastasis"},
    )
    print(project.summary)
    return project


def threshold(project: Project) -> dict[str, Any]:
    """Fit the band on training cases, once, and answer tuning and test images."""
    folder = project.run(THRESHOLD)
    record = folder.path / "band.json"
    if not record.exists():
        cohort = project.cohort()
        band, reached = hu_threshold.fit(cohort, cohort.of("training"))
        for partition in ("tuning", "internal"):
            hu_threshold.answer(cohort, folder, partition, band)
        write_json(record, hu_threshold.described(band, reached))
    return {"band": read_json(record)}


def scored(project: Project, name: str, on: str) -> Result:
    if on == "internal":
        return examine_once(project, name, DECLARED)
    return project.evaluate(run_name=name, on=on, progress=reporter(), panels=False)


def figures_of(result: Result) -> dict[str, Any]:
    """Scores over all sizes; sensitivity, answers and overlap by size, at the operating point; and the share of the large."""
    scores = {row["metric"]: row["interval"] for row in result["scores"] if row["metric"] in SHOWN}
    sizes = list(result["sizes"])
    truths = [row for row in sizes if row["truths"] and int(row["band"].split()[0].replace("below", "0")) >= AIM_MM]
    found = sum(row["sensitivity"]["estimate"] * row["truths"] for row in truths)
    large = found / sum(row["truths"] for row in truths) if truths else None
    return {"scores": scores, "sizes": sizes, f"sensitivity_from_{AIM_MM}_mm": large}


def lines_of(figures: dict[str, Any], on: str) -> list[str]:
    where = {"internal": "internal test", "tuning": "tuning cases"}[on]
    rows: list[list[object]] = []
    for who, figure in figures.items():
        rows += [[who, metric, "all", "", interval_text(interval)] for metric, interval in figure["scores"].items()]
        rows += [[who, "sensitivity", r["band"], r["truths"], interval_text(r["sensitivity"])] for r in figure["sizes"]]
        rows += [[who, "ppv", r["band"], r["answers"], interval_text(r["ppv"])] for r in figure["sizes"] if "ppv" in r]
    aims = []
    for who, figure in figures.items():
        reached = figure[f"sensitivity_from_{AIM_MM}_mm"]
        said = "none here" if reached is None else f"{reached:.3f}"
        aims.append(f"{who}: sensitivity of metastases of {AIM_MM} mm and more: {said} (aim: {AIM:.2f})")
    return ["PHANTOM", *table(["run", "metric", "size", "objects", where], rows), "", *aims]


if __name__ == "__main__":
    run(main)
