"""Images from folder to scores: written, read, scored beside what was read, evaluated, compared, divided into groups."""

import json
from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
import pytest

from overread.cohort.index import Cohort
from overread.core.case import Case, ImageReference, TruthReference
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Picture
from overread.core.question import Question
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.paired import difference
from overread.evaluation.groups.subgroups import subgroups
from overread.evaluation.pictures.pair import Opened, PicturePair
from overread.evaluation.pictures.read import on_its_scale, read_beside
from overread.evaluation.pictures.scoring import score_pictures, worst_picture
from overread.evaluation.results import About, evaluate
from overread.evaluation.rules import Rules
from overread.evaluation.sources.pictures_file import picture_name, read_picture, write_picture
from overread.evaluation.sources.predictions import Predictions
from overread.imaging.nifti import write_nifti
from overread.metrics.pictures.rows import READ, SCORES

RESTORE = Question("restore", ("ct",), given=("ct",), degradation="noise:60")
COPY = Question("autoencode", ("red", "green"), given=("red", "green"))
RULES = Rules(resamples=200)
GRID = Grid.from_spacing((1, 24, 24), is_planar=True)


@dataclass(frozen=True)
class Toy:
    """A pair in memory: a smooth truth, read with much noise, answered with some."""

    case_id: str
    patient_id: str
    noise: float | None
    fold: int = -1
    lesion: bool = False

    def load(self) -> Opened:
        random = np.random.default_rng(int(self.case_id[2:]))
        truth = np.pad(random.normal(30, 60, (1, 16, 16)), ((0, 0), (4, 4), (4, 4)), constant_values=-1000).astype(np.float32)
        noise = random.normal(0, 1, truth.shape).astype(np.float32)
        answer = None if self.noise is None else Picture((truth + self.noise * noise)[None], GRID, "HU")
        structures = {"lesion": np.indices(truth.shape)[1] == 12} if self.lesion else {}
        return Opened(Picture(truth[None], GRID, "HU"), answer, {"ct": truth + 60 * noise}, structures)


def toys(noise: float, refused: int = 0, lesion: bool = False) -> list[Toy]:
    many = range(24)
    return [Toy(f"C-{k}", f"P-{k // 2}", None if k < refused else noise * (1 + k % 3), lesion=lesion) for k in many]


def result(pairs: list[Toy]) -> dict:
    refused = {pair.case_id: "too dark" for pair in pairs if pair.noise is None}
    found = evaluate(RESTORE, score_pictures(pairs, ("ct",)), {}, RULES, About("tuning", refused=refused))
    return json.loads(json.dumps(found, allow_nan=False))


def of(evaluation: dict, metric: str) -> dict:
    return next(score for score in evaluation["scores"] if score["metric"] == metric)


def test_scores_stand_beside_those_of_what_was_read_with_a_paired_gain() -> None:
    found = result(toys(10.0, lesion=True))
    assert {score["metric"] for score in found["scores"]} >= {m.key + READ for m in SCORES}
    ssim, read, gain = (of(found, key)["interval"]["estimate"] for key in ("ssim", "ssim_read", "ssim_gain"))
    assert gain == pytest.approx(ssim - read, abs=1e-6)
    assert of(found, "ssim_gain")["interval"]["low"] > 0
    assert of(found, "image_mae")["unit"] == of(found, "body_mae_gain")["unit"] == "HU"
    assert of(found, "ssim")["interval"]["n_patients"] == 12
    row = found["cases"][0]
    assert row["error"] == pytest.approx(1 - row["scores"]["ssim/ct"], abs=1e-6)
    assert "ssim_read/ct" not in row["scores"]
    assert "-1000 to 1000" in found["rules"]["range"]
    within = {entry["metric"]: entry for entry in found["within"]}
    assert within["image_mae"]["structure"] == "lesion"
    assert 5 < within["image_mae"]["interval"]["estimate"] < 30


