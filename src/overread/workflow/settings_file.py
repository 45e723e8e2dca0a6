"""`project.toml`: read with every fault named at once, written with the reason beside each inferred line."""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel, ValidationError
from tomlkit.items import Item, Table

from overread.core.errors import OverreadError
from overread.record.files import write_text
from overread.workflow.settings import Settings

WRITTEN = ("project", "images", "truth", "question", "cohort", "split", "training", "evaluation")
BRIEF = {
    "training": "What is left out is chosen by `overread plan`; each choice stands with its reason in runs/NAME/plan.toml.",
    "evaluation": "Fill in hypothesis and primary_endpoint before the internal test is opened; they go into the ledger.",
}
BRIEF_KEYS = {
    "training": ("architecture", "seed"),
    "evaluation": ("hypothesis", "primary_endpoint", "declared", "sampling", "threshold_rule"),
}
RARE = (
    "question.objects",
    "question.others",
    "question.given",
    "question.degradation",
    "question.conditions",
    "question.guides",
)  # lines that say nothing to most projects
ASKED = {  # what a line asks of whoever fills it in
    "evaluation.sampling": "consecutive (cases as they came), or enriched (positives sought out; then state prevalence = 0.02)",
}
COMMENT_COLUMN = 46
WORDS = {int: "int", float: "number", str: "text", bool: "true or false", type(None): "nothing"}


def read_settings(path: Path) -> Settings:
    """Read and check a settings file; all faults are reported together, each with the nearest known name."""
    path = Path(path)
    if not path.is_file():
        raise OverreadError(f"There is no project in {path.parent}: {path.name} is missing.", "make one with `overread init`")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OverreadError(
            f"{path.name} is not valid TOML: {error}.", "correct that line; text needs quotation marks"
        ) from error
    return check_settings(values, path.name)


def check_settings(values: Mapping[str, Any], what: str = "project.toml") -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        found = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # unknown names first: they explain the rest
        faults = list(dict.fromkeys(_fault(e["loc"], e["type"], e["input"], e["msg"]) for e in found))
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise OverreadError(f"The configuration has {count}: " + " ".join(faults), f"correct {what}") from error


def _fault(location: tuple[int | str, ...], kind: str, value: Any, message: str) -> str:
    """One fault in plain words."""
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    names, models, expected = _walk(location)
    name = ".".join(names)
    if kind == "extra_forbidden":
        known = list(models[-1].model_fields)
        near = difflib.get_close_matches(names[-1], known, 1)
        elsewhere = [f"{s}.{names[-1]}" for s, m in _sections().items() if names[-1] in m.model_fields]
        hint = (
            f"did you mean {near[0]}?"
            if near
            else f"did you mean {elsewhere[0]}?"
            if elsewhere
            else f"known are {', '.join(known)}."
        )
        return f"{name}: no such setting; {hint}"
    if kind == "missing":
        return f"{name}: missing, should be {expected}."
    near = [w for w in difflib.get_close_matches(str(value), _choices(models, names), 1) if w != value]
    return f"{name}: {value!r} should be {expected}" + (f"; did you mean {near[0]!r}?" if near else ".")


def _sections() -> dict[str, type[BaseModel]]:
    return {name: field.annotation for name, field in Settings.model_fields.items() if _is_model(field.annotation)}  # type: ignore[misc]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _walk(location: tuple[int | str, ...]) -> tuple[list[str], list[type[BaseModel]], str]:
    """Follow a fault's place through the sections; what pydantic adds for unions and list positions is left out.

    returns  (names on the way, sections on the way, what is expected there in words)
    """
    models: list[type[BaseModel]] = [Settings]
    names: list[str] = []
    annotation: Any = Settings
    for part in location:
        if not _is_model(annotation):
            break
        names.append(str(part))
        field = annotation.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if _is_model(annotation):
            models.append(annotation)
    return names, models, _expected(annotation)


def _expected(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in WORDS:
        return WORDS[annotation]
    if origin is typing.Literal:
        words = [f"'{v}'" if isinstance(v, str) else str(v) for v in inner]
        return words[0] if len(words) == 1 else "one of " + ", ".join(words)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_expected(a) for a in inner if a is not type(None))
    if origin is tuple:
        if len(inner) == 2 and inner[1] is Ellipsis:
            return f"a list of {_expected(inner[0])}"
        return f"a list of {len(inner)} times {_expected(inner[0])}"
    if origin is dict:
        return "a table of names and numbers" if inner[-1:] == (float,) else "a table of names and text"
    return "a section of its own"


def _choices(models: list[type[BaseModel]], names: list[str]) -> list[str]:
    field = models[-1].model_fields.get(names[-1])
    return [v for v in typing.get_args(field.annotation) if isinstance(v, str)] if field else []


def settings_text(settings: Settings, reasons: Mapping[str, str]) -> str:
    """The text of a settings file.

    reasons  "section.key" -> why the line says what it says, written beside it
    """
    document = tomlkit.document()
    document.add(tomlkit.comment("Written by `overread init`. A comment beside a line says where it comes from;"))
    document.add(tomlkit.comment("change a line that is wrong. Who is in which partition is frozen in cohort/splits.json."))
    for section in (*WRITTEN, *(["region"] if settings.region.model else [])):
        document.add(tomlkit.nl())
        document.add(section, _table(section, getattr(settings, section), reasons))
    return _aligned(tomlkit.dumps(document))


def write_settings(path: Path, settings: Settings, reasons: Mapping[str, str]) -> None:
    write_text(path, settings_text(settings, reasons))


def _table(section: str, values: BaseModel, reasons: Mapping[str, str]) -> Table:
    table = tomlkit.table()
    if section in BRIEF:
        table.add(tomlkit.comment(BRIEF[section]))
    for key, value in values.model_dump(mode="json").items():
        reason = reasons.get(f"{section}.{key}", "") or ASKED.get(f"{section}.{key}", "")
        usual = type(values).model_fields[key].get_default(call_default_factory=True)
        changed = value != (list(usual) if isinstance(usual, tuple) else usual)
        is_brief = (section in BRIEF and key not in BRIEF_KEYS[section]) or f"{section}.{key}" in RARE
        if value is None or (is_brief and not reason and not changed):
            continue
        if isinstance(value, dict):
            line: Item = tomlkit.inline_table()
            line.update(value)  # type: ignore[attr-defined]
        else:
            line = tomlkit.item(value)
        if reason:
            line.comment(" ".join(reason.split()))
        table.add(key, line)
    return table


def _aligned(text: str) -> str:
    """Put the comments that stand beside lines under each other."""
    lines = []
    for line in text.splitlines():
        head, mark, comment = line.partition(" # ") if not line.startswith("#") else (line, "", "")
        whole = mark and head.count('"') % 2 == 0
        lines.append(f"{head:<{COMMENT_COLUMN}} # {comment}" if whole else line)
    return "\n".join(lines) + "\n"
