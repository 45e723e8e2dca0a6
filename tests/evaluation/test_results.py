"""The evaluation put together: every number an interval, roles as declared, nothing undefined in the file."""

import json

import numpy as np
import pytest
from sklearn import metrics as sk

from overread.core.grid import Grid
from overread.core.kinds import Findings, LabelMap, Measurements, Structure
from overread.core.question import Decisions, OperatingPoint, Question
from overread.core.score import Interval
from overread.evaluation.answered import NO_FOLD, ScoredCase, answered, join
from overread.evaluation.intervals.undercoverage import flag
from overread.evaluation.results import About, evaluate, fold_table, is_met
from overread.evaluation.rules import Rules
from overread.metrics.label_maps import score_label_maps
from overread.metrics.table import METRICS

RULES = Rules(resamples=200)
TWO = Question("classification", ("normal", "disease"), positive="disease")
THREE = Question("classification", ("a", "b", "c"))
FINDINGS = Question("classification", ("effusion", "nodule"), exclusive=False)
ORGANS = Question("segmentation", ("liver", "lesion"), (1, 2))
AGE = Question("regression", ("age",), units=("years",))
OPENING = {
    "number": 2, "hash": "sha256:aa", "time": "2026-01-01", "hypothesis": "h", "primary_endpoint": "auc", "margin": 0.5,
    "threshold_rule": "youden", "declared": ["sensitivity"],
}  # fmt: skip


def score(result, metric, subject):
    return next(s for s in result["scores"] if (s["metric"], s["subject"]) == (metric, subject))


def two(n: int = 80, cases_per_patient: int = 1, temperature: float = 1.0, fold: int = NO_FOLD):
    random = np.random.default_rng(n + max(fold, 0))
    truth = np.arange(n) % 3 == 0
    p = 1 / (1 + np.exp(-(random.normal(size=n) + 1.5 * truth - 0.7)))
    decisions = Decisions((OperatingPoint("disease", 0.45, "youden"),), temperature)
    table = answered(
        TWO,
        [f"case-{max(fold, 0)}-{k}" for k in range(n)],
        [f"patient-{max(fold, 0)}-{k // cases_per_patient}" for k in range(n)],
        [Findings({"normal": 1.0 - t, "disease": float(t)}) for t in truth],
        [Findings({"normal": 1 - v, "disease": float(v)}) for v in p],
        decisions,
        fold=fold,
    )
    return table, decisions, truth, p


def check_file(result) -> None:
    """What every evaluation file has to be."""
    text = json.dumps(result, allow_nan=False)
    assert json.loads(text)["format"] == 1
    for row in result["scores"]:
        interval = Interval.from_dict(row["interval"])
        assert row["definition"].split("/")[0] == row["metric"]
        assert row["metric"].removesuffix("_raw") in METRICS
        assert interval.method
        if interval.estimate is None or interval.low is None:
            assert interval.reason, row
        else:
            assert interval.low <= interval.estimate + 1e-9, row
            assert interval.estimate <= interval.high + 1e-9, row
            assert interval.low < interval.high, row
    assert {"case_id", "patient_id", "truth", "answer", "scores", "reasons", "error"} <= set(result["cases"][0])
    for curve in ("roc", "pr", "calibration", "agreement"):
        assert curve in result["curves"]


def test_the_table_says_which_intervals_are_too_narrow() -> None:
    table, decisions, *_ = two(60)  # 20 of them ill
    result = evaluate(TWO, table, {NO_FOLD: decisions}, RULES, About("tuning"))
    for row in result["scores"]:
        metric, interval = METRICS[row["metric"].removesuffix("_raw")], Interval.from_dict(row["interval"])
        if interval.low is not None and flag(metric, interval.n_patients, interval.n_patients < interval.n_cases):
            assert "too narrow" in interval.reason, row
    assert "too narrow" in score(result, "sensitivity", "disease")["interval"]["reason"]


def test_two_classes() -> None:
    table, decisions, truth, p = two()
    result = evaluate(TWO, table, {NO_FOLD: decisions}, RULES, About("internal", model="sha256:bb", opening=OPENING))
    check_file(result)
    assert result["auc"]["disease"].estimate == pytest.approx(sk.roc_auc_score(truth, p))
    assert result["auc"]["disease"].method == "DeLong, logit scale"
    assert result["sensitivity"]["disease"].estimate == pytest.approx(sk.recall_score(truth, p >= 0.45))
    assert result["sensitivity"]["disease"].n_cases == truth.sum()
    assert result["mcc"]["all"].estimate == pytest.approx(sk.matthews_corrcoef(truth, p >= 0.45))
    assert result["confusion"]["counts"] == sk.confusion_matrix(truth, p >= 0.45).tolist()
    assert score(result, "auc", "disease")["role"] == "primary"
    assert score(result, "sensitivity", "disease")["role"] == "declared"
    assert score(result, "npv", "disease")["role"] == "exploratory"
    assert result["opening"]["endpoint_met"] is True
    assert result["operating_points"][0]["threshold"] == 0.45
    assert result["ece"]["disease"].low is None
    assert "perfectly calibrated" in result["ece"]["disease"].reason
    assert result["cases"][0]["truth"] == "disease"
    assert list(result["curves"]["roc"]) == ["disease"]
    with pytest.raises(KeyError, match="no metric 'dice'"):
        _ = result["dice"]


