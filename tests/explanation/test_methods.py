"""The contract of every method, with every kind of network: it refuses in words, or gives a map; and leaves no trace."""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from asked_toys import WAYS, Way, asked_of
from method_toys import Plain, asked_about, seeded, state_of
from overread.core.errors import OverreadError
from overread.explanation import batching
from overread.explanation.asked import Asked
from overread.explanation.methods.integrated import IntegratedGradients
from overread.explanation.methods.smoothgrad import SmoothGrad
from overread.explanation.methods.table import METHODS, make

QUICK = {  # as few runs of the network as show what the method does
    "smoothgrad": {"samples": 2},
    "integrated_gradients": {"steps": 2},
    "occlusion": {"patch_mm": 32.0, "stride_mm": 32.0},
    "shapley_regions": {"regions": 4, "permutations": 2},
}
REFUSED = {
    "class_activation": {w.network for w in WAYS if w.serves != "image"} | {"resnet10 3d"},
    "attention_rollout": {w.network for w in WAYS} | {"resnet10 3d"},
    "attention_gates": {w.network for w in WAYS} | {"resnet10 3d"},
    "slice_weights": {w.network for w in WAYS} | {"resnet10 3d"},  # networks over slices have a test of their own
}


@cache
def asked_once(way: str) -> Asked:
    asked = asked_of(next(each for each in WAYS if str(each) == way))
    if (heads := getattr(asked.network, "inner", None)) is not None and hasattr(heads, "roi_heads"):
        heads.roi_heads.detections_per_img = 5  # a mask of each of 300 boxes takes most of the time
    return asked


def name_of(way: Way) -> str:
    return f"{way.network} 3d" if way.network == "resnet10" and way.dimensions == 3 else way.network


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_method_refuses_in_words_or_gives_the_same_map_twice_and_leaves_no_trace(way: Way, name: str) -> None:
    asked, method = asked_once(str(way)), make(name, **QUICK.get(name, {}))
    before = state_of(asked.network)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refusal = method.refusal(asked)
        maps = [] if refusal else [method(asked), method(asked)]
    assert state_of(asked.network) == before
    assert (refusal is not None) == (name_of(way) in REFUSED.get(name, set()))
    if refusal is not None:
        assert len(refusal.split()) > 5
        return
    assert maps[0].shape == asked.patch
    assert maps[0].dtype == np.float32
    assert np.isfinite(maps[0]).all()
    np.testing.assert_array_equal(*maps)
    if not method.is_signed:
        assert maps[0].min() >= 0


class Stumbling(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        raise ValueError("it stumbled")


@pytest.mark.parametrize("name", METHODS)
def test_the_network_is_left_as_it_was_after_an_error(name: str) -> None:
    asked, method = asked_of(WAYS[0]), make(name, **QUICK.get(name, {}))
    asked.network.dropout = Stumbling().eval()  # between the last maps and the linear layer
    before = state_of(asked.network)
    if name in ("attention_rollout", "attention_gates", "slice_weights"):  # refuse without asking the network
        assert method.refusal(asked)
        return
    with pytest.raises(ValueError, match="it stumbled"):
        method(asked)
    with suppress(ValueError):
        method.refusal(asked)
    assert state_of(asked.network) == before
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["saliency", "guided_backprop", "smoothgrad", "integrated_gradients", "grad_cam"])
def test_frozen_weights_and_a_call_without_gradients_change_nothing(name: str) -> None:
    asked, method = asked_about(seeded(Plain), (32, 24)), make(name, **QUICK.get(name, {}))
    wanted = method(asked)
    for parameter in asked.network.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        np.testing.assert_array_equal(method(asked), wanted)


