"""Checklist, draft, limitations, cards: what the record knows, no more; and the author's answers survive."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from overread.core.errors import OverreadError
from overread.reporting.checklists.claim import AUTHOR, FILLED, NOT_APPLICABLE, STATUSES, as_csv, claim_csv, claim_rows, tally
from overread.reporting.checklists.items import ITEMS
from overread.reporting.checklists.mappings import STARD_NOTE, mapped_csv, stard_rows, tripod_rows
from overread.reporting.given import ReportInput
from overread.reporting.paper.answers import keep_answers, questions
from overread.reporting.paper.cards import NEEDS, data_card, model_card
from overread.reporting.paper.carried_over import fallen
from overread.reporting.paper.limitations import corrected_after_opening, limitations
from overread.reporting.paper.methods import as_text
from overread.reporting.proportions import counted, in_words, percent
from overread.reporting.report import render
from reporting import fakes

COMPLETE = fakes.complete()
PLAIN = fakes.classification()
BARE = ReportInput(
    title="t", run="r", created="today", question=PLAIN.question, settings={}, plan={}, events={}, evaluations={},
    flow=[], partitions=[], ledger=[], provenance={"versions": {}, "machine": {}, "seed": 0, "hashes": {}, "commands": []},
)  # fmt: skip


def test_the_44_items_are_in_order() -> None:
    assert [item.number for item in ITEMS] == list(range(1, 45))
    assert [row.item.number for row in claim_rows(BARE)] == list(range(1, 45))


def test_an_empty_record_fills_nothing() -> None:
    rows = claim_rows(BARE)
    assert not [row.item.number for row in rows if row.status == FILLED]
    assert not [row.item.number for row in rows if row.status == FILLED and not row.proof]


@pytest.mark.parametrize("given", [PLAIN, COMPLETE, fakes.segmentation(), fakes.regression()])
def test_what_is_filled_is_told_and_proven(given: ReportInput) -> None:
    for row in claim_rows(given):
        assert row.status in STATUSES
        if row.status == FILLED:
            assert row.record or row.answer, row.item.number
            assert row.proof, row.item.number


def test_a_complete_record_fills_the_automatic_items_and_no_other() -> None:
    rows = {row.item.number: row for row in claim_rows(replace(COMPLETE, answers={}))}
    filled = {number for number, row in rows.items() if row.status == FILLED}
    assert {9, 13, 19, 20, 22, 23, 25, 26, 29, 32, 37, 38} <= filled
    assert {27, 31} == {number for number, row in rows.items() if row.status == NOT_APPLICABLE}
    assert filled.isdisjoint({1, 2, 3, 5, 7, 8, 11, 14, 15, 17, 18, 34, 40, 41, 44}), "only the author knows these"


def test_nothing_is_claimed_that_is_not_known() -> None:
    rows = {row.item.number: row for row in claim_rows(fakes.regression())}
    assert rows[20].status == AUTHOR
    assert "patients were not identified" in rows[20].record
    assert rows[32].status == AUTHOR, "the internal test was not evaluated"
    assert rows[37].status == AUTHOR
    assert "Subgroups were not examined" in rows[37].record
    leaking = replace(PLAIN, ledger=[{"entry": "leak accepted", "time": "2031-01-01", "leaks": [{"kind": "patient"}]}])
    told = {row.item.number: row.record for row in claim_rows(leaking)}
    assert told[20].startswith("Not apart: 1 leak between partitions")


def test_answers_settle_items() -> None:
    rows = {row.item.number: row for row in claim_rows(COMPLETE)}
    assert rows[5].status == FILLED
    assert rows[5].proof == ("claim.toml: claim.5",)
    assert rows[34].status == NOT_APPLICABLE
    assert "filled" in tally(rows.values())


def test_the_answers_are_written_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "claim.toml"
    empty = keep_answers(path)
    assert set(empty) == {asked.name for asked in questions()}
    assert not any(empty.values())
    text = path.read_text(encoding="utf-8")
    assert text.count("answer = ") == len(questions())
    mine = text.replace('[study.ethics]\nanswer = ""', '[study.ethics]\nanswer = "31-007"  # ours')
    path.write_text(mine, encoding="utf-8")
    assert keep_answers(path)["study.ethics"] == "31-007"
    assert path.read_text(encoding="utf-8") == mine, "not a byte is changed"


def test_new_questions_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "claim.toml"
    path.write_text('# mine\n[study.ethics]\nanswer = "31-007"', encoding="utf-8")
    assert keep_answers(path)["study.ethics"] == "31-007"
    text = path.read_text(encoding="utf-8")
    assert text.startswith('# mine\n[study.ethics]\nanswer = "31-007"\n')
    assert text.count("[study.ethics]") == 1
    assert keep_answers(path)["study.ethics"] == "31-007"
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("wrong", ['[study.ethics]\nanswer = "a', "[study.ethics]\nanswer = 3\n", "study = 1\n"])
def test_a_damaged_file_of_answers_is_named_and_left_alone(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "claim.toml"
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(OverreadError, match=r"claim\.toml"):
        keep_answers(path)
    assert path.read_text(encoding="utf-8") == wrong


def test_a_file_of_answers_from_another_editor(tmp_path: Path) -> None:
    path = tmp_path / "claim.toml"
    path.write_bytes("\ufeff[study.ethics]\nanswer = 'Ethikkommission Köln'\n".encode())
    assert keep_answers(path)["study.ethics"] == "Ethikkommission Köln"
    path.write_bytes("[study.ethics]\nanswer = 'Köln'\n".encode("latin-1"))
    with pytest.raises(OverreadError, match=r"not written in UTF-8(?s:.*)save it as UTF-8"):
        keep_answers(path)


def test_the_checklist_as_csv() -> None:
    rows = list(csv.reader(io.StringIO(claim_csv(claim_rows(COMPLETE)))))
    assert len(rows) == 46
    assert rows[5][3:6] == ["filled", "", "Retrospective study"]
    assert as_csv(("a",), [("=1+1",), (-2,)]) == "a\n'=1+1\n-2\n", "no cell becomes a formula"


def test_the_other_checklists_follow_claim() -> None:
    rows = claim_rows(COMPLETE)
    stard = {row.number: row for row in stard_rows(rows, dict(COMPLETE.answers))}
    assert stard["5"].status == FILLED
    assert stard["22"].status == AUTHOR, "the interval between the tests is not stated"
    assert stard["28"].status == NOT_APPLICABLE
    assert stard["25"].status == AUTHOR
    tripod = {row.number: row for row in tripod_rows(rows, dict(COMPLETE.answers))}
    assert len(tripod) == 27
    assert tripod["17"].status == FILLED
    assert tripod["18"].status == AUTHOR, "as unsettled as its least settled part"
    assert STARD_NOTE in mapped_csv(list(stard.values()), STARD_NOTE)


def test_proportions_are_printed_as_papers_do() -> None:
    interval = {"estimate": 0.92, "low": 0.812, "high": 0.968, "method": "Wilson", "n_cases": 50, "level": 0.95}
    assert in_words({"interval": interval}) == "92 % (46 of 50; 95 % CI 81 to 97)"
    assert counted({"interval": {**interval, "method": "DeLong"}}) is None
    assert counted({"interval": {**interval, "n_cases": 51}}) is None, "no whole number of cases: not a plain share"
    alarms = {**interval, "estimate": 4.487179, "low": 2.19, "high": 8.97, "n_cases": 156}
    assert in_words({"interval": alarms, "unit": "per 100 exams"}) == "4.5 per 100 exams (95 % CI 2.2 to 9.0)"
    assert percent(0.9999, 20000) == "99.99"
    assert percent(1.0, 20) == "100"
    assert in_words({"interval": {**interval, "method": "DeLong"}}) == "0.92 (95 % CI 0.81 to 0.97)"
    narrow = {**interval, "estimate": 0.8829, "low": 0.8777, "high": 0.8889, "method": "bootstrap"}
    assert in_words({"interval": narrow}) == "0.883 (95 % CI 0.878 to 0.889)", "not 0.88 (0.88 to 0.89)"
    small = {**interval, "estimate": 0.0259, "low": 0.012, "high": 0.12, "method": "MOVER-R"}
    assert in_words({"interval": small}) == "0.026 (95 % CI 0.012 to 0.120)"
    volume = {**interval, "estimate": -0.01, "low": -0.2, "high": 0.3, "method": "bootstrap"}
    assert in_words({"interval": volume, "unit": "ml"}) == "0.0 ml (95 % CI -0.2 to 0.3)", "no minus before nothing"
    none = {**interval, "low": None, "high": None, "method": "DeLong", "reason": "one patient"}
    assert in_words({"interval": none}) == "0.92 (no interval: one patient)"


def test_the_draft_holds_the_record_and_marks_every_gap() -> None:
    text = as_text(COMPLETE)
    for fact in (
        "training, 240 cases of 171 patients",
        "Excluded were 32: localizer (15)",
        "Ethics committee of the North, 31-007.",
        "opened once",
        "83 % (70 of 84; 95 % CI 75 to 91)",
        "On the external test, north (84 cases of 61 patients): The area under the ROC curve (AUC) for metastasis was",
        "Limitations\nThe reference standard of 1 case was corrected",
        "Metastasis was called from a probability of 0.350",
        "[NOT STATED: consent (study.consent)]",
    ):
        assert fact in text, fact
    assert "ethics approval" not in text.replace("Ethics", ""), "answered, so no gap"
    assert "validation" not in text
    assert "None" not in as_text(BARE)
    assert "no plan was recorded" in as_text(BARE)


def test_patients_are_not_counted_where_nobody_knows_them() -> None:
    assert "42 cases (patients not identified)" in as_text(fakes.regression())
    assert "42 patients" not in as_text(fakes.regression())


def test_limitations_follow_from_the_record() -> None:
    found = {limit.because: limit.sentence for limit in limitations(COMPLETE)}
    assert "versions of the cohort" in found, "a truth was corrected after the opening"
    assert corrected_after_opening(COMPLETE) == 1
    assert "no external evaluation" not in found
    assert "no subgroups" not in found
    assert found["audit: border"] == "Borders alone tell the label."
    plain = {limit.because for limit in limitations(PLAIN)}
    assert {"no external evaluation", "no subgroups", "no audit", "claim.toml: study.interval"} <= plain
    assert "no patient identifier" in {limit.because for limit in limitations(fakes.regression())}
    assert limitations(fakes.segmentation())[0].because == "phantom"
    twice = replace(PLAIN, ledger=[*PLAIN.ledger, *PLAIN.ledger])
    assert "ledger: 2 openings" in {limit.because for limit in limitations(twice)}
    elsewhere = replace(PLAIN, ledger=[*PLAIN.ledger, {**PLAIN.ledger[0], "partition": "external:north"}])
    assert not [limit for limit in limitations(elsewhere) if "openings" in limit.because]


def _with_internal(**changes: object) -> ReportInput:
    return replace(PLAIN, evaluations={**PLAIN.evaluations, "internal": {**PLAIN.evaluations["internal"], **changes}})


def _score(metric: str, estimate: float, half: float, name: str = "", **more: str) -> dict:
    return fakes.score(metric, name or metric, "metastasis", estimate, half, **more)


def test_what_held_on_tuning_cases_and_not_in_the_test_is_a_limitation_and_stands_at_the_head() -> None:
    tuning = [_score("auc", 0.99, 0.005, role="tuning"), _score("specificity", 0.98, 0.01, role="tuning")]
    tested = [_score("auc", 0.94, 0.02, role="primary"), _score("specificity", 0.6, 0.06), _score("f1", 0.5, 0.01)]
    given = _with_internal(scores=tested)
    given = replace(
        given,
        evaluations={
            **given.evaluations,
            "tuning": {**PLAIN.evaluations["tuning"], "scores": [*tuning, _score("f1", 0.9, 0.01)]},
        },
    )
    (limit,) = [x for x in limitations(given) if x.because == "tuning cases against the internal test"]
    assert "auc for metastasis 0.990 (95 % CI 0.985 to 0.995) on tuning cases, 0.940 (95 % CI" in limit.sentence
    assert "specificity for metastasis 0.980" in limit.sentence
    assert "f1" not in limit.sentence, "exploratory: not told here"
    assert "Lower than on tuning cases:" in render(given)
    same = replace(given, evaluations={**given.evaluations, "tuning": {**given.evaluations["tuning"], "scores": tested}})
    assert "Lower than on tuning cases:" not in render(same)
    folds = _with_internal(scores=tested, folds=[{"fold": 0, "scores": []}])
    folds = replace(folds, evaluations={**given.evaluations, "internal": folds.evaluations["internal"]})
    assert fallen(folds.evaluations) == "", "the tuning cases of a fold are test cases of another"


def test_probabilities_and_sets_that_did_not_hold_are_limitations() -> None:
    slope = _score("calibration_slope", 0.7, 0.1, name="Calibration slope", better="none")
    coverage = "Truth inside the stated set, stated share 90 %, of cases of metastasis"
    few = _score("conformal_coverage", 0.4, 0.06, name=coverage, better="none", method="Wilson")
    found = {x.because: x.sentence for x in limitations(_with_internal(scores=[slope, few]))}
    assert "Calibration slope for metastasis 0.70 (95 % CI 0.60 to 0.80), ideal 1" in found["calibration"]
    assert "where 90 % was stated" in found["coverage"]
    slope["interval"] |= {"low": 0.6, "high": 1.1}
    few["interval"] |= {"low": 0.8, "high": 0.95}
    assert {"calibration", "coverage"}.isdisjoint(x.because for x in limitations(_with_internal(scores=[slope, few])))


def test_sampling_that_nobody_stated_is_a_limitation() -> None:
    unknown = _with_internal(sampling={"sampling": "unknown"})
    assert "sampling: unknown" in {x.because for x in limitations(unknown)}
    answered = replace(unknown, answers={"study.sampling": "consecutive"})
    assert "sampling: unknown" not in {x.because for x in limitations(answered)}


def test_a_hypothesis_without_a_margin_is_not_decided() -> None:
    opening = PLAIN.evaluations["internal"]["opening"]
    assert "its whole interval had to clear 0.85." in as_text(PLAIN)
    assert "No margin was declared." not in render(PLAIN)
    without = _with_internal(opening={**opening, "margin": None, "endpoint_met": None})
    assert "no margin was set for it, so the result is an estimate and decides nothing." in as_text(without)
    assert "The hypothesis is neither confirmed nor refuted" in render(without)


def test_what_an_audit_doubts_is_not_called_apart() -> None:
    leak = {"key": "siblings", "subject": "leak", "severity": "warning", "statement": "Two cases seem to come from one scan."}
    row = claim_rows(replace(COMPLETE, audit={**COMPLETE.audit, "concerns": [leak]}))[19]
    assert (row.status, row.record) == (AUTHOR, "The audit doubts it: Two cases seem to come from one scan.")
    sizes = {"acquisition": {"rows": [{"column": "rows"}, {"column": "columns"}]}}
    row = claim_rows(replace(COMPLETE, audit={"concerns": [], "tables": sizes}))[12]
    assert row.status == AUTHOR, "the size of an image names no scanner"
    assert claim_rows(COMPLETE)[12].status == FILLED


@pytest.mark.parametrize("given", [PLAIN, COMPLETE, fakes.segmentation(), fakes.regression(), BARE])
def test_the_cards_say_what_is_known_and_who_must_add(given: ReportInput) -> None:
    model, data = model_card(given), data_card(given)
    for card in (model, data):
        assert "Not a medical device" in card
        assert "None" not in card
        assert NEEDS in card
        assert ("PHANTOM" in card) == given.is_phantom
    assert "## Limitations and recommendations" in model
    assert "## Labels (reference standard)" in data


def test_the_cards_hold_the_answers_and_scores() -> None:
    assert "Approval: Ethics committee of the North, 31-007" in model_card(COMPLETE)
    assert "| Accuracy | all | 83 % (70 of 84; 95 % CI 75 to 91) | 84 (61) | exploratory |" in model_card(COMPLETE)
    assert "Version 2 (2032-05-04, update): 380 cases of 272 patients" in data_card(COMPLETE)
