"""What starts in a blink: which packages a fresh interpreter has loaded afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "pandas", "numpy", "scipy", "matplotlib", "pydicom", "sklearn", "rich")
TORCH_FREE = ("init", "update", "evaluate", "report", "phantom", "project", "settings")


def loaded_after(code: str) -> set[str]:
    """Names of the top packages in sys.modules after `code` in a fresh interpreter."""
    program = f"import sys\n{code}\nprint('LOADED', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_import_overread_loads_nothing_heavy() -> None:
    assert loaded_after("import overread").isdisjoint(HEAVY)


def test_help_loads_nothing_heavy() -> None:
    assert loaded_after("from overread.cli.main import main\nassert main(['--help']) == 0").isdisjoint(HEAVY)


@pytest.mark.parametrize("verb", TORCH_FREE)
def test_verbs_that_look_and_score_load_no_torch(verb: str) -> None:
    assert "torch" not in loaded_after(f"import overread.workflow.{verb}")
