"""The blocks of a network and the ways between them, against what its paper draws."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from overread import networks
from overread.networks.anatomy.body import body_of
from overread.networks.anatomy.structure import IMAGE, Structure, structure
from overread.networks.count import cost


def built(name: str, serves: str, shape: tuple[int, ...], **options: object) -> tuple[nn.Module, Structure]:
    network = networks.build(
        name, in_channels=shape[0], out_channels=2, dimensions=len(shape) - 1, serves=serves, options=options
    )
    body = body_of(network)
    return network, structure(body, shape, cost(body, (1, *shape)).layers)


def labels(found: Structure) -> list[str]:
    return [f"{block.label} x{block.times}" if block.times > 1 else block.label for block in found.blocks]


def test_a_unet_has_its_skips_and_its_numbers() -> None:
    network, found = built("unet", "dense", (1, 32, 32), base_features=4, patch=[32, 32])
    assert [block.size for block in found.blocks] == [(32, 32), (16, 16), (8, 8), (4, 4), *[(8, 8)] * 2, *[(16, 16)] * 2,
                                                      *[(32, 32)] * 3]  # fmt: skip
    assert labels(found)[3:6] == ["3×3 convolution x2", "2×2 transposed convolution", "3×3 convolution x2"]
    assert [link for link in found.links if link[1] != link[0] + 1] == [(0, 9), (1, 7), (2, 5)]
    assert (IMAGE, 0) in found.links
    heads = sum(p.numel() for head in network.heads[:-1] for p in head.parameters())  # type: ignore[union-attr, index]
    assert sum(block.parameters for block in found.blocks) + heads == sum(p.numel() for p in network.parameters())
    assert sum(block.macs for block in found.blocks) == cost(network, (1, 1, 32, 32)).macs


def test_a_resnet_is_four_stages_in_a_row() -> None:
    _, found = built("resnet18", "image", (1, 64, 64), width=4, keeps_size=False)
    assert labels(found) == ["7×7 convolution", "max pooling", *["residual block x2"] * 4, "average of all", "fully connected"]
    assert [block.channels for block in found.blocks] == [4, 4, 4, 8, 16, 32, 32, 2]
    assert found.links == tuple((k - 1, k) for k in range(8))


def test_googlenet_has_nine_inceptions() -> None:
    _, found = built("googlenet", "image", (1, 64, 64), keeps_size=False)
    assert sum(block.times for block in found.blocks if block.kind == "branches") == 9


def test_a_detector_hands_several_maps_to_its_pyramid_and_its_heads() -> None:
    _, found = built("mask_rcnn", "objects", (1, 64, 64))
    pyramid = next(k for k, block in enumerate(found.blocks) if block.label == "feature pyramid")
    assert found.blocks[pyramid].maps == 5
    assert len([a for a, b in found.links if b == pyramid]) == 4
    proposals = next(block for block in found.blocks if block.label == "proposals")
    assert proposals.runs == 5
    readers = {found.blocks[b].label for a, b in found.links if a == pyramid}
    assert readers == {"proposals", "box features", "mask features"}


def test_a_composed_network_is_drawn_as_it_was_written() -> None:
    blocks = ["conv 4", "max_pool 2", "residual 8 x2", "global_average", "linear"]
    _, found = built("composed", "image", (1, 16, 16), blocks=blocks)
    assert [block.kind for block in found.blocks] == ["convolution", "pooling", "residual", "pooling", "fully connected"]
    assert found.blocks[3].label == "average of all"
    maximum = structure(nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveMaxPool2d(1)), (1, 8, 8))
    assert labels(maximum) == ["1×1 convolution", "maximum of all"]


def test_gates_and_rows_with_one_shortcut_are_blocks() -> None:
    _, gated = built("attention_unet", "dense", (1, 16, 16), base_features=4, patch=[16, 16])
    assert labels(gated).count("attention gate") == 2
    _, vnet = built("vnet", "dense", (1, 16, 16), base_features=4, patch=[16, 16])
    assert {block.kind for block in vnet.blocks} == {"convolution", "residual", "upsampling"}


def test_a_network_over_slices_says_how_many_it_reads() -> None:
    _, found = built("slices_lstm", "image", (1, 6, 32, 32), encoder="resnet10")
    assert found.blocks[0].slices == 6
    recurrent = next(block for block in found.blocks if block.kind == "recurrent")
    assert recurrent.size == (6,)


class Beside(nn.Module):
    """A way beside the main one, computed first and needed last."""

    def __init__(self) -> None:
        super().__init__()
        self.aside = nn.Conv2d(1, 2, 1)
        self.first, self.second, self.last = nn.Conv2d(1, 2, 3, 2, 1), nn.ConvTranspose2d(2, 2, 2, 2), nn.Conv2d(4, 1, 3, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        aside = self.aside(images)
        return self.last(torch.cat([self.second(self.first(images)), aside], 1))


def test_what_is_needed_late_stands_where_it_is_needed() -> None:
    found = structure(Beside(), (1, 8, 8))
    assert [block.name for block in found.blocks] == ["first", "second", "aside", "last"]
    assert found.links == ((-1, 0), (-1, 2), (0, 1), (1, 3), (2, 3))


@pytest.mark.every_row
@pytest.mark.parametrize("name", sorted(networks.ARCHITECTURES))
def test_every_network_can_be_drawn(name: str) -> None:
    from overread.reporting.diagrams.network import network_diagram
    from overread.workflow.networks_shown.asked import Asked, built
    from overread.workflow.networks_shown.facts import facts_of

    for dimensions in sorted(networks.ARCHITECTURES[name].dimensions):
        facts = facts_of(built(Asked(name, dimensions, size=(64,) * dimensions if dimensions == 3 else (128, 128))))
        drawn = facts["structure"]
        reached = {b for _, b in drawn["links"]}
        assert reached == set(range(len(drawn["blocks"]))), "every block reads something"
        assert len(drawn["blocks"]) < 60
        assert network_diagram(drawn, name).count("<g>") == len(drawn["blocks"]) + 1
