"""A network reads the cases of a cohort, and the answers are written where `evaluate` finds them.

Images only: a sealed truth is neither needed nor reachable here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from overread.batches.prepare import Prepared, prepare_image
from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.core.kinds import Findings, Kind, LabelMap, Measurements
from overread.core.question import Question
from overread.imaging.nifti import write_nifti
from overread.reading.predictor import Predictor
from overread.record.files import write_json, write_text

Answered = tuple[Case, np.ndarray, Prepared]


def raw_answers(
    predictor: Predictor, cohort: Cohort, cases: Iterable[Case], progress: Progress | None = None, text: str = "Reading"
) -> Iterable[Answered]:
    """(case, raw answer on the prepared grid, the way back), one case in memory at a time."""
    cases = list(cases)
    if progress is not None:
        progress.start(len(cases), text)
    for case in cases:
        prepared = prepare_image(load_image(cohort, case), predictor.preparation)
        yield case, predictor.raw(prepared.array), prepared
        if progress is not None:
            progress.advance(1, case.case_id)
    if progress is not None:
        progress.finish()


def write_values(folder: Path, question: Question, answers: dict[str, Kind]) -> None:
    """`answers.csv`: a row per case, a column per class (raw probability) or quantity (in its unit)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", *question.classes])
    for case_id, answer in answers.items():
        assert isinstance(answer, Findings | Measurements)
        values = answer.probabilities if isinstance(answer, Findings) else answer.values
        writer.writerow([case_id, *("" if (v := values[c]) is None else repr(float(v)) for c in question.classes)])
    write_text(folder / "answers.csv", text.getvalue())


def write_label_map(folder: Path, case_id: str, answer: LabelMap, *, is_phantom: bool) -> None:
    """`<case_id>.nii.gz` on the source grid; overlapping structures one file each, `<case_id>_<structure>.nii.gz`."""
    description = "PHANTOM, Overread answer, for research" if is_phantom else "Overread answer, for research"
    if answer.layers.shape[0] == 1:
        write_nifti(folder / f"{case_id}.nii.gz", answer.layers[0], answer.grid, description=description)
        return
    for structure in answer.structures:
        layer = answer.layers[structure.layer]
        write_nifti(folder / f"{case_id}_{structure.name}.nii.gz", layer, answer.grid, description=description)


def write_about(folder: Path, question: Question, model: str, partition: str, *, is_phantom: bool) -> None:
    """`answers.json`: whose answers these are."""
    values = {
        "format": 1,
        "model": model,
        "partition": partition,
        "question": question.as_dict(),
        "origin": "simulated" if is_phantom else "acquired",
    }
    write_json(folder / "answers.json", values)


def predict(
    predictor: Predictor,
    cohort: Cohort,
    partition: str,
    folder: Path,
    *,
    model: str,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Read all cases of a partition with the frozen decisions and write `predictions/<partition>/`.

    Probabilities are written raw, before the temperature, as the evaluation applies it itself.
    """
    answers: dict[str, Kind] = {}
    text = {"tuning": "Reading the tuning cases", "internal": "Reading the internal test images (truths stay sealed)"}
    for case, raw, prepared in raw_answers(predictor, cohort, cohort.of(partition), progress, text.get(partition, "Reading")):
        if predictor.task.serves == "dense":
            answer = predictor.answer_from(raw, prepared)
            assert isinstance(answer, LabelMap)
            write_label_map(folder, case.case_id, answer, is_phantom=cohort.is_phantom)
        else:
            answers[case.case_id] = raw_kind(predictor.task.question, raw)
    if answers:
        write_values(folder, predictor.task.question, answers)
    write_about(folder, predictor.task.question, model, partition, is_phantom=cohort.is_phantom)


def raw_kind(question: Question, raw: np.ndarray) -> Findings | Measurements:
    """(K,) values as a kind, undecided."""
    values = {c: float(v) for c, v in zip(question.classes, raw, strict=True)}
    if question.task == "classification":
        return Findings(dict(values))
    return Measurements(dict(values), dict(zip(question.classes, question.units, strict=False)))
