"""Planted faults of masks are found where they were planted; a clean cohort raises no alarm."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from overread.audit.audited import Audited, AuditedCase
from overread.audit.masks import look as module
from overread.audit.masks.facts import mask_facts
from overread.audit.masks.look import look_for_mask_faults
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import LabelMap, Structure
from overread.core.question import Question

SHAPE = (16, 48, 48)
GRID = Grid.from_spacing(SHAPE, (3.0, 1.0, 1.0))
QUESTION = Question("segmentation", ("liver", "lesion"), (1, 2))
COUNT = 24


def image_of(case_id: str) -> Image:
    """Water in air, HU."""
    y, x = np.mgrid[:48, :48] - 23.5
    array = np.full(SHAPE, -1000.0, np.float32)
    array[:, np.hypot(y, x) < 20] = 40
    return Image(array[None], GRID, "HU")


def layer_of(number: int) -> np.ndarray:
    """A liver at the patient's right (low x) of random size, half of the cases with two lesions of any size in it."""
    random = np.random.default_rng(number)
    radius = 7.0 * np.exp(random.normal(0, 0.06))
    z, y, x = np.indices(SHAPE)
    array = np.zeros(SHAPE, np.uint8)
    array[((z - 8) * 1.6) ** 2 + (y - 24) ** 2 + (x - 16 - random.normal(0, 0.7)) ** 2 < radius**2] = 1
    if number % 2:
        for place in ((6, 20, 13), (10, 28, 18)):
            size = random.uniform(1.2, 2.2)
            array[((z - place[0]) * 1.5) ** 2 + (y - place[1]) ** 2 + (x - place[2]) ** 2 < size**2] = 2
    return array


def planted(number: int, fault: str) -> np.ndarray:
    array = layer_of(number)
    z, y, x = np.indices(SHAPE)
    if fault == "mask-islands":
        array[8, 24, 38:40] = 1
    elif fault == "mask-holes":
        array[8, 20:22, 12:14] = 0
    elif fault == "mask-wrong-side":
        array = array[:, :, ::-1].copy()
    elif fault == "mask-outside-body":
        array = np.roll(array, -14, 2)
    elif fault == "mask-unusual-volume":
        array[array == 1] = 0
        array[((z - 8) * 1.6) ** 2 + (y - 24) ** 2 + (x - 16) ** 2 < 2.5**2] = 1
    elif fault == "mask-gaps":
        array[7:9] = 0
    elif fault == "mask-one-slice":
        array[:8] = 0
        array[9:] = 0
    elif fault == "mask-copied-outlines":
        array[4:13] = array[8]
    elif fault == "mask-empty":
        array[:] = 0
    return array


def truth_of(faults: dict[str, str], case_id: str) -> LabelMap:
    number = int(case_id[1:])
    if faults.get(case_id) == "mask-unreadable":
        raise OverreadError("/secret/place.nii.gz is cut short.")
    array = planted(number, faults.get(case_id, ""))
    return LabelMap(array[None], (Structure("liver", 1), Structure("lesion", 2)), GRID)


def cohort(faults: dict[str, str], count: int = COUNT) -> Audited:
    cases = tuple(
        AuditedCase(f"c{k}", f"p{k}", "training" if k < count - 4 else "internal", None, k >= count - 4) for k in range(count)
    )
    return Audited(
        cases, image_of, QUESTION, open_truth=partial(truth_of, faults), truth_counts={"internal": {"liver": 4, "lesion": 1}}
    )


def test_a_clean_cohort_raises_no_alarm() -> None:
    found = look_for_mask_faults(cohort({}))
    assert [c.key for c in found] == ["mask-empty"]  # lesions are absent in half of the cases: a note
    assert found[0].severity == "note"
    assert found[0].evidence["structures"]["lesion"] == {
        "training": {"empty": 10, "of": 20},
        "internal": {"empty": 3, "of": 4},  # from the seal's summary: no mask under seal was opened
    }


@pytest.mark.parametrize("fault", [f.key for f in module.FAULTS])
def test_a_planted_fault_is_found_in_its_case(fault: str) -> None:
    found = {c.key: c for c in look_for_mask_faults(cohort({"c7": fault}))}
    assert fault in found, list(found)
    concern = found[fault]
    assert concern.cases == [("c7",)]
    assert (concern.severity, concern.subject, concern.partitions) == ("warning", "masks", ("training",))
    assert concern.evidence["worst"][0]["case_id"] == "c7"
    assert "liver" in concern.evidence["structures"]
    assert concern.meaning
    assert concern.advice


