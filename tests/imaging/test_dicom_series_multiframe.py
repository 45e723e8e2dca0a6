"""Enhanced and converted multi-frame objects: where each frame lies, which volume it belongs to, in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imaging.make_dicom import (
    ENHANCED_CT,
    ENHANCED_MR,
    ENHANCED_PET,
    LEGACY_CONVERTED_CT,
    SECONDARY_CAPTURE,
    item,
    make_enhanced,
    make_tags,
    write,
)
from overread.core.errors import Refused
from overread.imaging.dicom.header import Header, read_header
from overread.imaging.dicom.series import choose_volume, frames_fault, group_series, stack_of
from overread.imaging.dicom.stack import find_fault

SAGITTAL = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]


def frames_of(depths: list[float], **groups: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"position": (-10.0, -20.0, depth), **groups} for depth in depths]


def pixels_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 900, (count, 6, 5)).astype(np.int16)


def header_of(folder: Path, frames: list[dict[str, Any]], sop_class: str = ENHANCED_MR, **changes: Any) -> Header:
    tags = make_enhanced(pixels_of(len(frames)), frames, sop_class, **changes)
    return read_header(write(tags, folder / f"{len(list(folder.iterdir()))}.dcm"))


def named(header: Header) -> dict[str, list[int]]:
    """Frame numbers of each volume in order along the normal, by its name."""
    found = {}
    for (part,) in group_series([header]):
        planes = [part.planes[k] for k in stack_of([part], "It").order]
        found[str(part.about.get("volume", ""))] = [plane.frame for plane in planes]
    return found


@pytest.mark.parametrize("sop_class", [ENHANCED_CT, ENHANCED_MR, ENHANCED_PET, LEGACY_CONVERTED_CT])
def test_frames_are_ordered_by_their_own_positions(tmp_path: Path, sop_class: str) -> None:
    header = header_of(tmp_path, frames_of([6.0, 0.0, 3.0, 9.0]), sop_class)
    assert named(header) == {"": [1, 2, 0, 3]}
    stack = stack_of([header], "It")
    assert find_fault(stack, "It") is None
    np.testing.assert_allclose(stack.grid().affine[:3, 3], (-10, -20, 0))
    assert stack.grid().spacing == pytest.approx((3.0, 0.8, 0.7))


def test_own_groups_win_over_shared_ones(tmp_path: Path) -> None:
    frames = [f | {"PixelMeasuresSequence": {"PixelSpacing": [0.5, 0.6]}} for f in frames_of([0.0, 2.0, 4.0])]
    header = header_of(tmp_path, frames)
    assert {plane.spacing for plane in header.planes} == {(0.5, 0.6)}


def test_frames_rescale_each_for_itself(tmp_path: Path) -> None:
    frames = [
        f | {"PixelValueTransformationSequence": {"RescaleSlope": k + 1, "RescaleIntercept": -k, "RescaleType": "US"}}
        for k, f in enumerate(frames_of([4.0, 2.0, 0.0]))
    ]
    header = header_of(tmp_path, frames)
    ordered = [header.planes[k] for k in stack_of([header], "It").order]
    assert [(plane.frame, plane.slope, plane.intercept) for plane in ordered] == [(2, 3, -2), (1, 2, -1), (0, 1, 0)]


def frame_type(component: str) -> dict[str, Any]:
    values = {"FrameType": ["ORIGINAL", "PRIMARY", "X", "NONE"], "ComplexImageComponent": component}
    return {"MRImageFrameTypeSequence": values}


def one_tag(sequence: str, keyword: str, *values: Any) -> list[dict[str, Any]]:
    """A functional group per value."""
    return [{sequence: {keyword: value}} for value in values]


CARDIAC = "CardiacSynchronizationSequence"
CASES: list[tuple[list[dict[str, Any]], list[str]]] = [
    (one_tag("MREchoSequence", "EffectiveEchoTime", 2.0, 5.0), ["echo 1", "echo 2"]),
    (one_tag("MRDiffusionSequence", "DiffusionBValue", 0.0, 50.0), ["b 0", "b 50"]),
    (one_tag("FrameContentSequence", "TemporalPositionIndex", 1, 2), ["time 1", "time 2"]),
    (one_tag("TemporalPositionSequence", "TemporalPositionTimeOffset", 0.0, 12.5), ["time 1", "time 2"]),
    (one_tag(CARDIAC, "NominalPercentageOfCardiacPhase", 30.0, 70.0), ["cardiac 30 %", "cardiac 70 %"]),
    (one_tag("CTReconstructionSequence", "ConvolutionKernel", "A", "B"), ["kernel A", "kernel B"]),
    (one_tag("UnassignedPerFrameConvertedAttributesSequence", "EchoTime", 2.0, 5.0), ["echo 1", "echo 2"]),
    ([frame_type("MAGNITUDE"), frame_type("PHASE")], ["magnitude", "phase image"]),
]


@pytest.mark.parametrize(("groups", "expected"), CASES)
def test_volumes_of_one_file_are_named_by_what_varies(tmp_path: Path, groups: list[dict[str, Any]], expected: list[str]) -> None:
    frames = [{"position": (-10.0, -20.0, 3.0 * n), **own} for n in range(4) for own in groups]
    header = header_of(tmp_path, frames)
    assert named(header) == {expected[0]: [0, 2, 4, 6], expected[1]: [1, 3, 5, 7]}
    parts = group_series([header])
    assert [part[0].volume for part in parts] == [0, 1]
    chosen, rest = choose_volume([header], 1, "It")
    assert (rest, [plane.frame for plane in chosen[0].planes]) == (None, [1, 3, 5, 7])
    with pytest.raises(Refused, match="8 slices: 2 volumes that differ in") as refused:
        stack_of([header], "It")
    assert refused.value.code == "several-volumes"


def test_a_dimension_of_the_makers_own_separates_volumes(tmp_path: Path) -> None:
    """Nothing but the Dimension Index Values says which frame is which."""
    frames = [
        {"position": (0.0, 0.0, 2.0 * n), "FrameContentSequence": {"DimensionIndexValues": [k + 1, n + 1]}}
        for k in range(2)
        for n in range(4)
    ]
    tags = make_enhanced(pixels_of(8), frames)
    tags.DimensionIndexSequence = [
        item(DimensionIndexPointer=0x00211001, DimensionDescriptionLabel="Energy level"),
        item(DimensionIndexPointer=0x00200032),
    ]
    header = read_header(write(tags, tmp_path / "a.dcm"))
    assert named(header) == {"energy level 1": [0, 1, 2, 3], "energy level 2": [4, 5, 6, 7]}


def test_stacks_of_different_orientation_are_volumes_of_their_own(tmp_path: Path) -> None:
    axial = [f | {"FrameContentSequence": {"StackID": "1"}} for f in frames_of([2.0 * k for k in range(18)])]
    sagittal = [
        {"position": (3.0 * k, 0.0, 0.0), "PlaneOrientationSequence": {"ImageOrientationPatient": SAGITTAL}} for k in range(18)
    ]
    found = named(header_of(tmp_path, axial + sagittal))
    assert found == {"axial": list(range(18)), "sagittal": list(range(35, 17, -1))}  # its normal points to the right


def test_parallel_stacks_side_by_side_are_volumes_of_their_own(tmp_path: Path) -> None:
    left, right = frames_of([0.0, 2.0, 4.0]), frames_of([0.0, 2.0, 4.0])
    for frame in right:
        frame["position"] = (90.0, *frame["position"][1:])
    assert named(header_of(tmp_path, left + right)) == {"stack 1": [0, 1, 2], "stack 2": [3, 4, 5]}


def test_parts_of_a_concatenation_are_one_volume(tmp_path: Path) -> None:
    one = header_of(tmp_path, frames_of([0.0, 2.0, 4.0]), ConcatenationUID="1.2.9")
    other = header_of(tmp_path, frames_of([6.0, 8.0]), ConcatenationUID="1.2.9")
    (group,) = group_series([other, one])
    stack = stack_of(group, "It")
    assert find_fault(stack, "It") is None
    assert len(stack.depth) == 5


def test_files_with_one_frame_each_are_slices_of_a_series(tmp_path: Path) -> None:
    headers = [header_of(tmp_path, frames_of([depth]), ENHANCED_CT) for depth in (4.0, 0.0, 2.0)]
    (group,) = group_series(headers)
    assert stack_of(group, "It").order == (1, 2, 0)


def test_frames_that_cannot_be_placed_are_refused_by_name(tmp_path: Path) -> None:
    frames = frames_of([0.0, 2.0, 4.0])
    del frames[1]["position"]
    header = header_of(tmp_path, frames)
    assert header.planes == ()
    with pytest.raises(Refused, match="no usable position"):
        stack_of([header], "It")
    assert frames_fault(header, "It").code == "no-geometry"


def test_fewer_groups_than_frames_are_refused_by_name(tmp_path: Path) -> None:
    tags = make_enhanced(pixels_of(4), frames_of([0.0, 2.0, 4.0]))
    tags.NumberOfFrames = 4
    header = read_header(write(tags, tmp_path / "a.dcm"))
    assert header.planes == ()


def test_a_cine_loop_has_no_place_in_the_patient(tmp_path: Path) -> None:
    tags = make_tags(np.zeros((6, 5), np.uint8), SECONDARY_CAPTURE, NumberOfFrames=3, Modality="XA", PixelData=None)
    tags.PixelData = bytes(90)
    header = read_header(write(tags, tmp_path / "a.dcm"))
    assert frames_fault(header, "It").code == "multi-frame"


def test_real_diffusion_frames_are_told_apart(shared_data: Path) -> None:
    header = read_header(shared_data / "dicom" / "enhanced" / "philips_enhanced_dti_4d" / "IM-0001-3835-0001.dcm")
    found = named(header)
    assert list(found) == ["b 0", *(f"b 1300 direction {k}" for k in (1, 2, 3))]
    assert [len(frames) for frames in found.values()] == [8, 8, 8, 8]
    assert sorted(frame for frames in found.values() for frame in frames) == list(range(32))
