"""From pretraining to a training that begins with it: what is looked at, what is refused, what every record says."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

from overread.cli.plan import plan as plan_verb
from overread.cohort.index import read_index
from overread.cohort.subdivision import Subdivision, write_subdivision
from overread.core.errors import OverreadError, Stopped
from overread.networks import build
from overread.reading.model import load_network, pack_model, write_model
from overread.record.events import read_events
from overread.record.files import digest_json, read_json
from overread.record.run import RunFolder
from overread.training.loop import train as real_loop
from overread.workflow import pretrain as verb
from overread.workflow.compare import compare
from overread.workflow.evaluate import evaluate
from overread.workflow.explanations.inside.weights import weights_part
from overread.workflow.init import init
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.learning_curve import learning_curve
from overread.workflow.plan import next_name, plan, with_overrides
from overread.workflow.pretrain import pretrain
from overread.workflow.project import Project
from overread.workflow.report import report
from overread.workflow.starts.decided import begun, event_of
from overread.workflow.starts.pretrained import WEIGHTS, read_record
from overread.workflow.starts.start import begin, start_of
from overread.workflow.starts.told import licences_from, start_told
from overread.workflow.train import train
from overread.workflow.unlabelled.further import further_images
from training.test_loop import StopAfter
from workflow.balls import films, volume_project
from workflow.untrained import untrained

TINY = {
    "training.batch": "4",
    "training.architecture": "resnet10",
    "training.precision": "float32",
    "training.network.width": "8",
}
SMALL = {"batch": "4", "architecture": "resnet10", "network.width": "8"}
FROM = {**TINY, "training.weights": "run:pretrained"}


def project_of(folder: Path, **options: object) -> Project:
    made = films(folder / "cohort", count=36, edge=24)
    given = {"sheet": made / "sheet.csv", "group_by": "patient", "label": ["ball"], "positive": "large"}
    return init(folder / "project", made / "images", **{**given, "tuning": 0.25, "internal": 0.25, **options})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A pretraining by hidden parts, a run that began from it with its first stages frozen, and one from random weights."""
    made = project_of(tmp_path_factory.mktemp("transfer"))
    pretrain(made, "masked", epochs=2, overrides=TINY)
    train(made, epochs=1, name="later", overrides={**FROM, "training.freeze": "2"})
    train(made, epochs=1, name="random", overrides=TINY)
    for run in ("random", "later"):
        evaluate(made, run, "tuning")
    return made


def test_a_pretraining_looks_at_training_images_alone_and_leaves_weights_alone(project: Project) -> None:
    run = project.run("pretrained")
    record = read_record(run)
    assert record["images"] == {"training": len(project.cohort().of("training")), "further": 0, "left_out": {}, "digests": []}
    assert record["ended"] == "finished"
    assert len(record["losses"]) == 2
    assert {path.name for path in run.path.iterdir()} >= {"pretraining.json", WEIGHTS, "pretraining.toml", "events.jsonl"}
    assert not run.model.exists()
    assert not run.predictions.exists()
    assert next(e["event"] for e in read_events(run.events_path)) == "started"
    assert str(project.path) not in (run.path / "pretraining.json").read_text()
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed"]


def test_the_next_training_is_not_confused_by_it(project: Project) -> None:
    assert next_name(project) == "run-2"
    with pytest.raises(OverreadError, match="'pretrained' is a pretraining, no training"):
        train(project, epochs=1, name="pretrained")
    with pytest.raises(OverreadError, match=r"'pretrained' has been pretrained already(?s:.*)training.weights=run:pretrained"):
        pretrain(project, epochs=1)
    with pytest.raises(OverreadError, match="'later' is a run already, and no pretraining"):
        pretrain(project, epochs=1, name="later")


def test_a_training_begins_with_it_and_every_record_says_so(project: Project) -> None:
    run = project.run("later")
    events = read_events(run.events_path)
    told = next(e for e in events if e["event"] == "weights")
    assert told["what"].startswith("run:pretrained: 72 tensors loaded, 2 stayed random (head.weight: the head of another")
    assert [row["frozen"] for row in told["stages"]] == ["yes", "yes", "no", "no", "no", "no"]
    assert next(e for e in events if e["event"] == "started")["overrides"]["training.weights"] == "run:pretrained"
    made = read_plan(run.plan)
    assert (made.weights, made.freeze) == ("run:pretrained", "2")
    assert made.reasons["learning_rate"] == "usual for adamw and classification", "labels are still to be learned"
    assert made.expected["stages"][0] == "stem: 3 loaded (88 weights); frozen"
    card = read_json(run.model / "model.json")["training"]
    assert card["start"]["from"] == "run:pretrained"
    page = report(project, "later").read_text()
    assert "Weights were loaded before training: run:pretrained" in page
    assert "Learned without labels from" in page
    result = compare([project.path], runs=["random", "later"])
    assert [model["starts"] for model in result["models"]] == [["random weights"], ["run:pretrained, the first 2 stages frozen"]]


