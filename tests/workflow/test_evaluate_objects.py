"""Objects from answers on disk to an evaluation file: a run of a project through its seal, and anybody's files."""

import json

import numpy as np
import pytest
from PIL import Image as Picture

from overread.cli.main import main
from overread.cohort.load import load_truth
from overread.cohort.seal import sealed_truths
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes
from overread.evaluation.sources.objects_file import write_objects
from overread.imaging.nifti import write_nifti
from overread.record.files import read_json, write_json
from overread.workflow.baseline import baseline
from overread.workflow.compare import compare
from overread.workflow.evaluate import evaluate, evaluate_answers
from overread.workflow.init import init

CATEGORIES = [{"id": 1, "name": "nodule"}, {"id": 7, "name": "mass"}]
SIDE = 64


def outline(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def coco(folder, count=24, seed=0):
    """A truth and results; every fourth picture holds nothing."""
    random = np.random.default_rng(seed)
    images, truth, results = [], [], []
    for k in range(count):
        images.append({"id": 100 + k, "file_name": f"film{k}.png", "height": SIDE, "width": SIDE})
        for _ in range(0 if k % 4 == 0 else random.integers(1, 3)):
            x, y = (int(v) for v in random.integers(2, 44, 2))
            w, h = (int(v) for v in random.integers(8, 16, 2))
            which = int(random.choice([1, 7]))
            row = {"image_id": 100 + k, "category_id": which, "bbox": [x, y, w, h], "segmentation": outline(x, y, w, h)}
            truth.append({"id": len(truth), **row})
            if random.random() < 0.8:
                results.append({**row, "score": float(random.uniform(0.3, 1))})
        x, y = (int(v) for v in random.integers(2, 44, 2))
        row = {"image_id": 100 + k, "category_id": 1, "bbox": [x, y, 9, 9], "segmentation": outline(x, y, 9, 9)}
        results.append({**row, "score": float(random.uniform(0, 0.6))})
    paths = folder / "truth.json", folder / "results.json"
    paths[0].write_text(json.dumps({"images": images, "annotations": truth, "categories": CATEGORIES}))
    paths[1].write_text(json.dumps(results))
    return paths


def value(result, key, subject):
    return next(s["interval"]["estimate"] for s in result["scores"] if (s["metric"], s["subject"]) == (key, subject))


@pytest.mark.parametrize("task", ["detection", "instances"])
def test_coco_truth_and_results_by_command_line(tmp_path, task, capsys) -> None:
    truth, results = coco(tmp_path)
    out = tmp_path / "out.json"
    words = ["evaluate", "--truth", str(truth), "--answers", str(results), "--task", task, "--out", str(out)]
    assert main(words) == 0
    assert "Mean sensitivity at 1/8 to 8 false positives per case" in capsys.readouterr().out
    result = read_json(out)
    assert result["n_cases"] == 24
    assert "film" not in out.read_text()
    assert any("6 of 24 cases hold no object" in note for note in result["notes"])
    assert ("pq" in {s["metric"] for s in result["scores"]}) == (task == "instances")
    assert main([*words[:-1], str(tmp_path / "hit.json"), "--matching", "hit"]) == 0
    with pytest.raises(OverreadError, match="Objects were not matched alike"):
        compare([out, tmp_path / "hit.json"])


def test_two_answers_are_compared_by_drawing_patients_anew(tmp_path) -> None:
    truth, results = coco(tmp_path)
    rows = json.loads(results.read_text())
    (tmp_path / "worse.json").write_text(json.dumps([row for k, row in enumerate(rows) if k % 3 or row["score"] < 0.5]))
    files = [tmp_path / "good.json", tmp_path / "bad.json"]
    for answers, out in zip((results, tmp_path / "worse.json"), files, strict=True):
        evaluate_answers(truth, answers, "instances", resamples=100, out=out)
    found = compare(files, endpoints=["froc", "ap50", "pq", "patient_auc/nodule", "lesion_sensitivity/nodule"])
    assert [row["endpoint"] for row in found["comparisons"]] == [
        "froc/mean", "ap50/mean", "pq/mean", "patient_auc/nodule", "lesion_sensitivity/nodule",
    ]  # fmt: skip
    for row in found["comparisons"]:
        assert row["difference"]["method"].startswith("paired bootstrap by patient")
        own = [read_json(path) for path in files]
        values = [value(result, *row["endpoint"].split("/")) for result in own]
        assert list(row["values"].values()) == pytest.approx(values, abs=1e-6)
        assert row["difference"]["estimate"] == pytest.approx(values[1] - values[0], abs=1e-6)
        if row["p"] is not None:  # None where every drawing of patients gives the same difference
            assert (row["p"] < 0.05) == (row["difference"]["low"] > 0 or row["difference"]["high"] < 0)


def sheets(folder, truth, answers):
    paths = folder / "truth.csv", folder / "answers.csv"
    for path, rows in zip(paths, (truth, answers), strict=True):
        path.write_text("\n".join(rows) + "\n")
    return paths


def test_sheets_of_boxes_in_millimetres(tmp_path) -> None:
    truth = ["case,patient,class,x0,y0,x1,y1,z0,z1"]
    truth += [f"c{k},p{k // 2},nodule,10,10,20,20,2,4" for k in range(12)] + [f"clean{k},q{k},,,,,,," for k in range(4)]
    answers = ["case,class,score,x0,y0,x1,y1,z0,z1", *(f"c{k},nodule,0.{9 - k % 5},11,10,21,20,2,4" for k in range(10))]
    paths = sheets(tmp_path, truth, answers)
    result = evaluate_answers(*paths, "detection", spacing=(2.5, 0.5, 0.5), matching="distance 1 mm", resamples=100)
    assert (result["n_cases"], result["n_patients"]) == (16, 10)
    assert value(result, "lesion_sensitivity", "nodule") == pytest.approx(10 / 12)
    row = result["cases"][0]["objects"][0]
    assert (row["state"], row["size_mm"], row["distance_mm"]) == ("matched", 5.0, 0.5)
    assert "at most 1 mm apart" in result["rules"]["matching"]


def test_yolo_text_with_scores(tmp_path) -> None:
    for name in ("images", "labels", "found"):
        (tmp_path / name).mkdir()
    (tmp_path / "classes.txt").write_text("nodule\nmass\n")
    for k in range(8):
        Picture.fromarray(np.zeros((50, 100), np.uint8)).save(tmp_path / "images" / f"a{k}.png")
        (tmp_path / "labels" / f"a{k}.txt").write_text("" if k == 0 else "0 0.5 0.5 0.2 0.2\n")
        (tmp_path / "found" / f"a{k}.txt").write_text("0 0.51 0.5 0.2 0.2 0.9\n1 0.1 0.1 0.1 0.1 0.2\n")
    result = evaluate_answers(tmp_path / "labels", tmp_path / "found", "detection", resamples=100)
    assert value(result, "lesion_sensitivity", "nodule") == 1.0
    assert value(result, "fp_per_case", "nodule") == 1 / 8
    assert result["cases"][1]["objects"][0]["size_px"] == 200.0


@pytest.mark.parametrize("task", ["detection", "instances"])
def test_instance_maps_and_masks(tmp_path, task) -> None:
    """Touching objects: two by their values, one as a connected part."""
    grid = Grid.from_spacing((4, 20, 20), (3.0, 1.0, 1.0))
    for k in range(6):
        numbers = np.zeros(grid.shape, np.uint8)
        numbers[1:3, 5:10, 5:10], numbers[1:3, 5:10, 10:15] = 1, 2
        write_nifti(tmp_path / "truth" / f"c{k}.nii.gz", numbers, grid)
        write_nifti(tmp_path / "answers" / f"c{k}.nii.gz", (numbers > 0).astype(np.uint8), grid)
    folders = tmp_path / "truth", tmp_path / "answers"
    by_value = evaluate_answers(*folders, task, resamples=100)
    assert by_value["cases"][0]["truth"] == {"object": 2}
    assert any("Every value of the masks is one object" in note for note in by_value["notes"])
    assert any("Masks have no scores" in note for note in by_value["notes"])
    if task == "instances":
        assert value(by_value, "merged", "object") == 1.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": None}, "no score|score"),
        ({"score": 3.0}, "has the score 3; 0 to 1 was expected"),
        ({"category_id": 99}, "it names category 99, which the file does not list"),
        ({"image_id": 5}, "it names image 5, which the file does not list"),
        ({"bbox": [5, 5, -3, 4]}, "encloses nothing"),
    ],
)
def test_bad_results_are_refused(tmp_path, change, said) -> None:
    truth, results = coco(tmp_path)
    rows = json.loads(results.read_text())
    rows[0] = {k: v for k, v in {**rows[0], **change}.items() if v is not None and k != "segmentation"}
    results.write_text(json.dumps(rows))
    with pytest.raises(OverreadError, match=said):
        evaluate_answers(truth, results, "detection", resamples=100)


