"""Groups of cases: the bands they fall into, the gap between them, what is too few to say, and what shared patients do."""

import json

import numpy as np
import pytest
from scipy import stats

from overread.core.kinds import Findings, Measurements
from overread.core.question import Decisions, OperatingPoint, Question
from overread.core.score import Interval, Score
from overread.evaluation.answered import ScoredCase, answered
from overread.evaluation.groups.bands import bands
from overread.evaluation.groups.endpoint import endpoint_of
from overread.evaluation.groups.gap import clearest_gap
from overread.evaluation.groups.subgroups import subgroups
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import wilson
from overread.evaluation.results import About, evaluate
from overread.evaluation.rules import Rules
from overread.metrics.label_maps import StructureScores
from overread.metrics.table import metrics_for

RULES = Rules(resamples=300)
TWO = Question("classification", ("normal", "disease"), positive="disease")
FINDINGS = Question("classification", ("effusion", "nodule"), exclusive=False)
THREE = Question("classification", ("a", "b", "c"))
GRADES = Question("classification", ("mild", "moderate", "severe"), ordered=True)
LIVER = Question("segmentation", ("liver",), (1,))
ORGANS = Question("segmentation", ("liver", "spleen"), (1, 2))
AGE = Question("regression", ("age",), units=("years",))
DECISIONS = Decisions((OperatingPoint("disease", 0.5, "fixed"),))


def two(shift: np.ndarray, seed: int = 0, cases_per_patient: int = 1):
    """N cases of which a third is diseased; `shift` is how far the disease moves the score of each case."""
    random, n = np.random.default_rng(seed), len(shift)
    truth = np.arange(n) % 3 == 0
    p = 1 / (1 + np.exp(-(random.normal(size=n) + shift * (truth - 0.5))))
    return answered(
        TWO,
        [f"case-{k}" for k in range(n)],
        [f"patient-{k // cases_per_patient}" for k in range(n)],
        [Findings({"normal": 1.0 - t, "disease": float(t)}) for t in truth],
        [Findings({"normal": 1 - v, "disease": float(v)}) for v in p],
        DECISIONS,
    )


def masks(values: dict[str, np.ndarray], ml: np.ndarray, cases_per_patient: int = 1) -> list[ScoredCase]:
    def structure(dice: float, size: float) -> StructureScores:
        known = np.isfinite(dice)
        scores = {"dice": Score(float(dice)) if known else Score(None, "empty in truth and answer")}
        return StructureScores(scores, float(size), float(size), bool(known), bool(known))

    return [
        ScoredCase(
            f"case-{k}", f"patient-{k // cases_per_patient}", {name: structure(dice[k], ml[k]) for name, dice in values.items()}
        )
        for k in range(len(ml))
    ]


def by_case(values) -> dict[str, object]:
    return {f"case-{k}": value for k, value in enumerate(values) if value is not None}


def row_of(rows, column):
    return next(row for row in rows if row["column"] == column)


def interval(estimate: float, half: float) -> Interval:
    return Interval(estimate, estimate - half, estimate + half, "normal", 100, 100)


def test_a_group_scored_worse_is_named_and_the_table_can_be_written() -> None:
    sex = ["F" if k % 2 else "M" for k in range(400)]
    table = two(np.where(np.array(sex) == "F", 0.3, 2.5))
    rows = subgroups(TWO, table, {"sex": by_case(sex)}, RULES, "auc")
    row = row_of(rows, "sex")
    assert json.loads(json.dumps(row, allow_nan=False))["worst"] == "F"
    assert (row["gap"]["higher"], row["gap"]["lower"]) == ("M", "F")
    assert row["p"] == row["p_adjusted"] < 0.001
    whole = evaluate(TWO, table.select(np.array(sex) == "F"), {-1: DECISIONS}, RULES, About("tuning"))
    level = next(found for found in row["levels"] if found["level"] == "F")
    assert Interval.from_dict(level["interval"]) == whole["auc"]["disease"]
    assert Interval.from_dict(level["also"]["sensitivity/disease"]) == whole["sensitivity"]["disease"]
    calibration = level["calibration"]["disease"]
    assert Interval.from_dict(calibration["in_the_large"]) == whole["calibration_intercept"]["disease"]
    assert calibration["rate"] == pytest.approx(table.select(np.array(sex) == "F").truth[:, 1].mean())
    assert "worst in 'F'" in row["sentence"]
    assert "The difference between 'M' and 'F' is 0." in row["sentence"]
    assert "more than chance explains" in row["sentence"]
    assert "Probabilities of disease are too high in 'F'" in row["sentence"]
    assert "33.5 % found" in row["sentence"]


