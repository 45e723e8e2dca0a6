"""Parts of an image taken away or brought in one after the other, and what the network makes of what is there.

Source: Petsiuk et al., BMVC 2018 (RISE), section 3.2: deletion to a constant, insertion into a blurred image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.integrate import trapezoid
from scipy.ndimage import gaussian_filter
from torch import Tensor

from overread.explanation.batching import batch_for, in_batches
from overread.explanation.trial.posed import Posed

TILES = {2: 14, 3: 6}  # along each axis, where it is long enough: single voxels make noise, which upsets any network
STEPS = 16  # from the whole image to nothing
ORDERS = 5  # by chance, for comparison
BLUR = 0.1  # standard deviation as a share of the shortest side in the plane
ANSWERED = 0.5  # probability from which a finding counts as answered


@dataclass
class Orders:
    """Areas under the curve of one set of cases; those of random orders are found once for all methods.

    by_chance  (way, case_id) -> mean area of the random orders
    """

    by_chance: dict[tuple[str, str], float] = field(default_factory=dict)

    def gain(self, way: str, posed: Posed, values: np.ndarray) -> float:
        """Area of the order of a map (Z, Y, X) less that of random orders; "deletion" is better below 0, "insertion" above."""
        tiles = tiles_of(posed.asked.patch)
        if (way, posed.case_id) not in self.by_chance:
            random = [_order(np.zeros(tiles.max() + 1), posed.case_id, seed) for seed in range(1, ORDERS + 1)]
            self.by_chance[way, posed.case_id] = float(np.mean([area(way, posed, tiles, order) for order in random]))
        of_map = area(way, posed, tiles, _order(_tile_means(values, tiles), posed.case_id, 0))
        return of_map - self.by_chance[way, posed.case_id]


def is_answered(posed: Posed) -> bool:
    """Whether there is something to take away: of a finding that may be absent, the network must say that it is there."""
    question = posed.asked.task.question
    if question.task != "classification" or (question.exclusive and len(question.classes) > 2):
        return True
    with torch.no_grad():
        return float(posed.worth(posed.images)) >= ANSWERED


def tiles_of(patch: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) number of the tile of each voxel, from 0."""
    along = [min(n, TILES[2 if patch[0] == 1 else 3]) for n in patch]
    parts = [np.arange(n) * count // n for n, count in zip(patch, along, strict=True)]
    z, y, x = np.meshgrid(*parts, indexing="ij")
    return np.asarray((z * along[1] + y) * along[2] + x)


def area(way: str, posed: Posed, tiles: np.ndarray, order: np.ndarray) -> float:
    """Mean of what the network makes of the target over the steps, from the first tile of the order to the last."""
    blank = torch.zeros_like(posed.images[0]) if way == "deletion" else blurred(posed.images[0])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    place = torch.from_numpy(rank[tiles]).reshape(posed.images.shape[2:]).to(posed.images.device)
    curve = in_batches(posed.worth, _steps(way, posed.images[0], blank, place, len(order)), batch_for(posed.images))
    return float(trapezoid(curve, dx=1 / STEPS))


def _steps(way: str, image: Tensor, blank: Tensor, place: Tensor, count: int) -> Iterator[Tensor]:
    """(C, [Z,] Y, X) with more and more tiles taken away, or brought in."""
    for step in range(STEPS + 1):
        chosen = place < round(step / STEPS * count)
        yield torch.where(chosen, blank, image) if way == "deletion" else torch.where(chosen, image, blank)


def blurred(image: Tensor) -> Tensor:
    """(C, [Z,] Y, X) so blurred that little can be told from it."""
    sigma = BLUR * min(image.shape[-2:])
    values = image.cpu().numpy()
    along = [0.0] + [sigma] * (image.ndim - 1)
    return torch.from_numpy(gaussian_filter(values, along, mode="nearest")).to(image)


def _tile_means(values: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    sums = np.bincount(tiles.ravel(), values.ravel().astype(np.float64))
    return sums / np.bincount(tiles.ravel())


def _order(worth: np.ndarray, case_id: str, seed: int) -> np.ndarray:
    """Tiles from the one of most worth down; tiles of the same worth by chance, which is another in every case."""
    own = int.from_bytes(hashlib.sha256(case_id.encode()).digest()[:8], "little")
    shuffled = np.random.default_rng((seed, own)).permutation(len(worth))
    return shuffled[np.argsort(-worth[shuffled], kind="stable")]
