"""Which methods draw the maps, and with which parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from overread.core.errors import OverreadError
from overread.explanation.methods.method import Method, parameters_of
from overread.explanation.methods.table import METHODS, make
from overread.workflow.explanations.maps.verdicts import Judged, judged

USUAL = ("grad_cam", "integrated_gradients", "occlusion")  # three that work in three ways
_OPTIONS = {"layer": "--layer", "patch_mm": "--patch-mm"}


@dataclass(frozen=True)
class Chosen:
    """A method with its parameters and the verdict of its trial."""

    method: Method
    judged: Judged

    @property
    def parameters(self) -> dict[str, Any]:
        return parameters_of(self.method)


@dataclass(frozen=True)
class Wish:
    """What was asked for.

    methods      names; without any, those that the model's trial speaks for, or the usual ones where there was none
    target       a class, quantity or structure; what was answered where None
    layer        for methods that look at one
    patch_mm     for methods that take patches away
    show_failed  draw also what failed its trial, marked in red
    """

    methods: tuple[str, ...] = ()
    target: str | None = None
    layer: str | None = None
    patch_mm: float | None = None
    show_failed: bool = False


def chosen_methods(wish: Wish, trial: Mapping[str, Any] | None) -> tuple[Chosen, ...]:
    """The methods asked for, each with its verdict; an unknown name, or a parameter that none of them takes, is refused."""
    tried = {row["method"]: row["parameters"] for row in (trial or {}).get("methods", ())}
    names = wish.methods or _worth_showing(trial) or USUAL
    given = {"layer": wish.layer, "patch_mm": wish.patch_mm}
    asked = {name: value for name, value in given.items() if value is not None}
    made = [_made(name, asked, tried.get(name, {})) for name in dict.fromkeys(names)]
    for parameter in asked:
        if not any(parameter in _known(method.name) for method in made):
            takers = [name for name in METHODS if parameter in _known(name)]
            raise OverreadError(
                f"None of the methods {', '.join(method.name for method in made)} takes {_OPTIONS[parameter]}.",
                f"name one that does with --method: {', '.join(takers)}",
            )
    return tuple(Chosen(method, judged(trial, method.name, parameters_of(method))) for method in made)


def _worth_showing(trial: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What passed the trial, or could not be judged in full where nothing passed; and what failed, to be withheld by name."""
    rows = (trial or {}).get("methods", ())
    has_passed = any(row["verdict"] == "passed" for row in rows)
    return tuple(row["method"] for row in rows if row["verdict"] != "incomplete" or not has_passed)


def _made(name: str, asked: Mapping[str, Any], tried: Mapping[str, Any]) -> Method:
    """A method with what was asked for, else as it was tried, so that the verdict holds for it."""
    if name not in METHODS:
        return make(name)
    known = _known(name)
    kept = {key: tuple(value) if isinstance(value, list) else value for key, value in tried.items() if key in known}
    return make(name, **{**kept, **{key: value for key, value in asked.items() if key in known}})


def _known(name: str) -> list[str]:
    return [field.name for field in fields(METHODS[name])]  # type: ignore[arg-type]
