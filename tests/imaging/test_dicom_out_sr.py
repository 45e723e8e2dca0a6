"""Findings, numbers, boxes and structures to a TID 1500 report and back."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from imaging.answers import ALGORITHM, FINDINGS, MEASUREMENTS, boxes, ct, film, instances, structures
from imaging.make_dicom import make_series
from imaging.orthanc import needs
from overread.core.grid import Grid
from overread.core.kinds import Boxes, LabelMap, Structure
from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.seg import write_seg
from overread.imaging.dicom.sr import write_sr
from overread.imaging.dicom.sr_reading import place_region, read_sr
from overread.imaging.dicom.volume import open_dicom

pytestmark = pytest.mark.filterwarnings("ignore")


def texts(path: Path) -> str:
    """All sentences of a report."""
    return "\n".join(str(item.value) for item in pydicom.dcmread(path).iterall() if item.keyword == "TextValue")


def boxes_of(path: Path, files: list[Path], grid: Grid) -> Boxes:
    """The boxes of a report, put together from their outlines slice by slice."""
    headers = {header.sop_uid: header for header in map(read_header, files)}
    corners, classes, scores = [], [], []
    for group in read_sr(path).groups:
        placed = [place_region(region, headers, grid, path.name) for region in group.regions]
        slices = [p.slice for p in placed if p]
        outline = np.concatenate([p.outline for p in placed if p])
        low, high = outline.min(axis=0), outline.max(axis=0)
        corners.append([[min(slices) - 0.5, low[1], low[0]], [max(slices) + 0.5, high[1], high[0]]])
        classes.append(group.finding.lower())
        scores.append(next(m.value for m in group.measurements if m.name == "Certainty of Finding") / 100)
    return Boxes(np.array(corners), tuple(classes), np.array(scores), grid)


@pytest.mark.parametrize("planar", [False, True])
def test_boxes_come_back_exactly(tmp_path: Path, planar: bool) -> None:
    files, image = film(tmp_path) if planar else ct(tmp_path / "ct")
    answer = boxes(image.grid)
    write_sr(tmp_path / "sr.dcm", answer, files, image.grid, algorithm=ALGORITHM)
    back = boxes_of(tmp_path / "sr.dcm", files, image.grid)
    np.testing.assert_allclose(back.corners, answer.corners, atol=1e-4)
    assert back.classes == answer.classes
    np.testing.assert_allclose(back.scores, answer.scores, atol=1e-7)


def test_a_box_lies_in_the_same_place_for_an_independent_reader(tmp_path: Path) -> None:
    """Oracle: DCMTK's dsrdump, against corners computed from Image Position and Orientation alone."""
    dsrdump = needs("dsrdump", "dcmtk")
    files, image = ct(tmp_path / "ct")
    answer = boxes(image.grid)
    write_sr(tmp_path / "sr.dcm", answer, files, image.grid, algorithm=ALGORITHM)
    text = subprocess.run([dsrdump, "+Pl", "+Pu", str(tmp_path / "sr.dcm")], capture_output=True, text=True, check=True).stdout
    assert "UNVERIFIED" in text
    assert "PRELIMINARY" in text
    outlines = re.findall(r"\(POLYLINE,([0-9./,]+)\)>\s*<selected from IMAGE:[^\n]*?([0-9.]{9,})", text)
    assert len(outlines) == 4  # three slices of the first box, one of the second
    points = np.array([[float(v) for v in pair.split("/")] for pair in outlines[-1][0].split(",")])
    tags = {str(t.SOPInstanceUID): t for t in (pydicom.dcmread(f, stop_before_pixels=True) for f in files)}
    shown = tags[outlines[-1][1].strip(".")]
    row, column = np.array(shown.ImageOrientationPatient[:3], float), np.array(shown.ImageOrientationPatient[3:], float)
    spacing, position = [float(v) for v in shown.PixelSpacing], np.array(shown.ImagePositionPatient, float)
    world = [position + (c - 0.5) * spacing[1] * row + (r - 0.5) * spacing[0] * column for c, r in points[:4]]
    z = image.grid.shape[0] - 1
    low, high = answer.corners[1]
    turn = ((low[1], low[2]), (low[1], high[2]), (high[1], high[2]), (high[1], low[2]))
    expected = [image.grid.to_world(np.array([z, y, x])) for y, x in turn]
    np.testing.assert_allclose(world, expected, atol=1e-3)


