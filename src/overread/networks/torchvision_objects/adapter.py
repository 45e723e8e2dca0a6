"""What makes a detector of torchvision answer like ours: losses where there are targets, objects where there are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from overread.core.errors import OverreadError
from overread.networks.fit import refuse_indivisible
from overread.networks.torchvision_objects.hub import load_published
from overread.networks.torchvision_objects.targets import from_torchvision, paste, to_torchvision
from overread.networks.weights import Loaded

DIVISOR = (32, 32)
LOWEST_SCORE = 0.01  # FROC and average precision want the low scores, too
MOST_OBJECTS = 300  # per image
UNUSED = {"min_size": 1, "max_size": 1, "image_mean": [0.0], "image_std": [1.0]}  # of the transform that is taken away
_SEED = 0  # of the draws behind a loss that is only looked at


class Untouched(nn.Module):
    """In place of torchvision's transform, which would resize and normalise what our preparation has done already.

    Images stay one tensor in the layout they came in.
    """

    def forward(self, images: Tensor, targets: Any = None) -> tuple[ImageList, Any]:
        size = (int(images.shape[2]), int(images.shape[3]))
        return ImageList(images, [size] * len(images)), targets

    def postprocess(self, answers: list[dict[str, Tensor]], sizes: list[tuple[int, int]], _: object) -> list[dict[str, Tensor]]:
        for answer, size in zip(answers, sizes, strict=False):  # no answers where there are losses
            if "masks" in answer:
                answer["masks"] = paste(answer["masks"][:, 0].detach().to(torch.float32), answer["boxes"].detach(), size)
        return answers


class ObjectsAdapter(nn.Module):
    """A detector of torchvision.

    inner        FasterRCNN, MaskRCNN, RetinaNet, FCOS or SSD
    source       its name, for errors
    backbone     name of the network below, and norm of its normalisation: published weights are chosen by them
    first_class  label of the first class: 1 where 0 is the background
    smallest     pixels that each axis of an image must have
    """

    dimensions = 2

    def __init__(
        self,
        inner: nn.Module,
        source: str,
        backbone: str,
        norm: str,
        *,
        first_class: int,
        divisor: tuple[int, int] = DIVISOR,
        smallest: int = 1,
    ) -> None:
        super().__init__()
        self.backbone, self.norm = backbone, norm
        self.inner, self.source, self.first_class, self.divisor, self.smallest = inner, source, first_class, divisor, smallest
        self.with_masks = bool(getattr(getattr(inner, "roi_heads", None), "mask_head", None))
        inner.transform = Untouched()

    def forward(self, images: Tensor, targets: Sequence[Mapping[str, Tensor]] | None = None) -> Any:
        """Losses by name with targets, else objects per image.

        images   (B, C, Y, X)
        targets  per image ``boxes`` (N, 6), ``classes`` (N,), for masks ``numbers`` (L, Y, X); see the contract of "objects"
        returns  terms of the loss by name; or per image ``boxes`` (N, 6), ``scores`` (N,), ``classes`` (N,) and for masks
                 ``masks`` (N, Y, X) probabilities, by falling score
        """
        size = self._fitting(images)
        if targets is None:
            with _mode(self.inner, training=False):
                answers = self.inner(images)
            return [from_torchvision(answer, first_class=self.first_class) for answer in answers]
        truth = to_torchvision(targets, size, first_class=self.first_class, with_masks=self.with_masks, source=self.source)
        if self.training:
            with _mode(self.inner, training=True):
                return self.inner(images, truth)
        devices = [images.device] if images.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), _mode(self.inner, training=True):
            torch.manual_seed(_SEED)  # the same draws at each look, and none taken from the training's
            return self.inner(images, truth)

    def features(self, images: Tensor) -> Tensor:
        """The coarsest map of the pyramid, averaged over space: (B, F)."""
        self._fitting(images)
        maps = self.inner.backbone(images)  # type: ignore[operator]
        return list(maps.values())[-1].flatten(2).mean(2)

    def load_published(self) -> Loaded:
        """Take over the published weights of the network's name and backbone."""
        return load_published(self.inner, self.backbone, self.norm)

    def _fitting(self, images: Tensor) -> tuple[int, int]:
        size = tuple(images.shape[2:])
        refuse_indivisible(size, self.divisor, self.source)
        if min(size) < self.smallest:
            raise OverreadError(
                f"an image of {size} is too small for {self.source}: each axis must have at least {self.smallest} pixels",
                next="plan a larger window, or choose another backbone",
            )
        return int(size[0]), int(size[1])


@contextmanager
def _mode(inner: nn.Module, *, training: bool) -> Iterator[None]:
    """Let torchvision's parts give losses or answers for a while; none of them keeps statistics or drops anything out."""
    parts = [part for name in ("", "rpn", "roi_heads") if (part := inner if not name else getattr(inner, name, None)) is not None]
    before = [part.training for part in parts]
    try:
        for part in parts:
            part.training = training
        yield
    finally:
        for part, was in zip(parts, before, strict=True):
            part.training = was