def test_frozen_stages_are_those_of_the_pretraining_to_the_last_bit(project: Project) -> None:
    before = load_file(project.run("pretrained").path / WEIGHTS)
    _, network = load_network(project.run("later").model)
    for name, tensor in network.state_dict().items():
        is_frozen = name.startswith(("stem.", "stages.0."))
        assert torch.equal(tensor, before[name]) == is_frozen or name.endswith("num_batches_tracked"), name


def test_the_first_weights_can_be_made_again(project: Project) -> None:
    run = project.run("later")
    made = weights_part(project, run, load_network(run.model)[1])
    rows = {row["name"]: row["change"] for row in made["rows"]}
    assert rows["stem.0"] == 0.0
    assert rows["head"] > 0


def test_plan_prints_what_is_loaded_and_frozen(project: Project) -> None:
    words = [str(project.path), "--name", "shown"]
    for key, value in {**FROM, "training.freeze": "features", "training.unfreeze": "0.3"}.items():
        words += ["--set", f"{key}={value}"]
    said = CliRunner().invoke(plan_verb, words, obj=None, catch_exceptions=False).output
    assert "freeze" in said
    assert "from 30 % of the budget on they learn too" in said
    assert "stages.3: 9 loaded" in said
    assert "head: 2 random" in said


def test_a_stopped_pretraining_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(tmp_path)
    pretrain(project, "contrastive", epochs=2, name="through", overrides=TINY)
    monkeypatch.setattr(verb, "run_loop", lambda *given, **named: real_loop(*given, **{**named, "stop": StopAfter(7)}))
    with pytest.raises(Stopped, match=r"Stopped after 8 steps(?s:.*)overread pretrain .*--name parts --resume"):
        pretrain(project, "contrastive", epochs=2, name="parts", overrides=TINY)
    monkeypatch.undo()
    run = pretrain(project, name="parts", resume=True)
    assert read_record(run)["ended"] == "finished"
    whole = load_file(project.run("through").path / WEIGHTS)
    for name, tensor in load_file(run.path / WEIGHTS).items():
        torch.testing.assert_close(tensor, whole[name], rtol=1e-3, atol=1e-4)  # the layout in memory is measured, and may differ


def test_further_images_that_the_network_is_judged_by_are_left_out_and_counted(project: Project, tmp_path: Path) -> None:
    cohort, more = project.cohort(), tmp_path / "more"
    more.mkdir()
    number = dict.fromkeys(("training", "tuning", "internal"), 0)
    for row in read_index(project.path):
        place = cohort.partition[row.case.case_id]
        if number[place] < 2:
            number[place] += 1
            film = Image.open(cohort.images_folder / row.case.images[0].files[0])
            film.save(more / f"{place}{number[place]}.tiff")  # another file, the same pixels
    random = np.random.default_rng(0)
    for k in range(3):
        Image.fromarray(random.integers(0, 255, (30, 24), dtype=np.uint8)).save(more / f"new{k}.png")
    (more / "note.txt").write_text("no image")
    found = further_images(project, more, cohort, read_plan(project.run("later").plan).preparation, None)
    assert len(found.images) == 3
    assert all(image.shape == (1, 1, 24, 24) for image in found.images)
    assert found.left_out["pixels of an internal test image"] == 2
    assert found.left_out["pixels of a tuning image"] == 2
    assert found.left_out["pixels of a training image, which is there already"] == 2
    with pytest.raises(OverreadError, match="There is nothing at"):
        further_images(project, tmp_path / "none", cohort, read_plan(project.run("later").plan).preparation, None)


def test_weights_of_patients_by_whom_one_is_judged_are_refused(tmp_path: Path) -> None:
    project = project_of(tmp_path, folds=2)
    run = pretrain(project, "masked", epochs=1, fold=0, overrides=TINY)
    cohort = project.cohort(0)
    assert start_of(project, "run:pretrained", cohort, 0).is_pretrained
    run.path.rename(run.path.with_name("fold-1"))
    with pytest.raises(OverreadError, match=r"learned from \d+ patients that are (tuning|internal test) patients here"):
        start_of(project, "run:pretrained", project.cohort(1), 1)


