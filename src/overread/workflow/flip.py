"""`overread flip`: the smallest change of an image that turns a frozen model's answer to it, shown. For teaching.

Only tuning cases are changed; the internal test stays sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.explanation.flips.answered import refuse_unturnable
from overread.workflow.explanations.flips.drawn import drawn
from overread.workflow.explanations.flips.one_case import Flipped, flips_of
from overread.workflow.explanations.maps.cases import tuning_cases
from overread.workflow.explanations.record import write_page, write_part
from overread.workflow.explanations.subject import subject_of
from overread.workflow.project import Project

PART = "flips"
USUAL = 4  # cases, where nothing is said: each takes a thousand answers or so
SEAL = "Changed were tuning cases only; the internal test stays sealed."
BOUND = (
    "Each size is the smallest that was found, so a smaller change that turns the answer may exist; none that was tried is left "
    "out. Changes were made to what the network is given, after resampling and scaling, and kept within its lowest and highest "
    "value; a file on disk, rounded to its grey levels, would carry the smallest of them in part only."
)


def flip(
    project: Project,
    run_name: str | None = None,
    fold: int | None = None,
    cases: Sequence[str] = (),
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Turn the answers of some tuning cases by the smallest change; write part "flips" and the page of the run.

    cases    pseudonyms; without any, some chosen by rule
    limit    the most cases
    returns  the record, with "page"
    """
    if limit is not None and limit < 1:
        raise OverreadError(f"--limit {limit} leaves no case.", "give the number of cases to change, such as --limit 4")
    subject = subject_of(project, run_name, fold, None)
    refuse_unturnable(subject.model.predictor)
    most = limit if limit is not None else (len(cases) or USUAL)
    picked, notes = tuning_cases(subject.cohort, subject.run, subject.model.card.sha256, cases, most)
    if progress is not None:
        progress.start(len(picked), "Turning answers")
    rows: list[dict[str, Any]] = []
    pictures: dict[str, bytes] = {}
    for one in picked:
        found = flips_of(subject.model.predictor, one)
        row = found.row if isinstance(found, Flipped) else {"case_id": one.name, "why": one.why, "told": one.told, "left": found}
        if isinstance(found, Flipped):
            made = {f"{one.name}-{n}.png": png for n, png in drawn(found, is_phantom=subject.cohort.is_phantom).items()}
            pictures |= made
            row = {**row, "pictures": list(made)}
        rows.append(row)
        if progress is not None:
            progress.advance(1, one.name)
    if progress is not None:
        progress.finish()
    record = {
        "model": subject.model.card.sha256,
        "cohort": subject.cohort.digest,
        "run": project.run(run_name).name,
        "fold": fold,
        "is_phantom": subject.cohort.is_phantom,
        "task": project.question.task,
        "n_cases": len(rows),
        "of_cases": len(subject.cohort.of("tuning")),
        "cases": rows,
        "notes": [SEAL, BOUND, *notes],
    }
    write_part(subject.run, PART, record, pictures)
    page = write_page(project, subject.run, is_phantom=subject.cohort.is_phantom)
    return {**record, "page": str(page)}
