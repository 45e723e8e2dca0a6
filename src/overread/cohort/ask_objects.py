"""The question of separate objects: from labels that draw each by itself, or from masks that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from overread.cohort.ask import Said, is_sided, segmentation
from overread.core.errors import OverreadError
from overread.core.question import OBJECTS, Question

ONE_CLASS = "object"  # what the class is called where masks hold numbers of objects
COMPONENTS = (
    "in masks, connected voxels of one structure are one object (26 neighbours touch, in 2D 8; to part them otherwise, give maps "
    "of numbers and say --objects values)"
)
MANY_VALUES = 3  # so many values that nobody named may as well be numbers of objects


def of_objects(task: str, said: Said, declared: Mapping[str, int], found: Mapping[int, int]) -> tuple[Question, dict[str, str]]:
    """The question of objects.

    declared  class -> value, by the labels or by a dataset.json
    found     value -> in how many cases it occurs
    """
    if said.objects not in (None, *OBJECTS):
        raise OverreadError(f"Objects are told apart by 'components' or 'values', not by '{said.objects}'.", "correct --objects")
    if said.objects == "values":
        return _every_value(task, said, declared, found)
    if said.objects is None and not (declared or said.classes or said.names) and len(found) >= MANY_VALUES:
        values = sorted(found)
        raise OverreadError(
            f"The masks hold {len(found)} values that nobody named ({', '.join(map(str, values[:5]))} ...): numbers of objects, "
            "or structures?",
            "say --objects values if every value is one object, --objects components if every value is a structure, or name the "
            "structures with --name 1=NAME",
        )
    question, reasons = segmentation(said, declared, found)
    if not found and not said.one_class:
        raise OverreadError("No image holds an object, so nothing can be learned.", "check that --truth names the right labels")
    asked = replace(question, task=task, objects="components")
    reasons["question.objects"] = "you said so" if said.objects else COMPONENTS
    return asked, reasons


def _every_value(task: str, said: Said, declared: Mapping[str, int], found: Mapping[int, int]) -> tuple[Question, dict[str, str]]:
    """Every value of a mask is one object, all of the one class."""
    if declared:
        listed = ", ".join(f"{v} = {n}" for n, v in list(declared.items())[:5])
        raise OverreadError(
            f"Values of the masks were declared as structures ({listed}), so they are not numbers of objects.",
            "leave out --objects values, or give maps of numbers as --truth",
        )
    if not found and not said.one_class:
        raise OverreadError("No image holds an object, so nothing can be learned.", "check that --truth names the right masks")
    names = said.classes or (said.names.get(ONE_CLASS, ONE_CLASS),)
    if len(names) != 1:
        raise OverreadError(
            f"Where every value is one object there is one class; named are {', '.join(names)}.",
            "name one class in question.classes",
        )
    question = Question(task, names, unit=said.unit or "exam", sided=is_sided(said, names), objects="values")
    hint = "" if said.classes or ONE_CLASS in said.names else f"; name the class with --name {ONE_CLASS}=NAME"
    return question, {"question.objects": f"you said so: every value of a mask is one object{hint}"}
