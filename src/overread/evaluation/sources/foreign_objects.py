"""Objects found by any program, and their truths: COCO, YOLO and other drawn labels, sheets of boxes, folders of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overread.cohort.labels.recognise import find_labels, form_of
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.sources.foreign import match_ids, no_patients_note, read_patients
from overread.evaluation.sources.foreign_box_sheet import read_box_sheets
from overread.evaluation.sources.foreign_instances import holds_masks, read_instance_masks
from overread.evaluation.sources.foreign_marks import read_marks
from overread.evaluation.sources.objects_file import Objects
from overread.evaluation.sources.pair_of_objects import ObjectPairs, nothing

SHEETS = (".csv", ".tsv", ".xlsx")


@dataclass(frozen=True)
class ForeignObjects:
    """Truths and answers of the same cases, in the order of the ids."""

    question: Question
    ids: tuple[str, ...]
    patients: tuple[str, ...]
    truths: tuple[Objects, ...]
    answers: tuple[Objects, ...]
    notes: tuple[str, ...]


def read_foreign_objects(
    truth: Path,
    answers: Path,
    task: str,
    *,
    classes: Mapping[str, int] | Sequence[str] | None = None,
    patients: str | Path | None = None,
    spacing: tuple[float, float, float] | None = None,
) -> ForeignObjects:
    """Read and match.

    truth, answers  a COCO truth and COCO results; label files or folders (COCO, YOLO, Pascal VOC, LabelMe, VIA); two sheets of
                    boxes; two folders of masks with the same file names
    classes         the classes that are evaluated; of masks structure -> value
    patients        a sheet of case and patient, or the column of the truth sheet that names the patient
    spacing         (Z, Y, X) mm, for files that carry none
    """
    names = tuple(classes) if classes is not None else ()
    if truth.suffix.lower() in SHEETS and form_of(truth) is None:
        column = str(patients) if patients is not None and not Path(patients).exists() else None
        found = read_box_sheets(truth, answers, task, names, column, spacing)
        patients = None if column else patients
    elif truth.is_dir() and holds_masks(truth) and find_labels(truth) is None:  # pictures may lie beside their labels
        values = classes if isinstance(classes, Mapping) else None
        found = read_instance_masks(truth, answers, task, values, spacing)
    else:
        found = read_marks(truth, answers, task, names, spacing)
    return _matched(found, truth, answers, patients)


def _matched(found: ObjectPairs, truth: Path, answers: Path, patients: str | Path | None) -> ForeignObjects:
    notes = list(found.notes)
    have = set(found.answers) if found.lists_all else set(found.answers) | set(found.truths)
    ids = match_ids(sorted(found.truths), sorted(have), truth.name, answers.name)
    extra = set(found.answers) - set(ids)
    if extra and not found.lists_all and not set(found.answers) & set(ids):
        raise OverreadError(
            f"None of the {len(extra)} cases of {answers.name} is in {truth.name}: '{min(extra)}' there, '{ids[0]}' here.",
            "name the cases alike in both",
        )
    notes += [f"{len(extra)} answered cases have no truth and are left out."] if extra else []
    silent = len([i for i in ids if i not in found.answers])
    notes += [f"{silent} of {len(ids)} cases are not named by the answers, which means that nothing was found."] if silent else []
    who = dict(found.patients)
    if patients is not None:
        if not Path(patients).is_file():
            raise OverreadError(
                f"'{patients}', said to name the patients, is no file.",
                "give a sheet of case and patient: --patients SHEET",
            )
        who = read_patients(Path(patients), ids)
    if not who:
        notes.append(no_patients_note(len(ids)))
    replies = [found.answers.get(i) or nothing(found.question.task, found.truths[i].grid) for i in ids]
    return ForeignObjects(
        found.question,
        tuple(ids),
        tuple(who.get(i, i) for i in ids),
        tuple(found.truths[i] for i in ids),
        tuple(replies),
        tuple(notes),
    )