def test_clusters_change_the_methods() -> None:
    table, decisions, _, _ = two(90, 3)
    result = evaluate(TWO, table, {NO_FOLD: decisions}, RULES, About("tuning"))
    check_file(result)
    intervals = [s["interval"] for s in result["scores"]]
    methods = {i["method"] for i in intervals if i["n_cases"] > i["n_patients"]}
    assert not methods & {"DeLong, logit scale", "Wilson"}
    assert "Obuchowski (DeLong by patient), logit scale" in methods
    assert (result["n_cases"], result["n_patients"]) == (90, 30)
    assert {s["role"] for s in result["scores"]} == {"tuning"}


def test_temperature_shows_the_scores_before_it() -> None:
    table, decisions, truth, p = two(temperature=2.0)
    result = evaluate(TWO, table, {NO_FOLD: decisions}, RULES, About("tuning"))
    check_file(result)
    assert result["brier_raw"]["disease"].estimate == pytest.approx(sk.brier_score_loss(truth, p))
    assert result["brier"]["disease"].estimate != pytest.approx(result["brier_raw"]["disease"].estimate)
    assert "before calibration" in score(result, "ece_raw", "disease")["name"]


def test_three_classes_and_a_class_that_nobody_has() -> None:
    random = np.random.default_rng(1)
    raw = random.dirichlet(np.ones(3), 60)
    label = np.array([random.choice(2, p=r[:2] / r[:2].sum()) for r in raw])
    names = [f"c{k}" for k in range(60)]
    truths = [Findings({c: float(k == j) for j, c in enumerate("abc")}) for k in label]
    answers = [Findings(dict(zip("abc", map(float, r), strict=True))) for r in raw]
    table = answered(THREE, names, names, truths, answers, Decisions())
    result = evaluate(THREE, table, {NO_FOLD: Decisions()}, RULES, About("internal"))
    check_file(result)
    assert result["auc"]["c"].estimate is None
    assert result["auc"]["mean"].estimate == pytest.approx(np.mean([result["auc"][k].estimate for k in "ab"]))
    assert result["accuracy"]["all"].estimate == pytest.approx((raw.argmax(1) == label).mean())
    assert result["sensitivity"]["a"].estimate == pytest.approx((raw.argmax(1) == 0)[label == 0].mean())
    assert np.array(result["confusion"]["counts"]).sum() == 60
    assert any("c: 0 of 60 cases are positive" in note for note in result["notes"])
    assert "macro" in result["rules"]["aggregation"]


def test_findings_with_unknown_truths() -> None:
    random = np.random.default_rng(2)
    names = [f"c{k}" for k in range(40)]
    truths = [Findings({"effusion": float(k % 2), "nodule": float(k % 3 == 0) if k < 30 else None}) for k in range(40)]
    answers = [Findings({"effusion": float(random.random()), "nodule": float(random.random())}) for _ in range(40)]
    table = answered(FINDINGS, names, names, truths, answers, Decisions())
    result = evaluate(FINDINGS, table, {NO_FOLD: Decisions()}, RULES, About("internal"))
    check_file(result)
    assert (result["auc"]["nodule"].n_cases, result["auc"]["mean"].n_cases) == (30, 40)
    assert result["confusion"] is None
    assert any("nodule: the truth of 10 of 40 cases is not known" in note for note in result["notes"])
    assert result["cases"][35]["reasons"] == {"nodule": "truth not known"}
    aps = [sk.average_precision_score([t.probabilities[c] for t in truths[:n]], [a.probabilities[c] for a in answers[:n]])
           for c, n in (("effusion", 40), ("nodule", 30))]  # fmt: skip
    assert result["average_precision"]["mean"].estimate == pytest.approx(np.mean(aps))


