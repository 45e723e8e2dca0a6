"""What makes the commands of the docs quick enough for a test. Everything else runs as it is written."""

from __future__ import annotations

import io
import os
import re
import shlex
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import tomlkit

from overread.cli.main import main

MINUTES = "0.005"  # instead of the minutes of a page: a few steps of each training
SETTINGS = {"training.patch": "16,16,16", "training.precision": "float32"}
SET = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
ADDED = {
    "phantom": ["--patients", "10", "--size", "40", "--slices", "16", "--format", "nifti"],
    "train": SET,
    "pretrain": SET,
    "plan": SET,
    "trial": ["--limit", "3"],
    "explain": ["--limit", "2"],
    "select": [*SET, "--inner", "2"],
    "search": SET,
    "ablate": [*SET, "--seeds", "1"],
    "usefulness": [*SET, "--repeats", "1"],
    "learning-curve": [*SET, "--shares", "50", "--repeats", "1"],
    "anomaly": ["--rate", "0.4"],
    "fidelity": ["--count", "16", "--minutes", MINUTES],
}
LEARNING = ("train", "pretrain", "select", "learning-curve")  # these take a quarter of an hour each where nothing is said
FEWER = {("--count", "10"): "1", ("--rounds", "2"): "1"}  # words after these options of a simulation of labelling
NUMBERS = {"--minutes": MINUTES, "--epochs": "1", "--trials": "2", "--trial-epochs": "1"}
VALUES = {"training.patch=[64,64,64],[96,96,96]": "training.patch=[16,16,16],[16,16,24]"}


def quick(line: str) -> list[str]:
    """The words of a command after `overread`, with less to compute and nobody to be asked."""
    words = [VALUES.get(word, word) for word in shlex.split(line, comments=True)[1:]]
    words = [os.path.expanduser(word) if word.startswith("~") else word for word in words]  # as a shell does
    for option, value in NUMBERS.items():
        if option in words:
            words[words.index(option) + 1] = value
    if words[0] in LEARNING and not set(NUMBERS) & set(words):
        words += ["--minutes", MINUTES]
    if words[0] == "label-next" and "--simulate" in words:
        words = [
            *(FEWER.get((before, word), word) for before, word in zip(["", *words], words, strict=False)),
            *SET,
            "--repeats",
            "1",
        ]
    opens = words[0] in ("evaluate", "usefulness") and "--on" in words and words[words.index("--on") + 1] != "tuning"
    return [*words, *ADDED.get(words[0], []), *(["--yes"] if opens and "--yes" not in words else [])]


def quick_python(text: str) -> str:
    """A block of Python with the same changes."""
    return re.sub(r"\.train\(minutes=[\d.]+", f".train(minutes={MINUTES}, overrides={SETTINGS}", text)


def write_settings(project: Path, block: str) -> None:
    """Write the lines of a TOML block of a page into `project.toml`, as its reader would."""
    path = project / "project.toml"
    settings = tomlkit.parse(path.read_text(encoding="utf-8"))
    for section, values in tomllib.loads(block).items():
        for key, value in values.items():
            settings.setdefault(section, tomlkit.table())[key] = value
    path.write_text(tomlkit.dumps(settings), encoding="utf-8")


def run(line: str) -> tuple[int, str]:
    """Exit code of a command, made quick, and what it printed."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(quick(line))
    return code, said.getvalue()
