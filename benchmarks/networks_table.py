"""Networks on the same films, for the same minutes: AUC with its interval, parameters, seconds per image; plain beside residual.

    python benchmarks/networks_table.py                          # 12 networks, 6 minutes each
    python benchmarks/networks_table.py --networks plain18,resnet18 --minutes 1

Paediatric chest films (Kermany et al., Cell 172, 1122, 2018) at 128 pixels, tuning cases drawn by patient from the official
training part. All networks are compared on the tuning cases, paired; only the one with the best tuning AUC opens the official
test, once. Deeper plain networks learn worse than shallower ones, and residual ones do not: He et al., arXiv:1512.03385.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from common import WORK, Started, parser, run, say_result, table, write_result
from kermany import POSITIVE, open_or_init
from runs import count_openings, examine_once, interval_text, openings_line, train_or_resume

from overread.cohort.load import load_image
from overread.core.score import Interval
from overread.reading.model import load_model
from overread.reading.one_by_one import OneByOne
from overread.workflow.compare import compare
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.project import Project

NETWORKS = (
    "lenet", "vgg11", "plain18", "resnet18", "plain34", "resnet34", "se_resnet18", "densenet40", "mobilenet_v2",
    "efficientnet_b0", "convnext_tiny", "vit_tiny",
)  # fmt: skip
PAIRS = (("plain18", "resnet18"), ("plain34", "resnet34"), ("resnet34", "resnet18"), ("plain34", "plain18"))
EDGE = 128
READ = 64  # films of which the seconds per image are measured
DECLARED = {
    "hypothesis": "The network with the best AUC on tuning cases ranks the official test as well",
    "primary_endpoint": "auc",
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=6.0, help="of training, for each network")
    options.add_argument("--networks", default=",".join(NETWORKS), help="names from `overread networks list`")
    options.add_argument("--edge", type=int, default=EDGE, help="pixels of a film's edge")
    options.add_argument("--out", type=Path, help="folder of the project; work/networks-<minutes>min where not given")
    asked = options.parse_args()
    name, started = f"networks-kermany-{asked.minutes:g}min", Started()
    project = open_or_init(asked.out or WORK / name)
    names = [word.strip() for word in asked.networks.split(",")]
    rows = [one_network(project, network, asked.minutes, asked.edge) for network in names]
    pairs = [paired(project, first, second) for first, second in PAIRS if {first, second} <= set(names)]
    best = max(rows, key=lambda row: row["auc"]["estimate"])
    test = examine_once(project, best["network"], DECLARED)["auc"][POSITIVE].as_dict()
    openings = count_openings("networks_table", project)
    figures = {"networks": rows, "pairs": pairs, "best": best["network"], "test_auc_of_best": test, "openings": openings}
    spread = {row["network"]: {key: row["auc"][key] for key in ("low", "high", "level", "method")} for row in rows}
    settings = {"minutes": asked.minutes, "edge": asked.edge, "grouped_by": "patient_group", "positive": POSITIVE}
    notes = ["The AUC of the networks are of tuning cases; the best of several is too good, and only it was tested."]
    path = write_result(name, started, settings=settings, figures=figures, spread=spread, notes=notes)
    say_result(path, [*lines_of(rows), "", *map(pair_line, pairs), "", f"{best['network']} on the official test: AUC "
                      f"{interval_text(test)}", openings_line(openings)])  # fmt: skip


def one_network(project: Project, network: str, minutes: float, edge: int) -> dict[str, Any]:
    settings = {"training.architecture": network, "training.patch": f"1,{edge},{edge}"}
    took = train_or_resume(project, network, minutes, overrides=settings)
    found = project.evaluate(run_name=network, on="tuning", panels=False)
    plan = read_plan(project.run(network).plan)
    return {
        "network": network,
        "auc": found["auc"][POSITIVE].as_dict(),
        "n_cases": found["n_cases"],
        "n_patients": found["n_patients"],
        "parameters": plan.expected["parameters"],
        "seconds_per_image": seconds_per_image(project, network),
        **took,
    }


def seconds_per_image(project: Project, network: str) -> float:
    """Of an answer, one film at a time, opening and preparing left out."""
    model, cohort = load_model(project.run(network).model), project.cohort(check=False)
    reader = OneByOne(model.predictor)  # type: ignore[arg-type]
    prepared = [reader.prepare(load_image(cohort, case)) for case in islice(cohort.of("tuning"), READ)]
    reader.raw_of(prepared[0])  # the first answer takes longer
    reader.seconds = 0.0
    for one in prepared:
        reader.raw_of(one)
    return round(reader.seconds / len(prepared), 5)


def paired(project: Project, first: str, second: str) -> dict[str, Any]:
    """The second network less the first, on the same tuning films."""
    (one,) = compare([project.path], runs=[first, second], endpoints=["auc"])["comparisons"]
    return {"first": first, "second": second, **one}


def lines_of(rows: list[dict[str, Any]]) -> list[str]:
    header = ["network", "tuning AUC", "parameters", "ms per image", "steps", "minutes"]
    ranked = sorted(rows, key=lambda row: -row["auc"]["estimate"])
    return table(
        header,
        [
            [
                row["network"],
                interval_text(row["auc"]),
                f"{row['parameters']:,}",
                f"{1000 * row['seconds_per_image']:.1f}",
                row["steps"],
                f"{row['minutes']:.1f}",
            ]
            for row in ranked
        ],
    )


def pair_line(pair: dict[str, Any]) -> str:
    return f"{pair['second']} less {pair['first']}: {Interval.from_dict(pair['difference']).short}"


if __name__ == "__main__":
    run(main)
