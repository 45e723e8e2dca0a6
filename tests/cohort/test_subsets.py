"""Shares of the patients lie within each other and are alike; open cases are divided by patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.cohort.index import Cohort
from overread.cohort.subdivision import Subdivision, read_subdivision, write_subdivision
from overread.cohort.subsets import Drawable, inner_parts, nested_subsets, usable_subsets
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.question import Question

SHARES = (0.1, 0.25, 0.5, 1.0)


def drawn(classes: list[str], cases_of_patient: int = 1) -> Drawable:
    """A patient per class named, each with so many cases."""
    patients = [f"P{k:03d}" for k in range(len(classes)) for _ in range(cases_of_patient)]
    strata = tuple((c,) for c in classes for _ in range(cases_of_patient))
    ids = tuple(f"C{k:04d}" for k in range(len(patients)))
    return Drawable(ids, tuple(patients), tuple(patients), strata, frozenset(classes), "class")


labels = st.lists(st.sampled_from(["ill", "healthy", "unclear"]), min_size=12, max_size=90)


@settings(max_examples=40)
@given(labels, st.integers(1, 3), st.integers(0, 5))
def test_a_smaller_share_lies_within_every_larger_one_and_patients_stay_whole(labels: list[str], each: int, seed: int) -> None:
    cohort = drawn(labels, each)
    found = nested_subsets(cohort, SHARES, seed)
    assert set(found[1.0]) == set(range(len(cohort.case_ids)))
    for small, large in ((0.1, 0.25), (0.25, 0.5), (0.5, 1.0)):
        assert set(found[small]) <= set(found[large])
    for share, which in found.items():
        inside = {cohort.patient_ids[k] for k in which}
        assert sorted(which) == [k for k, p in enumerate(cohort.patient_ids) if p in inside]
        assert abs(len(inside) - share * len(labels)) <= 0.5
    assert found == nested_subsets(cohort, SHARES, seed)
    assert found[0.25] == nested_subsets(cohort, (0.25, 0.8), seed)[0.25], "whatever other shares are asked for"


@settings(max_examples=40)
@given(st.integers(8, 30), st.integers(8, 30), st.integers(0, 5))
def test_every_share_has_the_classes_as_all_patients_have_them(ill: int, healthy: int, seed: int) -> None:
    cohort = drawn(["ill"] * ill + ["healthy"] * healthy)
    for share, which in nested_subsets(cohort, (0.25, 0.5, 1.0), seed).items():
        assert cohort.lacking(which) == []
        assert abs(sum(k < ill for k in which) - share * ill) <= 1.5


def test_over_many_seeds_every_patient_is_drawn_alike() -> None:
    """Also where findings come in many combinations, most of them once."""
    cohort = drawn(["ill"] * 10 + [f"combination {k}" for k in range(10)])
    counts = np.zeros(20)
    for seed in range(400):
        counts[list(nested_subsets(cohort, (0.25,), seed)[0.25])] += 1
    np.testing.assert_allclose(counts / 400, 0.25, atol=0.08)


def test_another_seed_draws_other_patients() -> None:
    cohort = drawn(["ill", "healthy"] * 20)
    assert nested_subsets(cohort, SHARES, 0)[0.25] != nested_subsets(cohort, SHARES, 1)[0.25]


def test_a_share_that_lacks_a_class_is_refused_with_the_smallest_that_works() -> None:
    cohort = drawn(["ill"] * 3 + ["healthy"] * 37)
    with pytest.raises(OverreadError, match=r"cannot begin at 10 %: 10 % of the training patients \(4\) show no 'ill'") as caught:
        usable_subsets(cohort, SHARES, [0, 1])
    least = int(caught.value.next.split("begin at ")[1].split(" %")[0])
    usable_subsets(cohort, (least / 100, *(s for s in SHARES if s > least / 100)), [0, 1])
    with pytest.raises(OverreadError, match="show no 'ill'"):
        usable_subsets(cohort, ((least - 1) / 100, *(s for s in SHARES if s > least / 100)), [0, 1])
    assert f"--shares {least}," in caught.value.next


def test_a_share_of_one_patient_is_refused() -> None:
    cohort = drawn(["ill"] * 8)
    with pytest.raises(OverreadError, match=r"10 % of the training patients are [01]; 2 are the least"):
        usable_subsets(cohort, SHARES, [0])


@settings(max_examples=30)
@given(st.integers(6, 30), st.integers(6, 30), st.integers(1, 3), st.integers(2, 4))
def test_inner_parts_hold_every_class_and_share_no_patient(ill: int, healthy: int, each: int, inner: int) -> None:
    cohort = drawn(["ill"] * ill + ["healthy"] * healthy, each)
    parts = inner_parts(cohort, inner, 0)
    assert len(set(zip(cohort.patient_ids, parts, strict=True))) == ill + healthy
    for part in range(inner):
        assert cohort.lacking([k for k, own in enumerate(parts) if own == part]) == []


def test_an_inner_part_without_a_class_is_refused() -> None:
    with pytest.raises(OverreadError, match=r"Of 3 inner parts, number \d would show no 'ill'(?s:.*)--inner 2"):
        inner_parts(drawn(["ill"] * 2 + ["healthy"] * 20), 3, 0)
    with pytest.raises(OverreadError, match="give --inner 2 or more"):
        inner_parts(drawn(["ill", "healthy"] * 5), 1, 0)


# ---------------------------------------------------------------- subdivisions


def cohort() -> Cohort:
    cases = tuple(Case(f"C{k}", f"P{k // 2}", f"E{k}", ()) for k in range(8))
    place = {c.case_id: "internal" if k > 5 else "tuning" if k > 3 else "training" for k, c in enumerate(cases)}
    question = Question("classification", ("healthy", "ill"), positive="ill")
    return Cohort(Path(), Path(), None, question, cases, place, False, "sha256:0")


def test_a_subdivision_leaves_the_internal_test_out() -> None:
    seen = Subdivision(frozenset({"C0", "C1"}), frozenset({"C4", "C5"}), "a learning curve").of(cohort())
    assert [c.case_id for c in seen.of("training")] == ["C0", "C1"]
    assert [c.case_id for c in seen.of("tuning")] == ["C4", "C5"]
    assert seen.of("internal") == ()
    assert len(seen.cases) == 4


def test_a_subdivision_may_turn_training_into_tuning() -> None:
    seen = Subdivision(frozenset({"C4", "C5", "C0", "C1"}), frozenset({"C2", "C3"}), "a selection").of(cohort())
    assert [c.case_id for c in seen.of("tuning")] == ["C2", "C3"]


@pytest.mark.parametrize(
    ("training", "tuning", "words"),
    [
        ({"C0", "C6"}, {"C4"}, "C6, which lies under the seal of the internal test"),
        ({"C0", "C9"}, {"C4"}, "C9, which is no case of this cohort any more"),
        ({"C0"}, {"C1"}, "a patient among its training and its tuning cases"),
    ],
)
def test_what_is_not_open_or_not_apart_is_refused(training: set[str], tuning: set[str], words: str) -> None:
    with pytest.raises(OverreadError, match=words):
        Subdivision(frozenset(training), frozenset(tuning), "a selection").of(cohort())


def test_a_subdivision_is_read_back_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "subdivision.json"
    assert read_subdivision(path) is None
    given = Subdivision(frozenset({"C0"}), frozenset({"C4"}), "a selection", {"candidate": 1, "settings": {"a": "1"}})
    write_subdivision(path, given)
    assert read_subdivision(path) == given
    path.write_text(path.read_text().replace("C0", "C2"))
    with pytest.raises(OverreadError, match="its hash does not fit"):
        read_subdivision(path)
