"""`overread fidelity`: how near made images are to real ones, how varied, and whether training images are repeated."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.batches.prepare import prepare_image
from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.cohort.progress import Progress
from overread.cohort.unpaired import as_wanted
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import LabelMap, Picture
from overread.evaluation.generation.judge import Real, judge
from overread.evaluation.generation.memory import memory
from overread.evaluation.rules import Rules
from overread.metrics.generation.manifold import K_COVERAGE
from overread.reading.making import Guide, ImageMaker
from overread.record.files import write_bytes, write_json, write_text
from overread.record.run import RunFolder
from overread.reporting.generation.fidelity_page import fidelity_page
from overread.reporting.generation.grid import looks_grid, made_grid, nearest_grid
from overread.workflow.frozen import model_of, run_of
from overread.workflow.generation.made_record import PICTURES, RECORD
from overread.workflow.generation.seen_by import MINUTES, Eyes, eyes_of
from overread.workflow.generation.translated import refuse_few, translated
from overread.workflow.generation.watched import SEED as SEED_OF_LOOKS
from overread.workflow.generation.watched import made_at_looks
from overread.workflow.project import Project

PAGE = "fidelity.html"
NEAREST = "nearest.csv"  # a row per made image: the training image that it is nearest to
MOST_REAL = 2000  # images of a partition that are compared, spread evenly
SHOWN, PAIRS, NEIGHBOURS = 40, 8, 3


def fidelity(
    project: Project,
    run_name: str | None = None,
    count: int = 500,
    *,
    fold: int | None = None,
    features: str = "",
    minutes: float = MINUTES,
    seed: int = 0,
    steps: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make images, compare them with the tuning images by features, look for repeated training images; write record and page.

    Where images are made along masks or by class, these are the masks or classes of the tuning cases in turn.
    Without pairs it is the translated tuning images that are compared with tuning images of the kind that was wanted.

    count     images to make; without pairs at most so many tuning images are taken
    features  see `seen_by.eyes_of`; minutes are those in which the project's own encoder learns, once
    steps     diffusion: from noise to image; None for the usual number
    """
    if project.question.is_unpaired:
        return _of_translation(project, run_name, count, fold, features, minutes, steps, progress)
    if count < 16:
        raise OverreadError(f"{count} made images say nothing of a distribution.", "give --count 16 or more; 500 are usual")
    run = run_of(project, run_name, fold)
    model = model_of(project, run)
    maker = ImageMaker.of(model.predictor)
    cohort = project.cohort_of(run, fold)
    _refuse_few_real(cohort)
    eyes = eyes_of(project, features, minutes, fold, progress)
    guides, classes = tuning_guides(maker, cohort), tuning_classes(cohort)
    along = [guides[k % len(guides)] for k in range(count)] if guides else []
    asked = [classes[k % len(classes)] for k in range(count)] if classes else []
    made = _made(maker, count, seed, steps, progress, along, asked)
    of_made = eyes.features([_as_image(picture, maker) for picture in made], progress, "Looking at made images")
    real, _ = _real(eyes, cohort, "tuning", progress)
    training, training_cases = _real(eyes, cohort, "training", progress)
    rules = Rules(level=project.settings.evaluation.interval_level, resamples=project.settings.evaluation.resamples)
    found = judge(real, of_made, rules, network=eyes.words, floor=training)
    repeated = memory(training.features, [case.case_id for case in training_cases], of_made, real, rules, network=eyes.words)
    record = {
        "format": 1,
        "run": project.run(run_name).name,
        "fold": fold,
        "model": model.card.sha256,
        "made_by": model.card.network["name"],
        "is_phantom": cohort.is_phantom,
        "seed": seed,
        "steps": steps,
        **({"along_masks_of_tuning_cases": len(guides)} if guides else {}),
        **({"classes": {name: asked.count(name) for name in dict.fromkeys(asked)}} if asked else {}),
        "fidelity": found,
        "memory": _kept(repeated),
    }
    pictures = _pictures(run, maker, cohort, made, repeated, training_cases)
    return _written(project, run, record, pictures | {NEAREST: _nearest(repeated)})


