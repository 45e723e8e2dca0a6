"""Found objects: moved, fused over models and windows, against plain loops."""

import numpy as np
import pytest
import torch

from overread.core.kinds import Piece
from overread.metrics.objects.overlap import box_iou
from overread.networks.objects.box_ops import nms
from overread.tasks.found import Found, clipped, merged_across_windows, shifted, united, weighted_box_fusion


def found(boxes, scores, classes=None, pieces=None) -> Found:
    boxes = np.array(boxes, np.float32).reshape(-1, 6)
    classes = np.zeros(len(boxes), int) if classes is None else np.array(classes)
    return Found(boxes, np.array(scores, np.float32), classes, pieces)


def some(count: int, seed: int) -> Found:
    random = np.random.default_rng(seed)
    first = random.uniform(0, 8, (count, 3))
    return found(
        np.concatenate([first, first + random.uniform(2, 7, (count, 3))], 1),
        random.uniform(0, 1, count),
        random.integers(0, 2, count),
    )


def iou(a, b) -> float:
    return float(box_iou(np.reshape(a, (1, 2, 3)), np.reshape(b, (1, 2, 3)))[0, 0])


def test_objects_move_with_their_window_and_are_cut_to_the_grid():
    piece = Piece((0, 1, 1), np.ones((1, 2, 2), bool))
    moved = shifted(found([[-0.5, 0.5, 0.5, 0.5, 2.5, 2.5]], [0.9], pieces=(piece,)), (0, 3, -2))
    np.testing.assert_array_equal(moved.boxes, [[-0.5, 3.5, -1.5, 0.5, 5.5, 0.5]])
    assert moved.pieces[0].start == (0, 4, -1)
    cut = clipped(moved, (1, 6, 6))
    np.testing.assert_array_equal(cut.boxes, [[-0.5, 3.5, -0.5, 0.5, 5.5, 0.5]])
    assert cut.pieces[0].start == (0, 4, 0)
    assert cut.pieces[0].mask.shape == (1, 2, 1)
    assert len(clipped(shifted(moved, (0, 0, -5)), (1, 6, 6))) == 0


def test_united_is_sorted_by_score_and_keeps_everything():
    both = united([some(5, 0), some(7, 1)])
    assert len(both) == 12
    assert (np.diff(both.scores) <= 0).all()
    assert len(united([])) == 0
    assert len(united([Found.nothing(), Found.nothing()])) == 0


def fused_by_loops(founds, overlap, weights):
    """The paper's steps, written out for one class at a time."""
    entries = sorted(
        (
            (s * w, c, b)
            for f, w in zip(founds, weights, strict=True)
            for s, c, b in zip(f.scores, f.classes, f.boxes, strict=True)
        ),
        key=lambda entry: -entry[0],
    )
    clusters = []
    for score, name, box in entries:
        candidates = [(iou(c["box"], box), k) for k, c in enumerate(clusters) if c["class"] == name]
        value, k = max(candidates, key=lambda pair: pair[0], default=(0.0, -1))
        if value <= overlap:
            clusters.append({"class": name, "members": [], "box": None})
            k = len(clusters) - 1
        clusters[k]["members"].append((score, box))
        total = sum(s for s, _ in clusters[k]["members"])
        clusters[k]["box"] = sum(s * b for s, b in clusters[k]["members"]) / total
    rows = []
    for c in clusters:
        score = np.mean([s for s, _ in c["members"]]) * min(len(c["members"]), len(founds)) / sum(weights)
        rows.append((score, c["class"], *c["box"]))
    return sorted(rows, key=lambda row: -row[0])


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5)])
def test_fusion_over_models_follows_the_paper(weights):
    for seed in range(5):
        models = [some(8, 10 * seed + k) for k in range(3)]
        after = weighted_box_fusion(models, 0.3, weights)
        expected = fused_by_loops(models, 0.3, weights)
        np.testing.assert_allclose(np.c_[after.scores, after.classes, after.boxes], expected, rtol=1e-4, atol=1e-5)


def test_fusion_of_a_model_with_itself_changes_nothing():
    crowd = some(20, 3)
    alone = nms(*(torch.from_numpy(one) for one in (crowd.boxes, crowd.scores, crowd.classes)), 0.3)
    one = crowd.chosen(alone.numpy())
    both = weighted_box_fusion([one, one], 0.5)
    np.testing.assert_allclose(both.boxes, one.boxes, rtol=1e-5)
    np.testing.assert_allclose(both.scores, one.scores, rtol=1e-5)


def test_fused_voxels_need_half_of_the_weight():
    left, right = (Piece((0, 0, x), np.ones((1, 2, 3), bool)) for x in (0, 1))
    box = [[-0.5, -0.5, -0.5, 0.5, 1.5, 3.5]]
    models = [found(box, [s], pieces=(p,)) for s, p in ((0.9, left), (0.3, right), (0.2, right))]
    fused = weighted_box_fusion(models)
    assert fused.pieces[0].start == (0, 0, 0)
    assert fused.pieces[0].mask.shape == (1, 2, 3)


def test_an_object_seen_whole_by_two_windows_is_one():
    box = np.array([2, 2, 8, 6, 6, 11.0])
    first, second = found([box], [0.8]), found([box - [0, 0, 6, 0, 0, 6]], [0.6])
    merged = merged_across_windows([first, second], [(0, 0, 0), (0, 0, 6)], (12, 12, 12), (12, 12, 18))
    assert len(merged) == 1
    np.testing.assert_allclose(merged.boxes[0], box, atol=1e-5)
    assert 0.6 < merged.scores[0] < 0.8


def test_a_window_that_sees_the_object_and_says_nothing_lowers_its_score():
    box = found([[2, 2, 7, 6, 6, 10.0]], [0.8])
    merged = merged_across_windows([box, Found.nothing()], [(0, 0, 0), (0, 0, 6)], (12, 12, 12), (12, 12, 18))
    assert merged.scores[0] == pytest.approx(0.4, abs=1e-6)  # the object lies as far from the middle of either


def test_a_part_cut_off_at_a_window_joins_the_whole_and_its_voxels_are_united():
    whole = found([[2, 2, 3.5, 6, 6, 10.5]], [0.7], pieces=(Piece((2, 2, 4), np.ones((4, 4, 7), bool)),))
    part = found([[2, 2, 3.5, 6, 6, 5.5]], [0.9], pieces=(Piece((2, 2, 4), np.ones((4, 4, 2), bool)),))
    wide = merged_across_windows([shifted(whole, (0, 0, -2)), part], [(0, 0, 2), (0, 0, -6)], (12, 12, 12), (12, 12, 18))
    assert len(wide) == 1
    np.testing.assert_allclose(wide.boxes, whole.boxes, atol=1e-5)
    assert wide.pieces[0].voxels == whole.pieces[0].voxels


def test_objects_beside_each_other_and_of_other_classes_stay_apart():
    both = found([[2, 2, 2, 5, 5, 5], [2, 2, 5, 5, 5, 8], [2, 2, 2, 5, 5, 5.0]], [0.9, 0.8, 0.7], [0, 0, 1])
    merged = merged_across_windows([both], [(0, 0, 0)], (12, 12, 12), (12, 12, 12))
    np.testing.assert_allclose(merged.boxes, both.boxes)
    np.testing.assert_allclose(merged.scores, both.scores)
    assert len(merged_across_windows([Found.nothing()], [(0, 0, 0)], (12, 12, 12), (12, 12, 12))) == 0