def test_a_case_without_an_answer_counts_as_an_error() -> None:
    whole, some = result(toys(10.0)), result(toys(10.0, refused=3))
    assert of(some, "ssim")["interval"]["estimate"] < of(whole, "ssim")["interval"]["estimate"]
    assert of(some, "ssim_gain")["interval"]["estimate"] < of(whole, "ssim_gain")["interval"]["estimate"]
    assert some["cases"][0]["refused"] == "too dark"
    assert some["cases"][0]["answer"] == {"ct": None}
    assert some["answered_only"]["n_cases"] == 21
    assert "lowest or highest intensity of the range" in some["rules"]["refused"]
    truth = toys(1.0)[0].load().truth
    assert set(np.unique(worst_picture(truth).array)) == {-1000.0, 1000.0}


def test_two_models_are_compared_by_patient() -> None:
    lined = line_up([Contender("plain", (result(toys(20.0)),)), Contender("better", (result(toys(10.0)),))])
    for name, sign in (("ssim", 1), ("psnr", 1), ("image_mae", -1), ("body_ssim_gain", 1)):
        found = difference(lined, Endpoint.of(RESTORE, name), 1)
        assert np.sign(found.interval.estimate) == sign
        assert found.p < 0.01
        assert found.interval.n_patients == 12
    with pytest.raises(OverreadError, match="no paired test"):
        Endpoint.of(RESTORE, "ssim_read")
    other = {**result(toys(10.0)), "question": {**RESTORE.as_dict(), "degradation": "blur:1"}}
    with pytest.raises(OverreadError, match="different questions: degradation"):
        line_up([Contender("plain", (result(toys(20.0)),)), Contender("other", (other,))])


def test_groups() -> None:
    many = [Toy(f"C-{k}", f"P-{k}", 5.0 if k < 22 else 50.0) for k in range(44)]
    cases = score_pictures(many, ("ct",))
    columns = {"scanner": {pair.case_id: "new" if pair.noise == 5.0 else "old" for pair in many}}
    (row,) = subgroups(RESTORE, cases, columns, RULES, "ssim")
    assert row["worst"] == "old"
    assert row["gap"]["higher"] == "new"
    assert row["p"] < 0.01


# --- what was read -----------------------------------------------------------------------------------------------------------


def test_what_was_read_is_laid_on_the_truth() -> None:
    random = np.random.default_rng(0)
    t1 = random.uniform(100, 300, GRID.shape).astype(np.float32)
    t1[:, :8] = 0.0
    flair = Picture((20 + 3 * t1)[None], GRID)
    question = Question("translate", ("flair",), given=("t1",))
    same = read_beside(question, Image(t1[None], GRID, channels=("t1",)), flair)["flair"]
    assert np.allclose(same, flair.array[0], atol=1e-3)  # a change of scale alone is no gain
    assert np.allclose(on_its_scale(np.ones(GRID.shape), t1), np.percentile(t1, 0.5))
    two = Image(np.stack([t1, t1]), GRID, channels=("t1", "t2"))
    assert read_beside(question, two, flair)["flair"] == "several channels were read, and none of them is flair"
    hu = Picture(flair.array, GRID, "HU")
    assert (
        read_beside(question, Image(t1[None], GRID, channels=("t1",)), hu)["flair"] == "what was read is in a.u., the truth in HU"
    )
    lacks = Image(t1[None], GRID, channels=("t1",), source={"missing_channels": ["t1"]})
    assert read_beside(question, lacks, flair)["flair"] == "this exam lacks t1"
    smaller = Image(t1[None, :, 1:], Grid.from_spacing((1, 23, 24)), channels=("t1",))
    assert read_beside(question, smaller, flair)["flair"] == "what was read has other voxels than the truth"
    restored = read_beside(RESTORE, Image(t1[None], GRID, channels=("ct",)), flair)["ct"]
    assert np.array_equal(restored, t1)


# --- on disk -----------------------------------------------------------------------------------------------------------------


