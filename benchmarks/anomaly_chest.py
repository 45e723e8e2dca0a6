"""Chest films that do not look normal, found by a network that saw normal ones alone: area under the ROC curve.

    python benchmarks/anomaly_chest.py
    python benchmarks/anomaly_chest.py --tasks autoencode --minutes 2

Paediatric films of 224 pixels (Kermany et al., Cell 172, 1122, 2018), as in `kermany.py`. The normal ones of its training cases
become a project of their own, with which each network learns; the tuning cases of the labelled project, normal and pneumonia,
are judged. No patient is on both sides, and the official test stays sealed. An alarm is set so that one normal
patient in ten should raise it.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import kermany
from common import WORK, Started, parser, run, say_result, spread_of, table, write_result
from runs import interval_text, train_or_resume

import overread
from overread.cli.progress import reporter
from overread.workflow.anomaly import anomaly
from overread.workflow.project import Project

TASKS = ("autoencode", "vae", "restore")
MORE = {"restore": {"degradation": "noise:0.5"}}
RUN = "first"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=8.0, help="of training, for each network")
    options.add_argument("--tasks", default="autoencode,restore", help=f"of {', '.join(TASKS)}, joined by commas")
    options.add_argument("--out", type=Path, default=WORK / "anomaly-chest", help="folder of the projects")
    asked, started = options.parse_args(), Started()
    labelled = kermany.open_or_init(asked.out / "labelled")
    normals = normals_of(labelled, asked.out / "normals")
    figures: dict[str, Any] = {}
    for task in asked.tasks.split(","):
        project = open_or_init(asked.out / task, normals, task)
        took = train_or_resume(project, RUN, asked.minutes)
        figures[task] = {**took, **found_of(anomaly(project, labelled, progress=reporter()))}
    spread = {task: spread_of([f["auc"]["estimate"]]) for task, f in figures.items()}
    settings = {"minutes": asked.minutes, "tasks": asked.tasks}
    path = write_result("anomaly-chest", started, settings=settings, figures=figures, spread=spread)
    say_result(path, [*lines_of(figures), "", "No seal was opened."])


def normals_of(labelled: Project, folder: Path) -> Path:
    """The normal films of the training cases, under their pseudonyms, and a sheet of their patients."""
    if folder.exists():
        return folder
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    (beside / "films").mkdir(parents=True)
    cohort, rows = labelled.cohort(), []
    for case in cohort.of("training"):
        assert case.truth is not None
        if case.truth.values.get(kermany.POSITIVE) == 0:
            film = Path(case.images[0].files[0])
            shutil.copyfile(cohort.images_folder / film, beside / "films" / f"{case.case_id}{film.suffix}")
            rows.append({"film": case.case_id, "patient": case.patient_id})
    with open(beside / "normals.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["film", "patient"])
        writer.writeheader()
        writer.writerows(rows)
    beside.rename(folder)
    return folder


def open_or_init(folder: Path, normals: Path, task: str) -> Project:
    if (folder / "project.toml").exists():
        return Project.open(folder)
    return overread.init(
        folder,
        images=normals / "films",
        sheet=normals / "normals.csv",
        group_by="patient",
        task=task,
        internal=0,
        tuning=0.25,
        **MORE.get(task, {}),
    )


def found_of(record: dict[str, Any]) -> dict[str, Any]:
    scores = {
        key: record["scores"][key] for key in ("auc", "auc_by_code", "sensitivity", "false_alarms", "n_cases", "n_patients")
    }
    return {"method": record["method"], **scores}


def lines_of(figures: dict[str, dict[str, Any]]) -> list[str]:
    shown = ("auc", "auc_by_code", "sensitivity", "false_alarms")
    rows = [[task, *(interval_text(f[key]) if f[key] else "" for key in shown), f["steps"]] for task, f in figures.items()]
    return table(["learned by", "AUC", "AUC by codes", "alarm if abnormal", "alarm if normal", "steps"], rows)


if __name__ == "__main__":
    run(main)