def test_what_is_too_few_is_said_and_never_compared() -> None:
    site = ["north"] * 150 + ["south"] * 140 + ["island"] * 6 + [None] * 4
    row = row_of(subgroups(TWO, two(np.full(300, 2.0)), {"site": by_case(site)}, RULES, "auc"), "site")
    few = {found["level"]: found["too_few"] for found in row["levels"]}
    assert few["north"] is few["south"] is None
    assert few["island"] == "6 patients for this score, 20 are the least"
    assert few["not known"] == "the value is not known, so this is no group"
    assert row["gap"]["groups"] == 2
    assert "Too few to say: 'island' (6 patients for this score, 20 are the least)." in row["sentence"]
    assert "Not compared: 'not known'" in row["sentence"]
    assert "does not show that the groups are alike" in row["sentence"]
    assert "Smaller groups are shown" in row["rule"]


def test_an_area_needs_patients_of_both_kinds() -> None:
    which = ["a"] * 100 + ["b"] * 24
    row = row_of(subgroups(TWO, two(np.full(124, 2.0)), {"device": by_case(which)}, RULES, "auc"), "device")
    assert row["levels"][1]["too_few"] == "8 patients with the finding, 10 are the least"
    assert row["levels"][1]["calibration"] is None
    assert row["p"] is None
    assert "so there is nothing to compare" in row["sentence"]


def test_a_group_that_is_perfect_has_no_certainty_of_it() -> None:
    """20 of 20 found beside 38 of 40: the gap must not be as sure as if 20 of 20 had no error."""
    truth = np.ones(60)
    answers = np.r_[np.full(20, 0.9), np.full(38, 0.9), np.full(2, 0.1)]
    table = answered(
        TWO,
        [f"case-{k}" for k in range(60)],
        [f"patient-{k}" for k in range(60)],
        [Findings({"normal": 0.0, "disease": t}) for t in truth],
        [Findings({"normal": 1 - v, "disease": float(v)}) for v in answers],
        DECISIONS,
    )
    row = row_of(subgroups(TWO, table, {"sex": by_case(["F"] * 20 + ["M"] * 40)}, RULES, "sensitivity"), "sex")
    assert row["gap"]["difference"] == pytest.approx(0.05)
    assert row["gap"]["low"] < -0.05
    assert row["p"] > 0.2


def test_the_gap_of_two_intervals_is_newcombes() -> None:
    """Newcombe, Stat Med 1998;17:873, method 10, example 1: 56/70 - 48/80 = 0.20 (0.0524 to 0.3339)."""
    pair = [Interval(h / n, *wilson(h, n), "Wilson", n, n) for h, n in ((56, 70), (48, 80))]
    found = clearest_gap(pair, lambda a, b: 0.0, 0.95)
    assert (found.higher, found.lower) == (0, 1)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
    assert found.p < 0.05


