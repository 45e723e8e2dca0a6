"""Which images a model refuses: its own test images, and images of other kinds.

    python benchmarks/refusal.py
    python benchmarks/refusal.py --minutes 1 --pixels 96 --only chest
    python benchmarks/refusal.py --project runs/kermany --run first --only chest

A chest film classifier (paediatric films, official split) and a liver model of phantom CTs are trained briefly; their limits are
fitted on tuning cases as always. Then each is shown what it was not trained on. Refused, warned of and accepted are counted
by kind; a false refusal is one of the internal test. There is no lateral film in the collection: one is projected from a CT.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import WORK, Started, parser, run, say_result, shared_data, table, write_result
from kermany import open_or_init
from refusal_shown import to_a_chest_model, to_a_ct_model
from runs import train_or_resume

import overread
from overread.cohort.load import load_image
from overread.core.errors import OverreadError
from overread.evaluation.intervals.wilson import wilson
from overread.record.files import read_json
from overread.workflow.phantom import phantom
from overread.workflow.project import Project
from overread.workflow.read import read
from overread.workflow.readings.refusing import UNLIKE

PARTS = ("chest", "ct")
AIM = 0.05  # false refusals of the internal test, at most


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=3.0, help="of training, for each model")
    options.add_argument("--pixels", type=int, default=128, help="edge of a film as the network sees it")
    options.add_argument("--patients", type=int, default=60, help="of the phantom")
    options.add_argument("--size", type=int, default=96, help="pixels of a phantom slice along its edge")
    options.add_argument("--slices", type=int, default=40, help="per phantom CT")
    options.add_argument("--each", type=int, default=20, help="images of a kind")
    options.add_argument("--only", choices=PARTS, help="one of the two models")
    options.add_argument("--project", type=Path, help="with --only chest: a trained project of the films; nothing is trained")
    options.add_argument("--run", default="first", help="its run")
    options.add_argument("--out", type=Path, default=WORK / "refusal", help="folder for projects, images and answers")
    asked, started = options.parse_args(), Started()
    figures: dict[str, Any] = {}
    if asked.only != "ct":
        figures["chest"] = of_films(asked)
    if asked.only != "chest":
        figures["ct"] = of_phantoms(asked)
    settings = {name: getattr(asked, name) for name in ("minutes", "pixels", "patients", "size", "slices", "each")}
    notes = ["The CT model learned from a PHANTOM.", "The lateral film is a projection of a CT: the collection has none."]
    name = "refusal" if asked.only is None else f"refusal-{asked.only}"
    path = write_result(name, started, settings=settings, figures=figures, spread={}, notes=notes)
    say_result(path, [line for part, found in figures.items() for line in lines_of(part, found)])


def of_films(asked: Any) -> dict[str, Any]:
    if asked.project is not None:
        project = Project.open(asked.project)
    else:
        project = open_or_init(asked.out / "chest")
        train_or_resume(project, asked.run, asked.minutes, overrides={"training.patch": f"1,{asked.pixels},{asked.pixels}"})
    shown, data = asked.out / "shown-chest", shared_data()
    own = sorted((data / "kermany_cxr_224" / "test").rglob("*.jp*g"))
    kinds = to_a_chest_model(shown, data, own[:: max(1, len(own) // asked.each)], asked.each)
    return held_against(project, asked.run, shown, kinds, asked.out / "answers-chest")


def of_phantoms(asked: Any) -> dict[str, Any]:
    folder = asked.out / "phantom"
    if not (asked.out / "ct" / "project.toml").exists():
        for place, patients, seed in ((folder / "learned", asked.patients, 7), (folder / "new", 5, 4099)):
            shutil.rmtree(place, ignore_errors=True)
            phantom(place, patients=patients, size=asked.size, slices=asked.slices, seed=seed)
        learned = folder / "learned"
        sheet = learned / "labels.csv"
        overread.init(asked.out / "ct", learned / "images", truth=learned / "masks", sheet=sheet, group_by="patient_id")
    project = Project.open(asked.out / "ct")
    train_or_resume(project, asked.run, asked.minutes)
    exams = sorted({path.parent for path in (folder / "new" / "images").rglob("*.dcm")})
    kinds = to_a_ct_model(asked.out / "shown-ct", shared_data(), exams[:5])
    return held_against(project, asked.run, asked.out / "shown-ct", kinds, asked.out / "answers-ct")


def held_against(project: Project, name: str, shown: Path, kinds: Sequence[str], out: Path) -> dict[str, Any]:
    """What becomes of each kind, and of the internal test as `train` recorded it when it froze the model."""
    folder = project.run(name)
    record = read_json(folder.path / "refusal.json")
    model = next(folder.path.glob("*.overread"))
    internal = record["partitions"]["internal"]
    refused = sum(internal["refused"].values())
    rows = [_row("own internal test", internal["cases"], refused, sum(internal["warned"].values()), internal["refused"])]
    rows += [_shown(model, shown / kind, kind, out / kind) for kind in kinds]
    return {
        "limits": record["content"],
        "notes": record["notes"],
        "seconds_at_freezing": record["seconds"],
        "false_refusals": {"share": refused / internal["cases"], "interval_95": list(wilson(refused, internal["cases"]))},
        "image": list(load_image(project.cohort(), project.cohort().of("training")[0]).array.shape),
        "rows": rows,
    }


def _shown(model: Path, folder: Path, kind: str, out: Path) -> dict[str, Any]:
    """Each study of a kind is given to `read`; warnings of other things than refusal do not count."""
    shutil.rmtree(out, ignore_errors=True)
    try:
        readings = [(r.code, _is_warned(r.warnings)) for r in read(model, [folder], out, dicom=())]
    except OverreadError:  # none could be answered: they are listed all the same
        listed = (
            read_json(out / "answers.json")["readings"] if (out / "answers.json").exists() else [{"refusal_code": "unreadable"}]
        )
        readings = [(r["refusal_code"], False) for r in listed]
    codes = Counter(code for code, _ in readings if code)
    return _row(kind, len(readings), codes.total(), sum(warned for _, warned in readings), codes)


def _is_warned(warnings: Sequence[str]) -> bool:
    return any(warning.startswith(UNLIKE) for warning in warnings)


def _row(kind: str, cases: int, refused: int, warned: int, codes: Any) -> dict[str, Any]:
    return {
        "shown": kind,
        "images": cases,
        "refused": refused,
        "warned": warned,
        "accepted": cases - refused - warned,
        "codes": dict(codes),
    }


def lines_of(part: str, found: dict[str, Any]) -> list[str]:
    low, high = found["false_refusals"]["interval_95"]
    share = found["false_refusals"]["share"]
    verdict = "within" if share <= AIM else "above"
    columns = ["shown", "images", "refused", "warned", "accepted", "reasons of refusal"]
    rows = [
        [r["shown"], r["images"], r["refused"], r["warned"], r["accepted"], ", ".join(f"{c} {n}" for c, n in r["codes"].items())]
        for r in found["rows"]
    ]
    interval = f"95 % interval {low:.1%} to {high:.1%}"
    said = f"False refusals: {share:.1%} of the internal test ({interval}), {verdict} the aim of {AIM:.0%}."
    return [f"== {part}", *table(columns, rows), "", said, *found["notes"], ""]


if __name__ == "__main__":
    run(main)
