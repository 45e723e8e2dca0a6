"""A network per image as an encoder: what can be one, what strides become, what is refused."""

from __future__ import annotations

import pytest
import torch

from overread.core.errors import OverreadError
from overread.networks.dense.encoder import make_encoder
from tiny_voxel_networks import tiny


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("output_stride", "sides"), [(16, (16, 8, 4, 2)), (8, (16, 8, 4)), (4, (16, 8))])
def test_strides_become_dilations(dimensions: int, output_stride: int, sides: tuple[int, ...]) -> None:
    encoder = make_encoder("resnet10", 1, dimensions, width=4, output_stride=output_stride).eval()
    with torch.no_grad():
        maps = encoder(torch.randn(1, 1, *(32,) * dimensions))
    assert [m.shape[-1] for m in maps] == list(sides)
    assert encoder.strides == tuple(32 // side for side in sides)
    assert encoder.widths[-1] == maps[-1].shape[1] == 32


def test_a_dilated_encoder_looks_at_the_same_voxels_as_the_stepping_one() -> None:
    """What the dilated encoder answers at every other place is what the stepping one answers everywhere (Chen 2018)."""
    stepping = make_encoder("resnet18", 1, 2, width=4).eval()
    dilated = make_encoder("resnet18", 1, 2, width=4, output_stride=8).eval()
    dilated.load_state_dict(stepping.state_dict())
    images = torch.randn(1, 1, 96, 96)
    with torch.no_grad():
        coarse, fine = stepping(images)[-1], dilated(images)[-1]
    torch.testing.assert_close(coarse, fine[:, :, ::4, ::4], atol=1e-4, rtol=1e-4)


REFUSED = [
    ("vit_tiny", {"image_size": (32, 32)}, "cannot be an encoder"),
    ("inception_v3", {}, "inception_v3 cannot be an encoder: it is not made of stages\n  Next: choose resnet18"),
    ("unet", {}, "unet cannot be an encoder: Overread has no network per image of that name"),
    ("timm:resnet18", {}, "timm:resnet18 cannot be an encoder: only networks of ours can"),
    ("vgg11", {"output_stride": 16}, "vgg11 steps by pooling or by patches(?s:.*)set output_stride = 32"),
    ("convnext_tiny", {"output_stride": 16}, "steps by pooling or by patches"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_an_encoder_is_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(OverreadError, match=message):
        make_encoder(name, 1, 2, width=8, **options)


def test_an_encoder_of_another_number_of_axes_is_refused() -> None:
    with pytest.raises(OverreadError, match="swin_tiny cannot be an encoder: it does not read 3D images"):
        make_encoder("swin_tiny", 1, 3)


@pytest.mark.parametrize(
    ("name", "edge", "why"),
    [
        ("resnet10", 32, "one voxel of its coarsest map stands for 32 of the image"),
        ("vgg11", 31, "each axis must have at least 32"),
    ],
)
def test_an_image_of_which_too_little_is_left_is_refused(name: str, edge: int, why: str) -> None:
    with pytest.raises(OverreadError, match=rf"an image of \({edge}, {edge}\) does not fit {name} as an encoder: {why}"):
        make_encoder(name, 1, 2, width=4)(torch.zeros(1, 1, edge, edge))


def test_a_small_window_keeps_its_resolution_in_the_stem() -> None:
    assert make_encoder("resnet10", 1, 2, width=4, image_size=(64, 64)).strides == (1, 2, 4, 8)


@pytest.mark.parametrize(("finest", "scores"), [(32, 0), (16, 1), (8, 2)])
def test_fcn_32s_16s_and_8s_add_the_scores_of_finer_maps(finest: int, scores: int) -> None:
    network = tiny("fcn", 2, encoder="vgg11", image_size=None, finest=finest)
    images = torch.randn(1, 1, 64, 64)
    assert len(network.scores) == scores
    with torch.no_grad():
        before = network(images)
        for score in network.scores:  # which start at 0
            score.bias.add_(1.0)
        torch.testing.assert_close(network(images), before + scores)


def test_an_fcn_without_maps_is_refused() -> None:
    with pytest.raises(OverreadError, match="no maps of stride 0\n  Next: set finest"):
        tiny("fcn", 2, finest=0)


def test_deeplab_needs_a_finer_map_for_the_borders() -> None:
    with pytest.raises(
        OverreadError, match=r"DeepLabv3\+ joins a map of stride 4 or more with a coarser one; resnet10 has maps of"
    ):
        tiny("deeplab_v3_plus", 2, output_stride=4, image_size=None)
