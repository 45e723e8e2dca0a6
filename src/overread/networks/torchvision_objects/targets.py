"""Between our objects and torchvision's: other coordinates, other order, masks for numbers.

Ours: (z0, y0, x0, z1, y1, x1), where the centre of a pixel is a whole number and a box around pixel 0 runs from -0.5 to
0.5. torchvision's: (x0, y0, x1, y1), where edges between pixels are whole numbers and pixel 0 runs from 0 to 1.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from overread.core.errors import OverreadError

_HALF = 0.5
_THINNEST = 1e-3  # pixels; a box that a crop left thinner is no box


def to_torchvision(
    targets: Sequence[Mapping[str, Tensor]], size: tuple[int, int], *, first_class: int, with_masks: bool, source: str
) -> list[dict[str, Tensor]]:
    """The truth of each image as torchvision wants it.

    targets      per image ``boxes`` (N, 6), ``classes`` (N,), and ``numbers`` (L, Y, X) with value k + 1 for row k
    first_class  0 where the network has no class for background, else 1
    returns      per image ``boxes`` (N, 4) float32, ``labels`` (N,) int64, and ``masks`` (N, Y, X) uint8 where asked for
    """
    return [_one(target, size, first_class, with_masks, source) for target in targets]


def _one(
    target: Mapping[str, Tensor], size: tuple[int, int], first_class: int, with_masks: bool, source: str
) -> dict[str, Tensor]:
    boxes = target["boxes"].to(torch.float32)[:, [2, 1, 5, 4]] + _HALF
    rows = torch.where((boxes[:, 2:] - boxes[:, :2] > _THINNEST).all(dim=1))[0]
    found = {"boxes": boxes[rows], "labels": target["classes"][rows].to(torch.int64) + first_class}
    if with_masks:
        if "numbers" not in target and len(rows):
            raise OverreadError(
                f"{source} learns outlines, and the truth of an image with objects has boxes alone",
                next="choose faster_rcnn or another detector, or give outlines or masks",
            )
        numbers = target.get("numbers")
        found["masks"] = boxes.new_zeros((0, *size), dtype=torch.uint8) if numbers is None else _masks(numbers, rows)
    return found


def _masks(numbers: Tensor, rows: Tensor) -> Tensor:
    """Maps of numbers (L, Y, X) to one mask per row: (N, Y, X), 0 or 1."""
    wanted = (rows + 1).to(numbers.dtype)
    return (numbers[None] == wanted[:, None, None, None]).any(dim=1).to(torch.uint8)


def from_torchvision(answer: Mapping[str, Tensor], *, first_class: int) -> dict[str, Tensor]:
    """torchvision's answer for an image as ours: ``boxes`` (N, 6), ``scores`` (N,), ``classes`` (N,), by falling score."""
    order = torch.argsort(answer["scores"], descending=True, stable=True)
    x0, y0, x1, y1 = (answer["boxes"][order].to(torch.float32) - _HALF).unbind(dim=1)
    edge = torch.full_like(x0, _HALF)
    found = {"boxes": torch.stack([-edge, y0, x0, edge, y1, x1], dim=1), "scores": answer["scores"][order]}
    found["classes"] = answer["labels"][order] - first_class
    if "masks" in answer:
        found["masks"] = answer["masks"][order]
    return found


def paste(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks of boxes laid onto the image: (N, M, M) and (N, 4) in torchvision's edges to (N, Y, X) probabilities.

    Each pixel takes the value at its own centre, so that no box is rounded to whole pixels (as in Detectron2's
    ``paste_masks_in_image``; torchvision's rounds). Outside its box a mask is 0.
    """
    pasted = masks.new_zeros((len(masks), *size))
    height, width = size
    for number, (mask, box) in enumerate(zip(masks, boxes.tolist(), strict=True)):
        x0, y0, x1, y1 = box
        left, right = max(0, round(x0)), min(width, round(x1))
        top, bottom = max(0, round(y0)), min(height, round(y1))
        if right <= left or bottom <= top:
            continue
        across = (torch.arange(left, right, device=mask.device, dtype=mask.dtype) + _HALF - x0) / (x1 - x0) * 2 - 1
        down = (torch.arange(top, bottom, device=mask.device, dtype=mask.dtype) + _HALF - y0) / (y1 - y0) * 2 - 1
        places = torch.stack(torch.meshgrid(down, across, indexing="ij")[::-1], dim=-1)
        crop = torch.nn.functional.grid_sample(mask[None, None], places[None], align_corners=False, padding_mode="border")
        pasted[number, top:bottom, left:right] = crop[0, 0]
    return pasted