def test_a_mask_that_was_forgotten_is_more_than_an_empty_one() -> None:
    (concern,) = [c for c in look_for_mask_faults(cohort({"c3": "mask-empty"}, 48)) if c.key == "mask-empty"]
    assert concern.severity == "warning"
    assert concern.cases == [("c3",)]
    assert "liver is nearly always drawn" in concern.meaning


def test_a_mask_that_does_not_open_is_told_without_its_path() -> None:
    refused: dict[str, str] = {}
    found = look_for_mask_faults(cohort({"c5": "mask-unreadable"}), refused=refused)
    (concern,) = [c for c in found if c.key == "mask-unreadable"]
    assert concern.cases == [("c5",)]
    assert "secret" not in str(concern.as_dict())
    assert "secret" in refused["c5"]


def test_masks_under_seal_are_never_opened() -> None:
    opened = []

    def watch(case_id: str) -> LabelMap:
        opened.append(case_id)
        return truth_of({}, case_id)

    audited = cohort({})
    look_for_mask_faults(Audited(audited.cases, image_of, QUESTION, open_truth=watch))
    assert len(opened) == 20
    assert not set(opened) & {c.case_id for c in audited.cases if c.is_sealed}


def test_what_most_masks_have_is_the_cohorts_way() -> None:
    found = {c.key: c for c in look_for_mask_faults(cohort({f"c{k}": "mask-holes" for k in range(15)}))}
    assert found["mask-holes"].severity == "note"
    assert "the cohort's way" in found["mask-holes"].certainty


def test_many_lesions_are_no_islands() -> None:
    assert "mask-islands" not in {c.key for c in look_for_mask_faults(cohort({}))}
    facts = mask_facts("c1", truth_of({}, "c1"), None)
    assert {f.structure: f.parts for f in facts} == {"liver": 1, "lesion": 2}


def test_a_lesion_inside_the_liver_is_no_hole_in_it() -> None:
    for number in (1, 3, 5):
        assert all(f.hole_voxels == 0 for f in mask_facts("c", truth_of({}, f"c{number}"), None))


def test_volumes_of_a_log_normal_cohort_are_rarely_called_unusual() -> None:
    from overread.audit.masks.facts import MaskFacts
    from overread.audit.masks.rules import volume

    random = np.random.default_rng(0)
    for count in (10, 30, 200):
        cohorts = [
            [MaskFacts(f"c{k}", "liver", 1, float(v)) for k, v in enumerate(np.exp(random.normal(3, 0.4, count)))]
            for _ in range(400)
        ]
        assert np.mean([volume(masks, 1) is not None for masks in cohorts]) <= 0.03


def test_a_planar_mask_and_a_turned_grid_are_measured_alike() -> None:
    array = np.zeros((1, 40, 40), np.uint8)
    array[0, 10:30, 5:15] = 1
    array[0, 18:20, 8:10] = 0
    grid = Grid.from_spacing((1, 40, 40), spacing_known=False, is_planar=True)
    (fact,) = mask_facts("c", LabelMap(array[None], (Structure("heart", 1),), grid), None)
    assert (fact.hole_voxels, fact.volume, fact.parts, fact.gaps) == (4, 196.0, 1, 0)
    assert fact.side == pytest.approx(-0.5, abs=0.02)

    truth, image = truth_of({}, "c4"), image_of("c4")
    order, flips = (1, 2, 0), (True, False, True)
    turned = image.reoriented(order, flips)
    layers = truth.layers.transpose(0, 2, 3, 1)[:, ::-1, :, ::-1]
    (one, _), (other, _) = mask_facts("c", truth, image), mask_facts("c", LabelMap(layers, truth.structures, turned.grid), turned)
    assert one.side == pytest.approx(other.side)
    assert one.outside == other.outside == 0
    assert one.side < -0.3


def test_no_masks_no_concerns() -> None:
    cases = (AuditedCase("c0", "p0"),)
    assert look_for_mask_faults(Audited(cases, image_of, Question("classification", ("a", "b"), positive="b"))) == []
