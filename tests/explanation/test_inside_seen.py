"""Maps, effective fields, optimised pictures and weights, for every way that a task is answered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from asked_toys import WAYS, Way, image_of, predictor_of
from overread.batches.prepare import prepare_image
from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.inside.effective import effective_field, radius_of
from overread.explanation.inside.excite import blurred, channel_objective, class_objective, excite, picture_shape
from overread.explanation.inside.feature_maps import feature_maps
from overread.explanation.inside.weights import compare_weights, initial_network
from overread.explanation.inside.window import noise_for, stations, window_of
from overread.networks import build
from overread.networks.anatomy.body import body_of
from overread.networks.anatomy.receptive_field import receptive_fields
from overread.networks.weights import weights_digest
from overread.reading.model import build_network

NAMED = {str(way): way for way in WAYS}
FILM, VOLUME = NAMED["classification-2d-resnet10"], NAMED["segmentation-3d-unet"]


def window(way: Way) -> Asked:
    predictor = predictor_of(way)
    return window_of(predictor, prepare_image(image_of(way), predictor.preparation))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_network_has_stations_with_maps(way: Way) -> None:
    asked = window(way)
    names = stations(asked)
    assert 1 <= len(names) <= 3
    sizes = [feature_maps(asked, name).maps[0].size for name in names]
    assert sizes[0] == max(sizes)


def test_maps_are_what_the_layer_answers_the_most_varying_first() -> None:
    asked = window(FILM)
    found = feature_maps(asked, "stages.1", most=3)
    with torch.no_grad():
        truth = asked.network.stages[:2](asked.network.stem(asked.images))[0].numpy()  # type: ignore[union-attr, index, operator]
    spread = truth.std(axis=(1, 2))
    assert list(found.numbers) == list(np.argsort(-spread)[:3])
    assert found.channels == len(truth)
    np.testing.assert_allclose(found.maps[:, 0], truth[list(found.numbers)], rtol=1e-5, atol=1e-6)


def test_an_unknown_layer_is_refused_with_the_nearest() -> None:
    with pytest.raises(OverreadError, match=r"no layer 'stages\.l'") as refusal:
        feature_maps(window(FILM), "stages.l")
    assert "stages.1" in refusal.value.next


@pytest.mark.parametrize("way", [FILM, VOLUME, NAMED["detection-2d-centre_detector"]], ids=str)
def test_the_effective_field_lies_within_the_theoretical_one(way: Way) -> None:
    asked = window(way)
    layer = stations(asked)[0]
    found = effective_field([asked], layer)
    assert found.energy.sum() == pytest.approx(1)
    there = np.nonzero(found.energy.reshape(asked.images.shape[2:]))
    size = receptive_fields(body_of(asked.network), asked.images.shape)[layer, 0].size
    widths = [int(axis.max() - axis.min()) + 1 for axis in there]
    if way.network == "resnet10":  # statistics of the others' normalisation read the whole image a little
        assert all(width <= edge for width, edge in zip(widths, size, strict=True))
    assert found.is_mm == (way.dimensions == 3)


def test_the_energy_of_one_convolution_is_the_square_of_its_kernel() -> None:
    asked = window(FILM).with_network(OneLayer())
    found = effective_field([asked], "layer")
    kernel = asked.network.layer.weight[0, 0].detach().square().numpy()  # type: ignore[union-attr, index]
    middle = found.energy[0][32 - 1 : 32 + 2, 32 - 1 : 32 + 2]
    np.testing.assert_allclose(middle, kernel / kernel.sum(), rtol=1e-5)
    assert found.energy.sum() == pytest.approx(middle.sum())


def test_the_radius_holds_its_share_of_a_disc_and_counts_in_millimetres() -> None:
    y, x = np.indices((101, 101)) - 50
    disc = (np.hypot(y, x) <= 40).astype(float)[None]
    assert radius_of(disc, (0, 50, 50), (1, 1, 1)) == pytest.approx(40 * np.sqrt(0.95), abs=0.6)
    assert radius_of(disc, (0, 50, 50), (2, 0.5, 0.5)) == pytest.approx(20 * np.sqrt(0.95), abs=0.3)


@pytest.mark.parametrize("way", [FILM, VOLUME, NAMED["detection-3d-centre_detector"]], ids=str)
def test_a_picture_raises_its_number_and_is_the_same_again(way: Way) -> None:
    asked = window(way)
    shape = (1, *picture_shape(asked))
    layer = stations(asked)[-1]
    for objective in (class_objective(asked), channel_objective(asked, layer, 0)):
        first, again = (excite("it", objective, shape, 6, (-2.0, 2.0)) for _ in range(2))
        assert first.reached >= first.start
        assert (first.values == again.values).all()
        assert np.abs(first.values).max() <= 2
        assert first.steps == 6
    assert first.values.shape == (1, *asked.patch[-3:])


def test_a_channel_that_likes_edges_gets_edges() -> None:
    asked = window(FILM).with_network(Edges())
    made = excite("edges", channel_objective(asked, "answer", 0), (1, 32, 32), 24, (-2.0, 2.0)).values[0, 0]
    across, along = np.abs(np.diff(made, axis=1)).mean(), np.abs(np.diff(made, axis=0)).mean()
    assert across > 2 * along


def test_a_dead_unit_is_woken_by_noise() -> None:
    def late(images: torch.Tensor) -> torch.Tensor:
        return torch.relu(images.square().mean().reshape(1) - 0.05)

    made = excite("late", late, (1, 16, 16), 20, (-3.0, 3.0))
    assert made.start == 0
    assert made.reached > 0.1


def test_a_list_of_objects_has_no_class_to_maximise() -> None:
    with pytest.raises(OverreadError, match="gives a class only to objects that it has listed") as refusal:
        class_objective(window(NAMED["detection-2d-retinanet"]))
    assert "--layer" in refusal.value.next


def test_a_blur_keeps_the_sum_and_spreads_by_its_sigma() -> None:
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    spread = blurred(point, 2.0)[0, 0]
    assert float(spread.sum()) == pytest.approx(1, abs=1e-5)
    along = spread.sum(0).numpy()
    assert np.sqrt((along * (np.arange(41) - 20) ** 2).sum()) == pytest.approx(2.0, abs=0.05)


def test_noise_is_the_same_for_the_same_seed() -> None:
    predictor = predictor_of(VOLUME)
    assert (noise_for(predictor, 1).array == noise_for(predictor, 1).array).all()
    assert (noise_for(predictor, 1).array != noise_for(predictor, 2).array).any()


NETWORK = {"name": "resnet10", "in_channels": 1, "out_channels": 2, "dimensions": 2, "serves": "image", "options": {"width": 4}}


def untaught(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    options = dict(NETWORK)
    return build(str(options.pop("name")), **options)  # type: ignore[arg-type]


def test_the_first_weights_are_made_again_to_the_last_bit() -> None:
    first = untaught(3)
    again = initial_network(lambda: build_network(NETWORK), 3, weights_digest(first))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))


def test_other_first_weights_are_refused_and_so_are_unknown_ones() -> None:
    with pytest.raises(OverreadError, match="cannot be made again exactly"):
        initial_network(lambda: build_network(NETWORK), 4, weights_digest(untaught(3)))
    with pytest.raises(OverreadError, match="were not recorded by this training"):
        initial_network(lambda: build_network(NETWORK), 3, None)


def test_the_change_of_a_layer_is_its_length_over_that_of_its_weights() -> None:
    before, after = untaught(3), untaught(3)
    with torch.no_grad():
        after.head.weight.mul_(1.5)  # type: ignore[union-attr, operator]
    rows = {row.name: row for row in compare_weights(before, after)}
    assert rows["head"].change == pytest.approx(0.5)
    assert rows["head"].sd_after == pytest.approx(1.5 * rows["head"].sd_before)
    assert rows["stem.0"].change == 0
    assert rows["head"].histogram_after.sum() == pytest.approx(1)
    assert not any(name.endswith("bias") for name in rows)


class OneLayer(nn.Module):
    """One convolution with two channels, the second of which is silent."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        with torch.no_grad():
            self.layer.weight[0, 0] = torch.tensor([[0.0, 1, 0], [1, 2, 1], [0, 1, 0]])
            self.layer.weight[1] = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images).flatten(2).mean(2)


class Edges(nn.Module):
    """Answers where the right is brighter than the left, several columns apart."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, (1, 5), padding=(0, 2), bias=False)
        self.answer = nn.ReLU()
        with torch.no_grad():
            self.layer.weight[:, 0, 0] = torch.tensor([-1.0, -1, 0, 1, 1])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.answer(self.layer(images)).flatten(2).mean(2)
