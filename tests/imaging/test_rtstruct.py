"""Contours of a structure set on an image's grid: volume, holes, places between slices, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from matplotlib.path import Path as MatplotlibPath
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.imaging.dicom.rtstruct_reading import STRUCTURE_SET, draw_rois, read_rtstruct
from overread.imaging.dicom.volume import open_dicom

FRAME = "1.2.3.5"
Rois = dict[str, list[np.ndarray | tuple[str, np.ndarray]]]


def items(values: list[dict[str, object]]) -> list[Dataset]:
    made = []
    for value in values:
        item = Dataset()
        for keyword, content in value.items():
            setattr(
                item,
                keyword,
                items(content) if isinstance(content, list) and content and isinstance(content[0], dict) else content,
            )
        made.append(item)
    return made


def write_rtstruct(path: Path, rois: Rois, *, series: str = "1.2.3.4", frame: str = FRAME, images: tuple[str, ...] = ()) -> Path:
    """rois: name -> contours, each (N, 3) LPS mm, or (kind, points)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, STRUCTURE_SET
    meta.MediaStorageSOPInstanceUID = generate_uid()
    tags = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    tags.SOPClassUID, tags.SOPInstanceUID, tags.Modality = STRUCTURE_SET, meta.MediaStorageSOPInstanceUID, "RTSTRUCT"
    tags.StudyInstanceUID, tags.SeriesInstanceUID, tags.PatientID = "1.2.3", generate_uid(), "MRN-0001"
    tags.StructureSetDate, tags.StructureSetLabel = "20200102", "plan"
    contour_images = [{"ReferencedSOPInstanceUID": uid, "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2"} for uid in images]
    referenced = {"SeriesInstanceUID": series, **({"ContourImageSequence": contour_images} if images else {})}
    study = {"ReferencedSOPInstanceUID": "1.2.3", "RTReferencedSeriesSequence": [referenced]}
    tags.ReferencedFrameOfReferenceSequence = items([{"FrameOfReferenceUID": frame, "RTReferencedStudySequence": [study]}])
    sets, contours = [], []
    for k, (name, drawn) in enumerate(rois.items(), start=1):
        sets.append({"ROINumber": k, "ROIName": name, "ReferencedFrameOfReferenceUID": frame})
        listed = []
        for contour in drawn:
            kind, points = contour if isinstance(contour, tuple) else ("CLOSED_PLANAR", contour)
            numbers = [f"{v:.8g}" for v in np.asarray(points).ravel()]
            listed.append({"ContourGeometricType": kind, "NumberOfContourPoints": len(points), "ContourData": numbers})
        contours.append({"ReferencedROINumber": k, **({"ContourSequence": listed} if listed else {})})
    tags.StructureSetROISequence, tags.ROIContourSequence = items(sets), items(contours)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, tags, enforce_file_format=True)
    return path


def ring(centre: tuple[float, float], radius: float, z: float, count: int = 120) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn), np.full(count, z)], axis=1)


def square(low: float, high: float, z: float) -> np.ndarray:
    return np.array([(low, low, z), (high, low, z), (high, high, z), (low, high, z)])


def sphere(radius: float, step: float, offset: float = 0.0) -> list[np.ndarray]:
    depths = np.arange(-np.floor(radius / step), np.floor(radius / step) + 1) * step + offset
    return [ring((30.13, 29.87), float(np.sqrt(radius**2 - z**2)), 30 + z) for z in depths if abs(z) < radius - 0.05]


def oblique(grid: Grid, degrees: float = 25) -> np.ndarray:
    """(4, 4) rotation about an oblique axis through the middle of a grid."""
    axis = np.array([1, 2, 0.5]) / np.linalg.norm([1, 2, 0.5])
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:3, :3] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn


GRID = Grid.from_spacing((31, 60, 64), (2.0, 1.0, 1.0))


def mask_of(path: Path, rois: Rois, grid: Grid = GRID, name: str = "a") -> np.ndarray:
    return draw_rois(read_rtstruct(write_rtstruct(path, rois)), grid).label_map.mask(name)


