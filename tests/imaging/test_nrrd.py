"""NRRD in: geometry as pynrrd and SimpleITK give it, every encoding, every refusal."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.errors import Refused
from overread.imaging.nrrd import is_nrrd, nrrd_stem, open_nrrd, read_nrrd_header

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5) * 100  # (Z, Y, X)
TO_LPS = {"left-posterior-superior": (1, 1, 1), "RAS": (-1, -1, 1), "left-anterior-superior": (1, -1, 1)}


def rotation(numbers: list[float]) -> np.ndarray:
    turned, _ = np.linalg.qr(np.array(numbers).reshape(3, 3) + 2 * np.eye(3))
    return turned


def text(path: Path, *lines: str, content: bytes = b"", **fields: object) -> Path:
    """A header by hand: the fields of a small int16 volume, with some replaced (None leaves one out)."""
    known: dict[str, object] = {
        "type": "int16",
        "dimension": 3,
        "space": "LPS",
        "sizes": "5 4 3",
        "space_directions": "(1,0,0) (0,2,0) (0,0,3)",
        "space_origin": "(10,20,30)",
        "endian": "little",
        "encoding": "raw",
    }
    known |= fields
    header = ["NRRD0005", *(f"{k.replace('_', ' ')}: {v}" for k, v in known.items() if v is not None), *lines, "", ""]
    path.write_bytes("\n".join(header).encode() + content)
    return path


@given(
    numbers=st.lists(st.floats(-1, 1), min_size=9, max_size=9),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    space=st.sampled_from(sorted(TO_LPS)),
    mirrored=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_any_space_lies_where_pynrrd_says(
    tmp_path_factory: pytest.TempPathFactory,
    numbers: list[float],
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
    space: str,
    mirrored: bool,
) -> None:
    directions = rotation(numbers) * spacing
    if mirrored:
        directions[:, 0] *= -1  # left-handed axes are as good as any
    path = tmp_path_factory.mktemp("nrrd") / "a.nrrd"
    header = {"space": space, "space directions": directions.T, "space origin": origin}
    nrrd.write(str(path), VOXELS.T, header)
    image = open_nrrd(path)
    np.testing.assert_array_equal(image.array[0], VOXELS)
    read, found = nrrd.read(str(path))
    for index in np.random.default_rng(0).uniform(0, 3, (20, 3)):
        place = found["space origin"] + found["space directions"].T @ index[::-1]
        np.testing.assert_allclose(image.grid.to_world(index), place * TO_LPS[space], atol=1e-3 * min(spacing))
    assert read.shape == image.array.shape[:0:-1]


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr"])
def test_simpleitk_files_lie_where_simpleitk_says(tmp_path: Path, name: str, is_packed: bool) -> None:
    oracle = sitk.GetImageFromArray(VOXELS)
    oracle.SetSpacing((0.7, 0.8, 2.5))
    oracle.SetOrigin((-120, 33, 7.5))
    oracle.SetDirection(rotation([0.1, 0.4, -0.2, 0.3, 0, 0.5, -0.6, 0.2, 0.1]).ravel().tolist())
    sitk.WriteImage(oracle, str(tmp_path / name), is_packed)
    image = open_nrrd(tmp_path / name)
    np.testing.assert_array_equal(image.array[0], VOXELS)
    for index in np.random.default_rng(1).uniform(0, 3, (20, 3)):
        place = oracle.TransformContinuousIndexToPhysicalPoint(index[::-1].tolist())
        np.testing.assert_allclose(image.grid.to_world(index), place, atol=7e-4)
    assert bool(read_nrrd_header(tmp_path / name).companions) == name.endswith(".nhdr")


@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">i2", "<u2", "<i4", "<u4", "<i8", ">f4", "<f8"])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_types_and_encodings(tmp_path: Path, dtype: str, encoding: str) -> None:
    voxels = (VOXELS // 100).astype(dtype)
    nrrd.write(str(tmp_path / "a.nrrd"), voxels.T, {"encoding": encoding, "spacings": [1.0, 1.0, 1.0]})
    image = open_nrrd(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(image.array[0], voxels.astype(float))
    assert image.array.dtype.isnative
    assert image.array.dtype.itemsize <= 4


def test_hex_line_skip_and_byte_skip(tmp_path: Path) -> None:
    raw = VOXELS.astype("<i2").tobytes()
    for fields, content in (
        ({"encoding": "hex"}, raw.hex("\n", 8).encode()),
        ({"line_skip": 2, "byte_skip": 3}, b"one\ntwo\n123" + raw),
        ({"byte_skip": -1}, b"anything" * 9 + raw),
        ({"encoding": "gzip", "byte_skip": 4}, gzip.compress(b"1234" + raw)),
        ({"encoding": "gzip"}, gzip.compress(raw[:50]) + gzip.compress(raw[50:])),
        ({"encoding": "bz2", "line_skip": 1}, b"line\n" + bz2.compress(raw[:70]) + bz2.compress(raw[70:])),
    ):
        path = text(tmp_path / "a.nrrd", content=content, **fields)
        np.testing.assert_array_equal(open_nrrd(path).array[0], VOXELS)


def test_detached_data_in_one_file_a_list_and_a_pattern(tmp_path: Path) -> None:
    for k, plane in enumerate(VOXELS):
        (tmp_path / f"s{k:02d}.raw").write_bytes(plane.tobytes())
    names = [f"s{k:02d}.raw" for k in range(3)]
    listed = text(tmp_path / "list.nhdr")
    listed.write_text(listed.read_text().rstrip("\n") + "\ndata file: LIST\n" + "\n".join(names) + "\n")
    pattern = text(tmp_path / "pattern.nhdr", data_file="s%02d.raw 0 2 1")
    for path in (listed, pattern):
        np.testing.assert_array_equal(open_nrrd(path).array[0], VOXELS)
        assert read_nrrd_header(path).companions == tuple(names)
    for wrong, code in (
        ("../s00.raw", "data-file-elsewhere"),
        ("/etc/hosts", "data-file-elsewhere"),
        ("no.raw", "missing-data-file"),
    ):
        with pytest.raises(Refused) as refusal:
            open_nrrd(text(tmp_path / "wrong.nhdr", data_file=wrong))
        assert refusal.value.code == code


def test_channels_come_from_the_axis_that_is_not_space(tmp_path: Path) -> None:
    two = np.stack([VOXELS, VOXELS + 1])
    directions = "none (1,0,0) (0,2,0) (0,0,3)"
    first = text(
        tmp_path / "first.nrrd",
        content=np.moveaxis(two, 0, -1).tobytes(),
        dimension=4,
        sizes="2 5 4 3",
        space_directions=directions,
        kinds="list domain domain domain",
    )
    last = text(
        tmp_path / "last.nrrd",
        content=two.tobytes(),
        dimension=4,
        sizes="5 4 3 2",
        space_directions="(1,0,0) (0,2,0) (0,0,3) none",
        kinds="domain domain domain list",
    )
    for path in (first, last):
        image = open_nrrd(path)
        np.testing.assert_array_equal(image.array, two)
        assert image.grid.spacing == (3, 2, 1)
        np.testing.assert_array_equal(open_nrrd(path, 1).array[0], VOXELS + 1)
        with pytest.raises(Refused, match="there is no volume 2"):
            open_nrrd(path, 2)
    vector = sitk.GetImageFromArray(np.moveaxis(two, 0, -1), isVector=True)
    sitk.WriteImage(vector, str(tmp_path / "v.nrrd"))
    np.testing.assert_array_equal(open_nrrd(tmp_path / "v.nrrd").array, two)


def test_colours_and_planes(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (4, 5, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colour, isVector=True), str(tmp_path / "c.nrrd"))
    image = open_nrrd(tmp_path / "c.nrrd")
    assert image.grid.is_planar
    np.testing.assert_array_equal(image.array[:, 0], colour.transpose(2, 0, 1))
    fields = {"sizes": "3 5 4", "space": None, "space_directions": None, "space_origin": None, "type": "uchar", "endian": None}
    rgb = text(tmp_path / "rgb.nrrd", content=colour.tobytes(), kinds="RGB-color domain domain", **fields)
    assert open_nrrd(rgb).channels == ("red", "green", "blue")
    oblique = text(
        tmp_path / "slice.nrrd",
        content=VOXELS[0].tobytes(),
        dimension=2,
        sizes="5 4",
        space_directions="(0,1,0) (0,0,-2)",
    )
    grid = open_nrrd(oblique).grid
    np.testing.assert_allclose(grid.to_world(np.array([0, 2, 1])), (10, 21, 26))


def test_unknown_spacing_and_orientation_are_said(tmp_path: Path) -> None:
    without = {"space": None, "space_directions": None, "space_origin": None}
    bare = open_nrrd(text(tmp_path / "a.nrrd", content=VOXELS.tobytes(), **without))
    assert not bare.grid.spacing_known
    spaced = open_nrrd(text(tmp_path / "b.nrrd", content=VOXELS.tobytes(), spacings="1 2 3", units='"um" "um" "um"', **without))
    assert spaced.grid.spacing_mm == pytest.approx((0.003, 0.002, 0.001))
    assert spaced.source["notes"] == ["lengths converted from um to mm", "the file names no orientation; spacing only"]
    centimetres = open_nrrd(text(tmp_path / "c.nrrd", content=VOXELS.tobytes(), space_units='"cm" "cm" "cm"'))
    assert centimetres.grid.spacing == (30, 20, 10)
    handed = open_nrrd(text(tmp_path / "d.nrrd", content=VOXELS.tobytes(), space="3D-right-handed"))
    assert "names no space of the body" in handed.source["notes"][0]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "block"}, "bad-type"),
        ({"encoding": "zrl"}, "bad-encoding"),
        ({"endian": None}, "bad-header"),
        ({"endian": "middle"}, "bad-header"),
        ({"sizes": "5 4"}, "bad-shape"),
        ({"sizes": "5 4 0"}, "bad-shape"),
        ({"sizes": "5 four 3"}, "bad-header"),
        ({"sizes": "5 4 4"}, "truncated"),
        ({"sizes": "60000 60000 60000"}, "too-large"),
        ({"sizes": "60000 600 3", "encoding": "gzip"}, "truncated"),
        ({"sizes": "600 600 3", "encoding": "text"}, "truncated"),
        ({"space": "somewhere"}, "bad-header"),
        ({"space": "left-posterior-superior-time"}, "space-time"),
        ({"space_units": '"furlong" "furlong" "furlong"'}, "bad-units"),
        ({"space_directions": "(1,0,0) (0,2,0) (1,2,0)"}, "bad-affine"),
        ({"space_directions": "(1,0,0) (0,2,0) (nan,0,1)"}, "bad-affine"),
        ({"space_directions": "(1,0,0) (0,2,0)"}, "bad-header"),
        ({"space_directions": "(1,0,0 (0,2,0) (0,0,3)"}, "bad-header"),
        ({"kinds": "domain domain"}, "bad-header"),
        ({"kinds": "3D-symmetric-matrix domain domain"}, "tensor"),
        ({"kinds": "complex domain domain"}, "complex"),
        ({"byte_skip": -7}, "bad-header"),
        ({"dimension": 4, "sizes": "60 5 4 3", "space_directions": "none (1,0,0) (0,2,0) (0,0,3)"}, "four-dimensional"),
        ({"encoding": "gzip"}, "truncated"),
    ],
)
def test_refused_headers(tmp_path: Path, fields: dict[str, object], code: str) -> None:
    path = text(tmp_path / "a.nrrd", content=VOXELS.tobytes(), **fields)
    with pytest.raises(Refused, match=r"a\.nrrd") as refusal:
        open_nrrd(path)
    assert refusal.value.code == code, str(refusal.value)


def test_damage_is_named(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), np.random.default_rng(0).random((9, 9, 9)), {"encoding": "gzip"})
    whole = (tmp_path / "a.nrrd").read_bytes()
    for content, code in (
        (b"", "empty-file"),
        (whole[:-30], "truncated"),
        (b"text" * 99, "unreadable"),
        (b"NRRD0006\n\n", "unreadable"),
    ):
        (tmp_path / "a.nrrd").write_bytes(content)
        with pytest.raises(Refused) as refusal:
            open_nrrd(tmp_path / "a.nrrd")
        assert refusal.value.code == code
    text(tmp_path / "a.nrrd", "type: float", content=VOXELS.tobytes())
    with pytest.raises(Refused, match="'type' twice with different values"):
        open_nrrd(tmp_path / "a.nrrd")
    spare = open_nrrd(text(tmp_path / "a.nrrd", content=VOXELS.tobytes() + b"1234567"))
    assert spare.source["notes"] == ["7 bytes after the voxels were left unread"]


def test_names(tmp_path: Path) -> None:
    assert nrrd_stem(Path("case.1.seg.nrrd")) == "case.1"
    assert nrrd_stem(Path("case.1.nhdr")) == "case.1"
    assert is_nrrd(Path("A.NRRD"))
    path = text(tmp_path / "p.nrrd", "source:=PHANTOM CT HU", content=VOXELS.tobytes())
    image = open_nrrd(path)
    assert image.source["is_simulated"] is True
    assert image.units == "HU"
