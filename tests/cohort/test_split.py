"""Splits by patient: against a brute-force oracle, and properties that hold for any cohort."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.cohort.leaks import find_leaks
from overread.cohort.split import folds_by_group, linked_groups, quantile_strata, split_by_group
from overread.core.errors import OverreadError

SHARES = {"training": 0.6, "tuning": 0.2, "internal": 0.2}


def chi_square(groups: list[str], strata: list[list[str]], place: dict[str, str]) -> float:
    """Sum of (placed - wanted)^2 / wanted over patients, cases and strata, counted the slow way."""
    total = 0.0
    kinds = sorted({s for case in strata for s in case})
    measures = [
        lambda part: len({g for g in groups if place[g] == part}),
        lambda part: sum(place[g] == part for g in groups),
        *(
            lambda part, kind=kind: sum(kind in case for g, case in zip(groups, strata, strict=True) if place[g] == part)
            for kind in kinds
        ),
    ]
    for measure in measures:
        whole = sum(measure(part) for part in SHARES)
        total += sum((measure(part) - share * whole) ** 2 / (share * whole) for part, share in SHARES.items())
    return total


@pytest.mark.parametrize("seed", range(5))
def test_the_greedy_split_is_nearly_as_even_as_the_best_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    patients = [f"p{k}" for k in range(8)]
    groups = [p for p in patients for _ in range(random.integers(1, 4))]
    strata = [[str(random.choice(["a", "b"]))] for _ in groups]
    drawn = split_by_group(groups, strata, SHARES, seed)
    best = min(
        chi_square(groups, strata, dict(zip(patients, choice, strict=True)))
        for choice in itertools.product(SHARES, repeat=len(patients))
    )
    ours = chi_square(groups, strata, dict(zip(groups, drawn, strict=True)))
    random_ones = [
        chi_square(
            groups, strata, dict(zip(patients, random.choice(list(SHARES), len(patients), p=list(SHARES.values())), strict=True))
        )
        for _ in range(50)
    ]
    assert best - 1e-9 <= ours <= best + 0.5
    assert ours < np.median(random_ones)


cohorts = st.lists(st.tuples(st.integers(0, 15), st.sampled_from("abc")), min_size=4, max_size=60)


@settings(max_examples=60, deadline=None)
@given(cohorts, st.integers(0, 3))
def test_nobody_is_on_two_sides_and_order_does_not_matter(cases: list[tuple[int, str]], seed: int) -> None:
    groups, strata = [f"p{g}" for g, _ in cases], [[s] for _, s in cases]
    drawn = split_by_group(groups, strata, SHARES, seed)
    sides = defaultdict(set)
    for group, part in zip(groups, drawn, strict=True):
        sides[group].add(part)
    assert all(len(parts) == 1 for parts in sides.values())
    backwards = split_by_group(groups[::-1], strata[::-1], SHARES, seed)
    assert backwards[::-1] == drawn
    assert not list(find_leaks(drawn, groups, [str(k) for k in range(len(groups))]))


@settings(max_examples=40, deadline=None)
@given(cohorts, cohorts)
def test_an_update_moves_nobody(old: list[tuple[int, str]], new: list[tuple[int, str]]) -> None:
    groups, strata = [f"p{g}" for g, _ in old], [[s] for _, s in old]
    before = dict(zip(groups, split_by_group(groups, strata, SHARES), strict=True))
    later = groups + [f"q{g}" for g, _ in new]
    after = split_by_group(later, strata + [[s] for _, s in new], SHARES, 0, before)
    assert {g: p for g, p in zip(later, after, strict=True) if g in before} == before


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40))
def test_linked_groups_are_the_connected_components(pairs: list[tuple[int, int]]) -> None:
    patients, digests = [f"p{a}" for a, _ in pairs], [f"d{b}" for _, b in pairs]
    groups = linked_groups(patients, digests)
    reach = {p: {p} for p in patients}  # the slow way: grow until nothing changes
    for _ in range(len(pairs) + 1):
        for k, j in itertools.product(range(len(pairs)), repeat=2):
            if patients[k] == patients[j] or digests[k] == digests[j]:
                reach[patients[k]] |= reach[patients[j]]
                reach[patients[j]] |= reach[patients[k]]
    for k, j in itertools.product(range(len(pairs)), repeat=2):
        assert (groups[k] == groups[j]) == (patients[j] in reach[patients[k]])


def test_proportions_and_classes_of_a_large_cohort() -> None:
    groups = [f"p{k}" for k in range(400)]
    strata = [["rare"] if k % 20 == 0 else ["common"] for k in range(400)]
    drawn = split_by_group(groups, strata, SHARES, 7)
    assert Counter(drawn) == {"training": 240, "tuning": 80, "internal": 80}
    assert Counter(p for p, s in zip(drawn, strata, strict=True) if s == ["rare"]) == {"training": 12, "tuning": 4, "internal": 4}
    assert drawn != split_by_group(groups, strata, SHARES, 8)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=9, max_size=30), st.integers(3, 9), st.integers(0, 5))
def test_a_class_of_enough_patients_is_in_every_partition(sizes: list[int], ill: int, seed: int) -> None:
    groups = [f"p{k}" for k, size in enumerate(sizes) for _ in range(size)]
    strata = [["ill"] if k < ill else ["well"] for k, size in enumerate(sizes) for _ in range(size)]
    drawn = split_by_group(groups, strata, SHARES, seed)
    assert {p for p, s in zip(drawn, strata, strict=True) if s == ["ill"]} == set(SHARES)


def test_folds_are_even() -> None:
    groups = [f"p{k // 2}" for k in range(100)]
    folds = folds_by_group(groups, [["all"]] * 100, 5)
    assert Counter(folds) == dict.fromkeys(range(5), 20)


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(OverreadError, match="5 folds cannot be made of 2 patients"):
        folds_by_group(["a", "b"], [["x"], ["x"]], 5)


def test_quarters_of_a_number() -> None:
    assert sorted(Counter(quantile_strata([*range(28), None])).items()) == [
        ("bin 1", 7),
        ("bin 2", 7),
        ("bin 3", 7),
        ("bin 4", 7),
        ("unknown", 1),
    ]


def test_a_few_numbers_are_not_torn_into_quarters_that_the_shares_cannot_hold() -> None:
    strata = [[q] for q in quantile_strata([float(k) for k in range(12)])]
    drawn = Counter(split_by_group([f"p{k}" for k in range(12)], strata, {"training": 0.65, "tuning": 0.15, "internal": 0.2}))
    assert drawn["training"] == 8
    assert min(drawn.values()) == 2
