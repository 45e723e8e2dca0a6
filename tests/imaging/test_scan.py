"""A folder with everything in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from imaging.make_dicom import CT, DX, SECONDARY_CAPTURE, make_series, make_tags, write
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.imaging.door import open_path
from overread.imaging.nifti import write_nifti
from overread.imaging.scan import scan

FILM = np.arange(20, dtype=np.uint16).reshape(4, 5)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    make_series(tmp_path / "p1" / "ct", [0.0, 2.0, 4.0])
    scout = {"SeriesInstanceUID": "1.9", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesDescription": "Topogram"}
    make_series(tmp_path / "p1" / "scout", [0.0], **scout)  # type: ignore[arg-type]
    write(make_tags(FILM, DX, SeriesInstanceUID="1.7", ViewPosition="PA"), tmp_path / "p2" / "IM0001")
    write(make_tags(FILM, DX, SeriesInstanceUID="1.7", ViewPosition="LL"), tmp_path / "p2" / "IM0002")
    write(make_tags(FILM, SECONDARY_CAPTURE, SeriesInstanceUID="1.6", Modality="CT"), tmp_path / "p2" / "capture.dcm")
    report = "1.2.840.10008.5.1.4.1.1.88.33"
    write(make_tags(FILM, report, Modality="SR", PixelData=None, SeriesInstanceUID="1.5"), tmp_path / "p2" / "sr.dcm")
    grid = Grid.from_spacing((3, 4, 5), (3, 2, 1))
    write_nifti(tmp_path / "n" / "case_1.nii.gz", np.zeros(grid.shape, np.int16), grid, description="PHANTOM")
    Pillow.fromarray(FILM.astype(np.uint8)).save(tmp_path / "film.png")
    np.savez(tmp_path / "set.npz", train_images=np.zeros((2, 4, 4), np.uint8), train_labels=np.array([[0], [1]]))
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "cut.nii.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "labels.csv").write_text("id,label\n")
    (tmp_path / ".hidden.dcm").write_text("x")
    return tmp_path


def test_everything_is_found_refused_or_counted(tree: Path) -> None:
    result = scan(tree)
    by_name = {found.files[0]: found for found in result.found}
    series = by_name[next(name for name in by_name if name.startswith("p1/ct"))]
    assert series.shape == (3, 6, 5)
    assert series.spacing == pytest.approx((2.0, 0.8, 0.7))
    assert (series.patient, series.study, series.series) == ("MRN-0001", "1.2.3", "1.2.3.4")
    assert series.attributes["plane"] == "axial"
    assert series.is_eligible
    reasons = {f.files[0]: f.attributes["code"] for f in result.found if not f.is_eligible}
    assert reasons == {"p1/scout/slice-000.dcm": "localizer", "p2/capture.dcm": "secondary-capture", "p2/sr.dcm": "report"}
    assert {by_name[f"p2/IM000{k}"].attributes["view"] for k in (1, 2)} == {"PA", "LL"}
    assert by_name["n/case_1.nii.gz"].name == "case_1"
    assert by_name["n/case_1.nii.gz"].attributes["synthetic"] is True
    rows = [found for found in result.found if found.format == "npz"]
    assert [(r.index, r.attributes["labels"], r.attributes["partition"]) for r in rows] == [
        (0, (0,), "training"),
        (1, (1,), "training"),
    ]
    assert [(r.path, r.code) for r in result.refused] == [("cut.nii.gz", "truncated"), ("empty.dcm", "empty-file")]
    assert result.ignored == {".csv": 1}


def test_scan_is_the_same_in_processes_and_from_a_cache(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    cache = tmp_path_factory.mktemp("cache") / "headers.sqlite"
    seen: list[int] = []
    plain = scan(tree, progress=lambda done, total: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 14
    assert scan(tree, workers=2) == plain
    assert scan(tree, cache=cache) == plain
    assert scan(tree, cache=cache) == plain
    (tree / "film.png").write_bytes(b"")
    assert "film.png" in {refused.path for refused in scan(tree, cache=cache).refused}
    cache.write_bytes(b"no database" * 100)
    assert len(scan(tree, cache=cache).found) == len(plain.found) - 1


def test_slices_in_several_folders_make_one_series_and_copies_are_named(tmp_path: Path) -> None:
    files = make_series(tmp_path / "a", [0.0, 1.0, 2.0])
    (tmp_path / "b").mkdir()
    files[1].rename(tmp_path / "b" / "moved")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "copy.dcm").write_bytes(files[0].read_bytes())
    result = scan(tmp_path)
    assert [found.shape for found in result.found] == [(3, 6, 5)]
    assert [refused.code for refused in result.refused] == ["duplicate-file"]
    assert "the same object (SOP Instance UID) as a/slice-" in result.refused[0].reason


def test_a_localizer_inside_a_series_does_not_spoil_it(tmp_path: Path) -> None:
    make_series(tmp_path, [0.0, 1.0, 2.0])
    turned = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write(make_tags(np.zeros((6, 5), np.int16), CT, **turned), tmp_path / "scout.dcm")
    result = scan(tmp_path)
    assert sorted(len(found.files) for found in result.eligible) == [3]
    assert [f.attributes["code"] for f in result.found if not f.is_eligible] == ["localizer"]


def test_paths_open_to_images(tree: Path) -> None:
    opened = open_path(tree / "p1" / "ct")
    assert [image.array.shape for image, _ in opened] == [(1, 3, 6, 5)]
    assert len(open_path(tree / "p2")) == 2
    assert open_path(tree / "film.png")[0][1].format == "raster"
    with pytest.raises(Refused, match="has one slice"):
        open_path(next((tree / "p1" / "ct").iterdir()))
    with pytest.raises(Refused, match="no image that can be read: Topogram: a localizer or scout"):
        open_path(tree / "p1" / "scout")
    with pytest.raises(Refused, match="does not exist"):
        open_path(tree / "nowhere")
    with pytest.raises(Refused, match="no image that Overread reads"):
        open_path(tree / "labels.csv")


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    result = scan(tmp_path)
    assert (result.found, result.refused, dict(result.ignored)) == ((), (), {})
    with pytest.raises(OverreadError, match="is not a folder"):
        scan(tmp_path / "nowhere")


@pytest.mark.filterwarnings("ignore")
def test_no_real_dicom_file_ends_in_a_traceback(shared_data: Path) -> None:
    result = scan(shared_data / "dicom")
    listed = {name for found in result.found for name in found.files} | {refused.path for refused in result.refused}
    assert listed == {p.relative_to(shared_data / "dicom").as_posix() for p in (shared_data / "dicom").rglob("*") if p.is_file()}
    codes = {found.files[0]: found.attributes.get("code") for found in result.found}
    assert codes["broken/ct_gantry_tilt/IM-0001-0001.dcm"] == "gantry-tilt"
    diffusion = [f for f in result.found if f.files == ("enhanced/philips_enhanced_dti_4d/IM-0001-3835-0001.dcm",)]
    assert [(f.index, f.shape, f.is_eligible) for f in diffusion] == [(k, (8, 128, 128), True) for k in range(4)]
    assert diffusion[0].attributes["volume"] == "b 0"
    assert codes["seg_sr_rt/rt_phantom/rt.dcm"] == "contours"
    for found in result.found:
        if found.is_eligible:
            open_path(shared_data / "dicom" / found.files[0]) if len(found.files) == 1 else None
