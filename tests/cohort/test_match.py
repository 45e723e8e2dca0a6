"""Joining names that were never written for each other."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.cohort.identity import cohort_key, pseudonyms, refuse_spellings
from overread.cohort.labels.masks import MASK_RULES
from overread.cohort.match import match, tokens
from overread.core.errors import OverreadError


@pytest.mark.parametrize(
    ("name", "image", "rule"),
    [
        ("a/b.png", "a/b.png", "same name"),
        ("b.png", "a/b.png", "same path or its end"),
        ("/data/set/a/b.png", "a/b.png", "same end of the path"),
        ("a/b", "a/b.png", "same path without the file's suffix"),
        ("other/b.jpg", "a/b.png", "same file name without suffix"),
        ("B", "a/b.png", "same but for upper and lower case"),
        ("7", "scans/007.png", "same but for zeros in front and separators"),
        ("P 1", "scans/p-001.png", "same but for zeros in front and separators"),
        ("case_001_seg.nii.gz", "case_001_0000.nii.gz", "same but for words such as 'mask' or 'label'"),
        ("mask-12.png", "image-12.png", "same but for words such as 'mask' or 'label'"),
    ],
)
def test_the_strictest_rule_that_fits(name: str, image: str, rule: str) -> None:
    found = match([name], [(image,), ("zz/other.png",)], rules=MASK_RULES)
    assert found.joined == {0: 0}
    assert found.rules == {rule: 1}
    assert found.free == (1,)


def test_what_fits_nothing_stays_over() -> None:
    found = match(["a.png", "ghost.png"], [("a.png",), ("b.png",)])
    assert found.unmatched == (1,)
    assert found.free == (1,)


def test_an_exact_name_wins_over_a_looser_one() -> None:
    assert match(["1", "01"], [("01.png",), ("001.png",)]).joined == {0: 1, 1: 0}


def test_two_images_for_one_name_are_refused() -> None:
    with pytest.raises(OverreadError, match=r"The label 'x.png' fits 2 images .*: 'a/x.png', 'b/x.png'"):
        match(["x.png"], [("a/x.png",), ("b/x.png",)])


def test_two_names_for_one_image_are_refused() -> None:
    with pytest.raises(OverreadError, match=r"Two labels fit one image, p1.png .*: 'p1' and 'P1'"):
        match(["p1", "P1"], [("q.png",), ("p1.png",)], rules=(("alike", lambda n: [tokens(n)], lambda n: [tokens(n[:2])]),))


@given(st.lists(st.integers(0, 10_000), unique=True, min_size=1, max_size=30))
def test_numbers_join_whatever_their_zeros(numbers: list[int]) -> None:
    found = match([str(n) for n in numbers], [(f"{n:06d}.png",) for n in reversed(numbers)])
    assert {k: len(numbers) - 1 - t for k, t in found.joined.items()} == {k: k for k in range(len(numbers))}


@pytest.mark.parametrize(
    ("first", "second"),
    [("P-001", "p001"), ("P-001", "P 1"), ("DOE^JOHN", "Doe^John"), ("DOE^JOHN", "doe john"), ("00012", "12")],
)
def test_one_patient_in_two_spellings_stops_and_names_both(first: str, second: str) -> None:
    with pytest.raises(OverreadError) as caught:
        refuse_spellings([first, second, "other"])
    assert repr(first) in str(caught.value)
    assert repr(second) in str(caught.value)
    assert "written in more than one way" in str(caught.value)


def test_different_patients_are_not_one() -> None:
    names = ["1-11", "11-1", "111", "train_IM-0115", "test_IM-0115", "p1", "p10", "a1", "b1"]
    refuse_spellings(names)
    with pytest.raises(OverreadError, match=r"P10.*p10|p10.*P10"):
        refuse_spellings([*names, "P10"])


def test_pseudonyms_do_not_follow_the_names() -> None:
    names = [f"patient {k:03d}" for k in range(200)]
    key = cohort_key(["pixels:a", "pixels:b"])
    given_names = pseudonyms("patient", names, key)
    assert sorted(given_names.values()) == [f"P-{k:04d}" for k in range(1, 201)]
    numbers = [int(given_names[n][2:]) for n in names]
    rising = sum(a < b for a, b in itertools.pairwise(numbers))
    assert 70 < rising < 130
    assert given_names == pseudonyms("patient", names[::-1], key)
    assert given_names != pseudonyms("patient", names, cohort_key(["pixels:c"]))


def test_new_names_are_numbered_on() -> None:
    key = b"k"
    first = pseudonyms("case", ["a", "b"], key)
    later = pseudonyms("case", ["a", "b", "c"], key, first)
    assert later == {**first, "c": "C-0003"}
