"""Standardised differences against hand and scipy; planted differences found; clean tables silent at the stated rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from overread.audit.audited import Audited, AuditedCase
from overread.audit.shortcuts.acquisition import look_for_differences
from overread.audit.shortcuts.chance import chosen
from overread.audit.shortcuts.columns import Column, columns_of, encoded
from overread.audit.shortcuts.differences import by_chance, categorical_difference, numeric_difference, surprise
from overread.core.question import Question
from overread.evaluation.intervals.patients import Patients
from simulated_cohorts import cohort


def _clean(ill, random):
    return {
        "vendor": str(random.choice(["A", "B", "C"])),
        "kvp": float(random.choice([80, 100, 120])),
        "thickness_mm": float(random.normal(3, 0.5)),
        "age": float(random.normal(60, 12)),
        "sex": str(random.choice(["F", "M"])),
        "rows": int(random.choice([512, 768])),
    }


def _partition(random):
    return str(random.choice(["training", "internal"], p=[0.6, 0.4]))


def test_cohens_d_by_hand():
    # means 4 and 2; squared deviations 8 and 2; pooled variance (8 + 2) / (3 + 3 - 2) = 2.5
    assert numeric_difference(np.array([2.0, 4, 6]), np.array([1.0, 2, 3])) == pytest.approx(2 / np.sqrt(2.5))
    assert numeric_difference(np.array([1.0, 1]), np.array([1.0, 1])) == 0.0
    assert numeric_difference(np.array([1.0, 1]), np.array([2.0, 2])) is None


def test_multinomial_difference_by_hand():
    # two levels: |0.6 - 0.2| / sqrt((0.6 * 0.4 + 0.2 * 0.8) / 2)
    assert categorical_difference(np.array([0.4, 0.6]), np.array([0.8, 0.2])) == pytest.approx(0.4 / np.sqrt(0.2))
    # three levels: the gap of the last two is (0.2, 0), S11 = (0.25 + 0.21) / 2, S22 = 0.21, S12 = -(0.15 + 0.09) / 2
    one, other = np.array([0.2, 0.5, 0.3]), np.array([0.4, 0.3, 0.3])
    assert categorical_difference(one, other) == pytest.approx(np.sqrt(0.04 * 0.21 / (0.23 * 0.21 - 0.12**2)))
    assert categorical_difference(one[[2, 0, 1]], other[[2, 0, 1]]) == pytest.approx(categorical_difference(one, other))
    assert categorical_difference(np.array([1.0, 0]), np.array([0.0, 1])) is None
    assert categorical_difference(np.array([1.0, 0]), np.array([1.0, 0])) == 0.0


def test_surprise_is_that_of_plain_tests():
    random = np.random.default_rng(0)
    group = random.random(50) < 0.4
    numbers = random.normal(size=50)
    codes = random.integers(0, 3, 50)
    t = stats.ttest_ind(numbers[group], numbers[~group]).pvalue
    counts = np.array([[(codes[side] == k).sum() for k in range(3)] for side in (group, ~group)])
    chi = stats.chi2_contingency(counts, correction=False).pvalue
    empty = np.zeros(50, int)
    assert surprise(Column("n", numbers, empty), group[None])[0] == pytest.approx(-np.log(t))
    assert surprise(Column("c", None, codes, ("a", "b", "c")), group[None])[0] == pytest.approx(-np.log(chi))


def test_chance_stays_below_its_limit_in_95_of_100():
    random = np.random.default_rng(1)
    three = Column("c", None, np.zeros(0, int), ("a", "b", "c"))
    below, runs = 0, 400
    for _ in range(runs):
        one, other = (np.bincount(random.integers(0, 3, n), minlength=3) / n for n in (40, 60))
        below += (categorical_difference(one, other) or 0.0) <= by_chance(three, 40, 60)
    assert 0.92 <= below / runs <= 0.975


def test_a_vendor_that_follows_the_label_is_found_with_its_size():
    def planted(ill, random):
        return {**_clean(ill, random), "vendor": "A" if random.random() < (0.9 if ill else 0.2) else "B"}

    concerns, table = look_for_differences(cohort(1, 80, acquisition=planted, pictures=False)[0])
    (concern,) = [c for c in concerns if c.severity == "warning"]
    assert concern.key == "acquisition-follows-label"
    assert "vendor (ill against healthy: " in concern.statement
    assert "by chance up to 0.4" in concern.statement
    row = next(r for r in table["rows"] if r["column"] == "vendor")
    assert row["difference"] > 1
    assert row["patients"] == [32, 48]
    assert sum(row["in_group"]["counts"].values()) == row["in_group"]["cases"]


def test_age_alone_is_a_note():
    older = cohort(2, 80, acquisition=lambda ill, r: {**_clean(ill, r), "age": r.normal(50 + 20 * ill, 8)}, pictures=False)[0]
    (concern,) = look_for_differences(older)[0]
    assert (concern.key, concern.severity) == ("acquisition-follows-label", "note")


def test_a_partition_from_other_machines_is_found():
    audited, _ = cohort(3, 80, acquisition=_clean, partition=_partition, pictures=False)
    cases = tuple(
        replace(c, acquisition={**c.acquisition, "field_strength_t": 3.0 if c.partition == "internal" else 1.5})
        for c in audited.cases
    )
    (concern,) = look_for_differences(replace(audited, cases=cases))[0]
    assert concern.key == "acquisition-differs-between-partitions"
    assert "field_strength_t (internal test against training: no overlap" in concern.statement
    assert concern.partitions == ["internal", "training"]


def test_a_column_that_one_group_lacks_is_found():
    audited = cohort(4, 80, acquisition=lambda ill, r: {} if ill else {"thickness_mm": r.normal(3, 1)}, pictures=False)[0]
    (concern,) = look_for_differences(audited)[0]
    assert "thickness_mm is missing" in concern.statement


def test_sealed_cases_are_compared_by_partition_and_never_by_label():
    audited, _ = cohort(5, 60, acquisition=_clean, partition=_partition, pictures=False)
    cases = tuple(replace(c, is_sealed=c.partition == "internal") for c in audited.cases)
    _, table = look_for_differences(replace(audited, cases=cases))
    by_label = next(r for r in table["rows"] if r["against"] == "label" and r["column"] == "vendor")
    by_partition = next(r for r in table["rows"] if r["against"] == "partition" and r["column"] == "vendor")
    open_cases = sum(not c.is_sealed for c in cases)
    assert by_label["in_group"]["cases"] + by_label["in_other"]["cases"] == open_cases
    assert by_partition["in_group"]["cases"] + by_partition["in_other"]["cases"] == len(cases)


def test_too_few_patients_are_said_aloud():
    concerns, _ = look_for_differences(cohort(6, 12, acquisition=_clean, pictures=False)[0])
    assert [(c.key, c.severity) for c in concerns] == [("acquisition-too-few", "note")]
    assert "ill against healthy (too few to say: 6 and 6 patients" in concerns[0].statement


def test_clean_tables_raise_alarms_at_the_stated_rate():
    """Columns are the patient's, with one to three cases each; two comparisons; 2 % of cohorts may raise an alarm."""
    alarms = sum(
        bool(look_for_differences(cohort(seed, 45, acquisition=_clean, partition=_partition, pictures=False)[0], seed=seed)[0])
        for seed in range(200)
    )
    assert alarms <= 10  # 4 are expected; more with a chance of 0.3 %


