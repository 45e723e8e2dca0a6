"""Objects as points: a detector without anchors on our own pyramid, 2D and 3D.

Every object is a peak of a heat map of its class; at the peak stand the distances to its faces. Sources: Zhou et al., Objects
as Points, 2019 (arXiv:1904.07850); Liu et al., Training-Time-Friendly Network, AAAI 2020 (heat as wide as the object, every
place near the centre learns the box); Jaeger et al., Retina U-Net, 2018 (a segmentation taught beside, where voxels are known).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.norms import SLOPE
from overread.networks.full_precision import full_precision
from overread.networks.objects.box_ops import giou_loss, nms, soft_nms
from overread.networks.objects.losses import modified_focal, shares
from overread.networks.objects.pyramid import Pyramid
from overread.networks.objects.targets import Places, places_of, shares_of

COARSEST = {2: 4, 3: 2}  # stride of the answer, in voxels
MOST = 300  # objects per image
FAINTEST = 0.01  # score
SAME = {2: 0.5, 3: 0.3}  # intersection over union from which two of a class are one object
DUPLICATES = ("nms", "soft_nms")  # of two boxes that overlap the worse one is dropped, or its score falls by how much they do
PRIOR = 0.02  # heat that an untaught network answers everywhere
TYPICAL = 4.0  # places: edge of the box that an untaught network answers
BOX_WEIGHT = 2.0
SEGMENTATION_WEIGHT = 0.5


class CentreDetector(nn.Module):
    """Heat per class, box, and where it is taught the share of each class, on a grid coarser by `pyramid.stride`.

    A box is answered as the way from the place to its middle, in places, and the logarithm of its edges: both say how far
    its faces are, and no box comes out inside out.
    """

    def __init__(
        self, pyramid: Pyramid, classes: int, dimensions: int, *, segmentation: bool, duplicates: str = DUPLICATES[0]
    ) -> None:
        super().__init__()
        if duplicates not in DUPLICATES:
            raise OverreadError(
                f"this detector thins out its boxes by {' or '.join(DUPLICATES)}, not by {duplicates!r}",
                next=f"set duplicates = {DUPLICATES[0]!r} or {DUPLICATES[1]!r}, or leave it out",
            )
        self.pyramid, self.classes, self.dimensions, self.duplicates = pyramid, classes, dimensions, duplicates
        self.divisor, self.stride = pyramid.divisor, pyramid.stride
        self.heat = _Head(pyramid.width, classes, dimensions)
        self.box = _Head(pyramid.width, 2 * dimensions, dimensions)
        self.segmentation = convolution(pyramid.width, classes, (1,) * dimensions) if segmentation else None
        he_initialise(self)
        self.heat.start(math.log(PRIOR / (1 - PRIOR)))
        self.box.start(0.0)

    def forward(self, images: Tensor, targets: Sequence[Mapping[str, Tensor]] | None = None) -> object:
        """Loss terms by name where targets are given, else per image a dict of boxes (N, 6), scores (N,), classes (N,).

        targets  per image: boxes (N, 6) in index coordinates of the image, classes (N,); whole (N, 6), the boxes as they
                 go on beyond the image, where it is a window; and numbers (L, [Z,] Y, X), k + 1 where object k is, where the
                 truth has voxels
        """
        maps = self.pyramid(images)
        heat, boxes = self.heat(maps), self.box(maps)
        with full_precision(images.device):
            if targets is not None:
                return self._losses(maps, heat, boxes, targets)
            return [self._answer(h, b) for h, b in zip(heat, boxes, strict=True)]

    def features(self, images: Tensor) -> Tensor:
        """The bottleneck averaged over space: (B, features of the last stage)."""
        return self.pyramid.encode(images)[-1].flatten(2).mean(2)

    def _losses(self, maps: Tensor, heat: Tensor, boxes: Tensor, targets: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        truths = [places_of(one, self.classes, heat.shape[2:], self.stride) for one in targets]
        objects = sum(len(one["boxes"]) for one in targets)
        terms = {
            "heat": modified_focal(heat, torch.stack([one.heat for one in truths])),
            "boxes": BOX_WEIGHT * self._box_loss(boxes, truths) / max(1, objects),
        }
        if self.segmentation is not None:
            terms["segmentation"] = SEGMENTATION_WEIGHT * self._segmentation_loss(maps, targets)
        return terms

    def _box_loss(self, boxes: Tensor, truths: Sequence[Places]) -> Tensor:
        """Summed over objects; 0 with a gradient where there is none."""
        total = boxes.sum() * 0
        for answers, truth in zip(boxes, truths, strict=True):
            taken = self._boxes(answers[(slice(None), *truth.where.T)].T, truth.where)
            total = total + (giou_loss(taken, truth.boxes) * truth.weights).sum()
        return total

    def _segmentation_loss(self, maps: Tensor, targets: Sequence[Mapping[str, Tensor]]) -> Tensor:
        assert self.segmentation is not None
        logits = self.segmentation(maps.float())
        known = [(k, shares_of(one, self.classes, self.stride)) for k, one in enumerate(targets)]
        known_truths = [(k, truth) for k, truth in known if truth is not None]
        if not known_truths:
            return logits.sum() * 0
        return shares(logits[[k for k, _ in known_truths]], torch.stack([truth for _, truth in known_truths]))

    def _boxes(self, answers: Tensor, where: Tensor) -> Tensor:
        """(P, 2 D) answers of the places (P, D) -> (P, 6) boxes in voxels; a 2D box is one voxel thick."""
        step = torch.tensor(self.stride, device=answers.device, dtype=torch.float32)
        axes = self.dimensions
        middle = where * step + (step - 1) / 2 + answers[:, :axes] * step
        half = TYPICAL / 2 * step * answers[:, axes:].clamp(-6, 6).exp()
        low, high = middle - half, middle + half
        if axes == 2:
            low, high = F.pad(low, (1, 0), value=-0.5), F.pad(high, (1, 0), value=0.5)
        return torch.cat([low, high], 1)

    def _answer(self, heat: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        """heat (K, *places), boxes (2 D, *places) of one image."""
        scores = heat.sigmoid()
        pool = F.max_pool2d if self.dimensions == 2 else F.max_pool3d
        peaks = torch.where(scores == pool(scores[None], 3, 1, 1)[0], scores, 0)
        best, index = peaks.flatten().topk(min(MOST, peaks.numel()))
        index = index[best >= FAINTEST]
        where = torch.stack(torch.unravel_index(index, peaks.shape), 1)
        found = self._boxes(boxes[(slice(None), *where[:, 1:].T)].T, where[:, 1:])
        found = self._inside(found, heat.shape[1:])
        values, classes = peaks.flatten()[index], where[:, 0]
        if self.duplicates == "soft_nms":
            stay, kept = soft_nms(found, values, classes, lowest=FAINTEST)
        else:
            stay = nms(found, values, classes, SAME[self.dimensions])
            kept = values[stay]
        return {"boxes": found[stay], "scores": kept, "classes": classes[stay]}

    def _inside(self, boxes: Tensor, size: Sequence[int]) -> Tensor:
        """The boxes cut to the image."""
        edges = [n * step for n, step in zip(size, self.stride, strict=True)]
        last = torch.tensor([1] * (3 - len(edges)) + edges, device=boxes.device) - 0.5
        return torch.cat([boxes[:, :3].clamp_min(-0.5).minimum(last), boxes[:, 3:].clamp_min(-0.5).minimum(last)], 1)


class _Head(nn.Module):
    """One convolution, and a last one in float32: scores and faces deserve more than 8 bits.

    Not normalised, so that an image without an object may stay cold everywhere.
    """

    def __init__(self, width: int, outputs: int, dimensions: int) -> None:
        super().__init__()
        self.first = convolution(width, width, (3,) * dimensions)
        self.last = convolution(width, outputs, (1,) * dimensions)

    def start(self, bias: float) -> None:
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.constant_(self.last.bias, bias)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> Tensor:
        maps = F.leaky_relu(self.first(maps), SLOPE)
        with full_precision(maps.device):
            return self.last(maps.float())


def coarsest_stride(asked: Sequence[int] | int | None, dimensions: int) -> tuple[int, ...]:
    """The stride of the answer along each axis: what was asked for, or 4 in 2D and 2 in 3D."""
    if asked is None:
        return (COARSEST[dimensions],) * dimensions
    steps = (asked,) * dimensions if isinstance(asked, int) else tuple(asked)
    if len(steps) != dimensions or min(steps) < 1:
        raise OverreadError(
            f"coarsest of a {dimensions}D detector needs {dimensions} whole numbers of 1 or more; got {asked}",
            next=f"set coarsest = {COARSEST[dimensions]}, or leave it out",
        )
    return steps