def test_p_and_the_interval_say_the_same_for_several_groups() -> None:
    groups = [interval(0.9, 0.02), interval(0.85, 0.03), interval(0.84, 0.2), interval(0.88, 0.03)]
    found = clearest_gap(groups, lambda a, b: 0.0, 0.95)
    assert (found.higher, found.lower) == (0, 1)  # not the worst of all, of which little is known
    tukey = stats.studentized_range.sf(0.05 / (np.hypot(0.02, 0.03) / stats.norm.ppf(0.975)) * np.sqrt(2), 4, np.inf)
    assert found.p == pytest.approx(tukey)
    assert found.low > 0  # as p < 0.05
    wider = [interval(0.9, 0.03), interval(0.85, 0.04), interval(0.84, 0.2), interval(0.88, 0.03)]
    unsure = clearest_gap(wider, lambda a, b: 0.0, 0.95)
    assert unsure.p > 0.05
    assert unsure.low < 0


def test_groups_that_share_patients_are_compared_within_them() -> None:
    """Two views of each patient: the same error in both cancels in the difference."""
    random = np.random.default_rng(4)
    own = np.repeat(random.normal(0, 0.08, 60), 2)
    dice = np.clip(0.8 + own + 0.01 * random.normal(size=120) - np.tile([0.0, 0.01], 60), 0, 1)
    cases = masks({"liver": dice}, np.full(120, 10.0), cases_per_patient=2)
    view = by_case(["front", "side"] * 60)
    row = row_of(subgroups(LIVER, cases, {"view": view}, RULES, "dice"), "view")
    paired = stats.ttest_rel(dice[::2], dice[1::2])
    low, high = paired.confidence_interval(0.95)
    assert row["gap"]["difference"] == pytest.approx((dice[::2] - dice[1::2]).mean())
    assert row["gap"]["low"] == pytest.approx(low, abs=0.004)
    assert row["gap"]["high"] == pytest.approx(high, abs=0.004)
    assert row["p"] < 0.001


def test_every_endpoint_over_all_cases_is_the_evaluations_own() -> None:
    random = np.random.default_rng(2)
    truth = random.random((90, 2)) < 0.4
    p = 1 / (1 + np.exp(-(random.normal(size=(90, 2)) + truth)))
    table = answered(
        FINDINGS,
        [f"case-{k}" for k in range(90)],
        [f"patient-{k // 2}" for k in range(90)],
        [Findings({"effusion": float(a), "nodule": None if k % 9 == 0 else float(b)}) for k, (a, b) in enumerate(truth)],
        [Findings({"effusion": a, "nodule": b}) for a, b in p],
        Decisions(),
    )
    result = evaluate(FINDINGS, table, {-1: Decisions()}, RULES, About("tuning"))
    for name in ("auc/effusion", "auc/mean", "sensitivity/mean", "brier/nodule", "calibration_slope/nodule", "f1/mean"):
        metric, subject = name.split("/")
        found = endpoint_of(FINDINGS, table, name, RULES).interval(np.ones(90, bool))
        assert found.estimate == pytest.approx(result[metric][subject].estimate), name
        assert found.low == pytest.approx(result[metric][subject].low, abs=0.02), name
        statistic = endpoint_of(FINDINGS, table, name, RULES).statistic
        if statistic is not None:
            assert statistic(np.ones(90, bool))(np.ones((1, 45)))[0] == pytest.approx(found.estimate), name
    whole = endpoint_of(TWO, two(np.full(90, 1.0)), "accuracy", RULES).interval(np.ones(90, bool))
    assert whole.method == "Wilson"


@pytest.mark.parametrize("endpoint", [f"{m.key}/{subject}" for subject, ms in metrics_for(TWO).items() for m in ms])
@pytest.mark.parametrize("sampling", ["unknown", "enriched"])
def test_every_metric_can_be_the_endpoint(endpoint, sampling) -> None:
    table = two(np.full(120, 1.5), cases_per_patient=2)
    columns = {"site": by_case(["a", "b"] * 60)}
    row = subgroups(TWO, table, columns, Rules(resamples=200, sampling=sampling, prevalence=0.1), endpoint)[0]
    json.dumps(row, allow_nan=False)
    assert row["sentence"]
    assert [found["n_cases"] for found in row["levels"]] == [60, 60]


