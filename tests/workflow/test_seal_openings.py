"""After the opening: the first result stands, corrections are weighed, and a ledger that was touched shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from overread.cli.main import main
from overread.cli.scores import describe
from overread.cohort.index import read_splits, write_splits
from overread.cohort.seal import read_truths, truths_path, write_truths
from overread.cohort.store import store
from overread.core.errors import OverreadError
from overread.record.files import read_json, write_json
from overread.record.ledger import Ledger
from overread.workflow.evaluate import evaluate
from overread.workflow.project import Project
from overread.workflow.report import report
from overread.workflow.scoring.ledger_check import verify
from overread.workflow.update import update
from workflow.test_external import DECLARED, answers, home


@pytest.fixture
def opened(tmp_path: Path) -> Project:
    """A project whose internal test was opened once."""
    project = home(tmp_path)
    answers(project, "tuning", noise=0.05)
    answers(project, "internal", noise=0.25)
    evaluate(project, "first", "internal", declare=DECLARED, panels=False)
    return project


def originals(project: Project) -> dict[str, str]:
    rows = (project.path / "cohort" / "private" / "link.csv").read_text().splitlines()[1:]
    return {row.split(",")[0]: row.split(",")[3] for row in rows}


def correct(project: Project, tmp_path: Path, cases: list[str]) -> None:
    """Turn the label of these cases round in the sheet."""
    names = originals(project)
    sheet = tmp_path / "home" / "labels.csv"
    turned = {"ill": "well", "well": "ill"}
    lines = [line.split(",") for line in sheet.read_text().splitlines()]
    wanted = {names[case] for case in cases}
    sheet.write_text("\n".join(",".join([r[0], r[1], turned[r[2]] if r[0] in wanted else r[2], *r[3:]]) for r in lines) + "\n")


def by_patient(rows: list[dict]) -> tuple[list[str], list[str]]:
    """Cases that the model got wrong, and cases of patients whom it got right altogether."""
    wrong = [row for row in rows if row["called"] != [row["truth"]]]
    patients = {row["patient_id"] for row in wrong}
    return [r["case_id"] for r in wrong], [r["case_id"] for r in rows if r["patient_id"] not in patients]


def test_the_first_result_stays_and_stands_first(opened: Project) -> None:
    result = read_json(opened.run("first").evaluation("internal"))
    kept = opened.run("first").path / "openings" / "internal-1.json"
    assert read_json(kept) == result
    assert result["earlier"] == []
    (entry,) = [e for e in opened.ledger.entries() if e["entry"] == "result"]
    assert entry["opening"] == result["opening"]["hash"]
    assert entry["interval"]["estimate"] == next(s for s in result["scores"] if s["role"] == "primary")["interval"]["estimate"]
    again = evaluate(opened, "first", "internal", declare=DECLARED, panels=False)
    assert again["correction"] is None
    assert again["earlier"][0]["interval"] == entry["interval"]
    assert "Note: First result of this test" in describe(again)
    assert (again["opening"]["number"], kept.exists()) == (2, True)
    verify(opened)


def test_truths_corrected_only_where_the_model_was_wrong_are_seen(opened: Project, tmp_path: Path, capsys) -> None:
    before = read_json(opened.run("first").evaluation("internal"))
    cases, _ = by_patient(before["cases"])
    assert cases
    correct(opened, tmp_path, cases)
    assert main(["update", str(opened.path), "--reason", "second look by Dr. N."]) == 0
    said = capsys.readouterr().out
    assert "WARNING: The truths of" in said
    assert opened.ledger.entries()[-1]["reason"] == "second look by Dr. N."
    after = evaluate(opened, "first", "internal", declare=DECLARED, panels=False)
    check = after["correction"]
    assert (check["n_corrected"], check["right"]["corrected"], check["is_one_sided"]) == (len(cases), 0, True)
    assert after["notes"][0].startswith("First result of this test")
    assert after["notes"][1].startswith("WARNING: The truths of")
    primary = next(s for s in after["scores"] if s["role"] == "primary")
    assert after["earlier"][0]["interval"]["estimate"] < primary["interval"]["estimate"]


def test_corrections_on_both_sides_are_told_without_a_warning(opened: Project, tmp_path: Path) -> None:
    wrong, right = by_patient(read_json(opened.run("first").evaluation("internal"))["cases"])
    correct(opened, tmp_path, [wrong[0], *right[:4]])
    lines = str(update(opened.path).summary)
    assert "were corrected after the test had been opened" in lines
    assert "WARNING: The truths" not in lines


def test_corrections_before_any_opening_are_nobodys_business(tmp_path: Path) -> None:
    project = home(tmp_path)
    correct(project, tmp_path, [project.cohort().of("internal")[0].case_id])
    assert "after the test had been opened" not in str(update(project.path).summary)


def test_a_first_result_that_is_gone_is_said(opened: Project, tmp_path: Path) -> None:
    rows = read_json(opened.run("first").evaluation("internal"))["cases"]
    correct(opened, tmp_path, [rows[0]["case_id"]])
    update(opened.path)
    (opened.run("first").path / "openings" / "internal-1.json").unlink()
    after = evaluate(opened, "first", "internal", declare=DECLARED, panels=False)
    assert after["earlier"][0]["interval"] is not None, "the ledger still has it"
    assert "cannot be told" in after["notes"][1]


# ---- tampering --------------------------------------------------------------------------------------


def test_a_whole_ledger_verifies(opened: Project, capsys) -> None:
    assert main(["ledger", "verify", str(opened.path)]) == 0
    assert "1 openings; 1 results" in capsys.readouterr().out


def cut(path: Path, lines: int) -> list[str]:
    """Take the last lines off; gives what is left."""
    left = path.read_text().splitlines()[:-lines]
    path.write_text("".join(f"{line}\n" for line in left))
    return left


def test_a_cut_end_is_seen(opened: Project) -> None:
    cut(opened.ledger.path, 2)
    with pytest.raises(OverreadError, match="has 1 lines and had 3: its end was cut off"):
        opened.ledger.entries()
    with pytest.raises(OverreadError, match="cut off"):
        evaluate(opened, "first", "internal", declare=DECLARED, panels=False)


def test_a_ledger_that_is_gone_is_seen(opened: Project) -> None:
    opened.ledger.path.unlink()
    with pytest.raises(OverreadError, match="has 0 lines and had 3"):
        verify(opened)
    opened.ledger.head_path.unlink()
    with pytest.raises(OverreadError, match=r"ledger.jsonl is missing(?s:.*)names the opening"):
        verify(opened)


def test_a_cut_end_with_a_mended_head_is_seen_by_what_it_left_behind(opened: Project) -> None:
    left = cut(opened.ledger.path, 2)
    write_json(opened.ledger.head_path, {"entries": len(left), "hash": json.loads(left[-1])["hash"]})
    opened.ledger.entries()  # in itself it is whole
    with pytest.raises(OverreadError, match=r"evaluation-internal.json names the opening sha256:(?s:.*)not in the ledger"):
        verify(opened)


def test_a_ledger_written_anew_is_seen(opened: Project) -> None:
    first = opened.ledger.entries()[0]
    opened.ledger.path.unlink()
    opened.ledger.head_path.unlink()
    again = Ledger(opened.ledger.path)
    again.append("sealed", cohort=first["cohort"], splits=first["splits"])
    with pytest.raises(OverreadError, match="does not fit the project"):
        verify(opened)


def test_a_changed_result_is_seen(opened: Project) -> None:
    path = opened.run("first").path / "openings" / "internal-1.json"
    write_json(path, {**read_json(path), "n_cases": 999})
    with pytest.raises(OverreadError, match=r"openings/internal-1.json was changed"):
        verify(opened)


def test_other_splits_than_the_ledger_names_are_seen(opened: Project) -> None:
    splits = read_splits(opened.path)
    moved = next(c for c, p in splits["partition"].items() if p == "training")
    write_splits(opened.path, {**splits, "partition": {**splits["partition"], moved: "internal"}})
    with pytest.raises(OverreadError, match=r"splits.json is not the one that the ledger names"):
        verify(opened)


def test_sealed_truths_that_were_changed_are_not_opened(opened: Project) -> None:
    path = truths_path(opened.path, "internal")
    truths = read_truths(path)
    case = min(truths)
    write_truths(path, {**truths, case: replace(truths[case], values={"ill": 0.5, "well": 0.5})})
    with pytest.raises(OverreadError, match=r"cohort/sealed/internal.parquet was changed after it was sealed"):
        verify(opened)
    with pytest.raises(OverreadError, match=r"internal.parquet are not those that were sealed(?s:.*)overread update"):
        evaluate(opened, "first", "internal", declare=DECLARED, panels=False)
    assert opened.ledger.entries()[-1]["entry"] == "opening", "the attempt is counted"


def test_without_a_ledger_nothing_is_opened_or_claimed(opened: Project, capsys: pytest.CaptureFixture[str]) -> None:
    opened.ledger.path.unlink()
    opened.ledger.head_path.unlink()
    with pytest.raises(OverreadError, match=r"ledger.jsonl is missing or empty(?s:.*)restore"):
        evaluate(opened, "first", "internal", declare=DECLARED, panels=False)
    with pytest.raises(OverreadError, match=r"ledger.jsonl is missing or empty"):
        report(opened, "first")
    assert main(["ledger", str(opened.path)]) == 2
    assert "nobody can say how often the test was opened" in capsys.readouterr().err
    assert not opened.ledger.path.exists()


def test_an_opening_during_an_update_is_not_lost(opened: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    correct(opened, tmp_path, [opened.cohort().of("training")[0].case_id])
    before = opened.ledger.entries()

    def open_meanwhile(*given, **options):
        opened.ledger.append("opening", counted_by="partition", partition="internal")
        return store(*given, **options)

    monkeypatch.setattr("overread.workflow.update.store", open_meanwhile)
    with pytest.raises(OverreadError, match="ledger was written to while the cohort was being updated"):
        update(opened.path)
    assert [e["entry"] for e in opened.ledger.entries()] == [*(e["entry"] for e in before), "opening"]
    assert len(opened.ledger.entries()) == len(before) + 1
    monkeypatch.undo()
    update(opened.path)
    assert opened.ledger.entries()[-1]["entry"] == "updated"
