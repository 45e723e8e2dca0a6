"""Methods against captum's, to numerical precision, and against formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from asked_toys import WAYS, asked_of
from method_toys import Plain, asked_about, seeded
from overread.explanation.asked import Asked
from overread.explanation.methods.class_activation import ClassActivation, class_map
from overread.explanation.methods.grad_cam import GradCam, GradCamPlusPlus, layer_maps, maps_and_slopes, mean_slope
from overread.explanation.methods.guided import GuidedBackpropagation, guided_gradient
from overread.explanation.methods.integrated import IntegratedGradients
from overread.explanation.methods.saliency import Saliency, input_gradient
from overread.explanation.methods.smoothgrad import SmoothGrad

captum = pytest.importorskip("captum.attr")
SIZES = {2: (32, 24), 3: (16, 12, 20)}
pytestmark = pytest.mark.filterwarnings("ignore:::captum")


@pytest.fixture(params=[2, 3], ids=["2d", "3d"])
def asked(request: pytest.FixtureRequest) -> Asked:
    return asked_about(seeded(Plain, request.param), SIZES[request.param])


def test_saliency_is_captums(asked: Asked) -> None:
    theirs = captum.Saliency(asked.network).attribute(asked.images.clone().requires_grad_(), target=1, abs=False)
    torch.testing.assert_close(input_gradient(asked, asked.images), theirs.detach(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(Saliency()(asked), asked.volume(theirs[0, 0].abs()), rtol=1e-6)


def test_saliency_takes_the_channel_that_lies_furthest_from_0() -> None:
    asked = asked_about(seeded(Plain, 2, 3), (32, 24), channels=3)
    theirs = captum.Saliency(asked.network).attribute(asked.images.clone().requires_grad_(), target=1)
    np.testing.assert_allclose(Saliency()(asked), asked.volume(theirs[0].amax(0)), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
def test_guided_backpropagation_is_captums_on_a_network_of_modules(asked: Asked) -> None:
    theirs = captum.GuidedBackprop(asked.network).attribute(asked.images.clone().requires_grad_(), target=1)
    torch.testing.assert_close(guided_gradient(asked, asked.images), theirs.detach(), rtol=1e-6, atol=1e-9)
    assert not np.allclose(GuidedBackpropagation()(asked), Saliency()(asked))


def test_smoothgrad_is_captums_with_the_same_noise(asked: Asked) -> None:
    ours = SmoothGrad(samples=6, noise=0.2, seed=3)
    spread = 0.2 * float(asked.images.max() - asked.images.min())
    theirs = captum.NoiseTunnel(captum.Saliency(asked.network))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        mean = theirs.attribute(
            asked.images.clone(), nt_type="smoothgrad", nt_samples=6, nt_samples_batch_size=1, stdevs=spread, target=1, abs=False
        )
    np.testing.assert_allclose(ours(asked), asked.volume(mean[0, 0].abs()), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("baseline", ["mean", "lowest"])
def test_integrated_gradients_are_captums(asked: Asked, baseline: str) -> None:
    ours = IntegratedGradients(steps=20, baseline=baseline)
    start = torch.zeros_like(asked.images) if baseline == "mean" else torch.full_like(asked.images, float(asked.images.min()))
    theirs = captum.IntegratedGradients(asked.network).attribute(
        asked.images, start, target=1, n_steps=20, method="gausslegendre"
    )
    np.testing.assert_allclose(ours(asked), asked.volume(theirs[0, 0]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("way", [w for w in WAYS if w.dimensions == 2 and w.serves in ("image", "dense")], ids=str)
def test_integrated_gradients_add_up_to_the_change_of_the_score(way: object) -> None:
    asked = asked_of(way)  # type: ignore[arg-type]
    values, completeness = IntegratedGradients(steps=64).with_completeness(asked)
    with torch.no_grad():
        change = float(asked.score(asked.images) - asked.score(torch.zeros_like(asked.images)))
    assert completeness.difference == pytest.approx(change, rel=1e-3, abs=1e-5)
    assert values.sum() == pytest.approx(completeness.total, rel=1e-3, abs=1e-4)
    assert completeness.relative_error is not None
    assert completeness.error == pytest.approx(abs(completeness.total - completeness.difference))


def test_the_error_of_completeness_falls_with_the_steps_and_is_told() -> None:
    asked = asked_about(seeded(Plain), (32, 24))
    errors = [IntegratedGradients(steps=steps).with_completeness(asked)[1].relative_error for steps in (1, 256)]
    assert errors[1] < 5e-3 < errors[0]


def test_grad_cam_is_captums(asked: Asked) -> None:
    ours = GradCam("second")
    layer = captum.LayerGradCam(asked.network, asked.network.get_submodule("second"))
    theirs = layer.attribute(asked.images, target=1, relu_attributions=True)
    mode = "bilinear" if asked.dimensions == 2 else "trilinear"
    whole = captum.LayerAttribution.interpolate(theirs, tuple(asked.images.shape[2:]), mode)
    np.testing.assert_allclose(ours(asked), asked.volume(whole[0, 0]), rtol=1e-5, atol=1e-8)
    assert ours(asked).max() > 0


def test_grad_cam_plus_plus_is_the_formula_of_the_paper() -> None:
    asked = asked_about(seeded(Plain), (32, 24))
    maps, slopes = (each[0].double().numpy() for each in maps_and_slopes(asked, "second"))
    wanted = np.zeros(maps.shape[1:])
    for channel, slope in zip(maps, slopes, strict=True):
        weight = 0.0
        for y, x in np.ndindex(slope.shape):
            below = 2 * slope[y, x] ** 2 + channel.sum() * slope[y, x] ** 3
            weight += slope[y, x] ** 2 / below * max(slope[y, x], 0) if below else 0.0
        wanted += weight * channel
    ours = GradCamPlusPlus("second")(asked)[0]
    size = torch.from_numpy(np.maximum(wanted, 0))[None, None]
    whole = nn.functional.interpolate(size, (32, 24), mode="bilinear", align_corners=False)[0, 0].numpy()
    np.testing.assert_allclose(ours / ours.max(), whole / whole.max(), rtol=1e-4, atol=1e-6)


def test_a_class_activation_map_is_grad_cam_but_for_a_factor() -> None:
    asked = asked_of(WAYS[0])  # our ResNet: mean over space, one linear layer
    found = class_map(asked)
    assert found is not None
    (cam,) = layer_maps(asked, "stages", mean_slope)
    torch.testing.assert_close(found.clamp_min(0), cam * found.numel(), rtol=1e-4, atol=1e-6)


def test_a_class_activation_map_is_what_the_linear_layer_adds_up() -> None:
    asked = asked_of(WAYS[0])
    found, head = class_map(asked), asked.network.get_submodule("head")
    assert found is not None
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        constant = head.bias[1] - head.bias[0]
        torch.testing.assert_close(found.mean() + constant, asked.score(asked.images)[0], rtol=1e-4, atol=1e-5)
    assert ClassActivation().refusal(asked) is None
