"""Each label format read to the same marks, half a pixel exact; what is wrong in a file is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.cohort.labels.coco import decompress, read_coco
from overread.cohort.labels.convert import boxes_of_marks, instances_of_marks, label_map_of_marks, mask_of
from overread.cohort.labels.labelme import read_labelme, to_runs
from overread.cohort.labels.marks import Mark, MarkFile, fit
from overread.cohort.labels.recognise import find_labels, form_of
from overread.cohort.labels.via import read_via
from overread.cohort.labels.voc import read_voc
from overread.cohort.labels.yolo import names_file, read_names, read_yolo
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid

SIZE = (20, 30)  # Y, X
GRID = Grid.from_spacing((1, *SIZE), spacing_known=False, is_planar=True)
BOX = (4.0, 6.0, 10.0, 9.0)  # x 4 to 10, y 6 to 9: columns 4 to 9, rows 6 to 8
CORNERS = [(4, 6), (10, 6), (10, 9), (4, 9)]
EXPECTED = np.zeros(SIZE, bool)
EXPECTED[6:9, 4:10] = True


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def coco(**changes: Any) -> dict[str, Any]:
    annotation = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 6, 6, 3], "iscrowd": 0}
    annotation |= {"segmentation": [[v for p in CORNERS for v in p]]}
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 30, "height": 20}],
        "categories": [{"id": 3, "name": "nodule"}, {"id": 1, "name": "cyst"}],
        "annotations": [annotation | changes],
    }


def via(shape: dict[str, Any]) -> dict[str, Any]:
    regions = [{"shape_attributes": shape, "region_attributes": {"label": "nodule"}}]
    return {"_via_img_metadata": {"a.png1": {"filename": "a.png", "size": 1, "regions": regions, "file_attributes": {}}}}


VOC = """<annotation><filename>a.png</filename><size><width>30</width><height>20</height><depth>1</depth></size>
<object><name>nodule</name><bndbox><xmin>5</xmin><ymin>7</ymin><xmax>10</xmax><ymax>9</ymax></bndbox></object></annotation>"""
RECT = {"name": "rect", "x": 4, "y": 6, "width": 6, "height": 3}
POLYGON = {"name": "polygon", "all_points_x": [x for x, _ in CORNERS], "all_points_y": [y for _, y in CORNERS]}
VIA_CSV = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n" + (
    'a.png,1,"{}",1,0,"{""name"":""rect"",""x"":4,""y"":6,""width"":6,""height"":3}","{""label"":""nodule""}"\n'
    'b.png,1,"{}",0,0,"{}","{}"\n'
)


def labelme(kind: str, points: list[Any]) -> dict[str, Any]:
    shape = {"label": "nodule", "points": points, "group_id": None, "shape_type": kind, "flags": {}}
    return {"version": "5.4.1", "shapes": [shape], "imagePath": "..\\images\\a.png", "imageHeight": 20, "imageWidth": 30}


def every_format(folder: Path) -> dict[str, MarkFile]:
    yolo = write(folder / "labels" / "a.txt", f"0 {7 / 30} {7.5 / 20} {6 / 30} {3 / 20}\n")
    polygon = write(folder / "labels" / "b.txt", "0 " + " ".join(f"{x / 30} {y / 20}" for x, y in CORNERS) + "\n")
    return {
        "coco": read_coco(write(folder / "coco.json", coco())),
        "coco box": read_coco(write(folder / "box.json", coco(segmentation=[]))),
        "yolo": read_yolo(yolo, ("nodule", "cyst")),
        "yolo polygon": read_yolo(polygon, ("nodule", "cyst")),
        "voc": read_voc(write(folder / "a.xml", VOC)),
        "via": read_via(write(folder / "via.json", via(RECT))),
        "via polygon": read_via(write(folder / "via2.json", via(POLYGON))),
        "via csv": read_via(write(folder / "via.csv", VIA_CSV)),
        "labelme": read_labelme(write(folder / "a.json", labelme("rectangle", [[4, 6], [10, 9]]))),
        "labelme polygon": read_labelme(write(folder / "b.json", labelme("polygon", [list(p) for p in CORNERS]))),
    }


def test_one_box_is_one_box_in_every_format(tmp_path: Path) -> None:
    for name, file in every_format(tmp_path).items():
        image = file.images[0]
        marks = fit(image, SIZE, "a.png")
        assert [m.class_name for m in marks] == ["nodule"], name
        boxes = boxes_of_marks({0: marks}, GRID).kind
        np.testing.assert_allclose(boxes.corners, [[[-0.5, 5.5, 3.5], [0.5, 8.5, 9.5]]], atol=1e-9, err_msg=name)
        if marks[0].has_area:
            np.testing.assert_array_equal(mask_of(marks[0], SIZE), EXPECTED, err_msg=name)
            assert instances_of_marks({0: marks}, GRID).kind.mask(0).sum() == 18


def test_each_file_is_known_by_its_content(tmp_path: Path) -> None:
    every_format(tmp_path)
    forms = {
        "coco.json": "coco",
        "via.json": "via",
        "via.csv": "via",
        "a.json": "labelme",
        "a.xml": "voc",
        "labels/a.txt": "yolo",
    }
    for name, form in forms.items():
        assert form_of(tmp_path / name) == form, name
    write(tmp_path / "other" / "dataset.json", {"labels": {"1": "liver"}})
    write(tmp_path / "other" / "sheet.csv", "id,label\na,1\n")
    write(tmp_path / "other" / "notes.txt", "seen by two readers\n")
    assert find_labels(tmp_path / "other") is None
    with pytest.raises(Refused, match="labels of several formats") as refusal:
        find_labels(tmp_path)
    assert refusal.value.code == "several-formats"


def test_classes_keep_the_order_of_their_file(tmp_path: Path) -> None:
    assert read_coco(write(tmp_path / "c.json", coco())).classes == ("cyst", "nodule")  # by id
    assert read_yolo(write(tmp_path / "a.txt", "1 .5 .5 .1 .1"), ("nodule", "cyst")).images[0].marks[0].class_name == "cyst"
    assert read_yolo(tmp_path / "a.txt", ()).classes == ("class 0", "class 1")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: ['a b', \"c\"]\nnc: 2\n", ("a b", "c")),
        ("nc: 2\nnames:\n  - a\n  - 'b, c'  # the second\nval: x\n", ("a", "b, c")),
        ("names:\n- a\n- b\ntrain: x\n", ("a", "b")),
        ("names:\n  0: a\n  1: b\nlicense: CC\n", ("a", "b")),
        ("names: {0: a, 1: 'b'}\n", ("a", "b")),
        ("names: [a,\n  b,\n  c]\nval: x\n", ("a", "b", "c")),
    ],
)
def test_names_of_a_data_yaml(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    assert read_names(write(tmp_path / "data.yaml", text)) == names
    write(tmp_path / "train" / "labels" / "a.txt", "0 .5 .5 .1 .1")
    assert names_file(tmp_path / "train" / "labels") == tmp_path / "data.yaml"


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_run_lengths_come_back_as_pycocotools_writes_them(seed: int, height: int, width: int) -> None:
    masks = pytest.importorskip("pycocotools.mask")
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    coded = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = decompress(coded["counts"].decode(), "here")
    np.testing.assert_array_equal(counts, to_runs(mask).counts)
    np.testing.assert_array_equal(to_runs(mask).mask(), mask)
    back = masks.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    np.testing.assert_array_equal(masks.decode(back), mask)


def test_run_lengths_and_crowds(tmp_path: Path) -> None:
    counts = to_runs(EXPECTED).counts.tolist()
    shape = {"size": list(SIZE), "counts": counts}
    marks = fit(read_coco(write(tmp_path / "c.json", coco(segmentation=shape, iscrowd=1))).images[0], SIZE, "a")
    np.testing.assert_array_equal(label_map_of_marks({0: marks}, GRID, {"nodule": 2}, "a").kind.layers[0, 0] == 2, EXPECTED)
    converted = boxes_of_marks({0: marks}, GRID)
    assert not converted.kind.classes
    assert "crowds are no single object" in converted.steps[0]
    with pytest.raises(Refused, match="its runs make 599 pixels, the picture 600"):
        read_coco(write(tmp_path / "d.json", coco(segmentation={"size": list(SIZE), "counts": [599]})))


def test_parts_of_one_object_and_groups_are_united(tmp_path: Path) -> None:
    parts = [[1, 1, 3, 1, 3, 3, 1, 3], [5, 5, 7, 5, 7, 7, 5, 7]]
    marks = read_coco(write(tmp_path / "c.json", coco(segmentation=parts))).images[0].marks
    assert mask_of(marks[0], SIZE).sum() == 8
    content = labelme("polygon", [[1, 1], [3, 1], [3, 3], [1, 3]])
    second = dict(content["shapes"][0], points=[[5, 5], [7, 5], [7, 7], [5, 7]])
    content["shapes"] = [dict(content["shapes"][0], group_id=4), dict(second, group_id=4), second]
    grouped = read_labelme(write(tmp_path / "l.json", content)).images[0].marks
    assert sorted(mask_of(m, SIZE).sum() for m in grouped) == [4, 8]


def test_labels_outside_their_image_name_image_box_and_size(tmp_path: Path) -> None:
    image = read_coco(write(tmp_path / "c.json", coco(bbox=[25, 6, 9, 3], segmentation=[]))).images[0]
    with pytest.raises(
        Refused, match=r"film 3: a 'nodule' reaches from \(25, 6\) to \(34, 9\), outside the image of 30 x 20"
    ) as r:
        fit(image, SIZE, "film 3")
    assert r.value.code == "outside-image"
    with pytest.raises(Refused, match=r"drawn on 30 x 20 pixels \(width x height\), the image has 20 x 30") as r:
        fit(image, (30, 20), "film 3")
    assert r.value.code == "label-size"
    rounding = read_coco(write(tmp_path / "r.json", coco(bbox=[25, 6, 5.4, 3], segmentation=[]))).images[0]
    assert fit(rounding, SIZE, "film 3")[0].box == (25.0, 6.0, 30.0, 9.0)
    with pytest.raises(Refused, match=r"a\.txt, line 2: 12 is no share of the image"):
        read_yolo(write(tmp_path / "a.txt", "0 .5 .5 .1 .1\n0 12 9 3 4\n"), ())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_id": 8}, "names image 8, which the file does not list"),
        ({"category_id": 9}, "names category 9, which the file does not list"),
        ({"bbox": [4, 6, 0, 3]}, "encloses nothing"),
        ({"bbox": [4, 6, "x", 3]}, "a number was expected, not 'x'"),
        ({"bbox": [4, 6, 3]}, "it holds 3 numbers"),
        ({"segmentation": [[1, 2, 3, 4]]}, "three corners or more"),
        ({"segmentation": {"size": [20, 30], "counts": "\x7f\x7f"}}, "compressed run lengths"),
        ({"segmentation": {"size": [10**9, 10**9], "counts": [1]}}, "was declared"),
        ({"bbox": [float("nan"), 6, 3, 3]}, "a number was expected"),
    ],
)
def test_what_is_wrong_in_a_coco_file_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match="annotation 1") as refusal:
        read_coco(write(tmp_path / "c.json", coco(**changes)))
    assert words in refusal.value.what


def test_what_is_wrong_in_other_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="declares entities"):
        read_voc(write(tmp_path / "a.xml", '<!DOCTYPE x [<!ENTITY a "b">]>' + VOC))
    with pytest.raises(Refused, match="not valid JSON"):
        read_coco(write(tmp_path / "a.json", '{"images": ['))
    with pytest.raises(Refused, match="class 5 has no name; named are 0 to 1"):
        read_yolo(write(tmp_path / "a.txt", "5 .5 .5 .1 .1"), ("a", "b"))
    two = via(RECT)
    two["_via_img_metadata"]["a.png1"]["regions"][0]["region_attributes"] = {"side": "left", "grade": "2"}
    with pytest.raises(Refused, match="side, grade, and which one holds the class"):
        read_via(write(tmp_path / "v.json", two))
    zero = read_voc(write(tmp_path / "z.xml", VOC.replace("<xmin>5", "<xmin>0")))
    assert zero.images[0].marks[0].box == (0.0, 7.0, 10.0, 9.0)
    assert "count from 0" in zero.notes[0]
    points = read_labelme(write(tmp_path / "p.json", labelme("point", [[1, 1]])))
    assert not points.images[0].marks
    assert "encloses nothing" in points.notes[0]


def test_overlapping_classes_lie_in_layers() -> None:
    shapes = [np.array(CORNERS, float), np.array(CORNERS, float) + 2]
    marks = (Mark("a", outlines=(shapes[0],)), Mark("b", outlines=(shapes[1],)), Mark("a", outlines=(shapes[0],)))
    label_map = label_map_of_marks({0: marks}, GRID, {"a": 1, "b": 2}, "a").kind
    assert label_map.layers.shape[0] == 2
    assert label_map.mask("a").sum() == label_map.mask("b").sum() == 18
    with pytest.raises(Refused, match="a box without an outline") as refusal:
        label_map_of_marks({0: (Mark("a", (1.0, 1.0, 2.0, 2.0)),)}, GRID, {"a": 1}, "film 3")
    assert refusal.value.code == "boxes-only"


def damaged_copies(text: str, count: int) -> list[str]:
    random = np.random.default_rng(5)
    found = []
    words = ["null", "[]", "{}", "-1", "1e400", '""', "true", "9" * 30, "\ud7ff", "NaN"]
    for _ in range(count):
        first, last = sorted(random.integers(0, len(text), 2).tolist())
        found.append(text[:first] + str(random.choice(words)) * int(random.integers(0, 2)) + text[min(last, first + 6) :])
    return found


def test_damaged_files_are_refused_by_name_and_never_crash(tmp_path: Path) -> None:
    yolo = "0 .5 .5 .1 .1\n1 .1 .2 .3 .4 .5 .6\n"
    sources = {
        "c.json": (json.dumps(coco()), read_coco),
        "r.json": (json.dumps(coco(segmentation={"size": [20, 30], "counts": to_runs(EXPECTED).counts.tolist()})), read_coco),
        "v.json": (json.dumps(via(POLYGON)), read_via),
        "v.csv": (VIA_CSV, read_via),
        "l.json": (json.dumps(labelme("polygon", [list(p) for p in CORNERS])), read_labelme),
        "a.xml": (VOC, read_voc),
        "a.txt": (yolo, lambda path: read_yolo(path, ("a", "b"))),
        "data.yaml": ("names: ['a', b]\nnc: 2\n", read_names),
    }
    for name, (text, read) in sources.items():
        refusals = []
        for content in damaged_copies(text, 120):
            path = tmp_path / name
            path.write_text(content, encoding="utf-8", errors="replace")
            try:
                file = read(path)
                for image in getattr(file, "images", ()):
                    marks = fit(image, SIZE, "a")
                    boxes_of_marks({0: marks}, GRID)
                    label_map_of_marks({0: marks}, GRID, {"nodule": 1}, "a")
            except OverreadError as error:
                refusals.append(error.what)
        assert refusals, name


def test_a_yolo_polygon_may_end_with_a_score(tmp_path: Path) -> None:
    corners = " ".join(f"{x / 30} {y / 20}" for x, y in CORNERS)
    (image,) = read_yolo(write(tmp_path / "a.txt", f"0 {corners} 0.75\n"), ("nodule",)).images
    (mark,) = image.marks
    assert mark.score == 0.75
    np.testing.assert_allclose(mark.outlines[0] * (30, 20), CORNERS)
