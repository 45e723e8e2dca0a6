"""Marks that are wrong: each is named, with what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from overread.cohort.draft import Draft
from overread.cohort.labels.find import find_objects
from overread.cohort.labels.objects import Objects
from overread.cohort.labels.odd_marks import crosses_itself, is_turned_rectangle
from overread.core.case import ImageReference
from overread.core.errors import Refused

WIDTH, HEIGHT = 40, 24


def joined(folder: Path, truth: Path, count: int = 4, *, leave_out: bool = False) -> Objects:
    drafts = []
    for k in range(count):
        name = f"f{k}.png"
        Image.fromarray(np.full((HEIGHT, WIDTH), k, np.uint8)).save(folder / name)
        drafts.append(Draft(name, (name,), (ImageReference("image", "raster", (name,)),)))
    found = find_objects(truth, drafts, folder, leave_out=leave_out)
    assert found is not None
    return found


def coco(folder: Path, annotations: list[dict[str, Any]], count: int = 4, **image: Any) -> Path:
    about = {"width": WIDTH, "height": HEIGHT} | image
    content = {
        "images": [{"id": k, "file_name": f"f{k}.png", **about} for k in range(count)],
        "categories": [{"id": 1, "name": "cyst"}],
        "annotations": [{"id": k, "image_id": k % count, "category_id": 1, **a} for k, a in enumerate(annotations)],
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ([4, 4, 0, 5], r"annotation 0 on f0\.png: a box reaches from \(4, 4\) to \(4, 9\) and encloses nothing"),
        ([4, 4, -6, 5], r"a box reaches from \(4, 4\) to \(-2, 9\) and encloses nothing"),
        ([4, float("nan"), 6, 5], r"annotation 0 on f0\.png cannot be used: a number was expected, not nan"),
        ([36, 4, 9, 5], r"a 'cyst' reaches from \(36, 4\) to \(45, 9\), outside the image of 40 x 24 pixels"),
        ([-5, 4, 9, 5], r"a 'cyst' reaches from \(-5, 4\) to \(4, 9\), outside the image"),
        ([4, 4, 6, 5, 0.3], r"five numbers \(x, y, width, height, angle\): oriented boxes \(YOLO-OBB, DOTA\) are not supported"),
    ],
)
def test_a_box_that_is_none_is_named(tmp_path: Path, box: list[float], told: str) -> None:
    with pytest.raises(Refused, match=told):
        joined(tmp_path, coco(tmp_path, [{"bbox": box}]))


def test_a_class_that_nobody_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="annotation 0 cannot be used: it names category 7, which the file does not list"):
        joined(tmp_path, coco(tmp_path, [{"bbox": [1, 1, 2, 2], "category_id": 7}]))
    (tmp_path / "data.yaml").write_text("names: [cyst]\n")
    (tmp_path / "f0.txt").write_text("3 .5 .5 .1 .1\n")
    with pytest.raises(Refused, match="class 3 has no name; named are 0 to 0"):
        joined(tmp_path, tmp_path / "f0.txt")
    (tmp_path / "f0.txt").write_text("-1 .5 .5 .1 .1\n")
    with pytest.raises(Refused, match="a line begins with the number of a class, not '-1'"):
        joined(tmp_path, tmp_path / "f0.txt")
    (tmp_path / "f0.txt").write_text("0 nan .5 .1 .1\n")
    with pytest.raises(Refused, match="a number was expected, not 'nan'"):
        joined(tmp_path, tmp_path / "f0.txt")


def test_sides_that_were_exchanged_are_told_by_statistics(tmp_path: Path) -> None:
    tall = [{"bbox": [10 + k, 2, 3, 20]} for k in range(6)]
    assert joined(tmp_path, coco(tmp_path, tall)).boxes == 6
    wide = [{"bbox": [x, 20 - x % 3, 3, 20]} for x in (4, 8, 12, 15, 16, 18)]
    with pytest.raises(Refused, match=r"6 of 6 boxes reach outside .* 6 of these fit when width and height are exchanged"):
        joined(tmp_path, coco(tmp_path, wide))
    turned = [{"bbox": [1 + k, 25, 3, 4]} for k in range(6)]
    with pytest.raises(Refused, match="6 of these fit when x and y are exchanged") as refusal:
        joined(tmp_path, coco(tmp_path, turned))
    assert "width and height were not exchanged" in refusal.value.next
    (warning,) = joined(tmp_path, coco(tmp_path, [*turned[:3], {"bbox": [4, 4, 3, 5]}]), leave_out=True).notes
    assert warning == "WARNING: 3 of 4 boxes reach outside their image; 3 of these fit when x and y are exchanged."
    with pytest.raises(Refused, match=r"24 x 40 pixels .* the image has 40 x 24\. Width and height are exchanged"):
        joined(tmp_path, coco(tmp_path, tall, width=HEIGHT, height=WIDTH))


def test_boxes_that_do_not_fit_their_own_outlines_are_told(tmp_path: Path) -> None:
    def drawn(x: int, box: list[int]) -> dict[str, Any]:
        return {"bbox": box, "segmentation": [[x, 2, x + 12, 2, x + 12, 7, x, 7, x, 5]]}

    right = [drawn(x, [x, 2, 12, 5]) for x in range(4)]
    assert joined(tmp_path, coco(tmp_path, right)).notes == ()
    wrong = [drawn(x, [x, 2, 5, 12]) for x in range(4)]
    assert joined(tmp_path, coco(tmp_path, wrong)).notes == (
        "WARNING: 4 of 4 boxes fit their own outlines only when width and height are exchanged; look at them before you train",
    )


def test_outlines_that_cross_themselves_are_counted(tmp_path: Path) -> None:
    bow = [2, 2, 12, 12, 12, 2, 2, 12]
    square = [2, 2, 12, 2, 12, 12, 2, 12]
    (note,) = joined(tmp_path, coco(tmp_path, [{"segmentation": [bow]}, {"segmentation": [square]}])).notes
    assert note.startswith("WARNING: 1 COCO outlines cross themselves, for example on f0.png")
    assert "even-odd rule" in note


def test_a_keyhole_and_a_convex_outline_do_not_cross() -> None:
    keyhole = np.array([(0, 0), (9, 0), (9, 9), (0, 9), (0, 4), (3, 4), (3, 6), (6, 6), (6, 3), (3, 3), (3, 4), (0, 4)], float)
    assert not crosses_itself(keyhole)
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    assert not crosses_itself(np.stack([np.cos(turn), np.sin(turn)], 1))
    assert crosses_itself(np.stack([np.cos(turn * 2), np.sin(turn * 3)], 1))
    assert not crosses_itself(np.array([(0, 0), (4, 0), (2, 3)], float))


def test_oriented_boxes_are_named(tmp_path: Path) -> None:
    turned = np.array([(10, 4), (16, 7), (14.5, 10), (8.5, 7)])
    assert is_turned_rectangle(turned)
    assert not is_turned_rectangle(np.array([(1, 1), (5, 1), (5, 3), (1, 3)], float))
    assert not is_turned_rectangle(np.array([(1, 1), (5, 2), (6, 6), (0, 3)], float))
    (tmp_path / "data.yaml").write_text("names: [cyst]\n")
    shares = " ".join(f"{v:.5f}" for v in (turned / (WIDTH, HEIGHT)).reshape(-1))
    (tmp_path / "f0.txt").write_text(f"0 {shares}\n" * 3)
    with pytest.raises(Refused, match=r"YOLO labels hold 3 boxes that are turned .* oriented boxes .* are not supported"):
        joined(tmp_path, tmp_path / "f0.txt")
    wider = " ".join(f"{v:.5f}" for v in (turned * (1.0, 0.5) / (WIDTH, HEIGHT)).reshape(-1))  # the image was stretched since
    (tmp_path / "f0.txt").write_text(f"0 {wider}\n" * 3)
    with pytest.raises(Refused, match="YOLO labels hold 3 boxes that are turned"):
        joined(tmp_path, tmp_path / "f0.txt")
    (tmp_path / "f0.txt").write_text("0 .5 .5 .2 .3 0.9\n0 .5 .5 .2 .3 -0.78\n")
    with pytest.raises(
        Refused, match=r"f0\.txt, line 2: a line holds a class, x, y, width, height and an angle \(-0\.78\): oriented"
    ):
        joined(tmp_path, tmp_path / "f0.txt")
    dota = tmp_path / "dota" / "f0.txt"
    dota.parent.mkdir()
    dota.write_text("imagesource:x\ngsd:1\n1.0 2.0 5.0 2.0 5.0 8.0 1.0 8.0 cyst 0\n")
    with pytest.raises(Refused, match=r"f0\.txt holds eight corners and a name in each line \(DOTA\): oriented boxes") as refusal:
        joined(tmp_path, dota.parent)
    assert refusal.value.code == "oriented-boxes"
    assert "boxes along the axes" in refusal.value.next
