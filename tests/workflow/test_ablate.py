"""`overread ablate`: what a part adds, paired; what is not there is said; nothing under seal is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.modules.module import register_module_forward_pre_hook

from overread.cli.main import main
from overread.cohort.subdivision import read_subdivision
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.comparing.compared import Contender
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.learning.ablation import HARMS, HELPS, UNSHOWN, gains
from overread.networks.weights import weights_digest
from overread.reading import one_by_one
from overread.reading.model import build_network
from overread.record.files import read_json, write_json
from overread.record.run import RunFolder
from overread.workflow import plan as planning
from overread.workflow.ablate import FORMAT, _kept, ablate
from overread.workflow.ablating import trained
from overread.workflow.ablating.base import refuse_another_base
from overread.workflow.ablating.reading import PASSES
from overread.workflow.ablating.switches import SWITCHES, chosen_switches
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init
from overread.workflow.learning.objective import objective
from overread.workflow.project import Project
from overread.workflow.searching.planned import decided_of, plan_of
from overread.workflow.starts.decided import begun
from overread.workflow.train import train
from workflow.balls import films, volume_project
from workflow.untrained import untrained

TINY = {
    "training.batch": "4",
    "training.architecture": "resnet18",
    "training.precision": "float32",
    "training.network.width": "4",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("ablate")
    made = films(folder / "cohort", count=48, edge=16)
    given: dict[str, Any] = {"sheet": made / "sheet.csv", "group_by": "patient", "label": ["ball"], "positive": "large"}
    return init(folder / "project", made / "images", **given, tuning=0.34, internal=0.25)


@pytest.fixture(scope="module")
def ablated(project: Project) -> tuple[dict, list[str]]:
    """One seed, the base and one variant, really trained."""
    said: list[str] = []
    found = ablate(project, ["skips", "pretraining"], epochs=1, seeds=1, overrides=TINY, tell=said.append)
    return found, said


def test_one_switch_off_is_compared_with_the_base(project: Project, ablated: tuple[dict, list[str]]) -> None:
    found, said = ablated
    (row,) = found["trained"]["rows"]
    assert row["switch"] == "skips"
    assert row["settings"] == {"training.architecture": "plain18"}
    assert row["gain"]["estimate"] == pytest.approx(row["with"] - row["without"])
    assert row["gain"]["n_patients"] == found["n_patients"]
    assert found["not_trained"] == {"pretraining": "the network begins with random weights as it is"}
    assert "pretraining is left out: the network begins with random weights as it is" in said
    assert "2 trainings of 1 epoch each: the base and 1 variants." in said
    assert read_json(project.run("ablation").path / "ablation.json") == json.loads(json.dumps(found))
    assert any("One seed says nothing of luck" in note for note in found["notes"])


def test_only_open_cases_and_the_same_ones_for_all(project: Project, ablated: tuple[dict, list[str]]) -> None:
    cohort = project.cohort()
    for name in ("base-0", "no-skips-0"):
        part = read_subdivision(project.run(f"ablation/{name}").subdivision)
        assert part is not None
        assert part.tuning == {case.case_id for case in cohort.of("tuning")}
        assert part.training == {case.case_id for case in cohort.of("training")}
        assert not (project.run(f"ablation/{name}").predictions / "internal").exists()
    with pytest.raises(OverreadError, match="one training of an ablation"):
        evaluate(project, "ablation/base-0", "internal")
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed"]


def test_an_ablation_is_no_run(project: Project, ablated: tuple[dict, list[str]]) -> None:
    assert "ablation" not in project.runs()
    with pytest.raises(OverreadError, match="'ablation' is an ablation, not a run"):
        train(project, epochs=1, name="ablation")


def test_the_page_says_what_helps_and_what_was_left_out(project: Project, ablated: tuple[dict, list[str]]) -> None:
    page = (project.run("ablation").path / "ablation.html").read_text()
    for words in ("skip connections", "Left out", "loaded weights", "training.architecture = plain18"):
        assert words in page
    assert str(project.path) not in page


# ---------------------------------------------------------------- with trainings that are only played


@pytest.fixture
def played(project: Project, ablated: tuple[dict, list[str]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Trainings that take no time; `blurs` says how unsure the answers of a variant are."""
    template = read_json(project.run("ablation/base-0").evaluation("tuning"))

    def go(name: str, blurs: dict[str, float], die_at: str = "", **asked: Any) -> dict:
        def train_part(project: Project, run_name: str, fold: Any, subdivision: Any, budget: Any, own: dict, *rest: Any) -> dict:
            if die_at and run_name.endswith(die_at):
                raise KeyboardInterrupt
            path = project.run(run_name, fold).evaluation("tuning")
            if path.exists():
                return dict(read_json(path))
            variant = run_name.rpartition("/")[2].rpartition("-")[0]
            random = np.random.default_rng(int(own["training.seed"]))
            found = json.loads(json.dumps(template))
            for row in found["cases"]:
                value = float(row["truth"] == "large") + random.normal() * blurs.get(variant, 0.1)
                row["answer"] = {"large": 1 / (1 + np.exp(-value)), "small": 1 - 1 / (1 + np.exp(-value))}
            write_json(path, found)
            made.append(run_name)
            return found

        made: list[str] = []
        monkeypatch.setattr(trained, "train_part", train_part)
        given = {} if asked.get("again") else {"switches": ["skips", "augmentation"], "epochs": 1, "seeds": 3, "overrides": TINY}
        return {**ablate(project, name=name, **given), "made": made}

    return go


