"""What is written is whole; what was done cannot be changed unseen; one process at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.core.errors import OverreadError
from overread.record import files
from overread.record.events import EventLog, read_events, settled
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


def test_words_with_strange_line_ends_do_not_break_the_ledger(tmp_path):
    made = ledger(tmp_path)
    made.append("opening", number=3, hypothesis="pasted\u2028from a \x85 page\x0b")
    made.append("opening", number=4)
    assert [e["number"] for e in made.entries()] == [0, 1, 2, 3, 4]


def test_a_last_line_that_was_never_finished_is_passed_over_and_written_over(tmp_path):
    made = ledger(tmp_path)
    with open(made.path, "ab") as file:  # as a full disk leaves it: cut in the middle of a letter
        file.write('{"entry": "opening", "hypothesis": "größer'.encode()[:-6])
    assert len(made.entries()) == 3
    made.append("opening", number=3)
    assert [e["number"] for e in made.entries()] == [0, 1, 2, 3]


def test_a_line_that_was_cut_short_after_it_was_written_is_seen(tmp_path):
    made = ledger(tmp_path)
    made.path.write_bytes(made.path.read_bytes()[:-9])
    with pytest.raises(OverreadError, match="has 2 lines and had 3: its end was cut off"):
        made.entries()


def test_an_emptied_ledger_and_one_without_its_head_are_seen(tmp_path):
    made = ledger(tmp_path)
    whole = made.path.read_bytes()
    made.path.write_bytes(b"")
    with pytest.raises(OverreadError, match="has 0 lines and had 3"):
        made.entries()
    made.path.write_bytes(whole)
    made.head_path.unlink()
    with pytest.raises(OverreadError, match=r"ledger.head.json, which says where it ends, is missing"):
        made.entries()


def test_entries_made_at_once_are_counted_one_by_one(tmp_path):
    def add(k):
        return Ledger(tmp_path / "ledger.jsonl").append("opening", counted_by="of", of="ab"[k % 2])["number"]

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(add, range(12)))
    assert sorted(numbers) == sorted([*range(1, 7)] * 2)
    assert len(Ledger(tmp_path / "ledger.jsonl").entries()) == 12


def test_an_entry_goes_into_the_file_that_an_update_put_in_place_meanwhile(tmp_path, monkeypatch):
    made, waits = ledger(tmp_path), []

    def wait(file, how):
        if not waits:
            (tmp_path / "new").write_bytes(made.path.read_bytes())
            os.replace(tmp_path / "new", made.path)
        waits.append(how)

    monkeypatch.setattr(fcntl, "flock", wait)
    made.append("opening", number=3)
    assert len(waits) == 2
    assert [e["number"] for e in made.entries()] == [0, 1, 2, 3]


def test_a_run_is_held_by_one_process_at_a_time(tmp_path):
    run = RunFolder(tmp_path / "first")
    message = r"'first' is being trained by another process(?s:.*)--name"
    with run.locked(), pytest.raises(OverreadError, match=message), RunFolder(tmp_path / "first").locked():
        pass
    with run.locked():
        pass


# ---------------------------------------------------------------- a full disk


def test_an_event_on_a_full_disk_says_where_to_free_space(tmp_path):
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    with pytest.raises(OverreadError, match=rf"disk is full: events.jsonl could not be written on\.(?s:.*)space in {tmp_path}"):
        EventLog(tmp_path / "events.jsonl").write("started", run="first")


@pytest.mark.parametrize("what", ["the line", "its place"])
def test_a_ledger_on_a_full_disk_stays_as_it_was(tmp_path, monkeypatch, what):
    made = ledger(tmp_path)
    before = made.path.read_bytes()

    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync", full) if what == "the line" else (files, "_sync", full)))
    message = rf"disk is full: ledger.jsonl could not be written; no entry was made(?s:.*)free space in {tmp_path}, then run"
    with pytest.raises(OverreadError, match=message):
        made.append("opening", number=3)
    monkeypatch.undo()
    assert made.path.read_bytes() == before
    made.append("opening", number=3)
    assert [e["number"] for e in made.entries()] == [0, 1, 2, 3]


def test_a_line_that_was_only_partly_written_is_taken_back(tmp_path):
    made = ledger(tmp_path)
    before = made.path.read_bytes()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, unlimited[1]))  # as a disk that is full after 20 bytes
    try:
        with pytest.raises(OSError, match="File too large"):
            made.append("opening", number=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert made.path.read_bytes() == before


def test_another_fault_of_the_disk_keeps_its_name(tmp_path):
    with pytest.raises(IsADirectoryError):
        EventLog(tmp_path).write("started", run="first")


# ---------------------------------------------------------------- the curve that counts


def test_steps_taken_again_after_a_kill_count_once(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    for epoch in range(1, 11):
        log.write("epoch", epoch=epoch, step=10 * epoch, loss=1.0)
    log.write("adapted", what="steps", step=95)
    log.write("resumed", step=70, epoch=7)
    for epoch in range(8, 13):
        log.write("epoch", epoch=epoch, step=10 * epoch, loss=0.5)
    curve = settled(read_events(log.path))
    assert [(e["epoch"], e["loss"]) for e in curve if e["event"] == "epoch"] == [
        *((epoch, 1.0) for epoch in range(1, 8)),
        *((epoch, 0.5) for epoch in range(8, 13)),
    ]
    assert [e["event"] for e in curve if e["event"] != "epoch"] == ["resumed"]


def test_a_run_that_was_stopped_politely_loses_nothing():
    events = [{"event": "epoch", "step": 5}, {"event": "stopped", "step": 5}, {"event": "resumed", "step": 5}]
    assert settled(events) == events


# ---------------------------------------------------------------- a run that was refused


def test_a_refused_run_leaves_no_folder(tmp_path):
    run = RunFolder(tmp_path / "runs" / "dense" / "fold-2")
    with pytest.raises(OverreadError, match="refused"), run.locked():
        raise OverreadError("refused")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_run_with_anything_in_it_stays(tmp_path):
    run = RunFolder(tmp_path / "dense")
    with run.locked():
        run.plan.write_text("format = 1\n")
    assert sorted(path.name for path in run.path.iterdir()) == [".lock", "plan.toml"]
