"""What is written is whole; what was done cannot be changed unseen; one process at a time."""

from __future__ import annotations

import errno
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.core.errors import OverreadError
from overread.record import files
from overread.record.events import EventLog, read_events
from overread.record.files import digest_json, read_json, write_json, write_text
from overread.record.ledger import Ledger
from overread.record.run import RunFolder


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(OverreadError, match=r"disk is full: a.json(?s:.*)free space"):
        write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_numbers_that_are_none_are_not_written_as_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"value": float("nan")})


def test_a_damaged_json_file_is_named(tmp_path):
    write_text(tmp_path / "a.json", "{")
    with pytest.raises(OverreadError, match=r"a.json is damaged"):
        read_json(tmp_path / "a.json")


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans(), max_size=5))
def test_the_digest_of_a_value_does_not_depend_on_the_order_of_its_keys(value):
    assert digest_json(value) == digest_json(dict(reversed(list(value.items()))))


def test_events_survive_a_line_cut_short(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.write("started", run="first")
    with open(log.path, "a") as file:
        file.write('{"event": "epo')
    log.write("resumed", step=3)
    assert [e["event"] for e in read_events(log.path)] == ["started", "resumed"]


def ledger(tmp_path) -> Ledger:
    made = Ledger(tmp_path / "ledger.jsonl")
    for number in range(3):
        made.append("opening", number=number)
    return made


def test_the_ledger_is_a_chain(tmp_path):
    entries = ledger(tmp_path).entries()
    assert [e["number"] for e in entries] == [0, 1, 2]
    assert entries[1]["previous"] == entries[0]["hash"]


@pytest.mark.parametrize("change", ["edit", "drop", "swap", "garbage"])
def test_a_changed_ledger_is_seen_and_the_line_named(tmp_path, change):
    made = ledger(tmp_path)
    lines = made.path.read_text().splitlines()
    if change == "edit":
        lines[1] = json.dumps({**json.loads(lines[1]), "number": 9})
    elif change == "drop":
        del lines[1]
    elif change == "swap":
        lines[0], lines[1] = lines[1], lines[0]
    else:
        lines[2] = "{"
    made.path.write_text("\n".join(lines) + "\n")
    with pytest.raises(OverreadError, match=r"ledger.jsonl is broken: line \d"):
        made.entries()
    with pytest.raises(OverreadError, match="broken"):
        made.append("opening", number=4)


def test_a_run_is_held_by_one_process_at_a_time(tmp_path):
    run = RunFolder(tmp_path / "first")
    message = r"'first' is being trained by another process(?s:.*)--name"
    with run.locked(), pytest.raises(OverreadError, match=message), RunFolder(tmp_path / "first").locked():
        pass
    with run.locked():
        pass
