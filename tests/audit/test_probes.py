"""Shortcuts that were planted are found, clean cohorts raise alarms as rarely as stated, and sealed truths stay unseen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import contingency
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from overread.audit.audited import Audited, AuditedCase
from overread.audit.shortcuts.chance import ALARMS, cramers_v, exchanged, family_wise, standardised
from overread.audit.shortcuts.probe_features import background_region
from overread.audit.shortcuts.probe_model import FOLDS, PENALTY, areas, deal, mean_areas, narrowed, told
from overread.audit.shortcuts.probes import look_for_shortcuts
from overread.audit.shortcuts.targets import targets_of
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.core.question import Question
from overread.evaluation.intervals.patients import Patients
from simulated_cohorts import cohort


def _keys(concerns, severity=("fault", "warning")):
    return [concern.key for concern in concerns if concern.severity in severity]


def _row(table, target, probe):
    return next(row for row in table["rows"] if (row["target"], row["probe"]) == (target, probe))


def test_a_clean_cohort_raises_no_alarm_and_says_what_it_would_have_noticed():
    audited, sketches = cohort(1, acquisition=lambda ill, r: {"kvp": r.normal(100, 9), "vendor": str(r.choice(["A", "B"]))})
    concerns, table = look_for_shortcuts(audited, sketches)
    assert _keys(concerns) == []
    row = _row(table, "ill", "edges")
    assert 0.6 <= row["noticed_from"] < 0.85
    assert row["interval"]["n_patients"] == 60
    assert row["interval"]["n_cases"] == len(audited.cases)
    assert row["interval"]["low"] < 0.5 < row["interval"]["high"]
    assert _row(table, "ill", "geometry")["reason"] == "all images have one size, spacing and storage"


def test_a_mark_in_one_corner_is_found_in_corners_alone():
    def mark(sketch, ill):
        if ill:
            sketch.corners[0, 4:9, 3:9] = 1.0

    concerns, table = look_for_shortcuts(*cohort(2, plant=mark))
    assert _keys(concerns) == ["shortcut-edges"]
    assert "borders and corners of the images alone: ill: AUC" in concerns[0].statement
    assert "Anatomy that reaches the border" in concerns[0].certainty
    assert _row(table, "ill", "edges")["interval"]["estimate"] > 0.9
    assert not _row(table, "ill", "background")["tells"]


def test_a_ground_that_is_brighter_in_the_ill_is_found():
    def brighten(sketch, ill):
        sketch.small[:10] += 0.05 * ill

    assert "shortcut-background" in _keys(look_for_shortcuts(*cohort(3, plant=brighten))[0])


def test_a_column_that_follows_the_label_is_found_and_named():
    audited, sketches = cohort(
        4, acquisition=lambda ill, r: {"kvp": r.normal(90 + 20 * ill, 9), "kernel": str(r.choice(["a", "b"]))}
    )
    concerns, table = look_for_shortcuts(audited, sketches)
    assert _keys(concerns) == ["shortcut-metadata"]
    assert "Strongest columns: " in concerns[0].statement
    assert _row(table, "ill", "metadata")["strongest"][0] == "kvp"


def test_sizes_that_follow_the_label_are_found():
    audited, sketches = cohort(5, acquisition=lambda ill, r: {"rows": 512 + 128 * ill, "spacing_mm": (1.0, 0.5, 0.5 + 0.1 * ill)})
    assert _keys(look_for_shortcuts(audited, sketches)[0]) == ["shortcut-geometry"]


def test_intensities_are_told_but_raise_no_alarm():
    def brighten(sketch, ill):
        sketch.intensities["mean"] += 3 * ill

    concerns, _ = look_for_shortcuts(*cohort(6, plant=brighten))
    assert _keys(concerns) == []
    assert _keys(concerns, ("note",)) == ["shortcut-intensities"]


@pytest.mark.parametrize(("follows", "keys"), [(True, ["site-follows-label"]), (False, [])])
def test_a_site_that_images_show_matters_only_where_it_goes_with_the_label(follows, keys):
    places = {}

    def site(ill, random):
        name = ("North", "South")[int((ill if follows else random.random() < 0.5) != (random.random() < 0.1))]
        places["now"] = name
        return name

    def tint(sketch, ill):
        sketch.intensities["mean"] += 4 * (places["now"] == "South")

    concerns, table = look_for_shortcuts(*cohort(7, patients=90, site=site, plant=tint))
    assert _row(table, "site", "intensities")["tells"]
    found = [c for c in concerns if c.key == "site-follows-label"]
    assert [c.key for c in found] == keys
    if found:
        assert found[0].severity == "warning"
        assert "The images show their site (intensities alone: AUC" in found[0].statement
        assert found[0].evidence["rows"][0]["cases"]["North"]["healthy"] > 0


def test_too_few_patients_are_said_aloud():
    concerns, table = look_for_shortcuts(*cohort(8, patients=15))
    assert _keys(concerns, ("note",)) == ["shortcut-too-few"]
    assert "patients by group are healthy: 9, ill: 6; 10 in each of two are the least" in concerns[0].statement
    assert all(row["interval"] is None for row in table["rows"])


def test_no_label_is_said_aloud():
    audited, sketches = cohort(9, patients=12)
    concerns, _ = look_for_shortcuts(replace(audited, question=None), sketches)
    assert [c.key for c in concerns] == ["shortcut-no-label"]


def test_sealed_truths_are_never_probed():
    audited, _ = cohort(10)
    cases = tuple(
        replace(c, is_sealed=k % 3 == 0, partition="internal" if k % 3 == 0 else "training") for k, c in enumerate(audited.cases)
    )
    (target,) = targets_of(replace(audited, cases=cases))
    assert set(target.codes) == {c.case_id for c in cases if not c.is_sealed}


def test_numbers_are_told_above_or_below_their_median():
    cases = tuple(AuditedCase(f"C{k}", f"P{k}", truth={"age": float(k) if k else None}) for k in range(21))
    (target,) = targets_of(Audited(cases, lambda case_id: None, Question("regression", ("age",), units=("years",))))
    assert target.name == "age above its median"
    assert sum(target.codes.values()) == 10
    assert "C0" not in target.codes


def test_structures_are_told_by_presence_or_by_volume():
    grid = Grid.from_spacing((1, 4, 4), (1.0, 10.0, 10.0))

    def mask(case_id: str) -> LabelMap:
        number = int(case_id[1:])
        layers = np.zeros((1, 1, 4, 4), np.uint8)
        layers[0, 0, 0, : 1 + number % 4] = 1
        layers[0, 0, 2, :2] = 2 * (number % 2)
        return LabelMap(layers, (Structure("liver", 1), Structure("lesion", 2)), grid)

    cases = tuple(AuditedCase(f"C{k}", f"P{k}") for k in range(24))
    question = Question("segmentation", ("liver", "lesion"), (1, 2))
    liver, lesion = targets_of(Audited(cases, lambda case_id: None, question, open_truth=mask))
    assert (liver.name, lesion.name) == ("volume of liver above its median", "lesion")
    assert sum(lesion.codes.values()) == 12
    assert liver.codes["C3"] == 1


def test_many_classes_are_told_each_against_the_rest():
    audited, sketches = cohort(11)
    names = ("a", "b", "c")
    cases = []
    for case in audited.cases:
        kind = int(case.patient_id[1:]) % 3
        sketches[case.case_id].corners[kind, :8] += 0.5
        cases.append(replace(case, truth={name: float(k == kind) for k, name in enumerate(names)}))
    concerns, table = look_for_shortcuts(
        replace(audited, cases=tuple(cases), question=Question("classification", names)), sketches
    )
    assert "shortcut-edges" in _keys(concerns)
    assert _row(table, "label", "edges")["interval"]["estimate"] > 0.9


def test_a_class_of_few_patients_is_left_out_aloud():
    audited, sketches = cohort(12)
    kinds = {f"P{k}": 2 if k < 4 else k % 2 for k in range(60)}
    cases = tuple(
        replace(c, truth={name: float(kinds[c.patient_id] == k) for k, name in enumerate("abc")}) for c in audited.cases
    )
    concerns, table = look_for_shortcuts(
        replace(audited, cases=cases, question=Question("classification", tuple("abc"))), sketches
    )
    assert [c.key for c in concerns] == ["shortcut-too-few"]
    assert "label: too few patients of c" in concerns[0].statement
    assert _row(table, "label", "edges")["levels"] == ["a", "b"]


def test_clean_clustered_cohorts_raise_alarms_at_the_stated_rate():
    """Two probes whose features and labels are the patient's: p values by case would be far too small."""
    random = np.random.default_rng(0)
    alarms, runs = 0, 200
    for _ in range(runs):
        patients = Patients.of(np.repeat(np.arange(40), random.integers(1, 6, 40)))
        codes = (np.arange(40) % 2)[patients.number]
        sides = [narrowed(random.normal(size=(40, 6))[patients.number], patients.count) for _ in range(2)]
        fold = deal(codes, patients, random)
        every = np.vstack([codes[None], codes[exchanged(patients, 99, random)]])
        values = np.stack([mean_areas(side, every, fold) for side in sides], axis=1)
        alarms += bool((family_wise(*standardised(values[0], values[1:])) <= 0.05).any())
    assert 2 <= alarms <= 19  # 10 are expected; outside with a chance of 0.5 %


