"""Planted leaks are found and told for what they are; clean cohorts are left alone; sealed truths are not given away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from audit.drawn import PARTS, cohort, open_drawn
from overread.audit.audited import Audited, AuditedCase
from overread.audit.blank import look_for_blank
from overread.audit.concern import Concern
from overread.audit.leaks.look import look_for_leaks
from overread.audit.leaks.siblings import find_siblings, is_plain
from overread.audit.sketch import sketches
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.question import Question


def concerns(audited: Audited) -> dict[str, Concern]:
    return {concern.key: concern for concern in look_for_leaks(audited, sketches(audited))}


def test_a_clean_cohort_raises_no_concern() -> None:
    assert concerns(cohort(40)) == {}


def test_a_patient_in_two_partitions_is_a_fault() -> None:
    found = concerns(cohort(c0={"patient_id": "p3"}, c1={"patient_id": "p5"}))
    assert list(found) == ["patient-in-two-partitions"]
    one = found["patient-in-two-partitions"]
    assert one.severity == "fault"
    assert one.cases == [("c0", "c3")]
    assert one.partitions == ("training", "internal")
    assert one.statement == "1 patient (2 cases) lies in more than one partition."
    assert one.evidence["groups_by_partitions"] == {"training and internal": 1}


@pytest.mark.parametrize("kind", ["study", "accession", "frame_of_reference"])
def test_an_exam_that_two_patients_share_is_told(kind: str) -> None:
    key = kind.replace("_", "-")
    found = concerns(cohort(c0={"identifiers": {kind: "k"}}, c3={"identifiers": {kind: "k"}}))
    assert set(found) == {f"{key}-in-two-partitions", f"{key}-under-two-patients"}
    assert found[f"{key}-in-two-partitions"].severity == "fault"
    same = concerns(cohort(c0={"identifiers": {kind: "k"}}, c1={"identifiers": {kind: "k"}, "patient_id": "p0"}))
    assert same == {}


def test_identical_and_mirrored_images_across_partitions_are_faults() -> None:
    found = concerns(cohort(shown={"c3": (0, False), "c6": (5, True), "c1": (4, False)}))
    assert set(found) == {
        "identical-images-in-two-partitions",
        "identical-images-in-one-partition",
        "near-duplicates-in-two-partitions",
        "one-image-under-two-patients",
    }
    assert found["identical-images-in-two-partitions"].cases == [("c0", "c3")]
    assert found["identical-images-in-one-partition"].cases == [("c1", "c4")]
    assert found["identical-images-in-one-partition"].severity == "note"
    near = found["near-duplicates-in-two-partitions"]
    assert near.severity == "fault"
    assert near.cases == [("c5", "c6")]
    assert near.evidence["changes"] == {"mirrored left to right": 1}
    assert found["one-image-under-two-patients"].evidence["groups"] == 3


def test_contradicting_truths_are_named_unless_one_is_sealed() -> None:
    twins = {"c3": (0, False), "c1": (4, False)}
    ill = {"truth": {"ill": 1.0}, "truth_digest": "image of it, ill 1"}
    digests = {"c3": ill | {"truth": None, "is_sealed": True}, "c1": ill}
    one = concerns(cohort(shown=twins, **digests))["contradicting-truths-of-identical-images"]
    assert one.evidence == {"pairs": 2, "pairs_with_a_sealed_truth": 1}
    assert one.cases == [("c1", "c4")]
    assert "A truth of 1 of them is sealed" in one.statement


def test_mirrored_copies_with_other_truths_are_noted_but_not_for_masks() -> None:
    audited = cohort(shown={"c6": (5, True)}, c6={"truth": {"ill": 1.0}})
    assert concerns(audited)["contradicting-truths-of-near-images"].severity == "note"
    drawn = replace(audited, question=Question("segmentation", ("liver",), (1,)))
    assert "contradicting-truths-of-near-images" not in concerns(drawn)


def open_with_blank(blank: tuple[str, ...], shown: Mapping[str, tuple[int, bool]], name: str) -> Image:
    image = open_drawn(shown, name)
    return replace(image, array=np.full_like(image.array, 7.0)) if name in blank else image


def test_images_that_show_nothing_are_told_and_are_no_copies() -> None:
    pictures = {f"c{k}": (k, False) for k in range(12)}
    audited = replace(cohort(), open_image=partial(open_with_blank, ("c0", "c3"), pictures))
    assert concerns(audited) == {}
    (one,) = look_for_blank(audited, sketches(audited))
    assert (one.key, one.severity) == ("blank-images", "warning")
    assert one.cases == [("c0",), ("c3",)]
    assert one.partitions == ["training", "internal"]
    assert one.statement == "2 images show nothing: every pixel has one value."
    assert look_for_blank(cohort(), sketches(cohort())) == []


def test_unknown_patients_are_said() -> None:
    audited = cohort()
    alone = replace(audited, cases=tuple(replace(c, patient_id=c.case_id) for c in audited.cases), patients_known=False)
    assert list(concerns(alone)) == ["patients-not-known"]


def test_without_partitions_copies_are_a_note() -> None:
    audited = cohort(shown={"c3": (0, False)})
    apart = replace(audited, cases=tuple(replace(c, partition="", patient_id=c.case_id) for c in audited.cases))
    found = concerns(apart)
    assert list(found) == ["identical-images-in-one-partition"]
    assert found["identical-images-in-one-partition"].statement == "1 group of identical images (2 cases) was found."


def open_scaled(steps: Mapping[str, float], name: str) -> Image:
    """Whole numbers times the step of a scan."""
    counts = np.random.default_rng(int(name[1:])).integers(0, 300, (1, 8, 12, 10))
    return Image((counts * steps[name]).astype(np.float32), Grid.from_spacing((8, 12, 10)))


def of_scans(steps: Mapping[str, float], patients: Mapping[str, str] | None = None) -> Audited:
    known = patients or {}
    cases = tuple(AuditedCase(name, known.get(name, name), PARTS[k % 4]) for k, name in enumerate(steps))
    return Audited(cases, partial(open_scaled, dict(steps)))


def test_two_parts_of_one_scan_are_siblings_by_their_step() -> None:
    steps = {f"v{k}": float(step) for k, step in enumerate(np.random.default_rng(0).uniform(4, 10, 30))}
    steps |= {"v7": steps["v4"], "v9": steps["v8"], "v20": 1.0, "v21": 1.0, "v22": 0.5, "v23": 0.5}
    audited = of_scans(steps)
    one = concerns(audited)["siblings-by-content"]
    assert one.cases == [("v4", "v7"), ("v8", "v9")]
    assert one.severity == "warning"
    assert one.evidence["cases_with_a_step"] == 26
    assert one.evidence["groups_in_two_partitions"] == 1
    same = of_scans(steps, {"v4": "p", "v7": "p", "v8": "q", "v9": "q"})
    assert "siblings-by-content" not in concerns(same)


def test_a_step_that_many_share_is_no_sign_of_siblings() -> None:
    steps = {f"v{k}": 3.14159 for k in range(20)} | {f"v{k}": 5 + k / 7.7 for k in range(20, 40)}
    assert find_siblings(sketches(of_scans(steps))).groups == ()
    few = {f"v{k}": 5 + (k // 2) / 7.7 for k in range(12)}
    assert find_siblings(sketches(of_scans(few))).groups == ()


@pytest.mark.parametrize(("step", "expected"), [(0, True), (1, True), (0.125, True), (1 / 4095, True), (5.95898, False)])
def test_plain_steps(step: float, expected: bool) -> None:
    assert is_plain(step) == expected
