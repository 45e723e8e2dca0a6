"""Low-dose CT restored, on a phantom: our U-Net beside bilateral filter and non-local means, in PSNR, SSIM and detectability.

    python benchmarks/restore_phantom.py
    python benchmarks/restore_phantom.py --patients 16 --size 96 --minutes 2 --on tuning

PHANTOM: drawn livers; nothing measured here says anything about patients. The low dose is simulated from each image itself
(`--degradation low_dose:0.25`): quantum noise with the texture and spread of its own, not raw data.

Ours is what the plan chooses for `--task restore`, at full strength and at one that was chosen on the tuning cases of another
phantom (`--seed 7`), where faint balls were seen as well as after the bilateral filter. Bilateral filter and non-local means
(scikit-image) get the noise level of every image and have their parameters fitted on the tuning cases. All are scored by the same
`evaluate`, on the internal test, opened once for each; with --on tuning it stays shut. Beside them stands the low-dose image as
it is.

PSNR and SSIM do not say whether a lesion is still seen. So faint balls are planted in the livers of the scored cases, the dose
lowered after that, the images restored, and a channelized Hotelling observer, taught by the other patients, rates every known
place with a ball and without (`overread.metrics.detectability`). An observer of this kind loses nothing by linear blurring and
gains nothing by cosmetics: a denoiser can at best give back what the low dose left, and the low-dose image is no easy rival.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from classical_denoisers import CLASSICAL, Classical, fit
from common import WORK, Started, parser, run, say_result, spread_of, table, write_result
from phantom_metastases import NOTE, draw
from planted_signals import Signal, edge_of, patches, places, planted
from runs import count_openings, examine_once, interval_text, openings_line, train_or_resume

import overread
from overread.cli.progress import reporter
from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth, load_whole_image
from overread.core.case import Case
from overread.core.image import Image
from overread.core.kinds import Picture
from overread.core.score import Interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval
from overread.evaluation.intervals.delong import area, area_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.result import Result
from overread.evaluation.rules import Rules
from overread.evaluation.sources.pictures_file import write_picture
from overread.imaging.degrade.simulated import Simulated, parse_degradation
from overread.imaging.labels import open_labels
from overread.metrics.detectability import detectability_index, ratings, wins
from overread.record.files import read_json, write_json
from overread.workflow.frozen import model_of
from overread.workflow.project import Project

LIVER = 1  # value in the masks of a phantom
READ = "low dose as it is"
SHOWN = ("psnr", "ssim", "body_psnr", "body_ssim")
DECLARED = {
    "hypothesis": "The network restores low-dose images better than non-local means and than a bilateral filter",
    "primary_endpoint": "psnr",
}
Restore = Callable[[Image], np.ndarray]  # what is read -> (Z, Y, X) HU


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--patients", type=int, default=40)
    options.add_argument("--size", type=int, default=128, help="pixels in each direction of the plane")
    options.add_argument("--seed", type=int, default=17)
    options.add_argument("--strength", type=float, default=0.6, help="of ours, beside full strength")
    options.add_argument("--dose", type=float, default=0.25, help="share of the dose that is left")
    options.add_argument("--minutes", type=float, default=10.0, help="of training")
    options.add_argument("--diameter", type=float, default=8.0, help="of the planted balls, mm")
    options.add_argument("--contrast", type=float, default=-20.0, help="of the planted balls, HU")
    options.add_argument("--places", type=int, default=12, help="of planted balls in each liver, at most")
    options.add_argument("--on", choices=("internal", "tuning"), default="internal", help="which cases to score")
    options.add_argument("--out", type=Path, default=WORK / "restore-phantom", help="folder for phantom and project")
    asked, started = options.parse_args(), Started()
    phantom = asked.out / "phantom"
    draw(phantom, {"patients": asked.patients, "size": asked.size, "seed": asked.seed})
    project = open_or_init(asked.out / f"project-{asked.dose:g}", phantom, asked.dose)
    ours = {f"{asked.minutes:g}min": 1.0, f"{asked.minutes:g}min-strength-{asked.strength:g}": asked.strength}
    name = list(ours)[-1]  # whose gain over all others is told
    figures: dict[str, Any] = {
        each: train_or_resume(project, each, asked.minutes, overrides={"training.task.strength": f"{strength:g}"})
        for each, strength in ours.items()
    }
    figures |= {each.name: answered_by(project, each) for each in CLASSICAL}
    results = {each: scored(project, each, asked.on) for each in figures}
    for each, figure in figures.items():
        figure["scores"] = scores_of(results[each])
    for each in ours:
        figures[each]["refused"] = [case["case_id"] for case in results[each]["cases"] if case.get("refused")]
    for each in [each for each in figures if each != name]:
        figures[each]["ours_more_where_answered"] = more_where_answered(results[name], results[each])
    figures[READ] = {"scores": of_what_was_read(scored(project, name, asked.on))}
    openings = count_openings("restore-phantom", project) if asked.on == "internal" else None  # from here on the test is open
    signal = Signal(asked.diameter, asked.contrast)
    seen = look_at(project.cohort(), asked.on, phantom, ways(project, list(ours), figures), signal, asked.places)
    for each, found in detected(seen, name).items():
        figures[each] |= found
    settings = {key: value for key, value in vars(asked).items() if key != "out"}
    spread = {each: spread_of([f["auc"]["estimate"]]) for each, f in figures.items()}
    stem = "restore-phantom" + ("-tuning" if asked.on == "tuning" else "")
    path = write_result(stem, started, settings=settings, figures={**figures, "openings": openings}, spread=spread, notes=[NOTE])
    say_result(path, [*lines_of(figures, asked.on), "", openings_line(openings) if openings else "No seal was opened."])


def open_or_init(folder: Path, phantom: Path, dose: float) -> Project:
    if (folder / "project.toml").exists():
        return Project.open(folder)
    project = overread.init(
        folder,
        images=phantom / "images",
        sheet=phantom / "labels.csv",
        group_by="patient_id",
        task="restore",
        degradation=f"low_dose:{dose:g}",
    )
    print(project.summary)
    return project


def answered_by(project: Project, which: Classical) -> dict[str, Any]:
    """Fit the parameters on tuning cases, once, and answer tuning and test images, as any other program would."""
    folder = project.run(which.name)
    record = folder.path / "parameters.json"
    if record.exists():
        return {"parameters": read_json(record)}
    cohort = project.cohort()
    pairs = [(load_image(cohort, case).array[0], truth_of(cohort, case)) for case in cohort.of("tuning")]
    chosen, rows = fit(which, pairs)
    for partition in ("tuning", "internal"):
        answer(cohort, folder.predictions / partition, partition, partial(which, chosen=chosen))
    write_json(record, {"chosen": chosen, "tried": rows})
    return {"parameters": read_json(record)}


def truth_of(cohort: Cohort, case: Case) -> np.ndarray:
    truth = load_truth(cohort, case)
    assert isinstance(truth, Picture)
    return truth.array[0]


def answer(cohort: Cohort, folder: Path, partition: str, denoise: Callable[[np.ndarray], np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for case in cohort.of(partition):
        image = load_image(cohort, case)
        picture = Picture(denoise(image.array[0])[None], image.grid, image.units)
        write_picture(folder, case.case_id, picture, cohort.question, is_phantom=True)
    write_json(folder / "answers.json", {"format": 1, "partition": partition, "question": cohort.question.as_dict()})


def scored(project: Project, name: str, on: str) -> Result:
    if on == "internal":
        return examine_once(project, name, DECLARED)
    return project.evaluate(run_name=name, on=on, progress=reporter(), panels=False)


def scores_of(result: Mapping[str, Any]) -> dict[str, Any]:
    return {row["metric"]: row["interval"] for row in result["scores"] if row["metric"] in SHOWN}


def more_where_answered(ours: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """How much more ours has, case by case, over the cases that it did not refuse; intervals by patient."""
    answered = [case for case in ours["cases"] if not case.get("refused")]
    beside = {case["case_id"]: case["scores"] for case in other["cases"]}
    patients = Patients.of([case["patient_id"] for case in answered])

    def difference(metric: str) -> Interval:
        key = f"{metric}/{ours['question']['classes'][0]}"
        more = np.array([case["scores"][key] - beside[case["case_id"]][key] for case in answered])
        sums, sizes = (np.bincount(patients.number, weights, patients.count) for weights in (more, np.ones_like(more)))
        return bootstrap_interval(lambda counts: counts @ sums / (counts @ sizes), patients, Rules(), "no case was answered")

    return {metric: difference(metric).as_dict() for metric in SHOWN}


def of_what_was_read(result: Mapping[str, Any]) -> dict[str, Any]:
    found = {row["metric"].removesuffix("_read"): row for row in result["scores"] if row["metric"].endswith("_read")}
    return {metric: found[metric]["interval"] for metric in SHOWN if metric in found}


def ways(project: Project, ours: Sequence[str], figures: Mapping[str, Any]) -> dict[str, Restore]:
    """Every way of restoring an image that is read, by the name of its run."""

    def by_network(image: Image, predictor: Any) -> np.ndarray:
        picture = predictor.answer(predictor.prepare(image))
        assert isinstance(picture, Picture)
        return picture.array[0]

    def by_filter(image: Image, which: Classical) -> np.ndarray:
        return which(image.array[0], figures[which.name]["parameters"]["chosen"])

    filters: dict[str, Restore] = {each.name: partial(by_filter, which=each) for each in CLASSICAL}
    networks: dict[str, Restore] = {
        each: partial(by_network, predictor=model_of(project, project.run(each)).predictor) for each in ours
    }
    return {**networks, **filters, READ: lambda image: image.array[0]}


@dataclass(frozen=True)
class Seen:
    """Patches of all ways at all places: (N, edge, edge) by way, whether a ball was planted (N,), and whose they are (N,)."""

    patches: dict[str, np.ndarray]
    present: np.ndarray
    patient: np.ndarray


def look_at(cohort: Cohort, partition: str, phantom: Path, restored: Mapping[str, Restore], signal: Signal, most: int) -> Seen:
    """Plant, lower the dose, restore, and cut out every place, with balls and without."""
    simulated = parse_degradation(cohort.question.degradation)
    found: dict[str, list[np.ndarray]] = {name: [] for name in restored}
    present: list[bool] = []
    patient: list[str] = []
    for case in cohort.of(partition):
        image = load_whole_image(cohort, case)
        masks = open_labels([phantom / "masks" / Path(case.images[0].files[0]).name], "nifti")[0][0]
        at = places(masks == LIVER, image.grid, most)
        for is_there, low in both(image, at, signal, simulated, case.case_id):
            for name, restore in restored.items():
                found[name].append(patches(restore(low), at, edge_of(image.grid.spacing, signal)))
            present += [is_there] * len(at)
            patient += [case.patient_id] * len(at)
    edge = min(part.shape[-1] for part in found[READ] if len(part))
    joined = {name: np.concatenate([middle_of(part, edge) for part in parts]) for name, parts in found.items()}
    return Seen(joined, np.array(present), np.array(patient))


def both(image: Image, at: np.ndarray, signal: Signal, simulated: Simulated, case_id: str) -> list[tuple[bool, Image]]:
    """The low-dose image with balls and without, each with noise of its own."""
    with_balls = replace(image, array=planted(image.array[0], image.grid, at, signal)[None])
    return [
        (is_there, simulated.apply(scene, f"{case_id}/{word}"))
        for is_there, scene, word in ((True, with_balls, "balls"), (False, image, "none"))
    ]


def middle_of(part: np.ndarray, edge: int) -> np.ndarray:
    """(N, edge, edge) of larger patches: pixels differ a little from scanner to scanner."""
    off = (part.shape[-1] - edge) // 2
    return part[:, off : off + edge, off : off + edge]


def detected(seen: Seen, ours: str) -> dict[str, dict[str, Any]]:
    """Area under the ROC curve and d' of every way, and how much ours has more than each other, by patient."""
    patients = Patients.of(seen.patient)
    rated = {name: ratings(cut, seen.present, seen.patient) for name, cut in seen.patches.items()}
    won = {name: wins(found, seen.present, patients.number, patients.count) for name, found in rated.items()}
    kinds = [np.bincount(patients.number[which], minlength=patients.count) for which in (seen.present, ~seen.present)]
    figures: dict[str, dict[str, Any]] = {}
    for name, found in rated.items():
        interval = area_interval(area(seen.present, found, patients), patients, 0.95)
        figures[name] = {"auc": interval.as_dict(), "d_prime": detectability_index(found, seen.present).value}
        if name != ours:
            figures[name]["ours_more"] = gained(won[ours] - won[name], kinds[0], kinds[1], patients).as_dict()
    return figures


