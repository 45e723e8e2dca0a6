"""The models of all folds of one run become one model for new patients."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.reading.card import ModelCard
from overread.reading.model import load_guard, load_network, pack_model, predictor_of, side_by_side, write_model
from overread.record.run import RunFolder
from overread.workflow.ensembles.gate import GateModel
from overread.workflow.ensembles.members import Chosen, joint_card
from overread.workflow.learning.freeze import decide
from overread.workflow.learning.maps import MapWriter
from overread.workflow.learning.predict import Undecided, read_cases
from overread.workflow.project import Project


def freeze_over_folds(
    project: Project,
    run: RunFolder,
    file: str,
    members: Sequence[Chosen],
    cohorts: Sequence[Cohort],
    gate: GateModel | None,
    progress: Progress | None,
) -> ModelCard:
    """Write one model of the members, with decisions fitted on what each case's first member answered that had it as tuning case.

    members, cohorts  of each fold, in one order
    All members together cannot be asked: most of them have learned from the case. So no case is decided on by what a model says
    of its own training cases.
    """
    gate_card, gate_network = (None, None) if gate is None else (gate.card, gate.network)
    networks = [load_network(member.run.model)[1] for member in members]
    maps = MapWriter(run.path / ".probabilities-tuning", project.question, is_phantom=cohorts[0].is_phantom)
    answers: Undecided = {}
    tuned: dict[str, Case] = {}
    for member, network, cohort in zip(members, networks, cohorts, strict=True):
        cases = [case for case in cohort.of("tuning") if case.case_id not in tuned]
        alone = joint_card(project, cohort, [member], gate_card, {})
        reader = predictor_of(alone, side_by_side([network], gate_network))
        answers |= read_cases(reader, cohort, cases, progress, f"Reading the tuning cases of {member.title}", maps=maps)
        tuned |= {case.case_id: case for case in cases}
    cohort = _of_tuning(cohorts[0], tuned)
    counts = {name: _counts(cohorts[0], tuned, patients=name == "patients") for name in ("cases", "patients")}
    card = joint_card(project, cohort, members, gate_card, counts)
    decisions = decide(project.settings, cohort, {case.case_id: answers[case.case_id] for case in cohort.cases}, maps, run)
    shutil.rmtree(maps.folder, ignore_errors=True)
    guard = load_guard(members[0].run.model)  # all members saw the same kind of images; the first one decides
    frozen = write_model(run.model, side_by_side(networks, gate_network), replace(card, decisions=decisions), guard)
    pack_model(run.model, run.path / file)
    run.events.write("froze", model=frozen.sha256, decisions=decisions.as_dict())
    return frozen


def _of_tuning(cohort: Cohort, tuned: dict[str, Case]) -> Cohort:
    """The tuning cases of all folds, with their truths."""
    cases = tuple(tuned[case_id] for case_id in sorted(tuned))
    return replace(cohort, cases=cases, partition=dict.fromkeys(sorted(tuned), "tuning"))


def _counts(cohort: Cohort, tuned: dict[str, Case], *, patients: bool) -> dict[str, int]:
    """All cases were learned from, each by some of the members."""

    def count(cases: Sequence[Case]) -> int:
        return len({case.patient_id if patients else case.case_id for case in cases})

    return {"training": count(cohort.cases), "tuning": count(list(tuned.values()))}
