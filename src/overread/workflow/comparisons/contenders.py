"""What `overread compare` compares: evaluations found by file, by run folder, or by name in a project."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from overread.core.errors import OverreadError
from overread.evaluation.comparing.compared import Contender
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.reporting.paper.undone import times_opened
from overread.workflow.project import Project
from overread.workflow.starts.told import start_beside


def find_contenders(places: Sequence[str | Path], runs: Sequence[str], on: str) -> tuple[list[Contender], list[str]]:
    """The contenders in the order in which they were named, and what has to be said of them."""
    if len(places) == 1 and (Path(places[0]) / "project.toml").is_file():
        return _of_project(Project.open(Path(places[0])), runs, on)
    if runs:
        raise OverreadError(
            "--runs names runs of a project.", "give the project's folder before it: overread compare DIR --runs a,b"
        )
    contenders: list[Contender] = []
    files: list[Path] = []
    for place in places:
        name, paths = _named(str(place))
        opened = [_file(Path(path), on) for path in paths]
        contenders.append(Contender(name or "+".join(_name(path) for path in opened), tuple(_read(path) for path in opened)))
        files += opened
    _check_names(contenders)
    _check_links(files)
    return contenders, []


def _of_project(project: Project, runs: Sequence[str], on: str) -> tuple[list[Contender], list[str]]:
    named = list(runs) or [run for run in project.runs() if project.run(run).evaluation(on).exists()]
    if len(named) < 2:
        raise OverreadError(
            f"{len(named)} runs of this project were evaluated on {on}; two are the least.",
            f"`{project.command('evaluate', '--run', 'NAME', '--on', on)}` for each, then compare",
        )
    contenders = []
    for words in named:
        name, members = _named(words)
        found = [project.run(member) for member in members]
        contenders.append(Contender(name or "+".join(members), tuple(_read(_evaluation(run, on)) for run in found)))
    _check_names(contenders)
    openings = times_opened(project.ledger.entries())
    opened = {0: "never been opened", 1: "been opened once"}.get(openings, f"been opened {openings} times")
    return contenders, [f"The internal test of this project has {opened} so far; comparing opens nothing."]


def _named(words: str) -> tuple[str, list[str]]:
    """``small=a.json+b.json`` -> ("small", ["a.json", "b.json"]); a path that exists is taken as it stands."""
    if Path(words).exists():
        return "", [words]
    name, equals, rest = words.partition("=")
    if not equals:
        name, rest = "", words
    return name, [rest] if Path(rest).exists() else rest.split("+")


def _file(path: Path, on: str) -> Path:
    if path.is_dir():
        return _evaluation(RunFolder(path), on)
    if not path.is_file():
        raise OverreadError(
            f"{path} does not exist.", "give evaluation files (`overread evaluate ... --out A.json`) or run folders"
        )
    return path


def _evaluation(run: RunFolder, on: str) -> Path:
    path = run.evaluation(on)
    if path.is_file():
        return path
    made = sorted(p.stem.removeprefix("evaluation-") for p in run.path.glob("evaluation-*.json"))
    raise OverreadError(
        f"Run '{run.name}' was not evaluated on {on} (evaluated on: {', '.join(made) or 'nothing'}).",
        f"`{_evaluate_command(run, on)}`, or compare with --on {made[0] if made else 'tuning'}",
    )


def _evaluate_command(run: RunFolder, on: str) -> str:
    home = next((path for path in run.path.parents if (path / "project.toml").exists()), None)
    if home is None:
        return shlex.join(("overread", "evaluate", "DIR", "--run", run.name, "--on", on))
    project = Project(home)
    return project.command("evaluate", *project.run_words(run), "--on", on)


def _read(path: Path) -> Mapping[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not {"question", "cases", "partition"} <= set(content):
        raise OverreadError(f"{path.name} is not an evaluation file.", "write one with `overread evaluate ... --out A.json`")
    if not content["cases"]:
        raise OverreadError(f"{path.name} holds no cases.", "evaluate at least one case")
    return {**content, **start_beside(path)}


def _name(path: Path) -> str:
    return path.resolve().parent.name if path.stem.startswith("evaluation-") else path.stem


def _check_names(contenders: Sequence[Contender]) -> None:
    names = [c.name for c in contenders]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise OverreadError(f"Two are called '{twice[0]}'.", "give them names: overread compare old=A.json new=B.json")


def _check_links(files: Sequence[Path]) -> None:
    """Pseudonyms are numbered per file: where the lists that resolve them are at hand, they must mean the same cases."""
    lists = [path.with_name(f"{path.stem}-link.csv") for path in files]
    if len(files) < 2 or not all(path.is_file() for path in lists):
        return
    known = []
    for path in lists:
        with open(path, encoding="utf-8", newline="") as file:
            known.append({row["case_id"]: row["original_id"] for row in csv.DictReader(file)})
    for path, links in zip(files[1:], known[1:], strict=True):
        wrong = [case for case, original in known[0].items() if links.get(case, original) != original]
        if wrong:
            raise OverreadError(
                f"{len(wrong)} cases are other ones in {path.name} than in {files[0].name}, {wrong[0]} for example.",
                "evaluate both against the same truth",
            )
