"""`ensemble.json` in the folder of a run: whose models answer together there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.core.errors import OverreadError
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.workflow.project import Project

FILE = "ensemble.json"
ONE_MODEL = "over folds"  # its kind: the models of all folds of one run, made one for new patients
OF_RUNS = "ensemble"


def ensemble_of(run: RunFolder) -> dict[str, Any] | None:
    """Members, gate and notes; None for a run that was trained, or read by another program."""
    path = run.path / FILE
    return dict(read_json(path)) if path.exists() else None


def notes_of(run: RunFolder) -> tuple[str, ...]:
    """What has to be said wherever a score of an ensemble is shown."""
    return tuple((ensemble_of(run) or {}).get("notes", ()))


def as_plan(card: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in a report where a training has its plan."""
    members = {
        member["run"]: f"{member['card']['network']['name']}, {_training(member['card']['training'])}share {member['share']:.3g}"
        for member in card["members"]
    }
    return {"network": card["network"], "preparation": card["preparation"], "members": members}


def _training(training: Mapping[str, Any]) -> str:
    lasted = f"{training['steps']} steps in {training['minutes']:g} minutes, " if "steps" in training else ""
    return f"{lasted}seed {training.get('seed', 'not known')}, "


def is_over_folds(run: RunFolder) -> bool:
    """One model for new patients, of a project of folds: it has no fold, and no internal test of its own."""
    return (ensemble_of(run) or {}).get("kind") == ONE_MODEL


def refuse_over_folds(project: Project, run_name: str | None) -> None:
    """Every case of the project was learned from by one of its members, so it is scored on none of them."""
    run = project.run(run_name)
    if is_over_folds(run):
        source = (ensemble_of(run) or {})["members"][0]["run"].partition(",")[0]
        raise OverreadError(
            f"Run '{run.name}' is one model over all folds: every case of the project was learned from by one of its members, so "
            "it has no internal test of its own.",
            f"evaluate the folds that it was made of: `{project.command('evaluate', '--run', source)}`; or test it on patients "
            f"from elsewhere: `{project.command('external', 'NAME', '--images', 'FOLDER', '--run', run.name)}`",
        )


def made_by(project: str, name: str, record: dict[str, Any], fold: str) -> str:
    """The command that makes this ensemble anew.

    project  what the project is called there
    fold     " --fold all" and the like
    """
    runs = list(dict.fromkeys(member["run"].partition(",")[0] for member in record["members"]))
    weights = [member["weight"] for member in record["members"]]
    words = f"overread ensemble {project} --runs {','.join(runs)} --name {name}"
    if record["kind"] == ONE_MODEL:
        words += " --over folds"
    elif len(set(weights)) > 1:
        words += f" --weights {','.join(f'{weight:g}' for weight in weights)}"
    gate = record.get("gate")
    return words + fold + (f" --gate {gate['project']}:{gate['run']}" if gate else "")
