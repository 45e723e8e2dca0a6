"""MetaImage in: geometry as SimpleITK gives it, every way to keep voxels, every refusal."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.errors import Refused
from overread.imaging.mha import is_mha, open_mha, read_mha_header

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5) * 100  # (Z, Y, X)


def text(path: Path, content: bytes = b"", **fields: object) -> Path:
    """A header by hand: the fields of a small int16 volume, with some replaced (None leaves one out)."""
    known: dict[str, object] = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "10 20 30",
        "ElementSpacing": "1 2 3",
        "DimSize": "5 4 3",
        "ElementType": "MET_SHORT",
    }
    known |= fields
    data_file = known.pop("ElementDataFile", "LOCAL")
    lines = [f"{k} = {v}" for k, v in known.items() if v is not None] + [f"ElementDataFile = {data_file}"]
    path.write_bytes("\n".join(lines).encode() + b"\n" + content)
    return path


@given(
    numbers=st.lists(st.floats(-1, 1), min_size=9, max_size=9),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    is_packed=st.booleans(),
    suffix=st.sampled_from([".mha", ".mhd"]),
)
@settings(max_examples=40, deadline=None)
def test_any_grid_lies_where_simpleitk_says(
    tmp_path_factory: pytest.TempPathFactory,
    numbers: list[float],
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
    is_packed: bool,
    suffix: str,
) -> None:
    rotation, _ = np.linalg.qr(np.array(numbers).reshape(3, 3) + 2 * np.eye(3))
    oracle = sitk.GetImageFromArray(VOXELS)
    oracle.SetSpacing(spacing)
    oracle.SetOrigin(origin)
    oracle.SetDirection(rotation.ravel().tolist())
    path = tmp_path_factory.mktemp("mha") / f"a{suffix}"
    sitk.WriteImage(oracle, str(path), is_packed)
    image, again = open_mha(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(image.array[0], VOXELS)
    assert "notes" not in image.source
    for index in np.random.default_rng(0).uniform(0, 3, (20, 3)):
        place = again.TransformContinuousIndexToPhysicalPoint(index[::-1].tolist())
        np.testing.assert_allclose(image.grid.to_world(index), place, atol=1e-3 * min(spacing))
    assert bool(read_mha_header(path).companions) == (suffix == ".mhd")


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_types(tmp_path: Path, dtype: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray((VOXELS // 100).astype(dtype)), str(tmp_path / "a.mha"))
    image = open_mha(tmp_path / "a.mha")
    np.testing.assert_array_equal(image.array[0], VOXELS // 100)
    assert image.array.dtype.itemsize <= 4


def test_byte_order_text_packing_and_header_size(tmp_path: Path) -> None:
    raw, packed = VOXELS.tobytes(), zlib.compress(VOXELS.tobytes())
    (tmp_path / "v.raw").write_bytes(b"header" + raw)
    for fields, content in (
        ({"BinaryDataByteOrderMSB": True}, VOXELS.astype(">i2").tobytes()),
        ({"BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": "True"}, VOXELS.astype(">i2").tobytes()),
        ({"BinaryData": False}, " ".join(map(str, VOXELS.ravel())).encode()),
        ({"CompressedData": True, "CompressedDataSize": len(packed)}, packed),
        ({"HeaderSize": 6, "ElementDataFile": "v.raw"}, b""),
        ({"HeaderSize": -1, "ElementDataFile": "v.raw"}, b""),
        ({"ElementSpacing": None, "ElementSize": "1 2 3", "Offset": None, "Position": "10 20 30"}, raw),
        ({"TransformMatrix": None, "Rotation": "1 0 0 0 1 0 0 0 1"}, raw),
    ):
        path = text(tmp_path / "a.mhd", content, **fields)
        image = open_mha(path)
        np.testing.assert_array_equal(image.array[0], VOXELS)
        np.testing.assert_allclose(image.grid.to_world(np.array([1, 1, 1])), (11, 22, 33))


def test_slices_in_files_of_their_own(tmp_path: Path) -> None:
    names = [f"s{k:02d}.raw" for k in range(3)]
    for name, plane in zip(names, VOXELS, strict=True):
        (tmp_path / name).write_bytes(plane.tobytes())
    listed = text(tmp_path / "list.mhd", "\n".join(names).encode(), ElementDataFile="LIST")
    pattern = text(tmp_path / "pattern.mhd", ElementDataFile="s%02d.raw 0 2 1")
    for path in (listed, pattern):
        np.testing.assert_array_equal(open_mha(path).array[0], VOXELS)
        assert read_mha_header(path).companions == tuple(names)


def test_channels_times_and_planes(tmp_path: Path) -> None:
    two = np.stack([VOXELS, VOXELS + 1])
    sitk.WriteImage(sitk.GetImageFromArray(np.moveaxis(two, 0, -1), isVector=True), str(tmp_path / "c.mha"))
    np.testing.assert_array_equal(open_mha(tmp_path / "c.mha").array, two)
    sitk.WriteImage(sitk.GetImageFromArray(two, isVector=False), str(tmp_path / "t.mha"))
    np.testing.assert_array_equal(open_mha(tmp_path / "t.mha").array, two)
    np.testing.assert_array_equal(open_mha(tmp_path / "t.mha", 1).array[0], VOXELS + 1)
    with pytest.raises(Refused, match="there is no volume 2"):
        open_mha(tmp_path / "t.mha", 2)
    plane = sitk.GetImageFromArray(VOXELS[0])
    plane.SetSpacing((0.5, 0.25))
    plane.SetOrigin((3, 4))
    sitk.WriteImage(plane, str(tmp_path / "p.mha"))
    image = open_mha(tmp_path / "p.mha")
    assert image.grid.is_planar
    assert image.grid.spacing[1:] == (0.25, 0.5)
    np.testing.assert_allclose(image.grid.to_world(np.array([0, 0, 0]))[:2], (3, 4))
    np.testing.assert_array_equal(image.array[0, 0], VOXELS[0])


def test_units_and_unknown_spacing(tmp_path: Path) -> None:
    micron = open_mha(text(tmp_path / "a.mha", VOXELS.tobytes(), DistanceUnits="um"))
    assert micron.grid.spacing == pytest.approx((0.003, 0.002, 0.001))
    assert micron.source["notes"] == ["lengths converted from um to mm"]
    bare = open_mha(text(tmp_path / "b.mha", VOXELS.tobytes(), ElementSpacing=None))
    assert not bare.grid.spacing_known
    assert "no ElementSpacing" in bare.source["notes"][0]


def test_the_matrix_counts_and_letters_that_contradict_it_are_said(tmp_path: Path) -> None:
    for letters in ("RAI", "LPS"):  # "from" and "to": both customs are in use
        assert "notes" not in open_mha(text(tmp_path / "a.mha", VOXELS.tobytes(), AnatomicalOrientation=letters)).source
    odd = open_mha(text(tmp_path / "a.mha", VOXELS.tobytes(), AnatomicalOrientation="RSA"))
    assert odd.source["notes"] == ["AnatomicalOrientation says RSA, TransformMatrix RAI; the matrix was taken"]
    path = text(tmp_path / "a.mha", VOXELS.tobytes(), AnatomicalOrientation="RSA", TransformMatrix=None)
    with pytest.raises(Refused) as refusal:
        open_mha(path)
    assert refusal.value.code == "orientation-conflict"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"ObjectType": "Tube"}, "unreadable"),
        ({"NDims": 2}, "bad-shape"),
        ({"DimSize": "5 4 -3"}, "bad-shape"),
        ({"DimSize": "5 4 x"}, "bad-header"),
        ({"DimSize": "5 4 4"}, "truncated"),
        ({"DimSize": "60000 60000 60000"}, "too-large"),
        ({"DimSize": "6000 6000 3", "CompressedData": True}, "truncated"),
        ({"DimSize": "nan 4 3"}, "bad-header"),
        ({"ElementType": "MET_STRING"}, "bad-type"),
        ({"ElementNumberOfChannels": 0}, "bad-shape"),
        ({"ElementNumberOfChannels": 60, "DimSize": "1 1 1"}, "four-dimensional"),
        ({"ElementSpacing": "1 2"}, "bad-affine"),
        ({"ElementSpacing": "1 2 0"}, "bad-affine"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "bad-affine"),
        ({"TransformMatrix": "2 0 0 0 1 0 0 0 1"}, "bad-affine"),
        ({"DistanceUnits": "furlong"}, "bad-units"),
        ({"BinaryData": "maybe"}, "bad-header"),
        ({"HeaderSize": -4}, "bad-header"),
        ({"CompressedData": True}, "truncated"),
        ({"CompressedData": True, "CompressedDataSize": 9999}, "truncated"),
        ({"ElementDataFile": "../a.raw"}, "data-file-elsewhere"),
        ({"ElementDataFile": "none.raw"}, "missing-data-file"),
        ({"ElementDataFile": "s%99999d.raw 1 3 1"}, "bad-header"),
    ],
)
def test_refused_headers(tmp_path: Path, fields: dict[str, object], code: str) -> None:
    path = text(tmp_path / "a.mha", VOXELS.tobytes(), **fields)
    with pytest.raises(Refused, match=r"a\.mha") as refusal:
        open_mha(path)
    assert refusal.value.code == code, str(refusal.value)


def test_damage_is_named(tmp_path: Path) -> None:
    assert is_mha(Path("A.MHD"))
    for content, code in ((b"", "empty-file"), (b"text" * 99, "unreadable"), (bytes(range(256)) * 9, "unreadable")):
        (tmp_path / "a.mha").write_bytes(content)
        with pytest.raises(Refused) as refusal:
            open_mha(tmp_path / "a.mha")
        assert refusal.value.code == code
