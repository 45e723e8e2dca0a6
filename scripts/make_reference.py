"""Write the pages of docs/reference/ that come from the program itself.

.venv/bin/python scripts/make_reference.py            write them
.venv/bin/python scripts/make_reference.py --check    fail if one is stale
"""

from __future__ import annotations

import ast
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import click

import overread.metrics
from overread.cli.main import VERBS
from overread.cli.main import overread as program
from overread.metrics.metric import INTERVALS, Metric
from overread.networks.table import ARCHITECTURES
from overread.reading.refusal.concern import CODES
from overread.record import events
from overread.tasks import TASKS, losses_of, routes_of
from overread.workflow import settings

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "overread"
MADE = "<!-- Made by scripts/make_reference.py. Do not edit: change the program and run `make docs`. -->"
WIDTH = 100


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)


def page(title: str, *parts: str) -> str:
    return "\n\n".join([MADE, f"# {title}", *parts]) + "\n"


def commands() -> str:
    """The help of each verb, word for word."""
    parts = ["Exit codes: 0 done, 1 a fault of ours, 2 something you can put right, 130 stopped by you."]
    for name in VERBS:
        verb = program.get_command(click.Context(program), name)
        assert verb is not None
        context = click.Context(verb, info_name=f"overread {name}", terminal_width=WIDTH, max_content_width=WIDTH)
        parts += [f"## {name}", f"```text\n{verb.get_help(context)}\n```"]
    return page("Commands", *parts)


def settings_page() -> str:
    """Each line that project.toml may hold, with the comment beside it in the source."""
    parts = ["Lines of `project.toml`. A line that is not given has the default; `auto` is decided by the plan, with a reason."]
    comments = trailing_comments(Path(str(settings.__file__)))
    for section, field in settings.Settings.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            parts += [*section_tables(section, field.annotation, comments)]
        else:  # a table with keys of the user's own
            row = ("`NAME`", "text", "none", comments.get(("Settings", section), ""))
            parts += [f"## [{section}]", table(("Key", "Values", "Default", "Meaning"), [row])]
    return page("Settings", *parts)


def section_tables(section: str, model: Any, comments: dict[tuple[str, str], str]) -> Iterator[str]:
    rows, nested = [], []
    for key, field in model.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            nested.append((f"{section}.{key}", field.annotation))
            continue
        default = "required" if field.is_required() else toml(field.get_default(call_default_factory=True))
        rows.append((f"`{key}`", kind_of(field.annotation), default, comments.get((model.__name__, key), "")))
    yield f"## [{section}]"
    yield table(("Key", "Values", "Default", "Meaning"), rows)
    for name, inner in nested:
        yield from section_tables(name, inner, comments)


