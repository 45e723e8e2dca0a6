"""Does learning from films without labels save labels? AUC with 10, 25, 50 and 100 % of them, pretrained beside random.

    python benchmarks/label_efficiency.py                         # 20 minutes of pretraining, 3 minutes and 2 seeds a training
    python benchmarks/label_efficiency.py --method masked --repeats 3

Paediatric chest films (Kermany et al., Cell 172, 1122, 2018) at 64 pixels. `overread pretrain` looks at the films of the training
partition without their labels; then two learning curves are trained, one from its weights and one from random ones, on the same
shares of the training patients, for the same minutes. Scores are of the same tuning cases, differences paired by patient; the
official test stays sealed. What does not help is reported as not helping. The pretrained network has had more time in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import WORK, Started, parser, run, say_result, table, write_result
from kermany import POSITIVE, open_or_init
from runs import interval_text

from overread.cli.progress import reporter
from overread.core.score import Interval
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.paired import difference
from overread.record.events import read_events
from overread.record.files import read_json
from overread.workflow.learning_curve import learning_curve
from overread.workflow.pretrain import DEFAULT_NAME as PRETRAINED
from overread.workflow.pretrain import pretrain
from overread.workflow.project import Project

SHARES = (0.1, 0.25, 0.5, 1.0)
STARTS = ("random", "pretrained")
ENDPOINT = f"auc/{POSITIVE}"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--method", choices=("masked", "contrastive"), default="contrastive", help="of pretraining")
    options.add_argument("--pretraining-minutes", type=float, default=20.0)
    options.add_argument("--minutes", type=float, default=3.0, help="of each training of the curves")
    options.add_argument("--repeats", type=int, default=2, help="trainings of each share, each with its own draw and seed")
    options.add_argument("--edge", type=int, default=64, help="pixels of a film's edge")
    options.add_argument("--out", type=Path, help="folder of the project; work/<name> where not given")
    asked = options.parse_args()
    name, started = f"label-efficiency-{asked.method}", Started()
    project = open_or_init(asked.out or WORK / name)
    shape = {"training.patch": f"1,{asked.edge},{asked.edge}"}
    pretrained(project, asked.method, asked.pretraining_minutes, shape)
    curves = {start: curve(project, start, asked.minutes, asked.repeats, shape) for start in STARTS}
    rows = [at_share(project, curves, k, asked.repeats) for k in range(len(SHARES))]
    figures = {"shares": rows, "n_cases": curves["random"]["n_cases"], "n_patients": curves["random"]["n_patients"]}
    settings = {"method": asked.method, "pretraining_minutes": asked.pretraining_minutes, "minutes": asked.minutes}
    settings |= {"repeats": asked.repeats, "edge": asked.edge, "grouped_by": "patient_group", "positive": POSITIVE}
    spread = {f"{row['share']:.0%}": row["difference"] for row in rows}
    notes = ["Tuning cases; the test stayed sealed. The pretrained network has had its pretraining beside the same minutes."]
    path = write_result(name, started, settings=settings, figures=figures, spread=spread, notes=notes)
    say_result(path, [*lines_of(rows), "", verdict(rows)])


def pretrained(project: Project, method: str, minutes: float, shape: Mapping[str, str]) -> None:
    """Pretrain, go on with it, or leave it alone where it is done."""
    run = project.run(PRETRAINED)
    if any(event["event"] == "finished" for event in read_events(run.events_path)):
        return
    again = run.checkpoint.exists()
    words: dict[str, Any] = {} if again else {"method": method, "minutes": minutes, "overrides": dict(shape)}
    pretrain(project, resume=again, progress=reporter(), **words)


def curve(project: Project, start: str, minutes: float, repeats: int, shape: Mapping[str, str]) -> dict[str, Any]:
    """The learning curve from random weights, or from pretrained ones; what is trained already is kept."""
    weights = {} if start == "random" else {"training.weights": f"run:{PRETRAINED}"}
    own = {**shape, **weights}
    return learning_curve(
        project, SHARES, minutes, None, repeats, f"curve-{start}", overrides=own, progress=reporter(), tell=print
    )


def at_share(project: Project, curves: Mapping[str, Any], number: int, repeats: int) -> dict[str, Any]:
    """Both starts at one share of the patients, and their difference: the same patients, cases and seeds."""
    contenders = []
    for start in STARTS:
        runs = [f"curve-{start}/{100 * SHARES[number]:g}-{k + 1}" for k in range(repeats)]
        contenders.append(Contender(start, tuple(read_json(project.run(run).evaluation("tuning")) for run in runs)))
    found = difference(line_up(contenders), Endpoint.of(project.question, ENDPOINT), 1)
    points = {start: curves[start]["points"][number] for start in STARTS}
    return {
        "share": SHARES[number],
        "patients": points["random"]["patients"],
        **{start: points[start]["interval"] for start in STARTS},
        "difference": found.interval.as_dict(),
        "p": found.p,
    }


def lines_of(rows: list[dict[str, Any]]) -> list[str]:
    header = ["labels", "patients", "AUC random", "AUC pretrained", "pretrained less random"]
    cells = [
        [
            f"{row['share']:.0%}",
            f"{row['patients']:g}",
            interval_text(row["random"]),
            interval_text(row["pretrained"]),
            Interval.from_dict(row["difference"]).short,
        ]
        for row in rows
    ]
    return table(header, cells)


def verdict(rows: list[dict[str, Any]]) -> str:
    """At which shares a difference is shown, each interval for itself."""
    helps = [f"{row['share']:.0%}" for row in rows if (row["difference"]["low"] or 0) > 0]
    harms = [f"{row['share']:.0%}" for row in rows if row["difference"]["high"] is not None and row["difference"]["high"] < 0]
    if not helps and not harms:
        return "Pretraining is shown neither to help nor to harm at any share."
    said = [f"{verb} at {', '.join(shares)} of the labels" for verb, shares in (("helps", helps), ("harms", harms)) if shares]
    return f"Pretraining {' and '.join(said)}."


if __name__ == "__main__":
    run(main)
