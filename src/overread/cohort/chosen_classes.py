"""Some classes of the truth are asked, the others are known and left alone: metastases among cysts, one organ of many.

What is not asked is background: nothing is learned of it, an image that holds nothing else counts as clean, and a model that
marks one makes a false positive.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from overread.cohort.ask import Said
from overread.core.errors import OverreadError


def chosen(said: Said, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes that are asked, and those that are not, each in the order of `names` or of the project.

    names  every class of the truth, as the user calls it
    """
    names = tuple(dict.fromkeys(names))
    if said.others:
        unknown = [name for name in names if name not in (*said.classes, *said.others)]
        if unknown:
            raise OverreadError(
                f"The truth holds the class '{unknown[0]}', which stands neither in question.classes nor in question.others.",
                "add it to question.others in project.toml if it is not asked; to ask for it make a new project",
            )
        return said.classes, said.others
    if not said.only:
        return names, ()
    if said.objects == "values":
        raise OverreadError(
            "--class chooses among classes, and with --objects values all objects are of one class.", "leave out one of the two"
        )
    asked = {_found(name, names) for name in said.only}
    return tuple(n for n in names if n in asked), tuple(n for n in names if n not in asked)


def _found(wanted: str, names: Sequence[str]) -> str:
    for name in names:
        if name.casefold() == wanted.casefold():
            return name
    near = difflib.get_close_matches(wanted, names, 1)
    raise OverreadError(
        f"The truth has no class '{wanted}'; it has {', '.join(names) or 'none with a name'}.",
        f"say --class '{near[0] if near else names[0]}'" if names else "name the values first, for example --name 2=metastasis",
    )


def refuse_choice(said: Said, why: str) -> None:
    """Where there are no drawn classes to choose among."""
    if said.only:
        raise OverreadError(
            f"--class {said.only[0]} chooses among drawn classes, and {why}.", "leave it out; columns are chosen with --label"
        )
