"""Images that show the same thing: candidates by hash, each confirmed by laying the two pictures over each other.

Hash: signs of 256 slow waves (`overread.imaging.digest.sign_hashes`); two images are candidates where at most
`NEAR_BITS` differ, in one of eight positions or inverted. Confirmed: what lies between 1/48 and 1/10 of the picture in
size correlates by at least `ALIKE`.

Where the limits come from: 100 images of each of three sets, changed; and all pairs of five sets (hash; correlation):

* One image after another size (28 to 64 pixels), JPEG at quality 20 to 50, noise of 3 %, inversion, flips: at most 38 bits
  and 0.95 in 98 of 100. Gamma 0.6 to 1.7: 45 and 0.93. Noise of 8 %: median 35, 98 of 100 within 56, so one in ten is
  missed; a window that cuts away the darkest and brightest tenth: median 19 to 28, 98 of 100 within 63; one that leaves the
  middle half: median 48 to 56, mostly missed. Turned by 2 degrees: median 53, missed. Cropped by 1/64 a side: found;
  shifted by 1/64: median 40, about two of three.
* Different chest films, which all look alike: nearest of 3.4 million pairs at 224 pixels 47 bits and 0.95 (two children,
  seen to differ), nearest of 17 million pairs at 28 pixels 49 bits and 0.88. Of 64 x 64 films of one adult taken alike
  on different days, 3 pairs of 1,000 films came within 43 bits and 0.95: the same person, not the same film.
* Ultrasound at 28 pixels: 200 pairs below 48 bits, all with 0.92 or more, and seen to be one image; 9 more up to 60 bits.
* Slices of brain MR and panoramic films: mirrored and turned copies at 0 to 43 bits, 0.9 and more.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from overread.audit.sketch import Sketch
from overread.cohort.progress import Progress

BITS, FIRST_BITS = 256, 64
NEAR_BITS, FIRST_NEAR_BITS = 43, 14
ALIKE = 0.9
DETAIL_SIDE = 32
FINE, COARSE = 0.7 / 32, 3 / 32  # standard deviations of the two Gaussians, as parts of the side
FLAT = 1e-3  # root mean square of detail below which a picture shows nothing
ROWS, COLUMNS = 64, 8192  # hashes compared at once: what fits into the fast memory of a processor
CONFIRMED_AT_ONCE = 2048
POSITIONS = (
    "as it is",
    "flipped top to bottom",
    "mirrored left to right",
    "turned by 180 degrees",
    "flipped across a diagonal",
    "turned by 90 degrees",
    "turned by 90 degrees",
    "flipped across a diagonal",
)


@dataclass(frozen=True)
class Twins:
    """Two cases that show one image.

    likeness  correlation of the pictures without coarse shading and fine noise; 1 for identical pixels
    change    what has to be done to one to get the other, for example "mirrored left to right, inverted"
    """

    one: str
    other: str
    likeness: float
    change: str
    is_identical: bool = False


def find_twins(sketches: Mapping[str, Sketch], progress: Progress | None = None) -> list[Twins]:
    """Every pair of images that show the same thing; of many identical ones each is paired with the first.

    Blank images show nothing, so they are no twins, see `overread.audit.blank`.
    """
    by_digest = defaultdict(list)
    for name, one in sketches.items():
        if not one.is_blank:
            by_digest[one.digest].append(name)
    twins = [Twins(first, other, 1.0, "identical pixels", True) for first, *others in by_digest.values() for other in others]
    for is_planar in (True, False):
        names = [names[0] for names in by_digest.values() if sketches[names[0]].is_planar == is_planar]
        twins += _near_twins(names, sketches, progress)
    return twins


def groups_of(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Join pairs that share a member."""
    names = sorted({name for pair in pairs for name in pair})
    if not names:
        return []
    place = {name: k for k, name in enumerate(names)}
    rows, columns = ([place[pair[k]] for pair in pairs] for k in (0, 1))
    links = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(names), len(names)))
    members = defaultdict(list)
    for name, label in zip(names, connected_components(links, directed=False)[1], strict=True):
        members[int(label)].append(name)
    return [tuple(group) for group in members.values()]


Found = list[tuple[int, int, int, float]]  # positions of one and of the other, how the other is turned, likeness
Compare = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def near_hashes(hashes: np.ndarray, compare: Compare, processors: int | None = None) -> Iterator[tuple[int, Found]]:
    """Pairs whose hashes are near each other in one of eight positions, or inverted, and that are confirmed.

    Every pair is compared, so time and memory depend on the number of images alone, hardly on how alike they are.

    hashes   (N, 8, 32) uint8, see `overread.imaging.digest.sign_hashes`
    compare  positions (M,) of some and of others, and how the others are turned -> (M,) likeness in -1..1
    returns  in turn: how many images are done, and the pairs found with them
    """
    words = np.ascontiguousarray(hashes).view(np.uint64)  # (N, 8, 4)
    first = np.ascontiguousarray(words[:, :, 0].T)  # (8, N): the slowest waves
    starts = range(0, len(words), ROWS)

    def confirmed(start: int) -> Found:
        found: Found = []
        for one, other, turn in _near_rows(words, first, start):
            for k in range(0, len(one), CONFIRMED_AT_ONCE):
                part = slice(k, k + CONFIRMED_AT_ONCE)
                likeness = compare(one[part], other[part], turn)
                sure = np.flatnonzero(np.abs(likeness) >= ALIKE)
                found += [(int(one[part][s]), int(other[part][s]), turn, float(likeness[s])) for s in sure]
        return found

    with ThreadPoolExecutor(processors or os.cpu_count() or 1) as pool:  # numpy lets go of the interpreter while it counts
        for start, found in zip(starts, pool.map(confirmed, starts), strict=True):
            yield min(start + ROWS, len(words)), found