def test_an_image_that_became_a_test_image_later_is_noticed(project: Project) -> None:
    run = project.run("pretrained")
    cohort = project.cohort()
    sealed = next(row for row in read_index(project.path) if cohort.partition[row.case.case_id] == "internal")
    path = run.path / "pretraining.json"
    kept = path.read_text()
    record = json.loads(kept)
    record["images"]["digests"] = [sealed.digest]
    path.write_text(json.dumps(record))
    with pytest.raises(OverreadError, match="saw 1 images that are tuning or internal test images now"):
        start_of(project, "run:pretrained", cohort)
    path.write_text(kept)


def test_a_model_file_of_this_cohort_is_known_and_one_of_elsewhere_is_told(project: Project, tmp_path: Path) -> None:
    file = pack_model(project.run("random").model, tmp_path / "known.overread")
    cohort = project.cohort()
    known = start_of(project, str(file), cohort)
    assert known.notes == ("known.overread was trained on training patients of this cohort.",)
    assert not known.leaves_head
    other = project_of(tmp_path / "other", seed=5)
    foreign = start_of(other, str(file), other.cohort())
    assert foreign.notes[0].startswith("known.overread was trained in another project. A model file names no patients")
    _, loaded = begin(read_plan(project.run("random").plan).network, foreign)
    assert loaded is not None
    assert not loaded.random


def test_terms_and_past_of_weights_go_from_training_to_training(project: Project, tmp_path: Path) -> None:
    first = build("resnet10", in_channels=1, out_channels=2, dimensions=2, serves="image", options={"width": 8})
    save_file(first.state_dict(), tmp_path / "found.safetensors")
    one = untrained(project, "of-a-file", **SMALL, weights=str(tmp_path / "found.safetensors"))
    _tell_start(project, one, str(tmp_path / "found.safetensors"))
    start = start_of(project, "run:of-a-file", project.cohort())
    terms = "as the training data allow; training began with weights whose licence is: not stated by their source"
    assert start.licence == terms
    assert start.notes[0] == "Learned from training patients of this project."
    assert "began with file found.safetensors, of which it was told: The file does not say from which patients" in start.notes[1]
    file = pack_model(one.model, tmp_path / "made-from-one.overread")
    assert start_of(project, str(file), project.cohort()).licence == terms
    two = untrained(project, "of-that", **SMALL, weights="run:of-a-file")
    _tell_start(project, two, "run:of-a-file")
    card = read_json(two.model / "model.json")["training"]
    assert card["licences"]["weights"] == terms, "told once, however often one training begins with another"
    assert any("does not say from which patients" in note for note in card["start"]["notes"])


def _tell_start(project: Project, run: RunFolder, weights: str) -> None:
    """Write of an untrained run what a training writes of its beginning, and freeze it again."""
    start = start_of(project, weights, project.cohort())
    found = begun(read_plan(run.plan), start)
    run.events.write("weights", **event_of(found, start))
    card, network = load_network(run.model)
    told = start_told(run)
    write_model(run.model, network, replace(card, training={**card.training, "start": told, "licences": licences_from(told)}))


def test_a_part_that_learned_from_tuning_patients_is_refused_as_a_run_and_as_a_file(project: Project, tmp_path: Path) -> None:
    cohort = project.cohort()
    training, tuning = ([case.case_id for case in cohort.of(side)] for side in ("training", "tuning"))
    given = Subdivision(frozenset(tuning), frozenset(training), "a selection")
    write_subdivision(project.run("parts/one").subdivision, given)
    run = untrained(project, "parts/one", **SMALL)
    card = read_json(run.model / "model.json")["training"]
    assert card["part_of"] == {"what": "a selection", "subdivision": digest_json(given.as_dict())}
    copy = pack_model(run.model, tmp_path / "copy.overread")
    for weights in ("run:parts/one", str(run.model), str(copy)):
        with pytest.raises(OverreadError, match=r"learned from \d+ patients that are tuning patients here"):
            start_of(project, weights, cohort)
    shutil.rmtree(project.run("parts").path)
    with pytest.raises(OverreadError, match=r"copy.overread is one training of a selection on this very cohort(?s:.*)run:NAME"):
        start_of(project, str(copy), cohort)


