"""Write constraints.txt from what is installed here: our own dependencies and theirs, nothing else.

.venv/bin/python scripts/make_constraints.py
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

TARGET = Path(__file__).resolve().parents[1] / "constraints.txt"
HEAD = """\
# The versions that the tests ran with. `make` installs with them; `pip install overread` does without.
# Made by: scripts/make_constraints.py (after a deliberate upgrade in .venv, with the tests green).
"""
GIVEN_BY_TORCH = re.compile(r"(nvidia|cuda|triton)")  # torch pins its own, and not every machine has them


def pins() -> dict[str, str]:
    """Name -> version of every package that overread[learn,dev] draws in."""
    found: dict[str, str] = {}
    waiting = [("overread", ("", "learn", "dev"))]
    visited = set()
    while waiting:
        name, extras = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if (key, extras) in visited or GIVEN_BY_TORCH.match(key):
            continue
        visited.add((key, extras))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # an option of a dependency that nobody asked for
            continue
        found[key] = distribution.version
        for text in distribution.requires or []:
            wanted = Requirement(text)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras or ("",)):
                waiting.append((wanted.name, tuple(sorted(wanted.extras))))
    del found["overread"]
    return found


def main() -> int:
    TARGET.write_text(HEAD + "".join(f"{name}=={version}\n" for name, version in sorted(pins().items())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
