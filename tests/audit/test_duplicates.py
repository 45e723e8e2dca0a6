"""Copies are found whatever was done to them; images that only look alike are not."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from scipy import ndimage

from overread.audit.leaks.duplicates import NEAR_BITS, find_twins, groups_of, near_hashes
from overread.audit.sketch import Sketch, sketch
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.digest import sign_hashes

SIDE = 96
Change = Callable[[np.ndarray], np.ndarray]


def film(seed: int) -> np.ndarray:
    """(96, 96) float in 0..1: a body that all share, and structures of one's own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    body = np.exp(-(((x / 0.7) ** 2 + (y / 0.9) ** 2) ** 3))
    own = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 3)
    return np.clip(0.6 * body + 0.2 * own / own.std() * body, 0, 1)


def sketch_of(values: np.ndarray) -> Sketch:
    array = np.asarray(values, np.float32)
    array = array.reshape(1, *((1,) if array.ndim == 2 else ()), *array.shape)
    return sketch(Image(array, Grid.from_spacing(array.shape[1:], is_planar=array.shape[1] == 1)))


def by_pillow(values: np.ndarray, act: Callable[[Pillow.Image], Pillow.Image]) -> np.ndarray:
    return np.asarray(act(Pillow.fromarray((values * 255).astype(np.uint8)))) / 255


def jpeg(image: Pillow.Image) -> Pillow.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Pillow.open(file)


CHANGES: dict[str, tuple[Change, str]] = {
    "smaller": (lambda v: by_pillow(v, lambda p: p.resize((50, 40))), "as it is"),
    "larger": (lambda v: by_pillow(v, lambda p: p.resize((300, 200))), "as it is"),
    "brighter": (lambda v: 40 * v - 1000, "as it is"),
    "windowed": (lambda v: np.clip(v, *np.percentile(v, (8, 92))), "as it is"),
    "gamma": (lambda v: v**0.7, "as it is"),
    "jpeg": (lambda v: by_pillow(v, jpeg), "as it is"),
    "noise": (lambda v: v + np.random.default_rng(9).normal(0, 0.03, v.shape), "as it is"),
    "inverted": (lambda v: 1 - v, "as it is, inverted"),
    "mirrored": (lambda v: v[:, ::-1], "mirrored left to right"),
    "upside down": (lambda v: v[::-1], "flipped top to bottom"),
    "turned": (lambda v: np.rot90(v, 2), "turned by 180 degrees"),
    "quarter": (lambda v: np.rot90(v), "turned by 90 degrees"),
    "diagonal": (lambda v: v.T, "flipped across a diagonal"),
    "all": (lambda v: by_pillow(1 - v[:, ::-1], lambda p: jpeg(p.resize((64, 64)))), "mirrored left to right, inverted"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_is_found_and_its_change_named(name: str) -> None:
    change, told = CHANGES[name]
    films = {f"film{k}": sketch_of(film(k)) for k in range(6)}
    twins = find_twins(films | {"copy": sketch_of(change(film(3)))})
    assert [(pair.one, pair.other, pair.change) for pair in twins] == [("film3", "copy", told)]
    assert 0.9 <= twins[0].likeness <= 1.001
    assert not twins[0].is_identical


def test_films_of_one_build_are_not_taken_for_copies() -> None:
    assert find_twins({str(k): sketch_of(film(k)) for k in range(150)}) == []


def test_volumes_are_found_turned_and_only_with_volumes() -> None:
    rng = np.random.default_rng(0)
    volumes = [ndimage.gaussian_filter(rng.normal(size=(20, 40, 36)), 2) for _ in range(4)]
    sketches = {str(k): sketch_of(v) for k, v in enumerate(volumes)}
    sketches |= {"mirrored": sketch_of(volumes[1][:, :, ::-1]), "upturned": sketch_of(3 * volumes[2][::-1] + 5)}
    sketches["slice"] = sketch_of(volumes[3].mean(0))
    found = {(pair.one, pair.other): pair.change for pair in find_twins(sketches)}
    assert found == {("1", "mirrored"): "mirrored left to right", ("2", "upturned"): "as it is"}


def test_identical_pixels_are_paired_with_the_first_and_blank_images_with_nothing() -> None:
    even = np.full((30, 30), 5.0)
    sketches = {"a": sketch_of(film(0)), "b": sketch_of(film(0)), "c": sketch_of(film(0)), "e": sketch_of(even)}
    sketches |= {"f": sketch_of(even), "g": sketch_of(even + 1)}
    twins = find_twins(sketches)
    assert {(pair.one, pair.other) for pair in twins} == {("a", "b"), ("a", "c")}
    assert all(pair.is_identical and pair.likeness == 1 for pair in twins)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(range(8)), st.booleans())
def test_hashes_of_all_positions_follow_from_one_picture(seed: int, turn: int, is_inverted: bool) -> None:
    picture = np.random.default_rng(seed).random((64, 64))
    turned = picture.T if turn >= 4 else picture
    turned = turned[:, ::-1] if turn & 2 else turned
    turned = turned[::-1] if turn & 1 else turned
    own = sign_hashes(1 - turned if is_inverted else turned)[0]
    assert np.array_equal(own, ~sign_hashes(picture)[turn] if is_inverted else sign_hashes(picture)[turn])


def test_the_search_finds_what_comparing_all_finds() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (300, 256))
    for k in range(0, 60, 2):  # a few near ones, at the limit and beyond
        bits[k + 1] = bits[k] ^ (rng.permutation(256) < NEAR_BITS - 10 + k // 3)
    hashes = np.packbits(bits, axis=1)[:, None].repeat(8, axis=1)
    far = np.abs(bits[:, None] - bits).sum(2)
    near = np.minimum(far, 256 - far) <= NEAR_BITS
    near &= np.minimum(far_first := np.abs(bits[:, None, :64] - bits[:, :64]).sum(2), 64 - far_first) <= 14
    expected = {(int(one), int(other)) for one, other in zip(*np.nonzero(np.triu(near, 1)), strict=True)}
    found = [pair for _, pairs in near_hashes(hashes, lambda one, other, turn: np.ones(len(one)), 2) for pair in pairs]
    assert len(expected) > 10
    assert {(one, other) for one, other, *_ in found} == expected


def test_pairs_that_share_a_member_are_one_group() -> None:
    assert groups_of([("a", "b"), ("c", "d"), ("b", "e")]) == [("a", "b", "e"), ("c", "d")]
    assert groups_of([]) == []


def test_breast_ultrasound_has_its_copies_across_the_split_with_contradicting_labels(shared_data: Path) -> None:
    with np.load(shared_data / "medmnist" / "breastmnist.npz") as stored:
        images = {f"{part}[{k}]": a for part in ("train", "test") for k, a in enumerate(stored[f"{part}_images"])}
    one = {name: sketch_of(images[name]) for name in images if int(name[:-1].split("[")[1]) < 120}
    twins = {frozenset((pair.one, pair.other)): pair for pair in find_twins(one)}
    assert twins[frozenset(("train[115]", "test[76]"))].is_identical


def test_children_whose_chests_look_alike_are_told_apart(shared_data: Path) -> None:
    with np.load(shared_data / "medmnist" / "pneumoniamnist_reassembled.npz") as stored:
        films = stored["val_images"][:300]
    sketches = {str(k): sketch_of(film) for k, film in enumerate(films)}
    assert all(pair.is_identical for pair in find_twins(sketches))
    unlike = {name: replace(one, digest=f"other {name}") for name, one in sketches.items()}
    assert len(find_twins(unlike)) == len(find_twins(sketches))  # what is identical is also found by the hash alone
