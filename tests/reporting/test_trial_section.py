"""What the page says of the controls is what they did."""

from __future__ import annotations

from typing import Any

import pytest

from overread.cli.trial import describe
from overread.reporting.explanation.trial import trial_section
from overread.reporting.page_parts import Part, Words

CONTROLS = {"edges": "Edge detector", "constant": "Constant map", "noise": "Random map"}


def record_of(verdict: str, escaped: tuple[str, ...] = (), n_cases: int = 4) -> dict[str, Any]:
    found = {
        "criterion": "weight_randomisation", "title": "Weight randomisation", "what": "likeness kept", "rule": "r", "reason": "s",
        "bound": {"side": "below", "limit": 0.5}, "is_essential": True, "verdict": verdict, "why": "few", "interval": None,
        "beside": {}, "facts": {},
    }  # fmt: skip
    interval = {"estimate": 1.0, "low": None, "high": None, "method": "bootstrap", "n_cases": n_cases, "n_patients": n_cases,
                "level": 0.95, "reason": ""}  # fmt: skip
    if verdict != "not tried":
        found["interval"] = interval

    def row(name: str, title: str, **more: Any) -> dict[str, Any]:
        return {"method": name, "title": title, "parameters": {}, "criteria": [found], "verdict": "incomplete", "why": "", **more}

    controls = [row(name, title, must_fail=["weight_randomisation"]) for name, title in CONTROLS.items()]
    return {
        "n_cases": n_cases, "n_patients": n_cases, "n_drawn": 0, "level": 0.95, "is_phantom": False, "methods": [row("a", "A")],
        "controls": controls, "escaped": list(escaped), "refused": [], "human": [], "notes": [], "page": "page.html",
    }  # fmt: skip


def said(record: dict[str, Any]) -> list[Words]:
    return [block for block in trial_section(Part(record, {})).blocks if isinstance(block, Words)]


@pytest.mark.parametrize(
    ("verdict", "escaped", "on_page", "on_screen"),
    [
        ("failed", (), "it catches the edge detector by weight randomisation; the constant map", "failed what they must fail"),
        ("not tried", (), "Whether it catches the edge detector, the constant map, the random map could", "could not be tried"),
        ("passed", ("Edge detector passed weight randomisation",), "The trial is in doubt here", "in doubt on these cases"),
    ],
)
def test_a_control_is_said_to_fail_only_where_it_did(
    verdict: str, escaped: tuple[str, ...], on_page: str, on_screen: str
) -> None:
    record = record_of(verdict, escaped)
    (told,) = [words for words in said(record) if on_page in words.text]
    assert told.is_warning == (verdict != "failed")
    screen = " ".join(describe(record).split())
    assert on_screen in screen
    assert ("failed what they must fail" in screen) == (verdict == "failed")
    assert ("it catches the" in told.text) == (verdict != "passed")


def test_one_case_is_counted_as_one() -> None:
    assert describe(record_of("not tried", n_cases=1)).startswith("1 tuning case of 1 patient; 0 with a drawing.")
