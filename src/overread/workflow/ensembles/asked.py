"""What was asked for: runs, folds and a name, refused where they make no ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from overread.core.errors import OverreadError
from overread.record.run import RunFolder
from overread.workflow.ensembles.record import FILE
from overread.workflow.project import Project

DEFAULT_NAME = "ensemble"


def check_runs(runs: Sequence[str], over: str | None, *, alone: bool) -> None:
    twice = [name for name in runs if runs.count(name) > 1]
    if twice:
        raise OverreadError(f"Run '{twice[0]}' is named twice.", "name it once; --weights lets it count for more")
    if over is not None and len(runs) != 1:
        raise OverreadError(f"--over folds takes the models of one run; {len(runs)} are named.", "name one run")
    if not runs or (len(runs) == 1 and not alone):
        raise OverreadError(
            f"An ensemble needs at least two runs; {len(runs) or 'none'} {'is' if len(runs) == 1 else 'are'} named.",
            "name them with --runs A,B; or take the models of all folds of one run with --over folds, or put a classifier before "
            "one run with --gate",
        )


def free_name(project: Project) -> str:
    taken = {*project.runs(), "curve"}
    return next(name for k in range(1, 10**6) if (name := DEFAULT_NAME if k == 1 else f"{DEFAULT_NAME}-{k}") not in taken)


def refuse_taken(project: Project, name: str, places: Sequence[RunFolder]) -> None:
    """A run of that name; or the same fold of it, so that folds may be added one by one to an ensemble."""
    if name != Path(name).name or name.startswith("."):
        raise OverreadError(f"'{name}' cannot be the name of a run.", "use letters, digits, - and _")
    whole = project.run(name).path
    is_ours = whole.is_dir() and not any((whole / other).exists() for other in ("plan.toml", "model", "baseline.json", FILE))
    is_ours &= all((part / FILE).exists() for part in whole.glob("fold-*"))
    alone = len(places) == 1 and places[0].path != whole
    if whole.exists() and not (alone and is_ours and not places[0].path.exists()):
        raise OverreadError(
            f"There is a run '{name}' already.",
            f"give this ensemble another name with --name (taken: {', '.join(project.runs())})",
        )
