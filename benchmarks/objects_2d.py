"""Detection and instance segmentation in 2D: ours beside torchvision's detectors trained the plain way, the same minutes.

    python benchmarks/objects_2d.py --which brain
    python benchmarks/objects_2d.py --which dental
    python benchmarks/objects_2d.py --which brain --minutes 10 --ours-only
    python benchmarks/objects_2d.py --which brain --architecture unet --ours-only

brain   330 slices of brain MR, tumours outlined, split by near-duplicate group: instances. Peer: Mask R-CNN, ResNet-50, FPN
dental  200 panoramic films, boxes of four classes, the split as distributed: detection. Peer: Faster R-CNN, ResNet-50, FPN

Both start from random weights, so neither is what it could be with weights from other pictures. The peer reads 320 pixels,
not its default 800, and so makes several times as many steps. Its answers come back as any other program's would: the
operating point is fitted on its answers to the tuning cases, and the internal test is opened once for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plain_torchvision as plain
from common import WORK, Started, parser, run, say_result, shared_data, spread_of, table, write_result
from runs import count_openings, examine_once, interval_text, openings_line, train_or_resume

import overread
from overread.evaluation.result import Result
from overread.record.files import read_json, write_json
from overread.workflow.project import Project

EDGE = 320  # pixels that the peer reads
PEER = "peer"


@dataclass(frozen=True)
class Set:
    """A collection: how its project is made, who the peer is, what is shown."""

    folder: str
    task: str
    options: dict[str, Any]
    peer: str
    shown: tuple[str, ...]


SETS = {
    "brain": Set(
        "brain_tumor_mr_2d",
        "instances",
        {"sheet": "manifest.csv", "group_by": "near_duplicate_group", "splits": "none"},
        "maskrcnn_resnet50_fpn",
        ("ap50", "box_ap50", "froc", "pq"),
    ),
    "dental": Set(
        "dental_panoramic_detection",
        "detection",
        {},
        "fasterrcnn_resnet50_fpn",
        ("ap50", "froc", "sensitivity_at_1fp"),
    ),
}
DECLARED = {"hypothesis": "In the same minutes ours finds more than torchvision's plain recipe", "primary_endpoint": "ap50"}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--which", choices=SETS, required=True)
    options.add_argument("--minutes", type=float, default=30.0, help="of training, for each")
    options.add_argument("--architecture", default="auto", help="of ours: auto, unet, mask_rcnn ...")
    options.add_argument("--ours-only", action="store_true", help="leave the peer out")
    options.add_argument("--out", type=Path, help="folder of the project; work/objects-<which> where not given")
    asked, started = options.parse_args(), Started()
    chosen = SETS[asked.which]
    project = open_or_init(asked.out or WORK / f"objects-{asked.which}", chosen)
    name = f"{asked.architecture}-{asked.minutes:g}min"
    overrides = {} if asked.architecture == "auto" else {"training.architecture": asked.architecture}
    took = {name: train_or_resume(project, name, asked.minutes, overrides=overrides)}
    if not asked.ours_only:
        name_of_peer = f"{PEER}-{asked.minutes:g}min"
        took[name_of_peer] = train_peer(project, chosen, name_of_peer, asked.minutes)
    results = {each: examine_once(project, each, DECLARED) for each in took}
    openings = count_openings(f"objects-{asked.which}", project)
    figures = {each: {**took[each], "scores": scores_of(result, chosen)} for each, result in results.items()}
    first = next(iter(results.values()))
    settings = {"minutes": asked.minutes, "architecture": asked.architecture, "peer": chosen.peer, "peer_edge": EDGE}
    settings |= {"n_cases": first["n_cases"], "n_patients": first["n_patients"]}
    spread = {each: spread_of([row["estimate"] for row in f["scores"]["ap50"].values()]) for each, f in figures.items()}
    stem = f"objects-{asked.which}-{name}"
    path = write_result(stem, started, settings=settings, figures={**figures, "openings": openings}, spread=spread)
    say_result(path, [*lines_of(figures), "", openings_line(openings)])


def open_or_init(folder: Path, chosen: Set) -> Project:
    if (folder / "project.toml").exists():
        return Project.open(folder)
    images = shared_data() / chosen.folder
    options = {k: images / v if k == "sheet" else v for k, v in chosen.options.items()}
    project = overread.init(folder, images=images, task=chosen.task, **options)
    print(project.summary)
    return project


def train_peer(project: Project, chosen: Set, name: str, minutes: float) -> dict[str, Any]:
    """Train the peer once and let it answer tuning and test images."""
    run_folder = project.run(name)
    record = run_folder.path / "peer.json"
    if not record.exists():
        cohort = project.cohort()
        trained = plain.train(cohort, chosen.peer, minutes, edge=EDGE)
        for partition in ("tuning", "internal"):
            plain.answer(trained, cohort, run_folder, partition)
        speed = round(trained.images_per_second, 3)
        write_json(record, {"steps": trained.steps, "minutes": round(trained.minutes, 2), "images_per_second": speed})
    return dict(read_json(record))


def scores_of(result: Result, chosen: Set) -> dict[str, dict[str, Any]]:
    """metric -> subject -> interval, of the metrics shown."""
    found: dict[str, dict[str, Any]] = {}
    for row in result["scores"]:
        if row["metric"] in chosen.shown:
            found.setdefault(row["metric"], {})[row["subject"]] = row["interval"]
    return found


def lines_of(figures: dict[str, Any]) -> list[str]:
    rows = [
        [who, metric, subject, interval_text(interval)]
        for who, figure in figures.items()
        for metric, by_subject in figure["scores"].items()
        for subject, interval in by_subject.items()
    ]
    return table(["run", "metric", "of", "internal test"], rows)


if __name__ == "__main__":
    run(main)