def test_results_without_their_coco_truth_are_refused(tmp_path) -> None:
    _, results = coco(tmp_path)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "film0.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(OverreadError, match="name images by number, and labels is no COCO file"):
        evaluate_answers(tmp_path / "labels", results, "detection")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("c0,cyst,0.9,10,10,20,20", "names the class 'cyst'; known are nodule"),
        ("c0,nodule,1.9,10,10,20,20", "the score 1.9 is not between 0 and 1"),
        ("c0,nodule,0.9,10,10,5,5", "encloses nothing"),
        ("c0,nodule,0.9,10,x,20,20", "'x' is not a number"),
        ("zz,nodule,0.9,10,10,20,20", "None of the 1 cases of answers.csv is in truth.csv"),
    ],
)
def test_bad_sheets_are_refused(tmp_path, answer, said) -> None:
    truth = ["case,class,x0,y0,x1,y1", *(f"c{k},nodule,10,10,20,20" for k in range(3))]
    with pytest.raises(OverreadError, match=said):
        evaluate_answers(*sheets(tmp_path, truth, ["case,class,score,x0,y0,x1,y1", answer]), "detection")


def test_boxes_are_no_instances(tmp_path) -> None:
    paths = sheets(tmp_path, ["case,class,x0,y0,x1,y1", "c,nodule,1,1,2,2"], ["case,class,score,x0,y0,x1,y1"])
    with pytest.raises(OverreadError, match="A sheet of boxes holds no outlines"):
        evaluate_answers(*paths, "instances")