def gained(more: np.ndarray, positives: np.ndarray, negatives: np.ndarray, patients: Patients) -> Interval:
    """Difference of two areas on the same patches, patients resampled whole; more (P, P) difference of `wins`."""

    def statistic(counts: np.ndarray) -> np.ndarray:
        pairs = (counts @ positives) * (counts @ negatives)
        return np.asarray(np.einsum("rp,pq,rq->r", counts, more, counts) / np.maximum(pairs, 1))

    return bootstrap_interval(statistic, patients, Rules(), "no patch of a kind")


def lines_of(figures: Mapping[str, Any], on: str) -> list[str]:
    where = {"internal": "internal test", "tuning": "tuning cases"}[on]
    rows = [
        [who, metric, interval_text(figure["scores"][metric])]
        for metric in SHOWN
        for who, figure in figures.items()
        if metric in figure["scores"]
    ]
    rows += [[who, "AUC of planted balls", interval_text(figure["auc"])] for who, figure in figures.items()]
    rows += [[who, "d'", "none" if f["d_prime"] is None else f"{f['d_prime']:.2f}"] for who, f in figures.items()]
    for who, figure in figures.items():
        for metric, found in figure.get("ours_more_where_answered", {}).items():
            rows.append([who, f"{metric}: ours less this, answered", interval_text(found)])
    more = [[who, "AUC: ours less this", interval_text(f["ours_more"])] for who, f in figures.items() if "ours_more" in f]
    refused = sorted({who for figure in figures.values() for who in figure.get("refused", ())})
    said = (
        [f"Ours refused {len(refused)}, which count as the worst answer, and are left out where 'answered' stands."]
        if refused
        else []
    )
    return ["PHANTOM", *table(["way", "figure", where], rows + more), *said]


if __name__ == "__main__":
    run(main)
