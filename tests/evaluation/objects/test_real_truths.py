"""Real truths, answered by a model, or moved about with false ones added: against pycocotools and MONAI, from file to score."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from overread.workflow.evaluate_answers import evaluate_answers

SIDE = 640


def yolo_lines(folder):
    """(name of the picture, rows of numbers) of every label file."""
    for path in sorted(folder.glob("*.txt")):
        yield path.stem, [list(map(float, line.split())) for line in path.read_text().splitlines() if line.strip()]


def moved(random, box):
    """A box pulled about, as a detector gives it; now and then reaching beyond the picture."""
    x, y, w, h = box
    return [
        x + random.normal(0, 0.1) * w,
        y + random.normal(0, 0.1) * h,
        w * random.uniform(0.75, 1.3),
        h * random.uniform(0.75, 1.3),
    ]


def within(box):
    x, y, w, h = box
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, SIDE), min(y + h, SIDE)
    return [left, top, right - left, bottom - top]


def answered(random, truths, images):
    """COCO results: most truths found once or twice, and false answers on every picture."""
    rows = []
    for t in truths:
        for _ in range(random.choice([0, 1, 1, 1, 2])):
            rows.append({"image_id": t["image_id"], "category_id": t["category_id"], "bbox": within(moved(random, t["bbox"])),
                         "score": round(float(random.beta(4, 2)), 3)})  # fmt: skip
    for image in images:
        for _ in range(random.poisson(3)):
            x, y = random.uniform(0, 540, 2)
            box = [float(x), float(y), *random.uniform(20, 90, 2)]
            category = int(random.choice([t["category_id"] for t in truths]))
            rows.append({"image_id": image["id"], "category_id": category, "bbox": box,
                         "score": round(float(random.beta(2, 4)), 3)})  # fmt: skip
    return rows


def coco_of(pairs, names, boxes_of):
    images = [{"id": k, "file_name": f"{name}.jpg", "width": SIDE, "height": SIDE} for k, (name, _) in enumerate(pairs, 1)]
    found = []
    for image, (_, rows) in zip(images, pairs, strict=True):
        for row in rows:
            found.append(
                {"id": len(found) + 1, "image_id": image["id"], "category_id": int(row[0]) + 1, "iscrowd": 0, **boxes_of(row)}
            )
    return {"images": images, "annotations": found, "categories": [{"id": k, "name": n} for k, n in enumerate(names, 1)]}


def box_row(row):
    x, y, w, h = (v * SIDE for v in row[1:5])
    box = within([x - w / 2, y - h / 2, w, h])
    return {"bbox": box, "area": box[2] * box[3]}


def runs_of(mask):
    from pycocotools import mask as coco_masks

    runs = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": runs["size"], "counts": runs["counts"].decode()}


def drawn(points):
    picture = Image.new("1", (SIDE, SIDE))
    ImageDraw.Draw(picture).polygon([tuple(p) for p in points], fill=1)
    return np.array(picture)


def mask_row(row):
    mask = drawn(np.array(row[1:]).reshape(-1, 2) * SIDE)
    y, x = np.nonzero(mask)
    box = [int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1]
    return {"segmentation": runs_of(mask), "bbox": box, "area": int(mask.sum())}


def with_masks(random, rows):
    """Answers as ellipses in their boxes."""
    for row in rows:
        x, y, w, h = row.pop("bbox")
        picture = Image.new("1", (SIDE, SIDE))
        ImageDraw.Draw(picture).ellipse([x, y, x + max(w, 2), y + max(h, 2)], fill=1)
        row["segmentation"] = runs_of(np.array(picture))
    return rows


def of_pycocotools(truth, rows, kind):
    """class -> (AP50, AP)"""
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        true = coco.COCO()
        true.dataset = json.loads(json.dumps(truth))
        true.createIndex()
        run = COCOeval(true, true.loadRes(json.loads(json.dumps(rows))), kind)
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"]  # limit, recall, class, area, answers
    return {
        c["name"]: (precision[0, :, k, 0, 2].mean(), precision[:, :, k, 0, 2].mean()) for k, c in enumerate(truth["categories"])
    }


def value(result, key, subject):
    return next(s["interval"]["estimate"] for s in result["scores"] if (s["metric"], s["subject"]) == (key, subject))


def evaluated(folder, truth, rows, task):
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(rows))
    return evaluate_answers(folder / "truth.json", folder / "results.json", task, resamples=20)


def test_boxes_of_teeth(shared_data, tmp_path) -> None:
    pairs = list(yolo_lines(shared_data / "dental_panoramic_detection" / "test" / "labels"))
    truth = coco_of(pairs, ("Cavity", "Fillings", "Impacted Tooth", "Implant"), box_row)
    rows = answered(np.random.default_rng(1), truth["annotations"], truth["images"])
    result = evaluated(tmp_path, truth, rows, "detection")
    for name, (ap50, ap) in of_pycocotools(truth, rows, "bbox").items():
        assert value(result, "ap50", name) == pytest.approx(ap50, abs=1e-6)
        assert value(result, "ap", name) == pytest.approx(ap, abs=1e-6)


def test_masks_of_tumours(shared_data, tmp_path) -> None:
    pairs = list(yolo_lines(shared_data / "brain_tumor_mr_2d" / "test" / "labels"))[:40]
    truth = coco_of(pairs, ("tumour",), mask_row)
    random = np.random.default_rng(2)
    rows = with_masks(random, answered(random, truth["annotations"], truth["images"]))
    result = evaluated(tmp_path, truth, rows, "instances")
    (ap50, ap), *_ = of_pycocotools(truth, rows, "segm").values()
    assert value(result, "ap50", "tumour") == pytest.approx(ap50, abs=1e-6)
    assert value(result, "ap", "tumour") == pytest.approx(ap, abs=1e-6)
    (ap50, ap), *_ = of_pycocotools(truth, [{**r, "bbox": box_of(r)} for r in rows], "bbox").values()
    assert value(result, "box_ap50", "tumour") == pytest.approx(ap50, abs=1e-6)
    assert value(result, "box_ap", "tumour") == pytest.approx(ap, abs=1e-6)


def test_answers_of_a_trained_model_as_pycocotools_scores_them(shared_data, tmp_path) -> None:
    """What a `centre_offset_unet`, taught brain tumours for 15 minutes, answered to its 50 tuning images: ties, parts, misses."""
    answers = json.loads((Path(__file__).parent / "answers_of_a_model.json").read_text())
    folders = [shared_data / "brain_tumor_mr_2d" / part / "labels" for part in ("train", "valid", "test")]
    pairs = [pair for folder in folders for pair in yolo_lines(folder) if pair[0] in answers]
    assert len(pairs) == len(answers) == 50
    truth = coco_of(pairs, ("tumour",), mask_row)
    rows = [{"image_id": k, "category_id": 1, **row} for k, (name, _) in enumerate(pairs, 1) for row in answers[name]]
    result = evaluated(tmp_path, truth, rows, "instances")
    for kind, prefix in (("segm", ""), ("bbox", "box_")):
        ((ap50, ap),) = of_pycocotools(truth, [{**r, "bbox": box_of(r)} for r in rows], kind).values()
        assert value(result, f"{prefix}ap50", "tumour") == pytest.approx(ap50, abs=1e-6)
        assert value(result, f"{prefix}ap", "tumour") == pytest.approx(ap, abs=1e-6)
        assert ap50 > 0.5


def box_of(row):
    from pycocotools import mask as coco_masks

    return [float(v) for v in coco_masks.toBbox(row["segmentation"])]


def test_froc_of_teeth_is_that_of_monai(shared_data, tmp_path) -> None:
    """MONAI is told which answers hit (one each, by IoU 0.5, matched here in a loop of its own) and interpolates linearly: so
    its sensitivities lie on or above ours, and meet them at the rates that a threshold reaches."""
    froc = pytest.importorskip("monai.metrics.froc")
    pairs = list(yolo_lines(shared_data / "dental_panoramic_detection" / "test" / "labels"))
    truth = coco_of(pairs, ("Cavity", "Fillings", "Impacted Tooth", "Implant"), box_row)
    rows = answered(np.random.default_rng(3), truth["annotations"], truth["images"])
    rows = [{**r, "score": (r["score"] + k * 1e-6) / 2} for k, r in enumerate(rows)]  # no ties: MONAI's order of them is its own
    result = evaluated(tmp_path, truth, rows, "detection")
    hits, false, count = plain_hits(truth, rows, 2)
    rates, found = froc.compute_froc_curve_data(np.array(false), np.array(hits), count, len(pairs))
    for key, rate in (("sensitivity_at_1_4fp", 0.25), ("sensitivity_at_1_2fp", 0.5), ("sensitivity_at_1fp", 1.0)):
        ours = value(result, key, "Fillings")
        assert ours == pytest.approx(found[rates <= rate + 1e-9].max(), abs=1e-9)
        assert ours <= froc.compute_froc_score(rates, found, (rate,)) + 1e-9


def plain_hits(truth, rows, category):
    """Scores of the answers that found a truth, of the others, and the number of truths."""
    hits, false, count = [], [], 0
    for image in truth["images"]:
        true = [t["bbox"] for t in truth["annotations"] if (t["image_id"], t["category_id"]) == (image["id"], category)]
        own = [r for r in rows if (r["image_id"], r["category_id"]) == (image["id"], category)]
        free = set(range(len(true)))
        count += len(true)
        for row in sorted(own, key=lambda r: -r["score"]):
            best = max(free, key=lambda k: plain_iou(row["bbox"], true[k]), default=None)
            if best is not None and plain_iou(row["bbox"], true[best]) >= 0.5:
                free.remove(best)
                hits.append(row["score"])
            else:
                false.append(row["score"])
    return hits, false, count


def plain_iou(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)
