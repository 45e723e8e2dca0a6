"""`overread trial`: do the attribution methods show what the model learned? Each one against criteria set beforehand.

Only tuning cases are read. The internal test stays sealed: who chooses a method by its maps of the test has chosen by the test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError, Stopped
from overread.evaluation.rules import Rules
from overread.explanation.batching import telling
from overread.explanation.controls import CONTROLS, MUST_FAIL
from overread.explanation.methods.method import Method
from overread.explanation.methods.table import METHODS, make
from overread.explanation.trial.completeness import Adding
from overread.explanation.trial.conduct import conduct, discounted, escaped
from overread.explanation.trial.criterion import Criterion
from overread.explanation.trial.labels import LabelRandomisation
from overread.explanation.trial.localisation import Localisation, human
from overread.explanation.trial.orders import Orders
from overread.explanation.trial.posed import Posed
from overread.explanation.trial.removal import Deletion, Insertion
from overread.explanation.trial.repeat import Seeds, Shifts
from overread.explanation.trial.weights import WeightRandomisation
from overread.record.files import digest_json, write_json
from overread.workflow.explanations.maps.verdicts import SUFFIX
from overread.workflow.explanations.record import part_of, write_page, write_part
from overread.workflow.explanations.subject import Subject, subject_of
from overread.workflow.explanations.trial.drawn import Drawings, read_drawings
from overread.workflow.explanations.trial.kept import KeptInRun
from overread.workflow.explanations.trial.notes import notes_of
from overread.workflow.explanations.trial.others import on_shuffled_truths, other_trainings
from overread.workflow.explanations.trial.posed import Cases, pose
from overread.workflow.explanations.trial.shuffled import refuse_other_tasks
from overread.workflow.project import Project

CASES = 20


def trial(
    project: Project,
    run_name: str | None = None,
    fold: int | None = None,
    methods: Sequence[str] = (),
    limit: int | None = CASES,
    *,
    labels: bool = False,
    minutes: float | None = None,
    seeds: Sequence[str] = (),
    drawn: Sequence[Path | str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Put methods on trial; writes the record into the run and beside its packed model file, and the page of explanations.

    methods  names; all that can be asked of this network where none is given
    limit    the most tuning cases, the same ones every time
    labels   train once more on shuffled truths, for `minutes` where given, else with the budget of the run
    seeds    runs that were trained alike, with other seeds
    drawn    drawings of what is asked about; each a reader's. Where the project's truths are drawn these come first
    """
    if minutes is not None and not labels:
        raise OverreadError("--minutes is for the training on shuffled truths, which was not asked for.", "add --labels")
    chosen = [make(name) for name in dict.fromkeys(methods)] or [make(name) for name in METHODS]
    subject = subject_of(project, run_name, fold, limit)
    drawings = [read_drawings(Path(path), subject.cohort, subject.cases) for path in drawn]
    others = other_trainings(subject, fold, seeds)
    if labels:
        refuse_other_tasks(subject)
    cases = pose(subject, drawings, progress)
    able, refused = _askable(chosen, cases.posed)  # before the training on shuffled truths, which takes long
    again = project.command("trial", *project.run_words(subject.run))
    shuffled = LabelRandomisation()
    if labels:
        shuffled = on_shuffled_truths(subject, fold, minutes, f"go on by `{again} --labels`", progress)
    rules = Rules(level=project.settings.evaluation.interval_level)
    kept = KeptInRun(subject.run, subject.model.card.sha256, subject.cohort.digest, subject.cases)
    said: list[str] = []
    try:
        with telling(said.append):
            rows = conduct([*able, *CONTROLS], _criteria(shuffled, others, drawings), cases.posed, kept, rules, progress)
    except KeyboardInterrupt as stopped:
        raise Stopped(f"Stopped; {len(kept)} measurements are kept.", f"go on by `{again}` with the same options") from stopped
    record = {
        "model": subject.model.card.sha256,
        "cohort": subject.cohort.digest,
        "run": project.run(run_name).name,
        "fold": fold,
        "is_phantom": subject.cohort.is_phantom,
        "level": rules.level,
        "methods": discounted(rows[: len(able)], rows[len(able) :]),
        "refused": refused,
        **_of_controls(rows[len(able) :]),
        "human": human(cases.posed, rules),
        **_of_cases(subject, cases),
        "notes": [*notes_of(subject, cases.posed, cases.empty), *dict.fromkeys(said)],
    }
    page = _write(project, subject, record)
    return {**record, "page": str(page)}


def _criteria(shuffled: LabelRandomisation, others: Seeds, drawings: Sequence[Drawings]) -> list[Criterion]:
    orders = Orders()
    drawn = digest_json([each.digest for each in drawings]) if drawings else ""
    return [
        WeightRandomisation(), shuffled, Shifts(), others, Deletion(orders), Insertion(orders), Localisation(drawn), Adding(),
    ]  # fmt: skip


def _askable(chosen: Sequence[Method], posed: Sequence[Posed]) -> tuple[list[Method], list[dict[str, str]]]:
    """The methods that this network allows, and why it does not allow the others."""
    reasons = {m.name: next((why for asked, _ in posed[0].voices if (why := m.refusal(asked))), None) for m in chosen}
    refused = [
        {"method": method.name, "title": method.title, "reason": reason} for method in chosen if (reason := reasons[method.name])
    ]
    able = [method for method in chosen if not reasons[method.name]]
    if not able:
        told = "; ".join(f"{row['title']}: {row['reason']}" for row in refused)
        raise OverreadError(f"None of these methods can be asked of this network. {told}.", "name others with --method")
    return able, refused


def _of_controls(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"controls": [{**row, "must_fail": list(MUST_FAIL[row["method"]])} for row in rows], "escaped": escaped(rows)}


def _of_cases(subject: Subject, cases: Cases) -> dict[str, Any]:
    return {
        "partition": "tuning",
        "n_cases": len(cases.posed),
        "n_patients": len({each.patient_id for each in cases.posed}),
        "of_cases": len(subject.cohort.of("tuning")),
        "n_drawn": sum(each.truth is not None for each in cases.posed),
    }


def _write(project: Project, subject: Subject, record: Mapping[str, Any]) -> Path:
    """The part of the page, the copy that travels with the packed model file, and the page."""
    write_part(subject.run, "trial", record)
    part = part_of(subject.run, "trial")
    for file in subject.run.path.glob("*.overread"):
        write_json(file.with_name(f"{file.stem}{SUFFIX}"), dict(part.record) if part else dict(record))
    return write_page(project, subject.run, is_phantom=subject.cohort.is_phantom)