def _near_rows(words: np.ndarray, first: np.ndarray, start: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Pairs of an image of these rows and a later one."""
    rows = first[0, start : start + ROWS, None]
    differing = np.empty((len(rows), COLUMNS), np.uint64)
    count = np.empty((len(rows), COLUMNS), np.uint8)
    for turn in range(len(POSITIONS)):
        for left in range(start, first.shape[1], COLUMNS):
            columns = first[turn, left : left + COLUMNS]
            bits, far = differing[:, : len(columns)], count[:, : len(columns)]
            np.bitwise_count(np.bitwise_xor(rows, columns, out=bits), out=far)
            far -= np.uint8(FIRST_NEAR_BITS + 1)  # below zero turns to the top, so that one comparison finds near and reversed
            one, other = np.divmod(np.flatnonzero(far > FIRST_BITS - 2 * FIRST_NEAR_BITS - 2), len(columns))
            one, other = one + start, other + left
            one, other = one[one < other], other[one < other]
            distance = np.bitwise_count(words[one, 0] ^ words[other, turn]).sum(axis=1, dtype=np.int64)
            near = np.minimum(distance, BITS - distance) <= NEAR_BITS
            if near.any():
                yield one[near], other[near], turn


def _near_twins(names: Sequence[str], sketches: Mapping[str, Sketch], progress: Progress | None) -> list[Twins]:
    details = details_of([sketches[name] for name in names])
    shown = np.flatnonzero(details.any(axis=(1, 2, 3)))
    if len(shown) < 2:
        return []
    details, names = details[shown], [names[int(k)] for k in shown]
    if progress is not None:
        progress.start(len(names), "Comparing the images with each other")
    best: dict[tuple[int, int], tuple[float, int]] = {}
    before = 0
    hashes = np.stack([sketches[name].hash_bits for name in names])
    for done, found in near_hashes(hashes, lambda one, other, turn: likenesses(details[one], details[other], turn)):
        for one, other, turn, likeness in found:
            if abs(likeness) > abs(best.get((one, other), (0.0, 0))[0]):
                best[one, other] = likeness, turn
        if progress is not None:
            progress.advance(done - before)
            before = done
    if progress is not None:
        progress.finish()
    return [
        Twins(names[one], names[other], round(abs(likeness), 4), POSITIONS[turn] + (", inverted" if likeness < 0 else ""))
        for (one, other), (likeness, turn) in best.items()
    ]


def likenesses(one: np.ndarray, other: np.ndarray, turn: int) -> np.ndarray:
    """(N,) correlations in -1..1 of (N, Z, Y, X) details with those of others, turned first; of volumes also upside down."""
    turned = other.swapaxes(-1, -2) if turn >= 4 else other
    turned = turned[..., ::-1] if turn & 2 else turned
    turned = turned[..., ::-1, :] if turn & 1 else turned
    upright = _products(one, turned)
    if one.shape[1] == 1:
        return upright
    reversed_ = _products(one, turned[:, ::-1])
    return np.where(np.abs(reversed_) > np.abs(upright), reversed_, upright)


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("nzyx,nzyx->n", one.astype(np.float32), other.astype(np.float32)))


def details_of(sketches: Sequence[Sketch]) -> np.ndarray:
    """Each picture or volume without coarse shading and fine noise, of length 1; zeros where it is flat.

    returns  (N, 1, 32, 32) or (N, 16, 16, 16) float16
    """
    parts = [sketches[start : start + CONFIRMED_AT_ONCE] for start in range(0, len(sketches), CONFIRMED_AT_ONCE)]
    return (
        np.concatenate([_details(np.stack([one.volume for one in part])) for part in parts]) if parts else np.zeros((0, 1, 1, 1))
    )


def _details(volumes: np.ndarray) -> np.ndarray:
    if volumes.shape[1] == 1:
        block = volumes.shape[2] // DETAIL_SIDE
        volumes = volumes.reshape(-1, 1, DETAIL_SIDE, block, DETAIL_SIDE, block).mean(axis=(3, 5))
    left = _blurred(volumes, FINE) - _blurred(volumes, COARSE)
    left -= left.mean(axis=(1, 2, 3), keepdims=True)
    size = np.sqrt(np.square(left).sum(axis=(1, 2, 3), keepdims=True))
    is_flat = size <= FLAT * left[0].size ** 0.5
    return np.where(is_flat, 0, left / np.where(is_flat, 1, size)).astype(np.float16)


def _blurred(volumes: np.ndarray, width: float) -> np.ndarray:
    for axis, side in enumerate(volumes.shape[1:], 1):
        if side > 1:
            volumes = np.moveaxis(np.tensordot(volumes, _blur(side, width), axes=(axis, 1)), -1, axis)
    return volumes


@cache
def _blur(side: int, width: float) -> np.ndarray:
    """(side, side): a Gaussian; what would lie outside is left out."""
    place = np.arange(side)
    weights = np.exp(-0.5 * ((place[:, None] - place) / (side * width)) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
