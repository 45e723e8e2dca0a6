"""What is asked of the cases: inferred from the truth that is there, or as the user said. Doubt is an error with a list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overread.cohort.columns import Roles, label_kind, preferred_label
from overread.cohort.join import Joined
from overread.cohort.labels.values import classes_in
from overread.core.errors import OverreadError
from overread.core.question import TASKS, Question

SIDES = re.compile(r"(?<![a-z])(left|right|lt|rt)(?![a-z])")
OF_LAYOUT = "as distributed"
OBJECT_TASKS = ("detection", "instances")


@dataclass(frozen=True)
class Said:
    """What the user said of the question; None or empty where it is to be inferred.

    labels     columns that hold the truth
    names      value as written in the truth -> name of the class or structure
    one_class  whether all cases may be of one class, from which nothing is learned: in a test elsewhere
    objects    how masks tell objects apart: "components" or "values"
    only       of the classes that the truth has, those that are asked; empty asks for all
    others     of a project: classes of the truth that it does not ask for
    answer     translate: channels of the image that are to be made from the others
    degradation  restore: what is done to an image before it is read
    by_class   synthesize: images are to be made by class
    unpaired   translate without pairs: the kind of image that is read, and the kind that is answered
    by_mask    synthesize: images are to be made along masks
    """

    task: str | None = None
    labels: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    values: tuple[int, ...] = ()
    positive: str | None = None
    exclusive: bool | None = None
    ordered: bool = False
    units: tuple[str, ...] = ()
    unit: str | None = None
    sided: bool | None = None
    one_class: bool = False
    objects: str | None = None
    only: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()
    degradation: str = ""
    by_class: bool = False
    unpaired: tuple[str, ...] = ()
    by_mask: bool = False


class NoTruth(OverreadError):
    """Nothing says what the images show; who knows where they come from can say what is missing."""


@dataclass(frozen=True)
class Asked:
    """The question, where its truth stands, and why.

    source   "masks", "sheet" or "layout" (class folders, labels inside an archive)
    columns  columns of the sheet, where the truth stands there
    """

    question: Question
    source: str
    columns: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


def choose_task(
    said: Said, has_masks: bool, joined: Joined | None, roles: Roles | None, labels: Sequence[str | None]
) -> tuple[str, str, tuple[str, ...], str]:
    """Task, source of the truth, columns, and the reason.

    labels  what the layout says of each draft (class folder, label in the archive)
    """
    if said.task is not None and said.task not in TASKS:
        raise OverreadError(f"There is no task '{said.task}'.", f"say --task {', '.join(TASKS[:-1])} or {TASKS[-1]}")
    if said.task in OBJECT_TASKS and not has_masks:
        needs = "boxes, outlines or masks" if said.task == "detection" else "outlines or masks"
        raise OverreadError(f"The task '{said.task}' needs {needs} as truth, and none were found.", "give them with --truth")
    if said.task in OBJECT_TASKS:
        return said.task, "masks", (), "you said so"
    if said.task == "segmentation" and not has_masks:
        raise NoTruth("A segmentation needs masks as truth, and none were found.", "give their folder with --truth")
    if said.task == "segmentation" or (said.task is None and has_masks and not said.labels):
        apart = "; to tell objects apart, say --task detection or --task instances" if said.task is None else ""
        return "segmentation", "masks", (), f"masks came as truth{apart}"
    if said.labels:
        assert_sheet(joined)
        assert joined is not None
        columns = tuple(joined.sheet.find(c) for c in said.labels)
        task, why = _task_of(columns, joined, said.task)
        return task, "sheet", columns, why
    candidates = _candidates(roles, joined, said.task)
    by_layout = any(label is not None for label in labels) and said.task in (None, "classification")
    preferred = preferred_label(candidates)
    if by_layout and preferred is None:
        return "classification", "layout", (), "the folder or archive holds one class per image"
    if preferred is None and len(candidates) == 1:
        preferred = next(iter(candidates))
    if preferred is None and candidates:
        raise _ambiguous(candidates, joined)
    if preferred is None:
        raise NoTruth(
            "No truth was found: no masks, no class folders, and no column of a sheet that could be a label.",
            "give masks with --truth FOLDER, or labels with --sheet FILE and --label COLUMN",
        )
    assert joined is not None
    task, why = _task_of((preferred,), joined, said.task)
    others = [c for c in candidates if c != preferred]
    return task, "sheet", (preferred,), f"column '{preferred}': {why}" + (f"; not taken: {', '.join(others)}" if others else "")


def assert_sheet(joined: Joined | None) -> None:
    if joined is None:
        raise OverreadError("A label column was named, but there is no sheet.", "give the sheet with --sheet FILE")


def _candidates(roles: Roles | None, joined: Joined | None, task: str | None) -> dict[str, str]:
    if roles is None or joined is None:
        return {}
    wanted = {"classification": ("classes", "yes-no"), "regression": ("numbers", "classes")}.get(
        task or "", ("classes", "yes-no", "numbers")
    )
    numeric = {c for c in roles.labels if joined.sheet.numbers(c) is not None}
    return {c: k for c, k in roles.labels.items() if k in wanted and (task != "regression" or c in numeric)}


def _task_of(columns: Sequence[str], joined: Joined, task: str | None) -> tuple[str, str]:
    kinds = {label_kind(joined.sheet, c) for c in columns}
    numeric = all(joined.sheet.numbers(c) is not None for c in columns)
    if task == "regression" and not numeric:
        raise OverreadError(
            f"A regression needs numbers, and column {' or '.join(map(repr, columns))} holds words.",
            "name another column with --label",
        )
    if task is not None:
        return task, "you said so"
    if kinds == {"numbers"}:
        return "regression", "it holds many different numbers"
    if "numbers" in kinds:
        raise OverreadError(
            f"Columns {', '.join(columns)} mix numbers and classes.", "name columns of one kind with --label, or say --task"
        )
    return "classification", "it holds 0 and 1" if kinds == {"yes-no"} else "it holds a few different values"


def _ambiguous(candidates: Mapping[str, str], joined: Joined | None) -> OverreadError:
    assert joined is not None
    words = {"classes": "classification", "yes-no": "classification", "numbers": "regression"}
    lines = []
    for column, kind in candidates.items():
        cells = [c for c in joined.sheet.column(column) if c is not None]
        shown = sorted(set(cells))[:4]
        lines.append(
            f"  --label {column!r}  {words[kind]}: {len(set(cells))} different values, "
            f"e.g. {', '.join(shown)}; {len(cells)} filled"
        )
    return OverreadError(
        f"{len(candidates)} columns of {joined.sheet.path.name} could be the truth, and the choice is not ours:\n"
        + "\n".join(lines),
        "name one (or several findings) with --label, or give --truth",
    )


def classification(said: Said, cells: Sequence[str | None], columns: Sequence[str]) -> tuple[Question, dict[str, str]]:
    """The question of one column of classes, or of several columns of findings.

    cells  the labels of all cases, after renaming; unused where several columns hold findings
    """
    reasons: dict[str, str] = {}
    if len(columns) > 1 or said.exclusive is False:
        reasons["question.exclusive"] = "each column is a finding; any number may be present"
        question = Question(
            "classification",
            said.classes or tuple(columns),
            exclusive=False,
            unit=said.unit or "exam",
            sided=is_sided(said, columns),
        )
        return question, reasons
    classes = said.classes or classes_in(cells)
    positive = None if said.by_class or said.unpaired else _positive(said, classes)
    if positive is not None:
        reasons["question.positive"] = "you said so"
    question = Question(
        "classification", classes, (), positive, True, said.ordered, (), said.unit or "exam", is_sided(said, classes)
    )
    return question, reasons


def _positive(said: Said, classes: Sequence[str]) -> str | None:
    if said.positive is not None:
        named = said.names.get(said.positive, said.positive)
        alike = [c for c in classes if c.casefold() == named.casefold()]
        if not alike:
            raise OverreadError(
                f"The positive class '{said.positive}' does not occur; classes are {', '.join(classes)}.",
                f"say for example --positive {_quoted(classes[-1])}",
            )
        return alike[0]
    if len(classes) != 2:
        return None
    raise OverreadError(
        f"Which class is the disease, '{classes[0]}' or '{classes[1]}'? Sensitivity and predictive values depend on it, "
        "and it is not guessed.",
        f"add --positive {_quoted(classes[0])} or --positive {_quoted(classes[1])} to the command",
    )


def _quoted(word: str) -> str:
    return f"'{word}'" if re.search(r"[^\w.-]", word) else word


def segmentation(said: Said, declared: Mapping[str, int], found: Mapping[int, int]) -> tuple[Question, dict[str, str]]:
    """The question of masks.

    declared  structure -> value, by a dataset.json or a DICOM SEG
    found     value -> in how many cases it occurs
    """
    if said.classes:
        structures, why = dict(zip(said.classes, said.values, strict=True)), ""
    elif declared:
        structures, why = dict(declared), "declared with the masks"
    elif said.names:
        structures, why = {name: int(value) for value, name in said.names.items() if value.isdecimal()}, "you said so"
    else:
        if not found:
            raise OverreadError(
                "Every mask is empty, so nothing can be learned from them.", "check that --truth names the right folder"
            )
        if len(found) > 100:
            raise OverreadError(
                f"The masks hold {len(found)} different values; a label map has a few.",
                "check that --truth names masks and not images",
            )
        structures = {f"label {value}": value for value in sorted(found)}
        why = "values found in the masks; give them names with --name 1=liver --name 2=lesion"
    names = tuple(structures)
    reasons = {"question.classes": why} if why else {}
    question = Question("segmentation", names, tuple(structures.values()), unit=said.unit or "exam", sided=is_sided(said, names))
    return question, reasons


def regression(said: Said, columns: Sequence[str]) -> tuple[Question, dict[str, str]]:
    if said.units and len(said.units) != len(columns):
        raise OverreadError(
            f"{len(columns)} quantities need as many units; got {', '.join(said.units)}.", "give --units one per column"
        )
    units = said.units or ("",) * len(columns)
    names = said.classes or tuple(said.names.get(c, c) for c in columns)
    return Question("regression", names, units=units, unit=said.unit or "exam", sided=is_sided(said, columns)), {}


def is_sided(said: Said, names: Sequence[str]) -> bool:
    """Left and right are different answers where their words stand in the names of the answers."""
    if said.sided is not None:
        return said.sided
    return any(SIDES.search(re.sub(r"[_\W]+", " ", n.casefold())) for n in names)