@pytest.mark.parametrize("step", [1.0, 2.0, 4.0, 3.0])
@pytest.mark.parametrize("offset", [0.0, 0.7, 1.0])
def test_a_sphere_has_its_volume_whatever_the_distance_of_its_contours(tmp_path: Path, step: float, offset: float) -> None:
    mask = mask_of(tmp_path / "rt.dcm", {"a": sphere(20, step, offset)})
    assert abs(mask.sum() * 2.0 / (4 / 3 * np.pi * 20**3) - 1) < 0.04
    if step == 2.0 and offset == 0.0:
        assert abs(mask.sum() * 2.0 / (4 / 3 * np.pi * 20**3) - 1) < 0.006


def test_every_slice_is_what_an_independent_program_fills(tmp_path: Path) -> None:
    contours = sphere(20, 2.0)
    mask = mask_of(tmp_path / "rt.dcm", {"a": contours})
    y, x = np.mgrid[: GRID.shape[1], : GRID.shape[2]]
    expected = np.zeros(GRID.shape, bool)
    for contour in contours:
        index = GRID.to_index(np.round(contour, 6))
        inside = MatplotlibPath(index[:, [2, 1]]).contains_points(np.stack([x.ravel(), y.ravel()], axis=1))
        expected[round(index[0, 0])] = inside.reshape(x.shape)
    assert (mask != expected).sum() <= 4  # corners that fall on pixel centres belong to either
    assert mask.sum() > 10000


def test_oblique_and_sagittal_images_take_contours_of_their_planes(tmp_path: Path) -> None:
    contours = sphere(14, 2.0)
    plain = mask_of(tmp_path / "a.dcm", {"a": contours})
    turn = oblique(GRID)
    turned = Grid(GRID.shape, turn @ GRID.affine)
    moved = [np.c_[c, np.ones(len(c))] @ turn[:3].T for c in contours]
    assert (mask_of(tmp_path / "b.dcm", {"a": moved}, turned) != plain).sum() < 0.002 * plain.sum()
    sagittal = GRID.reoriented((2, 1, 0), (False, False, False))  # the same contours, now across the slices
    across = mask_of(tmp_path / "c.dcm", {"a": contours}, sagittal)
    np.testing.assert_array_equal(across.transpose(2, 1, 0), plain)


def test_holes_islands_keyholes_and_exclusive_contours(tmp_path: Path) -> None:
    outer, hole, island = square(10.3, 40.3, 20), square(15.3, 35.3, 20), square(20.3, 30.3, 20)
    areas = [square_area(10, 40), square_area(15, 35), square_area(20, 30)]
    nested = mask_of(tmp_path / "a.dcm", {"a": [hole, outer, island]})
    assert nested.sum() == areas[0] - areas[1] + areas[2]
    exclusive = mask_of(tmp_path / "b.dcm", {"a": [("CLOSEDPLANAR_XOR", c) for c in (outer, hole, island)]})
    np.testing.assert_array_equal(nested, exclusive)
    keyhole = np.concatenate([outer, outer[:1], hole[::-1], hole[-1:], outer[:1]])
    assert mask_of(tmp_path / "c.dcm", {"a": [keyhole]}).sum() == areas[0] - areas[1]
    assert mask_of(tmp_path / "d.dcm", {"a": [outer, outer.copy()]}).sum() == areas[0]  # drawn twice is no hole
    crossing = draw_rois(read_rtstruct(write_rtstruct(tmp_path / "e.dcm", {"a": [outer, np.add(outer, (10, 0, 0))]})), GRID)
    assert crossing.label_map.mask("a").sum() == areas[0] + 10 * 30
    assert "cross each other and were united" in crossing.notes[0]


def square_area(low: int, high: int) -> int:
    return (high - low) ** 2


def test_a_plane_between_two_slices_goes_to_one_of_them(tmp_path: Path) -> None:
    for shift, slices in ((0.9, [5, 6]), (1.0, [5, 6]), (1.1, [6, 7])):  # slices are 2 mm apart; 10 mm is slice 5
        mask = mask_of(tmp_path / "rt.dcm", {"a": [square(10.3, 20.3, 10 + shift), square(10.3, 20.3, 12 + shift)]})
        assert np.flatnonzero(mask.any(axis=(1, 2))).tolist() == slices


