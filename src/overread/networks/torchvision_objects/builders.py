"""Five detectors of torchvision with a pyramid, normalisation and anchors for small radiology data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead

from overread.core.errors import OverreadError
from overread.networks.torchvision_objects.adapter import LOWEST_SCORE, MOST_OBJECTS, UNUSED, ObjectsAdapter
from overread.networks.torchvision_objects.anchors import ASPECT_RATIOS
from overread.networks.torchvision_objects.generators import FineAnchors
from overread.networks.torchvision_objects.precision import make_exact
from overread.networks.torchvision_objects.pyramid import ALL_LAYERS, make_pyramid
from overread.networks.torchvision_objects.roi import ChannelsLastRoIAlign
from overread.networks.torchvision_objects.single_shot import ssd

__all__ = ["faster_rcnn", "fcos", "mask_rcnn", "retinanet", "ssd"]

_LEVELS = 5
_OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # three anchor sizes a level (Lin 2017, arXiv:1708.02002)


def faster_rcnn(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    backbone: str = "resnet18",
    norm: str = "group",
    trainable_layers: int = ALL_LAYERS,
    anchor_sizes: Any = (32, 64, 128, 256, 512),
    aspect_ratios: Any = ASPECT_RATIOS,
) -> ObjectsAdapter:
    """Two stages: proposals from a pyramid, then a class and a better box for each (Ren 2015, arXiv:1506.01497)."""
    pyramid = make_pyramid(backbone, in_channels, norm, trainable_layers, finest=4, deepens=False)
    inner = FasterRCNN(pyramid, out_channels + 1, **_two_stages(anchor_sizes, aspect_ratios))
    make_exact(inner.rpn.head, ("cls_logits", "bbox_pred"))
    make_exact(inner.roi_heads.box_predictor, ("cls_score", "bbox_pred"))
    return ObjectsAdapter(inner, "faster_rcnn", backbone, norm, first_class=1)


def mask_rcnn(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    backbone: str = "resnet18",
    norm: str = "group",
    trainable_layers: int = ALL_LAYERS,
    anchor_sizes: Any = (32, 64, 128, 256, 512),
    aspect_ratios: Any = ASPECT_RATIOS,
) -> ObjectsAdapter:
    """Faster R-CNN with a mask for each box (He 2017, arXiv:1703.06870)."""
    pyramid = make_pyramid(backbone, in_channels, norm, trainable_layers, finest=4, deepens=False)
    pool = ChannelsLastRoIAlign(["0", "1", "2", "3"], 14, 2)
    inner = MaskRCNN(pyramid, out_channels + 1, mask_roi_pool=pool, **_two_stages(anchor_sizes, aspect_ratios))
    make_exact(inner.rpn.head, ("cls_logits", "bbox_pred"))
    make_exact(inner.roi_heads, ("cls_score", "bbox_pred", "mask_fcn_logits"))
    return ObjectsAdapter(inner, "mask_rcnn", backbone, norm, first_class=1)


def _two_stages(anchor_sizes: Sequence[float], aspect_ratios: Sequence[float]) -> dict[str, Any]:
    anchors = FineAnchors([(size,) for size in _checked(anchor_sizes)], aspect_ratios)
    pool = ChannelsLastRoIAlign(["0", "1", "2", "3"], 7, 2)
    limits = {"box_score_thresh": LOWEST_SCORE, "box_detections_per_img": MOST_OBJECTS}
    return {"rpn_anchor_generator": anchors, "box_roi_pool": pool, **limits, **UNUSED}


def retinanet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    backbone: str = "resnet18",
    norm: str = "group",
    trainable_layers: int = ALL_LAYERS,
    anchor_sizes: Any = (32, 64, 128, 256, 512),
    aspect_ratios: Any = ASPECT_RATIOS,
) -> ObjectsAdapter:
    """One stage with focal loss (Lin 2017, arXiv:1708.02002); towers without normalisation, as in torchvision's first form."""
    pyramid = make_pyramid(backbone, in_channels, norm, trainable_layers, finest=8, deepens=True)
    sizes = [[size * octave for octave in _OCTAVES] for size in _checked(anchor_sizes)]
    anchors = FineAnchors(sizes, aspect_ratios)
    head = RetinaNetHead(pyramid.out_channels, anchors.num_anchors_per_location()[0], out_channels)
    limits = {"score_thresh": LOWEST_SCORE, "detections_per_img": MOST_OBJECTS}
    inner = RetinaNet(pyramid, out_channels, anchor_generator=anchors, head=head, **limits, **UNUSED)
    make_exact(inner.head, ("cls_logits", "bbox_reg"))
    return ObjectsAdapter(inner, "retinanet", backbone, norm, first_class=0)


def fcos(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    backbone: str = "resnet18",
    norm: str = "group",
    trainable_layers: int = ALL_LAYERS,
) -> ObjectsAdapter:
    """One stage without anchors: each place gives distances to the four edges (Tian 2019, arXiv:1904.01355)."""
    pyramid = make_pyramid(backbone, in_channels, norm, trainable_layers, finest=8, deepens=True)
    anchors = FineAnchors([(8,), (16,), (32,), (64,), (128,)], (1.0,))  # one place per cell, as large as its stride
    head = FCOSHead(pyramid.out_channels, 1, out_channels)
    limits = {"score_thresh": LOWEST_SCORE, "detections_per_img": MOST_OBJECTS}
    inner = FCOS(pyramid, out_channels, anchor_generator=anchors, head=head, **limits, **UNUSED)
    make_exact(inner.head, ("cls_logits", "bbox_reg", "bbox_ctrness"))
    return ObjectsAdapter(inner, "fcos", backbone, norm, first_class=0)


def _checked(sizes: Sequence[float]) -> list[float]:
    if len(sizes) != _LEVELS or min(sizes) <= 0:
        raise OverreadError(
            f"anchor_sizes wants {_LEVELS} sizes in pixels, one per level, finest first; got {list(sizes)}",
            next="leave anchor_sizes out, and the plan chooses them from the objects",
        )
    return [float(size) for size in sizes]
