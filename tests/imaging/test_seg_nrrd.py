"""3D Slicer's segmentations: names, values, layers, and the place on the image they were drawn on."""

from __future__ import annotations

from pathlib import Path

import nrrd
import numpy as np
import pytest

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.imaging.labels import open_labels, open_seg
from overread.imaging.nifti import write_nifti
from overread.imaging.seg_nrrd import is_seg_nrrd, read_seg_nrrd

GRID = Grid.from_spacing((8, 10, 12), (2.5, 0.8, 0.7))


def drawn() -> np.ndarray:
    """Two layers on `GRID`: liver and vessel side by side, a lesion over the liver."""
    layers = np.zeros((2, *GRID.shape), np.uint8)
    layers[0, 2:5, 2:8, 3:9] = 1
    layers[0, 5, 4, 4] = 2
    layers[1, 3, 3:5, 4:6] = 1
    return layers


def segments(**changes: str) -> dict[str, str]:
    keys = {"Segmentation_ContainedRepresentationNames": "Binary labelmap|", "Segmentation_ReferenceImageExtentOffset": "3 2 2"}
    for number, (name, value, layer) in enumerate([("liver", 1, 0), ("vessel", 2, 0), ("lesion", 1, 1)]):
        keys |= {
            f"Segment{number}_ID": f"Segment_{number + 1}",
            f"Segment{number}_Name": name,
            f"Segment{number}_LabelValue": str(value),
            f"Segment{number}_Layer": str(layer),
            f"Segment{number}_Extent": "0 5 0 5 0 3",
        }
    return {**keys, **changes}


def save(path: Path, layers: np.ndarray, grid: Grid, keys: dict[str, str], *, space: str = "left-posterior-superior") -> Path:
    """As Slicer writes it: the layers first among the axes, or no such axis for one layer."""
    signs = np.array([1, 1, 1] if space.startswith("left") else [-1, -1, 1])
    directions = (grid.affine[:3, :3] * signs[:, None])[:, ::-1].T
    header: dict[str, object] = {"space": space, "space origin": grid.affine[:3, 3] * signs, **keys}
    if len(layers) > 1:
        header["space directions"] = np.vstack([np.full((1, 3), np.nan), directions])
        header["kinds"] = ["list", "domain", "domain", "domain"]
        nrrd.write(str(path), layers.transpose(0, 3, 2, 1), header)
    else:
        header["space directions"] = directions
        header["kinds"] = ["domain", "domain", "domain"]
        nrrd.write(str(path), layers[0].transpose(2, 1, 0), header)
    return path


