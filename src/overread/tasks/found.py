"""Objects that a network found: windows merged, models fused. In numpy, on the prepared grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from overread.metrics.objects.overlap import box_iou
from overread.tasks.objects import Found, clipped, mean_box, of_clusters, per_class, shifted, united
from overread.tasks.windows import merged_across_windows

__all__ = ["Found", "clipped", "merged_across_windows", "shifted", "united", "weighted_box_fusion"]


def weighted_box_fusion(founds: Sequence[Found], overlap: float = 0.55, weights: Sequence[float] | None = None) -> Found:
    """The answers of several models in one: boxes that overlap become their mean, weighted by score.

    founds   one per model, same classes
    overlap  intersection over union with the box fused so far, from which a box joins it
    weights  trust per model; equal where None
    A score is the weighted mean over all models, those that found nothing there counting as 0. Of voxels those stay that
    hold at least half of the weight. Source: Solovyev et al., Image and Vision Computing 107, 104117 (2021).
    """
    trust = np.ones(len(founds)) if weights is None else np.asarray(weights, dtype=float)
    whole = united([replace(f, scores=(f.scores * w).astype(np.float32)) for f, w in zip(founds, trust, strict=True)])

    def fuse(some: Found) -> Found:
        clusters: list[np.ndarray] = []
        boxes = np.zeros((0, 6))
        for k in range(len(some)):
            iou = box_iou(some.corners[k : k + 1], boxes.reshape(-1, 2, 3))[0]
            best = int(np.argmax(iou)) if len(iou) else 0
            if len(iou) and iou[best] > overlap:
                clusters[best] = np.append(clusters[best], k)
            else:
                best = len(clusters)
                clusters.append(np.array([k]))
                boxes = np.append(boxes, np.zeros((1, 6)), axis=0)
            boxes[best] = mean_box(some.boxes[clusters[best]], some.scores[clusters[best]])
        seen = np.array([min(len(founds), len(members)) for members in clusters])
        scores = np.array([some.scores[members].mean() for members in clusters]) * seen / trust.sum()
        return of_clusters(some, clusters, boxes, scores, share=0.5)

    return per_class(whole, fuse)
