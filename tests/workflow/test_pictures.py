"""Questions whose answer is an image, and images made of random numbers: from a folder to a model, an evaluation and a page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import overread
from overread.cli.main import main
from overread.cohort.load import load_image, load_truth
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Picture
from overread.imaging.nifti import write_nifti
from overread.imaging.raster import read_raster_header
from overread.imaging.scan import scan
from overread.reading.making import ImageMaker
from overread.reading.model import load_model
from overread.record.events import read_events
from overread.workflow.fidelity import fidelity
from overread.workflow.pretrain import pretrain
from overread.workflow.project import Project
from overread.workflow.read import read
from overread.workflow.sample import Wanted, sample

SMALL = {"training.network.features": "[8,16]"}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen films of discs on a ramp, in two classes of their size."""
    folder, random = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    rows, columns = np.mgrid[:16, :16]
    for k in range(18):
        kind, radius = ("small", 3) if k % 2 else ("large", 5)
        y, x = random.uniform(5, 11, 2)
        disc = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        pixels = 40 + 4 * columns + 90 * disc + random.normal(0, 2, disc.shape)
        (folder / kind).mkdir(exist_ok=True)
        PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / kind / f"film{k:02d}.png")
    return folder


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight patients with two channels, the second a function of the first."""
    folder, random = tmp_path_factory.mktemp("volumes"), np.random.default_rng(1)
    grid = Grid.from_spacing((8, 12, 12), (2.0, 1.0, 1.0))
    for k in range(8):
        t1 = random.normal(100, 20, grid.shape).astype(np.float32)
        (folder / f"p{k}").mkdir()
        write_nifti(folder / f"p{k}" / "t1.nii.gz", t1, grid)
        write_nifti(folder / f"p{k}" / "flair.nii.gz", (220 - t1).astype(np.float32), grid)
    return folder


def test_what_was_made_worse_is_restored(films: Path, tmp_path: Path) -> None:
    """The answer beats what was read, a new film is answered as a marked PNG, and the report stands."""
    project = overread.init(tmp_path / "p", images=films, task="restore", degradation="noise:1")
    cohort = project.cohort()
    case = cohort.of("training")[0]
    given, truth = load_image(cohort, case), load_truth(cohort, case)
    assert isinstance(truth, Picture)
    assert np.abs(given.array - truth.array).std() > 1
    assert np.array_equal(given.array, load_image(cohort, case).array)  # the same noise in every run
    run = project.train(epochs=10, name="first", overrides={"training.network.base_features": "8"})
    scores = {row["metric"]: row["interval"]["estimate"] for row in project.evaluate(run_name="first")["scores"]}
    assert scores["psnr"] > scores["psnr_read"]
    assert scores["psnr_gain"] == pytest.approx(scores["psnr"] - scores["psnr_read"])
    for case in cohort.of("tuning"):  # the same answers as those of any program, with the same scores
        read_image, true_picture = load_image(cohort, case), load_truth(cohort, case)
        for folder, picture in (("given", read_image), ("true", true_picture)):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_nifti(tmp_path / folder / f"{case.case_id}.nii.gz", picture.array[0], picture.grid)
    anybody = overread.evaluate_answers(
        tmp_path / "true", run.predictions / "tuning", "restore", read=tmp_path / "given", resamples=50
    )
    found = {row["metric"]: row["interval"]["estimate"] for row in anybody["scores"]}
    assert found == {metric: pytest.approx(value, rel=1e-5) if value is not None else None for metric, value in scores.items()}
    panels = [read_raster_header(path) for path in (run.path / "panels-tuning").glob("worst-*.png")]
    assert panels
    assert {header.made for header in panels} == {"derived"}
    assert "before it was made worse" in project.report(run_name="first").read_text(encoding="utf-8")
    (reading,) = read(next(run.path.glob("*.overread")), [next(films.rglob("*.png"))], tmp_path / "out", refusal="off")
    assert isinstance(reading.answer, Picture)
    with PIL.Image.open(next((tmp_path / "out").glob("*.png"))) as opened:
        assert "DERIVED BY A NETWORK" in " ".join(str(value) for value in opened.text.values())  # type: ignore[attr-defined]


def test_one_channel_is_made_from_another(volumes: Path, tmp_path: Path) -> None:
    channels = {"t1.file": "t1", "flair.file": "flair"}
    project = overread.init(tmp_path / "p", images=volumes, task="translate", series=channels, answer=["flair"])
    assert (project.question.given, project.question.classes) == (("t1",), ("flair",))
    project.train(epochs=6, name="voxels", overrides={"training.architecture": "voxelwise", "training.patch": "8,12,12"})
    scores = {row["metric"]: row["interval"]["estimate"] for row in project.evaluate(run_name="voxels")["scores"]}
    assert scores["image_mae"] < 30  # it is told that bright is dark; unlearned it is wrong by 40
    answers = sorted((project.run("voxels").predictions / "internal").glob("*.nii.gz"))
    assert len(answers) == len(project.cohort().of("internal"))


@pytest.mark.parametrize("network", ["pix2pix", "cycle_gan"])
def test_a_critic_teaches_a_translation(volumes: Path, tmp_path: Path, network: str) -> None:
    """Taught in turns, read and scored as any other; each term of the loss has its own curve."""
    channels = {"t1.file": "t1", "flair.file": "flair"}
    project = overread.init(tmp_path / "p", images=volumes, task="translate", series=channels, answer=["flair"])
    small = {"training.patch": "8,16,16", "training.precision": "bfloat16"}  # the critic's last maps are smaller than its kernel
    run = project.train(epochs=1, name="first", overrides={"training.architecture": network, **small})
    assert not [event for event in read_events(run.events_path) if event["event"] == "warning"], "every step was learned from"
    (epoch,) = [event for event in read_events(run.events_path) if event["event"] == "epoch"]
    assert {name for name in epoch["losses"] if name.startswith(("critic", "adversarial"))}
    assert epoch["signs"]["diversity"] > 0
    assert project.evaluate(run_name="first")["n_cases"] == len(project.cohort().of("tuning"))
    with pytest.raises(OverreadError, match=rf"^{network} answers with an image, and pretraining without labels is offered for"):
        pretrain(project, epochs=1, overrides={"training.architecture": network, **small})


@pytest.mark.parametrize("task", ["autoencode", "vae"])
def test_a_code_of_an_image_is_learned(films: Path, tmp_path: Path, task: str) -> None:
    project = overread.init(tmp_path / "p", images=films, task=task)
    run = project.train(epochs=2, name="first", overrides=SMALL)
    assert project.evaluate(run_name="first")["n_cases"] == len(project.cohort().of("tuning"))
    model = next(run.path.glob("*.overread"))
    if task == "vae":
        assert len(list((run.path / "made").glob("look-*.npz"))) == 2
        assert "made during training from the same random numbers" in project.report(run_name="first").read_text().lower()
        assert sample(model, tmp_path / "made", Wanted(3))["count"] == 3
        sample(model, tmp_path / "captures", Wanted(3, form="dicom"))
        captures = scan(tmp_path / "captures").eligible
        assert [found.attributes["made"] for found in captures] == ["synthetic"] * 3
    else:
        with pytest.raises(OverreadError, match="makes no images"):
            sample(model, tmp_path / "made", Wanted(3))


MAKERS = ["diffusion_unet", "wasserstein_gan"]
FURTHER = [pytest.param(name, marks=pytest.mark.every_row) for name in ("dcgan", "latent_diffusion")]


@pytest.mark.parametrize("network", [*MAKERS, *FURTHER])
def test_images_are_made_by_class(films: Path, tmp_path: Path, network: str) -> None:
    """The same seed makes the same images, every one is marked, and what was made while learning is kept."""
    project = overread.init(tmp_path / "p", images=films, task="synthesize", by_class=True)
    own = {"training.network.autoencoder_features": "[8]"} if network == "latent_diffusion" else {}
    run = project.train(epochs=1, name="first", overrides={"training.architecture": network, **SMALL, **own})
    assert list((run.path / "made").glob("look-*.npz"))
    (epoch,) = [event for event in read_events(run.events_path) if event["event"] == "epoch"]
    assert epoch["signs"]["diversity"] > 0, "a collapse would be told"
    assert epoch["signs"]["nearest to training"] > 0, "a copy, too"
    (started,) = [event for event in read_events(run.events_path) if event["event"] == "started"]
    assert started["terms"].keys() >= epoch["losses"].keys()
    if network == "wasserstein_gan":  # a generator was never asked for no class at all
        maker = ImageMaker.of(load_model(run.model).predictor)
        unasked, asked = maker.make(2, 3), maker.make(2, 3, classes=("large", "small"))
        assert all(np.array_equal(one.array, other.array) for one, other in zip(unasked, asked, strict=True))
    project.train(epochs=2, name="first", resume=True)
    assert "resumed" in [event["event"] for event in read_events(run.events_path)]
    model = next(run.path.glob("*.overread"))
    first = sample(model, tmp_path / "one", Wanted(2, seed=3, classes=("large",)))
    sample(model, tmp_path / "two", Wanted(2, seed=3, classes=("large",)))
    for name in first["images"]:
        one, two = ((tmp_path / place / f"{name}.png").read_bytes() for place in ("one", "two"))
        assert one == two
        assert b"SYNTHETIC IMAGE" in one
    pushed = Wanted(2, seed=3, classes=("large",), guidance=4.0)
    if network == "wasserstein_gan":
        with pytest.raises(OverreadError, match="guidance is of diffusion"):
            sample(model, tmp_path / "pushed", pushed)
    elif network == "diffusion_unet":
        told = sample(model, tmp_path / "pushed", pushed)
        one, two = ((tmp_path / place / f"{told['images'][0]}.png").read_bytes() for place in ("one", "pushed"))
        assert one != two
        with pytest.raises(OverreadError, match="and none is asked for"):
            sample(model, tmp_path / "nothing", Wanted(2, guidance=4.0))
    with pytest.raises(OverreadError, match="cannot be asked for 'round': it knows large, small"):
        sample(model, tmp_path / "three", Wanted(1, classes=("round",)))
    with pytest.raises(OverreadError, match="makes images; it reads none"):
        overread.load(model)
    with pytest.raises(OverreadError, match="answers no case"):
        project.evaluate(run_name="first")
    assert {path.suffix for path in (tmp_path / "one").iterdir()} == {".png", ".json", ".csv"}
    told = sample(model, tmp_path / "each", Wanted(2, each_class=True))
    rows = [f"{name}.png,{label}" for name, label in zip(told["images"], ("large", "large", "small", "small"), strict=True)]
    assert (tmp_path / "each" / "labels.csv").read_text().splitlines() == ["image,class", *rows]
    with pytest.raises(OverreadError, match="every class is asked for"):
        sample(model, tmp_path / "both", Wanted(2, classes=("large",), each_class=True))
    assert len(list((tmp_path / "one").glob("*.png"))) == 2, "the sheet is no image of the folder"
    assert (tmp_path / "one-sheet.png").exists()
    assert json.loads((tmp_path / "one" / "sample.json").read_text())["classes"] == ["large"]


def test_a_model_that_repeats_training_images_is_named_wherever_it_makes_some(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A planted copyist: `fidelity` fires and lists the nearest training image of each made one, and `sample` says so again."""
    project = overread.init(tmp_path / "p", images=films, task="synthesize", by_class=True, tuning=0.4)
    run = project.train(epochs=1, name="first", overrides=SMALL)
    cohort = project.cohort()
    asked: list[str] = []

    def copied(self: ImageMaker, count: int, seed: int, *, classes: tuple[str, ...] = (), **how: object) -> list[Picture]:
        asked.extend(classes)
        images = [load_image(cohort, case) for case in cohort.of("training")]
        return [Picture(images[k % len(images)].array.astype(np.float32), images[0].grid, images[0].units) for k in range(count)]

    model = next(run.path.glob("*.overread"))
    assert sample(model, tmp_path / "before", Wanted(1))["repeats"] is None, "nobody has looked"
    monkeypatch.setattr(ImageMaker, "make", copied)
    record = fidelity(project, "first", count=16, minutes=0.02)
    assert record["memory"]["fires"]
    tuning = [name for case in cohort.of("tuning") for name, value in case.truth.values.items() if value]
    assert record["classes"] == {name: asked.count(name) for name in asked}
    assert asked[: len(tuning)] == tuning, "made images are mixed as real ones are"
    rows = (run.path / "fidelity" / "nearest.csv").read_text().splitlines()
    assert rows[0] == "made,training_case,distance,held_out"
    assert len(rows) == 17
    monkeypatch.undo()
    assert main(["sample", str(model), "--count", "1", "--out", str(tmp_path / "made")]) == 0
    assert "Warning: Training images are repeated: 16 of 16 made images are copies" in capsys.readouterr().out
    told = json.loads((run.path / "fidelity.json").read_text())
    (run.path / "fidelity.json").write_text(json.dumps({**told, "model": "sha256:earlier"}))
    assert sample(model, tmp_path / "later", Wanted(1))["repeats"] is None, "of an earlier training"
    few = overread.init(tmp_path / "few", images=films, task="synthesize", tuning=0.15)
    few.train(epochs=1, name="first", overrides=SMALL)
    with pytest.raises(OverreadError, match=r"tuning partition has \d images to compare; 6 are the least(?s:.*)--tuning"):
        fidelity(few, "first", count=16, minutes=0.02)


