"""Every line that project.toml may hold does something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import overread
from overread.workflow.settings import Settings

SOURCE = Path(overread.__file__).parent
WRITERS = ("settings.py", "init_settings.py", "settings_file.py")  # they name a setting without using it
CODE = "\n".join(p.read_text(encoding="utf-8") for p in sorted(SOURCE.rglob("*.py")) if p.name not in WRITERS)


def names(model: type[BaseModel], section: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += names(inner, f"{section}{name}.")
        else:
            found.append(section + name)
    return found


@pytest.mark.parametrize("setting", names(Settings))
def test_a_setting_is_read_somewhere(setting: str) -> None:
    """Two settings once stood in every project.toml and did nothing."""
    name = setting.rpartition(".")[2]
    assert re.search(rf"\.{name}\b|[\"']{name}[\"']", CODE), f"{setting} is written into project.toml and read by nothing"
