"""The layer table of every kind of network against torch's own counter and plain counting."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from overread import networks
from overread.networks.anatomy.body import body_of
from overread.networks.anatomy.layers import layer_table, reads_regions

NETWORKS = [
    ("unet", 3, "dense", {"base_features": 4}, 32),
    ("residual_unet", 2, "dense", {"base_features": 4}, 64),
    ("resnet10", 2, "image", {"width": 4}, 64),
    ("resnet50", 3, "image", {"width": 4}, 32),
    ("centre_detector", 2, "objects", {"base_features": 4}, 64),
    ("centre_detector", 3, "objects", {"base_features": 4}, 32),
    ("centre_offset_unet", 3, "centres", {"base_features": 4}, 32),
    ("retinanet", 2, "objects", {}, 64),
    ("fcos", 2, "objects", {}, 64),
    ("ssd", 2, "objects", {}, 64),
    ("faster_rcnn", 2, "objects", {}, 64),
    ("mask_rcnn", 2, "objects", {}, 64),
    ("timm:convnext_atto", 2, "image", {}, 64),
    ("monai:DynUNet", 3, "dense", {}, 32),
]


@pytest.mark.parametrize(("name", "axes", "serves", "options", "edge"), NETWORKS, ids=[f"{n[0]}-{n[1]}d" for n in NETWORKS])
def test_totals_are_those_of_an_independent_count(name, axes, serves, options, edge) -> None:
    network = networks.build(name, in_channels=1, out_channels=2, dimensions=axes, serves=serves, options=options).eval()
    table = layer_table(network, (1, *(edge,) * axes))
    assert table.parameters == sum(parameter.numel() for parameter in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        body_of(network)(torch.randn(1, 1, *(edge,) * axes))  # with values, on the processor
    assert 2 * table.macs == counter.get_total_flops()
    assert sum(row.macs for row in table.rows) + table.macs_elsewhere == table.macs
    assert table.parameters_elsewhere >= 0
    assert table.macs_elsewhere == 0
    first = next(row for row in table.rows if row.macs)
    assert first.field is not None
    assert first.field.size[0] in (3, 4, 7)
    unknown = [row.name for row in table.rows if row.field is None]
    assert bool(unknown) == reads_regions(network)
    assert all("roi_heads" in name for name in unknown)


def test_products_of_attention_are_counted_outside_of_layers() -> None:
    options = {"img_size": 64, "embed_dim": 16, "depth": 2, "num_heads": 2}
    network = networks.build(
        "timm:vit_tiny_patch16_224", in_channels=1, out_channels=2, dimensions=2, serves="image", options=options
    )
    table = layer_table(network, (1, 64, 64))
    tokens = 4 * 4 + 1
    assert table.macs_elsewhere == 2 * (2 * tokens * tokens * 16)  # two blocks, queries by keys and weights by values
    assert table.parameters_elsewhere == 16 + tokens * 16  # class token and positions
