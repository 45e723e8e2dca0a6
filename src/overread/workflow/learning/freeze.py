"""The end of a training: decisions are fitted on tuning cases and one model is written, once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from overread.cohort.index import Cohort
from overread.cohort.load import load_truth
from overread.cohort.progress import Progress
from overread.cohort.rules import ImageRules
from overread.cohort.split_identity import trained_on
from overread.cohort.subdivision import read_subdivision
from overread.cohort.unpaired import as_read
from overread.core.case import Case
from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Measurements
from overread.core.question import Decisions
from overread.evaluation.decisions.cleaning import fit_cleaning
from overread.evaluation.decisions.operating import fit_decisions
from overread.evaluation.objects.decisions import fit_object_decisions
from overread.evaluation.units import units_of
from overread.reading.model import ModelCard, pack_model, predictor_of, write_model
from overread.record.files import digest_json
from overread.record.provenance import machine, versions
from overread.record.run import RunFolder
from overread.training.loop import Outcome
from overread.workflow.learning.maps import MapWriter, fit_from
from overread.workflow.learning.pictures import PictureWriter
from overread.workflow.learning.predict import Packed, Undecided, read_cases, write_answers
from overread.workflow.learning.refusal_record import FILE
from overread.workflow.learning.refusing import Watch, fit_refusal, record_of, write_refusal
from overread.workflow.learning.slices import SliceLog
from overread.workflow.plan import Planned, route_of
from overread.workflow.project import Project
from overread.workflow.settings import Settings
from overread.workflow.starts.told import licences_from, start_told


def _card(planned: Planned, *, decisions: Decisions, state: str, outcome: Outcome | None, aggregation: str = "none") -> ModelCard:
    plan, cohort = planned.plan, planned.cohort
    counts = {p: len(cohort.of(p)) for p in ("training", "tuning")}
    patients = {p: len({c.patient_id for c in cohort.of(p) if not c.is_made}) for p in ("training", "tuning")}
    training: dict[str, Any] = {
        "cases": counts,
        "patients": patients,
        "cohort": cohort.digest,
        "trained_on": trained_on(cohort.folder, cohort.partition, planned.run.fold),
        "plan": plan.identity,
        "seed": plan.seed,
        "versions": versions(),
        "machine": machine(),
        "licences": {"code": "Apache-2.0", "weights": "as the training data allow"},
    }
    if made := sum(case.is_made for case in cohort.of("training")):
        training |= {"made_by_a_network": made}
    if given := read_subdivision(planned.run.subdivision):
        training |= {"part_of": {"what": given.part_of, "subdivision": digest_json(given.as_dict())}}
    if start := start_told(planned.run):
        training |= {"start": start, "licences": licences_from(start)}
    if outcome is not None:
        training |= {
            "steps": outcome.step,
            "epochs": outcome.epochs,
            "minutes": round(outcome.minutes, 2),
            "ended": outcome.reason,
        }
    return ModelCard(
        question=plan.question,
        preparation=plan.preparation,
        decisions=decisions,
        network=plan.network,
        task={
            "loss": plan.loss,
            "centre": list(plan.centre),
            "scale": list(plan.scale),
            **({"options": dict(plan.task_options)} if plan.task_options else {}),
            **({"route": route} if (route := route_of(plan.question, plan.network)) else {}),
        },
        reading={
            "overlap": plan.overlap,
            "mirror": list(plan.test_mirror),
            "precision": plan.precision,
            "aggregation": aggregation,
            "images": _rules_of_reading(cohort).as_dict(),
        },
        training=training,
        intended_use="research; not a medical device",
        is_phantom=cohort.is_phantom,
        state=state,
        first=None if planned.first is None else planned.first.card,
    )


def _rules_of_reading(cohort: Cohort) -> ImageRules:
    """How images are chosen in a new study: a channel that is answered is not looked for."""
    question, rules = cohort.question, cohort.rules
    if not question.is_of_pictures or not rules.channels:
        return rules
    return replace(rules, channels={name: rule for name, rule in rules.channels.items() if name in question.given})


def snapshot(planned: Planned, average: nn.Module, run: RunFolder) -> None:
    """Leave a valid model at every checkpoint, marked as unfinished."""
    card = _card(planned, decisions=Decisions(), state="in training", outcome=None)
    write_model(run.model, average, card, first=_first(planned))


def _first(planned: Planned) -> nn.Module | None:
    return None if planned.first is None else planned.first.network


def freeze(project: Project, settings: Settings, planned: Planned, outcome: Outcome, progress: Progress | None) -> ModelCard:
    """Read the tuning cases, fit the decisions on them, write the model once, and read the internal test's images."""
    run, cohort = planned.run, planned.cohort
    card = _card(planned, decisions=Decisions(), state="frozen", outcome=outcome, aggregation=settings.question.aggregation)
    card = replace(card, reading={**card.reading, "codes": dict(settings.codes)})
    parent = run.path.parent.name if run.name.startswith("fold-") else ""
    file = file_name(project, parent, run.name)
    if cohort.question.task == "synthesize":
        return _freeze_maker(run, file, card, outcome.network)
    return freeze_model(settings, run, file, as_read(cohort), card, outcome.network, progress, first=_first(planned))


