"""`overread ensemble`: models that were trained are made to answer together, as one run with one model file.

Nothing is trained. The members read tuning and internal test images, decisions are fitted on the joint answers to the tuning
cases, and the truths of the internal test stay under seal.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.reading.card import ModelCard
from overread.reading.model import load_network, side_by_side
from overread.record.files import write_json
from overread.record.run import RunFolder
from overread.workflow.ensembles.asked import check_runs, free_name, refuse_taken
from overread.workflow.ensembles.gate import GateModel, open_gate
from overread.workflow.ensembles.members import Chosen, check_together, choose, chosen, joint_card, weights_of
from overread.workflow.ensembles.over_folds import freeze_over_folds
from overread.workflow.ensembles.record import FILE, OF_RUNS, ONE_MODEL
from overread.workflow.learning.freeze import file_name, freeze_model
from overread.workflow.project import Project
from overread.workflow.unfit import refuse_images


@dataclass(frozen=True)
class Made:
    """An ensemble in its run folder.

    members  titles of the runs, with their folds where there are any
    fold     the fold that is held out; None where there are no folds, or where the ensemble is over all of them
    notes    what has to be known of it
    """

    run: RunFolder
    name: str
    fold: int | None
    members: tuple[str, ...]
    file: Path
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"fold": self.fold, "members": list(self.members), "model": str(self.file), "notes": list(self.notes)}


def ensemble(
    project: Project,
    runs: Sequence[str],
    name: str | None = None,
    weights: Sequence[float] | None = None,
    fold: int | str | None = None,
    over: str | None = None,
    gate: str | None = None,
    progress: Progress | None = None,
) -> list[Made]:
    """Make one ensemble; one for each fold with fold "all". Whole or not at all.

    runs     names of frozen runs of the project; of one run where it is over folds, or behind a gate
    weights  one per run; all alike where None
    fold     for a project of folds: the fold held out, or "all"
    over     "folds": the models of all folds of one run become one model for new patients
    gate     "PROJECT" or "PROJECT:RUN": a classifier; a case that it does not call is answered with no object
    """
    refuse_images(project)
    check_runs(runs, over, alone=over is not None or gate is not None)
    chosen_name = name or free_name(project)
    if over is not None:
        return [_over_folds(project, runs[0], chosen_name, weights, fold, over, gate, progress)]
    how = "give --fold K or --fold all for an ensemble of each fold; or --over folds for one model of the folds of one run"
    numbers = project.folds_asked(fold, how)
    places = [project.run(chosen_name, number) for number in numbers]
    refuse_taken(project, chosen_name, places)
    trusted = weights_of(runs, weights)
    members = [choose(project, runs, number, trusted) for number in numbers]
    cohorts = [project.cohort(number, check=number == numbers[0]) for number in numbers]
    gate_model = None if gate is None else open_gate(project, gate, members[0][0], cohorts)
    made = []
    with _beside(project, chosen_name, None if fold == "all" else numbers[0]) as beside:
        for number, some, cohort in zip(numbers, members, cohorts, strict=True):
            run = RunFolder(beside if number is None or fold != "all" else beside / f"fold-{number}")
            counts = {"cases": _count(cohort), "patients": _count(cohort, patients=True)}
            card = joint_card(project, cohort, some, None if gate_model is None else gate_model.card, counts)
            file = file_name(project, chosen_name, "" if number is None else f"fold-{number}")
            network = side_by_side(
                [load_network(m.run.model)[1] for m in some], None if gate_model is None else gate_model.network
            )
            frozen = freeze_model(project.settings, run, file, cohort, card, network, progress)
            notes = _write_record(run, OF_RUNS, some, frozen, gate_model)
            place = project.run(chosen_name, number)
            made.append(Made(place, chosen_name, number, tuple(m.title for m in some), place.path / file, notes))
    return made


def _over_folds(
    project: Project,
    source: str,
    name: str,
    weights: Sequence[float] | None,
    fold: int | str | None,
    over: str,
    gate: str | None,
    progress: Progress | None,
) -> Made:
    if over != "folds":
        raise OverreadError(f"An ensemble cannot be made over '{over}'.", "say --over folds")
    if not project.folds:
        raise OverreadError("This project has partitions, no folds.", "leave --over out, and name several runs")
    if fold is not None or weights is not None:
        raise OverreadError("--over folds takes the models of all folds alike.", "leave --fold and --weights out")
    place = project.run(name)
    refuse_taken(project, name, [place])
    members = [chosen(project, source, number, 1.0) for number in project.folds]
    check_together(members)
    cohorts = [project.cohort(number, check=number == project.folds[0]) for number in project.folds]
    gate_model = None if gate is None else open_gate(project, gate, members[0], [])
    file = file_name(project, name)
    with _beside(project, name, None) as beside:
        run = RunFolder(beside)
        frozen = freeze_over_folds(project, run, file, members, cohorts, gate_model, progress)
        notes = _write_record(run, ONE_MODEL, members, frozen, gate_model)
    return Made(place, name, None, tuple(m.title for m in members), place.path / file, notes)


@contextmanager
def _beside(project: Project, name: str, fold: int | None) -> Iterator[Path]:
    """A folder that no verb looks at; on leaving without an error it becomes the run (or its one fold), otherwise it is gone."""
    place = project.run(name, fold).path
    folder = project.path / "runs"
    folder.mkdir(exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder))
    try:
        yield beside
        os.chmod(beside, 0o755)
        place.parent.mkdir(exist_ok=True)
        if place.exists():  # another process was quicker
            refuse_taken(project, name, [project.run(name, fold)])
        os.replace(beside, place)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _count(cohort: Cohort, *, patients: bool = False) -> dict[str, int]:
    return {p: len({c.patient_id if patients else c.case_id for c in cohort.of(p)}) for p in ("training", "tuning")}


def _write_record(
    run: RunFolder, kind: str, members: Sequence[Chosen], frozen: ModelCard, gate: GateModel | None
) -> tuple[str, ...]:
    notes = []
    if kind == ONE_MODEL:
        notes.append(
            "One model over all folds: every case was learned from by one of its members, so it has no internal test of its own. "
            "The evaluation of the folds, and external cohorts, say what to expect. Its decisions were fitted on answers of "
            "single members to their tuning cases."
        )
    if gate is not None and gate.learned_from_tuning:
        notes.append(
            f"The gate learned from {gate.learned_from_tuning} of the tuning cases on which the decisions were fitted, so scores "
            "on tuning cases flatter."
        )
    shares = [member.share for member in frozen.members]
    record = {
        "format": 1,
        "kind": kind,
        "model": frozen.sha256,
        "cohort": frozen.training["cohort"],
        "members": [member.as_dict(share) for member, share in zip(members, shares, strict=True)],
        "gate": None if gate is None else gate.as_dict(),
        "notes": notes,
    }
    write_json(run.path / FILE, record)
    return tuple(notes)
