"""One image made from another: our U-Net beside a network that reads every voxel by itself, and what becomes of the anatomy.

    python benchmarks/translate.py --which phantom
    python benchmarks/translate.py --which ms
    python benchmarks/translate.py --which phantom --patients 12 --minutes 0.5 --cycle-minutes 0.5 --on tuning

phantom  PHANTOM: livers as CT, and the same anatomy drawn once more as an MR sequence might show it (`second_contrast.py`):
         organs that are alike on CT differ there, and the coil shades the image. The internal test is opened once for each
ms       brain MR of 2 patients with multiple sclerosis (Open MS Data, CC BY): FLAIR from T1, one patient trains, the other is
         the tuning case. Nothing is claimed of two patients: intervals over patients do not exist, the score of each is shown

The baseline is `voxelwise`, regression of every voxel from its own intensity alone: what a U-Net is better by, its surroundings
have told. Both get the same minutes. PSNR and SSIM within the body; the gain is paired, by patient.

On the phantom two more questions. A CycleGAN, taught without pairs on the same cases, slice by slice as it was published: does it
keep the anatomy? One U-Net that segments the second contrast draws liver and metastases on true and on made images. And the check
itself: a program that erases every metastasis from the true image answers too, and has to be caught.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import WORK, Started, parser, run, say_result, shared_data, spread_of, table, write_result
from phantom_metastases import NOTE, draw
from runs import count_openings, examine_once, interval_text, openings_line, train_or_resume
from second_contrast import draw_second, erased, segmenting

import overread
from overread.cli.progress import reporter
from overread.cohort.load import load_truth
from overread.core.kinds import Picture
from overread.core.score import Interval
from overread.evaluation.result import Result
from overread.evaluation.sources.pictures_file import write_picture
from overread.imaging.labels import open_labels
from overread.record.files import write_json
from overread.workflow.compare import compare
from overread.workflow.project import Project
from overread.workflow.structures import structures

NETWORKS = ("unet", "voxelwise")
CYCLE, ERASER = "cycle_gan", "eraser"
SHOWN = ("psnr", "ssim", "body_psnr", "body_ssim", "body_mae")
DECLARED = {"hypothesis": "A U-Net translates better than a regression of every voxel by itself", "primary_endpoint": "ssim/mr"}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--which", choices=("phantom", "ms"), required=True)
    options.add_argument("--patients", type=int, default=30, help="of the phantom")
    options.add_argument("--size", type=int, default=96, help="of the phantom: pixels in each direction of the plane")
    options.add_argument("--seed", type=int, default=11)
    options.add_argument("--minutes", type=float, default=8.0, help="of training, for each of the two")
    options.add_argument("--cycle-minutes", type=float, default=8.0, help="of training of the CycleGAN")
    options.add_argument("--segment-minutes", type=float, default=12.0, help="of training of the network that segments")
    options.add_argument("--on", choices=("internal", "tuning"), default="internal", help="which cases of the phantom to score")
    options.add_argument("--out", type=Path, default=WORK / "translate", help="folder for phantom and projects")
    asked, started = options.parse_args(), Started()
    on = asked.on if asked.which == "phantom" else "tuning"
    project = of_phantom(asked) if asked.which == "phantom" else of_ms(asked.out / "ms")
    figures: dict[str, Any] = {}
    for network in NETWORKS:
        took = train_or_resume(project, network, asked.minutes, overrides={"training.architecture": network})
        figures[network] = {**took, "scores": scores_of(scored(project, network, on))}
    figures["gain"] = gain(project, on)
    if asked.which == "phantom":
        figures["structures"] = kept(project, asked)
    openings = count_openings(f"translate-{asked.which}", project) if on == "internal" else None
    settings = {key: value for key, value in vars(asked).items() if key != "out"}
    spread = {n: spread_of([figures[n]["scores"]["ssim"]["estimate"]]) for n in NETWORKS}
    stem = f"translate-{asked.which}" + ("-tuning" if on == "tuning" and asked.which == "phantom" else "")
    notes = [NOTE] if asked.which == "phantom" else ["One patient trained, one was scored: an example, no evidence"]
    path = write_result(stem, started, settings=settings, figures={**figures, "openings": openings}, spread=spread, notes=notes)
    say_result(path, [*notes, *lines_of(figures), "", openings_line(openings) if openings else "No seal was opened."])


def of_phantom(asked: Any) -> Project:
    phantom = asked.out / "phantom"
    draw(phantom, {"patients": asked.patients, "size": asked.size, "seed": asked.seed})
    pairs = draw_second(phantom, asked.out / "pairs")
    folder = asked.out / "phantom-project"
    if (folder / "project.toml").exists():
        return Project.open(folder)
    return overread.init(
        folder,
        images=pairs,
        sheet=phantom / "labels.csv",
        id_column="exam_id",
        group_by="patient_id",
        task="translate",
        series={"ct.file": "_ct", "mr.file": "_mr"},
        answer=["mr"],
    )


def of_ms(folder: Path) -> Project:
    if (folder / "project.toml").exists():
        return Project.open(folder)
    return overread.init(
        folder,
        images=shared_data() / "open_ms",
        task="translate",
        series={"t1.file": "T1_N4", "flair.file": "FLAIR_N4"},
        answer=["flair"],
        internal=0,
        tuning=0.5,
    )


def scored(project: Project, name: str, on: str) -> Result:
    if on == "internal":
        return examine_once(project, name, DECLARED)
    return project.evaluate(run_name=name, on=on, progress=reporter(), panels=False)


def scores_of(result: Result) -> dict[str, Any]:
    return {row["metric"]: row["interval"] for row in result["scores"] if row["metric"] in SHOWN}


def gain(project: Project, on: str) -> list[dict[str, Any]]:
    """Of each score, what the U-Net has more than the regression, paired by case; empty where one patient is scored."""
    if len({case.patient_id for case in project.cohort().of(on)}) < 2:
        return []
    found = compare([project.path], runs=list(reversed(NETWORKS)), on=on, endpoints=tuple(f"{m}/mr" for m in SHOWN))
    return [dict(row) for row in found["comparisons"]]


def kept(project: Project, asked: Any) -> dict[str, Any]:
    """What one network that segments finds in true and made images of the tuning cases."""
    overrides = {"training.architecture": CYCLE, "training.dimensions": 2}
    train_or_resume(project, CYCLE, asked.cycle_minutes, overrides=overrides)
    scored(project, CYCLE, "tuning")
    erase(project, asked.out / "phantom")
    model = segmenting(asked.out, asked.segment_minutes)
    found = {n: structures(project, model, n, lesions=("metastasis",), progress=reporter()) for n in (*NETWORKS, CYCLE, ERASER)}
    keys = ("scores", "lesions", "sentences", "n_cases", "n_patients")
    return {name: {key: record[key] for key in keys if key in record} for name, record in found.items()}


def erase(project: Project, phantom: Path) -> None:
    """A program that answers with the true image, every metastasis painted over with liver: the check has to catch it."""
    cohort, folder = project.cohort(), project.run(ERASER)
    into = folder.predictions / "tuning"
    if (into / "answers.json").exists():
        return
    into.mkdir(parents=True, exist_ok=True)
    for case in cohort.of("tuning"):
        truth = load_truth(cohort, case)
        assert isinstance(truth, Picture)
        exam = Path(case.images[0].files[0]).name.split("_ct")[0]
        mask = open_labels([phantom / "masks" / f"{exam}.nii.gz"], "nifti")[0][0]
        painted = Picture(erased(truth.array[0], mask)[None], truth.grid, truth.units)
        write_picture(into, case.case_id, painted, cohort.question, is_phantom=True)
    write_json(into / "answers.json", {"format": 1, "partition": "tuning", "question": cohort.question.as_dict()})


def lines_of(figures: Mapping[str, Any]) -> list[str]:
    rows: list[list[object]] = []
    for metric in SHOWN:
        rows += [[n, metric, interval_text(figures[n]["scores"][metric])] for n in NETWORKS if metric in figures[n]["scores"]]
    for name, found in figures.get("structures", {}).items():
        rows += [[name, f"{s['name']} ({s['subject']})", Interval.from_dict(s["interval"]).short] for s in found["scores"]]
    gains = [f"U-Net less voxelwise, {row['endpoint']}: {Interval.from_dict(row['difference']).short}" for row in figures["gain"]]
    said = [f"{name}: {sentence}" for name, found in figures.get("structures", {}).items() for sentence in found["sentences"]]
    return [*table(["run", "figure", "value"], rows), "", *gains, *said]


if __name__ == "__main__":
    run(main)