def test_numbers_carry_their_unit() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(60, 10, 50)
    names = [f"c{k}" for k in range(50)]
    answer = truth + random.normal(1, 4, 50)
    truths = [Measurements({"age": None if k == 7 else float(t)}) for k, t in enumerate(truth)]
    table = answered(AGE, names, names, truths, [Measurements({"age": float(a)}) for a in answer], Decisions())
    result = evaluate(AGE, table, {}, RULES, About("internal"))
    check_file(result)
    assert score(result, "mae", "age")["unit"] == "years"
    assert score(result, "r2", "age")["unit"] == ""
    assert result["mae"]["age"].n_cases == 49
    assert result["cases"][7]["truth"] is None
    assert result["curves"]["agreement"]["age"]["bias"] == pytest.approx(result["bias"]["age"].estimate)
    worst = max(result["cases"], key=lambda c: c["error"])
    assert worst["case_id"] == names[int(np.argmax(np.where(np.arange(50) == 7, 0, abs(answer - truth))))]


def scored(case: int, truth: np.ndarray, answer: np.ndarray, fold: int = NO_FOLD) -> ScoredCase:
    grid = Grid.from_spacing(truth.shape)
    structures = (Structure("liver", 1), Structure("lesion", 2))
    maps = [LabelMap(m[None], structures, grid) for m in (truth, answer)]
    return ScoredCase(f"c{case}", f"p{case // 2}", score_label_maps(*maps, ORGANS.classes, 2.0), fold)


def masks(n: int = 24) -> list[ScoredCase]:
    random = np.random.default_rng(4)
    cases = []
    for k in range(n):
        truth, answer = np.zeros((6, 12, 12), np.uint8), np.zeros((6, 12, 12), np.uint8)
        truth[1:5, 1:9, 1:9] = 1
        answer[1:5, 1 : 9 + random.integers(0, 3), 1:9] = 1
        if k % 3:
            truth[2:4, 3:6, 3:6] = 2
        if k % 4:
            answer[2:4, 3 : 5 + random.integers(0, 3), 3:6] = 2
        cases.append(scored(k, truth, answer))
    return cases


def test_masks() -> None:
    cases = masks()
    result = evaluate(ORGANS, cases, {NO_FOLD: Decisions()}, RULES, About("internal"))
    check_file(result)
    dice = [c.structures["lesion"].scores["dice"].value for c in cases]
    known = [v for v in dice if v is not None]
    assert result["dice"]["lesion"].estimate == pytest.approx(np.mean(known))
    assert result["dice"]["lesion"].n_cases == len(known) == 22
    assert result["dice"]["mean"].estimate == pytest.approx((np.mean(known) + result["dice"]["liver"].estimate) / 2)
    missed = sum(k % 3 > 0 and k % 4 == 0 for k in range(24))
    assert result["presence_sensitivity"]["lesion"].estimate == pytest.approx(1 - missed / 16)
    assert result["presence_specificity"]["lesion"].estimate == pytest.approx(2 / 8)
    assert "liver" not in result["presence_specificity"]
    assert result["hd95"]["lesion"].n_cases == 12
    assert any(f"lesion: missed altogether in {missed} cases" in note for note in result["notes"])
    assert score(result, "surface_dice", "liver")["name"] == "Surface Dice at 2 mm"
    assert result["cases"][0]["scores"]["dice/lesion"] is None
    assert result["cases"][0]["reasons"]["dice/lesion"] == "empty in truth and answer"
    assert result["curves"]["agreement"]["liver"]["bias"] > 0


def test_folds_are_joined_with_a_table_of_their_own() -> None:
    first, decisions, _, _ = two(40, fold=0)
    second, _, _, _ = two(41, fold=1)
    whole = join([first, second])
    result = evaluate(TWO, whole, {0: decisions, 1: decisions}, RULES, About("internal"))
    table = fold_table(TWO, whole, RULES, {0: "sha256:a", 1: "sha256:b"}, About("internal"))
    assert [(row["fold"], row["n_cases"]) for row in table] == [(0, 40), (1, 41)]
    areas = [next(s for s in row["scores"] if s["metric"] == "auc")["interval"]["estimate"] for row in table]
    assert result["auc"]["disease"].estimate == pytest.approx(np.mean(areas))
    assert [p["fold"] for p in result["operating_points"]] == [0, 1]
    assert result["cases"][-1]["fold"] == 1


@pytest.mark.parametrize(
    ("better", "low", "high", "margin", "met"),
    [
        ("higher", 0.91, 0.97, 0.9, True),
        ("higher", 0.89, 0.97, 0.9, False),
        ("lower", 2.0, 3.9, 4.0, True),
        ("zero", -0.4, 0.6, 0.5, False),
        ("zero", -0.4, 0.4, 0.5, True),
        ("higher", None, None, 0.9, False),
        ("higher", 0.9, 1.0, None, None),
    ],
)
def test_an_endpoint_is_met_when_the_whole_interval_clears_the_margin(better, low, high, margin, met) -> None:
    metric = next(m for m in METRICS.values() if m.better == better)
    assert is_met(metric, Interval(0.5, low, high, "m", 10, 10, reason="r"), margin) is met
