"""What to say of the objects of a cohort: how many there are, how many images are known to be clean, what was done on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from overread.cohort.inspect import Seen
from overread.cohort.load import class_of_value
from overread.core.question import Question


def object_notes(question: Question, seen: Sequence[Seen], others: Mapping[str, int]) -> list[str]:
    """Sentences without names; none where no objects are asked. others  what the truth holds and nobody asks for."""
    if not question.is_of_objects:
        return []
    called = class_of_value(question)
    objects: Counter[str] = Counter()
    cases: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for s in seen:
        own = Counter({called[value]: n for value, n in s.voxels.items()})
        objects.update(own)
        cases.update(own.keys())
        done.update(s.done)
    counts = ", ".join(f"{name} {objects[name]} in {cases[name]}" for name in question.classes)
    clean, known = sum(not s.voxels for s in seen), "known to hold none of these" if others else "known to be clean"
    return [
        f"objects: {counts} of {len(seen)} images; {clean} images have truth and no object: {known}",
        *(f"{n} {text}" for text, n in done.items()),
    ]


def without_others(seen: Sequence[Seen], others: Mapping[str, int]) -> list[Seen]:
    """What was seen of the classes that are asked.

    others  class that is not asked -> its label value
    """
    left = set(others.values())
    return [replace(s, voxels={v: n for v, n in s.voxels.items() if v not in left}) for s in seen] if left else list(seen)


def others_note(seen: Sequence[Seen], others: Mapping[str, int], *, of_objects: bool) -> tuple[str, ...]:
    """A sentence about what is not asked, with counts; seen  before `without_others`."""
    if not others:
        return ()
    cases = Counter(v for s in seen for v in s.voxels)
    objects: Counter[int] = Counter()
    for s in seen:
        objects.update(s.voxels)
    told = ", ".join(
        f"{name} ({objects[v]} in {cases[v]})" if of_objects else f"{name} (in {cases[v]})" for name, v in others.items()
    )
    what = "a model that marks one makes a false positive" if of_objects else "a model that draws one draws too much"
    return (f"not asked, so background: {told} of {len(seen)} images; {what}",)