@pytest.fixture
def project(tmp_path):
    """A project of pictures, with another program's answers to tuning and internal test."""
    truth, _ = coco(tmp_path, count=40)
    (tmp_path / "images").mkdir()
    random = np.random.default_rng(0)
    for k in range(40):
        Picture.fromarray(random.integers(0, 255, (SIDE, SIDE), dtype=np.uint8)).save(tmp_path / "images" / f"film{k}.png")
    made = init(tmp_path / "project", tmp_path / "images", truth, task="detection")
    cohort, run, sealed = made.cohort(), made.run("other"), sealed_truths(made.path, "internal")
    for on in ("tuning", "internal"):
        answers = {}
        for case in cohort.of(on):
            true = load_truth(cohort, case, sealed.get(case.case_id))
            wild = np.array([[[-0.5, 1.0, 1.0], [0.5, 9.0, 9.0]]])
            scores = np.r_[random.uniform(0.2, 1, len(true.classes)), random.uniform(0, 0.5)]
            answers[case.case_id] = Boxes(np.concatenate([true.corners, wild]), (*true.classes, "nodule"), scores, true.grid)
        write_objects(run.predictions / on / "objects.json", answers)
        write_json(run.predictions / on / "answers.json", {"format": 1, "refused": {}})
    return made


def test_a_run_is_scored_on_tuning_cases_with_post_processing_before_and_after(project) -> None:
    result = evaluate(project, "other")
    assert [row["subject"] for row in result["post_processing"]] == ["nodule", "mass"]
    assert {p["rule"] for p in result["operating_points"]} == {"at most 1 false positive per case"}
    assert (project.run("other").path / "panels-tuning" / "panels.json").exists()


def test_the_internal_test_goes_through_the_seal_and_refused_cases_count_as_missed(project) -> None:
    folder = project.run("other").predictions / "internal"
    cases = read_json(folder / "objects.json")["cases"]
    gone = next(name for name in sorted(cases) if len(cases[name]) > 1)
    content = read_json(folder / "objects.json")
    del content["cases"][gone]
    write_json(folder / "objects.json", content)
    with pytest.raises(OverreadError, match="1 of 8 internal cases have no answer"):
        evaluate(project, "other", "internal", declare={"hypothesis": "it finds them", "primary_endpoint": "froc"})
    write_json(folder / "answers.json", {"format": 1, "refused": {gone: "not-finite"}})
    result = evaluate(project, "other", "internal", declare={"hypothesis": "it finds them", "primary_endpoint": "froc"})
    assert result["opening"]["number"] == 1
    assert result["opening"]["threshold_rule"] == "at most 1 false positive per case"
    row = next(row for row in result["cases"] if row["case_id"] == gone)
    assert {item["state"] for item in row["objects"]} <= {"missed", "false"}
    assert row["refused"] == "not-finite"
    assert result["answered_only"]["n_cases"] == 7
    assert "every object missed" in result["notes"][0]


def test_a_baseline_of_features_has_no_meaning_here(project) -> None:
    with pytest.raises(OverreadError, match="this project asks for objects"):
        baseline(project)