def test_the_parts_of_the_audit_share_five_percent():
    assert sum(ALARMS.values()) == pytest.approx(0.05)


def test_areas_and_answers_are_those_of_scikit_learn():
    random = np.random.default_rng(3)
    patients = Patients.of(np.repeat(np.arange(40), 2))
    codes = (random.random(40) < 0.4).astype(int)[patients.number]
    features = narrowed(np.round(random.normal(size=(80, 3)), 1), 40)
    fold = deal(codes, patients, random)
    answers = told(features, codes[:, None].astype(float), fold)
    expected = np.empty(80)
    for k in range(FOLDS):
        rest = fold != k
        model = Ridge(alpha=PENALTY * rest.sum()).fit(features[rest], codes[rest])
        expected[~rest] = model.predict(features[~rest]) - codes[rest].mean()
    np.testing.assert_allclose(answers[:, 0], expected, atol=1e-10)
    ties = np.round(answers, 1)
    by_fold = [roc_auc_score(codes[fold == k], ties[fold == k, 0]) for k in range(FOLDS)]
    assert areas(codes[:, None].astype(float), ties, fold)[0] == pytest.approx(np.mean(by_fold))


def test_folds_never_divide_a_patient_and_hold_every_level():
    random = np.random.default_rng(4)
    patients = Patients.of(np.repeat(np.arange(30), random.integers(1, 5, 30)))
    codes = (np.arange(30) % 3)[patients.number]
    fold = deal(codes, patients, random)
    assert all(len(set(fold[patients.number == p])) == 1 for p in range(30))
    assert all(set(codes[fold == k]) == {0, 1, 2} for k in range(FOLDS))


def test_a_patient_receives_the_labels_of_one_other():
    random = np.random.default_rng(5)
    patients = Patients.of(["a", "b", "a", "c", "b", "b"])
    received = exchanged(patients, 50, random)
    for row in received:
        givers = patients.number[row]
        assert [len(set(givers[patients.number == p])) for p in range(3)] == [1, 1, 1]
        assert sorted(givers[patients.number == p][0] for p in range(3)) == [0, 1, 2]


def test_cramers_v_is_that_of_scipy():
    random = np.random.default_rng(6)
    one, other = random.integers(0, 3, 60), random.integers(0, 4, 60)
    counts = contingency.crosstab(one, other).count
    assert cramers_v(one, other) == pytest.approx(contingency.association(counts, method="cramer"))
    assert cramers_v(one, np.stack([other, one])) == pytest.approx([cramers_v(one, other), cramers_v(one, one)])


def test_the_background_is_what_hangs_together_with_the_border():
    picture = np.full((64, 64), 0.1)
    picture[14:50, 14:50] = 0.9
    picture[28:36, 28:36] = 0.1
    region = background_region(picture)
    assert region[0, 0]
    assert not region[32, 32]
    assert not background_region(np.zeros((64, 64))).any()
