"""The named networks against independent ones: the same numbers from the same weights, or the published count of parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from overread import networks
from overread.networks.count import count_parameters
from overread.networks.dense.attention_unet import AttentionUNet
from overread.networks.dense.encoder import make_encoder
from overread.networks.dense.vnet import VNet

STAGES = {
    dimensions: (((3,) * dimensions,) * 3, ((1,) * dimensions, (2,) * dimensions, (2,) * dimensions)) for dimensions in (2, 3)
}


def weighted(network: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Everything learned or counted, in the order of the layers, without the number of batches seen."""
    return [(name, tensor) for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")]


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """The weights of one network into another whose layers stand in the same order."""
    given, taken = weighted(source), weighted(target)
    assert [tuple(tensor.shape) for _, tensor in given] == [tuple(tensor.shape) for _, tensor in taken]
    for (_, before), (_, after) in zip(given, taken, strict=True):
        after.copy_(before)


def stir(network: nn.Module) -> nn.Module:
    """Random scales and statistics, so that no layer passes by doing nothing."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in weighted(network):
        if "running_var" in name:
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.ndim == 1:
            tensor.normal_(0.5, 0.2, generator=generator)
    return network.eval()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_same_numbers_as_monais_v_net(dimensions: int) -> None:
    """MONAI's has (1, 1, 2, 3, 2) convolutions going down, and a head of three layers, where ours has one."""
    from monai.networks.nets import VNet as Theirs

    torch.manual_seed(0)
    cubes, steps = ((5,) * dimensions,) * 5, ((1,) * dimensions, *((2,) * dimensions,) * 4)
    counts = {"encoder_blocks": (1, 1, 2, 3, 2), "decoder_blocks": (1, 1, 2, 2)}
    ours = stir(VNet(2, 3, (16, 32, 64, 128, 256), cubes, steps, activation="elu", **counts))
    theirs = Theirs(spatial_dims=dimensions, in_channels=2, out_channels=3).eval()
    ups = ("up_tr256", "up_tr128", "up_tr64", "up_tr32")
    downs = ("down_tr32", "down_tr64", "down_tr128", "down_tr256")
    pairs = [(ours.entry, theirs.in_tr)]
    pairs += [
        (nn.Sequential(down, stage), getattr(theirs, name))
        for down, stage, name in zip(ours.down, ours.encoder[1:], downs, strict=True)
    ]
    pairs += [
        (nn.Sequential(up, stage), getattr(theirs, name))
        for up, stage, name in zip(ours.upsample, ours.decoder, ups, strict=True)
    ]
    for mine, other in pairs:
        copy_in_order(mine, _without_needless_bias(other))
    theirs.out_tr = nn.Conv2d(32, 3, 1) if dimensions == 2 else nn.Conv3d(32, 3, 1)
    copy_in_order(ours.head, theirs.out_tr)
    images = torch.randn(1, 2, *((32, 48) if dimensions == 2 else (32, 32, 16)))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-4, rtol=1e-4)