def test_a_part_that_matters_is_told_from_one_that_does_not(played: Callable[..., Any]) -> None:
    found = played("matters", {"base": 0.1, "no-skips": 9.0, "no-augmentation": 0.1})
    skips, augmentation = found["trained"]["rows"]
    assert skips["gain"]["estimate"] > 0.2
    assert len(skips["each_seed"]) == 3
    assert skips["spread_over_seeds"] == pytest.approx(np.std(skips["each_seed"], ddof=1))
    assert augmentation["gain"]["estimate"] == pytest.approx(0.0, abs=1e-9)
    assert augmentation["verdict"] == UNSHOWN
    assert len(found["made"]) == 9


def test_a_killed_ablation_goes_on_where_it_was(project: Project, played: Callable[..., Any]) -> None:
    blurs = {"base": 0.6, "no-skips": 2.0}
    whole = played("whole", blurs)
    with pytest.raises(KeyboardInterrupt):
        played("killed", blurs, die_at="no-skips-1")
    resumed = played("killed", blurs, again=True)
    assert resumed["trained"]["rows"] == whole["trained"]["rows"]
    assert len(resumed["made"]) == 9 - 4, "four were trained before"
    with pytest.raises(OverreadError, match="what changed: budget"):
        ablate(project, ["skips"], epochs=2, name="killed", overrides=TINY)
    calm = project.settings.training.model_copy(update={"weight_decay": 0.3})
    changed = Project(project.path, settings=project.settings.model_copy(update={"training": calm}))
    with pytest.raises(OverreadError, match=r"what changed: \[training\], \[region\] or \[evaluation\] in project\.toml"):
        ablate(changed, ["skips"], name="killed")


# ---------------------------------------------------------------- a run as the base


