"""Images of any program against true ones: two folders, the field's scores, and every reason not to give them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from skimage import metrics as skimage

from imaging.make_dicom import make_series
from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Picture
from overread.imaging.nifti import write_nifti
from overread.imaging.pictures import SyntheticMark, write_picture
from overread.workflow.evaluate import evaluate_answers

GRID = Grid.from_spacing((14, 32, 30), (3.0, 1.0, 1.0))
CASES = 12


def smooth(seed: int, shape: tuple[int, ...] = GRID.shape) -> np.ndarray:
    return 400 + np.random.default_rng(seed).normal(0, 30, shape).cumsum(-1).astype(np.float32)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """`true` and `made`, two cases of each patient, and `given`, which is farther off."""
    paths = {name: tmp_path / name for name in ("true", "made", "given")}
    for k in range(CASES):
        truth, random = smooth(k), np.random.default_rng(100 + k)
        for name, noise in zip(paths, (0, 10, 40), strict=True):
            paths[name].mkdir(exist_ok=True)
            volume = (truth + random.normal(0, 1, truth.shape) * noise).astype(np.float32)
            write_nifti(paths[name] / f"c{k:02d}.nii.gz", volume, GRID)
    paths["patients"] = tmp_path / "patients.csv"
    paths["patients"].write_text("case,patient\n" + "".join(f"c{k:02d},P{k // 2}\n" for k in range(CASES)))
    return paths


def value(found: Any, metric: str, subject: str = "image") -> float:
    return float(found[metric][subject].estimate)


def test_scores_are_those_of_scikit_image(folders: dict[str, Path]) -> None:
    """The mean over cases of what scikit-image computes of each, with its Gaussian window."""
    found = evaluate_answers(folders["true"], folders["made"], "translate", patients=folders["patients"], resamples=200)
    per_case = {name: [] for name in ("ssim", "psnr", "image_rmse", "nmse", "image_mae")}  # type: dict[str, list[float]]
    for k in range(CASES):
        random = np.random.default_rng(100 + k)
        random.normal(0, 1, GRID.shape)
        truth = smooth(k).astype(np.float64)
        made = (smooth(k) + random.normal(0, 1, GRID.shape) * 10).astype(np.float32).astype(np.float64)
        span = truth.max() - truth.min()
        window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": span}
        per_case["ssim"].append(skimage.structural_similarity(truth, made, **window))
        per_case["psnr"].append(skimage.peak_signal_noise_ratio(truth, made, data_range=span))
        per_case["image_rmse"].append(skimage.mean_squared_error(truth, made) ** 0.5)
        per_case["nmse"].append(skimage.normalized_root_mse(truth, made) ** 2)
        per_case["image_mae"].append(np.abs(truth - made).mean())
    for metric, numbers in per_case.items():
        assert value(found, metric) == pytest.approx(np.mean(numbers), rel=1e-5), metric
    assert (found["n_cases"], found["n_patients"]) == (CASES, CASES // 2)
    assert 0 < value(found, "ms_ssim") < 1
    assert found["psnr"]["image"].low is not None
    assert not any(row["metric"].endswith(("_read", "_gain")) for row in found["scores"])  # nobody said what was read
    assert "read" not in found["rules"]


def test_what_was_read_is_scored_beside_the_answer(folders: dict[str, Path]) -> None:
    found = evaluate_answers(folders["true"], folders["made"], "restore", read=folders["given"], resamples=200)
    assert value(found, "psnr_gain") == pytest.approx(value(found, "psnr") - value(found, "psnr_read"), abs=1e-6)
    assert found["psnr_gain"]["image"].low > 0
    assert any("its own patient" in note for note in found["notes"])


def test_a_channel_called_ct_is_in_hounsfield_units(folders: dict[str, Path]) -> None:
    found = evaluate_answers(folders["true"], folders["made"], "translate", classes=["ct"], resamples=50)
    assert {row["unit"] for row in found["scores"] if row["metric"] == "image_mae"} == {"HU"}
    assert value(found, "psnr", "ct") > value(
        evaluate_answers(folders["true"], folders["made"], "translate", resamples=50), "psnr"
    )


def test_the_file_holds_pseudonyms(folders: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    evaluate_answers(folders["true"], folders["made"], "translate", patients=folders["patients"], resamples=50, out=out)
    assert "c03" not in out.read_text(encoding="utf-8")
    assert "case-0004,patient-0002,c03,P1" in (tmp_path / "out-link.csv").read_text(encoding="utf-8")


def test_several_channels_lie_in_a_file_each_or_in_one(tmp_path: Path) -> None:
    truth = np.stack([smooth(1), smooth(2)])
    made = truth + np.array([5.0, 9.0], np.float32)[:, None, None, None]
    for folder, channels in (("true", truth), ("made", made)):
        (tmp_path / folder).mkdir()
        for k in range(2):
            for name, channel in zip(("flair", "t1"), channels, strict=True):
                write_nifti(tmp_path / folder / f"c{k}_{name}.nii.gz", channel, GRID)
    (tmp_path / "whole").mkdir()
    for k in range(2):
        write_nifti(tmp_path / "whole" / f"c{k}.nii.gz", made, GRID)
    for answers in ("made", "whole"):
        found = evaluate_answers(tmp_path / "true", tmp_path / answers, "translate", classes=["flair", "t1"], resamples=50)
        assert value(found, "image_mae", "flair") == pytest.approx(5, rel=1e-5)
        assert value(found, "image_mae", "t1") == pytest.approx(9, rel=1e-5)
    with pytest.raises(OverreadError, match=r"has 2 channels .*; expected 3: a, b, c"):
        evaluate_answers(tmp_path / "whole", tmp_path / "whole", "translate", classes=["a", "b", "c"])


def test_dicom_series_are_cases_by_their_folder_and_name_their_patients(tmp_path: Path) -> None:
    """Truth as DICOM in HU; answers as a marked DICOM series of it, and as NIfTI on its grid."""
    from overread.imaging.door import open_path

    for k in range(4):
        uids = {"SeriesInstanceUID": f"1.2.3.{k}", "StudyInstanceUID": f"1.2.4.{k}", "FrameOfReferenceUID": f"1.2.5.{k}"}
        make_series(tmp_path / "true" / f"ct{k}", [3.0 * z for z in range(3)], PatientID=f"MRN{k // 2}", **uids)
        ((image, found),) = open_path(tmp_path / "true" / f"ct{k}")
        answer = Picture(np.asarray(image.array, np.float32) + 8, image.grid, image.units)
        mark = SyntheticMark("derived", "translate by a network", "sha256:00")
        files = [tmp_path / "true" / f"ct{k}" / file for file in found.files]
        write_picture(tmp_path / "made" / f"ct{k}", answer, mark=mark, source=files)
        write_picture(tmp_path / "nifti" / f"ct{k}.nii.gz", answer, mark=mark)
    for answers in ("made", "nifti"):
        scored = evaluate_answers(tmp_path / "true", tmp_path / answers, "translate", resamples=50)
        (mae,) = [row for row in scored["scores"] if row["metric"] == "image_mae"]
        assert (mae["unit"], mae["interval"]["estimate"]) == ("HU", pytest.approx(8, abs=0.5)), answers
        assert (scored["n_cases"], scored["n_patients"]) == (4, 2)
        assert any("headers of the true images" in note for note in scored["notes"])
    with pytest.raises(OverreadError, match=r"4 of 4 images in .* say that a network made or changed them"):
        evaluate_answers(tmp_path / "made", tmp_path / "true", "translate")


def test_pictures_are_compared_level_by_level(tmp_path: Path) -> None:
    for name, by in (("true", 0), ("made", 4)):
        (tmp_path / name).mkdir()
        for k in range(3):
            pixels = (np.random.default_rng(k).integers(0, 200, (40, 40)) + by).astype(np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / name / f"film{k}.png")
    found = evaluate_answers(tmp_path / "true", tmp_path / "made", "restore", resamples=50)
    assert value(found, "image_mae") == 4
    PIL.Image.fromarray(np.zeros((40, 40), np.uint16)).save(tmp_path / "made" / "film1.png")
    with pytest.raises(OverreadError, match="film1: the truth has levels of uint8, the answer of uint16"):
        evaluate_answers(tmp_path / "true", tmp_path / "made", "restore")


def in_other_places(made: Path) -> None:
    write_nifti(made / "c03.nii.gz", smooth(3), Grid.from_spacing(GRID.shape, (2.0, 1.0, 1.0)))


def of_another_size(made: Path) -> None:
    write_nifti(made / "c03.nii.gz", smooth(3)[:, :20], Grid.from_spacing((14, 20, 30), (3.0, 1.0, 1.0)))


def with_a_hole(made: Path) -> None:
    volume = smooth(3)
    volume[0, 0, :2] = np.nan
    import nibabel

    nibabel.save(nibabel.Nifti1Image(volume.T, np.eye(4)), made / "c03.nii.gz")


def cut_short(made: Path) -> None:
    (made / "c03.nii.gz").write_bytes((made / "c03.nii.gz").read_bytes()[:200])


def away(made: Path) -> None:
    (made / "c03.nii.gz").unlink()


def renamed(made: Path) -> None:
    for path in made.glob("*.nii.gz"):
        path.rename(made / f"out_{path.name}")


def emptied(made: Path) -> None:
    for path in made.glob("*.nii.gz"):
        path.unlink()


def twice(made: Path) -> None:
    (made / "more").mkdir()
    (made / "more" / "c03.nii.gz").write_bytes((made / "c03.nii.gz").read_bytes())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            in_other_places,
            r"the answer to c03 does not have the voxels of its truth: .* both.* 2 x 1 x 1 against 3",
        ),
        (of_another_size, r"the answer to c03 .* 14 x 20 x 30 voxels against 14 x 32 x 30"),
        (with_a_hole, r"c03.nii.gz has 2 NaN and 0 infinite voxels"),
        (cut_short, r"made: c03.nii.gz: "),
        (away, r"1 of 12 cases of .*true have no answer in .*made: c03"),
        (renamed, r"No image of .*made has the name of a true one: .*true holds c00, c01, c02 ..., .*made holds out_c00"),
        (emptied, r"made holds no image"),
        (twice, r"are both the case 'c03'"),
    ],
)
def test_what_cannot_be_compared_is_refused(folders: dict[str, Path], spoil: Callable[[Path], None], message: str) -> None:
    spoil(folders["made"])
    with pytest.raises(OverreadError, match=message):
        evaluate_answers(folders["true"], folders["made"], "translate", resamples=50)


def test_levels_of_a_picture_are_no_hounsfield_units(tmp_path: Path) -> None:
    for name in ("true", "made"):
        (tmp_path / name).mkdir()
    grid = Grid.from_spacing((1, 16, 16))
    write_nifti(tmp_path / "true" / "a.nii.gz", np.zeros(grid.shape, np.float32), grid, description="thorax HU")
    PIL.Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "made" / "a.png")
    with pytest.raises(OverreadError, match="a: the truth is in HU, the answer in levels of a picture"):
        evaluate_answers(tmp_path / "true", tmp_path / "made", "translate")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task", "synthesize"], "have no truth"),
        (["--task", "translate", "--spacing", "1", "1", "1"], "--spacing means nothing to translate"),
        (["--task", "autoencode", "--read", "given"], "--read means nothing to autoencode"),
        (["--task", "segmentation", "--read", "given"], "--read means nothing to a segmentation"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folders: dict[str, Path], words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders["true"].parent)
    assert main(["evaluate", "--truth", "true", "--answers", "made", *words]) != 0
    assert message in capsys.readouterr().err


def test_the_command_line_prints_the_scores(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders["true"].parent)
    words = ["--truth", "true", "--answers", "made", "--task", "restore", "--patients", "patients.csv", "--read", "given"]
    assert main(["evaluate", *words]) == 0
    told = capsys.readouterr().out
    assert "12 cases of 6 patients" in told
    assert "Gain in peak signal-to-noise ratio" in told
