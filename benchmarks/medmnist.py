"""MedMNIST at 28 pixels, official splits, several seeds: AUC against the published level.

    python benchmarks/medmnist.py --which pneumonia
    python benchmarks/medmnist.py --which breast

One project, one run per seed. All choices are made on the official validation part (tuning cases); each run
opens the seal of the official test once, and the ledger counts. Published ResNet-18 at 28 pixels: AUC 0.944
(pneumonia) and 0.901 (breast); best AutoML 0.991 and 0.919 (Yang et al., Scientific Data 10, 41, 2023). Aim
for pneumonia: 0.98. The 156 test images of the breast set cannot carry an aim; look at its interval.

Both official splits share identical images between their parts, so Overread refuses them until a reason is
given. The reason below goes into the ledger and is printed with the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import WORK, Started, numbers, parser, run, say_result, shared_data, spread_of, table, write_result
from runs import Openings, count_openings, examine_once, interval_text, openings_line, train_or_resume

import overread
from overread.workflow.project import Project


@dataclass(frozen=True)
class Collection:
    """One of the collections: its file, what its labels mean, what is known to be wrong with its split."""

    file: str
    names: dict[str, str]
    positive: str
    leak: str
    published: float
    aim: float | None


COLLECTIONS = {
    "pneumonia": Collection(
        "pneumoniamnist_reassembled.npz",
        {"0": "normal", "1": "pneumonia"},
        "pneumonia",
        "The official split is kept so that the score can be set beside published ones; a few identical images lie in two "
        "of its parts.",
        0.944,
        0.98,
    ),
    "breast": Collection(
        "breastmnist.npz",
        {"0": "malignant", "1": "normal or benign"},
        "malignant",
        "The official split is kept so that the score can be set beside published ones; one image lies in its training and "
        "its test part with contradicting labels (training row 115 malignant, test row 76 normal or benign).",
        0.901,
        None,
    ),
}
DECLARED = {"hypothesis": "A small residual network is at least as good as the published ResNet-18", "primary_endpoint": "auc"}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--which", choices=COLLECTIONS, required=True)
    options.add_argument("--minutes", type=float, default=2.0, help="of training, per seed")
    options.add_argument("--seeds", type=numbers, default=[0, 1, 2], help="e.g. 0,1,2")
    options.add_argument("--out", type=Path, help="folder of the project; work/<name> where not given")
    asked = options.parse_args()
    collection, name = COLLECTIONS[asked.which], f"medmnist-{asked.which}-{asked.minutes:g}min"
    started = Started()
    project = open_or_init(asked.out or WORK / name, collection)
    rows = [one_seed(project, collection, seed, asked.minutes) for seed in asked.seeds]
    openings = count_openings(f"medmnist-{asked.which}", project)
    leaks = [entry for entry in project.ledger.entries() if entry["entry"] == "leak accepted"]
    accepted = {"reason": leaks[0]["reason"], "groups": len(leaks[0]["leaks"])} if leaks else None
    spread = {"auc over seeds": spread_of([row["auc"]["estimate"] for row in rows])}
    figures = {"seeds": rows, "published_resnet18_auc": collection.published, "aim_auc": collection.aim, "openings": openings}
    figures["leak_accepted"] = accepted
    settings = {"collection": collection.file, "minutes": asked.minutes, "seeds": asked.seeds, "positive": collection.positive}
    path = write_result(name, started, settings=settings, figures=figures, spread=spread)
    say_result(path, [*lines_of(rows), "", *verdict(collection, spread["auc over seeds"], accepted, openings)])


def open_or_init(folder: Path, collection: Collection) -> Project:
    if (folder / "project.toml").exists():
        return Project.open(folder)
    project = overread.init(
        folder,
        images=shared_data() / "medmnist" / collection.file,
        names=collection.names,
        positive=collection.positive,
        leak_override=collection.leak,
    )
    print(project.summary)
    return project


def one_seed(project: Project, collection: Collection, seed: int, minutes: float) -> dict[str, Any]:
    name = f"seed-{seed}"
    took = train_or_resume(project, name, minutes, overrides={"training.seed": str(seed)})
    tuning = project.evaluate(run_name=name, on="tuning", panels=False)
    test = examine_once(project, name, DECLARED)
    scores = {"tuning_auc": tuning["auc"], "auc": test["auc"], "sensitivity": test["sensitivity"]}
    scores |= {"specificity": test["specificity"]}
    intervals = {key: found[collection.positive].as_dict() for key, found in scores.items()}
    return {"seed": seed, "n_cases": test["n_cases"], **intervals, **took}


def lines_of(rows: list[dict[str, Any]]) -> list[str]:
    shown = ("tuning_auc", "auc", "sensitivity", "specificity")
    header = ["seed", "tuning AUC", "test AUC", "sensitivity", "specificity", "cases", "steps", "GiB"]
    cells = [
        [
            row["seed"],
            *(interval_text(row[key]) for key in shown),
            row["n_cases"],
            row["steps"],
            row.get("peak_anonymous_gib", ""),
        ]
        for row in rows
    ]
    return table(header, cells)


def verdict(collection: Collection, auc: dict[str, Any], accepted: dict[str, Any] | None, openings: Openings) -> list[str]:
    aim = "no aim" if collection.aim is None else f"aim {collection.aim}, {'met' if auc['mean'] >= collection.aim else 'NOT met'}"
    lines = [
        f"Test AUC over {auc['n']} seeds: mean {auc['mean']:.4f}, {auc['lowest']:.4f} to {auc['highest']:.4f}; {aim}; "
        f"published ResNet-18 {collection.published}",
        "No patient is known in this collection, so intervals treat images as independent.",
    ]
    if accepted:
        lines.append(f"Leak accepted ({accepted['groups']} groups of identical images): {accepted['reason']}")
    return [*lines, openings_line(openings)]


if __name__ == "__main__":
    run(main)