def _freeze_maker(run: RunFolder, file: str, card: ModelCard, network: nn.Module) -> ModelCard:
    """What makes images answers no case: nothing is read, decided or refused."""
    card = write_model(run.model, network, card)
    pack_model(run.model, run.path / file)
    run.events.write("froze", model=card.sha256, decisions=card.decisions.as_dict())
    return card


def file_name(project: Project, *words: str) -> str:
    """What the model of a run, or of one fold of it, is called as one file."""
    return f"{'-'.join(filter(None, (project.name, *words)))}.overread"


def freeze_model(
    settings: Settings,
    run: RunFolder,
    file: str,
    cohort: Cohort,
    card: ModelCard,
    network: nn.Module,
    progress: Progress | None,
    *,
    first: nn.Module | None = None,
) -> ModelCard:
    """Read the tuning cases, fit the decisions, write the model and pack it as `file`, read the internal test's images.

    Limits of refusal are fitted, too. Tuning cases beyond them are answered, for decisions are fitted on all; images of the
    internal test are refused as any other.

    first  the network that says which part of an image this one reads, where the card names one
    """
    predictor = predictor_of(card, network)
    maps = {
        partition: MapWriter(run.path / f".probabilities-{partition}", cohort.question, is_phantom=cohort.is_phantom)
        for partition in ("tuning", "internal")
    }
    pictures = {
        partition: PictureWriter(run.path / f".pictures-{partition}", cohort.question, is_phantom=cohort.is_phantom)
        for partition in ("tuning", "internal")
    }
    mode = "off" if run.subdivision.exists() else settings.reading.refusal  # one training of a curve meets no new patient
    watch = None if mode == "off" else Watch()
    text = "Reading the tuning cases"
    slices = SliceLog()  # of all partitions: a case lies in one
    tuning = read_cases(
        predictor,
        cohort,
        cohort.of("tuning"),
        progress,
        text,
        maps=maps["tuning"],
        watch=watch,
        slices=slices,
        pictures=pictures["tuning"],
    )
    decisions = decide(settings, cohort, tuning, maps["tuning"], run)
    watches: dict[str, Watch] = {}
    if watch is not None:
        guard, watches["tuning"] = fit_refusal(mode, predictor, cohort, watch, progress)
        watches["internal"] = Watch(guard)
    guarded = watches["tuning"].guard if watches else None
    card = write_model(run.model, network, replace(card, decisions=decisions), guarded, first)
    pack_model(run.model, run.path / file)
    text = "Reading the internal test images (truths stay sealed)"
    refused: dict[str, str] = {}  # what cannot be read now was readable at init; it counts as an error
    internal: Undecided = {}
    if cohort.of("internal"):  # one training of a learning curve or a selection has none
        internal = read_cases(
            predictor,
            cohort,
            cohort.of("internal"),
            progress,
            text,
            refused=refused,
            maps=maps["internal"],
            watch=watches.get("internal"),
            slices=slices,
            pictures=pictures["internal"],
        )
    shutil.rmtree(run.predictions, ignore_errors=True)
    for partition, answers in (("tuning", tuning), ("internal", internal)):
        if not cohort.of(partition):
            continue
        write_answers(
            answers,
            decisions,
            cohort.question,
            run.predictions / partition,
            model=card.sha256,
            partition=partition,
            is_phantom=cohort.is_phantom,
            refused=refused if partition == "internal" else None,
            maps=maps[partition],
            slices=slices,
            pictures=pictures[partition],
        )
    (run.path / FILE).unlink(missing_ok=True)  # that of an earlier freezing
    if card.refusal is not None:
        write_refusal(run, record_of(card.refusal, watches, sum(watch.seconds for watch in watches.values())))
    run.events.write("froze", model=card.sha256, decisions=decisions.as_dict())
    return card


