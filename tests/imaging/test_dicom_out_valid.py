"""Every object that is written, on every kind of source, before the standard's validator: no error."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from imaging.answers import ALGORITHM, FINDINGS, MEASUREMENTS, boxes, ct, film, heat, instances, structures
from imaging.orthanc import needs
from overread.core.errors import OverreadError, Refused
from overread.core.image import Image
from overread.core.kinds import Boxes, Instances, Kind, Map
from overread.imaging.dicom.outputs import OBJECTS, Answered, parse_objects, write_objects
from overread.imaging.dicom.parametric_map import write_parametric_map
from overread.imaging.door import open_found
from overread.imaging.scan import scan

pytestmark = pytest.mark.filterwarnings("ignore")


def answers(image: Image) -> dict[str, Kind]:
    return {
        "structures": structures(image.grid),
        "overlapping": structures(image.grid, overlap=True),
        "instances": instances(image.grid),
        "boxes": boxes(image.grid),
        "findings": FINDINGS,
        "measurements": MEASUREMENTS,
        "map": heat(image.grid),
    }


YOUNGER = "(0x0008,0x001c)"  # Synthetic Data came into the standard in 2023, after this validator


def errors(path: Path) -> list[str]:
    """What dciodvfy calls an error; its exit code alone does not tell all of them."""
    program = needs("dciodvfy", "dicom3tools")
    said = subprocess.run([program, str(path)], capture_output=True, text=True, check=False).stderr
    return [line for line in said.splitlines() if line.startswith("Error") and YOUNGER not in line]


def write_all(folder: Path, stem: str, image: Image, files: list[Path], index: int | None = None) -> dict[str, set[str]]:
    """All objects of all answers, each validated; answer -> the kinds that were written."""
    written_kinds: dict[str, set[str]] = {}
    for name, answer in answers(image).items():
        answered = Answered(
            f"{stem}-{name}", answer, image, files, ALGORITHM, index, (heat(image.grid),), ["pneumonia"], ["a line"]
        )
        written, _ = write_objects(folder, answered, OBJECTS)
        written_kinds[name] = {each.kind for each in written}
        for each in written:
            assert errors(each.path) == [], each.path.name
            tags = pydicom.dcmread(each.path, stop_before_pixels=True)
            assert tags.SeriesDescription.startswith("RESEARCH ")
            assert tags.SOPInstanceUID == each.sop_uid
            assert tags.ContentDate
    return written_kinds


def test_a_ct_series(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    kinds = write_all(tmp_path / "out", "ct", image, files)
    assert kinds["structures"] == kinds["instances"] == {"SEG", "SR", "SC", "SEG-FRACTIONAL", "MAP"}
    assert kinds["boxes"] == kinds["findings"] == kinds["measurements"] == {"SR", "SC", "SEG-FRACTIONAL", "MAP"}


def test_a_source_without_body_part_and_side(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct", BodyPartExamined=None)
    kinds = write_all(tmp_path / "out", "ct", image, files)
    assert kinds["structures"] == {"SEG", "SR", "SC", "SEG-FRACTIONAL", "MAP"}


@pytest.mark.parametrize("planar", [False, True])
def test_a_report_that_nothing_was_found(tmp_path: Path, planar: bool) -> None:
    """Every class that was looked for is reported as absent, and nothing else."""
    files, image = film(tmp_path) if planar else ct(tmp_path / "ct")
    for stem, nothing in (
        ("boxes", Boxes(np.zeros((0, 2, 3)), (), np.zeros(0), image.grid)),
        ("instances", Instances((), (), np.zeros(0), image.grid)),
    ):
        answered = Answered(stem, nothing, image, files, ALGORITHM, asked=("nodule", "cyst"))
        (written,), _ = write_objects(tmp_path / "out", answered, ("sr",))
        assert errors(written.path) == []
        codes = [item for item in pydicom.dcmread(written.path).iterall() if item.keyword == "CodeMeaning"]
        assert sum(item.value == "Absent" for item in codes) == 2
        assert not any(item.keyword == "GraphicData" for item in pydicom.dcmread(written.path).iterall())


def test_a_film(tmp_path: Path) -> None:
    files, image = film(tmp_path)
    kinds = write_all(tmp_path / "out", "film", image, files)
    assert kinds["structures"] == {"SEG", "SR", "SC", "SEG-FRACTIONAL"}  # a film has no place for a parametric map


def test_enhanced_multi_frame_files(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "dicom" / "enhanced"
    for k, found in enumerate(f for f in scan(folder).eligible if f.format == "dicom"):
        image = open_found(folder, found)
        files = [folder / name for name in found.files]
        answered = Answered(str(k), structures(image.grid), image, files, ALGORITHM, found.index, (heat(image.grid),))
        written, _ = write_objects(tmp_path, answered, OBJECTS)
        for each in written:
            assert errors(each.path) == [], each.path.name


def test_a_map_keeps_its_numbers(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    values = Map(np.random.default_rng(0).normal(size=image.grid.shape).astype(np.float32), image.grid, "grad-cam", "liver")
    write_parametric_map(tmp_path / "map.dcm", values, files, algorithm=ALGORITHM)
    tags = pydicom.dcmread(tmp_path / "map.dcm")
    positions = [g.PlanePositionSequence[0].ImagePositionPatient for g in tags.PerFrameFunctionalGroupsSequence]
    order = [int(np.rint(image.grid.to_index(np.array(p, float))[0])) for p in positions]
    np.testing.assert_array_equal(tags.pixel_array, values.array[order])
    assert tags.ContentQualification == "RESEARCH"
    with pytest.raises(Refused, match="NaN or infinity"):
        write_parametric_map(tmp_path / "x.dcm", Map(values.array * np.nan, image.grid, "heat", "liver"), files)


def test_pictures_say_what_they_are_and_show_the_answer_in_its_place(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct", shape=(200, 220))
    answer = structures(image.grid)
    answered = Answered("a", answer, image, files, ALGORITHM, lines=["liver 12.0 ml"])
    written, _ = write_objects(tmp_path, answered, ["sc"])
    slices = np.flatnonzero(answer.layers.any(axis=(0, 2, 3)))
    assert len(written) == len(slices)
    place = {}
    for each in written:
        tags = pydicom.dcmread(each.path)
        assert tags.BurnedInAnnotation == "YES"
        place[str(tags.SourceImageSequence[0].ReferencedSOPInstanceUID)] = tags
    for file in files:
        source = pydicom.dcmread(file)
        z = int(np.rint(image.grid.to_index(np.array(source.ImagePositionPatient, float))[0]))
        if z not in slices:
            assert source.SOPInstanceUID not in place
            continue
        tags = place[str(source.SOPInstanceUID)]
        pixels = tags.pixel_array[::2, ::2].astype(int)  # enlarged twice
        assert tags.pixel_array.shape == (400, 440, 3)
        assert float(tags.PixelSpacing[0]) == pytest.approx(float(source.PixelSpacing[0]) / 2)
        is_coloured = np.ptp(pixels, axis=2) > 12
        words = slice(0, 55)
        drawn = is_coloured == (answer.layers[0, z] > 0)
        sides = np.zeros_like(drawn)
        sides[90:110, [*range(12), *range(208, 220)]] = True  # R and L
        assert (drawn | sides)[words.stop :].all()
        assert (pixels[sides].min(axis=1) > 200).any()
        assert is_coloured[words].any()  # the label
        assert list(tags.PatientOrientation) == ["LP", "PR"]  # turned by 16 degrees


def test_objects_by_name() -> None:
    assert parse_objects("seg, SR,seg") == ("seg", "sr")
    assert parse_objects("none") == ()
    with pytest.raises(OverreadError, match=r"no DICOM object 'rtstruct'; expected some of seg, sr"):
        parse_objects("seg,rtstruct")


def test_an_object_that_cannot_be_written_is_said_and_the_others_are_written(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    empty = structures(image.grid)
    empty.layers[...] = 0
    written, notes = write_objects(tmp_path, Answered("a", empty, image, files, ALGORITHM), ["seg", "sr", "sc"])
    assert [each.kind for each in written] == ["SR", "SC"]
    assert any("no SEG was written" in note for note in notes)
