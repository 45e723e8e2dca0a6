"""Work is shared among processes without running the caller's script again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from overread.core.errors import OverreadError
from overread.record.workers import workers

SCRIPT = """
from math import sqrt
from overread.record.workers import workers
print("ran")
with workers(2, "drawing roots") as pool:
    print(list(pool.map(sqrt, [4.0, 9.0])))
print(__file__ if "__file__" in globals() else "no file")
"""


@pytest.mark.parametrize("way", ["file", "standard input", "command"])
def test_a_script_without_a_guard_runs_once(tmp_path: Path, way: str) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    words = {"file": [str(path)], "standard input": ["-"], "command": ["-c", SCRIPT]}[way]
    done = subprocess.run(
        [sys.executable, *words], input=SCRIPT, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["ran", "[2.0, 3.0]"]
    if way == "file":
        assert lines[2] == str(path)  # the script has its name back


def test_a_process_that_is_ended_from_outside_is_told_with_what_it_did() -> None:
    message = r"A process ended abruptly while drawing roots; the machine may be short of memory(?s:.*)close other programs"
    with pytest.raises(OverreadError, match=message), workers(1, "drawing roots") as pool:
        pool.submit(os._exit, 9).result()