def test_pictures_come_back_as_they_were_written(tmp_path) -> None:
    grid = Grid.from_spacing((3, 4, 5), (2.0, 0.7, 0.7))
    array = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    write_picture(tmp_path, "C-1", Picture(array, grid), COPY, is_phantom=True)
    write_nifti(tmp_path / "C-2.nii.gz", array, grid)
    found = Predictions(tmp_path, COPY)
    found.check_complete(["C-1", "C-2"])
    assert [path.name for path in found.picture("C-1")] == ["C-1_red.nii.gz", "C-1_green.nii.gz"]
    for case_id in ("C-1", "C-2"):
        back = read_picture(case_id, found.picture(case_id), COPY, grid, "HU")
        assert np.array_equal(back.array, array)
        assert back.units == "HU"
    words = bytes(nib.load(tmp_path / "C-1_red.nii.gz").header["descrip"]).decode()
    assert words.startswith("DERIVED BY A NETWORK of a PHANTOM: answer of Overread")
    assert picture_name("C-1", RESTORE, "ct") == "C-1.nii.gz"


def test_faults_of_files_are_named(tmp_path) -> None:
    grid = Grid.from_spacing((3, 4, 5))
    array = np.zeros((1, 3, 4, 5), np.float32)
    with pytest.raises(OverreadError, match=r"C-1 has the shape \(2, 3, 4, 5\); expected 1 channels \(ct\)"):
        write_picture(tmp_path, "C-1", Picture(np.zeros((2, 3, 4, 5)), grid), RESTORE, is_phantom=False)
    with pytest.raises(OverreadError, match="C-1: 1 of 60 voxels are NaN or infinite"):
        write_picture(
            tmp_path,
            "C-1",
            Picture(np.where(np.arange(60).reshape(array.shape) == 7, np.nan, 0), grid),
            RESTORE,
            is_phantom=False,
        )
    path = tmp_path / "C-1.nii.gz"
    write_nifti(path, np.full(grid.shape, np.inf, np.float32), grid)
    with pytest.raises(OverreadError, match="every voxel must be a number"):
        read_picture("C-1", (path,), RESTORE, grid, "HU")
    write_nifti(path, array, grid)
    with pytest.raises(OverreadError, match="has 1 channels; expected 2: red, green"):
        read_picture("C-1", (path,), COPY, grid, "HU")
    with pytest.raises(OverreadError, match="does not lie on the grid of its image: 3 x 4 x 5 voxels against 3 x 4 x 6"):
        read_picture("C-1", (path,), RESTORE, Grid.from_spacing((3, 4, 6)), "HU")
    with pytest.raises(OverreadError, match=r"1 of 2 .* cases have no answer in .*: C-2"):
        Predictions(tmp_path, RESTORE).check_complete(["C-1", "C-2"])


def test_a_case_of_a_project_is_read_degraded_and_judged_against_itself(tmp_path) -> None:
    grid = Grid.from_spacing((2, 24, 24), (5.0, 1.0, 1.0))
    volume = np.random.default_rng(0).normal(0, 300, grid.shape).astype(np.float32)
    write_nifti(tmp_path / "images" / "a.nii.gz", volume, grid)
    case = Case("C-1", "P-1", "E-1", (ImageReference("ct", "nifti", ("a.nii.gz",)),), TruthReference(format="image"))
    cohort = Cohort(tmp_path, tmp_path / "images", None, RESTORE, (case,), {"C-1": "tuning"}, False, "sha256:0", {"C-1": grid})
    folder = tmp_path / "predictions" / "tuning"
    write_picture(folder, "C-1", Picture(volume[None], grid, "HU"), RESTORE, is_phantom=False)
    pairs = [PicturePair.of(cohort, case, case.truth, files) for files in (Predictions(folder, RESTORE).picture("C-1"), ())]
    middle = np.indices(grid.shape)[2] == 12
    write_nifti(tmp_path / "mask.nii.gz", middle.astype(np.uint8) * 3, grid)
    pairs[0] = replace(pairs[0], masks=(tmp_path / "mask.nii.gz",), classes=(("middle", 3),))
    answered, refused = score_pictures(pairs, RESTORE.classes)
    assert answered.channels["ct"].within["middle"]["image_mae"].value == 0.0
    assert answered.score("psnr", "ct").value == pytest.approx(100.0)
    assert answered.score("image_rmse_read", "ct").value == pytest.approx(60, rel=0.1)
    assert answered.score("ssim_gain", "ct").value > 0
    assert refused.score("psnr", "ct").value < 6 < answered.score("psnr_read", "ct").value
