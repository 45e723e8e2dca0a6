"""What to say of the objects of a cohort: how many there are, how many images are known to be clean, what was done on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from overread.cohort.inspect import Seen
from overread.cohort.load import class_of_value
from overread.core.question import Question


def object_notes(question: Question, seen: Sequence[Seen]) -> list[str]:
    """Sentences without names; none where no objects are asked."""
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
    clean = sum(not s.voxels for s in seen)
    return [
        f"objects: {counts} of {len(seen)} images; {clean} images have truth and no object: known to be clean",
        *(f"{n} {text}" for text, n in done.items()),
    ]