def test_columns_are_numbers_or_names_of_few_levels():
    rows = [
        {
            "kvp": 80 + k,
            "vendor": "A" if k % 2 else "B",
            "study": f"S{k}",
            "same": 1,
            "spacing_mm": (1.0, 0.5 + k, 0.5),
            "day date": k,
        }
        for k in range(20)
    ]
    columns = {column.name: column for column in columns_of(rows)}
    assert set(columns) == {"kvp", "vendor", "spacing_mm y"}
    assert columns["vendor"].levels == ("A", "B")
    features, names = encoded(columns.values())
    assert names == ["kvp", "spacing_mm y", "vendor", "vendor"]
    assert features.shape == (20, 4)
    assert features.min() >= 0
    assert features.max() <= 1


def test_days_are_left_out_whatever_their_column_is_called():
    days = ["1960-02-01", "03.04.1955"] * 6
    rows = [{"dob": day, "geboren": day[:10], "seen": 20200101 + k, "dose": 25000 + k} for k, day in enumerate(days)]
    assert {column.name for column in columns_of(rows)} == {"dose"}  # a number of five digits is no day count


def test_of_very_many_cases_whole_patients_are_drawn():
    patients = Patients.of([f"p{k // 3}" for k in range(300)])
    some = chosen(patients, np.random.default_rng(0), most=50)
    assert 50 <= some.sum() <= 53
    assert set(np.bincount(patients.number[some])) <= {0, 3}
    assert chosen(patients, np.random.default_rng(0)).all()


def test_halves_of_a_number_are_named_after_it():
    cases = tuple(AuditedCase(f"c{k}", f"p{k}", truth={"age": float(k), "size": float(-k)}) for k in range(8))
    concerns, _ = look_for_differences(Audited(cases, lambda name: None, Question("regression", ("age", "size"))))
    assert "age above its median against below it (too few" in concerns[0].statement
    assert "size above its median against below it (too few" in concerns[0].statement