REFUSED = [
    ({"task": "restore"}, "needs to know what was done"),
    ({"task": "restore", "degradation": "low_dose:7"}, "needs an amount from"),
    ({"task": "translate"}, "needs at least two channels"),
    ({"task": "vae", "degradation": "noise:0.2"}, "--degradation belongs to --task restore"),
    ({"task": "synthesize", "label": ["kind"]}, "learns from the images alone(?s:.*)or say --by-class"),
    ({"task": "autoencode", "by_class": True}, "--by-class belongs to --task synthesize"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_what_does_not_fit_the_question_is_refused(films: Path, tmp_path: Path, words: dict, message: str) -> None:
    with pytest.raises(OverreadError, match=message):
        overread.init(tmp_path / "p", images=films, **words)
    assert not (tmp_path / "p").exists()


def test_verbs_about_findings_refuse_images(films: Path, tmp_path: Path) -> None:
    project = overread.init(tmp_path / "p", images=films, task="autoencode")
    from overread.workflow.baseline import baseline
    from overread.workflow.explanations.subject import subject_of
    from overread.workflow.robustness import robustness

    for verb in (baseline, robustness, lambda opened: subject_of(opened, None, None, None)):
        with pytest.raises(OverreadError, match="this project answers with images") as refused:
            verb(Project.open(project.path))
        for instead in ("evaluate", "external", "latent"):
            assert f"overread {instead} " in refused.value.next


def test_what_the_task_takes_is_set_kept_and_checked(films: Path, tmp_path: Path) -> None:
    """It shapes the run, travels in the model file, and an unknown word is refused with those that are known."""
    project = overread.init(tmp_path / "p", images=films, task="autoencode")
    run = project.train(epochs=1, name="first", overrides={**SMALL, "training.task.denoising": "0.3"})
    card = json.loads((run.model / "model.json").read_text(encoding="utf-8"))
    assert card["task"]["options"] == {"denoising": 0.3}
    for word, message in (
        ("beta=1", "takes no option 'beta'(?s:.*)here: denoising"),
        ("denoising=much", r"denoising = 'much' is not a number"),
    ):
        name, value = word.split("=")
        with pytest.raises(OverreadError, match=message):
            project.train(epochs=1, name="second", overrides={**SMALL, f"training.task.{name}": value})


def test_few_images_are_made_worse_in_many_ways(films: Path, tmp_path: Path) -> None:
    """Or the one draw of noise would be learned by heart; what is scored has one."""
    project = overread.init(tmp_path / "p", images=films, task="restore", degradation="noise:0.5")
    planned = project.plan()
    assert planned.plan.draws == 16
    assert "learned by heart" in planned.plan.reasons["draws"]
    cases = {part: planned.cache.of(c.case_id for c in planned.cohort.of(part)) for part in ("training", "tuning")}
    ways = cases["training"][0].further
    assert ways is not None
    assert len(ways) == 15
    assert not np.array_equal(ways[0], ways[1])
    assert np.abs(ways[0] - cases["training"][0].image).std() > 0.1
    assert all(case.further is None for case in cases["tuning"])
    blurred = overread.init(tmp_path / "q", images=films, task="restore", degradation="blur:1")
    assert blurred.plan().plan.draws == 1
