"""What `overread select` compares: every combination of the values that were named with --try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from overread.core.errors import OverreadError
from overread.workflow.plan import with_overrides
from overread.workflow.project import Project

SECTION = "training."
BUDGET = ("training.minutes", "training.epochs")


def candidates_of(project: Project, tries: Sequence[str], overrides: Mapping[str, str]) -> list[dict[str, str]]:
    """Settings of each candidate, the first --try varying slowest; all are checked before anything is trained.

    tries  ``"training.learning_rate=1e-3,1e-4"``; a value that is a list stands in brackets:
           ``"training.patch=[64,64,64],[96,96,96]"``
    """
    named: dict[str, list[str]] = {}
    for text in tries:
        key, equals, values = (word.strip() for word in text.partition("="))
        found = split_values(values)
        if not equals or not key or not all(found):
            raise OverreadError(
                f"--try '{text}': expected KEY=VALUE,VALUE.", "for example --try training.learning_rate=1e-3,1e-4"
            )
        refuse_no_way(f"--try {key}", key)
        if key in named or len(set(found)) < len(found):
            raise OverreadError(f"--try {key}: named twice, or with a value twice.", "name each once, with all its values")
        named[key] = found
    made = [dict(zip(named, values, strict=True)) for values in product(*named.values())]
    if len(made) < 2:
        raise OverreadError("There is nothing to choose from.", "name two values or more: --try training.learning_rate=1e-3,1e-4")
    for settings in made:
        with_overrides(project.settings, {**overrides, **settings})
    return made


def refuse_no_way(said: str, key: str) -> None:
    """Only ways to train can be compared on tuning cases.

    said  the words of the command line
    """
    if not key.startswith(SECTION) or key == f"{SECTION}seed":
        raise OverreadError(
            f"{said}: only ways to train are compared, and this is none (a seed is luck, not a way).",
            "name a line of [training], e.g. training.loss",
        )
    if key == f"{SECTION}early_stopping":
        raise OverreadError(
            f"{said}: it stops by the very part that is held out, so its score there would flatter.",
            "set it for all candidates with --set, or compare the trained runs on the internal test",
        )
    if key in BUDGET:
        raise OverreadError(
            f"{said}: the budget is the same for all that is compared.", "leave it out, and give --minutes or --epochs"
        )


def split_values(text: str) -> list[str]:
    """Values between commas; commas within brackets or quotation marks belong to a value."""
    values, depth, quoted = [""], 0, False
    for sign in text:
        quoted ^= sign == '"'
        depth += (sign == "[") - (sign == "]") if not quoted else 0
        if sign == "," and depth == 0 and not quoted:
            values.append("")
        else:
            values[-1] += sign
    return [value.strip() for value in values]
