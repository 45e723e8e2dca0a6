"""What can be asked about a case: findings and quantities always, structures and objects where the answer holds them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np

from overread.batches.prepare import Prepared
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.metrics.table import positive_class
from overread.reading.predictor import Predictor
from overread.tasks.found import Found
from overread.tasks.segments import connected
from overread.tasks.target import Target

MOST_OBJECTS = 5  # of a case that are asked about where none is named


def targets_of(predictor: Predictor, prepared: Prepared, name: str | None = None) -> tuple[Target, ...]:
    """The targets of one case on its prepared grid.

    name  a class, quantity or structure; an object by its class. Without it: the positive of two classes, else the likeliest;
          of findings that may occur together the likeliest; every quantity; every structure that was answered; the objects
          above the frozen threshold, the surest five.
    An empty tuple where the answer holds no such structure or object.
    """
    question = predictor.task.question
    if name is not None:
        refuse_unknown(question, name)
    if question.is_of_objects:
        return _objects(predictor, prepared, name)
    if question.task == "segmentation":
        return _structures(predictor, prepared, name)
    if name is not None:
        return (Target(name, question.classes.index(name)),)
    if question.task == "regression":
        return tuple(Target(quantity, k) for k, quantity in enumerate(question.classes))
    if question.is_binary:
        positive = positive_class(question)
        return (Target(positive, question.classes.index(positive)),)
    likeliest = int(predictor.raw_of(prepared).argmax())
    return (Target(question.classes[likeliest], likeliest),)


def refuse_unknown(question: Question, name: str) -> None:
    """Stop at a target that the model does not answer, with the nearest that it does."""
    if name in question.classes:
        return
    near = get_close_matches(name, question.classes, n=3, cutoff=0.4)
    raise OverreadError(
        f"The model has no target '{name}'; it answers {', '.join(question.classes)}.",
        f"did you mean {', '.join(near)}?" if near else "name one of these with --target",
    )


def _structures(predictor: Predictor, prepared: Prepared, name: str | None) -> tuple[Target, ...]:
    question, raw = predictor.task.question, predictor.raw(prepared.array)
    masks = [raw.argmax(0) == k + 1 if question.exclusive else raw[k] > 0.5 for k in range(len(question.classes))]
    named = [(k, each) for k, each in enumerate(question.classes) if name in (None, each)]
    return tuple(Target(each, k, voxels=masks[k]) for k, each in named if masks[k].any())


def _objects(predictor: Predictor, prepared: Prepared, name: str | None) -> tuple[Target, ...]:
    """Objects above the frozen threshold, the surest first."""
    question, shape = predictor.task.question, prepared.array.shape[1:]
    is_dense = predictor.task.serves == "dense"
    found = connected(predictor.raw(prepared.array)) if is_dense else predictor.found(prepared.array)
    called = [_is_called(predictor, question.classes[int(k)], float(s)) for k, s in zip(found.classes, found.scores, strict=True)]
    kept = found.chosen(np.array(called, dtype=bool).reshape(-1)).sorted()
    targets = [_object(kept, k, question.classes, shape) for k in range(len(kept))]
    wanted = [target for target in targets if name is None or question.classes[target.number] == name]
    return tuple(wanted[:MOST_OBJECTS])


def _is_called(predictor: Predictor, class_name: str, score: float) -> bool:
    return score >= predictor.decisions.threshold(class_name)


def _object(found: Found, k: int, classes: Sequence[str], shape: Sequence[int]) -> Target:
    number = int(found.classes[k])
    voxels = None
    if found.pieces is not None:
        voxels = np.zeros(tuple(shape), bool)
        voxels[found.pieces[k].place] = found.pieces[k].mask
    return Target(f"{classes[number]} {k + 1} ({float(found.scores[k]):.2f})", number, voxels, found.boxes[k])
