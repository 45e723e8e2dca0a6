"""Connected components of a structure, and the clean-up of answers that `Decisions` may hold.

Voxels that touch by a face, an edge or a corner belong to one component.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from overread.core.kinds import LabelMap
from overread.core.question import Decisions


@dataclass(frozen=True)
class Components:
    """The components of one mask inside its bounding box.

    box      where the labels lie in the whole grid; None for an empty mask
    labels   (z, y, x) inside the box: 0 outside, component numbers from 1
    voxels   (n,) size of each component
    """

    box: tuple[slice, ...] | None
    labels: np.ndarray
    voxels: np.ndarray


def components(mask: np.ndarray) -> Components:
    """(Z, Y, X) bool -> its components."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes:
        return Components(None, np.zeros((0, 0, 0), np.int32), np.zeros(0, int))
    labels, number = ndimage.label(mask[boxes[0]], structure=np.ones((3,) * mask.ndim))
    return Components(boxes[0], labels, np.bincount(labels.ravel(), minlength=number + 1)[1:])


def kept(voxels: np.ndarray, *, largest_only: bool, minimum_voxels: float) -> np.ndarray:
    """(n,) bool: which components of these sizes stay; of equal largest ones the first."""
    stay = voxels >= minimum_voxels
    if largest_only and len(voxels):
        stay &= np.arange(len(voxels)) == int(np.argmax(voxels))
    return stay


def clean(label_map: LabelMap, decisions: Decisions) -> LabelMap:
    """Drop the components that the decisions, frozen on tuning data, say to drop; the same map where they say nothing."""
    layers = label_map.layers
    for structure in label_map.structures:
        largest_only = structure.name in decisions.keep_largest
        minimum_ml = decisions.minimum_ml.get(structure.name, 0.0)
        if not largest_only and not minimum_ml:
            continue
        found = components(label_map.layers[structure.layer] == structure.value)
        minimum = minimum_ml / label_map.grid.voxel_ml if minimum_ml else 0.0
        stay = np.r_[True, kept(found.voxels, largest_only=largest_only, minimum_voxels=minimum)]
        if found.box is None or stay.all():
            continue
        layers = layers.copy() if layers is label_map.layers else layers
        layers[structure.layer][found.box][~stay[found.labels]] = 0
    return label_map if layers is label_map.layers else replace(label_map, layers=layers)