@pytest.mark.parametrize("question", [THREE, GRADES, FINDINGS])
def test_every_metric_of_several_classes_can_be_the_endpoint(question) -> None:
    random, n = np.random.default_rng(8), len(question.classes)
    truth = np.eye(n)[np.arange(90) % n] if question.exclusive else (random.random((90, n)) < 0.4).astype(float)
    p = random.dirichlet(np.ones(n), 90) if question.exclusive else random.random((90, n))
    table = answered(
        question,
        [f"case-{k}" for k in range(90)],
        [f"patient-{k // 2}" for k in range(90)],
        [Findings(dict(zip(question.classes, map(float, row), strict=True))) for row in truth],
        [Findings(dict(zip(question.classes, map(float, row), strict=True))) for row in p],
        Decisions(),
    )
    for subject, metrics in metrics_for(question).items():
        for metric in metrics:
            site, quick = by_case(["a", "b", "a"] * 30), Rules(resamples=60)
            rows = subgroups(question, table, {"site": site}, quick, f"{metric.key}/{subject}")
            json.dumps(rows, allow_nan=False)
            assert rows[0]["sentence"]


def test_measured_numbers() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(50, 10, 120)
    answer = truth + random.normal(0, np.where(np.arange(120) < 60, 2, 8))
    table = answered(
        AGE,
        [f"case-{k}" for k in range(120)],
        [f"patient-{k}" for k in range(120)],
        [Measurements({"age": v}, {"age": "years"}) for v in truth],
        [Measurements({"age": v}, {"age": "years"}) for v in answer],
        Decisions(),
    )
    row = row_of(subgroups(AGE, table, {"scanner": by_case(["a"] * 60 + ["b"] * 60)}, RULES, "mae"), "scanner")
    assert row["worst"] == "b"
    assert row["levels"][0]["calibration"] is None
    assert row["levels"][1]["interval"]["estimate"] == pytest.approx(np.abs(truth - answer)[60:].mean())


def test_limits_of_agreement_of_several_cases_per_patient_are_the_evaluations_own() -> None:
    random = np.random.default_rng(4)
    truth = random.normal(60, 10, 90)
    answer = truth + np.repeat(random.normal(0, 5, 30), 3) + random.normal(0, 2, 90)
    table = answered(
        AGE,
        [f"case-{k}" for k in range(90)],
        [f"patient-{k // 3}" for k in range(90)],
        [Measurements({"age": v}, {"age": "years"}) for v in truth],
        [Measurements({"age": v}, {"age": "years"}) for v in answer],
        Decisions(),
    )
    result = evaluate(AGE, table, {-1: Decisions()}, RULES, About("tuning"))
    for key in ("limit_low", "limit_high", "bias"):
        endpoint = endpoint_of(AGE, table, key, RULES)
        found, every = endpoint.interval(np.ones(90, bool)), np.ones(90, bool)
        assert found.low == pytest.approx(result[key]["age"].low)
        assert endpoint.statistic(every)(np.ones((1, 30)))[0] == pytest.approx(result[key]["age"].estimate)
        half = np.arange(90) < 45
        row = subgroups(AGE, table, {"site": by_case(["a" if w else "b" for w in half])}, RULES, key)[0]
        assert row["levels"][0]["interval"]["estimate"] == pytest.approx(endpoint.interval(half).estimate)


def test_masks_are_divided_by_the_size_of_the_truth() -> None:
    ml = np.r_[np.linspace(1, 30, 90), np.zeros(5)]
    dice = np.r_[np.clip(0.5 + ml[:90] / 60 + 0.02 * np.random.default_rng(0).normal(size=90), 0, 1), np.full(5, np.nan)]
    rows = subgroups(LIVER, masks({"liver": dice}, ml), {}, RULES, "dice")
    row = row_of(rows, "size of liver in the truth (ml)")
    assert [found["n_cases"] for found in row["levels"]] == [30, 30, 30, 5]
    assert row["levels"][-1]["too_few"] == "nothing in the truth, so it has no size"
    assert row["worst"] == row["levels"][0]["level"]
    assert row["gap"]["higher"] == row["levels"][2]["level"]


