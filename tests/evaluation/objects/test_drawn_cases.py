"""Drawn labels as cases: volumes drawn slice by slice, answers that reach beyond the image, empty masks."""

import contextlib
import io
import json

import numpy as np
import pytest

from overread.cohort.labels.marks import Mark
from overread.core.errors import OverreadError
from overread.evaluation.sources.drawn_cases import in_clusters
from overread.evaluation.sources.foreign_objects import read_foreign_objects
from overread.workflow.evaluate_answers import evaluate_answers

SLICES = 6


def volume_truth(boxes, *, names=("V1.nii.gz",)):
    """boxes: (slice, x, y, w, h) of the first volume; every slice is listed."""
    images = [
        {"id": n * 100 + k, "file_name": name, "slice": k, "width": 50, "height": 40}
        for n, name in enumerate(names)
        for k in range(SLICES)
    ]
    found = [{"id": i, "image_id": k, "category_id": 1, "bbox": list(box)} for i, (k, *box) in enumerate(boxes, 1)]
    return {"images": images, "annotations": found, "categories": [{"id": 1, "name": "nodule"}]}


def results(rows):
    """rows: (slice, score, x, y, w, h)"""
    return [{"image_id": k, "category_id": 1, "score": score, "bbox": list(box)} for k, score, *box in rows]


def written(folder, truth, answers):
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(answers))
    return folder / "truth.json", folder / "results.json"


def test_slices_of_a_volume_are_one_case_and_its_marks_one_object(tmp_path) -> None:
    truth = volume_truth([(1, 10, 10, 8, 8), (2, 9, 9, 10, 10), (3, 10, 10, 8, 8)], names=("V1.nii.gz", "V2.nii.gz"))
    rows = results([(1, 0.4, 10, 10, 8, 8), (2, 0.9, 9, 9, 10, 10), (3, 0.5, 10, 10, 9, 9), (2, 0.3, 30, 20, 5, 5)])
    found = read_foreign_objects(*written(tmp_path, truth, rows), "detection", spacing=(3.0, 1.0, 1.0))
    assert found.ids == ("V1", "V2")
    assert found.truths[0].grid.shape == (SLICES, 40, 50)
    assert not found.truths[0].grid.is_planar
    np.testing.assert_allclose(found.truths[0].corners, [[[0.5, 8.5, 8.5], [3.5, 18.5, 18.5]]])
    np.testing.assert_allclose(found.answers[0].corners[0], [[0.5, 8.5, 8.5], [3.5, 18.5, 18.5]])
    assert found.answers[0].scores.tolist() == [0.9, 0.3]
    assert len(found.answers[1].classes) == 0
    assert any("2 marks of the answers were joined" in note for note in found.notes)


def test_a_volume_is_scored_in_three_dimensions(tmp_path) -> None:
    truth = volume_truth([(1, 10, 10, 8, 8), (2, 10, 10, 8, 8)])
    rows = results([(1, 0.9, 10, 10, 8, 8), (2, 0.8, 10, 10, 8, 8), (5, 0.7, 10, 10, 8, 8)])
    result = evaluate_answers(*written(tmp_path, truth, rows), "detection", spacing=(5.0, 1.0, 1.0))
    states = [(row["state"], row["score"], row["size_mm"]) for row in result["cases"][0]["objects"]]
    assert states == [("matched", 0.9, 10.0), ("false", 0.7, 8.0)]  # two slices of 5 mm; slice 5 is another object
    assert "at least 0.1" in result["rules"]["matching"]


def test_overlapping_answers_are_not_run_into_one() -> None:
    """A chain of boxes, each overlapping the next: the surest takes what it overlaps itself, no more."""

    def mark(x, score):
        return Mark("nodule", (x, 0.0, x + 10.0, 10.0), score=score)

    groups = in_clusters([(0, mark(0, 0.5)), (1, mark(5, 0.9)), (2, mark(12, 0.6)), (4, mark(5, 0.8))])
    assert [[(k, m.score) for k, m in group] for group in groups] == [[(1, 0.9), (2, 0.6), (0, 0.5)], [(4, 0.8)]]


def test_numbers_join_answers(tmp_path) -> None:
    rows = [{**row, "track_id": 7} for row in results([(0, 0.4, 10, 10, 8, 8), (4, 0.9, 30, 20, 8, 8)])]
    found = read_foreign_objects(*written(tmp_path, volume_truth([(1, 10, 10, 8, 8)]), rows), "detection")
    np.testing.assert_allclose(found.answers[0].corners, [[[-0.5, 19.5, 29.5], [4.5, 27.5, 37.5]]])
    assert found.answers[0].scores.tolist() == [0.9]


def test_a_case_is_a_picture_or_a_volume(tmp_path) -> None:
    truth = volume_truth([(1, 10, 10, 8, 8)])
    truth["images"].append({"id": 999, "file_name": "V1.png", "width": 50, "height": 40})
    with pytest.raises(OverreadError, match="'V1' as a picture and as a slice"):
        read_foreign_objects(*written(tmp_path, truth, []), "detection")
    truth = volume_truth([(1, 10, 10, 8, 8)])
    truth["images"][1]["slice"] = 0
    with pytest.raises(OverreadError, match="names slice 0 of 'V1' twice"):
        read_foreign_objects(*written(tmp_path, truth, []), "detection")
    truth = volume_truth([(1, 10, 10, 8, 8)])
    truth["images"][1]["width"] = 60
    with pytest.raises(OverreadError, match="not of one size: 50 x 40 and 60 x 40"):
        read_foreign_objects(*written(tmp_path, truth, []), "detection")