def _without_needless_bias(network: nn.Module) -> nn.Module:
    """Convolutions whose bias the normalisation behind them takes away anyway; transposed ones keep theirs, as ours do."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            layer.bias = None
    return network


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_same_numbers_as_monais_attention_gates_and_the_gates_can_be_read(dimensions: int) -> None:
    from monai.networks.nets.attentionunet import AttentionBlock

    torch.manual_seed(0)
    ours = AttentionUNet(1, 2, (4, 8, 16), *STAGES[dimensions]).eval()
    images = torch.randn(2, 1, *(16, 8, 8)[:dimensions])
    gate, met = ours.gates[-1], []
    theirs = AttentionBlock(dimensions, f_int=2, f_g=4, f_l=4).eval()  # its normalisations start as the identity
    with torch.no_grad():
        theirs.W_g[0].conv.load_state_dict(gate.of_gate.state_dict())
        theirs.W_x[0].conv.weight.copy_(gate.of_skip.weight)
        theirs.W_x[0].conv.bias.zero_()
        theirs.psi[0].conv.load_state_dict(gate.score.state_dict())
        ours.decoder[-1].register_forward_pre_hook(lambda _, entries: met.append(entries))
        weights = ours.attention(images)
        below, passed = met[0]
        skip = ours._encode(images)[0]
        torch.testing.assert_close(passed, theirs(g=below, x=skip), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(passed, skip * weights[0])
    assert [tuple(w.shape[1:]) for w in weights] == [(1, *images.shape[2:]), (1, *(n // 2 for n in images.shape[2:]))]
    assert all(((w > 0) & (w < 1)).all() for w in weights)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_same_numbers_as_monais_segresnet(dimensions: int) -> None:
    from monai.networks.nets import SegResNet

    torch.manual_seed(0)
    asked = {"in_channels": 2, "out_channels": 3}
    options = {"base_features": 8, "blocks_down": (1, 2), "blocks_up": (1,)}
    ours = networks.build("segresnet", dimensions=dimensions, serves="dense", options=options, **asked).eval()
    theirs = SegResNet(spatial_dims=dimensions, init_filters=8, blocks_down=(1, 2), blocks_up=(1,), **asked).eval()
    copy_in_order(ours, theirs)
    images = torch.randn(1, 2, *(8,) * dimensions)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


def test_dilated_resnets_and_fcn_answer_as_torchvisions() -> None:
    from torchvision.models.segmentation import fcn_resnet50

    torch.manual_seed(0)
    theirs = stir(fcn_resnet50(weights=None, weights_backbone=None, num_classes=4, aux_loss=False))
    options = {"encoder": "resnet50", "output_stride": 8}
    ours = networks.build("fcn", in_channels=3, out_channels=4, dimensions=2, serves="dense", options=options).eval()
    ours.scores = nn.ModuleList()
    _copy_by_block(theirs.backbone, ours.encoder)
    copy_in_order(theirs.classifier, ours.head)
    images = torch.randn(1, 3, 65, 48)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images)["out"], atol=1e-3, rtol=1e-3)


def _copy_by_block(theirs: nn.Module, ours: nn.Module) -> None:
    """A ResNet of torchvision into our encoder: the stem, then block by block with the shortcut apart."""
    blocks = [block for k in (1, 2, 3, 4) for block in getattr(theirs, f"layer{k}")]
    copy_in_order(nn.Sequential(theirs.conv1, theirs.bn1), ours.stem)
    mine = [part for part in ours._parts() if len(list(part.children())) > 1]
    for block, own in zip(blocks, mine, strict=True):
        shortcut, block.downsample = block.downsample, None
        beside = own.shortcut
        own.shortcut = nn.Identity()
        copy_in_order(block, own)
        own.shortcut, block.downsample = beside, shortcut
        if shortcut is not None:
            copy_in_order(shortcut, beside)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_segnet_unpools_as_torch_does(dimensions: int) -> None:
    torch.manual_seed(0)
    cubes, steps = STAGES[dimensions]
    options = {"features": (4, 8, 8), "kernels": cubes, "strides": steps, "convolutions": (1, 1)}
    ours = networks.build("segnet", in_channels=1, out_channels=2, dimensions=dimensions, serves="dense", options=options).eval()
    images = torch.randn(2, 1, *(8, 12, 8)[:dimensions])
    pool = functional.max_pool2d if dimensions == 2 else functional.max_pool3d
    unpool = functional.max_unpool2d if dimensions == 2 else functional.max_unpool3d
    with torch.no_grad():
        maps, places = images, []
        for stage in ours.encoder:
            maps, found = pool(stage(maps), 2, return_indices=True)
            places.append(found)
        for stage, found in zip(ours.decoder, reversed(places), strict=True):
            maps = stage(unpool(maps, found, 2))
        torch.testing.assert_close(ours(images), ours.head(maps))


PUBLISHED = [  # name, options, channels of image and answer, millions of parameters, paper's own rounding
    ("unet_plus_plus", {"base_features": 32, "patch": (64, 64), "norm": "none"}, 1, 1, 9.04, 0.01),
    ("segnet", {"patch": (128, 128)}, 3, 12, 29.5, 0.1),
    ("fc_densenet", {"depth": 56}, 3, 11, 1.5, 0.15),
    ("fc_densenet", {"depth": 67}, 3, 11, 3.5, 0.06),
    ("fc_densenet", {"depth": 103}, 3, 11, 9.4, 0.1),
]


@pytest.mark.parametrize(("name", "options", "channels", "outputs", "millions", "rounding"), PUBLISHED)
def test_as_many_parameters_as_published(name, options, channels, outputs, millions, rounding) -> None:
    network = networks.build(name, in_channels=channels, out_channels=outputs, dimensions=2, serves="dense", options=options)
    assert count_parameters(network) / 1e6 == pytest.approx(millions, abs=rounding)


LARGE = [
    ("swin_unetr", {}, 3, 1, 14, 62.19, 0.05),  # Hatamizadeh 2022
    ("mednext", {"kernel_size": 3}, 3, 1, 14, 5.6, 0.1),  # Roy 2023, MedNeXt-S
    ("unetr", {"img_size": (96, 96, 96)}, 3, 1, 14, 92.58, 0.3),  # Hatamizadeh 2022
]


@pytest.mark.every_row
@pytest.mark.parametrize(("name", "options", "dimensions", "channels", "outputs", "millions", "rounding"), LARGE)
def test_as_many_parameters_as_published_in_3d(name, options, dimensions, channels, outputs, millions, rounding) -> None:
    question = {"in_channels": channels, "out_channels": outputs, "dimensions": dimensions}
    network = networks.build(name, serves="dense", options=options, **question)
    assert count_parameters(network) / 1e6 == pytest.approx(millions, abs=rounding)


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "densenet121", "mobilenet_v2"])
def test_an_encoder_has_the_classifiers_tensors_by_name_and_its_strides(name: str) -> None:
    """So that weights of a classifier can be loaded into it."""
    small = {"width": 8} if name != "mobilenet_v2" else {}
    encoder = make_encoder(name, 1, 2, width=small.get("width"))
    classifier = networks.build(name, in_channels=1, out_channels=2, dimensions=2, serves="image", options=small)
    expected = {part for part in classifier.state_dict() if part.split(".")[0] in ("stem", "stages")}
    assert set(encoder.state_dict()) == expected
    assert encoder.strides == ((1, 2, 4, 8, 16, 32) if name == "vgg16" else (2, 4, 8, 16, 32))
    with torch.no_grad():
        maps = encoder.eval()(torch.zeros(1, 1, 64, 64))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (w, 64 // s, 64 // s) for w, s in zip(encoder.widths, encoder.strides, strict=True)
    ]
