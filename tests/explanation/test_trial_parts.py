"""The parts of the trial against what is known beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from asked_toys import WAYS, Way, asked_of, predictor_of
from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.evaluation.rules import Rules
from overread.explanation.controls import CONTROLS, Constant, Edges, Noise
from overread.explanation.methods.saliency import Saliency
from overread.explanation.trial.conduct import discounted, escaped, verdict_of_all
from overread.explanation.trial.criterion import Bound, kept_from_sums, mean_of, verdict_of
from overread.explanation.trial.localise import crossed_overlaps, locate, middle
from overread.explanation.trial.orders import Orders, tiles_of
from overread.explanation.trial.posed import Posed, moved, refuse_unlike
from overread.explanation.trial.randomise import layers_from_head, randomised
from overread.explanation.trial.repeat import shifts
from overread.explanation.trial.similarity import as_shown, likeness

FLAT = WAYS[0]


def posed_of(way: Way, number: int = 0) -> Posed:
    return Posed(f"C-{number}", f"P-{number}", ((asked_of(way), 1.0),))


# ---- how alike maps are ------------------------------------------------------------------------------


def test_likeness_is_that_of_scikit_image_and_ignores_sign_and_scale() -> None:
    random = np.random.default_rng(0)
    one, other = random.random((1, 40, 40)), random.random((1, 40, 40))
    found = likeness(one, other)
    assert found.ssim == pytest.approx(structural_similarity(as_shown(one)[0], as_shown(other)[0], data_range=1.0))
    assert abs(found.spearman) < 0.1
    same = likeness(one, -3 * one)
    assert (same.ssim, same.spearman) == pytest.approx((1.0, 1.0))


def test_a_map_that_vanished_is_like_no_other_and_two_of_them_are_alike() -> None:
    some, none = np.random.default_rng(0).random((9, 12, 12)), np.zeros((9, 12, 12))
    assert likeness(some, none).mean == 0
    assert likeness(none, none).mean == 1


def test_the_share_of_likeness_kept_is_0_at_chance_and_1_for_the_same_map() -> None:
    sums = np.array([[3.0, 10, 3.0], [10.0, 10, 3.0], [6.5, 10, 3.0], [10.0, 10, 10.0], [0.0, 0, 0.0]])
    assert kept_from_sums(sums)[:4] == pytest.approx([0, 1, 0.5, 1])
    assert np.isnan(kept_from_sums(sums)[4])


# ---- weights replaced by chance ----------------------------------------------------------------------


class Block(nn.Module):
    """Its output layer is never called as a module, as in PyTorch's own attention."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.first = nn.Conv2d(1, 8, 3)  # registered late, called first
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.first(images).flatten(2).transpose(1, 2)[:, :16]
        answer: Tensor = self.head(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))
        return answer


def test_layers_are_lost_from_the_head_down_whatever_the_order_in_the_file() -> None:
    asked = asked_of(FLAT).with_network(Block().eval())
    assert layers_from_head(asked) == (("head",), ("attention", "attention.out_proj"), ("first",))


@pytest.mark.parametrize("way", [w for w in WAYS if w.dimensions == 2 and w.network not in ("mask_rcnn", "retinanet")], ids=str)
def test_at_the_end_of_the_cascade_no_learned_weight_is_left(way: Way) -> None:
    asked = asked_of(way)
    layers = layers_from_head(asked)
    before = {name: weights.detach().clone() for name, weights in asked.network.named_parameters()}
    lost = randomised(asked.network, layers, 1)
    for name, weights in lost.named_parameters():
        if weights.numel() > 1 and float(weights.detach().std()) > 0:
            assert not torch.equal(weights, before[name]), name
    large = [name for name, weights in before.items() if weights.numel() > 1000]
    for name in large:
        after = dict(lost.named_parameters())[name]
        assert float(after.detach().std()) == pytest.approx(float(before[name].std()), rel=0.2)
    assert all(torch.equal(weights, before[name]) for name, weights in asked.network.named_parameters())
    head = randomised(asked.network, layers[:1], 1)
    same = [torch.equal(weights, before[name]) for name, weights in head.named_parameters()]
    assert any(same)
    assert not all(same)


# ---- deletion and insertion --------------------------------------------------------------------------


class Spot(nn.Module):
    """Says "present" by the brightness of one spot and looks nowhere else."""

    def forward(self, images: Tensor) -> Tensor:
        bright = 6 * (images[:, 0, 24:40, 24:40].mean(dim=(1, 2)) - 0.5)
        return torch.stack([-bright, bright], 1)