def test_a_mean_over_structures_is_not_compared_where_a_structure_is_absent() -> None:
    random = np.random.default_rng(1)
    liver, spleen = random.uniform(0.8, 1, 80), random.uniform(0.5, 0.7, 80)
    spleen[40:] = np.nan
    cases = masks({"liver": liver, "spleen": spleen}, np.full(80, np.nan))
    row = row_of(subgroups(ORGANS, cases, {"site": by_case(["a"] * 40 + ["b"] * 40)}, RULES, "dice"), "site")
    assert row["levels"][1]["too_few"] is not None
    assert row["gap"]["reason"] == "fewer than two groups are large enough to be compared"


def test_ages_numbers_and_words_become_groups() -> None:
    names = [str(k) for k in range(60)]
    ages = bands("PatientAge", ["063Y", "006M", "17", None, "018Y", "80"] * 10, names)
    assert ages.level[:6] == ("60 to 79", "0 to 17", "0 to 17", "not known", "18 to 39", "80 and over")
    assert ages.order == ("0 to 17", "18 to 39", "60 to 79", "80 and over", "not known")
    thickness = bands("thickness", [1.0, "1", 2.5, 5] * 15, names)
    assert thickness.order == ("1", "2.5", "5")
    dose = bands("dose", list(np.arange(60) / 7), names)
    assert [dose.level.count(name) for name in dose.order] == [20, 20, 20]
    assert "thirds" in dose.rule
    model = bands("model", [f"M{k % 14}" for k in range(56)] + ["M0"] * 4, names)
    assert len(model.order) == 11
    assert model.order[-1] == "all others"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([None] * 20, "it is empty"),
        (["2024-03-01", "20240302"] * 10, "it holds dates"),
        (["2024-03", "2024/04"] * 10, "it holds dates"),
        ([f"A-{k}" for k in range(20)], "belong to one patient each"),
    ],
)
def test_columns_that_make_no_groups_are_refused_without_showing_what_they_hold(cells, why) -> None:
    found = bands("column", cells, [str(k) for k in range(20)])
    assert why in found.refusal
    assert found.order == ()
    rows = subgroups(TWO, two(np.full(20, 1.0)), {"column": by_case(cells)}, RULES, "auc")
    assert why in rows[0]["sentence"]
    assert "A-3" not in json.dumps(rows)


def test_a_column_of_many_different_words_is_refused_although_patients_share_them() -> None:
    streets = [f"street {k // 2}" for k in range(102)]
    assert "51 different words" in bands("column", streets, [str(k) for k in range(102)]).refusal


def test_p_is_corrected_over_the_columns_that_were_tested() -> None:
    columns = {name: by_case(["a", "b"] * 75) for name in ("one", "two", "three")} | {"empty": {}}
    rows = subgroups(TWO, two(np.full(150, 1.0)), columns, RULES, "auc")
    assert [row["p_adjusted"] for row in rows] == [*[pytest.approx(min(1, 3 * rows[0]["p"]))] * 3, None]
    assert "after correction for 3 columns" in rows[0]["sentence"]


def test_alike_groups_are_seldom_told_apart() -> None:
    """Three groups without a difference, several cases per patient: about 5 of 100 are called different."""
    random, found = np.random.default_rng(0), 0
    for seed in range(60):
        own = np.repeat(random.normal(0, 0.1, 90), 2)
        dice = stats.beta.ppf(stats.norm.cdf(own / 0.1 * 0.7 + random.normal(size=180) * 0.7), 8, 1.2)
        patients = Patients.of(np.repeat(np.arange(90), 2))
        group = patients.number % 3
        cases = masks({"liver": dice}, np.full(180, np.nan), cases_per_patient=2)
        rows = subgroups(LIVER, cases, {"site": by_case(group.astype(str))}, Rules(resamples=200, seed=seed), "dice")
        found += rows[0]["p"] < 0.05
    assert found <= 8
