"""Half an hour of search on PneumoniaMNIST: the best settings against those of the plan, paired; each opens the sealed test once.

    python benchmarks/search_pneumonia.py                 # 30 minutes of search, and as long as its winner for the default
    python benchmarks/search_pneumonia.py --minutes 3 --method random

`overread search` has its usual space and sees tuning cases only. Its winner and the settings of the plan are then trained for the
same time, and each opens the official test once; the difference on the test is the one that counts. No patient is known in this
collection, so intervals treat images as independent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common import WORK, Started, parser, run, say_result, table, write_result
from medmnist import COLLECTIONS, open_or_init
from runs import count_openings, examine_once, interval_text, openings_line, train_or_resume

from overread.cli.progress import reporter
from overread.core.score import Interval
from overread.workflow.compare import compare
from overread.workflow.project import Project
from overread.workflow.search import DEFAULT_NAME as SEARCHED
from overread.workflow.search import ORDER, search
from overread.workflow.searching.asked import Asked

COLLECTION = COLLECTIONS["pneumonia"]
DEFAULT = "default"
DECLARED = {"hypothesis": "Searched settings rank the official test better than those of the plan", "primary_endpoint": "auc"}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=30.0, help="of the search, its last training included")
    options.add_argument("--method", choices=("tpe", "random"), default="tpe")
    options.add_argument("--out", type=Path, help="folder of the project; work/<name> where not given")
    asked = options.parse_args()
    name, started = f"search-pneumonia-{asked.minutes:g}min", Started()
    project = open_or_init(asked.out or WORK / name, COLLECTION)
    found = searched(project, asked.minutes, asked.method)
    train_or_resume(project, DEFAULT, found["final"]["minutes"])
    both = {"tuning": pair(project, "tuning"), "internal": pair(project, "internal")}
    openings = count_openings("search_pneumonia", project)
    states = [trial["state"] for trial in found["trials"]]
    best = found["trials"][found["best"] - 1]
    figures = {
        "trials": {state: states.count(state) for state in dict.fromkeys(states)},
        "best": best["settings"],
        "best_minutes": best["minutes"],
        "search_difference": found["comparison"],
        "importances": found["importances"],
        "compared": both,
        "openings": openings,
    }
    spread = {part: one["difference"] for part, one in both.items()}
    settings = {"minutes": asked.minutes, "method": asked.method, "trial": found["budget"], "final": found["final"]}
    path = write_result(name, started, settings=settings, figures=figures, spread=spread, notes=found["notes"])
    say_result(path, [*lines_of(found, both), openings_line(openings)])


def searched(project: Project, minutes: float, method: str) -> dict[str, Any]:
    """The search, begun or gone on with."""
    resume = (project.run(SEARCHED).path / ORDER).exists()
    asked = Asked(minutes=minutes, method=method, range_test=True)
    return search(project, asked, progress=reporter(), tell=print, resume=resume)


def pair(project: Project, on: str) -> dict[str, Any]:
    """Both runs and their difference, on the tuning cases, or on the test, which each opens once."""
    for name in (DEFAULT, SEARCHED):
        if on == "internal":
            examine_once(project, name, DECLARED)
        else:
            project.evaluate(run_name=name, on=on, panels=False)
    result = compare([project.path], runs=[DEFAULT, SEARCHED], on=on, endpoints=["auc"])
    (one,) = result["comparisons"]
    values = one["values"]
    return {
        "n_cases": result["n_cases"],
        "default": values[DEFAULT],
        "searched": values[SEARCHED],
        "difference": one["difference"],
    }


def lines_of(found: dict[str, Any], both: dict[str, Any]) -> list[str]:
    rows = [
        [part, one["n_cases"], f"{one['default']:.4f}", f"{one['searched']:.4f}", interval_text(one["difference"], 4)]
        for part, one in both.items()
    ]
    mattered = ", ".join(f"{key} {share:.0%}" for key, share in found["importances"].items())
    return [
        found["words"],
        "",
        *table(["partition", "images", "AUC default", "AUC searched", "difference"], rows),
        "",
        f"What mattered among the trials: {mattered or 'too few trials to say'}",
        f"Difference in the search itself, which chose it: {difference_words(found)}",
    ]


def difference_words(found: dict[str, Any]) -> str:
    compared = found["comparison"]
    return (
        "none: the settings of the plan were the best" if compared is None else Interval.from_dict(compared["difference"]).short
    )


if __name__ == "__main__":
    run(main)