def cropped(layers: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """What Slicer saves: the box around the segments."""
    low, high = (2, 2, 3), (6, 8, 9)
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.to_world(np.array(low))
    box = layers[(slice(None), *(slice(a, b) for a, b in zip(low, high, strict=True)))]
    return box, Grid(box.shape[1:], affine)


@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior"])
def test_names_values_layers_and_place(tmp_path: Path, space: str) -> None:
    box, own = cropped(drawn(), GRID)
    path = save(tmp_path / "a.seg.nrrd", box, own, segments(), space=space)
    assert is_seg_nrrd(path)
    alone = open_seg(path)
    assert alone.names == ("liver", "vessel", "lesion")
    assert alone.grid.is_same(own)
    placed = open_seg(path, GRID)
    np.testing.assert_array_equal(placed.layers, drawn())
    np.testing.assert_array_equal(placed.mask("vessel"), drawn()[0] == 2)
    assert (placed.mask("lesion") & placed.mask("liver")).any()
    layers, grid = open_labels([path], "nrrd", grid=GRID)
    np.testing.assert_array_equal(layers, drawn())
    assert grid is GRID


def test_axes_in_another_order_are_put_back(tmp_path: Path) -> None:
    order, flips = (2, 0, 1), (True, False, True)
    turned = GRID.reoriented(order, flips)
    moved = drawn().transpose(0, *(k + 1 for k in order))[:, ::-1, :, ::-1]
    path = save(tmp_path / "a.seg.nrrd", moved, turned, segments())
    np.testing.assert_array_equal(open_seg(path, GRID).layers, drawn())


def test_one_layer_and_the_old_form(tmp_path: Path) -> None:
    keys = {k: v for k, v in segments().items() if not k.startswith("Segment2")}
    one = save(tmp_path / "one.seg.nrrd", drawn()[:1], GRID, keys)
    assert open_seg(one).names == ("liver", "vessel")
    layers = np.stack([drawn()[0] == 1, drawn()[0] == 2, drawn()[1] == 1]).astype(np.uint8)
    old = {k: v for k, v in segments().items() if not k.endswith(("_LabelValue", "_Layer"))}
    label_map = open_seg(save(tmp_path / "old.seg.nrrd", layers, GRID, old))
    for number, name in enumerate(("liver", "vessel", "lesion")):
        np.testing.assert_array_equal(label_map.mask(name), layers[number])


def test_more_layers_than_an_image_has_channels(tmp_path: Path) -> None:
    layers = np.zeros((12, 3, 4, 5), np.uint8)
    keys: dict[str, str] = {}
    for k in range(12):
        layers[k, 1, 1, k % 5] = 1
        keys |= {
            f"Segment{k}_ID": f"S{k}",
            f"Segment{k}_Name": f"rib {k}",
            f"Segment{k}_LabelValue": "1",
            f"Segment{k}_Layer": str(k),
        }
    label_map = open_seg(save(tmp_path / "a.seg.nrrd", layers, Grid.from_spacing((3, 4, 5)), keys))
    assert label_map.names[11] == "rib 11"
    assert label_map.mask("rib 11")[1, 1, 1]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Segment1_Name": "liver"}, "duplicate-segment"),
        ({"Segment1_LabelValue": "1"}, "duplicate-segment"),
        ({"Segment1_LabelValue": "0"}, "bad-segment"),
        ({"Segment1_LabelValue": "two"}, "bad-segment"),
        ({"Segment2_Layer": "7"}, "bad-segment"),
        ({"Segment1_LabelValue": "5"}, "unnamed-value"),
    ],
)
def test_refused_segments(tmp_path: Path, changes: dict[str, str], code: str) -> None:
    path = save(tmp_path / "a.seg.nrrd", drawn(), GRID, segments(**changes))
    with pytest.raises(Refused, match=r"a\.seg\.nrrd") as refusal:
        open_seg(path)
    assert refusal.value.code == code


def test_a_segmentation_of_another_image_stays_where_it_is(tmp_path: Path) -> None:
    box, own = cropped(drawn(), GRID)
    path = save(tmp_path / "a.seg.nrrd", box, own, segments())
    affine = np.array(GRID.affine)
    affine[0, 3] += 0.3
    assert read_seg_nrrd(path, Grid(GRID.shape, affine)).grid.is_same(own)  # between voxels: the cohort says how far
    small = Grid((8, 10, 6), GRID.affine)
    with pytest.raises(Refused, match=r"\d+ of \d+ labelled voxels lie outside") as refusal:
        read_seg_nrrd(path, small)
    assert refusal.value.code == "outside-image"


def test_plain_label_maps(tmp_path: Path) -> None:
    path = save(tmp_path / "labels.nrrd", drawn()[:1], GRID, {})
    assert not is_seg_nrrd(path)
    layers, grid = open_labels([path], "nrrd")
    np.testing.assert_array_equal(layers, drawn()[:1])
    assert grid.is_same(GRID)
    with pytest.raises(Refused, match="names no segment"):
        open_seg(path)
    write_nifti(tmp_path / "b.nii.gz", drawn()[1], GRID)
    two, _ = open_labels([tmp_path / "b.nii.gz", tmp_path / "b.nii.gz"], "nifti")
    assert two.shape == (2, *GRID.shape)
