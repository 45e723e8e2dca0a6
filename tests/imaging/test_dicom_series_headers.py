"""Reading headers: the quick way and the general one say the same of every file; mosaics with and without their headers."""

from __future__ import annotations

import contextlib
import gzip
import random
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian

from imaging.make_dicom import item, make_tags, make_volumes, write
from overread.core.errors import Refused
from overread.imaging.dicom import header as header_module
from overread.imaging.dicom.header import WANTED, Header, looks_like_dicom, read_header
from overread.imaging.dicom.planes import Plane
from overread.imaging.dicom.quick_tags import quick_tags
from overread.imaging.dicom.series import group_series, stack_of, volumes
from overread.imaging.dicom.stack import find_fault


def said(path: Path) -> object:
    try:
        return read_header(path)
    except Refused as refused:
        return refused.code, refused.what


def assert_both_ways_agree(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many files the quick way could read."""
    quick = 0
    for path in paths:
        with monkeypatch.context() as patch:
            patch.setattr(header_module, "quick_tags", lambda file, wanted: None)
            general = said(path)
        assert said(path) == general, path.name
        with open(path, "rb") as file:
            quick += quick_tags(file, WANTED) is not None
    return quick


@pytest.mark.filterwarnings("ignore")
def test_quick_and_general_headers_agree_on_the_files_of_pydicom(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(pydicom.data.__file__).parent
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and looks_like_dicom(path)]
    assert assert_both_ways_agree(paths, monkeypatch) > len(paths) // 3


@pytest.mark.filterwarnings("ignore")
def test_quick_and_general_headers_agree_on_real_files(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted((shared_data / "dicom").rglob("*.dcm"))
    assert assert_both_ways_agree(paths, monkeypatch) > 100


def test_quick_headers_know_implicit_coding_private_elements_and_nested_sequences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = make_tags(np.zeros((6, 5), np.int16), Modality="MR", DiffusionBValue=None)
    nested = item(ReferencedSOPInstanceUID="1.2", PurposeOfReferenceCodeSequence=[item(CodeValue="1")])
    tags.ReferencedImageSequence = [nested]
    tags["ReferencedImageSequence"].is_undefined_length = True
    tags.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", 800.0)
    explicit = write(tags, tmp_path / "explicit.dcm")
    tags.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    implicit = write(tags, tmp_path / "implicit.dcm")
    assert assert_both_ways_agree([explicit, implicit], monkeypatch) == 2
    assert [dict(read_header(path).planes[0].varies)["b-value"] for path in (explicit, implicit)] == [800.0, 800.0]


def test_names_in_other_alphabets_are_left_to_the_general_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = make_tags(np.zeros((6, 5), np.int16), SpecificCharacterSet="ISO_IR 192", SeriesDescription="Schädel ohne KM")
    path = write(tags, tmp_path / "a.dcm")
    assert assert_both_ways_agree([path], monkeypatch) == 0
    assert read_header(path).about["description"] == "Schädel ohne KM"


def test_a_long_private_element_before_the_pixels_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = make_tags(np.zeros((6, 5), np.int16))
    tags.private_block(0x0029, "SOMEBODY", create=True).add_new(0x20, "OB", bytes(200_000))
    assert assert_both_ways_agree([write(tags, tmp_path / "a.dcm")], monkeypatch) == 1


def test_mutated_headers_are_read_or_refused_by_name(shared_data: Path, tmp_path: Path) -> None:
    rng = random.Random(5)
    folder = shared_data / "dicom"
    sources = [
        folder / "enhanced" / "siemens_enhanced_mr" / "IM-0001-0001-0001.dcm",
        folder / "enhanced" / "philips_enhanced_dti_4d" / "IM-0001-3835-0001.dcm",
        *sorted((folder / "vendors" / "ge_mr").glob("*.dcm"))[:1],
    ]
    blobs = [path.read_bytes() for path in sources]
    read = 0
    for _ in range(150):
        damaged = bytearray(rng.choice(blobs))
        for _ in range(rng.choice((1, 3, 10))):
            damaged[rng.randrange(128, min(len(damaged), 20_000))] = rng.randrange(256)
        path = tmp_path / "a.dcm"
        path.write_bytes(damaged)
        with contextlib.suppress(Refused):
            for group in group_series([read_header(path)]):
                find_fault(stack_of(group, "It"), "It", gaps="resample", tilt="resample")
            read += 1
    assert 0 < read < 150  # both ends were reached


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("forgotten", ["nothing", "count", "count and image type", "count, image type and CSA header"])
def test_a_real_mosaic_is_known_whatever_its_header_lost(tmp_path: Path, forgotten: str) -> None:
    real = Path(nibabel.__file__).parent / "nicom" / "tests" / "data" / "siemens_dwi_0.dcm.gz"
    if not real.exists():
        pytest.skip("this nibabel came without its test files")
    path = tmp_path / "a.dcm"
    path.write_bytes(gzip.decompress(real.read_bytes()))
    tags = pydicom.dcmread(path, force=True)
    for word, tag in (("count", (0x0019, 0x100A)), ("image type", (0x0008, 0x0008)), ("CSA", (0x0029, 0x1010))):
        if word in forgotten:
            del tags[tag]
    tags.save_as(path)
    header = read_header(path)
    assert header.tiles == (1 if "CSA" in forgotten else 48)
    with pytest.raises(Refused) as refused:
        stack_of([header], "It")
    assert refused.value.code == "mosaic"


FIELDS = ("position", "orientation", "spacing", "slope", "intercept", "varies", "frame")
TRAITS = st.fixed_dictionaries(
    {},
    optional={
        "echo time": st.sampled_from([2.0, 5.0]),
        "b-value": st.sampled_from([0.0, 800.0]),
        "acquisition time": st.integers(0, 30).map(float),
        "image type": st.sampled_from(["M", "P"]),
    },
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    path = tmp_path_factory.mktemp("template") / "a.dcm"
    return read_header(write(make_tags(np.zeros((6, 5), np.int16)), path)).as_dict()


@settings(max_examples=150, deadline=None)
@given(slices=st.lists(st.tuples(st.integers(0, 4), TRAITS), min_size=1, max_size=24))
def test_splitting_loses_nothing_and_leaves_no_two_slices_in_one_place(
    template: dict[str, object], slices: list[tuple[int, dict[str, float | str]]]
) -> None:
    headers = []
    for k, (place, traits) in enumerate(slices):
        plane = Plane((0.0, 0.0, 2.5 * place), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.8, 0.7), varies=tuple(traits.items()))
        headers.append(Header.from_dict(template | {"path": f"{k}.dcm", "planes": [{f: getattr(plane, f) for f in FIELDS}]}))
    parts = volumes(headers)
    assert sorted(header.path for part in parts for header in part) == sorted(header.path for header in headers)
    if len(parts) > 1:
        assert len({part[0].about["volume"] for part in parts}) == len(parts)
        for part in parts:
            places = [header.planes[0].position for header in part]
            assert len(set(places)) == len(places)


def test_the_volumes_of_a_series_are_the_same_from_any_order_of_files(tmp_path: Path) -> None:
    make_volumes(tmp_path, [0.0, 2.5, 5.0], [{"EchoTime": 2.0}, {"EchoTime": 4.0}, {"EchoTime": 6.0}], Modality="MR")
    headers = [read_header(path) for path in tmp_path.glob("*.dcm")]
    one = [[header.path for header in group] for group in group_series(headers)]
    assert one == [[header.path for header in group] for group in group_series(headers[::-1])]


def test_a_number_of_frames_that_is_none_is_refused(tmp_path: Path) -> None:
    path = write(make_tags(np.zeros((6, 5), np.int16), NumberOfFrames=1), tmp_path / "a.dcm")
    content = path.read_bytes()
    element = content.index(b"\x28\0\x08\0IS")
    path.write_bytes(content[: element + 8] + b"1A" + content[element + 10 :])
    with pytest.raises(Refused, match="'1A' frames"):
        read_header(path)
