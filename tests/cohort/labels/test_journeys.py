"""From a folder of labels to a project: joined by name, UID or geometry, never by order; readers kept apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from cohort.folders import film_cohort, write_films, write_png, write_sheet
from imaging.make_dicom import make_series
from imaging.test_rtstruct import write_rtstruct
from imaging.test_sr_reading import NODULE, SQUARE, group, write_report
from overread.cohort.ask import Said
from overread.cohort.draft import Draft
from overread.cohort.labels.answered import answer
from overread.cohort.labels.find import find_objects
from overread.cohort.labels.recognise import find_labels, read_labels
from overread.cohort.labels.values import How
from overread.cohort.load import load_truth
from overread.core.case import ImageReference
from overread.core.errors import OverreadError, Refused
from overread.core.kinds import Findings, LabelMap, Measurements, Structure
from overread.imaging.dicom.seg import write_seg
from overread.imaging.dicom.volume import open_dicom
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.update import update

DEPTHS = [0.0, 2.5, 5.0, 7.5]


def yolo_cohort(folder: Path, count: int = 12, outlines: bool = True) -> Path:
    """train/images and train/labels: every second film shows a 'tumor' in columns 2 to 4, rows 1 to 2 of 8 x 8."""
    for k in range(count):
        write_png(folder / "train" / "images" / f"f{k:02d}.png", k + 1)
        box, outline = "0 .4375 .25 .375 .25", "0 .25 .125 .625 .125 .625 .375 .25 .375"
        text = (outline if outlines else box) if k % 2 else ""
        path = folder / "train" / "labels" / f"f{k:02d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "data.yaml").write_text("names: ['tumor', 'cyst']\n")
    return folder


def coco_of(names: list[str], ill: set[str], size: int = 8, **annotation: Any) -> dict[str, Any]:
    drawn = {"bbox": [2, 1, 3, 2], "segmentation": [[2, 1, 5, 1, 5, 3, 2, 3]], "category_id": 1, **annotation}
    marked = [(k, n) for k, n in enumerate(names) if n in ill]
    return {
        "images": [{"id": k, "file_name": n, "width": size, "height": size} for k, n in enumerate(names)],
        "categories": [{"id": 1, "name": "tumor"}],
        "annotations": [{"id": k, "image_id": k, **drawn} for k, _ in marked],
    }


def truths_of(project: Project) -> list[Any]:
    cohort = project.cohort()
    return [load_truth(cohort, case) for case in cohort.cases if case.truth is not None]


def test_yolo_outlines_become_a_segmentation(tmp_path: Path) -> None:
    data = yolo_cohort(tmp_path / "data")
    project = init(tmp_path / "p", data, truth=data, splits="none")
    assert project.question.task == "segmentation"
    assert project.question.classes == ("tumor", "cyst")
    maps = truths_of(project)
    assert all(isinstance(m, LabelMap) for m in maps)
    drawn = [m for m in maps if m.layers.any()]
    assert 0 < len(drawn) < len(maps)
    expected = np.zeros((1, 8, 8), bool)
    expected[0, 1:3, 2:5] = True
    np.testing.assert_array_equal(drawn[0].mask("tumor"), expected)
    (data / "train" / "labels" / "f01.txt").write_text("0 .25 .125 .5 .125 .5 .375")
    with pytest.raises(OverreadError, match="1 file is changed"):
        Project.open(tmp_path / "p").cohort()
    assert update(tmp_path / "p").question.classes == ("tumor", "cyst")


def test_boxes_become_findings_where_the_user_says_so(tmp_path: Path) -> None:
    data = yolo_cohort(tmp_path / "data", outlines=False)
    with pytest.raises(OverreadError, match="A segmentation needs outlines"):
        init(tmp_path / "p", data, truth=data, task="segmentation")
    project = init(tmp_path / "p", data, truth=data, task="classification")
    assert not project.question.exclusive
    found = truths_of(project)
    assert {f.probabilities["tumor"] for f in found if isinstance(f, Findings)} == {0.0, 1.0}
    assert {f.probabilities["cyst"] for f in found} == {0.0}


def test_coco_as_one_file_beside_a_sheet_of_patients(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    names = sorted(p.name for p in images.iterdir())
    truth = tmp_path / "coco.json"
    truth.write_text(json.dumps(coco_of([*names[:-1], "other.png"], set(names[::2]))))
    project = init(tmp_path / "p", images, truth=truth, sheet=sheet, group_by="patient")
    assert project.settings.truth.path.endswith("coco.json")
    flow = json.loads((tmp_path / "p" / "cohort" / "flow.json").read_text())
    assert {"step": "truth known", "kept": 11, "excluded": 1, "reasons": {"no COCO label is about it": 1}} in flow
    assert len(truths_of(project)) > 0
    assert all(m.layers.sum() in (0, 6) for m in truths_of(project))
    update(tmp_path / "p")


def test_names_that_no_image_has_are_listed_and_none_at_all_is_refused(tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_films(images, ["a.png", "b.png"])
    drafts = [Draft(n, (n,), (ImageReference("image", "raster", (n,)),)) for n in ("a.png", "b.png")]
    truth = tmp_path / "coco.json"
    truth.write_text(json.dumps(coco_of(["a.png", "x.png", "y.png"], {"a.png"})))
    objects = find_objects(truth, drafts, images)
    assert objects is not None
    assert objects.unknown == tuple(f"labelled image '{n}.png': no usable image is called so" for n in "xy")
    truth.write_text(json.dumps(coco_of(["x.png"], {"x.png"})))
    with pytest.raises(OverreadError, match=r"none is about one of the 2 images.*x\.png"):
        find_objects(truth, drafts, images)
    truth.write_text(json.dumps(coco_of(["a.png"], {"a.png"}, size=9)))
    with pytest.raises(Refused, match=r"a\.png \(coco\.json\): the labels were drawn on 9 x 9"):
        find_objects(truth, drafts, images)
    kept = find_objects(truth, drafts, images, leave_out=True)
    assert kept is not None
    assert kept.refused == {"a.png": "refused: label-size"}


def test_readers_are_kept_apart_and_one_is_named(tmp_path: Path) -> None:
    images = tmp_path / "images"
    names = ["a.png", "b.png"]
    write_films(images, names)
    drafts = [Draft(n, (n,), (ImageReference("image", "raster", (n,)),)) for n in names]
    for reader, ill in (("reader1", {"a.png"}), ("reader2", {"a.png", "b.png"})):
        path = tmp_path / "truth" / reader / "coco.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(coco_of(names, ill)))
    objects = find_objects(tmp_path / "truth", drafts, images)
    assert objects is not None
    assert objects.readers == ("reader1", "reader2")
    with pytest.raises(OverreadError, match=r"labelled by several readers \(reader1, reader2\)"):
        answer(objects, Said("segmentation"), How())
    found = answer(objects, Said("classification"), How("reader1", "drawn by hand"))
    assert [found.by_name[n].values["tumor"] for n in names] == [1.0, 0.0]
    assert [[t.values["tumor"] for t in found.readers[n]] for n in names] == [[1.0, 1.0], [0.0, 1.0]]
    assert {t.reader for t in found.readers["a.png"]} == {"reader1", "reader2"}
    assert found.by_name["a.png"].method == "drawn by hand"
    content = coco_of(names, set(names))
    content["annotations"][0]["annotator"] = "A"
    content["annotations"].append({**content["annotations"][0], "id": 9, "annotator": "B"})
    single = tmp_path / "one.json"
    single.write_text(json.dumps(content))
    inside = find_objects(single, drafts, images)
    assert inside is not None
    assert [d.reader for d in inside.by_name["a.png"]] == ["A", "B"]


# ---- DICOM ------------------------------------------------------------------------------------------


def ct_cohort(folder: Path, count: int = 6) -> list[list[Path]]:
    """Series of 4 slices of 6 x 5 pixels (0.8 x 0.7 mm) in folders of their own, each of another patient."""
    return [
        make_series(
            folder / f"case{k}",
            DEPTHS,
            volume=np.random.default_rng(k).integers(0, 2000, (4, 6, 5)).astype(np.int16),
            SeriesInstanceUID=f"1.2.9.{k}",
            StudyInstanceUID=f"1.2.8.{k}",
            FrameOfReferenceUID=f"1.2.7.{k}",
            PatientID=f"P{k}",
        )
        for k in range(count)
    ]


def contour(files: list[Path], number: int, rows: tuple[float, float], columns: tuple[float, float]) -> np.ndarray:
    grid = open_dicom(files).grid
    corners = [(rows[0], columns[0]), (rows[0], columns[1]), (rows[1], columns[1]), (rows[1], columns[0])]
    return grid.to_world(np.array([(number, r, c) for r, c in corners]))


@pytest.mark.filterwarnings("ignore")
def test_structure_sets_are_joined_by_uid_whatever_their_names(tmp_path: Path) -> None:
    series = ct_cohort(tmp_path / "images")
    for k, files in enumerate(series):
        rois: dict[str, Any] = {"Liver": [contour(files, z, (0.5, 4.5), (0.5, 3.5)) for z in (1, 2)]}
        if k % 2:
            rois["Lesion"] = [contour(files, 2, (1.5, 3.5), (1.5, 2.5))]
        write_rtstruct(tmp_path / "truth" / f"{(7 * k) % 5}_{9 - k}.dcm", rois, series=f"1.2.9.{k}", frame=f"1.2.7.{k}")
    project = init(tmp_path / "p", tmp_path / "images", truth=tmp_path / "truth")
    assert project.question.classes == ("Lesion", "Liver")
    assert any("'Lesion' is drawn in 3 of 6 structure sets" in line for line in project.summary.lines)
    for label_map in truths_of(project):
        assert label_map.mask("Liver").sum() == 2 * 4 * 3
        assert label_map.mask("Lesion").sum() in (0, 2)
    other = tmp_path / "elsewhere"
    write_rtstruct(other / "a.dcm", {"Liver": [contour(series[0], 1, (0.5, 4.5), (0.5, 3.5))]}, series="1.2.9.0", frame="6.6")
    with pytest.raises(Refused, match="drawn in another frame of reference than") as refusal:
        init(tmp_path / "q", tmp_path / "images", truth=other)
    assert refusal.value.code == "other-frame-of-reference"


@pytest.mark.filterwarnings("ignore")
def test_reports_give_numbers_findings_or_regions(tmp_path: Path) -> None:
    for k, files in enumerate(ct_cohort(tmp_path / "images")):
        source = sorted(map(pydicom.dcmread, files), key=lambda d: float(d.ImagePositionPatient[2]))[2]
        write_report(tmp_path / "truth" / f"r{k}.dcm", files, [group(source, NODULE, "POLYLINE", SQUARE, 4.0 + k)])
    images, truth = tmp_path / "images", tmp_path / "truth"
    drawn = truths_of(init(tmp_path / "p", images, truth=truth))
    assert all(m.mask("Nodule").sum() == 12 and m.mask("Nodule")[2, 1:5, 1:4].all() for m in drawn)
    measured = init(tmp_path / "q", images, truth=truth, task="regression", label=("Diameter",))
    assert measured.question.units == ("mm",)
    values = [m.values["Diameter"] for m in truths_of(measured) if isinstance(m, Measurements)]
    assert values
    assert set(values) <= {4.0, 5.0, 6.0, 7.0, 8.0, 9.0}
    with pytest.raises(OverreadError, match=r"hold 2 quantities.*Attenuation Coefficient \(Mean\), Diameter"):
        init(tmp_path / "r", images, truth=truth, task="regression")


@pytest.mark.filterwarnings("ignore")
def test_segmentations_in_another_frame_of_reference_are_refused(tmp_path: Path) -> None:
    series = ct_cohort(tmp_path / "images", 4)
    for k, files in enumerate(series):
        grid = open_dicom(files).grid
        layers = np.zeros((1, *grid.shape), np.uint8)
        layers[0, 1, 1:4, 1:3] = 1
        write_seg(tmp_path / "truth" / f"{9 - k}.dcm", LabelMap(layers, (Structure("liver", 1),), grid), files)
    project = init(tmp_path / "p", tmp_path / "images", truth=tmp_path / "truth")
    assert all(m.mask("liver").sum() == 6 for m in truths_of(project))
    tags = pydicom.dcmread(tmp_path / "truth" / "9.dcm")
    tags.FrameOfReferenceUID = "6.6"
    tags.save_as(tmp_path / "truth" / "9.dcm")
    with pytest.raises(Refused, match=r"9\.dcm lies in another frame of reference than the image \(6\.6 against 1\.2\.7\.0\)"):
        init(tmp_path / "q", tmp_path / "images", truth=tmp_path / "truth")


@pytest.mark.filterwarnings("ignore")
def test_segments_that_are_numbered_differently_are_joined_by_name(tmp_path: Path) -> None:
    for k, files in enumerate(ct_cohort(tmp_path / "images", 4)):
        grid = open_dicom(files).grid
        layers = np.zeros((1, *grid.shape), np.uint8)
        layers[0, 1, 1:4, 1:3], layers[0, 2, 1, 1] = 1, 2
        names = ("liver", "lesion") if k % 2 else ("lesion", "liver")
        values = (1, 2) if k % 2 else (2, 1)
        structures = tuple(Structure(n, v) for n, v in zip(names, values, strict=True))
        write_seg(tmp_path / "truth" / f"{k}.dcm", LabelMap(layers, structures, grid), files)
    project = init(tmp_path / "p", tmp_path / "images", truth=tmp_path / "truth")
    assert any("joined by their names: 1 = lesion, 2 = liver" in line for line in project.summary.lines)
    assert all((m.mask("liver").sum(), m.mask("lesion").sum()) == (6, 1) for m in truths_of(project))
    found = init(tmp_path / "q", tmp_path / "images", truth=tmp_path / "truth", task="classification")
    assert all(f.probabilities == {"lesion": 1.0, "liver": 1.0} for f in truths_of(found))


# ---- sheets -----------------------------------------------------------------------------------------


def uncertain_cohort(folder: Path) -> tuple[Path, Path]:
    images, _ = film_cohort(folder)
    names = sorted(p.name for p in images.iterdir())
    rows = [[n, "uncertain" if k == 0 else k % 2, -1 if k == 1 else k % 2, (k + 1) % 2] for k, n in enumerate(names)]
    return images, write_sheet(folder / "findings.csv", ["file", "mass", "effusion", "edema"], rows)


def test_uncertain_is_not_known_unless_the_user_says_what_it_means(tmp_path: Path) -> None:
    images, sheet = uncertain_cohort(tmp_path)
    project = init(tmp_path / "p", images, sheet=sheet, label=("mass", "effusion", "edema"), task="classification")
    text = "\n".join(project.summary.lines)
    assert "column 'mass': 1 cells 'uncertain' count as not known" in text
    assert "column 'effusion': 1 cells '-1' count as not known" in text
    meaning = {"uncertain": "1", "-1": "0"}
    findings = ("mass", "effusion", "edema")
    named = init(tmp_path / "q", images, sheet=sheet, label=findings, names=meaning, task="classification")
    assert "not known; say" not in "\n".join(named.summary.lines)
    single = init(tmp_path / "r", images, sheet=sheet, label=("mass",), positive="1")
    flow = json.loads((tmp_path / "r" / "cohort" / "flow.json").read_text())
    assert {"step": "truth known", "kept": 11, "excluded": 1, "reasons": {"its label is uncertain": 1}} in flow
    assert single.question.classes == ("0", "1")
    own = init(tmp_path / "s", images, sheet=sheet, label=("mass",), names={"uncertain": "uncertain"})
    assert own.question.classes == ("0", "1", "uncertain")


# ---- real data --------------------------------------------------------------------------------------


def test_real_yolo_folders(shared_data: Path) -> None:
    tumours = find_labels(shared_data / "brain_tumor_mr_2d")
    assert tumours is not None
    files = [read_labels("yolo", tumours.folder / f, tumours.folder / tumours.extra) for f in tumours.files]
    marks = [m for f in files for m in f.images[0].marks]
    assert (len(files), len(marks), sum(not f.images[0].marks for f in files)) == (330, 267, 100)
    assert all(m.has_area for m in marks)
    dental = find_labels(shared_data / "dental_panoramic_detection")
    assert dental is not None
    boxes = [
        m for f in dental.files for m in read_labels("yolo", dental.folder / f, dental.folder / dental.extra).images[0].marks
    ]
    counts = {name: sum(m.class_name == name for m in boxes) for name in ("Cavity", "Fillings", "Impacted Tooth", "Implant")}
    assert counts == {"Cavity": 176, "Fillings": 804, "Impacted Tooth": 107, "Implant": 294}
