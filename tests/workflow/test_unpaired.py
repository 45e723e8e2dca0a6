"""Two heaps of images of different patients: from class folders or a sheet to a network that makes one kind of the other."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

import overread
from overread.cli.main import main
from overread.cohort.draft import Draft
from overread.cohort.inspect import Seen, refuse_unlike
from overread.cohort.load import load_image
from overread.cohort.unpaired import as_read, as_wanted
from overread.core.errors import OverreadError, Refused, Stopped
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Picture, Structure
from overread.imaging.nifti import open_nifti, write_nifti
from overread.record.events import read_events
from overread.workflow import structures as structures_room
from overread.workflow.baseline import baseline
from overread.workflow.evaluate import evaluate
from overread.workflow.external import external
from overread.workflow.fidelity import fidelity
from overread.workflow.learning_curve import learning_curve
from overread.workflow.plan import batches_of
from overread.workflow.project import Project
from overread.workflow.read import read
from overread.workflow.robustness import robustness
from overread.workflow.select import select
from overread.workflow.update import update
from workflow.balls import ball, write_sheet

SMALL = {
    "training.network.base_features": "4",
    "training.network.blocks": "1",
    "training.network.critic_features": "4",
    "training.batch": "4",
}
EDGE = 16
GRID = Grid.from_spacing((8, 12, 12), (2.0, 1.0, 1.0))
SHARES = {"tuning": 0.4, "internal": 0.1}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of a bright ball, of which scanner "ge" shows the negative; and four of a third kind."""
    folder, random = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    for k in range(44):
        kind = "other" if k >= 40 else ("siemens", "ge", "ge")[k % 3]
        pixels, _ = ball((EDGE, EDGE), random.uniform(3, 5), random)
        pixels = 255 - pixels if kind == "ge" else pixels
        (folder / kind).mkdir(exist_ok=True)
        PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / kind / f"film{k:02d}.png")
    return folder


