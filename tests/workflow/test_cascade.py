"""Organ first, lesion second: the second model reads what the first has found, answers lie on the whole image, errors apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from overread.batches.prepare import prepare_image, undo_map
from overread.cli.main import main
from overread.cohort.load import load_image, load_truth
from overread.cohort.regions import read_regions, write_regions
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image, cropped
from overread.core.kinds import LabelMap
from overread.core.preparation import Normalisation, Preparation
from overread.core.region import Region
from overread.reading.model import load_model
from overread.reading.predictor import Predictor
from overread.reading.region import Finder, box_around
from overread.workflow.evaluate import evaluate
from overread.workflow.first_model import first_model_of
from overread.workflow.init import init
from overread.workflow.plan import plan
from overread.workflow.project import Project
from overread.workflow.read import load
from workflow import balls
from workflow.untrained import untrained

LIVER = Region("sha256:first", "liver", 4.0)
WINDOW = {"patch": "8,8,8", "architecture": "unet"}
WINDOWED = {f"training.{key}": value for key, value in {**WINDOW, "precision": "float32"}.items()}


def by_brightness(finder: Finder, image: Image, of: Region) -> Any:
    """In place of a trained first model: the ball is what is bright."""
    return box_around(image.array[0] > 200, image.grid, of)


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A model "first" of whole volumes, and a project whose run "second" reads what it finds; neither was taught."""
    folder = tmp_path_factory.mktemp("cascade")
    one = balls.volume_project(folder)
    untrained(one, "first", **WINDOW)
    file = next((one.path / "runs" / "first").glob("*.overread"))
    made = folder / "cohort"
    second = init(
        folder / "second", made / "images", truth=made / "masks", sheet=made / "sheet.csv", group_by="patient",
        tuning=0.25, internal=0.25, region=file,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Finder, "find", by_brightness)
        untrained(second, "second", **WINDOW)
    return second


def test_a_box_keeps_its_margin_and_stays_inside() -> None:
    grid = Grid.from_spacing((10, 20, 20), (2.0, 1.0, 1.0))
    mask = np.zeros(grid.shape, bool)
    mask[5:7, 1:4, 10:12] = True
    box = box_around(mask, grid, LIVER)
    assert (box.start, box.stop, box.is_found) == ((3, 0, 6), (9, 8, 16), True)
    nothing = box_around(np.zeros(grid.shape, bool), grid, LIVER)
    assert (nothing.start, nothing.stop, nothing.is_found) == ((0, 0, 0), (10, 20, 20), False)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, -1, 1)])
