"""NIfTI in and out: geometry both ways, and every refusal."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.imaging.nifti import is_nifti, nifti_stem, open_nifti, read_nifti_header, write_nifti


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None, **header: object) -> Path:
    file = nib.Nifti1Image(array, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        file.header[name] = value
    nib.save(file, path)
    return path


@given(
    numbers=st.lists(st.floats(-1, 1), min_size=9, max_size=9),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
)
@settings(max_examples=40, deadline=None)
def test_any_grid_survives_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float], spacing: tuple[float, ...], origin: tuple[float, ...]
) -> None:
    rotation, _ = np.linalg.qr(np.array(numbers).reshape(3, 3) + 2 * np.eye(3))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * spacing, origin
    grid = Grid((3, 4, 5), affine)
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    path = tmp_path_factory.mktemp("nifti") / "a.nii.gz"
    write_nifti(path, array, grid)
    image = open_nifti(path)
    np.testing.assert_array_equal(image.array[0], array)
    np.testing.assert_array_equal(image.grid.affine, affine.astype(np.float32))  # NIfTI keeps float32
    write_nifti(path, array, image.grid)
    np.testing.assert_array_equal(open_nifti(path).grid.affine, image.grid.affine)  # and from then on nothing changes


def test_a_written_file_lies_where_simpleitk_says(tmp_path: Path) -> None:
    rotation, _ = np.linalg.qr(np.array([[1, 0.2, 0.1], [-0.2, 1, 0.3], [0, -0.3, 1]]))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = (rotation * [1, 2, 3])[:, ::-1], (10, -20, 30)
    grid = Grid((4, 5, 6), affine)
    write_nifti(tmp_path / "a.nii.gz", np.zeros(grid.shape, np.uint8), grid)
    oracle = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    for index in ((0, 0, 0), (3, 4, 5), (1, 2, 3)):
        place = oracle.TransformIndexToPhysicalPoint(tuple(int(k) for k in index[::-1]))
        np.testing.assert_allclose(place, grid.to_world(np.array(index)), atol=1e-4)


@pytest.mark.parametrize("name", ["open_ms", "totalseg_example", "msd_hippocampus/imagesTr"])
def test_real_files_lie_where_simpleitk_says(shared_data: Path, name: str) -> None:
    for path in sorted((shared_data / name).rglob("*.nii.gz"))[:3]:
        image, oracle = open_nifti(path), sitk.ReadImage(str(path))
        for index in ((0, 0, 0), tuple(n - 1 for n in image.grid.shape)):
            place = oracle.TransformIndexToPhysicalPoint(tuple(int(k) for k in index[::-1]))
            np.testing.assert_allclose(place, image.grid.to_world(np.array(index)), atol=1e-3)
        np.testing.assert_allclose(image.array[0], sitk.GetArrayFromImage(oracle), rtol=1e-6)


def test_what_is_written_can_be_told_apart_as_phantom(tmp_path: Path) -> None:
    grid = Grid.from_spacing((2, 3, 4), (3, 2, 1))
    write_nifti(tmp_path / "a.nii.gz", np.zeros(grid.shape, bool), grid, description="PHANTOM CT HU")
    image = open_nifti(tmp_path / "a.nii.gz")
    assert image.source["is_simulated"] is True
    assert image.units == "HU"
    assert image.array.dtype == np.uint8


def test_scaled_values_become_real_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    file = nib.Nifti1Image(np.full((2, 3, 4), 10, np.int16), np.eye(4))
    file.header.set_slope_inter(0.5, -3)
    nib.save(file, path)
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, -3], "<f4").tobytes()  # nibabel itself would rescale the values on saving
    path.write_bytes(raw)
    stored = np.frombuffer(raw[352:354], "<i2")[0]
    assert open_nifti(path).array[0, 0, 0, 0] == pytest.approx(stored * 0.5 - 3)


def test_channels(tmp_path: Path) -> None:
    image = open_nifti(save(tmp_path / "m.nii.gz", np.random.default_rng(0).random((4, 5, 6, 2)).astype(np.float32)))
    assert image.array.shape == (2, 6, 5, 4)
    assert open_nifti(tmp_path / "m.nii.gz", index=1).array.shape == (1, 6, 5, 4)
    colour = np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert open_nifti(save(tmp_path / "c.nii", colour)).channels == ("red", "green", "blue")
    assert open_nifti(save(tmp_path / "s.nii", np.zeros((4, 5, 1), np.uint8))).grid.is_planar


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float64, ">i2"])
def test_stored_types(tmp_path: Path, dtype: object) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    file = nib.Nifti1Image(array, np.eye(4), dtype=np.dtype(dtype))  # type: ignore[call-overload]
    nib.save(file, tmp_path / "a.nii")
    image = open_nifti(tmp_path / "a.nii")
    np.testing.assert_array_equal(image.array[0], array.transpose(2, 1, 0).astype(float))
    assert image.array.dtype.itemsize <= 4


def singular() -> np.ndarray:
    return np.diag([1.0, 0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.zeros((3, 3, 3, 60), np.int16), "four-dimensional"),
        (np.zeros((3, 3, 3), np.complex64), "complex"),
        (np.full((3, 3, 3), np.nan, np.float32), "not-finite"),
        (np.full((3, 3, 3), np.inf, np.float32), "not-finite"),
    ],
)
def test_refused_content(tmp_path: Path, array: np.ndarray, code: str) -> None:
    with pytest.raises(Refused, match=r"a\.nii") as refusal:
        open_nifti(save(tmp_path / "a.nii", array))
    assert refusal.value.code == code


def test_nan_and_infinity_are_counted(tmp_path: Path) -> None:
    array = np.zeros((3, 3, 3), np.float32)
    array[0, 0, :2], array[1, 1, 1] = np.nan, np.inf
    with pytest.raises(Refused, match="2 NaN and 1 infinite voxels among 27"):
        open_nifti(save(tmp_path / "a.nii", array))


def test_an_affine_that_cannot_be_inverted_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((3, 3, 3), np.int16))
    raw = bytearray(path.read_bytes())
    raw[280:328] = singular()[:3].astype("<f4").tobytes()
    path.write_bytes(raw)
    with pytest.raises(Refused, match="does not map voxels to distinct places") as refusal:
        open_nifti(path)
    assert refusal.value.code == "bad-affine"


def test_qform_against_sform(tmp_path: Path) -> None:
    file = nib.Nifti1Image(np.zeros((9, 9, 9), np.int16), np.eye(4))
    file.set_qform(np.diag([-1.0, 1, 1, 1]), code=1)
    nib.save(file, tmp_path / "mirrored.nii")
    with pytest.raises(Refused, match=r"sform says axes RAS .* qform says LAS") as refusal:
        open_nifti(tmp_path / "mirrored.nii")
    assert refusal.value.code == "qform-sform-conflict"
    moved = np.eye(4)
    moved[0, 3] = 30
    file.set_qform(moved, code=1)
    nib.save(file, tmp_path / "moved.nii")
    assert "sform was taken" in open_nifti(tmp_path / "moved.nii").source["notes"][0]


def test_no_orientation_is_said(tmp_path: Path) -> None:
    file = nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), None)
    file.header.set_zooms((1, 2, 3))
    nib.save(file, tmp_path / "a.nii")
    image = open_nifti(tmp_path / "a.nii")
    assert image.grid.spacing == pytest.approx((3, 2, 1))
    assert "no orientation" in image.source["notes"][0]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 999, (30, 30, 30)).astype(np.int16))
    whole = path.read_bytes()
    for content, code in (
        (b"", "empty-file"),
        (whole[:100], "truncated"),
        (whole[: len(whole) // 2], "truncated"),
        (b"text" * 200, "unreadable"),
    ):
        path.write_bytes(content)
        for read in (open_nifti, read_nifti_header):
            with pytest.raises(Refused, match=r"a\.nii\.gz") as refusal:
                read(path)
            assert refusal.value.code == code, str(refusal.value)
    flat = tmp_path / "b.nii"
    flat.write_bytes(gzip.decompress(whole)[:-50])
    with pytest.raises(Refused) as refusal:
        open_nifti(flat)
    assert refusal.value.code == "truncated"


def test_a_header_is_enough_for_the_grid(tmp_path: Path) -> None:
    path = save(tmp_path / "case.1.nii.gz", np.zeros((3, 4, 5), np.int16))
    assert read_nifti_header(path).grid.shape == (5, 4, 3)
    assert nifti_stem(path) == "case.1"


def test_an_array_off_its_grid_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match="is not on its grid"):
        write_nifti(tmp_path / "a.nii", np.zeros((2, 2, 2)), Grid.from_spacing((2, 2, 3)))
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ odd and old headers


def patch(path: Path, at: int, content: bytes) -> Path:
    """Change bytes of a header that nibabel would not write."""
    raw = bytearray(path.read_bytes())
    raw[at : at + len(content)] = content
    path.write_bytes(raw)
    return path


VOXELS = np.arange(60, dtype=np.int16).reshape(5, 4, 3)  # (X, Y, Z)
OBLIQUE = np.array([[-0.9, 0.2, 0.3, 10], [0.25, 1.9, -0.4, -20], [0.1, 0.5, 2.8, 30], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image, nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_every_form_lies_where_nibabel_says(tmp_path: Path, kind: type, order: str, packed: str) -> None:
    header = kind.header_class(endianness=order)  # type: ignore[attr-defined]
    header.set_data_dtype(np.dtype(np.int16).newbyteorder(order))
    name = f"a.{'hdr' if kind in (nib.Nifti1Pair, nib.Nifti2Pair) else 'nii'}{packed}"
    nib.save(kind(VOXELS, OBLIQUE, header), tmp_path / name)
    image, oracle = open_nifti(tmp_path / name), nib.load(tmp_path / name)
    assert oracle.header.endianness == order  # type: ignore[attr-defined]
    np.testing.assert_array_equal(image.array[0], VOXELS.transpose(2, 1, 0))
    for index in np.random.default_rng(0).uniform(0, 3, (20, 3)):
        place = nib.affines.apply_affine(oracle.affine, index[::-1]) * (-1, -1, 1)  # type: ignore[attr-defined]
        np.testing.assert_allclose(image.grid.to_world(index), place, atol=1e-4)
    assert is_nifti(tmp_path / name)
    assert read_nifti_header(tmp_path / name).companions == ((f"a.img{packed}",) if "hdr" in name else ())


def test_half_a_pair_and_analyze_are_named(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(VOXELS, np.eye(4)), tmp_path / "a.hdr")
    (tmp_path / "a.img").rename(tmp_path / "b.img")
    with pytest.raises(Refused, match="half of a pair") as refusal:
        open_nifti(tmp_path / "a.hdr")
    assert refusal.value.code == "missing-data-file"
    nib.save(nib.AnalyzeImage(VOXELS, np.eye(4)), tmp_path / "old.hdr")
    with pytest.raises(Refused, match="cannot tell left from right") as refusal:
        read_nifti_header(tmp_path / "old.hdr")
    assert refusal.value.code == "analyze"


def test_a_file_without_its_suffix(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", VOXELS).rename(tmp_path / "image")
    np.testing.assert_array_equal(open_nifti(path).array[0], VOXELS.transpose(2, 1, 0))
    packed = save(tmp_path / "b.nii.gz", VOXELS).rename(tmp_path / "b.nii")
    with pytest.raises(Refused, match=r"call it b\.nii\.gz") as refusal:
        open_nifti(packed)
    assert refusal.value.code == "misnamed"


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_of_nothing_scales_nothing(tmp_path: Path, slope: float) -> None:
    path = patch(save(tmp_path / "a.nii", VOXELS), 112, np.array([slope, 7], "<f4").tobytes())
    image = open_nifti(path)
    assert image.array.dtype == np.int16
    np.testing.assert_array_equal(image.array[0], VOXELS.transpose(2, 1, 0))


@pytest.mark.parametrize(("code", "scale"), [(1, 1000.0), (3, 0.001), (2, 1.0), (0, 1.0), (3 | 8, 0.001)])
def test_lengths_become_millimetres(tmp_path: Path, code: int, scale: float) -> None:
    path = save(tmp_path / "a.nii", VOXELS, OBLIQUE / [[scale], [scale], [scale], [1]], xyzt_units=code)
    grid = open_nifti(path).grid
    np.testing.assert_allclose(grid.to_world(np.array([1, 2, 3])), (-8.0, 15.85, 34.1), rtol=1e-4)
    with pytest.raises(Refused, match="undefined unit 5"):
        open_nifti(save(tmp_path / "b.nii", VOXELS, xyzt_units=5))


def test_no_form_no_unit_and_no_size_is_no_spacing(tmp_path: Path) -> None:
    file = nib.Nifti1Image(VOXELS, None)
    nib.save(file, tmp_path / "a.nii")
    grid = open_nifti(tmp_path / "a.nii").grid
    assert not grid.spacing_known
    with pytest.raises(OverreadError, match="no pixel spacing"):
        _ = grid.spacing_mm
    file.header.set_xyzt_units("mm")
    nib.save(file, tmp_path / "b.nii")
    assert open_nifti(tmp_path / "b.nii").grid.spacing_mm == (1, 1, 1)


def test_axes_beside_space(tmp_path: Path) -> None:
    five = np.random.default_rng(0).random((5, 4, 3, 1, 2)).astype(np.float32)
    image = open_nifti(save(tmp_path / "v.nii.gz", five))
    np.testing.assert_array_equal(image.array, five[:, :, :, 0].transpose(3, 2, 1, 0))
    vector = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.float32), isVector=True)
    sitk.WriteImage(vector, str(tmp_path / "s.nii"))
    assert open_nifti(tmp_path / "s.nii").array.shape == (3, 3, 4, 5)
    times = save(tmp_path / "t.nii.gz", np.arange(5 * 4 * 3 * 20, dtype=np.int16).reshape(5, 4, 3, 20))
    stored = np.asarray(nib.load(times).dataobj)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(open_nifti(times, 17).array[0], stored[..., 17].transpose(2, 1, 0))
    for index in (20, -1):
        with pytest.raises(Refused, match="there is no volume"):
            open_nifti(times, index)
    with pytest.raises(Refused) as refusal:
        open_nifti(save(tmp_path / "b.nii", np.zeros((5, 4, 3, 2, 2), np.uint8)))
    assert refusal.value.code == "several-axes"
    with pytest.raises(Refused) as refusal:
        open_nifti(save(tmp_path / "d.nii", np.zeros((5, 4, 3, 1, 3), np.float32), intent_code=1006))
    assert refusal.value.code == "vector-field"


def test_colours_with_transparency(tmp_path: Path) -> None:
    colour = np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
    colour["G"] = 7
    image = open_nifti(save(tmp_path / "c.nii", colour))
    assert image.channels == ("red", "green", "blue", "alpha")
    assert (image.array[1] == 7).all()


@pytest.mark.parametrize(
    ("at", "content", "code"),
    [
        (40, np.array([3, 30000, 30000, 30000], "<i2").tobytes(), "truncated"),
        (40, np.array([3, 5, -4, 3], "<i2").tobytes(), "no-pixels"),
        (40, np.array([7, 5, 4, 3, 9999, 9999, 9999, 9999], "<i2").tobytes(), "several-axes"),
        (40, np.array([99], "<i2").tobytes(), "unreadable"),
        (70, np.array([9999], "<i2").tobytes(), "unreadable"),
        (108, np.array([100.0], "<f4").tobytes(), "unreadable"),
        (108, np.array([368.0], "<f4").tobytes(), "truncated"),
        (108, np.array([9e9], "<f4").tobytes(), "truncated"),
        (108, np.array([np.nan], "<f4").tobytes(), "unreadable"),
        (280, np.full(12, np.nan, "<f4").tobytes(), "bad-affine"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_headers_that_lie(tmp_path: Path, at: int, content: bytes, code: str, suffix: str) -> None:
    path = patch(save(tmp_path / "a.nii", VOXELS), at, content)
    if suffix == ".nii.gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
        path = path.rename(tmp_path / "a.nii.gz")
    for read in (open_nifti, read_nifti_header):
        with pytest.raises(Refused, match=r"a\.nii") as refusal:
            read(path)
        assert refusal.value.code == code, str(refusal.value)


def test_huge_but_whole_files_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    header = nib.Nifti1Header()
    header.set_data_shape((2000, 2000, 400))
    header.set_data_dtype(np.int16)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    with open(path, "wb") as file:
        file.write(header.binaryblock + bytes(4))
        file.truncate(352 + 2000 * 2000 * 400 * 2)  # a sparse file
    assert read_nifti_header(path).grid.shape == (400, 2000, 2000)
    with pytest.raises(Refused, match="GiB") as refusal:
        open_nifti(path)
    assert refusal.value.code == "too-large"


def test_bytes_left_over_are_said(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", VOXELS)
    path.write_bytes(path.read_bytes() + b"12345")
    assert "5 bytes after the voxels" in open_nifti(path).source["notes"][-1]


def test_the_distance_between_qform_and_sform_is_the_worst_corner(tmp_path: Path) -> None:
    file = nib.Nifti1Image(np.zeros((11, 11, 11), np.int16), np.eye(4))
    turned = np.eye(4)
    angle = np.radians(20)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    file.set_qform(turned, code=1)
    nib.save(file, tmp_path / "a.nii")
    worst = np.linalg.norm((turned - np.eye(4))[:2, :2] @ [10, 10])
    assert f"({worst:.1f} mm apart)" in open_nifti(tmp_path / "a.nii").source["notes"][0]