@pytest.mark.parametrize("method", [SmoothGrad(samples=7), IntegratedGradients(steps=7)], ids=["smoothgrad", "integrated"])
def test_windows_go_through_together_and_a_batch_changes_no_number(method: object, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_about(seeded(Plain), (32, 24))
    alone = method(asked)  # type: ignore[operator]
    sizes: list[int] = []

    class Counting(Plain):
        def forward(self, images: Tensor) -> Tensor:
            sizes.append(len(images))
            return super().forward(images)

    counted = asked.with_network(seeded(Counting))
    monkeypatch.setattr(batching, "BATCH", 20)
    np.testing.assert_allclose(method(counted), alone, rtol=1e-4, atol=1e-7)  # type: ignore[operator]
    assert sizes == [5, 2]


def test_where_memory_ends_fewer_windows_go_through() -> None:
    sizes: list[int] = []

    class Narrow(Plain):
        def forward(self, images: Tensor) -> Tensor:
            sizes.append(len(images))
            if len(images) > 1:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return super().forward(images)

    narrow, wide = asked_about(seeded(Narrow), (32, 24)), asked_about(seeded(Plain), (32, 24))
    said: list[str] = []
    with batching.telling(said.append):
        found = SmoothGrad(samples=3)(narrow)
    np.testing.assert_allclose(found, SmoothGrad(samples=3)(wide), rtol=1e-4, atol=1e-7)
    assert sizes == [3, 2, 1, 1, 1]
    assert len(said) == 2


def test_seeds_and_noise_change_smoothgrad() -> None:
    asked = asked_about(seeded(Plain), (32, 24))
    first, second = (SmoothGrad(samples=4, seed=seed)(asked) for seed in (0, 1))
    assert not np.allclose(first, second)
    np.testing.assert_allclose(SmoothGrad(samples=4, noise=0.0)(asked), make("saliency")(asked), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "parameters", "what", "hint"),
    [
        ("smoothgrad", {"samples": 0}, "cannot take the mean of 0 copies", "1 or more"),
        ("smoothgrad", {"noise": -0.1}, "cannot add noise of -0.1", "0 or more"),
        ("integrated_gradients", {"steps": 0}, "cannot go 0 steps", "1 or more"),
        ("integrated_gradients", {"baseline": "black"}, "know no baseline 'black'", "lowest"),
        ("grad_cam", {"layr": "stem"}, "Grad-CAM takes no 'layr'", "it takes layer"),
        ("gradcam", {}, "No attribution method is called 'gradcam'", "did you mean grad_cam"),
    ],
)
def test_parameters_that_cannot_be_are_refused(name: str, parameters: dict[str, object], what: str, hint: str) -> None:
    with pytest.raises(OverreadError, match=what) as refusal:
        make(name, **parameters)
    assert hint in refusal.value.next


def test_a_method_finds_the_square_that_the_answer_rests_on() -> None:
    """A network that looks for bright places: every method but those that refuse it lights the one there is."""

    class Bright(Plain):
        def forward(self, images: Tensor) -> Tensor:
            maps = torch.relu(self.act(self.first(images)) - 6)
            return self.head(self.last_act(self.second(maps)).flatten(2).mean(2))

    network = seeded(Bright)
    with torch.no_grad():
        for conv in (network.first, network.second):
            conv.weight.fill_(0.2)  # type: ignore[union-attr, operator]
            conv.bias.zero_()  # type: ignore[union-attr, operator]
        network.head.weight[1].fill_(1.0)  # type: ignore[union-attr, index]
    asked = asked_about(network, (32, 32))
    images = asked.images * 0.1
    images[..., 20:26, 6:12] += 5
    asked: Asked = asked.with_images(images)
    tried = 0
    for name in METHODS:
        method = make(name, **{"grad_cam": {"layer": "second"}, "grad_cam_plus_plus": {"layer": "second"}}.get(name, {}))
        if method.refusal(asked) is None:
            tried += 1
            peak = np.unravel_index(method(asked).argmax(), asked.patch)
            assert 17 <= peak[1] <= 28, name
            assert 3 <= peak[2] <= 14, name
    assert tried == 9