@pytest.fixture(scope="module")
def begun_from_a_file(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run "filed", planned and begun as `train --set training.weights=FILE` does; no step is taken."""
    file = tmp_path_factory.mktemp("weights") / "start.safetensors"
    network = build_network(plan_of(project, project.cohort(), TINY, None).network)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, file)
    own = {**TINY, "training.weights": str(file)}
    planned = planning.plan(project, "filed", None, own, preflight=False)
    found = decided_of(project, project.cohort(), own, None)
    torch.manual_seed(planned.plan.seed)
    initial = weights_digest(begun(found.plan, found.start).network)
    planned.run.events.write("started", overrides=TINY, initial=initial)
    return file


def test_the_base_is_the_run_that_was_named(project: Project, begun_from_a_file: Path) -> None:
    words = r"another training than run 'filed'; what differs: weights, learning_rate\.(?s:.*)--set training\.weights=FILE"
    with pytest.raises(OverreadError, match=words):
        ablate(project, ["skips"], "filed", epochs=1, name="of-a-run")
    slower = project.settings.training.model_copy(update={"learning_rate": 1e-5})
    changed = Project(project.path, settings=project.settings.model_copy(update={"training": slower}))
    own = {"training.weights": str(begun_from_a_file)}
    with pytest.raises(OverreadError, match=r"what differs: learning_rate\."):
        ablate(changed, ["skips"], "filed", epochs=1, name="of-a-run", overrides=own)
    assert not (project.run("of-a-run").path / "ablation-order.json").exists()


def test_weights_are_told_apart_by_their_values_too(project: Project, begun_from_a_file: Path, tmp_path: Path) -> None:
    own = {**TINY, "training.weights": str(begun_from_a_file)}
    refuse_another_base(project, "filed", project.cohort(), None, own, None)
    tensors = load_file(begun_from_a_file)
    other = tmp_path / begun_from_a_file.name
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, other)
    with pytest.raises(OverreadError, match="what differs: values of the weights"):
        refuse_another_base(project, "filed", project.cohort(), None, {**own, "training.weights": str(other)}, None)


# ---------------------------------------------------------------- reading


def test_rows_are_kept_by_the_same_score_only(project: Project, tmp_path: Path) -> None:
    home, cohort, auc = RunFolder(tmp_path), project.cohort(), objective(project)
    made = {"format": FORMAT, "cohort": cohort.digest, "fold": None, "endpoint": auc.as_dict(), "level": 0.95}
    write_json(tmp_path / "ablation.json", {**made, "read": {"rows": []}, "not_read": {}})
    assert _kept(home, cohort, None, auc, 0.95)["read"] == {"rows": []}
    assert _kept(home, cohort, None, auc, 0.9)["read"] is None
    assert _kept(home, cohort, None, Endpoint.of(project.question, "accuracy"), 0.95)["read"] is None
    assert _kept(home, cohort, 1, auc, 0.95)["read"] is None
    write_json(tmp_path / "ablation.json", {**made, "format": 1, "read": {"rows": []}})
    assert _kept(home, cohort, None, auc, 0.95)["read"] is None, "verdicts by another rule"


@pytest.fixture
def clock_of_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clock that goes on by a second for every image that passes a module, whatever else the machine does."""
    now = [0.0]

    def worked(module: torch.nn.Module, given: tuple[Any, ...]) -> None:
        now[0] += len(given[0])

    monkeypatch.setattr(one_by_one.time, "perf_counter", lambda: now[0])
    hook = register_module_forward_pre_hook(worked)
    yield
    hook.remove()


@pytest.mark.usefixtures("clock_of_work")
def test_reading_otherwise_needs_no_training_and_says_what_it_costs(
    project: Project, ablated: tuple[dict, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    mirrored = {"network.width": "4", "augmentation.mirror": '["x"]'}
    untrained(project, "mirrored", architecture="resnet18", **mirrored)
    found = ablate(project, ["test_mirror", "test_changes"], "mirrored", name="reading")
    rows = {row["switch"]: row for row in found["read"]["rows"]}
    assert list(rows) == ["test_mirror", "test_changes"]
    for row in rows.values():
        assert row["gain"]["estimate"] == pytest.approx(row["with"] - row["without"])
    assert rows["test_mirror"]["seconds_with"] == 2 * rows["test_mirror"]["seconds_without"] > 0
    assert rows["test_changes"]["seconds_with"] == PASSES * rows["test_changes"]["seconds_without"]
    assert found["trained"] is None
    assert not list(project.run("reading").path.glob("base*"))
    assert main(["ablate", str(project.path), "--run", "mirrored", "--switch", "test_mirror", "--name", "reading"]) == 0
    told = capsys.readouterr().out
    assert "read otherwise by run mirrored" in told
    assert "s a case against" in told


def test_a_mirrored_image_is_strange_where_training_mirrored_none(project: Project) -> None:
    untrained(project, "plain", architecture="resnet10", **{"network.width": "4"})
    found = ablate(project, ["test_mirror"], "plain", name="strange")
    assert found["read"] == {}
    assert found["not_read"] == {"test_mirror": "training mirrored no image, so a mirrored one is strange to this model"}


def test_a_reading_needs_a_model(project: Project) -> None:
    with pytest.raises(OverreadError, match="no run is named whose model reads"):
        ablate(project, ["test_mirror"], name="none")
    with pytest.raises(OverreadError, match="There is no run 'nobody'"):
        ablate(project, ["test_mirror"], "nobody", name="none")
    with pytest.raises(OverreadError, match="'nobody' was not trained here"):
        ablate(project, ["skips"], "nobody", epochs=1, name="none")


# ---------------------------------------------------------------- the parts


def test_switches_by_name() -> None:
    assert chosen_switches(["test_mirror", "skips", "skips"]) == (("skips",), ("test_mirror",))
    assert "augmentation" in chosen_switches([])[0]
    with pytest.raises(OverreadError, match=r"no switch 'skip'\. Did you mean 'skips'"):
        chosen_switches(["skip"])


def test_where_nothing_can_be_switched_off_that_is_said(project: Project) -> None:
    with pytest.raises(OverreadError, match=r"None of these can be switched off here\. pretraining: the network begins"):
        ablate(project, ["pretraining", "mirror"], epochs=1, name="nothing", overrides=TINY)


def test_off_already_changes_nothing(project: Project) -> None:
    off = {f"training.augmentation.{key}": "0" for key in ("rotation_degrees", "scale", "shift", "elastic", "intensity")}
    with pytest.raises(OverreadError, match="augmentation: it changes nothing: it is off already"):
        ablate(project, ["augmentation"], epochs=1, name="off", overrides={**TINY, **off})


def test_what_each_switch_does_to_a_plan_of_masks(tmp_path_factory: pytest.TempPathFactory) -> None:
    project = volume_project(tmp_path_factory.mktemp("masks"))
    cohort = project.cohort()
    own = {"training.patch": "16,16,16", "training.batch": "2", "training.dropout": "0.1"}
    plan = plan_of(project, cohort, own, None)
    training = project.settings.training.model_copy(update={"dropout": 0.1})
    off = {name: switch.off(plan, training) for name, switch in SWITCHES.items()}
    assert off["skips"] == {"training.network.skips": "false"}
    assert off["normalisation"] == {"training.network.norm": "none"}
    assert off["deep_supervision"] == {"training.deep_supervision": "false"}
    assert off["dropout"] == {"training.dropout": "0"}
    assert off["clinical"] == "the network reads the image alone"
    for name in ("skips", "augmentation", "deep_supervision", "ema", "dropout", "weight_decay"):
        settings = off[name]
        assert not isinstance(settings, str)
        assert plan_of(project, cohort, {**own, **settings}, None).identity != plan.identity
    still = plan_of(project, cohort, {**own, **off["augmentation"]}, None).augmentation  # type: ignore[dict-item]
    assert (still.rotation_degrees, still.scale, still.shift, still.elastic, still.intensity, still.mirror) == (0, 0, 0, 0, 0, ())


def contender(name: str, errors: list[np.ndarray]) -> Contender:
    question = Question("regression", ("age",), units=("years",))
    runs = []
    for error in errors:
        cases = [
            {"case_id": f"C{k}", "patient_id": f"P{k}", "truth": {"age": 50.0}, "answer": {"age": 50.0 + e}}
            for k, e in enumerate(error)
        ]
        runs.append({"question": question.as_dict(), "cases": cases})
    return Contender(name, tuple(runs))


def test_a_gain_is_above_0_where_the_part_makes_the_error_smaller() -> None:
    random = np.random.default_rng(0)
    small, large = np.abs(random.normal(1, 0.2, (3, 60))), np.abs(random.normal(3, 0.2, (3, 60)))
    endpoint = Endpoint.of(Question("regression", ("age",), units=("years",)), "mae")
    (helps,) = gains(contender("base", list(small)), [contender("without", list(large))], endpoint)
    assert helps.verdict == HELPS
    assert helps.gain.estimate == pytest.approx(float(large.mean() - small.mean()))
    assert helps.gain.low is not None
    assert helps.gain.low > 0
    assert np.mean(helps.each) == pytest.approx(helps.gain.estimate)
    (harms,) = gains(contender("base", list(large)), [contender("without", list(small))], endpoint)
    assert harms.verdict == HARMS
    same = gains(contender("base", list(small)), [contender(f"v{k}", list(small[::-1] + 1e-3 * k)) for k in (1, 2)], endpoint)
    assert [one.p_holm is None or one.p_holm >= one.p for one in same] == [True, True]  # type: ignore[operator]
