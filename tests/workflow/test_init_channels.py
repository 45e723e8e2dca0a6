"""`overread init` on exams with several images: which is which channel, on one grid, and what if one is missing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from cohort.folders import write_sheet
from overread.cohort.gather import gather
from overread.cohort.load import load_image
from overread.cohort.request import Request
from overread.core.errors import OverreadError, Refused
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.settings import ImagesSection
from workflow.two_channels import cohort, decathlon


def text(project: Project) -> str:
    return (project.path / "project.toml").read_text(encoding="utf-8")


def test_sequences_become_channels_on_the_grid_of_the_first(tmp_path: Path) -> None:
    images, masks = cohort(tmp_path)
    project = init(tmp_path / "p", images, masks)
    assert project.settings.images.channels == {"flair": "_flair", "t1": "_t1"}
    assert 'channels = {flair = "_flair", t1 = "_t1"}' in text(project)
    assert "# files of one case differ in this part of their name; the first is the reference" in text(project)
    assert "channels are laid over 'flair' in millimetres; the truth must lie on its grid" in str(project.summary)
    case = project.cohort().of("training")[0]
    image = load_image(project.cohort(), case)
    assert image.channels == ("flair", "t1")
    assert image.array.shape == (2, 16, 18, 20)
    t1, flair = (sitk.ReadImage(str(images / i.files[0])) for i in reversed(case.images))
    expected = sitk.GetArrayFromImage(sitk.Resample(t1, flair, sitk.Transform(), sitk.sitkLinear, np.nan))
    inside = np.isfinite(expected)
    assert inside.mean() > 0.7
    assert np.abs(image.array[1] - expected)[inside].max() < 1.5  # of 300: the coarser axis is smoothed first


def test_the_reference_is_the_channel_that_is_named_first(tmp_path: Path) -> None:
    images, _ = cohort(tmp_path)
    sheet = write_sheet(tmp_path / "a.csv", ["id", "label"], [[f"pat{k:02d}", "ill" if k % 2 else "well"] for k in range(12)])
    rules = {"t1.file": "_t1", "flair.file": "_flair"}
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", series=rules)
    assert list(project.settings.images.channels) == ["t1", "flair"]
    image = load_image(project.cohort(), project.cohort().cases[0])
    assert image.channels == ("t1", "flair")
    assert image.array.shape == (2, 28, 18, 20)
    only = init(tmp_path / "q", images, sheet=sheet, positive="ill", series={"flair.file": "_flair"})
    assert load_image(only.cohort(), only.cohort().cases[0]).channels == ("flair",)
    assert "-12  the file fits no channel" in str(only.summary)


def test_a_case_without_a_channel_is_left_out_with_the_reason(tmp_path: Path) -> None:
    images, masks = cohort(tmp_path, lacking={3: "t1", 5: "flair"})
    project = init(tmp_path / "p", images, masks)
    assert len(project.cohort().cases) == 10
    assert "-1  channel missing (t1): pat03" in str(project.summary)
    assert "-1  reference channel missing (flair): pat05" in str(project.summary)
    flow = json.loads((tmp_path / "p" / "cohort" / "flow.json").read_text())
    assert {"channel missing (t1)": 1, "reference channel missing (flair)": 1} in [step["reasons"] for step in flow]
    assert "pat03" not in json.dumps(flow)


def test_zeros_keep_the_case_and_say_so(tmp_path: Path) -> None:
    images, masks = cohort(tmp_path, lacking={3: "t1", 5: "flair"})
    gathered = gather(Request(images, masks, missing="zeros"))
    assert len(gathered.drafts) == 11
    filled = {d.name: d for d in gathered.drafts}["pat03"]
    assert filled.covariates == {"missing channels": "t1"}
    assert [i.format for i in filled.images] == ["nifti", "missing"]
    assert "pat05" not in {d.name for d in gathered.drafts}  # nothing could be laid on the grid of an image that is not there


def test_volumes_of_a_decathlon_file_are_channels_with_their_names(tmp_path: Path) -> None:
    project = init(tmp_path / "p", decathlon(tmp_path / "d"))
    assert project.settings.images.channels == {
        "flair": {"volume": "0"},
        "t1w": {"volume": "1"},
        "t1gd": {"volume": "2"},
        "t2w": {"volume": "3"},
    }
    image = load_image(project.cohort(), project.cohort().cases[0])
    assert image.channels == ("flair", "t1w", "t1gd", "t2w")
    assert np.allclose(image.array.mean(axis=(1, 2, 3)), [100, 200, 300, 400], atol=2)
    assert "named in dataset.json" in text(project)
    some = init(tmp_path / "q", tmp_path / "d", series={"t2.volume": "3", "flair.volume": "0"})
    image = load_image(some.cohort(), some.cohort().cases[0])
    assert image.channels == ("t2", "flair")
    assert np.allclose(image.array.mean(axis=(1, 2, 3)), [400, 100], atol=2)


def test_images_that_lie_apart_are_left_out_by_name(tmp_path: Path) -> None:
    import nibabel

    images, masks = cohort(tmp_path)
    file = images / "pat04_t1.nii.gz"
    moved = nibabel.load(file)
    affine = moved.affine.copy()
    affine[2, 3] += 200
    nibabel.save(nibabel.Nifti1Image(moved.get_fdata(dtype=np.float32), affine), file)
    project = init(tmp_path / "p", images, masks)
    assert len(project.cohort().cases) == 11
    said = str(project.summary)
    assert "-1  refused: channels-apart: pat04: the images of channels 'flair' and 't1' do not overlap" in said
    assert re.search(r"their fields of view are \d+\.\d mm apart", said)


def test_patterns_that_fit_nothing_are_named(tmp_path: Path) -> None:
    images, masks = cohort(tmp_path)
    with pytest.raises(OverreadError, match=r"None of 12 cases has all channels: flair .* in 12, t2 .* in 0") as caught:
        init(tmp_path / "p", images, masks, series={"flair.file": "_flair", "t2.file": "_t2"})
    assert "what is left of the names must be the same" in caught.value.next
    with pytest.raises(OverreadError, match=r"flair .* in 12, t2 .* in 0"):  # zeros are for some cases, not for a wrong pattern
        gather(Request(images, masks, series={"flair.file": "_flair", "t2.file": "_t2"}, missing="zeros"))
    with pytest.raises(OverreadError, match=r"No file fits a channel .* files are called for example pat00_flair.nii.gz"):
        init(tmp_path / "p", images, masks, series={"x.file": "_x", "y.file": "_y"})
    (images / "pat00-t1.nii.gz").write_bytes((images / "pat00_t1.nii.gz").read_bytes())
    with pytest.raises(Refused, match="Two files of the case pat00 fit the channel 't1'"):
        init(tmp_path / "p", images, masks, series={"flair.file": "flair", "t1.file": "t1"})


def test_project_files_from_before_are_understood() -> None:
    old = ImagesSection.model_validate({"folder": "x", "channels": ["image"], "series": {"kernel": "B30f"}})
    assert (old.channels, old.series) == ({}, {"kernel": "B30f"})
    old = ImagesSection.model_validate(
        {"folder": "x", "channels": ["art", "ven"], "series": {"art.description": "art*", "ven.description": "ven*"}}
    )
    assert old.channels == {"art": {"description": "art*"}, "ven": {"description": "ven*"}}
    assert old.series == {}
    new = ImagesSection.model_validate({"folder": "x", "channels": {"t1": {"volume": 0}}, "series": {"thickness": 1.5}})
    assert (new.channels, new.series) == ({"t1": {"volume": "0"}}, {"thickness": "1.5"})


def test_real_sequences_of_a_patient(shared_data: Path, tmp_path: Path) -> None:
    """Two patients make no project, so only what `init` gathers is looked at."""
    for patient in ("patient07", "patient19"):
        for part in ("images", "masks"):
            (tmp_path / part / patient).mkdir(parents=True)
        for file in (shared_data / "open_ms" / patient).iterdir():
            part = "masks" if file.name.startswith("GOLD") else "images"
            (tmp_path / part / patient / file.name).symlink_to(file)
    gathered = gather(Request(tmp_path / "images", tmp_path / "masks"))
    assert list(gathered.channels.items()) == [("flair", {"file": "flair_"}), ("t1", {"file": "t1_"}), ("t2", {"file": "t2_"})]
    assert {d.name for d in gathered.drafts} == {"patient07", "patient19"}
    assert gathered.seen[0].channels == ("flair", "t1", "t2")
    assert gathered.seen[0].grid is not None
    assert gathered.seen[0].grid.shape == (182, 218, 182)
    assert [s.voxels for s in gathered.seen] == [{1: 1300}, {1: 49769}]


def test_masks_may_lie_beside_the_images_of_a_patient(tmp_path: Path) -> None:
    images, masks = cohort(tmp_path)
    together = tmp_path / "together"
    for file in sorted(images.rglob("*.nii.gz")):
        case, _, channel = file.name.removesuffix(".nii.gz").rpartition("_")
        (together / case).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, together / case / f"{channel.upper()}_registered.nii.gz")
    for file in sorted(masks.rglob("*.nii.gz")):
        shutil.copy(file, together / file.name.removesuffix(".nii.gz") / "GOLD_STANDARD.nii.gz")
    rules = {"flair.file": "FLAIR", "t1.file": "T1"}
    project = init(tmp_path / "p", together, together, series=rules)
    assert len(project.cohort().cases) == 12
    assert "masks: 12 joined (12 by the only one in the same folder)" in str(project.summary)
    with pytest.raises(OverreadError, match="holds no masks: all that lies there was taken for images"):
        init(tmp_path / "q", together, together)


def test_a_folder_of_masks_in_the_image_folder_holds_no_images(tmp_path: Path) -> None:
    images, masks = cohort(tmp_path)
    shutil.copytree(masks, images / "drawn by hand")
    project = init(tmp_path / "p", images, images / "drawn by hand")
    assert len(project.cohort().cases) == 12
    assert [i.channel for i in project.cohort().cases[0].images] == ["flair", "t1"]
