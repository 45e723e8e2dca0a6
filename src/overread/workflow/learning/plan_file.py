"""`plan.toml`: every automatic choice, with its reason beside it; written by `plan`, read by `train`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Item, Table

from overread.batches.augment import Augmentation
from overread.batches.sampler import Sampling
from overread.core.errors import OverreadError
from overread.core.preparation import Preparation
from overread.core.question import Question
from overread.record.files import write_text
from overread.training.plan import Plan

HEAD = (
    "Written by `overread plan` from the training cases and this machine.",
    "To choose differently, set [training] in project.toml or use --set; this file is a record.",
)


def write_plan(path: Path, plan: Plan) -> None:
    document = tomlkit.document()
    for line in HEAD:
        document.add(tomlkit.comment(line))
    document.add("format", 1)
    document.add("identity", plan.identity)
    tables: dict[str, Any] = {}
    for key, value in plan.as_dict().items():
        if isinstance(value, dict):
            tables[key] = value
        elif value is not None:
            document.add(key, _line(value, plan.reasons.get(key, "")))
    for key, values in tables.items():
        document.add(tomlkit.nl())
        document.add(key, _table(values, plan.reasons))
    write_text(path, tomlkit.dumps(document))


def _table(values: dict[str, Any], reasons: dict[str, str]) -> Table:
    table = tomlkit.table()
    for key, value in values.items():
        if value is not None:
            table.add(key, _line(value, "" if values is reasons else reasons.get(key, "")))
    return table


def _line(value: Any, reason: str) -> Item:
    item = tomlkit.item(_plain(value))
    return item.comment(reason) if reason else item


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def read_plan(path: Path) -> Plan:
    """Read a plan back; a damaged one, or one whose lines were changed by hand, is named."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        identity = values.pop("identity")
        values.pop("format")
        plan = _plan(values)
    except FileNotFoundError as error:
        raise OverreadError(f"There is no plan in {path.parent}.", "make one with `overread plan` or `overread train`") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise OverreadError(f"The plan {path.name} is damaged: {error}.", "delete it and run `overread plan` again") from error
    if plan.identity != identity:
        raise OverreadError(
            f"The plan {path.name} was changed by hand; it is a record of what was chosen.",
            "set the wish in [training] of project.toml, delete plan.toml, and run `overread plan` again",
        )
    return plan


def _plan(values: dict[str, Any]) -> Plan:
    preparation = {"spacing": None, "shape": None, **values["preparation"]}
    listed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    listed |= {
        "question": Question.from_dict({"positive": None, **values["question"]}),
        "preparation": Preparation.from_dict(preparation),
        "sampling": Sampling(**values["sampling"]),
        "augmentation": Augmentation.from_dict(values["augmentation"]),
    }
    return Plan(**listed)
