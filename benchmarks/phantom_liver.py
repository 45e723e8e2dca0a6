"""From a folder of full-size CTs to a first useful liver model, on a phantom: minutes, memory, disk; and reading one exam.

    python benchmarks/phantom_liver.py
    python benchmarks/phantom_liver.py --patients 6 --size 128 --slices 60 --budgets 0.5

Draws 40 PHANTOM CTs of 512 x 512 x 300 as DICOM, then runs the program as a user would, each verb in a process of
its own whose memory is watched: `init`, `train` for the first of the given budgets, `evaluate` on the tuning cases.
Where the liver's Dice there is not above 0.9, the next budget is tried in a new run. The minutes "from init" are those
of init, and of training and evaluating with the budget that was enough; the failed tries are listed beside it.

Then one exam is read with `overread read`, three times. These are figures about software: a phantom is no patient,
and a plain threshold on HU is printed beside the model.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from common import WORK, Started, overread_program, parser, run, say_result, spread_of, table, write_result
from memory import gib_of
from runs import interval_text
from watch import Ran, run_watched

from overread.core.errors import OverreadError
from overread.record.events import read_events
from overread.record.files import read_json
from overread.workflow.project import Project

STRUCTURE = "liver"
READINGS = 3


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--patients", type=int, default=40)
    options.add_argument("--size", type=int, default=512, help="pixels in each direction of the plane")
    options.add_argument("--slices", type=int, default=300, help="per CT")
    options.add_argument("--budgets", type=_budgets, default=[5.0, 10.0, 20.0], help="minutes of training to try, e.g. 5,10,20")
    options.add_argument("--useful", type=float, default=0.9, help="mean Dice of the liver on tuning cases that counts as useful")
    options.add_argument("--out", type=Path, default=WORK / "phantom-liver", help="folder for phantom and project")
    asked, started = options.parse_args(), Started()
    phantom, project = asked.out / "phantom", asked.out / "project"
    drawn = draw(phantom, asked.patients, asked.size, asked.slices)
    shutil.rmtree(project, ignore_errors=True)
    words = ["--images", phantom / "images", "--truth", phantom / "masks", "--sheet", phantom / "labels.csv"]
    made = run_watched([overread_program(), "init", project, *words, "--group-by", "patient_id"])
    tries = until_useful(project, asked.budgets, asked.useful)
    readings = read_one(project, tries[-1]["run"], asked.out / "answers")
    figures = figures_of(phantom, project, drawn, made, tries, readings)
    figures["is_useful"] = tries[-1]["dice"]["estimate"] >= asked.useful
    spread = {"seconds to read one exam": spread_of([r["seconds"] for r in readings], 2)}
    settings = {name: getattr(asked, name) for name in ("patients", "size", "slices", "budgets", "useful")}
    path = write_result("phantom-liver", started, settings=settings, figures=figures, spread=spread, notes=["PHANTOM"])
    say_result(path, lines_of(figures))


def _budgets(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


def draw(folder: Path, patients: int, size: int, slices: int) -> dict[str, Any]:
    """Draw the phantom, or take the one that lies there if it is the one asked for."""
    about = folder / "benchmark.json"
    asked = {"patients": patients, "size": size, "slices": slices}
    if about.exists() and read_json(about)["asked"] == asked:
        return dict(read_json(about))
    shutil.rmtree(folder, ignore_errors=True)
    words = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    ran = run_watched([overread_program(), "phantom", folder, *words, "--json"])
    drawn = json.loads(ran.output)
    found = {"asked": asked, **{k: drawn[k] for k in ("exams", "files", "threshold")}, **ran.as_dict()}
    about.write_text(json.dumps(found))
    return found


def until_useful(project: Path, budgets: list[float], useful: float) -> list[dict[str, Any]]:
    """Train with one budget after the other until a model is useful."""
    tries: list[dict[str, Any]] = []
    for minutes in budgets:
        name = f"{minutes:g}min"
        trained = run_watched([overread_program(), "train", project, "--minutes", str(minutes), "--name", name])
        scored = run_watched([overread_program(), "evaluate", project, "--run", name])
        run_folder = Project.open(project).run(name)
        scores = read_json(run_folder.evaluation("tuning"))["scores"]
        dice = next(s["interval"] for s in scores if s["metric"] == "dice" and s["subject"] == STRUCTURE)
        events = list(read_events(run_folder.events_path))
        tried = {"run": name, "minutes": minutes, "dice": dice, "train": trained.as_dict(), "evaluate": scored.as_dict()}
        tried["first_useful_look_minutes"] = first_useful_look(events, useful)
        tried["steps"] = next(e["step"] for e in reversed(events) if e["event"] == "finished")
        tries.append(tried)
        if dice["estimate"] >= useful:
            break
    return tries


def first_useful_look(events: list[dict[str, Any]], useful: float) -> float | None:
    """Minutes of training at the first look at tuning cases where the structure was good enough; None where none was."""
    looks = [e for e in events if e["event"] == "epoch" and e.get("scores")]
    return next((e["minutes"] for e in looks if e["scores"].get(f"dice/{STRUCTURE}", 0.0) >= useful), None)


def read_one(project: Path, name: str, out: Path) -> list[dict[str, float]]:
    """Read one exam of the internal test (its images are not sealed) a few times, each in a process of its own."""
    opened = Project.open(project)
    cohort = opened.cohort(check=False)
    image = cohort.of("internal")[0].images[0]
    study = (cohort.images_folder / image.files[0]).parent if len(image.files) > 1 else cohort.images_folder / image.files[0]
    models = list(opened.run(name).path.glob("*.overread"))
    if not models:
        raise OverreadError(f"Run '{name}' left no model.")
    found = []
    for _ in range(READINGS):
        shutil.rmtree(out, ignore_errors=True)
        found.append(run_watched([overread_program(), "read", models[0], study, "--out", out]).as_dict())
    return found


def figures_of(
    phantom: Path, project: Path, drawn: dict[str, Any], made: Ran, tries: list[dict[str, Any]], readings: list[dict[str, float]]
) -> dict[str, Any]:
    last = tries[-1]
    steps = {"init": made.as_dict(), "train": last["train"], "evaluate": last["evaluate"]}
    return {
        "phantom": drawn,
        "verbs": steps,
        "tries": tries,
        "reading_one_exam": readings,
        "minutes_from_init_to_model": round(sum(s["seconds"] for s in steps.values()) / 60, 2),
        "peak_anonymous_gib": max(s["peak_anonymous_gib"] for s in steps.values()),
        "disk_gib": {
            "images": gib_of(phantom / "images"),
            "project": gib_of(project),
            "cache": gib_of(project / "cohort" / "cache"),
            "run": gib_of(project / "runs" / last["run"]),
        },
    }


def lines_of(figures: dict[str, Any]) -> list[str]:
    rows = [*figures["verbs"].items(), *(("read one exam", r) for r in figures["reading_one_exam"])]
    names = ("seconds", "peak_anonymous_gib", "peak_mapped_gib", "peak_both_gib")
    lines = table(["PHANTOM", "seconds", "anonymous GiB", "mapped GiB", "both"], [[n, *(r[k] for k in names)] for n, r in rows])
    lines.append("")
    for tried in figures["tries"]:
        look = tried["first_useful_look_minutes"]
        when = "no look at tuning cases was useful" if look is None else f"first useful look after {look:.1f} minutes of training"
        dice = f"Dice of the {STRUCTURE} {interval_text(tried['dice'])}"
        lines.append(f"{tried['minutes']:g} minutes, {tried['steps']} steps: {dice}; {when}")
    threshold = figures["phantom"]["threshold"].get(STRUCTURE, {})
    disk = ", ".join(f"{name} {size:.2f} GiB" for name, size in figures["disk_gib"].items())
    useful = "" if figures["is_useful"] else " (NOT useful yet)"
    return [
        *lines,
        f"A plain threshold on HU: Dice {threshold.get('mean_dice', float('nan')):.2f}",
        f"From init to an evaluated model: {figures['minutes_from_init_to_model']:.1f} minutes{useful}; disk: {disk}",
    ]


if __name__ == "__main__":
    run(main)
