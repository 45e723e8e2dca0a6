"""How long the program takes to say anything: `overread --help`, `import overread`, and that neither loads torch.

    python benchmarks/startup.py

Aim: `overread --help` under 0.4 s.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from common import Started, overread_program, parser, run, say_result, spread_of, table, write_result

AIM_SECONDS = 0.4
IMPORT = "import overread"
HELP = "from overread.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
LEARNING = ("torch", "torchvision", "timm", "monai", "lightning_fabric")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=10, help="of each command; the median counts")
    asked, started = options.parse_args(), Started()
    python = [sys.executable, "-c"]
    commands = {
        "overread --help": [overread_program(), "--help"],
        "import overread": [*python, IMPORT],
        "python alone": [*python, "pass"],
    }
    for words in commands.values():
        seconds_of(words)  # the first time files come from the disk
    timed: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(asked.repeats):  # in turn, so that a busy moment meets all of them
        for name, words in commands.items():
            timed[name].append(seconds_of(words))
    spread = {name: spread_of(seconds) for name, seconds in timed.items()}
    loaded = {"overread --help": loaded_by(HELP), "import overread": loaded_by(IMPORT)}
    median = spread["overread --help"]["median"]
    figures: dict[str, Any] = {"median_seconds": {name: found["median"] for name, found in spread.items()}, "loads": loaded}
    figures |= {"aim_seconds": AIM_SECONDS, "met": median < AIM_SECONDS and not any(loaded.values())}
    path = write_result("startup", started, settings={"repeats": asked.repeats}, figures=figures, spread=spread)
    rows = [
        [name, f"{s['median']:.3f}", f"{s['lowest']:.3f}", f"{s['highest']:.3f}", ", ".join(loaded.get(name, [])) or "-"]
        for name, s in spread.items()
    ]
    verdict = f"Aim: --help under {AIM_SECONDS} s and no torch: {'met' if figures['met'] else 'NOT met'}"
    say_result(path, [*table(["command", "median s", "lowest", "highest", "loads of the learning half"], rows), "", verdict])


def seconds_of(words: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def loaded_by(code: str) -> list[str]:
    """Which packages that only learning needs are in memory after some code has run."""
    look = f"{code}\nimport sys\nprint(*(name for name in {LEARNING!r} if name in sys.modules), file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    return found.stderr.split()


if __name__ == "__main__":
    run(main)
