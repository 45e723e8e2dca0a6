"""The pages of the docs, as blocks of code and as the steps that a reader would take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(overread [^`]+)`")


@dataclass(frozen=True)
class Step:
    """One command of a shell block, or a whole block of another language.

    language  "sh", "toml", "python" ...
    """

    language: str
    text: str


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def all_pages() -> list[Path]:
    """The pages at the root, and everything below docs/."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def steps(page: Path) -> list[Step]:
    """Everything in fences, in order; lines that end with a backslash are joined, comments and blank lines left out."""
    found = []
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        language, text = match["language"], match["text"]
        if language != "sh":
            found.append(Step(language, text))
            continue
        lines = [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines()]
        found += [Step("sh", line) for line in lines if line and not line.startswith("#")]
    return found


def commands(page: Path) -> list[str]:
    return [step.text for step in steps(page) if step.language == "sh"]


def calls(page: Path) -> list[str]:
    """The commands that are ours."""
    return [line for line in commands(page) if line.startswith("overread ")]


def calls_in_sentences(page: Path) -> list[str]:
    """`overread ...` in the running text and in tables; an ending such as "..." and a name in capitals are allowed there."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(match[1].replace("\\|", "|").split()) for match in SPAN.finditer(text)]
