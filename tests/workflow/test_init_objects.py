"""Detection and instances from init to the truth: what is inferred, what is refused, clean images told from unknown ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cohort.labels.test_journeys import coco_of, yolo_cohort
from overread.cohort.fingerprint import fingerprint
from overread.cohort.index import Cohort
from overread.cohort.load import load_instances, load_truth
from overread.cohort.seal import read_summary
from overread.core.errors import OverreadError, Refused
from overread.core.kinds import Boxes, Instances
from overread.workflow.audit import audit
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.update import update
from workflow import lesions

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def open_truths(cohort: Cohort) -> list[Boxes | Instances]:
    found = [load_truth(cohort, case) for case in cohort.cases if case.truth is not None]
    assert all(isinstance(t, Boxes | Instances) for t in found)
    return found  # type: ignore[return-value]


def numbered(folder: Path, count: int = 12) -> Path:
    """`images/` and `instances/`: scan k holds k modulo 4 objects, numbered 1, 2, 3; every two touch."""
    for k in range(count):
        numbers = np.zeros((16, 12, 8), np.uint8)
        for n in range(k % 4):
            numbers[2 + 3 * n : 5 + 3 * n, 4:7, 3:5] = n + 1
        image = np.random.default_rng(k).normal(size=numbers.shape).astype(np.float32)
        for part, array in (("images", image), ("instances", numbers)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, AFFINE), folder / part / f"scan{k:02d}.nii.gz")
    return folder


def test_boxes_are_a_detection_by_themselves(tmp_path: Path) -> None:
    data = yolo_cohort(tmp_path / "data", outlines=False)
    project = init(tmp_path / "p", data, truth=data, splits="none")
    assert project.question.task == "detection"
    assert project.summary is not None
    text = "\n".join(project.summary.lines)
    assert "the YOLO labels hold 6 boxes and no outline; --task classification asks which classes an image shows" in text
    assert "Asked: detection, a box around each tumor and cyst; one answer per exam" in text
    assert "objects: tumor 6 in 6, cyst 0 in 0 of 12 images; 6 images have truth and no object: known to be clean" in text
    cohort = project.cohort()
    truths = open_truths(cohort)
    assert {len(t.classes) for t in truths} == {0, 1}
    some = next(t for t in truths if t.classes)
    np.testing.assert_allclose(some.corners, [[[-0.5, 0.5, 1.5], [0.5, 2.5, 4.5]]])
    assert some.classes == ("tumor",)
    facts = fingerprint(cohort)
    assert not facts.have_voxels
    assert facts.class_counts["cyst"] == 0
    assert 0 < facts.class_counts["tumor"] == facts.n_cases - facts.cases_without < facts.n_cases
    assert facts.objects["tumor"].sizes[2] == (1.0, 2.0, 3.0)
    assert facts.objects["tumor"].longest_mm == (3.0,) * 5
    assert json.dumps(facts.as_dict())
    with pytest.raises(Refused, match="boxes without an outline"):
        load_instances(cohort, next(c for c in cohort.cases if c.truth and open_truths_of(cohort, c)))
    with pytest.raises(Refused, match="The YOLO labels hold 6 objects, 6 of them boxes without an outline; instances need") as no:
        init(tmp_path / "q", data, truth=data, splits="none", task="instances")
    assert "--task detection" in no.value.next


def open_truths_of(cohort: Cohort, case: object) -> bool:
    truth = load_truth(cohort, case)  # type: ignore[arg-type]
    return isinstance(truth, Boxes) and bool(truth.classes)


def test_outlines_are_a_segmentation_that_names_the_other_tasks(tmp_path: Path) -> None:
    data = yolo_cohort(tmp_path / "data")
    project = init(tmp_path / "s", data, truth=data, splits="none")
    assert project.summary is not None
    assert "to tell objects apart, say --task detection or --task instances" in "\n".join(project.summary.lines)
    project = init(tmp_path / "p", data, truth=data, splits="none", task="instances")
    cohort = project.cohort()
    some = next(t for t in open_truths(cohort) if t.classes)
    assert isinstance(some, Instances)
    assert some.pieces[0].voxels == 6
    assert fingerprint(cohort).have_voxels
    assert isinstance(load_instances(cohort, cohort.of("training")[0]), Instances)
    counts = read_summary(tmp_path / "p")["parts"]
    assert sum(part["classes"]["tumor"] for part in counts.values()) == 6
    assert min(part["classes"]["tumor"] for part in counts.values()) >= 1  # spread evenly by presence
    (data / "train" / "labels" / "f01.txt").write_text("0 .25 .125 .5 .125 .5 .375")
    assert update(tmp_path / "p").question.task == "instances"


def test_a_truth_whose_outline_lost_a_number_is_refused(tmp_path: Path) -> None:
    data = yolo_cohort(tmp_path / "data")
    (data / "train" / "labels" / "f01.txt").write_text("0 .25 .125 .625 .125 .625 .375 .25")
    with pytest.raises(Refused, match=r"an outline of 'tumor' has a score \(0.25\), or has lost a number; a truth was expected"):
        init(tmp_path / "p", data, truth=data, splits="none", task="instances")


def test_an_image_without_an_object_is_clean_and_one_without_a_label_is_unknown(tmp_path: Path) -> None:
    data = lesions.films(tmp_path / "films", 16)
    content = json.loads((data / "coco.json").read_text())
    listed = [image for image in content["images"] if image["file_name"] != "film003.png"]
    kept = {image["id"] for image in listed}
    drawn = [a for a in content["annotations"] if a["image_id"] in kept]
    (data / "coco.json").write_text(json.dumps({**content, "images": listed, "annotations": drawn}))
    words = {"truth": data / "coco.json", "sheet": data / "sheet.csv", "group_by": "patient", "task": "detection"}
    project = init(tmp_path / "p", data / "images", **words)  # type: ignore[arg-type]
    flow = json.loads((tmp_path / "p" / "cohort" / "flow.json").read_text())
    assert {"step": "truth known", "kept": 15, "excluded": 1, "reasons": {"no COCO label is about it": 1}} in flow
    assert project.summary is not None
    assert "4 images have truth and no object: known to be clean" in "\n".join(project.summary.lines)
    assert any(not truth.classes for truth in open_truths(project.cohort()))


def test_masks_are_split_into_components(tmp_path: Path) -> None:
    data = lesions.volumes(tmp_path / "scans")
    words = {"truth": data / "masks", "sheet": data / "sheet.csv", "group_by": "patient", "names": {"1": "ball"}}
    project = init(tmp_path / "p", data / "images", task="instances", **words)  # type: ignore[arg-type]
    text = (tmp_path / "p" / "project.toml").read_text()
    assert re.search(r'objects = "components" +# in masks, connected voxels of one structure are one object', text)
    assert Project.open(tmp_path / "p").question == project.question
    cohort = project.cohort()
    truths = open_truths(cohort)
    assert {len(t.classes) for t in truths} == {0, 1, 2}
    facts = fingerprint(cohort)
    assert facts.have_voxels
    assert facts.objects["ball"].per_case[0] == 1
    assert facts.objects["ball"].per_case[-1] == 2
    assert facts.objects["ball"].longest_mm[2] == pytest.approx(14, abs=2.1)  # 7 voxels of 2 mm


def test_numbers_of_objects_have_to_be_said(tmp_path: Path) -> None:
    data = numbered(tmp_path / "data")
    images, truth = data / "images", data / "instances"
    with pytest.raises(OverreadError, match=r"hold 3 values that nobody named \(1, 2, 3 \.\.\.\): numbers of objects, or") as no:
        init(tmp_path / "p", images, truth=truth, task="instances")
    assert "--objects values if every value is one object" in no.value.next
    with pytest.raises(OverreadError, match="--objects values says how masks tell objects apart, and no --task asks for them"):
        init(tmp_path / "p", images, truth=truth, objects="values")
    project = init(tmp_path / "p", images, truth=truth, task="instances", objects="values", names={"object": "node"})
    assert project.question.classes == ("node",)
    assert project.question.objects == "values"
    assert {len(t.classes) for t in open_truths(project.cohort())} == {0, 1, 2, 3}  # although they touch
    assert 'objects = "values"' in (tmp_path / "p" / "project.toml").read_text()
    assert update(tmp_path / "p").question.objects == "values"
    joined = init(tmp_path / "c", images, truth=truth, task="detection", objects="components")
    assert joined.question.classes == ("label 1", "label 2", "label 3")


def test_no_object_at_all_and_no_truth_are_refused(tmp_path: Path) -> None:
    data = lesions.films(tmp_path / "films", 8)
    names = [f"film{k:03d}.png" for k in range(8)]
    (tmp_path / "coco.json").write_text(json.dumps(coco_of(names, set(), 64)))
    with pytest.raises(OverreadError, match="The task 'detection' needs objects, and the COCO labels hold no box and no outline"):
        init(tmp_path / "p", data / "images", truth=tmp_path / "coco.json", task="detection")
    (data / "coco.json").unlink()
    with pytest.raises(OverreadError, match="The task 'instances' needs outlines or masks as truth, and none were found"):
        init(tmp_path / "p", data / "images", task="instances")


def test_the_audit_looks_at_whether_there_is_any_object(tmp_path: Path) -> None:
    data = lesions.films(tmp_path / "films", 24)
    words = {"truth": data / "coco.json", "sheet": data / "sheet.csv", "group_by": "patient", "task": "detection"}
    project = init(tmp_path / "p", data / "images", **words)  # type: ignore[arg-type]
    found = audit(project.path)
    rows = dict(found.counts)
    assert rows["Question"] == "detection: dot, bar"
    assert (
        dict(found.looked)["islands, holes, wrong side, outside the body"] == "not looked for: no masks of structures were given"
    )
    assert not [c for c in found.concerns if c.key == "constant-label"]


def test_the_settings_say_how_objects_are_judged(tmp_path: Path) -> None:
    film = (lesions.film_project(tmp_path / "a", "detection").path / "project.toml").read_text()
    assert re.search(r'matching = "auto" +# iou 0\.5 of boxes, the usual limit in 2D; or \'distance 10 mm\'', film)
    assert re.search(
        r"false_positives = 1\.0 +# of each class per image, at most: thresholds are chosen so on tuning cases", film
    )
    volume = (lesions.volume_project(tmp_path / "b", "instances").path / "project.toml").read_text()
    assert re.search(r'matching = "auto" +# iou 0\.1 of voxels, in 3D a small shift costs much overlap', volume)


def test_the_audit_looks_at_objects(tmp_path: Path) -> None:
    data = lesions.films(tmp_path / "films", 24)
    content = json.loads((data / "coco.json").read_text())
    again = [dict(a, id=1000 + a["id"]) for a in content["annotations"]]
    (data / "coco.json").write_text(json.dumps({**content, "annotations": content["annotations"] + again}))
    words = {"truth": data / "coco.json", "sheet": data / "sheet.csv", "group_by": "patient", "task": "detection"}
    found = audit(init(tmp_path / "p", data / "images", **words).path)  # type: ignore[arg-type]
    twice = next(c for c in found.concerns if c.key == "object-labelled-twice")
    assert twice.severity == "warning"
    assert dict(found.looked)["objects labelled twice or under two classes, of unusual size, cut by the border; clean images"]
    page = (found.folder / "audit.html").read_text()
    assert "Objects of each class" in page
    assert found.record["tables"]["objects"]
