"""The edges of an evaluation of objects: nothing answered, objects given twice, one patient with nearly all, equal scores."""

import math

import numpy as np
import pytest
from PIL import Image

from evaluation.drawn_objects import PLAIN, QUESTION, boxes
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.comparing.claims import SHARES
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.endpoints import AT_THRESHOLDS, Endpoint
from overread.evaluation.comparing.paired import difference
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.objects.evaluate import evaluate_objects
from overread.evaluation.objects.found_case import found_case
from overread.evaluation.objects.rates import none_seen, of_one_patient
from overread.evaluation.results import About, evaluate
from overread.evaluation.rules import Rules
from overread.evaluation.sources.foreign_objects import read_foreign_objects
from overread.metrics.objects.rows import ROWS
from overread.metrics.table import METRICS
from overread.workflow.evaluate_answers import evaluate_answers

RULES = Rules(resamples=200)
ONE = Question("detection", ("nodule",))
HERE = ("nodule", 1.0, 10, 10, 20, 20)
MASS = ("mass", 1.0, 40, 40, 60, 60)
HEAD = "case,patient,class,x0,y0,x1,y1"


def found(truth, answer, k, question=ONE, patient=None):
    return found_case(question, f"C-{k}", f"P-{k}" if patient is None else patient, boxes(truth), boxes(answer), PLAIN)


def score(evaluated, key, subject="nodule"):
    return next(s.interval for s in evaluated.scores if s.metric.key == key and s.subject == subject)


def sheets(folder, truth, answers):
    (folder / "truth.csv").write_text("\n".join([HEAD, *truth]) + "\n")
    (folder / "answers.csv").write_text("\n".join(["case,class,score,x0,y0,x1,y1", *answers]) + "\n")
    return folder / "truth.csv", folder / "answers.csv"


def test_no_key_is_that_of_a_metric_of_cases() -> None:
    """A definition such as "sensitivity/1" names one formula."""
    assert not set(ROWS) & set(METRICS)


def test_no_false_positive_at_all_has_an_upper_end() -> None:
    """A plain loop over rates: the highest at which 20 patients without one are still likelier than 2.5 %."""
    evaluated = evaluate_objects(ONE, [found([HERE], [HERE], k) for k in range(20)], {}, RULES)
    interval = score(evaluated, "fp_per_case")
    assert (interval.estimate, interval.low) == (0, 0)
    assert math.exp(-20 * interval.high) == pytest.approx(0.025)
    assert "Poisson" in interval.method
    assert none_seen(Patients.of(["P-1", "P-1", "P-2"]), 0.95).high == pytest.approx(math.log(40) / 2)


def test_objects_of_one_patient_are_said() -> None:
    many = [("nodule", 1.0, y, x, y + 3, x + 3) for y in range(0, 90, 5) for x in range(0, 90, 5)]
    cases = [found(many, many[:200], 0), *(found([HERE], [HERE], k) for k in range(1, 6))]
    evaluated = evaluate_objects(ONE, cases, {}, RULES)
    assert "324 of 329 are of one patient: expect this interval to be too narrow" in score(evaluated, "lesion_sensitivity").reason
    even = Patients.of(["a", "a", "b", "b"])
    assert of_one_patient(score(evaluated, "lesion_sensitivity"), even).reason.count("one patient") == 1


def test_more_objects_than_coco_takes_are_said() -> None:
    many = [("nodule", 1.0, y, x, y + 3, x + 3) for y in range(0, 90, 5) for x in range(0, 90, 5)]
    evaluated = evaluate_objects(ONE, [found(many, many, 0)], {}, RULES)
    assert score(evaluated, "lesion_sensitivity").estimate == 1
    assert score(evaluated, "ap50").estimate == pytest.approx(31 / 101)  # recalls 0 to 0.30 of 100 / 324
    assert any("1 of 1 cases hold more than 100 objects of a class" in note for note in evaluated.notes)


def test_objects_given_twice_are_said() -> None:
    evaluated = evaluate_objects(ONE, [found([HERE, HERE], [HERE, HERE, HERE], k) for k in range(4)], {}, RULES)
    assert any(note.startswith("4 objects of the truth repeat another") for note in evaluated.notes)
    assert any(note.startswith("8 answers repeat another") for note in evaluated.notes)


def test_equal_scores_of_hits_and_false_positives_are_said() -> None:
    cases = [found([HERE], [HERE, ("nodule", 1.0, 70, 70, 80, 80)], k) for k in range(4)]
    assert any("nodule 100%" in note for note in evaluate_objects(ONE, cases, {}, RULES).notes)
    cases = [found([HERE], [HERE, ("nodule", 0.5, 70, 70, 80, 80)], k) for k in range(4)]
    assert not any("share their score" in note for note in evaluate_objects(ONE, cases, {}, RULES).notes)


