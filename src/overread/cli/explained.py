"""What the verbs of explanation share: names with commas between, and a model in place of a project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.core.errors import OverreadError


def names(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    """``"one, two"`` -> ``("one", "two")``: callback of options that take several names."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def check_model(path: Path, out: Path | None, of_project: Mapping[str, Any], what: str) -> None:
    """What is no project must be a model, with a folder for what is made of it and without options of a project.

    what  is made: "maps"
    """
    from overread.workflow.explanations.subject import refuse_without_gradients  # loads torch: not for --help

    if not path.exists() or (path.is_dir() and not (path / "model.json").exists()):
        raise OverreadError(f"There is no project and no model at {path}.", "give a project, a .overread file or a model folder")
    given = [name for name, value in of_project.items() if value not in (None, ())]
    if given:
        raise OverreadError(f"{given[0]} goes with a project; {path.name} is a model.", "leave it out, and name a study")
    refuse_without_gradients(path)  # before a folder is asked for that would help nobody
    if out is None:
        raise OverreadError(f"Where shall the {what} go?", "name a folder with --out")
