"""Paediatric chest films at 224 pixels, grouped by patient: AUC on the official test.

    python benchmarks/kermany.py

The official test part (624 films) is the internal test. Tuning cases are drawn by patient from the official
training part, of which the collection holds a random half (2,002 films). Published with the full training
part and transfer learning: AUC 0.968 (Kermany et al., Cell 172, 1122, 2018).
"""

from __future__ import annotations

from pathlib import Path

from common import WORK, Started, parser, run, say_result, shared_data, spread_of, table, write_result
from runs import count_openings, examine_once, interval_text, openings_line, train_or_resume

import overread
from overread.workflow.project import Project

POSITIVE = "PNEUMONIA"
PUBLISHED = 0.968
RUN = "first"
DECLARED = {"hypothesis": "A network from scratch reaches the AUC that was published with transfer learning",
            "primary_endpoint": "auc"}  # fmt: skip
SHOWN = ("auc", "sensitivity", "specificity", "ece")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=15.0, help="of training")
    options.add_argument("--out", type=Path, help="folder of the project; work/kermany-<minutes>min where not given")
    asked = options.parse_args()
    name, started = f"kermany-{asked.minutes:g}min", Started()
    project = open_or_init(asked.out or WORK / name)
    took = train_or_resume(project, RUN, asked.minutes)
    results = {
        "tuning": project.evaluate(run_name=RUN, on="tuning", panels=False),
        "internal": examine_once(project, RUN, DECLARED),
    }
    openings = count_openings("kermany", project)
    parts = {
        part: {"n_cases": r["n_cases"], "n_patients": r["n_patients"], **{m: r[m][POSITIVE].as_dict() for m in SHOWN}}
        for part, r in results.items()
    }
    auc = parts["internal"]["auc"]
    figures = {"partitions": parts, "training": took, "published_auc": PUBLISHED, "openings": openings}
    spread = {"auc": {"low": auc["low"], "high": auc["high"], "level": auc["level"], "method": auc["method"]}}
    spread["auc over runs"] = spread_of([auc["estimate"]])
    settings = {"minutes": asked.minutes, "grouped_by": "patient_group", "positive": POSITIVE}
    path = write_result(name, started, settings=settings, figures=figures, spread=spread)
    rows = [[part, v["n_cases"], v["n_patients"], *(interval_text(v[m]) for m in SHOWN)] for part, v in parts.items()]
    lines = table(["partition", "films", "patients", "AUC", "sensitivity", "specificity", "calibration error"], rows)
    spent = f"{took['steps']} steps in {took['minutes']:.1f} minutes; {took.get('peak_anonymous_gib', '?')} GiB at most"
    say_result(path, [*lines, "", spent, f"Published: AUC {PUBLISHED}", openings_line(openings)])


def open_or_init(folder: Path) -> Project:
    if (folder / "project.toml").exists():
        return Project.open(folder)
    images = shared_data() / "kermany_cxr_224"
    project = overread.init(
        folder,
        images=images,
        sheet=images / "manifest.csv",
        label=["label"],
        positive=POSITIVE,
        group_by="patient_group",
        splits="official_split",
    )
    print(project.summary)
    return project


if __name__ == "__main__":
    run(main)
