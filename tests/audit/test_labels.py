"""Labels: counted with the seal in place, uneven partitions told, planted noise found far better than by chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from overread.audit.audited import Audited, AuditedCase
from overread.audit.labels.counts import chance, count_labels, unbalanced
from overread.audit.labels.look import look_for_label_faults, usable_cases
from overread.audit.labels.suspects import clean_count, confident_class, fit_share, suspicion
from overread.audit.sketch import Sketch, sketch
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.question import Question

BINARY = Question("classification", ("normal", "disease"), positive="disease")


def no_image(case_id: str) -> Image:
    raise AssertionError("sketches are all that is looked at")


def cohort(
    counts: dict[str, tuple[int, int]], *, each: int = 1, sealed: tuple[str, ...] = ("internal",), question: Question = BINARY
) -> Audited:
    """partition -> (diseased, normal) cases, `each` cases per patient; classes change from patient to patient."""
    cases, told = [], {}
    for partition, (ill, well) in counts.items():
        told[partition] = {"disease": ill, "normal": well}
        for k in range(ill + well):
            hidden = partition in sealed
            truth = None if hidden else {"disease": float(k < ill), "normal": float(k >= ill)}
            cases.append(AuditedCase(f"{partition}-{k}", f"{partition}-p{k // each}", partition, truth, hidden))
    return Audited(tuple(cases), no_image, question, truth_counts=told)


def keys(audited: Audited) -> dict[str, object]:
    return {c.key: c for c in look_for_label_faults(audited, {})}


def test_counts_of_sealed_partitions_come_from_the_summary() -> None:
    counted = count_labels(cohort({"training": (4, 8), "internal": (3, 5)}, each=2))
    assert counted["training"]["disease"] == {"cases": 4, "patients": 2, "known": 12}
    assert counted["internal"]["disease"] == {"cases": 3, "patients": None, "known": None}


def test_a_rare_class_is_told_with_the_number_that_would_do() -> None:
    assert usable_cases() == pytest.approx(38, abs=4)
    found = keys(cohort({"training": (8, 100), "tuning": (2, 50), "internal": (12, 100)}))["rare-class"]
    rows = {(row["partition"], row["class"]): row for row in found.evidence["rows"]}
    assert set(rows) == {("training", "disease"), ("internal", "disease")}
    assert found.evidence["usable_cases"] == usable_cases()
    assert "disease in internal test (12)" in found.statement
    assert "rare-class" not in keys(cohort({"training": (80, 100), "internal": (60, 60)}))


def test_partitions_with_another_prevalence_are_told_and_even_ones_are_not() -> None:
    found = keys(cohort({"training": (150, 150), "internal": (20, 130)}))["class-balance-differs"]
    assert found.partitions == ("training", "internal")
    assert "training 50%" in found.statement
    assert "class-balance-differs" not in keys(cohort({"training": (100, 100), "tuning": (20, 22), "internal": (30, 28)}))


def test_cases_of_one_patient_are_not_taken_for_several() -> None:
    alone = cohort({"training": (60, 60), "internal": (26, 54)}, sealed=())
    clustered = cohort({"training": (60, 60), "internal": (26, 54)}, each=10, sealed=())
    assert unbalanced(alone)[0]["p"] < 0.02
    assert unbalanced(clustered)[0]["p"] > 0.2
    sealed = cohort({"training": (60, 60), "internal": (26, 54)}, each=10)
    assert unbalanced(sealed)[0]["patients"] == {"training": 12, "internal": 8}


def test_chance_agrees_with_scipy_and_drawn_tables_with_fisher() -> None:
    large = np.array([[40, 60], [30, 90]])
    assert chance(large) == pytest.approx(stats.chi2_contingency(large, correction=False).pvalue)
    small = np.array([[1, 9], [6, 4]])
    assert chance(small) == pytest.approx(stats.fisher_exact(small).pvalue, abs=0.02)


def test_even_splits_of_clean_cohorts_raise_no_alarm_more_often_than_said() -> None:
    random = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        label = random.permutation(np.arange(120) < 30)
        ill = [int(label[:80].sum()), int(label[80:].sum())]
        table = np.array([[ill[0], 80 - ill[0]], [ill[1], 40 - ill[1]]])
        alarms += chance(table) < 0.05
    assert alarms / 300 <= 0.08


def test_the_balance_is_told_with_what_chance_does_to_any_class() -> None:
    told = keys(cohort({"training": (150, 150), "internal": (20, 130)}))["class-balance-differs"]
    rows = told.evidence["rows"]
    assert all(row["p_holm"] >= row["p"] for row in rows)
    worst = min(row["p_holm"] for row in rows)
    assert f"in any class with probability {worst:.2g}" in told.certainty
    assert "training 50% of 300, internal test 13% of 150 patients" in told.statement


@pytest.mark.parametrize(
    ("question", "values", "told"),
    [
        (Question("regression", ("volume",)), [3.0] * 8, "volume is 3 in all 8 cases"),
        (Question("classification", ("x",), exclusive=False), [1.0] * 8, "x is 1 in all 8 cases"),
        (Question("regression", ("volume",)), [3.0] * 7 + [3.5], ""),
        (Question("regression", ("volume",)), [None] * 8, ""),
    ],
)
def test_a_truth_that_never_varies_is_told(question: Question, values: list[float | None], told: str) -> None:
    cases = tuple(AuditedCase(f"c{k}", f"p{k}", "", {question.classes[0]: v}) for k, v in enumerate(values))
    found = keys(Audited(cases, no_image, question)).get("constant-label")
    assert (found is None) if not told else (found is not None and told in found.statement and found.severity == "warning")


def test_patients_who_contradict_themselves_are_a_note() -> None:
    audited = cohort({"training": (21, 19)}, each=2)
    found = keys(audited)["exams-of-a-patient-differ"]
    assert (found.severity, found.cases) == ("note", [("training-20", "training-21")])
    of_sides = Audited(audited.cases, no_image, replace(BINARY, unit="side"))
    assert "exams-of-a-patient-differ" not in keys(of_sides)


# ---------------------------------------------------------------- suspect labels


def picture(ill: bool, random: np.random.Generator) -> Image:
    """A patch that is bright in disease, on noise of its own brightness: a small model is right in about 19 of 20."""
    array = random.normal(100 + random.normal(0, 10), 12, (32, 32))
    array[8:20, 8:20] += random.normal(16 if ill else 0, 5)
    grid = Grid.from_spacing((1, 32, 32), spacing_known=False, is_planar=True)
    return Image(array[None, None].astype(np.float32), grid)


def noisy(count: int, share: float, seed: int = 0) -> tuple[Audited, dict[str, Sketch], set[str]]:
    """A cohort whose last fifth is sealed, its sketches, and the cases whose label was turned."""
    random = np.random.default_rng(seed)
    ill = random.random(count) < 0.4
    wrong = random.random(count) < share
    cases, sketches, turned = [], {}, set()
    for k in range(count):
        name, hidden = f"c{k}", k >= count * 0.8
        label = bool(ill[k] ^ wrong[k])
        truth = None if hidden else {"disease": float(label), "normal": float(not label)}
        cases.append(AuditedCase(name, f"p{k}", "internal" if hidden else "training", truth, hidden))
        sketches[name] = sketch(picture(bool(ill[k]), random))
        if wrong[k] and not hidden:
            turned.add(name)
    return Audited(tuple(cases), no_image, BINARY), sketches, turned


@pytest.fixture(scope="module")
def planted():
    audited, sketches, turned = noisy(400, 0.08, seed=2)
    (concern,) = [c for c in look_for_label_faults(audited, sketches) if c.key == "suspect-labels"]
    return concern, turned


def test_turned_labels_come_first_in_the_list(planted) -> None:
    concern, turned = planted
    ranked = [row["case_id"] for row in concern.evidence["ranked"]]
    share = len(turned) / concern.evidence["n_cases"]
    top = ranked[: len(turned)]
    found = sum(name in turned for name in top)
    assert found / len(top) > 5 * share  # enrichment over looking at cases as they come
    assert found >= 0.5 * len(turned)
    chances = [row["probability_wrong"] for row in concern.evidence["ranked"]]
    assert chances == sorted(chances, reverse=True)


def test_more_than_a_clean_cohort_would_show_is_a_warning(planted) -> None:
    concern, turned = planted
    assert concern.severity == "warning"
    expected = concern.evidence["expected_if_clean"]
    assert concern.evidence["suspects"] > expected["high"] >= expected["mean"] >= expected["low"]
    share = concern.evidence["share_wrong"]
    assert share["estimate"] == pytest.approx(len(turned) / concern.evidence["n_cases"], abs=0.05)
    assert 0 < share["low"] < len(turned) / concern.evidence["n_cases"] < share["high"]
    assert (share["n_cases"], share["n_patients"], share["method"]) == (320, 320, "penalised profile likelihood")
    assert f"{share['low']:.1%} to {share['high']:.1%}" in concern.meaning
    assert concern.evidence["areas"]["disease"]["low"] > 0.6
    assert concern.evidence["areas"]["disease"]["method"] == "DeLong, logit scale"


def test_labels_under_seal_are_neither_judged_nor_listed(planted) -> None:
    concern, _ = planted
    assert concern.evidence["n_cases"] == 320
    assert concern.partitions == ("training",)
    assert all(int(row["case_id"][1:]) < 320 for row in concern.evidence["ranked"])


def test_a_clean_cohort_has_suspects_and_they_are_a_note() -> None:
    audited, sketches, _ = noisy(300, 0.0, seed=3)
    (concern,) = [c for c in look_for_label_faults(audited, sketches) if c.key == "suspect-labels"]
    assert concern.severity == "note"
    assert "not a list of errors" in concern.meaning


def test_a_model_that_sees_nothing_judges_nothing() -> None:
    audited, sketches, _ = noisy(150, 0.0)
    random = np.random.default_rng(1)
    blind = {name: sketch(picture(False, random)) for name in sketches}
    found = {c.key: c for c in look_for_label_faults(audited, blind)}
    assert "cannot tell normal / disease" in found["labels-not-judged"].statement
    few = {c.key: c for c in look_for_label_faults(noisy(20, 0.0)[0], blind)}
    assert "Too few to say" in few["labels-not-judged"].statement


def test_hand_made_features_may_take_the_place_of_sketches() -> None:
    audited, sketches, _ = noisy(200, 0.0, seed=5)
    random = np.random.default_rng(0)
    values = {c.case_id: (c.truth or {}).get("disease", 0.0) for c in audited.cases}
    features = {name: {"told": value + random.normal(0, 0.4), "empty": float("nan")} for name, value in values.items()}
    (concern,) = [c for c in look_for_label_faults(audited, sketches, features) if c.key == "suspect-labels"]
    assert concern.evidence["areas"]["disease"]["estimate"] > 0.9


def test_confident_learning_takes_the_usual_probability_of_each_class() -> None:
    probability = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.35, 0.65]])
    label = np.array([0, 0, 1, 1, 0])
    # usual: class 0 (0.9 + 0.7 + 0.35) / 3 = 0.65, class 1 0.7; the last case reaches neither and keeps its label
    assert confident_class(probability, label).tolist() == [0, 0, 1, 1, 0]
    assert confident_class(np.vstack([probability, [0.05, 0.95]]), np.append(label, 0))[-1] == 1


@pytest.mark.parametrize("classes", [2, 4])
def test_the_share_of_wrong_labels_is_estimated_and_none_is_none(classes: int) -> None:
    random = np.random.default_rng(4)
    raw = np.log(random.dirichlet(np.full(classes, 0.25), 3000) * 0.996 + 0.001)
    true = np.array([random.choice(classes, p=p / p.sum()) for p in np.exp(raw)])
    weight = np.ones(len(true))
    temperature, share, limits, p = fit_share(raw, true, weight)
    assert temperature == pytest.approx(1.0, abs=0.15)
    assert share < 0.01
    assert limits[0] == 0
    assert p > 0.01
    wrong = random.random(len(true)) < 0.1
    label = np.where(wrong, (true + random.integers(1, classes, len(true))) % classes, true)
    _, share, limits, p = fit_share(raw, label, weight)
    assert share == pytest.approx(0.1, abs=0.03)
    assert limits[0] <= wrong.mean() <= limits[1] < 0.15
    assert p < 1e-6
    mean, low, high = clean_count(np.exp(raw) / np.exp(raw).sum(1, keepdims=True), random)
    clean = int((confident_class(np.exp(raw), true) != true).sum())
    assert low - 15 <= clean <= high + 15
    assert mean < (confident_class(np.exp(raw), label) != label).sum()


def test_findings_that_may_go_together_are_judged_one_by_one() -> None:
    random = np.random.default_rng(0)
    question = Question("classification", ("a", "b"), exclusive=False)
    table = random.normal(size=(120, 3))
    cases = tuple(
        AuditedCase(f"c{k}", f"p{k}", "training", {"a": float(table[k, 0] > 0), "b": None if k % 2 else float(table[k, 1] > 0)})
        for k in range(120)
    )
    features = {f"c{k}": {"x": table[k, 0], "y": table[k, 1], "z": table[k, 2]} for k in range(120)}
    found = look_for_label_faults(Audited(cases, no_image, question), {}, features)
    judged = [c for c in found if c.key == "suspect-labels"]
    assert [c.evidence["classes"] for c in judged] == [["not a", "a"], ["not b", "b"]]
    assert [c.evidence["n_cases"] for c in judged] == [120, 60]


def test_suspicion_repeats() -> None:
    random = np.random.default_rng(0)
    table, label = random.normal(size=(60, 4)), np.arange(60) % 2
    table[:, 0] += label
    one, other = (suspicion(table, label, np.arange(60)) for _ in range(2))
    assert np.array_equal(one.wrong, other.wrong)
    assert one.expected == other.expected