def test_a_mean_says_which_classes_it_leaves_out() -> None:
    cases = [found([HERE, MASS], [HERE], k, QUESTION) for k in range(6)]
    evaluated = evaluate_objects(QUESTION, cases, {}, RULES)
    assert score(evaluated, "lesion_ppv", "mean").estimate == 1
    assert score(evaluated, "lesion_sensitivity", "mean").estimate == 0.5
    left = "Lesion positive predictive value: the mean over classes leaves out mass (nothing was called)."
    assert left in evaluated.notes
    assert not any(note.startswith("Lesion sensitivity: the mean") for note in evaluated.notes)


def evaluation(cases):
    return evaluate(QUESTION, cases, {}, RULES, About("answers"))


def test_a_mean_is_compared_over_the_classes_that_both_have() -> None:
    """One never calls a mass: its PPV of masses is not defined, and nothing is refused for it."""
    false = ("nodule", 0.9, 70, 70, 80, 80)
    with_mass = [found([HERE, MASS], [HERE, MASS, *([false] if k % 2 else [])], k, QUESTION) for k in range(10)]
    without = [found([HERE, MASS], [HERE], k, QUESTION) for k in range(10)]
    lined = line_up([Contender("A", (evaluation(with_mass),)), Contender("B", (evaluation(without),))])
    compared = difference(lined, Endpoint.of(QUESTION, "lesion_ppv"), 1)
    assert compared.values == pytest.approx((10 / 15, 1.0))  # of nodules alone
    assert "Left out of the mean" in compared.remark
    assert "mass (nothing was called)" in compared.remark
    whole = difference(lined, Endpoint.of(QUESTION, "lesion_sensitivity"), 1)
    assert (whole.values, whole.remark) == ((1.0, 0.5), "")


def test_a_class_that_no_run_has_leaves_nothing_to_compare() -> None:
    cases = [found([], [HERE], k, QUESTION) for k in range(6)]
    lined = line_up([Contender("A", (evaluation(cases),)), Contender("B", (evaluation(cases),))])
    with pytest.raises(OverreadError, match="froc/mean is not defined on these cases: no object in the truth"):
        difference(lined, Endpoint.of(QUESTION, "froc"), 1)


def test_shares_and_scores_at_thresholds_are_known_to_comparisons() -> None:
    assert {"froc", "wafroc", "patient_auc", "pq", "lesion_ppv"} <= set(SHARES)
    assert "fp_per_case" not in SHARES
    assert {"lesion_sensitivity", "lesion_ppv", "fp_per_case", "pq"} <= set(AT_THRESHOLDS)


def test_a_sheet_without_an_answer_is_an_answer(tmp_path) -> None:
    truth = [f"c{k},p{k},nodule,10,10,20,20" for k in range(6)]
    result = evaluate_answers(*sheets(tmp_path, truth, []), "detection", resamples=100)
    values = {s["metric"]: s["interval"] for s in result["scores"]}
    assert values["lesion_sensitivity"]["estimate"] == 0
    assert values["lesion_ppv"]["reason"] == "nothing was called"
    assert any("6 of 6 cases are not named by the answers" in note for note in result["notes"])


def test_every_case_has_one_patient(tmp_path) -> None:
    with pytest.raises(OverreadError, match="the case c0 belongs to the patients p0 and p1"):
        read_foreign_objects(*sheets(tmp_path, ["c0,p0,nodule,1,1,5,5", "c0,p1,nodule,6,6,9,9"], []), "detection")
    with pytest.raises(OverreadError, match="1 of 2 cases have no patient, c1 for example"):
        read_foreign_objects(*sheets(tmp_path, ["c0,p0,nodule,1,1,5,5", "c1,,nodule,6,6,9,9"], []), "detection")
    named = sheets(tmp_path, ["c0,p0,nodule,1,1,5,5", "c0,,nodule,6,6,9,9"], [])
    assert read_foreign_objects(*named, "detection").patients == ("p0",)
    with pytest.raises(OverreadError, match=r"no column 'who.csv'"):
        read_foreign_objects(*named, "detection", patients="who.csv")


def test_boxes_of_a_sheet_are_cut_at_the_first_pixel(tmp_path) -> None:
    """The far border of a picture is not known to a sheet; the near one is."""
    pair = sheets(tmp_path, ["c0,p0,nodule,0,0,10,10"], ["c0,nodule,0.9,-6,-6,10,10"])
    result = evaluate_answers(*pair, "detection", resamples=100)
    assert result["cases"][0]["objects"][0]["overlap"] == 1.0
    assert any("1 of 1 answered boxes reach beyond their image, by up to 6 pixels" in note for note in result["notes"])


def test_pictures_beside_labels_are_no_masks_and_answers_without_scores_are_said(tmp_path) -> None:
    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    Image.fromarray(np.zeros((50, 50), np.uint8)).save(tmp_path / "truth" / "a.png")
    (tmp_path / "truth" / "classes.txt").write_text("nodule\n")
    (tmp_path / "found" / "classes.txt").write_text("nodule\n")
    noted = read_foreign_objects(tmp_path / "truth", tmp_path / "found", "detection").notes
    assert any("found gives no scores. Every object counts with 1" in note for note in noted)