def _refuse_few_real(cohort: Cohort) -> None:
    """Neighbours among so few images tell nothing; said before an encoder spends its minutes."""
    count = sum(not case.is_made for case in cohort.of("tuning"))
    if count <= K_COVERAGE:
        raise OverreadError(
            f"The tuning partition has {count} images to compare; {K_COVERAGE + 1} are the least.",
            "take in more patients with `overread update`, or make a new project with a larger --tuning",
        )


def _of_translation(
    project: Project,
    run_name: str | None,
    count: int,
    fold: int | None,
    features: str,
    minutes: float,
    steps: int | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Translated images beside real ones of the kind that was wanted; and what the same images score as they were read."""
    if steps is not None:
        raise OverreadError("A translation takes one step; --steps is of diffusion.", "leave --steps out")
    run = run_of(project, run_name, fold)
    card, cohort = model_of(project, run).card, project.cohort_of(run, fold)
    wanted, done = as_wanted(cohort), translated(project, run, cohort, count)
    refuse_few(done, wanted.of("tuning"), project.question.conditions)
    eyes = eyes_of(project, features, minutes, fold, progress)
    after = eyes.features(done.after, progress, "Looking at translated images")
    before = eyes.features(done.before, progress, "Looking at the same images as they were read")
    real, real_cases = _real(eyes, wanted, "tuning", progress)
    training, training_cases = _real(eyes, wanted, "training", progress)
    rules = Rules(level=project.settings.evaluation.interval_level, resamples=project.settings.evaluation.resamples)
    found = judge(real, after, rules, network=eyes.words, floor=training)
    untouched = judge(real, before, rules, network=eyes.words)
    repeated = memory(training.features, [case.case_id for case in training_cases], after, real, rules, network=eyes.words)
    record = {
        "format": 1,
        "run": project.run(run_name).name,
        "fold": fold,
        "model": card.sha256,
        "made_by": card.network["name"],
        "is_phantom": cohort.is_phantom,
        "kinds": list(project.question.conditions),
        "n_patients_translated": len({case.patient_id for case in done.cases}),
        "fidelity": found,
        "untouched": untouched["scores"],
        "memory": _kept(repeated),
    }
    return _written(project, run, record, {"translated.png": done.shown(cohort, real_cases), NEAREST: _nearest(repeated)})


def _written(project: Project, run: RunFolder, record: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
    """Leave the record, what belongs beside it and the page in the run."""
    for name, content in files.items():
        write_bytes(run.path / PICTURES / name, content)
    pictures = {name: content for name, content in files.items() if name.endswith(".png")}
    write_json(run.path / RECORD, record)
    write_text(run.path / PAGE, fidelity_page(f"{project.name}, run {record['run']}", record, pictures))
    return {**record, "page": str(run.path / PAGE)}


def _kept(repeated: dict[str, Any]) -> dict[str, Any]:
    """Of the test of memory what goes into the record: no row per image."""
    return {key: value for key, value in repeated.items() if key not in ("nearest", "held_out")}


def _nearest(repeated: dict[str, Any]) -> bytes:
    """Made images, nearest to training first; `distance` is of features, `held_out` the least that a tuning image keeps."""
    told = io.StringIO()
    rows = csv.writer(told, lineterminator="\n")
    rows.writerow(("made", "training_case", "distance", "held_out"))
    least = min(repeated["held_out"], default="")
    for row in sorted(repeated["nearest"], key=lambda row: row["distance"]):
        rows.writerow((row["made"] + 1, row["case_id"], row["distance"], least))
    return told.getvalue().encode()


def tuning_guides(maker: ImageMaker, cohort: Cohort) -> list[Guide]:
    """The masks of the tuning cases; none where images are not made along masks."""
    if not cohort.question.guides:
        return []
    cases = [case for case in cohort.of("tuning") if not case.is_made]
    masks = [load_truth(cohort, case) for case in cases]
    return [maker.guide_of(mask) for mask in masks if isinstance(mask, LabelMap)]


def tuning_classes(cohort: Cohort) -> list[str]:
    """The class of each tuning case that has just one, so that made images are mixed as real ones are."""
    if cohort.question.task != "synthesize" or not cohort.question.conditions:
        return []
    told = [case.truth.values for case in cohort.of("tuning") if case.truth is not None and not case.is_made]
    named = [[name for name in cohort.question.conditions if values.get(name)] for values in told]
    return [names[0] for names in named if len(names) == 1]


def _made(
    maker: ImageMaker,
    count: int,
    seed: int,
    steps: int | None,
    progress: Progress | None,
    guides: Sequence[Guide],
    classes: Sequence[str],
) -> list[Picture]:
    if progress is not None:
        progress.start(None, f"Making {count} images")
    made = maker.make(count, seed, steps=steps, guides=guides, classes=classes)
    if progress is not None:
        progress.finish()
    return made


def _as_image(picture: Picture, maker: ImageMaker) -> Image:
    return Image(picture.array, picture.grid, picture.units, maker.question.classes)


def _real(eyes: Eyes, cohort: Cohort, partition: str, progress: Progress | None) -> tuple[Real, list[Case]]:
    """Features of the images of a partition; of a large one some, spread evenly."""
    cases = [case for case in cohort.of(partition) if not case.is_made]
    chosen = [cases[int(k)] for k in np.unique(np.linspace(0, len(cases) - 1, min(MOST_REAL, len(cases))).round())]
    images = [load_image(cohort, case) for case in chosen]
    seen = eyes.features(images, progress, f"Looking at {partition} images")
    return Real(seen, tuple(case.patient_id for case in chosen)), chosen


def _pictures(
    run: RunFolder,
    maker: ImageMaker,
    cohort: Cohort,
    made: Sequence[Picture],
    repeated: dict[str, Any],
    training: Sequence[Case],
) -> dict[str, bytes]:
    """The made images; those nearest to training images beside these; what was made during training."""
    is_phantom = cohort.is_phantom
    along = ", along masks of tuning cases" if cohort.question.guides else ""
    along = ", of the classes of tuning cases" if cohort.question.conditions else along
    arrays = np.stack([picture.array[0] for picture in made[:SHOWN]])
    pictures = {"made.png": made_grid(arrays, title=f"{len(arrays)} of {len(made)} made images{along}", is_phantom=is_phantom)}
    by_id = {case.case_id: case for case in training}
    nearest = sorted(repeated["nearest"], key=lambda row: row["distance"])[:PAIRS]
    beside = [_as_learned(load_image(cohort, by_id[row["case_id"]]), maker) for row in nearest]
    pictures["nearest.png"] = nearest_grid(
        np.stack([made[row["made"]].array[0] for row in nearest]),
        np.stack(beside)[:, None],
        np.array([[row["distance"]] for row in nearest]),
        names=[[row["case_id"]] for row in nearest],
        usual=min(repeated["held_out"]) if repeated["held_out"] else None,
        title="The made images that are nearest to training images",
        is_phantom=is_phantom,
    )
    looks, numbers = made_at_looks(run)
    if numbers:
        seeds = [SEED_OF_LOOKS + k for k in range(looks.shape[1])]
        title = "Made during training from the same random numbers"
        pictures["looks.png"] = looks_grid(looks, numbers, seeds, title=title, is_phantom=is_phantom)
    return pictures


def _as_learned(image: Image, maker: ImageMaker) -> np.ndarray:
    """(Z, Y, X) the first channel of a real image as the network saw it, in its units."""
    prepared = prepare_image(image, maker.preparation)
    scale = prepared.scales[0]
    return np.asarray(prepared.array[0] * scale.std + scale.mean, np.float32)