def decide(settings: Settings, cohort: Cohort, answers: Undecided, maps: MapWriter, run: RunFolder) -> Decisions:
    """What is frozen, from the tuning cases alone.

    Calibration, operating points and conformal limits; of masks temperature and clean-up; of objects thresholds of the score,
    merging and least sizes.
    """
    question, cases, evaluation = cohort.question, cohort.of("tuning"), settings.evaluation
    if question.is_of_images:
        return Decisions()
    if question.task == "segmentation":
        decisions = Decisions(temperature=_temperature(evaluation.calibration, cohort, maps, run))
        return fit_cleaning(question, [partial(_pair, cohort, case, answers[case.case_id]) for case in cases], decisions)
    if question.is_of_objects:
        return _decide_on_objects(settings, cohort, answers)
    values: list[Kind] = [a for a in answers.values() if isinstance(a, Findings | Measurements)]
    return fit_decisions(
        question,
        [load_truth(cohort, case) for case in cases],
        values,
        evaluation.threshold_rule,
        units=units_of(question, cases),
        aggregation=settings.question.aggregation,
        patients=[case.patient_id for case in cases],
        calibration=evaluation.calibration,
        sampling=evaluation.sampling,
        prevalence=evaluation.prevalence,
    )


def _decide_on_objects(settings: Settings, cohort: Cohort, answers: Undecided) -> Decisions:
    """Thresholds of the score, merging and least sizes, from the tuning cases alone."""
    cases = cohort.of("tuning")
    return fit_object_decisions(
        cohort.question,
        [_of_objects(load_truth(cohort, case)) for case in cases],
        [_of_objects(answers[case.case_id]) for case in cases],
        [case.patient_id for case in cases],
        matching=settings.evaluation.matching,
        false_positives=settings.evaluation.false_positives,
    )


def _of_objects(kind: object) -> Boxes | Instances:
    assert isinstance(kind, Boxes | Instances)
    return kind


def _temperature(method: str, cohort: Cohort, maps: MapWriter, run: RunFolder) -> float:
    """Of the voxels' probabilities; 1.0 where no calibration is wanted."""
    if method == "none":
        return 1.0
    if method != "temperature":
        run.events.write(
            "warning", what=f"evaluation.calibration is '{method}'; masks take a temperature, which changes none of them"
        )
    return fit_from(maps, cohort, cohort.of("tuning"))


def _pair(cohort: Cohort, case: Case, answer: object) -> tuple[LabelMap, LabelMap]:
    """Truth and undecided answer of a tuning case, unpacked when asked for."""
    truth = load_truth(cohort, case)
    assert isinstance(truth, LabelMap)
    assert isinstance(answer, Packed)
    return truth, answer.label_map()
