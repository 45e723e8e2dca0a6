"""Average precision equals that of pycocotools, on boxes and on masks, and under weights that of resampled cases."""

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from objects_at_random import NAMES, SIDE, boxes, random_boxes_of_cases, random_instances_of_cases
from overread.metrics.objects.average_precision import LIMITS, RankedAnswers

CASES = 5  # in each random cohort
COHORTS = 40


def coco_values(truths, answers, kind: str) -> np.ndarray:
    """(K, 10) average precision by pycocotools, NaN where there is no truth."""
    images = [{"id": n + 1, "height": SIDE, "width": SIDE} for n in range(len(truths))]
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(NAMES)]
    annotations = []
    results = []
    for n, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
        for row in as_coco(truth, kind, n + 1):
            annotations.append({**row, "id": len(annotations) + 1, "iscrowd": 0, "area": 1.0})
        results += [{**row, "score": float(s)} for row, s in zip(as_coco(answer, kind, n + 1), answer.scores, strict=True)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "categories": categories, "annotations": annotations}
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(results), "bbox" if kind == "box" else "segm")
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, -1]  # (T, R, K), -1 where there is no truth
    return np.where(precision < 0, np.nan, precision).mean(1).T


def as_coco(objects, kind: str, image: int) -> list[dict]:
    rows = []
    for k, name in enumerate(objects.classes):
        (_, y0, x0), (_, y1, x1) = objects.corners[k].tolist()
        row = {"image_id": image, "category_id": NAMES.index(name) + 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        if kind == "mask":
            whole = np.zeros((SIDE, SIDE), np.uint8, order="F")
            piece = objects.pieces[k]
            whole[piece.place[1:]] = piece.mask[0]
            row["segmentation"] = coco_mask.encode(np.asfortranarray(whole))
        rows.append(row)
    return rows


@pytest.mark.parametrize(("kind", "made"), [("box", random_boxes_of_cases), ("mask", random_instances_of_cases)])
def test_as_pycocotools_on_200_random_cases(kind, made) -> None:
    rng = np.random.default_rng(7)
    compared = 0
    for _ in range(COHORTS):
        truths, answers = made(rng, CASES)
        if not any(len(a.classes) for a in answers):
            continue  # pycocotools reads no empty list
        theirs = coco_values(truths, answers, kind)
        ours = np.array([RankedAnswers.of(truths, answers, name, kind).average_precision()[0] for name in NAMES])
        assert np.allclose(ours, theirs, rtol=0, atol=1e-6, equal_nan=True)
        compared += int(np.isfinite(theirs).any(1).sum())
    assert compared > 60  # classes with a truth


def test_only_the_hundred_highest_of_a_case_count() -> None:
    far = [(20, 20, 21 + k / 100, 22) for k in range(100)]
    truths = [boxes([(0, 0, 5, 5)]), boxes([(0, 0, 5, 5)])]
    answers = [boxes([*far, (0, 0, 5, 5)], scores=[0.5] * 101), boxes([(0, 0, 5, 5)], scores=[0.9])]
    ours = RankedAnswers.of(truths, answers, "nodule").average_precision()[0]
    assert ours == pytest.approx(coco_values(truths, answers, "box")[NAMES.index("nodule")])
    assert ours[0] == pytest.approx(51 / 101)


def test_weights_are_cases_taken_so_often() -> None:
    rng = np.random.default_rng(8)
    for _ in range(10):
        truths, answers = random_boxes_of_cases(rng, CASES)  # without ties: COCO breaks them by the order of the cases
        answers = [replace(answer, scores=rng.random(len(answer.scores))) for answer in answers]
        weights = rng.multinomial(CASES, np.ones(CASES) / CASES, 5)
        ours = RankedAnswers.of(truths, answers, "nodule").average_precision(weights)
        for row, line in enumerate(weights):
            again = np.repeat(np.arange(CASES), line)
            drawn = RankedAnswers.of([truths[n] for n in again], [answers[n] for n in again], "nodule")
            assert drawn.average_precision()[0] == pytest.approx(ours[row], nan_ok=True)


def test_no_truth_no_answer() -> None:
    nothing, one = boxes([]), boxes([(0, 0, 4, 4)])
    assert np.isnan(RankedAnswers.of([nothing], [one], "nodule").average_precision()).all()
    assert RankedAnswers.of([one], [nothing], "nodule").average_precision().tolist() == [[0] * len(LIMITS)]
    assert RankedAnswers.of([one], [one], "nodule").average_precision().tolist() == [[1] * len(LIMITS)]
