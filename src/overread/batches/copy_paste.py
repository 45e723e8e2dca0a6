"""Objects cut out of one prepared image and laid into another, so that few lesions are seen in many surroundings.

Source: Ghiasi et al., CVPR 2021, arXiv:2012.07177. Two things differ, for lesions do not lie anywhere nor upon each other:
an object goes near the place that it had in its own image, and only where it covers no other object.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from overread.batches.cache import PreparedCase
from overread.batches.windows import Shape

MOST = 3  # objects pasted at once
TRIES = 8  # places looked at for each
WANDER = 0.1  # of the image's edge: how far from its own place an object may go (standard deviation)
BLEND = 1.0  # voxels over which its edge fades (standard deviation)


def paste_objects(
    image: np.ndarray,
    numbers: np.ndarray,
    boxes: np.ndarray,
    classes: np.ndarray,
    start: Shape,
    shape: Shape,
    giver: PreparedCase,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lay one to three objects of `giver` into a region; what finds no free place is left out.

    image    (C, *region) of the same preparation, and numbers (L, *region), boxes (N, 6) in its coordinates, classes (N,)
    start    of the region on its grid, whose shape is `shape`
    returns  the four of them anew, with the pasted objects as further rows
    """
    assert giver.objects is not None
    image, numbers = image.copy(), numbers.copy()
    boxes, classes = boxes.astype(np.float32), classes.copy()
    count = min(len(giver.objects), int(random.integers(1, MOST + 1)))
    for row in random.permutation(len(giver.objects))[:count]:
        low = np.floor(giver.objects.boxes[row, :3] + 0.5).astype(int)
        high = np.ceil(giver.objects.boxes[row, 3:] + 0.5).astype(int)
        mask = (giver.target[(slice(None), *_span(low, high))] == row + 1).any(axis=0)
        first = _free_place(numbers, boxes, mask.shape, low, start, shape, giver.image.shape[1:], random)
        if first is None or not mask.any():
            continue
        _lay(image, giver.image, mask, low, first)
        place = _span(first, first + mask.shape)
        free = int(np.argmin([layer[place].any() for layer in numbers]))
        numbers[free][place][mask] = len(boxes) + 1
        boxes = np.concatenate([boxes, [[*(first - 0.5), *(first + mask.shape - 0.5)]]]).astype(np.float32)
        classes = np.append(classes, giver.objects.classes[row])
    return image, numbers, boxes, classes


def _free_place(
    numbers: np.ndarray,
    boxes: np.ndarray,
    size: tuple[int, ...],
    low: np.ndarray,
    start: Shape,
    shape: Shape,
    own_shape: tuple[int, ...],
    random: np.random.Generator,
) -> np.ndarray | None:
    """First voxel in the region for an object of `size` that touches no box; inside image and region, or nowhere."""
    least = np.maximum(0, -np.array(start)).astype(np.int64)
    most = (np.minimum(numbers.shape[1:], np.array(shape) - start) - size).astype(np.int64)
    if (most < least).any():
        return None
    wanted = (low / np.array(own_shape) * shape) - start
    for _ in range(TRIES):
        near = wanted + random.normal(size=3) * WANDER * np.array(shape)
        first = np.rint(near).astype(int)
        outside = (first < least) | (first > most)
        first = np.where(outside, random.integers(least, most + 1), first)
        last = first + size
        touches = ((boxes[:, :3] < last - 0.5) & (boxes[:, 3:] > first - 0.5)).all(axis=1)
        if not touches.any():
            return first
    return None


def _lay(image: np.ndarray, source: np.ndarray, mask: np.ndarray, low: np.ndarray, first: np.ndarray) -> None:
    """Put the masked voxels of `source` into `image`, both (C, Z, Y, X), with an edge that fades into what was there."""
    margin = np.array([0 if n == 1 else 3 for n in image.shape[1:]])
    before = np.minimum.reduce([margin, low, first])
    last, reach = first + mask.shape, low + mask.shape
    after = np.minimum.reduce([margin, np.array(source.shape[1:]) - reach, np.array(image.shape[1:]) - last])
    padded = np.pad(mask, list(zip(before, after, strict=True))).astype(np.float32)
    sigma = [0.0 if n == 1 else BLEND for n in image.shape[1:]]
    weight = np.maximum(ndimage.gaussian_filter(padded, sigma), padded * 0.5)
    there, here = (slice(None), *_span(low - before, reach + after)), (slice(None), *_span(first - before, last + after))
    image[here] = weight * source[there] + (1 - weight) * image[here]


def _span(first: np.ndarray, last: np.ndarray) -> tuple[slice, slice, slice]:
    z, y, x = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return z, y, x
