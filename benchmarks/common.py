"""What all benchmarks share: where the data lie, how figures are written down, how a table is printed."""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.core.errors import OverreadError
from overread.record.files import write_json
from overread.record.provenance import machine, versions

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
WORK = HERE / "work"


def shared_data() -> Path:
    """The folder of real radiology data: ``$OVERREAD_DATA``, or ``../shared/data`` beside the checkout."""
    given = os.environ.get("OVERREAD_DATA")
    folder = Path(given) if given else HERE.parents[1] / "shared" / "data"
    if not folder.is_dir():
        raise OverreadError(f"There are no benchmark data at {folder}.", "set OVERREAD_DATA to the folder that holds them")
    return folder


def overread_program() -> str:
    """The installed `overread` of this interpreter."""
    program = Path(sys.executable).with_name("overread")
    if not program.exists():
        raise OverreadError(f"There is no program `overread` beside {sys.executable}.", "pip install -e '.[learn]'")
    return str(program)


@dataclass(frozen=True)
class Started:
    """When a benchmark began, and how busy the machine was: a shared machine makes seconds a matter of the hour."""

    clock: float = field(default_factory=time.monotonic)
    load: tuple[float, float, float] = field(default_factory=os.getloadavg)


def write_result(
    name: str,
    started: Started,
    *,
    settings: Mapping[str, Any],
    figures: Mapping[str, Any],
    spread: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Path:
    """Write `results/<name>.json`: what was measured, on what machine, by which command."""
    path = RESULTS / f"{name}.json"
    content = {
        "format": 1,
        "benchmark": name,
        "date": datetime.now(UTC).date().isoformat(),
        "command": _command(),
        "machine": machine(),
        "load": {"cores": os.cpu_count(), "at_start": started.load[0], "at_end": os.getloadavg()[0]},
        "versions": versions(),
        "seconds": round(time.monotonic() - started.clock, 1),
        "settings": dict(settings),
        "figures": dict(figures),
        "spread": dict(spread),
        "notes": list(notes),
    }
    write_json(path, content)
    return path


def _command() -> str:
    """The command as it was given, paths of this machine left out."""
    words = [f"benchmarks/{Path(sys.argv[0]).name}"]
    words += ["PATH" if os.path.isabs(word) or word.startswith((".", "~")) else word for word in sys.argv[1:]]
    return shlex.join(["python", *words])


def say_result(path: Path, lines: Sequence[str]) -> None:
    """The figures for people, and where they lie for programs."""
    print("\n".join(["", *lines, "", f"Written to {path.relative_to(HERE.parent)}"]))


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a plain table; the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        return "  ".join(padded).rstrip()

    return [line(cells[0]), "-" * len(line(cells[0])), *(line(row) for row in cells[1:])]


def spread_of(values: Sequence[float], digits: int = 4) -> dict[str, Any]:
    """How repetitions differ; the standard deviation only where there are two or more."""
    if not values:
        return {"n": 0}
    found: dict[str, Any] = {"n": len(values), "mean": statistics.fmean(values), "median": statistics.median(values)}
    found |= {"lowest": min(values), "highest": max(values)}
    found["standard_deviation"] = statistics.stdev(values) if len(values) > 1 else None
    return {name: round(value, digits) if isinstance(value, float) else value for name, value in found.items()}


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows the docstring of the benchmark as it stands."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def numbers(text: str) -> list[int]:
    """ "0,1,2" -> [0, 1, 2]: for options that take a list."""
    return [int(word) for word in text.split(",")]


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; what somebody can put right ends it with a sentence instead of a traceback."""
    try:
        main()
    except OverreadError as error:
        sys.exit(str(error))
