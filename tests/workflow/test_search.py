"""`overread search`: what is proposed follows from the record, nothing finished is lost, and the test has no part in it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overread.cli.main import main
from overread.cohort.subdivision import read_subdivision
from overread.core.errors import OverreadError
from overread.networks.table import ARCHITECTURES
from overread.record.events import EventLog, read_events
from overread.record.files import read_json, write_json
from overread.workflow import search as verb
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init
from overread.workflow.learning.plan_file import read_plan, write_plan
from overread.workflow.learning.series import Budget
from overread.workflow.plan import next_name
from overread.workflow.project import Project
from overread.workflow.search import ORDER, TRIALS, search
from overread.workflow.searching import conduct
from overread.workflow.searching.asked import Asked
from overread.workflow.searching.default_space import ARCHITECTURES_TRIED, default_space, fitting_architectures
from overread.workflow.searching.early import is_behind, judged_by, looks_of, rivals_of
from overread.workflow.searching.planned import plan_of
from overread.workflow.searching.proposals import importances, propose
from overread.workflow.searching.space import Choice, Range, grid, space_of
from overread.workflow.searching.trials import DONE, EARLY, FAILED, Trial, append_trial, best_of, read_trials
from workflow.balls import films

TINY = {"training.batch": "4", "training.architecture": "resnet10", "training.precision": "float32"}
RATE, LOSS = "training.learning_rate", "training.loss"
OVER = (f"{RATE}=1e-4..1e-1:log", f"{LOSS}=cross_entropy,focal")
SPACE = (Range(RATE, 1e-4, 1e-1, log=True), Choice(LOSS, ("cross_entropy", "focal")))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("search")
    made = films(folder / "cohort", count=72, edge=24)
    given: dict[str, Any] = {"sheet": made / "sheet.csv", "group_by": "patient", "label": ["ball"], "positive": "large"}
    return init(folder / "project", made / "images", **given, tuning=0.25, internal=0.25)


@pytest.fixture(scope="module")
def searched(project: Project) -> tuple[dict, list[str]]:
    """A search with real trainings: two trials and the winner."""
    said: list[str] = []
    asked = Asked(over=(f"{RATE}=1e-3..2e-2:log",), trials=2, trial_epochs=1, range_test=True)
    return search(project, asked, overrides=TINY, tell=said.append), said


# ---------------------------------------------------------------- with real trainings


def test_every_trial_is_in_the_record_and_the_best_is_trained(project: Project, searched: tuple[dict, list[str]]) -> None:
    found, said = searched
    home = project.run("searched")
    assert read_json(home.path / "search.json") == json.loads(json.dumps(found))
    assert [trial["number"] for trial in found["trials"]] == [1, 2]
    assert found["trials"][0]["settings"] == {}
    assert list(found["trials"][1]["settings"]) == [RATE]
    assert all(trial["looks"][-1][0] == 1.0 for trial in found["trials"])
    best = found["trials"][found["best"] - 1]
    started = next(e for e in read_events(home.events_path) if e["event"] == "started")
    assert started["overrides"] == {**TINY, **best["settings"]}
    assert started["epochs"] == 4
    assert found["ended"] == "2 trials were done"
    assert found["words"] in said
    assert next_name(project) != "searched"


def test_the_internal_test_has_no_part(project: Project, searched: tuple[dict, list[str]]) -> None:
    cohort = project.cohort()
    for number in (1, 2):
        run = project.run(f"searched/trial-{number}")
        part = read_subdivision(run.subdivision)
        assert part is not None
        assert part.tuning == {case.case_id for case in cohort.of("tuning")}
        assert part.training == {case.case_id for case in cohort.of("training")}
        assert not run.predictions.exists()
        assert not list(run.path.glob("*.overread")), "a trial keeps no weights"
    with pytest.raises(OverreadError, match="one training of a search"):
        evaluate(project, "searched/trial-1", "internal")
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed"]
    assert "too good" in searched[0]["notes"][0]


def test_the_page_shows_what_was_tried_and_names_no_place(project: Project, searched: tuple[dict, list[str]]) -> None:
    page = (project.run("searched").path / "search.html").read_text()
    for words in ("Every trial", "Learning-rate range test", "Open the internal test, once", "learning rate"):
        assert words in page
    assert str(project.path) not in page
    assert str(project.path) not in (project.run("searched").path / "search.json").read_text()


def test_the_range_test_ends_where_the_loss_rises(searched: tuple[dict, list[str]]) -> None:
    test = searched[0]["range_test"]
    assert test["rates"] == sorted(test["rates"])
    assert len(test["rates"]) == len(test["losses"]) >= 10
    low, high = test["worth_searching"]
    assert low < high == pytest.approx(test["highest"])
    assert "are worth a search" in test["words"]


def test_begun_is_gone_on_with_by_saying_so(
    project: Project, searched: tuple[dict, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OverreadError, match="was begun already"):
        search(project, Asked(trials=2, trial_epochs=1))
    with pytest.raises(OverreadError, match="no search 'other' to go on with"):
        search(project, Asked(trials=2, trial_epochs=1), "other", resume=True)
    with pytest.raises(OverreadError, match="what changed: budget"):
        search(project, Asked(trial_epochs=2), resume=True)
    balanced = project.settings.training.model_copy(update={"class_weights": "balanced"})
    changed = Project(project.path, settings=project.settings.model_copy(update={"training": balanced}))
    with pytest.raises(OverreadError, match=r"what changed: \[training\], \[region\] or \[evaluation\] in project\.toml"):
        search(changed, Asked(), resume=True)
    monkeypatch.setattr(conduct, "train_part", lambda *given: pytest.fail("every trial is done already"))
    monkeypatch.setattr(verb, "train", lambda *given: pytest.fail("the best is trained already"))
    assert main(["search", str(project.path), "--resume"]) == 0
    told = capsys.readouterr().out
    assert "Next: overread evaluate" in told
    assert "--run searched" in told
    assert "as in project.toml" in told


# ---------------------------------------------------------------- with trainings that are only played


def play(project: Project, template: dict, score: Callable[[dict[str, str]], float], die_at: int = 0) -> Callable[..., dict]:
    """A training that takes no time: its tuning loss falls towards 1 - score; at trial `die_at` the program is killed."""

    def train_part(project: Project, name: str, fold: Any, subdivision: Any, budget: Any, own: dict, *rest: Any) -> dict:
        run, hear = project.run(name, fold), rest[-1]
        if name.endswith(f"-{die_at}"):
            raise KeyboardInterrupt
        run.events_path.unlink(missing_ok=True)
        plan = read_plan(project.run("searched/trial-1").plan)
        write_plan(run.plan, replace(plan, loss=own.get(LOSS, plan.loss)))
        value = score(own)
        if not math.isfinite(value):
            raise OverreadError("This network does not fit.", "take another")
        log = EventLog(run.events_path, hear)
        for epoch in range(1, 9):
            log.write("epoch", epoch=epoch, minutes=0.01 * epoch, tuning_loss=1 - value + 1 / epoch)
        found = json.loads(json.dumps(template))
        for row in found["scores"]:
            row["interval"]["estimate"] = value if row["metric"] == "auc" else row["interval"]["estimate"]
        random = np.random.default_rng(round(1e6 * value))
        for row in found["cases"]:
            noise = float(random.normal()) * (1 - value)
            positive = min(max(float(row["truth"] == "large") * 0.5 + 0.25 + noise, 0.0), 1.0)
            row["answer"] = {"large": positive, "small": 1 - positive}
        write_json(run.evaluation("tuning"), found)
        return found

    return train_part


def fit(own: dict[str, str]) -> float:
    """Best at a rate of 0.003 with the focal loss; the plain settings are worse."""
    if RATE not in own:
        return 0.6
    distance = abs(math.log10(float(own[RATE])) - math.log10(3e-3))
    return round(0.9 - 0.2 * distance + 0.03 * (own.get(LOSS) == "focal"), 6)


@pytest.fixture
def played(project: Project, searched: tuple[dict, list[str]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    template = read_json(project.run("searched/trial-1").evaluation("tuning"))
    monkeypatch.setattr(verb, "train", lambda *given: None)

    def go(name: str, *, trials: int = 12, die_at: int = 0, score: Callable = fit, resume: bool = False, **asked: Any) -> dict:
        monkeypatch.setattr(conduct, "train_part", play(project, template, score, die_at))
        words = {"over": () if resume else OVER, "trials": trials, "trial_epochs": None if resume else 8, **asked}
        return search(project, Asked(**words), name, resume=resume)

    return go


def told(found: dict) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in ("minutes", "run")} for row in found["trials"]]


def test_a_killed_search_loses_no_trial_and_goes_on_as_if_nothing_had_been(project: Project, played: Callable[..., Any]) -> None:
    whole = played("whole")
    with pytest.raises(KeyboardInterrupt):
        played("killed", die_at=6)
    path = project.run("killed").path / TRIALS
    assert [trial.number for trial in read_trials(path)] == [1, 2, 3, 4, 5]
    with open(path, "a") as file:
        file.write('{"number": 6, "settings": {"trai')  # killed within a line
    resumed = played("killed", resume=True)
    assert told(resumed) == told(whole)
    assert resumed["best"] == whole["best"]
    assert resumed["importances"] == whole["importances"]


def test_one_seed_one_search_and_another_seed_another(played: Callable[..., Any]) -> None:
    first, second, other = (played(name, trials=6, seed=seed) for name, seed in (("s1", 1), ("s2", 1), ("s3", 2)))
    assert told(first) == told(second)
    assert [t["settings"] for t in first["trials"]] != [t["settings"] for t in other["trials"]]


def test_a_trial_that_falls_behind_is_ended_and_recorded(played: Callable[..., Any]) -> None:
    found = played("early", trials=16)
    early = [trial for trial in found["trials"] if trial["state"] == EARLY]
    assert early
    assert all(trial["value"] is None and trial["interval"] is None for trial in early)
    assert all(trial["looks"][-1][0] == 0.25 for trial in early), "behind at the first moment that counts"
    assert found["trials"][0]["state"] == DONE
    best = found["trials"][found["best"] - 1]
    assert best["value"] == max(trial["value"] for trial in found["trials"] if trial["value"] is not None)
    assert found["importances"][RATE] > found["importances"][LOSS]
    assert sum(found["importances"].values()) == pytest.approx(1)


def test_best_against_the_default_is_paired(played: Callable[..., Any]) -> None:
    found = played("paired", trials=5)
    compared = found["comparison"]
    assert compared["difference"]["estimate"] == pytest.approx(compared["best"] - compared["default"])
    assert compared["difference"]["n_patients"] == found["n_patients"]
    assert "two correlated areas" in compared["difference"]["method"]
    assert "which flatters it" in found["words"]


def test_nothing_better_is_said_so(played: Callable[..., Any]) -> None:
    found = played("none", trials=4, score=lambda own: 0.4 if RATE in own else 0.8)
    assert found["best"] == 1
    assert found["comparison"] is None
    assert "None was better on the tuning cases" in found["words"]


def test_where_there_was_time_for_one_trial_only_that_is_said(played: Callable[..., Any]) -> None:
    found = played("one", trials=1)
    assert "1 trial (1 done)" in found["words"]
    assert "Only the settings of project.toml were tried" in found["words"]


def test_a_grid_tries_every_combination_and_then_ends(played: Callable[..., Any]) -> None:
    over = (f"{RATE}=1e-4,1e-3,1e-2", f"{LOSS}=cross_entropy,focal")
    found = played("grid", trials=50, method="grid", over=over)
    tried = [tuple(trial["settings"].values()) for trial in found["trials"][1:]]
    assert sorted(tried) == sorted((a, b) for a in ("1e-4", "1e-3", "1e-2") for b in ("cross_entropy", "focal"))
    assert found["ended"] == "everything in the space was tried"


def test_a_trial_that_cannot_be_trained_is_a_failed_one(played: Callable[..., Any]) -> None:
    found = played("odd", trials=6, score=lambda own: math.nan if own.get(LOSS) == "focal" else 0.7)
    states = {trial["state"] for trial in found["trials"]}
    assert FAILED in states
    assert DONE in states
    failed = next(trial for trial in found["trials"] if trial["state"] == FAILED)
    assert failed["reason"] == "This network does not fit."


def test_where_all_fail_the_search_ends(played: Callable[..., Any]) -> None:
    with pytest.raises(OverreadError, match="3 trials failed one after the other, the last because: This network does not fit"):
        played("broken", score=lambda own: math.nan if RATE in own else 0.7)
    with pytest.raises(OverreadError, match="This network does not fit"):
        played("first-broken", score=lambda own: math.nan)


# ---------------------------------------------------------------- the parts


def trial(
    number: int, value: float | None, state: str = DONE, looks: tuple = (), judged: dict[str, Any] | None = None, **settings: str
) -> Trial:
    named = {f"training.{key}": text for key, text in settings.items()}
    return Trial(number, named, state, value, looks, 1.0, 0, f"t/{number}", judged=judged or {})  # type: ignore[arg-type]


def test_a_proposal_is_a_function_of_the_record() -> None:
    before = [trial(1, 0.5)]
    for number in range(2, 16):
        settings = propose(SPACE, "tpe", 7, before, "higher")
        assert settings == propose(SPACE, "tpe", 7, before, "higher")
        assert settings is not None
        assert 1e-4 <= float(settings[RATE]) <= 1e-1
        before.append(Trial(number, settings, DONE, fit(settings), (), 1.0, 0, "t"))
    assert abs(math.log10(float(best_of(before, "higher").settings[RATE])) - math.log10(3e-3)) < 0.5  # type: ignore[union-attr]


def test_lower_is_better_where_the_score_is_an_error() -> None:
    before = [trial(1, 9.0)]
    for number in range(2, 25):
        settings = propose(SPACE, "tpe", 3, before, "lower")
        assert settings is not None
        before.append(Trial(number, settings, DONE, 10 * (1 - fit(settings)), (), 1.0, 0, "t"))
    early = [float(t.settings[RATE]) for t in before[1:9]]
    late = [float(t.settings[RATE]) for t in before[-8:]]
    away = [float(np.mean([abs(math.log10(rate / 3e-3)) for rate in rates])) for rates in (early, late)]
    assert away[1] < away[0], "proposals go where the error is small"
    assert best_of(before, "lower").value == min(t.value for t in before if t.value is not None)  # type: ignore[union-attr]


def test_everything_tried_proposes_nothing() -> None:
    space = (Choice(LOSS, ("cross_entropy", "focal")),)
    before = [trial(1, 0.5), trial(2, 0.6, loss="cross_entropy"), trial(3, 0.7, loss="focal")]
    for method in ("tpe", "random", "grid"):
        assert propose(space, method, 0, before, "higher") is None


def test_importance_needs_trials_that_differ() -> None:
    same = [trial(k, 0.5, learning_rate="0.001", loss="focal") for k in range(1, 12)]
    assert importances(SPACE, same, "higher", 0) == {}
    assert importances(SPACE, same[:3], "higher", 0) == {}


def test_who_is_behind_the_median_of_the_others() -> None:
    looks = [((0.25, loss), (1.0, loss / 2)) for loss in (0.4, 0.5, 0.6, 0.7)]
    rivals = [trial(k, 0.5, looks=one) for k, one in enumerate(looks)]
    assert is_behind(0.25, 0.56, rivals)
    assert not is_behind(0.25, 0.54, rivals)
    assert not is_behind(0.25, 0.9, rivals[:3]), "three say too little"
    assert not is_behind(0.1, 0.9, rivals), "nobody had looked by then"


def test_rivals_are_judged_by_the_same_loss_on_the_same_pixels(
    project: Project, searched: tuple[dict, list[str]], tmp_path: Path
) -> None:
    rows = searched[0]["trials"]
    own = judged_by(project.run("searched/trial-1").plan)
    assert own["loss"] == "cross_entropy"
    assert own["route"] == "image"
    assert own["patch"][-1] > 1
    assert all(row["judged"] == own for row in rows), "they differ by the learning rate alone"
    plan = read_plan(project.run("searched/trial-1").plan)
    smaller = replace(plan.preparation, patch=(1, 8, 8), shape=(1, 8, 8))
    others = [
        replace(plan, loss="focal"),
        replace(plan, preparation=smaller),
        replace(plan, preparation=replace(plan.preparation, spacing=(1.0, 2.0, 2.0))),
        replace(plan, network={**plan.network, "serves": "dense"}),
    ]
    for number, other in enumerate(others):
        write_plan(tmp_path / f"{number}.toml", other)
        unlike = trial(number, 0.5, looks=((0.25, 0.4),), judged=judged_by(tmp_path / f"{number}.toml"))
        assert rivals_of(own, [unlike]) == []
    alike = trial(9, 0.5, looks=((0.25, 0.4),), judged=own)
    assert rivals_of(own, [alike]) == [alike]
    assert rivals_of(own, [trial(9, 0.5, looks=((0.25, 0.4),))]) == [], "a record from before"
    assert judged_by(tmp_path / "none.toml") == {}
    assert rivals_of({}, [trial(9, 0.5, looks=((0.25, 0.4),))]) == []


def test_looks_are_shares_of_the_budget_with_the_lowest_loss_so_far() -> None:
    events = [
        {"event": "epoch", "epoch": k, "minutes": 0.5 * k, "tuning_loss": loss} for k, loss in ((1, 0.9), (2, 1.0), (4, 0.5))
    ]
    assert looks_of(events, Budget(None, 4)) == ((0.25, 0.9), (0.5, 0.9), (1.0, 0.5))
    assert looks_of(events, Budget(2.0, None)) == ((0.25, 0.9), (0.5, 0.9), (1.0, 0.5))


def test_the_record_keeps_every_trial(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    some = [trial(1, 0.5), trial(2, None, EARLY, ((0.25, 0.7),), loss="focal")]
    for one in some:
        append_trial(path, one)
    assert read_trials(path) == some


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ("training.learning_rate", "expected KEY=LOW..HIGH"),
        ("training.learning_rate=", "expected KEY=LOW..HIGH"),
        ("training.learning_rate=1e-2..1e-3", "holds no number"),
        ("training.learning_rate=1e-3..1e-3", "holds no number"),
        ("training.learning_rate=0..1e-2:log", "begins above 0"),
        ("training.learning_rate=a..b", "no range of numbers"),
        ("training.learning_rate=1..2..3", "no range of numbers"),
        ("training.loss=focal", "not two values or more"),
        ("training.loss=focal,focal", "not two values or more"),
        ("training.learning_rte=1e-3..1e-2", "did you mean learning_rate"),
        ("training.batch=2.5..8.5", "training.batch"),
        ("training.seed=1..9", "a seed is luck"),
        ("training.epochs=1..9", "the budget is the same for all"),
        ("training.early_stopping=2,4", "would flatter"),
        ("evaluation.threshold_rule=youden,0.5", "only ways to train are compared"),
    ],
)
def test_what_is_no_space_is_refused(project: Project, over: str, words: str) -> None:
    with pytest.raises(OverreadError, match=words):
        space_of(project.settings, [over])


def test_ranges_are_whole_numbers_only_where_the_setting_is_one(project: Project) -> None:
    batch, scale, width = space_of(
        project.settings, ["training.batch=2..16", "training.augmentation.scale=0..1", "training.network.width=8..32:log"]
    )
    assert isinstance(batch, Range)
    assert isinstance(scale, Range)
    assert isinstance(width, Range)
    assert (batch.is_whole, scale.is_whole, width.is_whole) == (True, False, True)
    assert batch.as_text(7.6) == "8"
    assert scale.as_text(0.123456) == "0.123"
    with pytest.raises(OverreadError, match="named twice"):
        space_of(project.settings, ["training.batch=2..16", "training.batch=2,4"])
    with pytest.raises(OverreadError, match="has a range"):
        grid((batch,))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked(), "Nothing ends this search"),
        (Asked(trials=3), "How long is a trial"),
        (Asked(minutes=5, trial_minutes=1), "5 minutes are too few"),
        (Asked(minutes=9, trial_minutes=1, trial_epochs=2), "minutes or epochs, not both"),
    ],
)
def test_a_search_needs_an_end(project: Project, asked: Asked, words: str) -> None:
    with pytest.raises(OverreadError, match=words):
        search(project, asked, "never")
    assert not (project.run("never").path / ORDER).exists()


def test_what_is_set_is_not_searched(project: Project) -> None:
    with pytest.raises(OverreadError, match="is set by --set and searched by --over"):
        search(project, Asked(over=OVER, trials=3, trial_epochs=1), "both", overrides={LOSS: "focal"})


def test_the_usual_space_lies_around_the_plan(project: Project) -> None:
    plan = plan_of(project, project.cohort(), {}, None)
    space = {axis.key: axis for axis in default_space(project.question, plan, ["training.weight_decay"])}
    rate = space[RATE]
    assert isinstance(rate, Range)
    assert (rate.low, rate.high, rate.log) == (plan.learning_rate / 10, plan.learning_rate * 10, True)
    assert "training.weight_decay" not in space, "what is set is not searched"
    names = space["training.architecture"]
    assert isinstance(names, Choice)
    assert plan.network["name"] in names.values
    assert LOSS not in space
    tested = default_space(project.question, plan, [], (1e-4, 3e-3))[0]
    assert isinstance(tested, Range)
    assert (tested.low, tested.high) == (1e-4, 3e-3)


def test_the_usual_networks_are_in_the_table() -> None:
    for serves, names in ARCHITECTURES_TRIED.items():
        for name in names:
            assert serves in ARCHITECTURES[name].serves


def test_networks_that_cannot_read_such_small_images_are_not_tried(project: Project) -> None:
    """Films of 24 pixels: ConvNeXt divides by 32, and each of its trials would fail at once."""
    plan = plan_of(project, project.cohort(), {}, None)
    assert max(plan.preparation.patch) < 32
    assert "convnext_tiny" not in fitting_architectures(plan)