def test_the_cut_goes_there_and_back(flips: tuple[int, int, int]) -> None:
    """What is read lies where it lay in the patient, and answers come back on the whole source grid, 0 outside."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag(flips)[:, ::-1]  # array axes z, y, x to world x, y, z
    grid = Grid((8, 12, 14), affine)
    values = np.random.default_rng(0).normal(size=(1, 8, 12, 14)).astype(np.float32)
    mask = np.zeros(grid.shape, bool)
    mask[3:5, 4:9, 5:7] = True
    image = Image(values, grid, region=box_around(mask, grid, replace(LIVER, margin_mm=1.0)))
    assert image.region is not None
    part = cropped(image)
    assert np.array_equal(part.array[0], values[0][image.region.place])
    assert np.allclose(part.grid.to_world(np.zeros(3)), grid.to_world(np.array(image.region.start)))
    scale = (Normalisation("window", -10, 10, 0.0, 1.0),)
    plain = Preparation(("image",), "a.u.", 3, (1.0, 1.0, 1.0), None, (8, 8, 8), False, scale)
    prepared = prepare_image(image, replace(plain, region=image.region.of))
    assert prepared.source.is_same(grid)
    assert sorted(prepared.array.shape[1:]) == sorted(part.array.shape[1:])
    back = undo_map(prepared.array[0], prepared)
    expected = np.zeros(grid.shape, np.float32)
    expected[image.region.place] = part.array[0]
    assert np.allclose(back, expected, atol=1e-4)
    assert prepare_image(image, plain).array.shape[1:] != prepared.array.shape[1:]  # another run reads the whole
    with pytest.raises(ValueError, match="nobody has looked"):
        prepare_image(replace(image, region=None), replace(plain, region=LIVER))


def test_the_second_model_is_planned_on_the_regions(cascade: Project) -> None:
    boxes = read_regions(cascade.path, cascade.cohort().digest)
    assert set(boxes) == {case.case_id for case in cascade.cohort().cases}
    found = load_model(cascade.run("second").model)
    region = found.card.preparation.region
    assert region is not None
    assert region.margin_mm == 10.0
    assert found.card.first is not None
    assert region.structure in found.card.first.question.classes
    case = cascade.cohort().of("training")[0]
    image = load_image(cascade.cohort(), case)
    assert image.region == boxes[case.case_id]
    assert "a first model outlines" in plan(cascade, "again", overrides=WINDOWED, preflight=False).plan.reasons["region"]


def test_one_file_reads_with_both_models(cascade: Project, tmp_path: Path) -> None:
    file = next((cascade.path / "runs" / "second").glob("*.overread"))
    model = load_model(file)
    assert model.card.format == 4
    predictor = model.predictor
    assert isinstance(predictor, Predictor)
    assert predictor.finder is not None
    first = first_model_of(cascade, cascade.settings)
    assert first is not None
    reader = predictor.finder.reader
    assert isinstance(reader, Predictor)
    own = first.network.state_dict()
    assert all(torch.equal(values, own[name]) for name, values in reader.network.state_dict().items())
    assert model.card.preparation.region == first.region
    study = cascade.path.parent / "cohort" / "images" / "pat00_exam0.nii.gz"
    reading = load(file, refusal="off").read(study)
    assert reading.answer is not None
    assert reading.answer.grid.shape == load_image(cascade.cohort(), cascade.cohort().cases[0]).grid.shape  # type: ignore[union-attr]
    dark = tmp_path / "dark.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((20, 18, 16), np.float32), np.diag([1.0, 1.0, 2.0, 1.0])), dark)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Finder, "find", by_brightness)
        warned = load(file, refusal="off").read(dark).warnings
    assert any("the first model found no" in line and "so the whole image was read" in line for line in warned)


def test_errors_of_each_stage_are_told_apart(cascade: Project) -> None:
    cohort = cascade.cohort()
    tuning = cohort.of("tuning")
    stages = evaluate(cascade, "second", panels=False)["stages"]
    (row,) = stages["structures"]
    assert (stages["cases"], stages["not_found"], row["voxels_outside"]) == (len(tuning), [], 0)  # a ball lies in its own box
    assert row["cases_inside"] == len(tuning)
    boxes, worst, lost = dict(cohort.boxes), tuning[0].case_id, tuning[-1].case_id
    truth = load_truth(cohort, tuning[0])
    assert isinstance(truth, LabelMap)
    places = np.argwhere(truth.layers[0] > 0)
    middle = (int(places[:, 0].mean()), truth.grid.shape[1], truth.grid.shape[2])  # what lies above is cut away
    half = replace(boxes[worst], start=(0, 0, 0), stop=middle)
    changed = {**boxes, worst: half, lost: replace(boxes[lost], is_found=False)}
    write_regions(cascade.path, cohort.digest, half.of, changed)
    result = evaluate(cascade, "second", panels=False)
    write_regions(cascade.path, cohort.digest, half.of, boxes)
    stages = result["stages"]
    (row,) = stages["structures"]
    assert row["voxels_outside"] == int((places[:, 0] >= middle[0]).sum()) > 0
    assert (row["cases_outside"], row["pieces_outside"]) == ([worst], 0)  # half of the ball is still inside
    assert stages["not_found"] == [lost]
    assert any(f"{len(tuning) - 1} of {len(tuning)} cases; the others were read whole: {lost}." in n for n in result["notes"])
    assert any("in 1 case(s); 0 of" in note and "they count as missed" in note for note in result["notes"])


def test_what_the_user_can_put_right(cascade: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = cascade.settings
    nowhere = settings.model_copy(update={"region": settings.region.model_copy(update={"model": "nothing.overread"})})
    with pytest.raises(OverreadError, match=r"There is no first model at .*nothing\.overread"):
        first_model_of(cascade, nowhere)
    other = settings.model_copy(update={"region": settings.region.model_copy(update={"structure": "spleen"})})
    with pytest.raises(OverreadError, match="outlines no 'spleen'; it knows"):
        first_model_of(cascade, other)
    itself = next((cascade.path / "runs" / "second").glob("*.overread"))
    twice = settings.model_copy(update={"region": settings.region.model_copy(update={"model": str(itself)})})
    with pytest.raises(OverreadError, match="is not one network that outlines structures in whole images"):
        first_model_of(cascade, twice)
    assert main(["init", str(tmp_path / "p"), "--images", str(tmp_path), "--region", str(tmp_path / "none.overread")]) == 2
    assert "none.overread" in capsys.readouterr().err