def trailing_comments(path: Path) -> dict[tuple[str, str], str]:
    """(class, field) -> the comment at the end of the field's line."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        for line in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                rest = lines[(line.end_lineno or 1) - 1][line.end_col_offset or 0 :]
                found[node.name, line.target.id] = rest.partition("#")[2].strip()  # type: ignore[union-attr]
    return found


def toml(value: Any) -> str:
    if value is None:
        return "none"
    return f"`{json.dumps(value)}`"


def kind_of(annotation: Any) -> str:
    """A type in words: ``"z", "y" or "x"``, whole number, list of words ..."""
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "none", Ellipsis: ""}
    if annotation in names:
        return names[annotation]
    arguments = get_args(annotation)
    if arguments and all(isinstance(a, str | int) and not isinstance(a, type) for a in arguments):
        return ", ".join(f"`{a}`" for a in arguments)
    origin = getattr(annotation, "__origin__", None)
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {kind_of(arguments[0])}"
    if origin is tuple:
        return f"list of {len(arguments)} {kind_of(arguments[0])}s"
    if origin is dict:
        return "table of text"
    return " or ".join(kind_of(a) for a in arguments if a is not type(None))


def events_page() -> str:
    """The events of a run, from the docstring that the code is written by."""
    block = inspect.cleandoc(events.__doc__ or "")
    rows = []
    for line in block.splitlines():
        match = re.match(r"    (\w+(?:, \w+)*) {2,}(\S.*)$", line)
        if match:
            fields, _, note = match[2].partition("   ")
            names = ", ".join(f"`{name}`" for name in match[1].split(", "))
            rows.append((names, fields, note.strip().strip("()")))
    head = "Each line of `events.jsonl` is one JSON object with `time` (UTC), `event`, and the fields of the table."
    return page("Events of a run", head, table(("Event", "Fields", "Note"), rows))


def metrics_page() -> str:
    """Every metric: name, formula, unit, direction, interval."""
    found: dict[str, Metric] = {}
    for module in pkgutil.walk_packages(overread.metrics.__path__, "overread.metrics."):
        for value in vars(import_module(module.name)).values():
            for metric in value.values() if isinstance(value, dict) else [value]:
                if isinstance(metric, Metric):
                    found[metric.key] = metric
    rows = [
        (f"`{m.definition}`", m.name, m.formula, m.unit, m.better, INTERVALS[m.interval], m.undefined)
        for m in sorted(found.values(), key=lambda m: m.key)
    ]
    head = (
        "Each metric has one meaning. Its version rises when the number would change for the same answers. "
        "An undefined score gives the reason of the last column and is neither 0 nor left out in silence."
    )
    return page("Metrics", head, table(("Definition", "Name", "Formula", "Unit", "Better", "Interval", "Undefined"), rows))


def networks_page() -> str:
    """Every network of the table, and the losses of each task."""
    rows = []
    for name, network in sorted(ARCHITECTURES.items()):
        dimensions = " and ".join(f"{n}D" for n in sorted(network.dimensions))
        rows.append((f"`{name}`", ", ".join(sorted(network.serves)), dimensions, network.paper, network.licence))
    losses = [
        (task, route, ", ".join(f"`{loss}`" for loss in names) or "the network's own")
        for task in TASKS
        for route in routes_of(task)
        for names in (losses_of(task, route),)
    ]
    head = (
        "`image` networks give one answer per image (classification, regression), `dense` ones an answer per voxel "
        "(segmentation; objects are then its connected components), `objects` ones a list of objects, `centres` ones an "
        "answer per voxel that points to the centre of its object, `pictures` ones an image of one size (and networks of several "
        "parts), `made` ones images of random numbers. "
        "`timm:NAME`, `torchvision:NAME` and `monai:NAME` stand for any fitting network of those packages."
    )
    return page(
        "Networks and losses",
        head,
        table(("Name", "Serves", "Dimensions", "Source", "Licence of the code"), rows),
        "## Losses\n\nThe first one is what `auto` means.",
        table(("Task", "Network serves", "Losses"), losses),
    )


def errors_page() -> str:
    """The codes of refusals, with their messages as they stand in the source."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for code, what in refusals(ast.parse(path.read_text(encoding="utf-8"))):
            if len(what) > len(found.get(code, ("", ""))[0]):
                found[code] = (what, path.relative_to(SOURCE).parts[0])
    rows = [(f"`{code}`", what, room) for code, (what, room) in sorted(found.items())]
    head = (
        "Everything you can put right ends with exit code 2, says what happened and what to do next. Inputs that were looked "
        "at and turned away also have a short code, the same in tables, in `flow.json` and in `--json`. Names in braces stand "
        "for values."
    )
    unlike = (
        "A model also refuses, or warns of, an image that is unlike those it was trained on, whatever file it comes from; "
        "`overread read --refusal warn` answers it all the same."
    )
    kinds = [(f"`{code}`", meaning) for code, meaning in CODES.items()]
    return page(
        "Refusals", head, table(("Code", "Message", "Room"), rows), unlike, table(("Code", "What speaks against it"), kinds)
    )


def refusals(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(code, message) of every `Refused("code", ...)`; a message that was put together before is looked up in its function."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        inside = list(ast.walk(function))
        texts = {t.id: n.value for n in inside if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
        for node in inside:
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused" and len(node.args) > 1:
                code, what = node.args[:2]
                if isinstance(what, ast.Name) and what.id in texts:
                    what = texts[what.id]
                if isinstance(code, ast.Constant):
                    yield str(code.value), pattern(what)


def pattern(node: ast.expr) -> str:
    """A message with its values as {names}."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = (f"{{{name_of(v.value)}}}" if isinstance(v, ast.FormattedValue) else pattern(v) for v in node.values)
        return "".join(parts)
    if isinstance(node, ast.BinOp):
        return pattern(node.left) + pattern(node.right)
    return f"{{{name_of(node)}}}"


def name_of(node: ast.expr) -> str:
    names = [n.attr if isinstance(n, ast.Attribute) else n.id for n in ast.walk(node) if isinstance(n, ast.Attribute | ast.Name)]
    return names[0] if names else "value"


PAGES = {
    "commands.md": commands,
    "settings.md": settings_page,
    "events.md": events_page,
    "metrics.md": metrics_page,
    "networks.md": networks_page,
    "errors.md": errors_page,
}


def stale() -> dict[Path, str]:
    """Pages whose text on disk differs from what the program says now, with the new text."""
    made = {REFERENCE / name: make() for name, make in PAGES.items()}
    return {path: text for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text}


def main(words: list[str]) -> int:
    old = stale()
    if "--check" in words:
        for path in old:
            print(f"{path.relative_to(ROOT)} is stale. Next: make docs")
        return 1 if old else 0
    for path, text in old.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