@pytest.fixture(scope="module")
def trained(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    place = tmp_path_factory.mktemp("trained")
    project = overread.init(place / "p", images=films, task="translate", unpaired="siemens:ge", **SHARES)
    project.train(epochs=2, name="first", overrides=SMALL)
    return Project.open(project.path)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve patients with two volumes each, both by one scanner; the sheet names patient and scanner."""
    folder, random = tmp_path_factory.mktemp("volumes"), np.random.default_rng(1)
    (folder / "images").mkdir()
    rows = []
    for k in range(24):
        scanner = "a" if k // 2 % 2 else "b"
        image, _ = ball(GRID.shape, 3, random)
        name = f"exam{k:02d}.nii.gz"
        write_nifti(folder / "images" / name, 400 - image if scanner == "b" else image, GRID)
        rows.append({"exam": f"exam{k:02d}", "mrn": f"m{k // 2}", "scanner": scanner})
    write_sheet(folder / "sheet.csv", rows)
    return folder


# ---------------------------------------------------------------- films, told by their folders


def test_the_plan_takes_the_network_that_needs_no_pairs(trained: Project) -> None:
    planned = trained.plan(run_name="looked-at")
    assert (planned.plan.question.given, planned.plan.question.classes) == (("image",), ("image",))
    assert trained.question.conditions == ("siemens", "ge")
    assert planned.plan.network["name"] == "cycle_gan"
    assert "no case has images of both kinds" in planned.plan.reasons["architecture"]
    assert "siemens" in (planned.run.path / "preflight.html").read_text(encoding="utf-8")
    cohort = planned.cohort
    read_mean, shown_mean = (np.mean([planned.cache.cases[c.case_id].image.mean() for c in half]) for half in (
        as_read(cohort).of("training"), as_wanted(cohort).of("training")))  # fmt: skip
    assert read_mean == pytest.approx(shown_mean, abs=0.1)  # each is scaled by itself, so that brightness alone tells nothing


def test_each_step_reads_one_kind_and_wants_the_other(trained: Project) -> None:
    """The ball is bright where it is read and dark in what is wanted, in every batch."""
    planned = trained.plan(run_name="batches")
    batches = batches_of(planned.plan, planned.cache, planned.cohort, "cpu")
    for step in range(6):
        images, targets = (part.numpy() for part in batches(step))
        middle = np.s_[:, :, EDGE // 2 - 1 : EDGE // 2 + 1, EDGE // 2 - 1 : EDGE // 2 + 1]
        assert (images[middle].mean((1, 2, 3)) > images.mean((1, 2, 3))).all()
        assert (targets[middle].mean((1, 2, 3)) < targets.mean((1, 2, 3))).all()


def test_partitions_hold_both_kinds_and_only_the_first_is_answered(trained: Project) -> None:
    cohort, run = trained.cohort(), trained.run("first")
    for partition in ("training", "tuning"):
        kinds = {case.case_id: case.truth.values for case in cohort.of(partition) if case.truth}
        siemens = {c.case_id for c in as_read(cohort).of(partition)}
        assert siemens == {name for name, values in kinds.items() if values == {"siemens": 1, "ge": 0}}
        assert {c.case_id for c in as_wanted(cohort).of(partition)} == set(kinds) - siemens
        assert siemens
        assert siemens != set(kinds)
    answered = {path.name.removesuffix(".nii.gz") for path in (run.predictions / "tuning").glob("*.nii.gz")}
    assert answered == {case.case_id for case in as_read(cohort).of("tuning")}
    assert not (run.predictions / "internal").exists()


def test_fidelity_sets_translated_images_beside_the_wanted_kind_and_beside_themselves(trained: Project) -> None:
    record = fidelity(trained, "first", minutes=0.05)
    cohort = trained.cohort()
    assert record["kinds"] == ["siemens", "ge"]
    assert record["fidelity"]["n_made"] == len(as_read(cohort).of("tuning"))
    assert record["fidelity"]["n_real"] == len(as_wanted(cohort).of("tuning"))
    assert {row["metric"] for row in record["fidelity"]["scores"]} == {row["metric"] for row in record["untouched"]}
    assert record["fidelity"]["floor"]["n_images"] == len(as_wanted(cohort).of("training"))
    page = Path(record["page"]).read_text(encoding="utf-8")
    assert "Do they look like ge?" in page
    assert "as read" in page
    report = trained.report(run_name="first").read_text(encoding="utf-8")
    assert "which is of kind siemens, look like if it were of kind ge?" in report
    assert "Do they look like ge?" in report


def test_images_that_are_the_wanted_kind_are_nearer_to_it_than_those_that_were_read(trained: Project) -> None:
    """A perfect translation, put in the place of the network's answers: the negative of each film."""
    folder = trained.run("first").predictions / "tuning"
    kept = {path: path.read_bytes() for path in folder.glob("*.nii.gz")}
    try:
        for case in as_read(trained.cohort()).of("tuning"):
            path = folder / f"{case.case_id}.nii.gz"
            own = load_image(trained.cohort(), case)
            write_nifti(path, 255 - own.array[0].astype(np.float32), own.grid)
        record = fidelity(trained, "first", minutes=0.05)
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    after, before = ({row["metric"]: row["interval"]["estimate"] for row in rows} for rows in (
        record["fidelity"]["scores"], record["untouched"]))  # fmt: skip
    assert after["kid"] < before["kid"]
    assert after["fid"] < before["fid"]


def test_a_new_film_is_answered_as_the_other_kind_and_marked(trained: Project, films: Path, tmp_path: Path) -> None:
    model = next(trained.run("first").path.glob("*.overread"))
    (reading,) = read(model, [next((films / "siemens").glob("*.png"))], tmp_path / "out", refusal="off")
    assert isinstance(reading.answer, Picture)
    with PIL.Image.open(next((tmp_path / "out").glob("*.png"))) as opened:
        assert opened.size == (EDGE, EDGE)
        assert "DERIVED BY A NETWORK" in " ".join(str(value) for value in opened.text.values())  # type: ignore[attr-defined]


def test_a_stopped_training_goes_on_to_the_same_curve(trained: Project) -> None:
    same = {**SMALL, "training.precision": "float32"}  # not what is faster at the moment
    trained.train(epochs=3, name="through", overrides=same)

    def interrupt(event: dict) -> None:
        if event["event"] == "epoch":
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does

    with pytest.raises(Stopped, match="Stopped after"):
        trained.train(epochs=3, name="stopped", overrides=same, hear=interrupt)
    trained.train(name="stopped", resume=True)
    one, two = (
        {e["epoch"]: e["loss"] for e in read_events(trained.run(name).events_path) if e["event"] == "epoch"}
        for name in ("through", "stopped")
    )
    assert one == pytest.approx(two, rel=1e-4)
    assert "resumed" in [event["event"] for event in read_events(trained.run("stopped").events_path)]


def test_what_needs_a_truth_names_what_to_do_instead(trained: Project, films: Path) -> None:
    for verb in (evaluate, baseline, select, learning_curve, robustness):
        with pytest.raises(OverreadError, match=r"No case has images of both siemens and ge(?s:.*)fidelity(?s:.*)structures"):
            verb(trained)
    with pytest.raises(OverreadError, match="No case has images of both"):
        external(trained, "north", films)


def test_new_films_are_taken_in_by_kind(films: Path, tmp_path: Path) -> None:
    shutil.copytree(films, tmp_path / "films")
    project = overread.init(tmp_path / "p", images=tmp_path / "films", task="translate", unpaired="siemens:ge", internal=0)
    before = {kind: len(half(project.cohort()).cases) for kind, half in (("siemens", as_read), ("ge", as_wanted))}
    for k in range(5):
        pixels = np.random.default_rng(k).integers(0, 255, (EDGE, EDGE), np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "films" / "ge" / f"new{k}.png")
    update(project.path)
    again = Project.open(project.path)
    assert again.question.conditions == ("siemens", "ge")
    assert len(as_wanted(again.cohort()).cases) == before["ge"] + 5
    assert len(as_read(again.cohort()).cases) == before["siemens"]


# ---------------------------------------------------------------- volumes, told by a sheet


class Thresholder:
    """Draws what differs from its surroundings: a stand-in for a network of segmentation that reads both kinds."""

    def prepare(self, image):
        return image

    def answer(self, image) -> LabelMap:
        far = np.abs(image.array - np.median(image.array)) > 90
        return LabelMap(far.astype(np.uint8), (Structure("ball", 1),), image.grid)


def test_volumes_of_two_scanners_stay_by_patient_and_keep_their_anatomy(
    volumes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "p"
    words = ["--images", str(volumes / "images"), "--sheet", str(volumes / "sheet.csv"), "--label", "scanner"]
    more = ["--task", "translate", "--unpaired", "a:b", "--group-by", "mrn", "--tuning", "0.3", "--internal", "0"]
    assert main(["init", str(place), *words, *more]) == 0
    assert "an image of kind b from one of kind a, without pairs" in capsys.readouterr().out
    project = Project.open(place)
    parts = {case.patient_id: set() for case in project.cohort().cases}
    for case in project.cohort().cases:
        parts[case.patient_id].add(project.cohort().partition[case.case_id])
    assert all(len(several) == 1 for several in parts.values())
    run = project.train(epochs=1, name="first", overrides={**SMALL, "training.patch": "8,12,12"})
    card = SimpleNamespace(
        sha256="sha256:toy",
        question=SimpleNamespace(classes=("ball",)),
        preparation=SimpleNamespace(channels=("image",), units="a.u."),
    )
    monkeypatch.setattr(structures_room, "_segmenter", lambda path: SimpleNamespace(card=card, predictor=Thresholder()))
    cohort = project.cohort()
    for case in as_read(cohort).of("tuning"):
        path = run.predictions / "tuning" / f"{case.case_id}.nii.gz"
        own = load_image(cohort, case)
        write_nifti(path, 400 - own.array[0], open_nifti(path).grid)
    found = structures_room.structures(project, tmp_path, "first")
    with pytest.raises(OverreadError, match=r"(images|patients) of kind '[ab]' to compare; 6 are the least"):
        fidelity(project, "first", minutes=0.05)
    assert {row["case_id"] for row in found["cases"]} == {case.case_id for case in as_read(cohort).of("tuning")}
    dice = next(row for row in found["scores"] if row["metric"] == "dice")
    assert dice["interval"]["estimate"] == pytest.approx(1.0)


# ---------------------------------------------------------------- what does not fit


REFUSED = [
    ({"unpaired": "siemens:philips"}, r"No image is of kind 'philips'; there are ge, other, siemens"),
    ({"unpaired": "ge:ge"}, "both kinds are the same"),
    ({"unpaired": "siemens"}, "two kinds were expected"),
    ({"unpaired": "siemens:"}, "two kinds were expected"),
    ({"unpaired": "a:b", "task": "vae"}, "--unpaired belongs to --task translate, not to vae"),
    ({"unpaired": "a:b", "task": None}, "--unpaired belongs to --task translate"),
    ({"unpaired": "siemens:ge", "answer": ["image"]}, "leave one of the two out"),
    ({}, r"at least two channels(?s:.*)--unpaired KIND:KIND"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_what_does_not_fit_the_question_is_refused(films: Path, tmp_path: Path, words: dict, message: str) -> None:
    with pytest.raises(OverreadError, match=message):
        overread.init(tmp_path / "p", images=films, **{"task": "translate", **words})
    assert not (tmp_path / "p").exists()


def test_kinds_must_be_told_somewhere(films: Path, tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match="--unpaired needs the kind of each image"):
        overread.init(tmp_path / "p", images=films / "ge", task="translate", unpaired="siemens:ge")


@pytest.mark.parametrize("name", ["unet", "pix2pix", "voxelwise"])
def test_a_network_that_learns_from_pairs_is_refused(trained: Project, name: str) -> None:
    with pytest.raises(OverreadError, match=rf"The architecture '{name}' learns from pairs(?s:.*)cycle_gan"):
        trained.plan(run_name="paired", overrides={"training.architecture": name})


def test_a_loss_that_needs_pairs_is_refused(trained: Project) -> None:
    with pytest.raises(OverreadError, match=r"The loss 'pix2pix' learns from pairs(?s:.*)loss = \"cycle\""):
        trained.plan(run_name="paired", overrides={"training.loss": "pix2pix"})


def test_a_heap_of_one_patient_is_refused(volumes: Path, tmp_path: Path) -> None:
    """One patient by scanner a is left, all of whose volumes lie in one partition."""
    lines = (volumes / "sheet.csv").read_text().splitlines()
    kept = [line for line in lines if not line.endswith(",a") or ",m1," in line]
    (tmp_path / "sheet.csv").write_text("\n".join(kept) + "\n")
    project = overread.init(
        tmp_path / "p", images=volumes / "images", sheet=tmp_path / "sheet.csv", label=["scanner"], task="translate",
        unpaired="a:b", group_by="mrn",
    )  # fmt: skip
    with pytest.raises(OverreadError, match=r"kind 'a' of [01] patients?; 2 are the least"):
        project.plan()


def test_kinds_in_the_settings_are_two(trained: Project, tmp_path: Path) -> None:
    text = (trained.path / "project.toml").read_text()
    place = tmp_path / "p"
    place.mkdir()
    (place / "project.toml").write_text(text.replace('["siemens", "ge"]', '["siemens", "siemens"]'))
    with pytest.raises(OverreadError, match="two different kinds were expected"):
        _ = Project.open(place).question


def test_units_may_differ_between_kinds_and_channels_may_not() -> None:
    grid = Grid.from_spacing((1, 4, 4), (1.0, 1.0, 1.0))
    drafts = [Draft(f"exam{k}", (f"exam{k}",), ()) for k in range(3)]
    seen = [Seen(grid=grid, units=units, channels=("image",)) for units in ("HU", "a.u.", "HU")]
    refuse_unlike(drafts, seen, ["ct", "mr", "ct"])
    with pytest.raises(Refused, match=r"units: 2 cases HU, 1 cases a\.u\."):
        refuse_unlike(drafts, seen)
    with pytest.raises(Refused, match=r"units: 1 cases HU, 1 cases a\.u\."):
        refuse_unlike(drafts, seen, ["ct", "ct", "mr"])
    coloured = [*seen[:2], Seen(grid=grid, units="HU", channels=("red", "green", "blue"))]
    with pytest.raises(Refused, match="channels: 2 cases image, 1 cases red, green, blue"):
        refuse_unlike(drafts, coloured, ["ct", "mr", "ct"])