def picture_truth(**more):
    found = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 10], **more}]
    images = [{"id": k, "file_name": f"{k}.png", "width": 50, "height": 40} for k in (1, 2)]
    return {"images": images, "annotations": found, "categories": [{"id": 1, "name": "nodule"}]}


def test_answers_beyond_the_image_are_cut_and_told(tmp_path) -> None:
    """Uncut, the first would have an overlap of 200 / 480: a miss that is none."""
    rows = results([(1, 0.9, -10, -6, 30, 16), (1, 0.8, 60, 60, 5, 5), (2, 0.7, 40, 30, 10, 10)])
    result = evaluate_answers(*written(tmp_path, picture_truth(), rows), "detection")
    states = {row["score"]: (row["state"], row["overlap"]) for case in result["cases"] for row in case["objects"]}
    assert states == {0.9: ("matched", 1.0), 0.8: ("false", None), 0.7: ("false", None)}
    note = next(note for note in result["notes"] if "beyond their image" in note)
    assert note.startswith("2 of 3 answered boxes reach beyond their image, by up to 25 pixels, and were cut at its border")
    assert "1 of them do not touch it at all" in note


def test_a_truth_beyond_the_image_is_refused(tmp_path) -> None:
    with pytest.raises(OverreadError, match="outside the image of 50 x 40"):
        read_foreign_objects(*written(tmp_path, picture_truth(bbox=[40, 10, 20, 10]), []), "detection")


def test_a_sheet_of_patients_must_be_there(tmp_path) -> None:
    with pytest.raises(OverreadError, match=r"'who.csv', said to name the patients, is no file"):
        read_foreign_objects(*written(tmp_path, picture_truth(), []), "detection", patients="who.csv")


def test_outlines_of_answers_may_reach_beyond_the_image(tmp_path) -> None:
    truth = picture_truth(segmentation=[[0, 0, 20, 0, 20, 10, 0, 10]])
    rows = [{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": [[-8, -8, 20, -8, 20, 10, -8, 10]]}]
    result = evaluate_answers(*written(tmp_path, truth, rows), "instances")
    assert result["cases"][0]["objects"][0]["overlap"] == 1.0


def test_an_outline_without_a_pixel_keeps_the_nearest(tmp_path) -> None:
    """A truth without a voxel could never be found."""
    truth = picture_truth(segmentation=[[10.1, 10.1, 10.3, 10.1, 10.3, 10.3]], bbox=[10.1, 10.1, 0.2, 0.2])
    found = read_foreign_objects(*written(tmp_path, truth, []), "instances")
    assert found.truths[0].pieces[0].voxels == 1


def crowded(**more):
    """Two objects; and a crowd over the right half of the first picture."""
    truth = picture_truth()
    truth["annotations"].append({"id": 2, "image_id": 2, "category_id": 1, "bbox": [5, 5, 10, 10]})
    truth["annotations"].append({"id": 3, "image_id": 1, "category_id": 1, "bbox": [25, 0, 25, 40], "iscrowd": 1, **more})
    return truth


def test_answers_on_a_crowd_are_neither_right_nor_false(tmp_path) -> None:
    """Average precision at 0.5 is that of pycocotools, which ignores them too."""
    rows = results([
        (1, 0.9, 30, 10, 8, 8), (1, 0.8, 0, 0, 20, 10), (1, 0.7, 16, 10, 12, 8), (1, 0.6, 0, 25, 9, 9), (2, 0.5, 5, 5, 10, 10),
    ])  # fmt: skip
    runs = {"size": [40, 50], "counts": [25 * 40, 25 * 40]}
    truth = crowded(segmentation=runs, area=1000)
    result = evaluate_answers(*written(tmp_path, truth, rows), "detection")
    assert [row["score"] for row in result["cases"][0]["objects"]] == [0.8, 0.7, 0.6]  # 0.7 lies on it by a quarter only
    assert any(note.startswith("1 answers lie on crowds and find no object") for note in result["notes"])
    ap50 = next(s["interval"]["estimate"] for s in result["scores"] if s["metric"] == "ap50")
    assert ap50 == pytest.approx(of_pycocotools(truth, rows), abs=1e-6)


def of_pycocotools(truth, rows) -> float:
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    areas = [{"area": a["bbox"][2] * a["bbox"][3], "iscrowd": 0, **a} for a in truth["annotations"]]
    with contextlib.redirect_stdout(io.StringIO()):
        true = coco.COCO()
        true.dataset = json.loads(json.dumps({**truth, "annotations": areas}))
        true.createIndex()
        run = COCOeval(true, true.loadRes(json.loads(json.dumps(rows))), "bbox")
        run.evaluate()
        run.accumulate()
    return float(run.eval["precision"][0, :, 0, 0, 2].mean())
