"""`overread usefulness`: made images train one side and are seen by nobody else; the comparison is that of `compare`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from overread.cli.main import main
from overread.cohort.beside import read_beside, write_beside
from overread.cohort.identity import read_links
from overread.cohort.load import load_image, load_truth
from overread.cohort.split_identity import trained_on
from overread.core.errors import OverreadError, Refused, Stopped
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Picture
from overread.imaging.pictures import SyntheticMark, write_picture
from overread.record.files import digest_file, read_json, write_json
from overread.workflow import usefulness as verb
from overread.workflow.compare import compare
from overread.workflow.generation.made_beside import MadeImages, made_beside, sizes_note
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.train import train
from overread.workflow.usefulness import PAGE, Asked, usefulness
from workflow.balls import ball, films, volume_project

TINY = {
    "training.batch": "4",
    "training.architecture": "resnet18",
    "training.precision": "float32",
    "training.network.width": "4",
}
DECLARED = {"hypothesis": "made images raise the AUC", "primary_endpoint": "auc"}
MARK = SyntheticMark("synthetic", "drawn for a test", "sha256:" + "ab" * 32, "small")
BALLS = {"large": 7.0, "small": 4.0}


def picture(path: Path, values: np.ndarray, mark: SyntheticMark = MARK) -> None:
    height, width = values.shape
    grid = Grid.from_spacing((1, height, width), (1.0, 1.0, 1.0), spacing_known=False, is_planar=True)
    write_picture(path, Picture(values[None, None].astype(np.float32), grid), mark=mark)


def made_films(folder: Path, *, each: int = 4, edge: int = 16, mark: SyntheticMark = MARK, classes: Any = BALLS) -> Path:
    """A subfolder for each class, with images that carry the mark."""
    random = np.random.default_rng(7)
    for name, radius in classes.items():
        for k in range(each):
            picture(folder / name / f"made-{k}.png", np.clip(ball((edge, edge), radius, random)[0], 0, 255).round(), mark)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("usefulness")
    cohort = films(folder / "cohort", count=48, edge=16)
    made_films(folder / "made")
    given: dict[str, Any] = {"sheet": cohort / "sheet.csv", "group_by": "patient", "label": ["ball"], "positive": "large"}
    return init(folder / "project", cohort / "images", **given, tuning=0.34, internal=0.25)


@pytest.fixture(scope="module")
def tried(project: Project) -> dict[str, Any]:
    """Two seeds, really trained; scored on tuning cases."""
    made = MadeImages(project.path.parent / "made")
    return usefulness(project, made, Asked(epochs=1, repeats=2, overrides=TINY))


def openings(project: Project) -> list[dict[str, Any]]:
    return [entry for entry in project.ledger.entries() if entry["entry"] == "opening"]


def test_made_images_train_one_side_and_nothing_else(project: Project, tried: dict[str, Any]) -> None:
    plain = project.cohort()
    for side, count in (("without", 0), ("with", 8)):
        run = project.run(f"usefulness/{side}-0")
        cohort = project.cohort_of(run)
        made = [case for case in cohort.cases if case.is_made]
        assert len(made) == count
        assert all(cohort.partition[case.case_id] == "training" for case in made)
        for part in ("tuning", "internal"):
            assert [c.case_id for c in cohort.of(part)] == [c.case_id for c in plain.of(part)]
            told = [path.read_text() for path in (run.predictions / part).rglob("*.*") if path.suffix in (".csv", ".json")]
            assert any(plain.of(part)[0].case_id in text for text in told)
            assert not any(case.case_id in text for text in told for case in made)
        card = read_json(run.model / "model.json")["training"]
        assert card["cases"] == {"training": len(plain.of("training")) + count, "tuning": len(plain.of("tuning"))}
        assert card.get("made_by_a_network", 0) == count
        assert {c["case_id"] for c in read_json(run.evaluation("tuning"))["cases"]} == {c.case_id for c in plain.of("tuning")}
    assert not project.cohort().of("training")[0].is_made
    assert "usefulness" not in project.runs()
    assert (tried["n_made"], tried["n_training"]) == (8, len(plain.of("training")))
    steps = {side: tried["trainings"][side][0]["steps"] for side in ("without", "with")}
    assert steps["with"] >= steps["without"] > 0
    assert not openings(project)


def test_the_difference_is_that_of_compare(project: Project, tried: dict[str, Any]) -> None:
    part = tried["parts"]["tuning"]
    named = [f"{side}=usefulness/{side}-0+usefulness/{side}-1" for side in ("without", "with")]
    claim = compare([project.path], runs=named, endpoints=["auc"])["comparisons"][0]
    assert (part["difference"], part["p"], part["values"]) == (claim["difference"], claim["p"], claim["values"])
    assert part["gain"]["estimate"] == pytest.approx(part["difference"]["estimate"])
    assert part["verdict"] in ("helps", "harms", "not shown")
    assert (part["verdict"] == "not shown") == part["words"].startswith("Not shown to help")
    page = (project.run("usefulness").path / PAGE).read_text()
    assert part["words"] in page
    assert str(project.path.parent) not in page


def test_the_seal_is_opened_once_for_each_training(
    project: Project, tried: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "train", lambda *_: pytest.fail("a finished training was repeated"))
    found = usefulness(project, None, Asked(on="internal", declare=DECLARED))
    entries = openings(project)
    names = [f"usefulness/{side}-{seed}" for seed in (0, 1) for side in ("without", "with")]
    assert [entry["run"] for entry in entries] == names
    assert sorted(found["parts"]["internal"]["openings"]) == [1, 2, 3, 4]
    assert found["parts"]["tuning"] == tried["parts"]["tuning"]
    assert found["parts"]["internal"]["n_cases"] == len(project.cohort().of("internal"))
    again = usefulness(project, None, Asked(on="internal", declare=DECLARED))
    assert len(openings(project)) == 4
    assert again["parts"]["internal"]["difference"] == found["parts"]["internal"]["difference"]
    with pytest.raises(OverreadError, match=r"without-0 was tested with the primary endpoint auc; declared\s+is sensitivity"):
        usefulness(project, None, Asked(on="internal", declare={**DECLARED, "primary_endpoint": "sensitivity"}))
    assert len(openings(project)) == 4


def test_one_training_of_each_shows_nothing_and_a_stopped_trial_goes_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, asked = MadeImages(project.path.parent / "made"), Asked(epochs=1, repeats=1, name="one", overrides=TINY)
    trained: list[str] = []

    def stops(*words: Any) -> Any:
        trained.append(words[5])
        if len(trained) == 2:
            raise Stopped("Stopped after 3 steps.", "overread train --resume")
        return train(*words)

    monkeypatch.setattr(verb, "train", stops)
    with pytest.raises(Stopped) as stopped:
        usefulness(project, made, asked)
    assert stopped.value.next == project.command("usefulness", "--name", "one")
    found = usefulness(project, None, Asked(name="one"))
    assert trained == ["one/without-0", "one/with-0", "one/with-0"]
    part = found["parts"]["tuning"]
    assert part["verdict"] == "not shown"
    assert "trained once" in part["words"]
    assert any("--repeats 3" in note for note in found["notes"])
    tested = usefulness(project, None, Asked(name="one", on="internal", declare=DECLARED))
    assert tested["parts"]["internal"]["seeds"] == [0]
    more = usefulness(project, None, Asked(name="one", repeats=2))
    assert (more["parts"]["tuning"]["seeds"], list(more["parts"])) == ([0, 1], ["tuning"])
    assert any("internal test with seeds 0 is left out" in note for note in more["notes"])


def unmarked(folder: Path) -> Path:
    made_films(folder)
    for path in folder.rglob("made-0.png"):
        Image.fromarray(np.random.default_rng(3).integers(0, 255, (16, 16)).astype(np.uint8)).save(path)
    return folder


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (unmarked, "carry no mark of a synthetic image"),
    (lambda f: made_films(f, mark=SyntheticMark("derived", "restored for a test", "", "small")), "they show patients"),
    (lambda f: made_films(f, classes={"large": 7.0, "huge": 9.0}), "asks another question|huge"),
    (empty, "image"),
    (lambda f: f / "nowhere", "There is no folder"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_is_no_made_image_of_this_question_is_refused(
    project: Project, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(OverreadError, match=words):
        usefulness(project, MadeImages(make(tmp_path / "made")), Asked(epochs=1, name="refused"))
    assert not project.run("refused").path.exists()


def test_a_copy_of_an_image_of_the_project_is_refused(project: Project, tmp_path: Path) -> None:
    """Whatever the file says of itself: the pixels of somebody who is held out would train."""
    cohort = project.cohort()
    of_class: dict[str, int] = {}
    for case in cohort.of("tuning"):
        assert case.truth is not None
        name = "large" if case.truth.values.get("large") else "small"
        values = np.asarray(Image.open(cohort.images_folder / case.images[0].files[0]))
        of_class[name] = of_class.get(name, 0) + 1
        picture(tmp_path / "made" / name / f"copy-{of_class[name]}.png", values.astype(np.float32))
    with pytest.raises(Refused, match="have the pixels of images of the project, of tuning cases"):
        made_beside(project, cohort, MadeImages(tmp_path / "made"), None)


def test_images_of_a_patient_who_is_held_out_are_refused(project: Project, tmp_path: Path) -> None:
    cohort, folder = project.cohort(), made_films(tmp_path / "made")
    held = next(x.original_patient for x in read_links(project.path) if cohort.partition[x.case_id] == "internal")
    rows = [f"{path.relative_to(folder)},{path.parent.name},{held}" for path in sorted(folder.rglob("*.png"))]
    (tmp_path / "sheet.csv").write_text("\n".join(["image,ball,patient", *rows]) + "\n")
    with pytest.raises(Refused, match="of a patient who does not train"):
        made_beside(project, cohort, MadeImages(folder, sheet=tmp_path / "sheet.csv", id_column="image"), None)


def test_volumes_are_refused_beside_films_and_another_size_is_told(project: Project, tmp_path: Path) -> None:
    cohort = project.cohort()
    larger = made_beside(project, cohort, MadeImages(made_films(tmp_path / "larger", edge=24)), None)
    assert "24 x 24 against 16 x 16" in sizes_note(cohort, larger)
    alike = made_beside(project, cohort, MadeImages(project.path.parent / "made"), None)
    assert sizes_note(cohort, alike) == ""
    random = np.random.default_rng(5)
    for name, radius in BALLS.items():
        for k in range(4):
            grid = Grid.from_spacing((6, 16, 16), (1.0, 1.0, 1.0))
            array = ball((6, 16, 16), radius, random)[0][None].astype(np.float32)
            write_picture(tmp_path / "volumes" / name / f"made-{k}.nii.gz", Picture(array, grid), mark=MARK)
    with pytest.raises(OverreadError, match="single pictures, these are volumes"):
        made_beside(project, cohort, MadeImages(tmp_path / "volumes"), None)


def test_a_changed_image_and_another_folder_are_noticed(project: Project, tried: dict[str, Any], tmp_path: Path) -> None:
    other = made_films(tmp_path / "other", each=3)
    with pytest.raises(OverreadError, match="was begun otherwise; what changed: made"):
        usefulness(project, MadeImages(other), Asked())
    path = project.path.parent / "made" / "large" / "made-0.png"
    kept = path.read_bytes()
    try:
        path.unlink()
        with pytest.raises(OverreadError, match=r"missing or changed, large/made-0\.png"):
            project.cohort_of(project.run("usefulness/with-0"))
    finally:
        path.write_bytes(kept)


def test_the_command_line(project: Project, tried: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["usefulness", str(project.path)]) == 0
    said = capsys.readouterr().out
    assert "without made images" in said
    assert "passes" in said
    assert "Next: overread usefulness" in said
    assert main(["usefulness", str(project.path), "--name", "none"]) != 0
    assert "--made FOLDER" in capsys.readouterr().err
    assert main(["usefulness", str(project.path), "--label", "class"]) != 0
    assert main(["train", str(project.path), "--name", "usefulness"]) != 0
    assert "is a trial of made images, not a run" in capsys.readouterr().err


def masked_volumes(folder: Path) -> Path:
    """Three made volumes with their masks."""
    random = np.random.default_rng(11)
    (folder / "masks").mkdir(parents=True)
    for k in range(3):
        image, mask = ball((20, 18, 16), 4.0, random)
        drawn = Picture(image[None], Grid.from_spacing((20, 18, 16), (2.0, 1.0, 1.0)))
        write_picture(folder / "images" / f"made-{k}.nii.gz", drawn, mark=MARK)
        source = nibabel.load(folder / "images" / f"made-{k}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(mask.transpose(2, 1, 0), source.affine), folder / "masks" / f"made-{k}.nii.gz")
    return folder


def test_masks_of_made_images_are_learned_from(tmp_path: Path) -> None:
    project = volume_project(tmp_path)
    cohort, made = project.cohort(), masked_volumes(tmp_path / "made")
    beside = made_beside(project, cohort, MadeImages(made / "images", truth=made / "masks"), None)
    write_beside(tmp_path / "made.json", beside)
    again = read_beside(tmp_path / "made.json")
    assert again is not None
    assert (again.cases, again.files, again.digest) == (beside.cases, beside.files, beside.digest)
    assert all(grid.is_same(again.grids[name]) for name, grid in beside.grids.items())
    joined = beside.joined(cohort)
    for case in (case for case in joined.of("training") if case.is_made):
        truth = load_truth(joined, case)
        assert isinstance(truth, LabelMap)
        assert load_image(joined, case).array[0][truth.layers[0] > 0].mean() > 200
    with pytest.raises(Refused, match="carry no mark"):
        made_beside(project, cohort, MadeImages(tmp_path / "cohort" / "images", truth=tmp_path / "cohort" / "masks"), None)


def test_masks_of_held_out_cases_do_not_train(tmp_path: Path) -> None:
    project = volume_project(tmp_path)
    cohort, made = project.cohort(), masked_volumes(tmp_path / "made")
    given = MadeImages(made / "images", truth=made / "masks")
    assert "no sample.json says which mask files" in made_beside(project, cohort, given, None).warnings[0]
    masks = tmp_path / "cohort" / "masks"
    name_of = {link.case_id: Path(link.files).name for link in read_links(project.path)}

    def record(part: str) -> None:
        digest = digest_file(masks / name_of[cohort.of(part)[0].case_id])
        body = {"images": [f"made-{k}" for k in range(3)], "followed": [digest] * 3}
        write_json(made / "images" / "sample.json", body)

    record("training")
    assert not [w for w in made_beside(project, cohort, given, None).warnings if "mask" in w]
    for part in ("tuning", "internal"):
        record(part)
        with pytest.raises(Refused, match="3 of 3 made images follow masks of cases that are held out"):
            made_beside(project, cohort, given, None)
    record("training")
    case_id = cohort.of("internal")[0].case_id
    held, grid = masks / name_of[case_id], cohort.grids[case_id]
    noise = np.random.default_rng(5).normal(size=(1, *grid.shape)).astype(np.float32)
    write_picture(made / "images" / "made-1.nii.gz", Picture(noise, grid), mark=MARK)
    (made / "masks" / "made-1.nii.gz").write_bytes(held.read_bytes())
    with pytest.raises(Refused, match="1 of 3 masks of the made images are, byte by byte"):
        made_beside(project, cohort, given, None)


def test_a_maker_of_another_split_is_refused(project: Project, tmp_path: Path) -> None:
    cohort, folder = project.cohort(), made_films(tmp_path / "made")
    own = trained_on(project.path, cohort.partition, None)
    names = [path.relative_to(folder).as_posix().removesuffix(".png") for path in sorted(folder.rglob("*.png"))]

    def warned(trained: dict[str, Any]) -> tuple[str, ...]:
        write_json(folder / "sample.json", {"images": names, "trained_on": trained})
        return made_beside(project, cohort, MadeImages(folder), None).warnings

    assert warned(own) == ()
    assert "cannot be seen in them" in warned({**own, "cohort": "sha256:other"})[0]
    with pytest.raises(Refused, match="same cohort with other cases held out"):
        warned({**own, "split": "sha256:other"})


def test_a_drawn_corner_twins_and_missing_labels_are_told(project: Project, tmp_path: Path) -> None:
    cohort = project.cohort()
    drawn = made_films(tmp_path / "drawn", edge=64, mark=SyntheticMark("synthetic", "drawn for a test", ""))
    with pytest.raises(Refused, match="8 made images have the word SYNTHETIC drawn"):
        made_beside(project, cohort, MadeImages(drawn), None)
    twins = made_films(tmp_path / "twins")
    (twins / "large" / "again.png").write_bytes((twins / "large" / "made-0.png").read_bytes())
    beside = made_beside(project, cohort, MadeImages(twins), None)
    assert len(beside.cases) == 8
    assert beside.notes[0].startswith("1 of 9 made images have the pixels")
    for k in range(8):
        (twins / "large" / f"more-{k}.png").write_bytes((twins / "large" / "made-0.png").read_bytes())
    with pytest.raises(OverreadError, match="Of 17 made images only 8 differ"):
        made_beside(project, cohort, MadeImages(twins), None)
    for k in range(3):
        picture(tmp_path / "flat" / f"made-{k}.png", np.random.default_rng(k).uniform(0, 255, (16, 16)).round())
    with pytest.raises(OverreadError, match=r"it holds no labels\.csv"):
        made_beside(project, cohort, MadeImages(tmp_path / "flat"), None)


@pytest.mark.parametrize(
    ("declare", "words"),
    [({}, "not declared"), ({**DECLARED, "primary_endpoint": "ece"}, "has no paired test")],
)
def test_what_cannot_be_claimed_is_refused_before_anything_is_trained(
    project: Project, monkeypatch: pytest.MonkeyPatch, declare: dict[str, str], words: str
) -> None:
    monkeypatch.setattr(verb, "train", lambda *_: pytest.fail("trained before the declaration was checked"))
    before = len(openings(project))
    with pytest.raises(OverreadError, match=words):
        usefulness(project, MadeImages(project.path.parent / "made"), Asked(on="internal", name="early", declare=declare))
    assert len(openings(project)) == before
