"""`overread latent`: the codes of an autoencoder's cases, how an image sits in them, and what the network draws between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.evaluation.rules import Rules
from overread.reading import code_space as space
from overread.reading.codes import Coder
from overread.record.files import write_bytes, write_json, write_text
from overread.reporting.generation.latent_page import NEAR, WALK, WAY, latent_page
from overread.workflow.frozen import model_of, run_of
from overread.workflow.generation.code_columns import numeric_columns, with_columns
from overread.workflow.generation.coded import PARTITIONS, Coded, as_csv, coded, plain
from overread.workflow.generation.ways import WALKED, Subject, near_pairs, walk_along, way_between
from overread.workflow.project import Project

FOLDER, CODES, FILE, PAGE = "latent", "codes.csv", "latent.json", "latent.html"


def latent(
    project: Project,
    run_name: str | None = None,
    *,
    fold: int | None = None,
    between: Sequence[str] = (),
    walk: int = WALKED,
    encode: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Encode training and tuning cases and write codes.csv; then pictures of ways between codes, a record and a page.

    between  pseudonyms of two cases; by rule where none are named: the two tuning cases most unlike, of different patients
    walk     how many numbers of the code are walked along, the most varied first
    encode   the codes alone are written
    limit    the most cases of each partition
    """
    if len(between) not in (0, 2) or len(set(between)) != len(between):
        raise OverreadError(f"--between names {len(between)} cases.", "name two different ones: --between C-0001,C-0002")
    if walk < 1:
        raise OverreadError(f"--walk {walk} leaves nothing to walk along.", "give --walk 1 or more")
    run = run_of(project, run_name, fold)
    model = model_of(project, run)
    coder, cohort = Coder.of(model.predictor), project.cohort_of(run, fold)
    found = coded(coder, cohort, limit, progress)
    subject = Subject(coder, cohort, found)
    folder = run.path / FOLDER
    write_text(folder / CODES, as_csv(found), mode=0o600)
    record = {
        "format": 1,
        "run": project.run(run_name).name,
        "fold": fold,
        "model": model.card.sha256,
        "network": model.card.network["name"],
        "task": project.question.task,
        "is_phantom": cohort.is_phantom,
        "length": coder.length,
        "cases": {part: found.partitions.count(part) for part in PARTITIONS},
        "patients": {part: len(set(found.of(part).patients)) for part in PARTITIONS},
        **_sits(found),
        "notes": _notes(found, len(cohort.of("training") + cohort.of("tuning")), len(model.card.question.classes)),
        "codes": str(folder / CODES),
    }
    if encode:
        return record
    settings = project.settings.evaluation
    rules = Rules(level=settings.interval_level, resamples=settings.resamples)
    walked = [row["number"] - 1 for row in sorted(record["dimensions"], key=lambda row: -row["variance"])[:walk]]
    pictures: dict[str, bytes] = {}
    record["way"], pictures[WAY] = way_between(subject, between)
    record["walk"], pictures[WALK] = walk_along(subject, walked)
    record["near"], pictures[NEAR] = near_pairs(subject)
    record["columns"] = with_columns(found.cases, found.codes.mean, walked, numeric_columns(found.cases), rules)
    for name, png in pictures.items():
        write_bytes(folder / name, png)
    kept = {key: value for key, value in record.items() if key != "codes"}
    write_json(run.path / FILE, kept)
    write_text(run.path / PAGE, latent_page(f"{project.name}, run {record['run']}", kept, pictures))
    return {**record, "page": str(run.path / PAGE)}


def _sits(found: Coded) -> dict[str, Any]:
    """How images sit in the code: each number of it, and how many of them are in use."""
    training, tuning = found.of("training").codes, found.of("tuning").codes
    spread = space.variances(training.mean)
    rows: list[dict[str, Any]] = [{"number": k + 1, "variance": plain(v)} for k, v in enumerate(spread)]
    told: dict[str, Any] = {"directions": plain(space.directions(training.mean)), "dimensions": rows, "active": None}
    if training.sd is None or tuning.sd is None:
        return told
    moves = {"training": space.is_active(training.mean), "tuning": space.is_active(tuning.mean)}
    said = {"training": space.nats(training.mean, training.sd), "tuning": space.nats(tuning.mean, tuning.sd)}
    for k, row in enumerate(rows):
        row |= {"is_active": bool(moves["training"][k]), **{f"nats_{part}": plain(values[k]) for part, values in said.items()}}
    return told | {
        "active": {part: int(which.sum()) for part, which in moves.items()},
        "nats": {part: plain(values.sum()) for part, values in said.items()},
    }


def _notes(found: Coded, known: int, channels: int) -> list[str]:
    notes = []
    if len(found.cases) < known:
        notes.append(f"Encoded were {len(found.cases)} of {known} training and tuning cases.")
    if found.cut:
        notes.append(f"Of {found.cut} images, larger than what the network reads at once, the middle was encoded.")
    if channels > 1:
        notes.append(f"Pictures show the first of {channels} channels.")
    return notes
