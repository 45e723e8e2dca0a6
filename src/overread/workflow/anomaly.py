"""`overread anomaly`: what does not look like the normal images that a model learned from, in labelled cases or new studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from overread.batches.prepare import undo_map
from overread.cohort.load import open_channels
from overread.cohort.progress import Progress, counted
from overread.core.errors import OverreadError
from overread.evaluation.anomaly.scores import Drawn, case_scores, lesion_scores
from overread.evaluation.intervals.delong import area, area_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.imaging.nifti import write_nifti
from overread.record.files import write_bytes, write_json, write_text
from overread.record.run import RunFolder
from overread.reporting.generation.anomaly_page import anomaly_page
from overread.workflow.anomalies.judged import Judged, judge, tables, with_worst_seen, worst_first
from overread.workflow.anomalies.looking import Looker
from overread.workflow.anomalies.normals import Normal, learn_normal
from overread.workflow.anomalies.record import FILE, FOLDER
from overread.workflow.anomalies.shown import pictures_of
from overread.workflow.anomalies.truths import Rule, truth_of
from overread.workflow.anomalies.unseen import unseen
from overread.workflow.frozen import model_of, run_of
from overread.workflow.project import Project
from overread.workflow.readings.exams import Exam, exams_in

PAGE = "anomaly.html"
SHOWN = 12  # cases that are drawn
MAP_NOTE = "Overread anomaly, usual standard deviations, for research"
MEANING = (
    "A region is where the network fails to make the image again as it does with normal ones. That may be a finding, a device, "
    "another projection or noise; what looks normal to the network is not thereby healthy."
)
TWO_GROUPS = "Normal and abnormal cases that differ in more than the finding (hospital, scanner, age) are told apart by that too."


@dataclass(frozen=True)
class Learned:
    """The run of a project of normal images, and what is usual in it."""

    project: Project
    run: RunFolder
    fold: int | None
    looker: Looker
    normal: Normal

    @classmethod
    def of(cls, project: Project, run_name: str | None, fold: int | None, rate: float, progress: Progress | None) -> Learned:
        if not project.question.is_of_images:
            raise OverreadError(
                f"This project is of {project.question.task}; anomalies are sought by a model that learned normal images alone.",
                "make a project of a folder of normal images with --task autoencode",
            )
        run = run_of(project, run_name, fold)
        looker = Looker.of(model_of(project, run))
        return cls(project, run, fold, looker, learn_normal(project.cohort_of(run, fold), looker, rate, progress))

    def record(self, cases: Sequence[Mapping[str, Any]], is_phantom: bool) -> dict[str, Any]:
        normal, card = self.normal, self.looker.model.card
        return {
            "format": 1,
            "run": self.run.path.relative_to(self.project.path / "runs").parts[0],
            "fold": self.fold,
            "model": card.sha256,
            "network": card.network["name"],
            "method": self.looker.words,
            "is_phantom": is_phantom,
            "usual": {"n_cases": normal.usual.n_cases, "by_place": normal.usual.centre.shape != ()},
            "alarm": {
                "threshold": round(normal.alarm.threshold, 4),
                "voxels": normal.alarm.voxels,
                "rate": normal.alarm.rate,
                "n_patients": normal.alarm.n_patients,
            },
            "cases": list(cases),
            "notes": [MEANING],
        }


def anomaly(
    project: Project,
    other: Project,
    run_name: str | None = None,
    *,
    fold: int | None = None,
    normal: str = "",
    lesions: Sequence[str] = (),
    rate: float = 0.1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge the tuning cases of a labelled project; write record, tables, pictures and page to `runs/NAME/anomaly/OTHER/`.

    normal   class that is normal, where the labelled project has no positive one
    lesions  structures or objects that are lesions; all that are drawn where none is named
    rate     share of normal patients in whom an alarm may be raised
    """
    rule = Rule.of(other.question, normal, lesions)
    if other.folds:
        raise OverreadError("The labelled project has folds; its tuning cases are not one set.", "give a project of partitions")
    learned = Learned.of(project, run_name, fold, rate, progress)
    theirs, ours = other.cohort(), project.cohort_of(learned.run, fold)
    told = [(case, *truth_of(theirs, case, rule)) for case in theirs.of("tuning") if case.origin != "generated"]
    known = [(case, is_abnormal, drawn) for case, is_abnormal, drawn in told if is_abnormal is not None]
    fresh = {case.case_id for case in unseen(ours, other, [case for case, *_ in known])}
    chosen = [row for row in known if row[0].case_id in fresh]
    if not chosen:
        raise OverreadError(
            f"None of the {len(told)} tuning cases of {other.name} has a truth and is unknown to the model of normal images.",
            "learn from normal images of other patients than those by whom anomalies are judged",
        )
    judged: list[Judged] = []
    for case, is_abnormal, drawn in counted(chosen, len(chosen), "Looking at labelled cases", progress):
        one = judge(case.case_id, case.patient_id, learned.looker.look_at(theirs, case), learned.normal)
        judged = with_worst_seen([*judged, replace(one, is_abnormal=is_abnormal, lesions=drawn)], SHOWN)
    ranked = worst_first(judged)
    is_phantom = ours.is_phantom or theirs.is_phantom
    rules = Rules(level=project.settings.evaluation.interval_level, resamples=project.settings.evaluation.resamples)
    record = {
        **learned.record([one.as_dict() for one in ranked], is_phantom),
        "of": other.name,
        "partition": "tuning",
        "rule": rule.words,
        "known_to_the_model": len(known) - len(chosen),
        "without_truth": len(told) - len(known),
        "scores": _case_scores(judged, learned.normal, rules),
        "lesions": _lesion_scores(judged, rules),
    }
    record["notes"] = [MEANING, TWO_GROUPS]
    return _written(learned.run.path / FOLDER / other.name, f"{project.name}, run {record['run']}", record, ranked)


