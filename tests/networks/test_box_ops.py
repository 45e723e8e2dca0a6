"""Overlap, generalised overlap and pruning of boxes, against brute force and (2D) torchvision."""

import math

import numpy as np
import pytest
import torch
from torchvision import ops

from overread.networks.objects.box_ops import box_iou, giou_loss, nms, soft_nms


def some_boxes(count: int, seed: int, *, planar: bool = False, whole: bool = False) -> torch.Tensor:
    """(N, 6) boxes in a space of 12 voxels; of whole voxels where brute force counts them."""
    random = np.random.default_rng(seed)
    first, size = random.uniform(0, 8, (count, 3)), random.uniform(1, 6, (count, 3))
    if whole:
        first, size = np.floor(first) - 0.5, np.ceil(size)
    if planar:
        first[:, 0], size[:, 0] = -0.5, 1
    return torch.from_numpy(np.concatenate([first, first + size], 1).astype(np.float32))


def voxels(box: torch.Tensor) -> set[tuple[int, int, int]]:
    places = np.indices((16, 16, 16)).reshape(3, -1).T
    low, high = box[:3].numpy(), box[3:].numpy()
    return {tuple(place) for place in places[((places > low) & (places < high)).all(1)]}


def test_overlap_counts_voxels():
    a, b = some_boxes(12, 0, whole=True), some_boxes(9, 1, whole=True)
    sets_a, sets_b = [voxels(box) for box in a], [voxels(box) for box in b]
    counted = [[len(one & other) / len(one | other) for other in sets_b] for one in sets_a]
    np.testing.assert_allclose(box_iou(a, b).numpy(), counted, atol=1e-6)
    np.testing.assert_array_equal(box_iou(a[:0], b).shape, (0, 9))


def test_planar_overlap_is_that_of_torchvision():
    a, b = some_boxes(30, 2, planar=True), some_boxes(30, 3, planar=True)
    flat_a, flat_b = (boxes[:, [2, 1, 5, 4]] for boxes in (a, b))
    torch.testing.assert_close(box_iou(a, b), ops.box_iou(flat_a, flat_b), atol=1e-6, rtol=0)
    torch.testing.assert_close(giou_loss(a, b), ops.generalized_box_iou_loss(flat_a, flat_b), atol=1e-5, rtol=0)


def test_generalised_overlap_in_space_by_its_definition():
    a, b = some_boxes(40, 4), some_boxes(40, 5)
    iou = box_iou(a, b).diagonal()
    around = torch.cat([torch.minimum(a, b)[:, :3], torch.maximum(a, b)[:, 3:]], 1)
    size = [(boxes[:, 3:] - boxes[:, :3]).prod(1) for boxes in (a, b, around)]
    union = (size[0] + size[1]) / (1 + iou)
    torch.testing.assert_close(giou_loss(a, b), 1 - (iou - (size[2] - union) / size[2]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(giou_loss(a, a), torch.zeros(40), atol=1e-6, rtol=0)


def test_far_boxes_are_drawn_together():
    answer = torch.tensor([[0.0, 0, 0, 2, 2, 2]], requires_grad=True)
    giou_loss(answer, torch.tensor([[8.0, 0, 0, 10, 2, 2]])).sum().backward()
    assert answer.grad[0, 3] < 0  # the last corner is to move towards the truth


def greedy(boxes, scores, classes, overlap):
    left, stay = sorted(range(len(boxes)), key=lambda k: -float(scores[k])), []
    while left:
        best = left.pop(0)
        stay.append(best)
        iou = box_iou(boxes[best : best + 1], boxes)[0]
        left = [k for k in left if not (classes[k] == classes[best] and iou[k] > overlap)]
    return stay


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("planar", [False, True])
def test_pruning_is_greedy(overlap, planar):
    for seed in range(8):
        boxes = some_boxes(80, seed, planar=planar)
        random = torch.Generator().manual_seed(seed)
        scores, classes = torch.rand(80, generator=random), torch.randint(0, 3, (80,), generator=random)
        stay = nms(boxes, scores, classes, overlap)
        assert stay.tolist() == greedy(boxes, scores, classes, overlap)
        if planar:
            assert stay.tolist() == ops.batched_nms(boxes[:, [2, 1, 5, 4]], scores, classes, overlap).tolist()
    nothing = torch.zeros(0)
    assert nms(nothing.reshape(0, 6), nothing, nothing.long(), overlap).tolist() == []


def test_soft_nms_lowers_scores_one_by_one():
    for seed in range(5):
        boxes, random = some_boxes(20, seed), torch.Generator().manual_seed(seed)
        scores, classes = torch.rand(20, generator=random), torch.randint(0, 2, (20,), generator=random)
        iou, falling, left, expected = box_iou(boxes, boxes), scores.tolist(), list(range(20)), []
        while left:
            best = max(left, key=lambda k: falling[k])
            left.remove(best)
            if falling[best] >= 0.05:
                expected.append((best, falling[best]))
            for k in left:
                if classes[k] == classes[best]:
                    falling[k] *= math.exp(-(float(iou[best, k]) ** 2) / 0.5)
        stay, kept = soft_nms(boxes, scores, classes, 0.5, 0.05)
        assert stay.tolist() == [k for k, _ in expected]
        torch.testing.assert_close(kept, torch.tensor([score for _, score in expected]), rtol=1e-5, atol=0)
    nothing = torch.zeros(0)
    assert soft_nms(nothing.reshape(0, 6), nothing, nothing.long())[0].tolist() == []
