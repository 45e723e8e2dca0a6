"""3D Slicer's segmentations (.seg.nrrd): names, label values and layers of segments, to a label map and back.

Source: https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html
(keys Segment<N>_Name, _ID, _LabelValue, _Layer, _Extent).
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.imaging.nrrd import NrrdFile, is_nrrd, look_at, read_channels
from overread.imaging.nrrd_header import parse_nrrd
from overread.imaging.resample import resample_labels
from overread.imaging.shear import straight_labels
from overread.imaging.volumes import open_for_reading

SEGMENT_KEY = re.compile(r"Segment(\d+)_(\w+)$")
ON_LATTICE = 0.05  # voxel: how far the drawn grid may lie off the image's voxels and still be a part of it


def is_seg_nrrd(path: Path) -> bool:
    """An NRRD file that names segments, whatever it is called."""
    return is_nrrd(path) and bool(_segments(parse_nrrd(open_for_reading(Path(path))).keys))


def read_seg_nrrd(path: Path, grid: Grid | None = None, tilt: str = "refuse") -> LabelMap:
    """All segments of a file.

    grid     the image's grid: Slicer crops what it saves to the segments, so it is put back in its place.
             Without it, or where the voxels of both are not the same, the file's own grid
    tilt     as for the image (`overread.imaging.shear`)
    returns  values and layers as in the file; overlapping segments lie in different layers
    """
    path = Path(path)
    file = look_at(path, index=0)  # any number of layers
    segments = _segments(file.raw.keys)
    if not segments:
        raise Refused("not-a-segmentation", f"{path.name} names no segment.", "export a segmentation (.seg.nrrd) from 3D Slicer")
    layers = read_channels(file)
    if layers.dtype.kind == "f":
        what = f"{path.name} holds real numbers; a segmentation holds label values."
        raise Refused("not-labels", what, "export it as a binary labelmap")
    structures = tuple(_structure(path.name, number, keys, len(layers)) for number, keys in sorted(segments.items()))
    _check(file, structures, layers)
    layers, own = straight_labels(layers, file.header.grid, path.name, tilt)
    if grid is not None and _is_part(own, grid):
        before = np.count_nonzero(layers)
        layers = resample_labels(layers, own, grid)
        if lost := before - np.count_nonzero(layers):
            what = f"{path.name}: {lost} of {before} labelled voxels lie outside the image."
            raise Refused("outside-image", what, "choose the image that it was drawn on")
        own = grid
    return LabelMap(layers, structures, own)


def _segments(keys: dict[str, str]) -> dict[int, dict[str, str]]:
    """Number -> its keys."""
    found: dict[int, dict[str, str]] = {}
    for key, value in keys.items():
        if match := SEGMENT_KEY.match(key):
            found.setdefault(int(match.group(1)), {})[match.group(2)] = value
    return {number: values for number, values in found.items() if "ID" in values or "Name" in values}


def _structure(name: str, number: int, keys: dict[str, str], layers: int) -> Structure:
    """Slicer before 4.11 gave each segment a layer of its own and no value."""
    value, layer = (_whole(name, number, keys, key, default) for key, default in (("LabelValue", 1), ("Layer", number)))
    if value == 0 or not 0 <= layer < layers:
        raise Refused(
            "bad-segment",
            f"{name}: segment {number} has the value {value} in layer {layer}; the file has {layers} layers, and 0 is none.",
            "export the segmentation again",
        )
    return Structure(keys.get("Name") or keys["ID"], value, layer)


def _whole(name: str, number: int, keys: dict[str, str], key: str, default: int) -> int:
    text = keys.get(key, str(default))
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise Refused("bad-segment", f"{name}: segment {number} has {key} '{text[:30]}'.", "export the segmentation again")
    return int(text)


def _check(file: NrrdFile, structures: tuple[Structure, ...], layers: np.ndarray) -> None:
    """Every value has one name, and every name one meaning."""
    name = file.raw.name
    twice = [found for found, count in Counter(s.name for s in structures).items() if count > 1]
    if twice:
        raise Refused(
            "duplicate-segment", f"{name} has several segments called '{twice[0]}'.", "give each its own name in Slicer"
        )
    places = Counter((s.layer, s.value) for s in structures)
    if max(places.values()) > 1:
        what = f"{name} gives one value of one layer to several segments."
        raise Refused("duplicate-segment", what, "export the segmentation again")
    for k, layer in enumerate(layers):
        unnamed = sorted(set(np.unique(layer).tolist()) - {0} - {s.value for s in structures if s.layer == k})
        if unnamed:
            what = f"{name}: layer {k} holds the value {unnamed[0]}, which belongs to no segment."
            raise Refused("unnamed-value", what, "export the segmentation again, or name the value as a segment")


def _is_part(own: Grid, grid: Grid) -> bool:
    """Do the voxels of both coincide wherever both have some?"""
    if not (own.spacing_known and grid.spacing_known):
        return False
    step = np.linalg.inv(grid.affine) @ own.affine
    corners = own.to_world(np.array([[0, 0, 0], np.array(own.shape) - 1]))
    places = grid.to_index(corners)
    is_permuted = np.allclose(np.sort(np.abs(step[:3, :3]), axis=0), [[0], [0], [1]], atol=ON_LATTICE)
    drift = np.abs(step[:3, :3] - np.rint(step[:3, :3])) @ (np.array(own.shape) - 1)
    return is_permuted and bool((np.abs(places - np.rint(places)) < ON_LATTICE).all() and (drift < ON_LATTICE).all())
