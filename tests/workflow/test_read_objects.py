"""Objects that `read` found, as files: millimetres of the patient, COCO results, a number per instance, DICOM objects."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest

from imaging.answers import ct
from overread.core.case import ImageReference
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Piece
from overread.core.question import Question, Reading
from overread.imaging.dicom.sr_reading import read_sr
from overread.workflow.readings.dicom_results import write_dicom_results
from overread.workflow.readings.object_results import COLUMNS, coco, counts_row, write_instance_masks, write_object_results

CLASSES = ("nodule", "cyst")


def card(task: str = "detection") -> Any:
    question = Question(task, CLASSES)
    return SimpleNamespace(question=question, sha256="sha256:" + "0123456789abcdef" * 4, is_phantom=False, reading={})


def volume() -> Grid:
    """Two mm through the slices, half a mm within; first voxel at (-100, -50, 30) mm, rows towards the patient's front."""
    affine = np.array([[0, 0, 0.5, -100], [0, -0.5, 0, -50], [2.0, 0, 0, 30], [0, 0, 0, 1]])
    return Grid((8, 20, 30), affine)


def film() -> Grid:
    return Grid.from_spacing((1, 12, 10), spacing_known=False, is_planar=True)


def boxes(grid: Grid) -> Boxes:
    depth = (-0.5, 0.5) if grid.is_planar else (1.5, 4.5)
    corners = np.array([[[depth[0], 1.5, 2.5], [depth[1], 5.5, 8.5]], [[depth[0], -0.5, -0.5], [depth[1], 3.5, 1.5]]])
    return Boxes(corners, ("cyst", "nodule"), np.array([0.4, 0.9]), grid)


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_gives_centre_and_size_in_millimetres_of_the_patient(tmp_path: Path) -> None:
    refused = Reading("scan 2", None, refusal="not a volume")
    write_object_results(tmp_path, card(), [Reading("scan 1", boxes(volume())), refused])
    first, second = rows(tmp_path / "objects.csv")
    assert list(first) == list(COLUMNS)
    assert (first["study"], first["number"], first["class"], first["score"]) == ("scan 1", "1", "nodule", "0.9")
    assert second["unit"] == "mm"
    assert [float(second[k]) for k in ("x", "y", "z")] == [-100 + 5.5 * 0.5, -50 - 3.5 * 0.5, 30 + 3 * 2]
    assert [float(second[k]) for k in ("width", "height", "depth")] == [3.0, 2.0, 6.0]


def test_without_a_spacing_the_table_counts_pixels(tmp_path: Path) -> None:
    write_object_results(tmp_path, card(), [Reading("film", boxes(film()))])
    _, second = rows(tmp_path / "objects.csv")
    assert second["unit"] == "pixels"
    assert [second[k] for k in ("x", "y", "z", "width", "height", "depth")] == ["5.5", "3.5", "", "6.0", "4.0", ""]


def test_coco_counts_from_the_outer_edge_and_lists_images_without_objects() -> None:
    nothing = Boxes(np.zeros((0, 2, 3)), (), np.zeros(0), film())
    written = coco(card(), [Reading("film", boxes(film())), Reading("clean", nothing)])
    assert json.loads(json.dumps(written)) == written
    assert [(i["file_name"], i["width"], i["height"]) for i in written["images"]] == [("film", 10, 12), ("clean", 10, 12)]
    assert [c["name"] for c in written["categories"]] == list(CLASSES)
    nodule, cyst = written["annotations"]
    assert (nodule["category_id"], nodule["score"], nodule["bbox"]) == (1, 0.9, [0.0, 0.0, 2.0, 4.0])
    assert cyst["bbox"] == [3.0, 2.0, 6.0, 4.0]


def test_coco_of_a_volume_has_one_entry_for_an_object_and_says_its_slices() -> None:
    written = coco(card(), [Reading("scan", boxes(volume()))])
    assert [a["slices"] for a in written["annotations"]] == [[2, 4], [2, 4]]
    assert written["images"][0]["slices"] == 8
    assert "slices its first and last slice" in written["info"]["volumes"]


def instances(grid: Grid) -> Instances:
    pieces = (Piece((0, 2, 3), np.ones((1, 3, 2), bool)), Piece((0, 4, 4), np.array([[[True, False], [True, True]]])))
    return Instances(pieces, ("cyst", "nodule"), np.array([0.4, 0.9]), grid)


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_masks_in_coco_are_run_lengths_that_pycocotools_reads() -> None:
    mask_tools = pytest.importorskip("pycocotools.mask")
    answer = instances(film())
    written = coco(card("instances"), [Reading("film", answer)])
    for annotation, row in zip(written["annotations"], (1, 0), strict=True):
        coded = annotation["segmentation"]
        packed = mask_tools.frPyObjects(coded, *coded["size"])
        np.testing.assert_array_equal(mask_tools.decode(packed), answer.mask(row)[0])
        assert annotation["area"] == answer.pieces[row].voxels


def test_every_instance_has_its_number_and_shared_voxels_are_said(tmp_path: Path) -> None:
    answer = instances(film())
    (said,) = write_instance_masks(tmp_path, Reading("film", answer), is_simulated=False)
    assert said == "objects overlap in 1 voxels; in the file of instances these belong to the surer one"
    written = np.asarray(nibabel.load(tmp_path / "film_instances.nii.gz").dataobj)
    numbers = np.squeeze(written).T
    assert (numbers == 1).sum() == 3
    assert (numbers == 2).sum() == 5


def test_the_line_of_a_study_counts_each_class() -> None:
    assert counts_row(boxes(film()), ("nodule", "cyst", "scar")) == {
        "nodule (number)": 1,
        "highest score of nodule": 0.9,
        "cyst (number)": 1,
        "highest score of cyst": 0.4,
        "scar (number)": 0,
        "highest score of scar": None,
    }


@pytest.mark.filterwarnings("ignore")
def test_dicom_objects_of_boxes_and_of_nothing(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    reference = ImageReference("ct", "dicom", tuple(str(f.relative_to(tmp_path)) for f in files))
    exam: Any = SimpleNamespace(name="study", folder=tmp_path, references=(reference,))
    corners = np.array([[[0.5, 2.5, 3.5], [2.5, 6.5, 8.5]]])
    found = Boxes(corners, ("nodule",), np.array([0.8]), image.grid)
    write_dicom_results(tmp_path / "boxes", ("seg", "sr"), exam, Reading("study", found), image, card(), "m", None)
    assert [path.name for path in (tmp_path / "boxes").iterdir()] == ["study_sr.dcm"]
    nothing = Instances((), (), np.zeros(0), image.grid)
    notes = write_dicom_results(tmp_path / "none", ("seg", "sr", "sc"), exam, Reading("study", nothing), image, card(), "m", None)
    assert notes[0] == "study: no SEG was written: nothing was found, and it must hold an object"
    assert "study_sr.dcm" in [path.name for path in (tmp_path / "none").iterdir()]
    groups = read_sr(tmp_path / "none" / "study_sr.dcm").groups
    assert [group.finding for group in groups] == ["Nodule", "Cyst"]
    assert not any(group.regions for group in groups)
    said = [str(i.value) for i in pydicom.dcmread(tmp_path / "none" / "study_sr.dcm").iterall() if i.keyword == "TextValue"]
    assert "Looked for by the model and not called at its operating point: nodule, cyst." in said