def test_the_order_of_a_map_that_knows_beats_chance_and_that_of_one_that_does_not_loses() -> None:
    asked = asked_of(FLAT).with_network(Spot())
    images = torch.zeros_like(asked.images)
    images[..., 24:40, 24:40] = 1.0
    posed = Posed("C-1", "P-1", ((asked.with_images(images), 1.0),))
    right = np.zeros(asked.patch, dtype=np.float32)
    right[:, 24:40, 24:40] = 1
    orders = Orders()
    assert orders.gain("deletion", posed, right) < -0.1
    assert orders.gain("deletion", posed, 1 - right) > 0.1
    assert orders.gain("insertion", posed, right) > 0.1
    assert abs(orders.gain("deletion", posed, np.ones(asked.patch))) < 0.2


def test_tiles_cover_a_window_and_thin_axes_have_one_tile_per_slice() -> None:
    tiles = tiles_of((1, 64, 64))
    assert tiles.max() + 1 == 14 * 14
    assert np.unique(tiles).size == 14 * 14
    assert tiles_of((3, 32, 32)).max() + 1 == 3 * 6 * 6


# ---- where maps lie ----------------------------------------------------------------------------------


def test_a_map_is_located_by_its_sum_its_highest_voxel_and_its_overlap() -> None:
    drawn = np.zeros((1, 10, 10), bool)
    drawn[0, :2, :5] = True
    right = np.where(drawn, 3.0, 0.0)
    found = locate(right, drawn)
    assert (found.energy, found.pointing, max(found.overlaps)) == (1.0, 1.0, 1.0)
    even = locate(np.ones_like(right), drawn)
    assert (even.energy, even.pointing) == (0.1, 0.1)
    assert locate(-right, drawn).energy == 0.1  # what speaks against the target shows nothing
    assert locate(1 - right, drawn).pointing == 0.0


def test_the_threshold_of_overlap_is_chosen_on_other_patients() -> None:
    drawn = np.zeros((1, 10, 10), bool)
    drawn[0, :2, :5] = True
    wide = np.zeros((1, 10, 10))
    wide[0, :5, :6] = np.linspace(2, 1, 30).reshape(5, 6)
    located = [locate(np.where(drawn, 3.0, 0.0), drawn), locate(wide, drawn), None]
    scores, shares = crossed_overlaps(located, ["P-1", "P-2", "P-3"])
    assert scores[2] is None
    assert shares[0] != shares[1] or scores[0] == located[0].overlaps[3]  # type: ignore[union-attr]
    assert crossed_overlaps(located[:1], ["P-1"])[0] == [None]  # nobody else to choose on


def test_the_map_of_one_who_has_not_looked_points_to_the_middle_of_the_image() -> None:
    asked = asked_of(next(w for w in WAYS if w.task == "segmentation" and w.dimensions == 2))
    values = middle(asked)
    place = np.array(np.unravel_index(values.argmax(), values.shape)) + asked.start
    assert np.abs(place - (np.array(asked.prepared.array.shape[1:]) - 1) / 2).max() <= 0.5


# ---- verdicts ----------------------------------------------------------------------------------------


def interval(estimate: float, low: float | None, high: float | None, patients: int = 20) -> Interval:
    return Interval(estimate, low, high, "bootstrap", patients, patients, reason="" if low is not None else "too few or alike")


def test_a_method_has_to_show_that_it_meets_the_bound() -> None:
    below, above = Bound("below", 0.5), Bound("above", 0.0)
    assert verdict_of(below, interval(0.2, 0.1, 0.4))[0] == "passed"
    assert verdict_of(below, interval(0.4, 0.3, 0.6)) == ("failed", "the interval reaches across the bound: not shown")
    assert verdict_of(below, interval(0.9, 0.8, 1.0))[0] == "failed"
    assert verdict_of(above, interval(0.1, 0.05, 0.2))[0] == "passed"
    assert verdict_of(above, interval(0.0, None, None))[0] == "failed"  # the same in every patient, and not above
    assert verdict_of(below, interval(1.0, None, None, patients=3))[0] == "not tried"


def test_one_failure_is_enough_and_a_pass_is_not_called_proof() -> None:
    def row(verdict: str, *, is_essential: bool = True) -> dict[str, object]:
        return {"title": "Deletion", "verdict": verdict, "is_essential": is_essential}

    assert verdict_of_all([row("passed"), row("failed")]) == ("failed", "Failed: deletion.")
    assert verdict_of_all([row("passed"), row("not tried")])[0] == "incomplete"
    verdict, why = verdict_of_all([row("passed"), row("not tried", is_essential=False)])
    assert verdict == "passed"
    assert "not proof" in why
    left_out = [row("passed"), row("not tried", is_essential=False), row("not tried", is_essential=False)]
    assert "but what was not tried (deletion; deletion)" in verdict_of_all(left_out)[1]


