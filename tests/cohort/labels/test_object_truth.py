"""The objects of one case from every form of label: the same two objects each time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cohort.labels.test_formats import GRID as PICTURE
from cohort.labels.test_formats import every_format
from cohort.labels.test_journeys import contour, ct_cohort
from imaging.make_dicom import make_series
from imaging.test_rtstruct import write_rtstruct
from imaging.test_sr_reading import NODULE, SQUARE, group, write_report
from overread.cohort.labels.drawn import Address, drawn_format
from overread.cohort.labels.linked_marks import linked
from overread.cohort.labels.marks import Mark
from overread.cohort.labels.object_truth import BY_NUMBER, BY_OVERLAP, ON_ONE_SLICE, TrueObjects, open_objects
from overread.cohort.load import load_truth
from overread.core.case import TruthReference
from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, LabelMap, Structure
from overread.imaging.dicom.seg import write_seg
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.nifti import write_nifti
from overread.workflow.init import init

VOLUME = Grid.from_spacing((6, 20, 30), (3.0, 1.0, 1.0))
NAMES = {1: "nodule", 2: "cyst"}
FIRST = [[0.5, 5.5, 3.5], [2.5, 8.5, 9.5]]  # slices 1 and 2, rows 6 to 8, columns 4 to 9
SECOND = [[3.5, 1.5, 19.5], [4.5, 4.5, 24.5]]  # slice 4, rows 2 to 4, columns 20 to 24


def numbers() -> np.ndarray:
    found = np.zeros(VOLUME.shape, np.uint8)
    found[1:3, 6:9, 4:10] = 1
    found[4, 2:5, 20:25] = 2
    return found


def opened(folder: Path, truth: TruthReference, **words: bool) -> TrueObjects:
    return open_objects("a", truth, folder, VOLUME, **words)


def in_coco(folder: Path, **first: object) -> TruthReference:
    """The first object on two slices; `first` is added to its annotations."""
    images = [{"id": k, "file_name": "a.nii.gz", "width": 30, "height": 20, "slice": k} for k in range(6)]
    one = {"category_id": 1, "bbox": [4, 6, 6, 3], "segmentation": [[4, 6, 10, 6, 10, 9, 4, 9]]} | first
    two = {"category_id": 1, "bbox": [20, 2, 5, 3], "segmentation": [[20, 2, 25, 2, 25, 5, 20, 5]]}
    drawn = [{"id": 1, "image_id": 1, **one}, {"id": 2, "image_id": 2, **one}, {"id": 3, "image_id": 4, **two}]
    content = {"images": images, "categories": [{"id": 1, "name": "nodule"}], "annotations": drawn}
    (folder / "coco.json").write_text(json.dumps(content))
    places = [Address(0, str(k), k) for k in range(6)]
    return TruthReference({"nodule": 1.0}, ("coco.json",), drawn_format("coco", places))


def test_marks_of_a_volume_masks_and_numbers_are_the_same_objects(tmp_path: Path) -> None:
    array = numbers()
    write_nifti(tmp_path / "numbers.nii.gz", array, VOLUME)
    write_nifti(tmp_path / "mask.nii.gz", (array > 0).astype(np.uint8), VOLUME)
    forms = {
        "coco": opened(tmp_path, in_coco(tmp_path)),
        "mask": opened(tmp_path, TruthReference({}, ("mask.nii.gz",), "nifti")),
        "numbers": opened(tmp_path, TruthReference({}, ("numbers.nii.gz",), "nifti"), by_value=True),
    }
    for name, found in forms.items():
        boxes, instances = found.boxes(NAMES), found.instances(NAMES, "a")
        np.testing.assert_allclose(boxes.corners, [FIRST, SECOND], err_msg=name)
        assert boxes.classes == ("nodule", "nodule"), name
        np.testing.assert_array_equal(boxes.scores, [1, 1])
        np.testing.assert_allclose(instances.corners, boxes.corners, err_msg=name)
        for k in (0, 1):
            np.testing.assert_array_equal(instances.mask(k), array == k + 1, err_msg=name)
        assert found.counts() == {1: 2}
        np.testing.assert_array_equal(found.voxels(), np.flatnonzero(array))
    (done,) = forms["coco"].done.items()
    assert done == (BY_OVERLAP, 1)
    assert "so objects that touch become one: to keep them apart give the annotations of one object one `instance`" in BY_OVERLAP


def test_what_was_joined_is_told_by_number_and_by_overlap(tmp_path: Path) -> None:
    def told(*marks: tuple[int, float, str]) -> dict[str, int]:
        images = [{"id": k, "file_name": "a.nii.gz", "slice": k, "width": 30, "height": 20} for k in range(4)]
        drawn = [
            {"id": n, "image_id": k, "category_id": 1, "bbox": [x, 2, 6, 4]} | ({"instance": number} if number else {})
            for n, (k, x, number) in enumerate(marks)
        ]
        content = {"images": images, "annotations": drawn, "categories": [{"id": 1, "name": "nodule"}]}
        (tmp_path / "c.json").write_text(json.dumps(content))
        places = [Address(0, str(k), k) for k in range(4)]
        return dict(opened(tmp_path, TruthReference({"nodule": 1.0}, ("c.json",), drawn_format("coco", places))).done)

    assert told((0, 2, "7"), (1, 4, "7"), (2, 6, "7"), (2, 2, "8")) == {BY_NUMBER: 2}
    bridge = told((0, 2, ""), (0, 10, ""), (1, 6, ""))  # the mark above touches both
    assert bridge == {BY_OVERLAP: 2, ON_ONE_SLICE: 1}


def test_a_map_of_numbers_keeps_touching_objects_apart_and_scattered_ones_together(tmp_path: Path) -> None:
    array = np.zeros(VOLUME.shape, np.int16)
    array[0, 2:4, 2:6], array[0, 4:6, 2:6] = 300, 7  # touch
    array[5, 18, 28] = 7  # and one voxel of the second lies elsewhere
    write_nifti(tmp_path / "m.nii.gz", array, VOLUME)
    truth = TruthReference({}, ("m.nii.gz",), "nifti")
    assert len(opened(tmp_path, truth, by_value=True).objects) == 2
    assert opened(tmp_path, truth).counts() == {7: 2, 300: 1}


def test_numbers_join_what_does_not_touch_and_keep_apart_what_does(tmp_path: Path) -> None:
    def mark(x: float, number: str = "", name: str = "nodule") -> Mark:
        return Mark(name, (x, 2.0, x + 4, 6.0), number=number)

    values = {"nodule": 1, "Nodule": 1, "cyst": 2}
    apart = [(0, mark(2, "1")), (1, mark(2, "2")), (5, mark(20, "1"))]
    assert [len(g) for g in linked(apart, values, (20, 30))] == [2, 1]
    chain = [(0, mark(2)), (1, mark(4)), (2, mark(6, name="Nodule")), (1, mark(3, name="cyst")), (4, mark(6))]
    assert [len(g) for g in linked(chain, values, (20, 30))] == [3, 1, 1]
    beside = [(0, mark(2)), (0, mark(3)), (1, mark(20))]  # of one slice nothing is joined without a number
    assert [len(g) for g in linked(beside, values, (20, 30))] == [1, 1, 1]
    assert len(opened(tmp_path, in_coco(tmp_path, instance=4)).objects) == 2


def test_boxes_alone_have_no_voxels_and_crowds_are_no_object(tmp_path: Path) -> None:
    found = opened(tmp_path, in_coco(tmp_path, segmentation=[]))
    np.testing.assert_allclose(found.boxes(NAMES).corners, [FIRST, SECOND])
    with pytest.raises(Refused, match="a: 1 of 2 objects are boxes without an outline; instances need") as refusal:
        found.instances(NAMES, "a")
    assert refusal.value.next == "label outlines, or ask for boxes: --task detection"
    assert len(found.voxels()) == 36 + 15
    crowd = opened(tmp_path, in_coco(tmp_path, iscrowd=1))
    np.testing.assert_allclose(crowd.boxes(NAMES).corners, [SECOND])
    assert crowd.done == {"crowds are no single object and were left out": 2}


def test_an_outline_between_pixel_centres_keeps_one_pixel(tmp_path: Path) -> None:
    tiny = opened(tmp_path, in_coco(tmp_path, segmentation=[[4.6, 6.6, 4.9, 6.6, 4.9, 6.9]], bbox=[4.6, 6.6, 0.3, 0.3]))
    assert tiny.instances(NAMES, "a").pieces[0].voxels == 1
    assert any("no pixel centre lies inside" in text for text in tiny.done)


def test_segments_and_contours_are_split_into_what_is_connected(tmp_path: Path) -> None:
    files = make_series(tmp_path / "ct", [0.0, 2.5, 5.0, 7.5])
    image = open_dicom(files)
    layers = np.zeros((1, *image.grid.shape), np.uint8)
    layers[0, 1, 1:3, 1:3], layers[0, 2, 4:6, 4:5] = 1, 1
    write_seg(tmp_path / "seg.dcm", LabelMap(layers, (Structure("nodule", 1),), image.grid), files)
    for values in ({}, {"nodule": 1.0}):
        found = open_objects("a", TruthReference(values, ("seg.dcm",), "dicom-seg"), tmp_path, image.grid)
        np.testing.assert_allclose(
            found.boxes(NAMES).corners, [[[0.5, 0.5, 0.5], [1.5, 2.5, 2.5]], [[1.5, 3.5, 3.5], [2.5, 5.5, 4.5]]]
        )


FILES = {
    "coco": ("coco", "coco.json"),
    "yolo": ("yolo", "labels/a.txt"),
    "voc": ("voc", "a.xml"),
    "via": ("via", "via.json"),
    "via csv": ("via", "via.csv"),
    "labelme": ("labelme", "a.json"),
    "labelme polygon": ("labelme", "b.json"),
}


def test_one_picture_in_every_format_of_marks(tmp_path: Path) -> None:
    read = every_format(tmp_path)
    assert set(FILES) <= set(read)
    for name, (form, file) in FILES.items():
        marked = read[name]
        values = dict.fromkeys((*marked.classes, "class 0"), 1.0)  # no file of names lies beside the YOLO labels
        truth = TruthReference(values, (file,), drawn_format(form, [Address(0, marked.images[0].key)]))
        found = open_objects("a", truth, tmp_path, PICTURE).boxes(NAMES)
        np.testing.assert_allclose(found.corners, [[[-0.5, 5.5, 3.5], [0.5, 8.5, 9.5]]], atol=1e-9, err_msg=name)


@pytest.mark.filterwarnings("ignore")
def test_structure_sets_and_reports_hold_objects(tmp_path: Path) -> None:
    series = ct_cohort(tmp_path / "images")
    for k, files in enumerate(series):
        rois = {"GTV1": [contour(files, z, (0.5, 2.5), (0.5, 2.5)) for z in (1, 2)]}
        rois["GTV2"] = [contour(files, 2, (2.5, 4.5), (0.5, 2.5))]  # touches the first
        write_rtstruct(tmp_path / "rt" / f"{k}.dcm", rois, series=f"1.2.9.{k}", frame=f"1.2.7.{k}")
        source = sorted(map(pydicom.dcmread, files), key=lambda d: float(d.ImagePositionPatient[2]))[2]
        write_report(tmp_path / "sr" / f"r{k}.dcm", files, [group(source, NODULE, "POLYLINE", SQUARE, 4.0 + k)])
    words = {"names": {"GTV1": "tumour", "GTV2": "tumour"}, "task": "instances"}
    project = init(tmp_path / "p", tmp_path / "images", truth=tmp_path / "rt", **words)
    cohort = project.cohort()
    assert project.question.classes == ("tumour",)
    for case in cohort.of("training"):
        truth = load_truth(cohort, case)
        assert isinstance(truth, Instances)
        assert sorted(piece.voxels for piece in truth.pieces) == [4, 8]
    cohort = init(tmp_path / "q", tmp_path / "images", truth=tmp_path / "sr", task="detection").cohort()
    for case in cohort.of("training"):
        truth = load_truth(cohort, case)
        assert isinstance(truth, Boxes)
        np.testing.assert_allclose(truth.corners, [[[1.5, 0.5, 0.5], [2.5, 4.5, 3.5]]], atol=1e-3)
        assert truth.classes == ("Nodule",)
