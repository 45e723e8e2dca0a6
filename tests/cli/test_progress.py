"""Progress: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import io

import pytest

from overread.cli import progress
from overread.cli.progress import Bar, Lines, duration, reporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_lines_and_a_terminal_a_bar() -> None:
    assert isinstance(reporter(io.StringIO()), Lines)
    assert isinstance(reporter(Terminal()), Bar)


def test_lines_tell_start_middle_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 12.0, 13.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start(40, "Reading files")
    lines.advance(10)  # after 5 s: too early for a line
    lines.advance(10, "series 3")  # after 12 s
    lines.advance(20)
    lines.finish()
    assert stream.getvalue().splitlines() == [
        "Reading files ...",
        "Reading files: 20 of 40, about 12 s left, series 3",
        "Reading files: 40 of 40 in 20 s, series 3",
    ]


def test_a_new_stage_ends_the_one_before_and_finish_is_said_once() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start(1, "One")
    lines.start(None, "Two")
    lines.finish()
    lines.finish()
    assert stream.getvalue().splitlines() == ["One ...", "One: 0 of 1 in 0 s", "Two ...", "Two: done in 0 s"]


def test_fractions_are_told_in_percent() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start(1.0, "Training")
    lines.advance(0.25)
    lines.finish()
    assert "Training: 25% in" in stream.getvalue()


@pytest.mark.parametrize("total", [3, 3.0, None, 0])
def test_a_bar_takes_every_kind_of_total(total: float | None) -> None:
    stream = Terminal()
    bar = Bar(stream)
    bar.start(total, "Reading files")
    bar.advance(1, "case 7")
    bar.start(2, "Next stage")
    bar.finish()
    bar.finish()
    assert "Reading files" in stream.getvalue()


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (7805, "2 h 10 min")])
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words