def test_a_control_that_escapes_puts_the_trial_in_doubt() -> None:
    rows = [
        {
            "method": "edges",
            "title": "Edge detector",
            "criteria": [
                {"criterion": "weight_randomisation", "title": "Weight randomisation", "verdict": "passed"},
                {"criterion": "deletion", "title": "Deletion", "verdict": "passed"},
            ],
        }
    ]
    assert escaped(rows) == ["Edge detector passed weight randomisation"]


def test_no_method_is_credited_with_what_a_map_by_chance_passes_too() -> None:
    """On brain MR of 13 patients a random map passed deletion, and three methods kept their pass."""

    def row(method: str, title: str, **verdicts: str) -> dict[str, Any]:
        criteria = [
            {"criterion": key, "title": key.capitalize(), "verdict": verdict, "is_essential": True, "why": ""}
            for key, verdict in verdicts.items()
        ]
        return {"method": method, "title": title, "criteria": criteria}

    controls = [
        row("noise", "Random map", deletion="passed", insertion="failed"),
        row("constant", "Constant map", deletion="failed", insertion="failed"),
        row("edges", "Edge detector", deletion="failed", insertion="passed"),
    ]
    assert escaped(controls) == ["Random map passed deletion"]
    (found,) = discounted([row("grad_cam", "Grad-CAM", deletion="passed", insertion="passed")], controls)
    deletion, insertion = found["criteria"]
    assert (deletion["verdict"], insertion["verdict"]) == ("not tried", "passed")
    assert "the random map" in deletion["why"]
    assert found["verdict"] == "incomplete"


def test_intervals_are_resampled_by_patient() -> None:
    posed = [posed_of(FLAT, k) for k in range(12)]
    of_six = [replace(each, patient_id=f"P-{k // 2}") for k, each in enumerate(posed)]
    numbers: list[float | None] = [0.1 * (k // 2) for k in range(11)] + [None]
    found = mean_of(numbers, of_six, Rules())
    assert (found.n_cases, found.n_patients) == (11, 6)
    assert "cluster bootstrap by patient" in found.method


# ---- the question in other words ---------------------------------------------------------------------


@pytest.mark.parametrize("way", [w for w in WAYS if w.network not in ("mask_rcnn", "retinanet")], ids=str)
def test_every_task_can_be_asked_again_of_moved_images_other_networks_and_many_windows(way: Way) -> None:
    posed = posed_of(way)
    values = posed.map(Saliency())
    assert values.shape == posed.asked.patch
    there = posed.shifted((0, 3, -2))
    back = moved(there.map(Edges()), (0, -3, 2))[:, 4:-4, 4:-4]
    assert back == pytest.approx(posed.map(Edges())[:, 4:-4, 4:-4], rel=1e-4, abs=1e-4)
    with torch.no_grad():
        worth = posed.worth(torch.cat([posed.images, posed.images * 0]))
    assert worth.shape == (2,)
    if way.task != "regression":
        assert 0 <= float(worth.min()) <= float(worth.max()) <= 1
    other = posed.with_models(((predictor_of(way, 1), 0.5), (predictor_of(way, 2), 0.5)))
    mean = (other.one_voice(0).map(Saliency()) + other.one_voice(1).map(Saliency())) / 2
    assert other.map(Saliency()) == pytest.approx(mean, rel=1e-3, abs=1e-6)


def test_an_image_moves_by_less_than_any_finding() -> None:
    assert shifts((1, 28, 28)) == ((0, 1, 0), (0, 0, 1), (0, -1, -1))
    assert shifts((1, 224, 224))[0] == (0, 3, 0)
    assert shifts((64, 128, 128))[2] == (-2, -2, -2)


def test_controls_say_the_same_at_every_call_and_never_look_at_the_network() -> None:
    asked = asked_of(FLAT)
    for control in CONTROLS:
        assert np.array_equal(control(asked), control(asked.with_network(Spot())))
    assert np.ptp(Constant()(asked)) == 0
    assert not np.array_equal(Noise()(asked), Noise()(asked.with_images(asked.images + 1)))


def test_members_that_see_different_windows_are_refused() -> None:
    one, other = predictor_of(FLAT), predictor_of(FLAT)
    other.preparation = replace(other.preparation, patch=(1, 32, 32))
    with pytest.raises(OverreadError, match="prepare images differently") as refusal:
        refuse_unlike(((one, 0.5), (other, 0.5)))
    assert "--run" in refusal.value.next
