"""Drawn labels turned into the truth that a task asks for: objects, outlines, findings or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from overread.cohort import ask
from overread.cohort.ask import Said
from overread.cohort.chosen_classes import chosen, refuse_choice
from overread.cohort.labels.drawn import drawn_format
from overread.cohort.labels.object_truth import boxes_only
from overread.cohort.labels.objects import Drawing, Objects
from overread.cohort.labels.values import How, refuse_one_class
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.core.question import Question


@dataclass(frozen=True)
class Answered:
    """Truths of drawn labels for one task.

    by_name     draft name -> truth of the one reader
    readers     draft name -> truth of every reader
    structures  segmentation and objects: class that is asked -> label value
    others      segmentation and objects: class that is not asked -> label value
    not_asked   classes that are not asked
    """

    task: str
    by_name: Mapping[str, TruthReference]
    readers: Mapping[str, tuple[TruthReference, ...]]
    question: Question | None = None
    structures: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)
    not_asked: tuple[str, ...] = ()


def answer(objects: Objects, said: Said, how: How) -> Answered:
    """The truth that the task asks for: outlines for a segmentation, findings for a classification, numbers of reports."""
    task, why = _task(objects, said)
    reader = _reader(objects, how)
    reasons = {"question.task": why}
    if task in ("segmentation", *ask.OBJECT_TASKS):
        numbers = numbering(objects.classes, said)
        called = {renamed(name, said): value for name, value in numbers.items()}
        asked, left = chosen(said, tuple(called))
        structures, others = {n: called[n] for n in asked if n in called}, {n: called[n] for n in left if n in called}
        every = {n: tuple(_outlined(objects, d, numbers, how) for d in ds) for n, ds in objects.by_name.items()}
        notes = [f"label values: {', '.join(f'{v} = {n}' for n, v in structures.items())}"]
        by_name = _pick(every, objects, reader)
        return Answered(task, by_name, every, None, structures, reasons, tuple(notes), others, left)
    if task == "regression":
        refuse_choice(said, "reports give quantities")
        return _measured(objects, said, how, reader, reasons)
    return _found(objects, said, how, reader, reasons)


def _task(objects: Objects, said: Said) -> tuple[str, str]:
    has_numbers = any(d.numbers for drawings in objects.by_name.values() for d in drawings)
    if said.task == "segmentation" and not objects.outlines:
        raise OverreadError(
            f"A segmentation needs outlines, and the {objects.title} labels hold {objects.boxes} boxes and no outline.",
            "label outlines, or ask which classes an image shows: --task classification (any object of a class is enough)",
        )
    if said.task in ask.OBJECT_TASKS and not objects.boxes + objects.outlines:
        raise OverreadError(
            f"The task '{said.task}' needs objects, and the {objects.title} labels hold no box and no outline.",
            "name another --task, or give labels with boxes or outlines",
        )
    if said.task == "instances" and objects.boxes:
        total = objects.boxes + objects.outlines
        raise boxes_only(f"The {objects.title} labels hold {total} objects, {objects.boxes} of them boxes without an outline")
    if said.task in ask.OBJECT_TASKS and said.objects == "values":
        raise OverreadError(
            f"The {objects.title} labels draw each object by itself; --objects values is for masks.", "leave out --objects"
        )
    if said.task == "regression" and not has_numbers:
        raise OverreadError(
            f"A regression needs numbers, and the {objects.title} labels hold none.",
            "give a sheet with numbers, or name another --task",
        )
    if said.task is not None:
        return said.task, "you said so"
    if objects.outlines:
        apart = "to tell objects apart, say --task detection or --task instances"
        return "segmentation", f"the {objects.title} labels hold outlines; {apart}"
    if has_numbers and not objects.boxes:
        return "regression", f"the {objects.title} labels hold numbers and no outline"
    if objects.boxes:
        other = "--task classification asks which classes an image shows"
        return "detection", f"the {objects.title} labels hold {objects.boxes} boxes and no outline; {other}"
    raise OverreadError(
        f"The {objects.title} labels hold no box, no outline and no number.",
        "say --task classification to learn which findings an image shows",
    )


# ---- segmentation -----------------------------------------------------------------------------------


def renamed(name: str, said: Said) -> str:
    """What the user calls a class."""
    return said.names.get(name, name)


def numbering(classes: Sequence[str], said: Said) -> dict[str, int]:
    """class as written -> label value: as the project has them, else the next that is free; renamed alike is one.

    In the order of the file, classes that are not asked last.
    """
    known = dict(zip(said.classes, said.values, strict=False)) if said.values else {}
    numbers: dict[str, int] = {}
    asked, others = chosen(said, [renamed(name, said) for name in classes])
    order = {name: k for k, name in enumerate((*asked, *others))}
    for name in sorted(classes, key=lambda n: order[renamed(n, said)]) if others else classes:
        new = renamed(name, said)
        if new not in known:
            known[new] = next(value for value in count(1) if value not in known.values())
        numbers[name] = known[new]
    return numbers


def _outlined(objects: Objects, drawing: Drawing, numbers: Mapping[str, int], how: How) -> TruthReference:
    return TruthReference(
        {name: float(value) for name, value in numbers.items()},
        drawing.files,
        drawn_format(objects.form, drawing.places),
        reader=drawing.reader or how.reader,
        method=how.method,
        date=drawing.date or how.date,
    )


# ---- findings and numbers ---------------------------------------------------------------------------


def _found(objects: Objects, said: Said, how: How, reader: str, reasons: dict[str, str]) -> Answered:
    names, left = chosen(said, [renamed(name, said) for name in objects.classes])
    question, more = ask.classification(replace(said, exclusive=False), [], names)
    every = {
        n: tuple(
            _value({c: float(c in {renamed(p, said) for p in d.present}) for c in question.classes}, d, how) for d in drawings
        )
        for n, drawings in objects.by_name.items()
    }
    by_name = _pick(every, objects, reader)
    if len(question.classes) == 1:
        name = question.classes[0]
        have = sum(t.values[name] == 1 for t in by_name.values())
        refuse_one_class({name: have, f"no {name}": len(by_name) - have}, f"({objects.title})")
    more = {**reasons, **more, "question.exclusive": "a class is present where any object of it is; any number may be"}
    counts = ", ".join(f"{c} in {sum(t.values[c] == 1 for t in by_name.values())}" for c in question.classes)
    notes: tuple[str, ...] = (
        f"findings from objects: a class is present where any object of it is ({counts} of {len(by_name)} images)",
    )
    if left:
        notes = (*notes, f"not asked: {', '.join(left)}")
    return Answered("classification", by_name, every, question, reasons=more, notes=notes, not_asked=left)


def _measured(objects: Objects, said: Said, how: How, reader: str, reasons: dict[str, str]) -> Answered:
    units: dict[str, set[str]] = {}
    for drawings in objects.by_name.values():
        for drawing in drawings:
            for name, (_, unit) in drawing.numbers.items():
                units.setdefault(name, set()).add(unit)
    wanted = tuple(said.labels) or (said.classes if set(said.classes) <= set(units) else ())
    if not wanted and len(units) > 1:
        raise OverreadError(
            f"The reports hold {len(units)} quantities, and the choice is not ours: {', '.join(sorted(units))}.",
            "name one or several with --label",
        )
    wanted = wanted or tuple(units)
    unknown = [name for name in wanted if name not in units]
    if unknown:
        raise OverreadError(
            f"No report holds '{unknown[0]}'; they hold {', '.join(sorted(units))}.", "name one of these with --label"
        )
    mixed = next((name for name in wanted if len(units[name]) > 1), None)
    if mixed is not None:
        raise OverreadError(
            f"'{mixed}' is given in {' and '.join(sorted(units[mixed]))}; one unit was expected.", "convert the reports"
        )
    asked = replace(said, units=said.units or tuple(next(iter(units[name])) for name in wanted), classes=wanted)
    question, _ = ask.regression(asked, wanted)
    every = {
        n: tuple(_value({w: d.numbers[w][0] if w in d.numbers else None for w in wanted}, d, how) for d in drawings)
        for n, drawings in objects.by_name.items()
    }
    return Answered("regression", _pick(every, objects, reader), every, question, reasons=reasons)


def _value(values: Mapping[str, float | None], drawing: Drawing, how: How) -> TruthReference:
    return TruthReference(
        dict(values), drawing.files, "value", drawing.reader or how.reader, how.method, drawing.date or how.date
    )


# ---- readers ----------------------------------------------------------------------------------------


def _reader(objects: Objects, how: How) -> str:
    """The one reader who counts; "" where there is but one for each image."""
    several = [name for name, drawings in objects.by_name.items() if len(drawings) > 1]
    if not several:
        return ""
    if how.reader in objects.readers:
        return how.reader
    names = ", ".join(objects.readers) or "unnamed"
    raise OverreadError(
        f"{len(several)} images were labelled by several readers ({names}), for example {several[0]}; one truth for each image "
        "was expected, and which one is not ours to choose.",
        "name the reader who counts as truth.reader, or give the labels of one reader as --truth",
    )


def _pick(every: Mapping[str, tuple[TruthReference, ...]], objects: Objects, reader: str) -> dict[str, TruthReference]:
    picked = {}
    for name, truths in every.items():
        own = [t for t in truths if not reader or len(truths) == 1 or t.reader == reader]
        if own and any(v is not None for v in own[0].values.values()):
            picked[name] = own[0]
    return picked