def test_a_file_of_a_fold_is_checked_as_its_run_is(tmp_path: Path) -> None:
    project = project_of(tmp_path, folds=2)
    run = untrained(project, "cv", 0, **SMALL)
    copy = pack_model(run.model, tmp_path / "copy.overread")
    assert start_of(project, str(copy), project.cohort(0), 0).notes == (
        "copy.overread was trained on training patients of this cohort.",
    )
    with pytest.raises(OverreadError, match=r"learned from \d+ patients that are (tuning|internal test) patients here"):
        start_of(project, str(copy), project.cohort(1), 1)
    shutil.rmtree(project.run("cv").path)
    with pytest.raises(OverreadError, match="trained on a fold of this very cohort, and its run is not here any more"):
        start_of(project, str(copy), project.cohort(0), 0)


def test_a_plain_file_gives_the_width_of_the_network(project: Project, tmp_path: Path) -> None:
    first = build("resnet10", in_channels=3, out_channels=9, dimensions=2, serves="image", options={"width": 12})
    save_file(first.state_dict(), tmp_path / "wide.safetensors")
    asked = {**TINY, "training.weights": str(tmp_path / "wide.safetensors")}
    asked.pop("training.network.width")
    made = plan(project, "wide", overrides=asked, preflight=False).plan
    assert made.network["options"]["width"] == 12
    assert made.weights == "file wide.safetensors"
    assert made.reasons["width"] == "12 channels, as in the weights"
    assert "does not say from which patients" in made.reasons["weights"]
    assert made.reasons["learning_rate"] == "a fifth of the usual, because the weights were loaded"
    assert str(tmp_path) not in project.run("wide").plan.read_text()


def test_what_is_not_there_or_cannot_be_is_named(project: Project) -> None:
    cohort = project.cohort()
    with pytest.raises(OverreadError, match=r"no run 'nothing' with a model(?s:.*)overread pretrain"):
        start_of(project, "run:nothing", cohort)
    with pytest.raises(OverreadError, match=r"there is no file of weights(?s:.*)run:NAME"):
        start_of(project, "nowhere.pt", cohort)
    with pytest.raises(OverreadError, match="would keep random weights as they are"):
        plan(project, "frozen", overrides={**TINY, "training.freeze": "features"})


def test_masks_are_pretrained_by_hidden_parts_and_contrast_is_refused(tmp_path: Path) -> None:
    project = volume_project(tmp_path)
    small = {"training.patch": "16,16,16", "training.batch": "2", "training.precision": "float32"}
    with pytest.raises(OverreadError, match=r"unet answers per voxel(?s:.*)--method masked"):
        pretrain(project, "contrastive", epochs=1, overrides=small)
    run = pretrain(project, epochs=1, overrides=small)
    assert read_record(run)["loss"] == "masked L1"
    start = start_of(project, "run:pretrained", project.cohort())
    made = plan(project, "first", overrides={**small, "training.weights": "run:pretrained"}, preflight=False).plan
    _, loaded = begin(made.network, start)
    assert loaded is not None
    assert all(name.startswith("heads.") for name in loaded.random)
    assert made.optimizer == "muon", "as from random weights"


def test_a_curve_of_two_ways_says_where_it_does_not_help(project: Project) -> None:
    found = learning_curve(project, (0.5,), epochs=1, repeats=1, overrides=TINY, against={"training.weights": "run:pretrained"})
    second = found["against"]
    assert second["name"] == "weights = run:pretrained"
    assert [point["share"] for point in second["points"]] == [0.5, 1.0]
    for one, two, pair in zip(found["points"], second["points"], second["pairs"], strict=True):
        assert pair[0] == pytest.approx(two["runs"][0]["score"] - one["runs"][0]["score"])
        assert two["runs"][0]["run"] == one["runs"][0]["run"] + "-against"
    assert "Each share was trained once each way" in second["words"]
    page = report(project, "random").read_text()
    assert "Second better by" in page
    assert second["words"].split(";")[0].split(":")[0] in page
    with pytest.raises(OverreadError, match="compared with another way to train"):
        learning_curve(project, against={"training.seed": "3"})
    with pytest.raises(OverreadError, match="both ways are one"):
        learning_curve(project, name="other", overrides=TINY, against={"training.batch": "4"})


def test_numbers_of_stages_may_be_written_as_numbers(project: Project) -> None:
    assert with_overrides(project.settings, {"training.freeze": "2"}).training.freeze == 2
