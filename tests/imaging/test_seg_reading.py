"""What DICOM segmentations may hold beyond plain masks: fractions, label maps, empty frames, other frames of reference."""

from __future__ import annotations

import warnings
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentationTypeValues, SegmentDescription
from pydicom.sr.codedict import codes

from imaging.make_dicom import make_series
from overread.core.errors import OverreadError, Refused
from overread.imaging.dicom.seg_reading import read_seg, seg_facts
from overread.imaging.dicom.volume import open_dicom

DEPTHS = [0.0, 2.5, 5.0, 7.5, 10.0]


def write(path: Path, files: list[Path], pixels: np.ndarray, kind: str, names: tuple[str, ...], **options: object) -> Path:
    """pixels (Z, Y, X) or (Z, Y, X, segments), in the order of the slices."""
    sources = sorted(map(pydicom.dcmread, files), key=lambda d: float(d.ImagePositionPatient[2]))
    described = [
        SegmentDescription(
            segment_number=k,
            segment_label=name,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for k, name in enumerate(names, start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=pixels,
            segmentation_type=SegmentationTypeValues[kind],
            segment_descriptions=described,
            series_instance_uid=hd.UID(),
            series_number=1,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="Maker",
            manufacturer_model_name="Model",
            software_versions="1",
            device_serial_number="0",
            **options,
        )
        made.save_as(path)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return make_series(tmp_path / "ct", DEPTHS)


@pytest.mark.filterwarnings("ignore")
def test_fractions_belong_from_the_stated_threshold(tmp_path: Path, files: list[Path]) -> None:
    pixels = np.zeros((5, 6, 5), np.float32)
    pixels[2, 1:4, 1:4] = np.array([[0.1, 0.3, 0.49], [0.51, 0.6, 0.8], [0.9, 0.95, 1.0]])
    path = write(tmp_path / "f.dcm", files, pixels, "FRACTIONAL", ("a",), max_fractional_value=200)
    grid = open_dicom(files).grid
    assert seg_facts(path).fraction == "PROBABILITY"
    np.testing.assert_array_equal(read_seg(path, grid).mask("a"), pixels >= 0.5)
    np.testing.assert_array_equal(read_seg(path, grid, threshold=0.85).mask("a"), pixels >= 0.85)
    with pytest.raises(OverreadError, match="expected more than 0, at most 1"):
        read_seg(path, grid, threshold=0)


@pytest.mark.filterwarnings("ignore")
def test_label_maps_come_back_exactly(tmp_path: Path, files: list[Path]) -> None:
    pixels = np.zeros((5, 6, 5), np.uint8)
    pixels[1:3, 1:4, 1:4], pixels[3, 2, 2] = 1, 2
    path = write(tmp_path / "l.dcm", files, pixels, "LABELMAP", ("a", "b"))
    grid = open_dicom(files).grid
    np.testing.assert_array_equal(read_seg(path, grid).layers[0], pixels)
    assert seg_facts(path).kind == "LABELMAP"


@pytest.mark.filterwarnings("ignore")
def test_overlap_and_empty_frames(tmp_path: Path, files: list[Path]) -> None:
    pixels = np.zeros((5, 6, 5, 3), np.uint8)
    pixels[1:3, 1:5, 1:4, 0], pixels[2, 2:4, 2:4, 1] = 1, 1
    kept = write(tmp_path / "k.dcm", files, pixels, "BINARY", ("a", "b", "none"), omit_empty_frames=False)
    left = write(tmp_path / "o.dcm", files, pixels, "BINARY", ("a", "b", "none"))
    grid = open_dicom(files).grid
    for path in (kept, left):
        label_map = read_seg(path, grid)
        assert label_map.names == ("a", "b", "none")
        for k, name in enumerate(label_map.names):
            np.testing.assert_array_equal(label_map.mask(name), pixels[..., k] == 1)
    assert len(pydicom.dcmread(kept).PerFrameFunctionalGroupsSequence) == 15
    facts = seg_facts(left)
    sources = {str(pydicom.dcmread(f).SOPInstanceUID) for f in files}
    assert facts.sources <= sources
    assert len(facts.sources) >= 2
    assert facts.series == ("1.2.3.4",)


@pytest.mark.filterwarnings("ignore")
def test_another_frame_of_reference_is_refused(tmp_path: Path, files: list[Path]) -> None:
    path = write(tmp_path / "a.dcm", files, np.ones((5, 6, 5), np.uint8), "BINARY", ("a",))
    grid = open_dicom(files).grid
    assert read_seg(path, grid, frame_of_reference="1.2.3.5").layers.all()
    with pytest.raises(Refused, match=r"another frame of reference than the image \(1\.2\.3\.5 against 9\.9\)") as refusal:
        read_seg(path, grid, frame_of_reference="9.9")
    assert refusal.value.code == "other-frame-of-reference"


@pytest.mark.filterwarnings("ignore")
def test_damage_is_named(tmp_path: Path, files: list[Path]) -> None:
    path = write(tmp_path / "a.dcm", files, np.ones((5, 6, 5), np.uint8), "BINARY", ("a",))
    tags = pydicom.dcmread(path)
    tags.PerFrameFunctionalGroupsSequence = tags.PerFrameFunctionalGroupsSequence[:3]
    tags.save_as(tmp_path / "b.dcm")
    with pytest.raises(Refused, match="has 5 frames and describes 3 of them"):
        read_seg(tmp_path / "b.dcm")
    tags = pydicom.dcmread(path)
    tags.SharedFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7
    tags.save_as(tmp_path / "c.dcm")
    with pytest.raises(Refused, match="a frame shows segment 7"):
        read_seg(tmp_path / "c.dcm")
