"""Sections that appear where an evaluation holds more; figures as files; the audit's page."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from overread.audit.concern import Concern
from overread.core.grid import Grid
from overread.core.image import Image
from overread.evaluation.afterwards.corrections import correction_words
from overread.reporting.audit_page import AuditInput, AuditTable, CasePicture, render_audit, verdict, write_audit
from overread.reporting.charts.files import figures, write_figures
from overread.reporting.charts.probability import threshold_rows
from overread.reporting.charts.standalone import standalone
from overread.reporting.page import marked_gaps
from overread.reporting.paper import undone
from overread.reporting.pictures.pairs import side_by_side
from overread.reporting.report import render
from overread.reporting.sections.groups import correction_sentence
from overread.reporting.sections.results import positives_of, score_rows, voxel_rows
from reporting import fakes
from reporting.test_report_page import checked

COMPLETE = fakes.complete()
PAGE = " ".join(render(COMPLETE).split())


def test_the_complete_page_is_well_formed_and_loads_nothing() -> None:
    checker = checked(render(COMPLETE))
    assert checker.faults == []
    assert len(checker.ids) == len(set(checker.ids))
    assert {t.removeprefix("#") for t in checker.targets} <= set(checker.ids)
    assert all(address.startswith("data:") for address in checker.loads)


@pytest.mark.parametrize(
    "words",
    [
        "Subgroups</h4>",
        "Sex: the area under the ROC curve is worst in &#39;M&#39;",
        "too few to say: 4 patients, 20 are the least",
        "31 % seen, 36 % expected",
        "On the external test, north",
        "From the internal test to this place",
        "Decision curve, metastasis",
        "Earlier results of this test. The first stands",
        "0.91 (95 % CI 0.88 to 0.94); margin not met",
        "Risk against coverage",
        "Secondary: the answered cases alone (82 cases, 60 patients). 2 without an answer",
        "not possible: no case of this class",
        "after Rogan and Gladen",
        "after the seal was opened",
        "1 truth corrected",
        "Limitations, drafted",
        "Ethics committee of the North, 31-007",
        "The same told by TRIPOD+AI",
        '<span class="gapword">[NOT STATED: consent (study.consent)]</span>',
    ],
)
def test_what_the_record_holds_is_shown(words: str) -> None:
    assert words in PAGE


def test_an_older_evaluation_shows_none_of_it() -> None:
    page = render(fakes.classification())
    for words in (
        "Subgroups</h4>",
        "Decision curve",
        "Rogan",
        "Secondary",
        "Versions of the cohort",
        "external test,",
        "Earlier results",
    ):
        assert words not in page


def test_undone_follows_what_was_done() -> None:
    assert "No subgroups." not in PAGE
    assert "No external testing." not in PAGE
    assert "No search for shortcuts." not in PAGE
    assert "No comparison with readers is part of this report." in PAGE


def test_shares_are_printed_with_their_counts() -> None:
    rows = {row.name: row for row in score_rows(COMPLETE.evaluations["internal"])}
    assert (rows["Accuracy"].estimate, rows["Accuracy"].interval) == ("83 %", "75 to 91 %; 70 of 84")


def test_positives_are_counted_from_the_cases() -> None:
    assert positives_of("metastasis", COMPLETE.evaluations["internal"]) == (28, 56)
    several = {"cases": [{"truth": {"a": 1.0}}, {"truth": {"a": 0.0}}, {"truth": {"a": None}}, {"truth": None}]}
    assert positives_of("a", several) == (1, 1)


def test_gaps_are_marked_and_words_escaped() -> None:
    assert marked_gaps("<b> [NOT STATED: x]") == '&lt;b&gt; <span class="gapword">[NOT STATED: x]</span>'


@pytest.mark.parametrize("given", [COMPLETE, fakes.segmentation(), fakes.regression()])
def test_every_figure_has_its_numbers(tmp_path: Path, given: object) -> None:
    written = write_figures(tmp_path / "figures", given)  # type: ignore[arg-type]
    names = {path.name for path in written}
    pictures = {path for path in written if path.suffix == ".svg"}
    assert pictures
    for path in pictures:
        assert path.with_suffix(".csv").name in names
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))  # stands by itself
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in path.read_text(encoding="utf-8")
    assert len(names) == len(written)


def test_the_numbers_behind_a_figure_are_those_drawn(tmp_path: Path) -> None:
    made = {figure.name: figure for figure in figures(COMPLETE)}
    assert {"flow", "loss", "roc-internal-metastasis", "subgroups-internal-site", "decision-curve-internal-metastasis"} <= set(
        made
    )
    write_figures(tmp_path, COMPLETE)
    with open(tmp_path / "roc-internal-metastasis.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    curve = COMPLETE.evaluations["internal"]["curves"]["roc"]["metastasis"]
    assert [float(r["sensitivity"]) for r in rows] == curve["tpr"]


def test_figures_of_an_earlier_report_go_and_other_files_stay(tmp_path: Path) -> None:
    write_figures(tmp_path, COMPLETE)
    (tmp_path / "mine.svg").write_text("mine")
    write_figures(tmp_path, replace(COMPLETE, evaluations={}))
    assert not (tmp_path / "roc-internal-metastasis.svg").exists()
    assert (tmp_path / "flow.svg").exists()
    assert (tmp_path / "mine.svg").read_text() == "mine"


def test_a_chart_alone_carries_its_style() -> None:
    chart = '<svg class="chart" viewBox="0 0 10 20"><line class="whisker" x1="0" y1="0" x2="1" y2="1"/></svg>'
    alone = standalone(chart)
    assert 'width="10" height="20"' in alone
    assert ".whisker { stroke: #14506e; stroke-width: 1.5; }" in alone
    assert ".flow " not in alone


def _concerns() -> list[Concern]:
    return [
        Concern("rare", "labels", "note", "12 cases show it.", "m", "c", "a"),
        Concern(
            "twins", "leak", "fault", "Two <images> are one.", "Scores too good.", "Pixels agree.", "Remove one.",
            {"distance": 0.012, "by_flip": {"none": 3}}, [("C-0001", "C-0002"), ("C-0003", "C-0004")], ("training", "internal"),
        ),
    ]  # fmt: skip


def _picture() -> bytes:
    grid = Grid.from_spacing((1, 40, 50), spacing_known=False, is_planar=True)
    film = np.random.default_rng(0).normal(size=(1, 1, 40, 50)).astype(np.float32)
    volume = Image(np.zeros((1, 6, 30, 20), np.float32), Grid.from_spacing((6, 30, 20), (3.0, 1.0, 1.0)))
    return side_by_side([("C-0001, training", Image(film, grid)), ("C-0002, internal test", volume)], title="x", is_phantom=True)


def test_the_audit_puts_faults_first(tmp_path: Path) -> None:
    pictures = [CasePicture("twins", _picture(), "beside each other", ("C-0001", "C-0002")), CasePicture("rare", b"x", "other")]
    table = AuditTable(
        "Probes", ("probe", "AUC", "verdict"), [("borders", 0.91, "tells"), ("headers", None, "no")], "note", "shortcut"
    )
    given = AuditInput("phantom", "today", [("Cases", "20")], _concerns(), [("masks", "No masks")], [table], pictures, True)
    page = write_audit(tmp_path / "audit.html", given).read_text(encoding="utf-8")
    checker = checked(page)
    assert checker.faults == []
    assert {t.removeprefix("#") for t in checker.targets} <= set(checker.ids)
    assert all(address.startswith("data:") for address in checker.loads)
    assert page.index("Two &lt;images&gt; are one.") < page.index("12 cases show it.")
    for words in (
        "1 fault and 1 note",
        "C-0001, C-0002",
        "training, internal test",
        "0.012",
        "none: 3",
        "0.910",
        "–",
        "PHANTOM",
        "No masks",
    ):
        assert words in page, words
    assert page.count("data:image/png") == 2


def test_an_audit_without_findings_does_not_promise_too_much() -> None:
    page = render_audit(AuditInput("a", "today", [], []))
    assert verdict([]) == "Nothing was found by what was looked for."
    assert "what it does not find may still be there" in page
    assert checked(page).faults == []


def test_pictures_go_to_the_concern_that_names_their_cases() -> None:
    first, second = (Concern("k", "leak", "fault", f"s{n}", "m", "c", "a", cases=[(f"C-{n}", "C-9")]) for n in (1, 2))
    page = render_audit(AuditInput("a", "today", [], [first, second], pictures=[CasePicture("k", b"x", "seen", ("C-2",))]))
    assert page.count("data:image/png") == 1
    assert page.index(">S2</h3>") < page.index("data:image/png")


def test_evidence_is_told_shortly() -> None:
    area = fakes.score("auc", "", "", 0.64)["interval"]
    evidence = {"area": area, "ranked": [{"case_id": "C-1"}] * 41, "values": list(range(30)), "few": [1, 2]}
    concern = Concern("k", "leak", "note", "s", "m", "c", "a", evidence)
    page = render_audit(AuditInput("a", "2031-05-04T10:11:12+00:00", [("internal", "9")], [concern]))
    for words in (
        "0.64 (95 % CI 0.61 to 0.67), bootstrap",
        "41 rows in audit.json",
        "30 rows in audit.json",
        "1 × 2",
        "Internal test",
    ):
        assert words in page, words
    assert "written 2031-05-04</p>" in page


def test_many_groups_are_counted_not_listed() -> None:
    groups = [(f"C-{n}", f"D-{n}") for n in range(50)]
    page = render_audit(AuditInput("a", "today", [], [Concern("k", "leak", "fault", "s", "m", "c", "a", cases=groups)]))
    assert "and 38 more, in audit.json" in page


OPENED = {"entry": "opening", "hash": "sha256:aa", "time": "2031-05-02T08:00:00+00:00"}


def test_openings_elsewhere_are_not_openings_of_the_internal_test() -> None:
    ledger = [
        {**OPENED, "partition": "internal"},
        {**OPENED, "partition": "external:north"},
        {**OPENED, "partition": "external:north"},
    ]
    assert undone.times_opened(ledger) == 1
    assert len(undone.test_openings(ledger)) == 1


def test_corrections_after_the_opening_stand_with_the_results() -> None:
    check = {
        "n_corrected": 3, "n_cases": 40, "n_patients": 38, "wrong": {"patients": 6, "corrected": 3},
        "right": {"patients": 32, "corrected": 0}, "what_is_wrong": "a call that differs from the truth", "p_value": 0.002,
        "method": "Fisher's exact test, one-sided, by patient", "is_one_sided": True,
    }  # fmt: skip
    internal = {**COMPLETE.evaluations["internal"], "correction": check, "notes": [correction_words(check), "kept"]}
    page = render(replace(COMPLETE, evaluations={**COMPLETE.evaluations, "internal": internal}))
    assert page.count("It looks as if only cases on which model and truth disagreed") == 1
    assert "<li>kept</li>" in page
    lost = {"n_corrected": 2, "unknown": "openings/internal-1.json is missing or was changed"}
    assert "cannot be told: openings/internal-1.json" in correction_sentence({"correction": lost})
    assert correction_sentence({}) == ""


def test_a_threshold_that_the_cases_did_not_support_is_marked() -> None:
    point = {**COMPLETE.evaluations["internal"]["operating_points"][0], "is_supported": False, "needed": 149}
    internal = {**COMPLETE.evaluations["internal"], "operating_points": [point]}
    page = render(replace(COMPLETE, evaluations={**COMPLETE.evaluations, "internal": internal}))
    assert "not supported: these cases could not show that the aim is reached" in page
    assert "about 149 patients of that kind" in page
    assert "not supported: these cases" not in PAGE


def test_an_enriched_sample_keeps_its_thresholds_without_predictive_values() -> None:
    internal = COMPLETE.evaluations["internal"]
    curves = {**internal["curves"], "pr": {}, "calibration": {}}
    enriched = {**internal, "curves": curves, "sampling": {"sampling": "enriched", "prevalence": {}}}
    page = render(replace(COMPLETE, evaluations={"internal": enriched}))
    assert "Some thresholds, counts by case. The sample is enriched" in page
    rows = threshold_rows(curves["roc"]["metastasis"], 28, 56, is_enriched=True)
    assert rows
    assert {row[3:] for row in rows} == {("–", "–")}
    assert '"enriched": true' in page


FITTED = {
    "seed": 0, "versions": {"overread": "0"}, "fold": None, "chosen": "random forest, trees 500", "model": "sha256:cc",
    "features": 218, "cases": {"training": 37, "tuning": 9, "internal": 11},
    "tried": [{"model": "random forest", "setting": "trees 500", "loss": 0.2},
              {"model": "logistic regression", "setting": "penalty 1",
               "loss": 0.4}],
}  # fmt: skip


def test_a_baseline_is_not_told_as_a_training() -> None:
    page = render(replace(COMPLETE, fitted=FITTED, plan={}, events={"": []}))
    assert "No network was trained. 218 hand-made features" in page
    assert "epochs" not in page[page.index('id="training"') : page.index('id="results"')]
    assert page.index("Random forest") < page.index("Logistic regression"), "the one that was kept comes first"


def test_a_network_stands_beside_the_baseline() -> None:
    internal = COMPLETE.evaluations["internal"]
    score = internal["scores"][0]
    pair = {
        "metric": score["metric"], "subject": score["subject"], "difference": fakes.score("x", "", "", 0.05)["interval"],
        "p": 0.0004, "sentence": "The network is better.",
    }  # fmt: skip
    beside = {"baseline": "baseline", "chosen": "random forest", "reference": internal["scores"], "model": internal["scores"]}
    page = render(replace(COMPLETE, beside={"internal": {**beside, "comparisons": [pair], "reason": ""}}))
    for words in ("What does deep learning add?", "The network is better.", "&lt; 0.001", "not tested"):
        assert words in page, words
    unpaired = render(replace(COMPLETE, beside={"internal": {**beside, "comparisons": [], "reason": "other cases"}}))
    assert "They could not be paired: other cases" in unpaired


def test_an_external_result_is_told_at_the_head_and_drawn() -> None:
    assert "<strong>External test, north:</strong>" in PAGE
    assert "External test, north" not in render(fakes.classification())


def test_of_an_external_result_what_was_declared_stands_first_and_the_rest_is_folded() -> None:
    place = PAGE.index("From the internal test to this place")
    folded = PAGE.index("The other differences (1), of scores that nobody declared")
    assert place < PAGE.index("AUC<span", place) < folded < PAGE.index("F1</th>", folded)
    assert "F1</th>" not in PAGE[place:folded]


def test_changes_on_the_way_are_told_once_for_each_thing() -> None:
    changes = [
        {"event": "adapted", "what": "steps", "from": a, "to": b, "why": "the time budget"} for a, b in ((200, 900), (900, 700))
    ]
    events = {"": [*COMPLETE.events[""], *changes, {"event": "adapted", "what": "batch", "from": 8, "to": 4, "why": "memory"}]}
    page = render(replace(COMPLETE, events=events))
    assert "Adapted on the way: steps from 200 to 700, in 2 changes (the time budget); batch from 8 to 4 (memory)." in page


def test_a_name_that_ends_with_its_class_does_not_say_it_twice() -> None:
    twice = fakes.score("conformal_coverage", "Truth inside the set, of cases of well", "well", 0.9)
    assert [row.subject for row in score_rows({"scores": [twice, fakes.score("auc", "AUC", "well", 0.9)]})] == ["", "well"]


def test_no_minus_stands_before_nothing() -> None:
    (row,) = score_rows({"scores": [fakes.score("bias", "Volume error", "liver", 0.0, 0.001, unit="ml")]})
    assert (row.estimate, row.interval) == ("0.00", "0.00 to 0.00")


def test_scores_of_voxels_have_a_table_of_their_own_unless_declared() -> None:
    scores = [fakes.score("dice", "Dice", "liver", 0.9), fakes.score("voxel_ece", "Calibration error of voxels", "liver", 0.01)]
    assert [row.name for row in score_rows({"scores": scores})] == ["Dice"]
    assert [row.name for row in voxel_rows({"scores": scores})] == ["Calibration error of voxels"]
    declared = [scores[0], {**scores[1], "role": "declared"}]
    assert [row.name for row in score_rows({"scores": declared})] == ["Calibration error of voxels", "Dice"]
    assert voxel_rows({"scores": declared}) == []


def test_the_page_holds_the_scores_of_voxels_and_says_which_weights_were_kept() -> None:
    given = fakes.segmentation()
    page = render(given)
    assert "the weights of the end are kept" in page
    evaluation = given.evaluations[given.shown]
    more = {
        **evaluation,
        "scores": [*evaluation["scores"], fakes.score("voxel_ece", "Calibration error of voxels", "liver", 0.01)],
    }
    events = {name: [*told, {"event": "kept", "epoch": 7, "step": 70}] for name, told in given.events.items()}
    page = render(replace(given, evaluations={**given.evaluations, given.shown: more}, events=events))
    assert "Scores of the probabilities of voxels." in page
    assert page.index("Scores of the probabilities of voxels.") < page.index(">Calibration error of voxels<")
    assert "early stopping kept the weights of epoch 7" in page
    assert "the weights of the end are kept" not in page
