"""Segmentation: how unsure each voxel is, and how far the masks of several passes differ.

Numbers per structure: Roy et al., NeuroImage 2019;195:11 (mean over the structure, coefficient of variation of the volume, Dice
between passes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from overread.batches.prepare import Prepared, undo_map
from overread.metrics.entropy import Entropies, entropy
from overread.reading.answering import Answering
from overread.reading.uncertain_passes import raws_of
from overread.reading.uncertain_ways import Ways

UNDRAWN = "no pass draws it"
EMPTIED = "fewer than two passes draw it"
CHUNK = 1 << 18  # bytes of packed masks unpacked at once

Values = dict[str, float | None]


@dataclass(frozen=True)
class VoxelUncertainty:
    """See `reading.uncertain.CaseUncertainty`."""

    passes: int
    values: Values
    parts: dict[str, Values]
    maps: dict[str, np.ndarray]
    reasons: dict[str, str]


def of_voxels(answering: Answering, prepared: Prepared, ways: Ways) -> VoxelUncertainty:
    """Entropy and mutual information per voxel, and numbers per structure on the prepared grid, before any clean-up."""
    question = answering.task.question
    own = answering.raw_of(prepared)
    mean: np.ndarray | None = None
    expected = np.zeros(own.shape[1:], dtype=np.float32)
    drawn: list[list[np.ndarray]] = [[] for _ in question.classes]
    for weight, raw in raws_of(answering, prepared, ways):
        expected += np.float32(weight) * entropy(raw, exclusive=question.exclusive, axis=0).astype(np.float32)
        part = raw * np.float32(weight)
        mean = part if mean is None else np.add(mean, part, out=mean)
        for k, mask in enumerate(masks_of(raw, exclusive=question.exclusive)):
            drawn[k].append(np.packbits(mask))
    assert mean is not None
    bits = Entropies.split(entropy(mean, exclusive=question.exclusive, axis=0).astype(np.float32), expected)
    unsure = _unsure(own, exclusive=question.exclusive)
    packed = {name: np.stack(of) for name, of in zip(question.classes, drawn, strict=True)}
    parts: dict[str, Values] = {}
    reasons: dict[str, str] = {}
    for name, masks in packed.items():
        parts[name], why = _of_structure(masks, bits, unsure)
        reasons |= {f"{measure}/{name}": reason for measure, reason in why.items()}
    maps = {"entropy": undo_map(bits.total, prepared), "mutual_information": undo_map(bits.mutual, prepared)}
    values, nowhere = _of_case(parts)
    return VoxelUncertainty(len(drawn[0]), values, parts, maps, reasons | nowhere)


def masks_of(raw: np.ndarray, *, exclusive: bool) -> list[np.ndarray]:
    """The structures that a raw answer (K, Z, Y, X) draws on its own grid, (Z, Y, X) bool each."""
    if not exclusive:
        return [channel > 0.5 for channel in raw]
    likeliest = raw.argmax(0)
    return [likeliest == k for k in range(1, len(raw))]


def _unsure(own: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """1 less the probability of what the model itself answers, voxel by voxel: the plain confidence."""
    sure = own.max(0) if exclusive else np.maximum(own, 1 - own).min(0)
    return np.asarray(1 - sure, dtype=np.float32)


def _of_structure(packed: np.ndarray, bits: Entropies, unsure: np.ndarray) -> tuple[Values, dict[str, str]]:
    """Mean over all that any pass draws, one voxel wider; how far volumes and masks differ.

    packed  (T, bytes) the masks of the passes
    """
    shape = unsure.shape
    names = ("entropy", "expected_entropy", "mutual_information", "confidence", "volume_cv", "dice_loss")
    union = np.unpackbits(np.bitwise_or.reduce(packed, axis=0), count=unsure.size).reshape(shape).astype(bool)
    if not union.any():
        return dict.fromkeys(names), dict.fromkeys(names, UNDRAWN)
    region = ndimage.binary_dilation(union, ndimage.generate_binary_structure(3, 1))
    both = shared(packed, unsure.size)
    volumes = np.diag(both)
    values: Values = {
        "entropy": float(bits.total[region].mean()),
        "expected_entropy": float(bits.expected[region].mean()),
        "mutual_information": float(bits.mutual[region].mean()),
        "confidence": 1 - float(unsure[region].mean()),
        "volume_cv": float(volumes.std() / volumes.mean()),
        "dice_loss": dice_loss(both),
    }
    return values, {"dice_loss": EMPTIED} if values["dice_loss"] is None else {}


def shared(packed: np.ndarray, voxels: int) -> np.ndarray:
    """(T, bytes) packed masks -> (T, T) voxels that two have in common; on the diagonal their volumes."""
    both = np.zeros((len(packed), len(packed)))
    for start in range(0, packed.shape[1], CHUNK):
        count = min(8 * CHUNK, voxels - 8 * start)
        masks = np.unpackbits(packed[:, start : start + CHUNK], axis=1, count=count).astype(np.float32)
        both += masks @ masks.T
    return both


def dice_loss(both: np.ndarray) -> float | None:
    """1 - mean Dice over pairs of passes of which at least one draws something; None where there is no such pair.

    both  (T, T) as from `shared`
    """
    first, second = np.triu_indices(len(both), 1)
    size = both[first, first] + both[second, second]
    some = size > 0
    return float(1 - (2 * both[first, second][some] / size[some]).mean()) if some.any() else None


def _of_case(parts: dict[str, Values]) -> tuple[Values, dict[str, str]]:
    """Mean over the structures that any pass draws."""
    values: Values = {}
    for name in next(iter(parts.values())):
        known = [value for part in parts.values() if (value := part[name]) is not None]
        values[name] = float(np.mean(known)) if known else None
    return values, {name: UNDRAWN for name, value in values.items() if value is None}