def test_groups_point_to_the_segments_of_the_same_lesions(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    answer = instances(image.grid)
    seg = write_seg(tmp_path / "seg.dcm", answer, files, algorithm=ALGORITHM)
    write_sr(tmp_path / "sr.dcm", answer, files, image.grid, algorithm=ALGORITHM, seg=seg)
    tags = pydicom.dcmread(tmp_path / "seg.dcm")
    groups = read_sr(tmp_path / "sr.dcm").groups
    assert [g.tracking_id for g in groups] == ["nodule 1", "nodule 2"]
    assert [g.tracking_uid for g in groups] == [s.TrackingUID for s in tags.SegmentSequence]
    assert [g.segments[0].numbers for g in groups] == [(1,), (2,)]
    assert {g.segments[0].image for g in groups} == {tags.SOPInstanceUID}
    volumes = [next(m for m in g.measurements if m.name == "Volume") for g in groups]
    for k, volume in enumerate(volumes):
        assert volume.unit == "ml"
        assert volume.value == pytest.approx(answer.mask(k).sum() * 0.8 * 0.7 * 2.5 / 1000, abs=1e-6)
    content = hd.sr.srread(tmp_path / "sr.dcm").content
    assert len(content.get_volumetric_roi_measurement_groups(tracking_uid=groups[0].tracking_uid)) == 1


def test_a_structure_on_a_film_points_to_its_frame(tmp_path: Path) -> None:
    files, image = film(tmp_path)
    answer = structures(image.grid)
    seg = write_seg(tmp_path / "seg.dcm", answer, files, algorithm=ALGORITHM)
    write_sr(tmp_path / "sr.dcm", answer, files, image.grid, algorithm=ALGORITHM, seg=seg)
    groups = read_sr(tmp_path / "sr.dcm").groups
    assert [g.finding for g in groups] == ["Liver", "Kidney"]
    assert [g.site for g in groups] == ["", "Kidney"]  # the side needs a site to stand at
    area = next(m for m in groups[0].measurements if m.name == "Area")
    assert area.value == pytest.approx(answer.mask("liver").sum() * 0.04)


def test_an_absent_structure_is_reported_as_nothing(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    layers = np.zeros((1, *image.grid.shape), np.uint8)
    layers[0, 2, 2:5, 2:5] = 1
    answer = LabelMap(layers, (Structure("liver", 1), Structure("lesion", 2)), image.grid)
    seg = write_seg(tmp_path / "seg.dcm", answer, files)
    write_sr(tmp_path / "sr.dcm", answer, files, image.grid, seg=seg)
    liver, lesion = read_sr(tmp_path / "sr.dcm").groups
    assert liver.segments
    assert lesion.segments == ()
    assert lesion.measurements[0].value == 0


def test_probabilities_calls_and_numbers(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    written = write_sr(tmp_path / "f.dcm", FINDINGS, files, image.grid, called=["pneumonia"], warnings=["learned from a PHANTOM"])
    pneumonia, strange = read_sr(tmp_path / "f.dcm").groups  # what is not known is not reported
    assert pneumonia.measurements[0].value == pytest.approx(83.12)
    assert (pneumonia.finding, strange.finding) == ("Pneumonia", "strange sign")
    assert list(pneumonia.qualities.values())[-1] == "Present"
    assert list(strange.qualities.values())[-1] == "Absent"
    assert any("'strange sign'" in note for note in written.notes)
    tags = pydicom.dcmread(tmp_path / "f.dcm")
    assert tags.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99OVERREAD"
    assert "learned from a PHANTOM" in texts(tmp_path / "f.dcm")
    write_sr(tmp_path / "m.dcm", MEASUREMENTS, files, image.grid)
    age, ejection = read_sr(tmp_path / "m.dcm").groups
    assert [(m.name, m.value, m.unit) for m in age.measurements] == [("age", 63.25, "a")]
    assert [(m.name, m.value, m.unit) for m in ejection.measurements] == [("ejection fraction", 55.5, "%")]


def test_writing_again_replaces_and_does_not_duplicate(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")

    def identity(value: float) -> tuple[str, str]:
        answer = boxes(image.grid)
        answer.scores[0] = value
        write_sr(tmp_path / "sr.dcm", answer, files, image.grid, algorithm=ALGORITHM)
        tags = pydicom.dcmread(tmp_path / "sr.dcm")
        return str(tags.SOPInstanceUID), str(tags.SeriesInstanceUID)

    first = identity(0.5)
    assert identity(0.5) == first
    assert identity(0.6)[0] != first[0]
    assert identity(0.6)[1] == first[1]


def test_what_the_report_says_of_itself(tmp_path: Path) -> None:
    files = make_series(tmp_path / "ct", [0.0, 2.5, 7.5], SyntheticData="YES")
    image = open_dicom(files, gaps="resample")
    answer = Boxes(np.array([[[1.5, 0.5, 0.5], [2.5, 3.5, 3.5]]]), ("nodule",), np.array([0.7]), image.grid)
    write_sr(tmp_path / "sr.dcm", answer, files, image.grid, algorithm=ALGORITHM)
    tags = pydicom.dcmread(tmp_path / "sr.dcm")
    assert tags.SeriesDescription.startswith("RESEARCH ")
    assert (tags.VerificationFlag, tags.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert tags.SyntheticData == "YES"
    text = texts(tmp_path / "sr.dcm")
    assert ALGORITHM.model in text
    assert "not reviewed by a physician" in text
    assert "NOT ASSESSED: 1 of 4 slices were interpolated" in text
    (group,) = read_sr(tmp_path / "sr.dcm").groups
    assert group.regions == ()  # the box lies on the interpolated slice alone: there is no image to point to