def test_a_real_gap_stays_empty_and_is_told(tmp_path: Path) -> None:
    planes = [square(10.3, 20.3, z) for z in (10, 12, 14, 30, 32, 34)]
    drawn = draw_rois(read_rtstruct(write_rtstruct(tmp_path / "rt.dcm", {"a": planes})), GRID)
    assert np.flatnonzero(drawn.label_map.mask("a").any(axis=(1, 2))).tolist() == [5, 6, 7, 15, 16, 17]
    assert any("gaps between planes" in note for note in drawn.notes)
    sparse = draw_rois(
        read_rtstruct(write_rtstruct(tmp_path / "s.dcm", {"a": [square(10.3, 20.3, z) for z in (10, 14, 18)]})), GRID
    )
    assert sparse.label_map.mask("a").any(axis=(1, 2)).sum() == 6
    assert "2 slices apart" in sparse.notes[0]


def test_overlapping_regions_lie_in_layers_and_empty_ones_keep_their_name(tmp_path: Path) -> None:
    rois: Rois = {
        "a": [square(10.3, 30.3, 20)],
        "b": [square(20.3, 40.3, 20)],
        "none": [],
        "mark": [("POINT", np.array([(1, 1, 20.0)]))],
    }
    drawn = draw_rois(read_rtstruct(write_rtstruct(tmp_path / "rt.dcm", rois)), GRID)
    assert drawn.label_map.names == ("a", "b", "none", "mark")
    assert drawn.label_map.layers.shape[0] == 2
    assert drawn.label_map.mask("a").sum() == drawn.label_map.mask("b").sum() == 400
    assert not drawn.label_map.mask("mark").any()
    assert "enclose nothing" in drawn.notes[0]
    merged = draw_rois(read_rtstruct(tmp_path / "rt.dcm"), GRID, {"a": 3, "b": 3}).label_map
    assert merged.names == ("a",)
    assert (merged.layers == 3).sum() == 400 + 400 - 100


def test_refusals_name_the_region_and_the_distance(tmp_path: Path) -> None:
    far = read_rtstruct(write_rtstruct(tmp_path / "far.dcm", {"liver": [square(10, 20, 90)]}))
    with pytest.raises(Refused, match=r"contours of 'liver' lie 29\.0 mm outside the image") as refusal:
        draw_rois(far, GRID)
    assert refusal.value.code == "contours-elsewhere"
    tilted = square(10, 30, 20) + np.array([(0, 0, 0), (0, 0, 0), (0, 0, 9), (0, 0, 9)])
    with pytest.raises(Refused, match="do not lie in planes of the image") as refusal:
        draw_rois(read_rtstruct(write_rtstruct(tmp_path / "tilted.dcm", {"a": [np.add(tilted, (0, 5, 0))]})), turned_grid())
    assert refusal.value.code == "contours-not-parallel"
    with pytest.raises(Refused, match="another frame of reference") as refusal:
        draw_rois(read_rtstruct(write_rtstruct(tmp_path / "a.dcm", {"a": [square(10, 20, 20)]})), GRID, frame_of_reference="9.9")
    assert refusal.value.code == "other-frame-of-reference"
    tags = pydicom.dcmread(tmp_path / "a.dcm")
    tags.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2", "3", "4"]
    tags.save_as(tmp_path / "b.dcm")
    with pytest.raises(Refused, match="holds 4 numbers; a point is three"):
        read_rtstruct(tmp_path / "b.dcm")
    (tmp_path / "c.dcm").write_bytes(b"no")
    with pytest.raises(Refused, match=r"c\.dcm"):
        read_rtstruct(tmp_path / "c.dcm")


def turned_grid() -> Grid:
    return Grid(GRID.shape, oblique(GRID, 40) @ GRID.affine)


def test_a_real_structure_set(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "seg_sr_rt" / "rt_phantom"
    image = open_dicom(sorted(folder.glob("ct_*.dcm")))
    drawn = draw_rois(read_rtstruct(folder / "rt.dcm"), image.grid)
    assert drawn.label_map.names == ("ROI-1",)
    mask = drawn.label_map.mask("ROI-1")
    expected = (24**2 - hole_area(folder / "rt.dcm")) / 0.488281**2  # a square of 24 mm with a hole
    assert mask.any(axis=(1, 2)).tolist() == [True, False]
    assert abs(mask.sum() / expected - 1) < 0.03


def hole_area(path: Path) -> float:
    contours = pydicom.dcmread(path).ROIContourSequence[0].ContourSequence
    points = np.array(contours[1].ContourData, float).reshape(-1, 3)
    x, y = points[:, 0], points[:, 1]
    return abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2))