def anomaly_of_studies(
    project: Project,
    studies: Sequence[Path],
    out: Path,
    run_name: str | None = None,
    *,
    fold: int | None = None,
    rate: float = 0.1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Rank new studies without labels; write record, tables, pictures, page and a map of each (NIfTI) into a new folder."""
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise OverreadError(f"{out} holds files already.", "give a new folder with --out")
    learned = Learned.of(project, run_name, fold, rate, progress)
    card = learned.looker.model.card
    exams = list(exams_in([Path(study) for study in studies], card))
    judged: list[Judged] = []
    refused: list[dict[str, Any]] = []
    for exam in counted(exams, len(exams), "Looking at studies", progress):
        try:
            one = _judged_exam(exam, learned)
        except OverreadError as refusal:
            refused.append({"case_id": exam.name, "refusal": refusal.what})
            continue
        assert one.seen is not None
        volume = undo_map(one.seen.beyond, one.seen.looked.prepared)
        write_nifti(out / "maps" / f"{exam.name}.nii.gz", volume, one.grid, description=MAP_NOTE)
        judged = with_worst_seen([*judged, one], SHOWN)
    if not judged:
        first = f"; the first reason: {refused[0]['case_id']}: {refused[0]['refusal']}" if refused else ""
        raise OverreadError(f"No study could be looked at{first}.", "give images of the kind that the model learned from")
    ranked = worst_first(judged)
    is_phantom = project.cohort_of(learned.run, fold, check=False).is_phantom
    record = {**learned.record([one.as_dict() for one in ranked], is_phantom), "refused": refused}
    return _written(out, f"{project.name}, run {record['run']}", record, ranked)


def _judged_exam(exam: Exam, learned: Learned) -> Judged:
    if exam.refusal is not None:
        raise exam.refusal
    image = open_channels(exam.name, exam.references, exam.folder, gaps=exam.gaps, tilt=exam.tilt)
    return judge(exam.name, exam.name, learned.looker.look(image, exam.name), learned.normal)


def _case_scores(judged: Sequence[Judged], normal: Normal, rules: Rules) -> dict[str, Any]:
    is_abnormal = np.array([bool(one.is_abnormal) for one in judged])
    score = np.array([one.score for one in judged])
    patients = Patients.of([one.patient_id for one in judged])
    scores = case_scores(is_abnormal, score, patients, normal.alarm, rules)
    far = [one.far for one in judged if one.far is not None]
    by_code = None
    if len(far) == len(judged):
        by_code = area_interval(area(is_abnormal, np.array(far), patients), patients, rules.level).as_dict()
    return {**scores, "n_abnormal": int(is_abnormal.sum()), "auc_by_code": by_code}


def _lesion_scores(judged: Sequence[Judged], rules: Rules) -> dict[str, Any] | None:
    drawn = [Drawn(one.case_id, one.patient_id, one.lesions, one.found) for one in judged if one.lesions is not None]
    return lesion_scores(drawn, rules) if drawn else None


def _written(folder: Path, title: str, record: dict[str, Any], ranked: Sequence[Judged]) -> dict[str, Any]:
    """Everything on disk; pictures of an earlier call are taken away."""
    pictures = pictures_of(ranked, record["alarm"]["threshold"], is_phantom=record["is_phantom"])
    for old in folder.glob("case-*.png"):
        old.unlink()
    for name, png in pictures.items():
        write_bytes(folder / name, png)
    refused = record.get("refused", [])
    for name, text in tables([*record["cases"], *refused]).items():
        write_text(folder / name, text)
    write_json(folder / FILE, record)
    write_text(folder / PAGE, anomaly_page(title, record, pictures))
    return {**record, "page": str(folder / PAGE)}
