"""Several volumes in one series: told apart by what varies, named by it, or refused; and what is no volume at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from imaging.make_dicom import AXIAL, CT, SECONDARY_CAPTURE, make_series, make_tags, make_volumes, write
from overread.core.errors import Refused
from overread.imaging.dicom.header import Header, read_header
from overread.imaging.dicom.series import choose_volume, group_series, ineligible, stack_of
from overread.imaging.dicom.stack import find_fault

DEPTHS = [0.0, 2.5, 5.0, 7.5, 10.0, 12.5]
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def groups_in(folder: Path) -> list[list[Header]]:
    return group_series(read_header(path) for path in sorted(folder.rglob("*.dcm")))


def names(groups: Sequence[Sequence[Header]]) -> list[str]:
    return [str(group[0].about.get("volume", "")) for group in groups]


def refusal(headers: Sequence[Header]) -> Refused | None:
    try:
        return find_fault(stack_of(headers, "It"), "It")
    except Refused as refused:
        return refused


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        ([{"EchoTime": 4.6}, {"EchoTime": 2.3}], ["echo 1", "echo 2"]),
        ([{"EchoNumbers": 1}, {"EchoNumbers": 2}], ["echo 1", "echo 2"]),
        ([{"InversionTime": 150}, {"InversionTime": 2500}], ["inversion 1", "inversion 2"]),
        ([{"DiffusionBValue": 0}, {"DiffusionBValue": 800}], ["b 0", "b 800"]),
        ([{}, {"DiffusionBValue": 800.0}], ["no b-value", "b 800"]),
        ([{"FlipAngle": 5}, {"FlipAngle": 30}], ["flip 5 degrees", "flip 30 degrees"]),
        ([{"TemporalPositionIdentifier": n} for n in (1, 2, 3)], ["time 1", "time 2", "time 3"]),
        ([{"TriggerTime": n} for n in (10, 310, 610)], ["cardiac 1", "cardiac 2", "cardiac 3"]),
        ([{"NominalPercentageOfCardiacPhase": n} for n in (40, 75)], ["cardiac 40 %", "cardiac 75 %"]),
        ([{"FrameReferenceTime": n} for n in (15000, 45000)], ["time 1", "time 2"]),
        ([{"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}], ["kernel B30f", "kernel B70f"]),
        ([{"KVP": 80}, {"KVP": 140}], ["80 kV", "140 kV"]),
        ([{"AcquisitionNumber": 3}, {"AcquisitionNumber": 4}], ["phase 1", "phase 2"]),
        ([{"ImageType": ["ORIGINAL", "PRIMARY", t]} for t in "MP"], ["magnitude", "phase image"]),
        ([{"ImageType": ["ORIGINAL", "PRIMARY", "DIXON", t]} for t in "WF"], ["fat", "water"]),
        (
            [{"EchoTime": e, "ImageType": ["ORIGINAL", "PRIMARY", t]} for e in (2, 4) for t in "MP"],
            ["magnitude echo 1", "magnitude echo 2", "phase image echo 1", "phase image echo 2"],
        ),
    ],
)
def test_volumes_in_the_same_places_are_told_apart_by_the_tag_that_differs(
    tmp_path: Path, traits: list[dict[str, Any]], expected: list[str]
) -> None:
    make_volumes(tmp_path, DEPTHS, traits, Modality="MR")
    groups = groups_in(tmp_path)
    assert names(groups) == expected
    assert all(refusal(group) is None and len(group) == len(DEPTHS) for group in groups)
    assert len({header.path for group in groups for header in group}) == len(traits) * len(DEPTHS)


def test_each_volume_has_its_own_slices_in_order(tmp_path: Path) -> None:
    volumes = make_volumes(tmp_path, DEPTHS, [{"EchoTime": 9.2}, {"EchoTime": 4.6}], Modality="MR")
    groups = groups_in(tmp_path)
    for group, volume, echo in zip(groups, volumes[::-1], (4.6, 9.2), strict=True):
        ordered = [group[k] for k in stack_of(group, "It").order]
        read = np.stack([pydicom.dcmread(header.path).pixel_array for header in ordered])
        assert np.array_equal(read, volume)
        assert group[0].about["echo_time_ms"] == echo


def test_directions_are_separated_below_b_values(tmp_path: Path) -> None:
    directions = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]
    traits = [{"DiffusionBValue": 0}, *({"DiffusionBValue": 1000, "DiffusionGradientOrientation": d} for d in directions)]
    make_volumes(tmp_path, DEPTHS, traits, Modality="MR")
    assert names(groups_in(tmp_path)) == ["b 0", *(f"b 1000 direction {k}" for k in (1, 2, 3))]


def test_private_b_values_of_the_makers_are_known(tmp_path: Path) -> None:
    blocks = [
        (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", [0, 800]),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", [[1000000000, 8, 0, 0], [1000000800, 8, 0, 0]]),
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", [0.0, 800.0]),
    ]
    for maker, (where, creator, element, vr, values) in enumerate(blocks):
        folder = tmp_path / str(maker)
        make_volumes(folder, DEPTHS, [{"InstanceCreatorUID": "1.1"}, {"InstanceCreatorUID": "1.2"}], Modality="MR")
        for path in folder.glob("*.dcm"):
            tags = pydicom.dcmread(path)
            tags.private_block(where, creator, create=True).add_new(element, vr, values[int(tags.InstanceCreatorUID[-1]) - 1])
            tags.save_as(path)
        assert names(groups_in(folder)) == ["b 0", "b 800"], creator


def test_trigger_times_that_jitter_from_slice_to_slice_count_by_order(tmp_path: Path) -> None:
    jitter = [0.0, 1.5, 0.4, 2.2, 0.9, 1.1]
    make_volumes(tmp_path, DEPTHS, [{"TriggerTime": [start + j for j in jitter]} for start in (20.0, 60.0, 100.0)], Modality="MR")
    assert names(groups_in(tmp_path)) == ["cardiac 1", "cardiac 2", "cardiac 3"]


def test_volumes_that_followed_one_another_are_told_apart_by_the_clock(tmp_path: Path) -> None:
    clocks = [[f"1200{minute:02d}"[:4] + f"{minute:02d}" for minute in range(10 * k, 10 * k + 6)] for k in range(3)]
    make_volumes(tmp_path, DEPTHS, [{"AcquisitionTime": times, "AcquisitionDate": "20200102"} for times in clocks], Modality="MR")
    assert names(groups_in(tmp_path)) == ["time 1", "time 2", "time 3"]


def test_interleaved_times_do_not_make_volumes(tmp_path: Path) -> None:
    """Each place was imaged twice before the next: which images belong together cannot be known."""
    clocks = [[f"1200{2 * n + k:02d}" for n in range(6)] for k in range(2)]
    make_volumes(tmp_path, DEPTHS, [{"AcquisitionTime": times, "AcquisitionDate": "20200102"} for times in clocks], Modality="MR")
    (group,) = groups_in(tmp_path)
    fault = refusal(group)
    assert fault is not None
    assert fault.code == "duplicate-position"
    assert "12 slices in only 6 places, and no tag tells them apart" in fault.what
    assert "(-20.00, -30.00, 40.00)" in fault.what
    assert "and 3 more" in fault.what


def test_one_copy_of_one_slice_is_a_duplicate_not_a_volume(tmp_path: Path) -> None:
    make_series(tmp_path, [0.0, 2.5, 5.0, 5.0, 7.5], AcquisitionNumber=1)
    (group,) = groups_in(tmp_path)
    fault = refusal(group)
    assert fault is not None
    assert fault.code == "duplicate-position"
    assert "(-20.00, -30.00, 45.00) mm" in fault.what


def test_a_volume_with_a_missing_slice_is_refused_alone(tmp_path: Path) -> None:
    make_volumes(tmp_path, DEPTHS, [{"EchoTime": 2.0}, {"EchoTime": 4.0}], Modality="MR")
    next(p for p in tmp_path.glob("01-*-03.dcm")).unlink()
    good, bad = groups_in(tmp_path)
    assert refusal(good) is None
    fault = refusal(bad)
    assert fault is not None
    assert fault.code == "missing-slice"


def test_two_stacks_of_different_thickness_are_two_volumes(tmp_path: Path) -> None:
    make_series(tmp_path / "thick", [0.0, 5.0, 10.0, 15.0], SliceThickness=5.0)
    make_series(tmp_path / "thin", [float(k) for k in range(16)], SliceThickness=1.0)
    thick, thin = sorted(groups_in(tmp_path), key=len)
    assert names([thin, thick]) == ["1 mm thick", "5 mm thick"]
    assert refusal(thick) is None
    assert stack_of(thin, "It").spacing == pytest.approx(1.0)


def test_one_slice_in_many_phases_is_no_volume(tmp_path: Path) -> None:
    make_volumes(tmp_path, [0.0], [{"TriggerTime": 30.0 * k} for k in range(8)], Modality="MR")
    (group,) = groups_in(tmp_path)
    fault = refusal(group)
    assert fault is not None
    assert fault.code == "one-slice"
    assert "8 images of one slice" in fault.what


def test_geometries_of_one_series_are_split_where_that_leaves_volumes(tmp_path: Path) -> None:
    make_series(tmp_path / "a", [2.0 * k for k in range(20)])
    make_series(tmp_path / "b", [3.0 * k for k in range(20)], orientation=SAGITTAL)
    groups = groups_in(tmp_path)
    assert sorted(names(groups)) == ["axial", "sagittal"]
    make_series(tmp_path / "c", [1.5 * k for k in range(20)], PixelSpacing=[0.4, 0.4])
    assert sorted(names(groups_in(tmp_path))) == ["axial 0.4 x 0.4 mm", "axial 0.8 x 0.7 mm", "sagittal 0.8 x 0.7 mm"]


def test_few_slices_in_crossing_planes_are_a_localizer_whatever_its_name(tmp_path: Path) -> None:
    for k, orientation in enumerate((AXIAL, CORONAL, SAGITTAL)):
        make_series(tmp_path / str(k), [0.0, 20.0, 40.0], orientation=orientation)
    (group,) = groups_in(tmp_path)
    fault = refusal(group)
    assert fault is not None
    assert (fault.code, fault.next) == ("mixed-orientation", "this is usual for a localizer; choose another series")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PixelSpacing": [2, 2]}, "mixed-spacing"),
        ({"Rows": 4}, "mixed-size"),
        ({"ImageOrientationPatient": list(CORONAL)}, "mixed-orientation"),
    ],
)
def test_an_odd_slice_among_others_is_named(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    paths = make_series(tmp_path, DEPTHS)
    odd = next(p for p in paths if float(pydicom.dcmread(p).ImagePositionPatient[2]) == 47.5)
    tags = pydicom.dcmread(odd)
    for keyword, value in changes.items():
        setattr(tags, keyword, value)
    tags.PixelData = bytes(2 * tags.Rows * tags.Columns)
    tags.save_as(odd)
    (group,) = groups_in(tmp_path)
    fault = refusal(group)
    assert fault is not None
    assert fault.code == code


def test_an_odd_slice_at_the_end_does_not_cost_the_series(tmp_path: Path) -> None:
    make_series(tmp_path, DEPTHS)
    write(make_tags(np.zeros((4, 4), np.int16), ImagePositionPatient=[-20, -30, 90]), tmp_path / "odd.dcm")
    series, odd = sorted(groups_in(tmp_path), key=len, reverse=True)
    assert refusal(series) is None
    fault = refusal(odd)
    assert fault is not None
    assert fault.code == "one-slice"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"SeriesDescription": "AAHead_Scout_32ch"}, "localizer"),
        ({"SeriesDescription": "Topogram 0.6 T20f"}, "localizer"),
        ({"SeriesDescription": "Dose Report", "SOPClassUID": SECONDARY_CAPTURE}, "dose-page"),
        ({"SeriesDescription": "Patient Protocol"}, "dose-page"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "derived"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"], "Modality": "MR"}, "mosaic"),
        ({"AcquisitionMatrix": [0, 2, 2, 0], "Modality": "MR"}, "mosaic"),
        ({"SOPClassUID": SECONDARY_CAPTURE}, "secondary-capture"),
        ({"PixelData": None}, "no-pixels"),
    ],
)
def test_what_is_no_volume_is_told_apart_by_name(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    place = {"ImagePositionPatient": [0.0, 0.0, 0.0]}
    path = write(make_tags(np.zeros((12, 12), np.int16), CT, **(place | changes)), tmp_path / "a.dcm")
    found = ineligible([read_header(path)])
    assert found is not None
    assert found[0] == code


@pytest.mark.parametrize("description", ["T2 local excitation", "Liver pilots not", "Lobar perfusion", "planes of the heart"])
def test_words_that_only_resemble_a_localizer_are_none(tmp_path: Path, description: str) -> None:
    path = write(make_tags(np.zeros((12, 12), np.int16), SeriesDescription=description), tmp_path / "a.dcm")
    assert ineligible([read_header(path)]) is None


def test_a_scout_filed_in_the_series_does_not_spoil_it(tmp_path: Path) -> None:
    make_series(tmp_path, DEPTHS)
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImageOrientationPatient": list(CORONAL)}
    write(make_tags(np.zeros((6, 5), np.int16), ImagePositionPatient=[0, 0, 0], **scout), tmp_path / "scout.dcm")
    series, alone = sorted(groups_in(tmp_path), key=len, reverse=True)
    assert refusal(series) is None
    assert ineligible(alone) == ("localizer", "a localizer or scout")


def test_frames_of_reference_are_never_mixed(tmp_path: Path) -> None:
    make_series(tmp_path / "a", DEPTHS, FrameOfReferenceUID="1.2.3.5")
    make_series(tmp_path / "b", DEPTHS, FrameOfReferenceUID="1.2.3.6")
    groups = groups_in(tmp_path)
    assert [len(group) for group in groups] == [6, 6]
    assert all(refusal(group) is None for group in groups)


def test_a_mosaic_is_refused_also_when_opened_by_name(tmp_path: Path) -> None:
    tags = make_tags(np.zeros((12, 12), np.int16), Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    header = read_header(write(tags, tmp_path / "a.dcm"))
    with pytest.raises(Refused, match="tiled into one picture"):
        stack_of([header], "It")


def test_a_volume_is_named_by_its_number(tmp_path: Path) -> None:
    make_volumes(tmp_path, DEPTHS, [{"EchoTime": 2.0}, {"EchoTime": 4.0}], Modality="MR")
    headers = [read_header(path) for path in sorted(tmp_path.glob("*.dcm"))]
    with pytest.raises(Refused, match=r"2 volumes that differ in echo time") as refused:
        choose_volume(headers, None, "It")
    assert "0 (echo 1), 1 (echo 2)" in refused.value.next
    chosen, rest = choose_volume(headers, 1, "It")
    assert rest is None
    assert {header.about["echo_time_ms"] for header in chosen} == {4.0}
    with pytest.raises(Refused, match="there is no volume 2"):
        choose_volume(headers, 2, "It")


def test_headers_travel_through_a_cache(tmp_path: Path) -> None:
    make_volumes(tmp_path, DEPTHS[:3], [{"EchoTime": 2.0, "StackID": "1"}], Modality="MR")
    header = read_header(next(tmp_path.glob("*.dcm")))
    assert Header.from_dict(header.as_dict()) == header
