"""Blocks against torch's own layers, MONAI's, or the formula of their paper."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from monai.networks.utils import pixelshuffle
from torch import nn
from torch.nn import functional

from overread.core.errors import OverreadError
from overread.networks.blocks.activations import ACTIVATIONS, make_activation
from overread.networks.blocks.attention_gate import AttentionGate
from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.convolution import DepthwiseSeparable, convolution
from overread.networks.blocks.dropout import DropPath, make_dropout
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.pooling import GlobalAverage, GlobalMax, PyramidPooling, average_pool, max_pool
from overread.networks.blocks.pooling_over_slices import AttentionPooling
from overread.networks.blocks.recurrent import Recurrent
from overread.networks.blocks.residual import BasicBlock, Bottleneck, PreActivationBlock
from overread.networks.blocks.self_attention import OverMaps, SelfAttention, TransformerBlock
from overread.networks.blocks.spatial_attention import SpatialAttention
from overread.networks.blocks.upsampling import Interpolated, PixelShuffle, PoolWithPlaces, Unpool

BOTH = pytest.mark.parametrize("dimensions", [2, 3])
FORMULAS = {  # as in the papers, for one number
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "prelu": lambda x: x if x > 0 else 0.25 * x,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "hardsigmoid": lambda x: min(max(x + 3, 0), 6) / 6,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "softplus": lambda x: math.log1p(math.exp(x)),
    "none": lambda x: x,
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def maps_of(dimensions, channels=4, size=6):
    return torch.randn(2, channels, *(size,) * dimensions)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_the_formula_of_its_paper(name):
    points = torch.tensor([-7.0, -2.0, -0.5, 0.3, 2.0, 7.0])
    wanted = torch.tensor([float(FORMULAS[name](float(point))) for point in points])
    assert torch.allclose(make_activation(name)(points), wanted, atol=1e-5)
    assert torch.allclose(make_activation(name, overwrite=True)(points.clone()), wanted, atol=1e-5)


def test_an_activation_leaves_its_input_alone_unless_told():
    points = torch.tensor([-1.0, 1.0])
    make_activation("relu")(points)
    assert points.tolist() == [-1.0, 1.0]


@BOTH
def test_a_depthwise_separable_convolution_is_a_full_one_of_rank_one_per_channel(dimensions):
    light = DepthwiseSeparable(4, 5, (3,) * dimensions, 2)
    in_space, across = light
    full = convolution(4, 5, (3,) * dimensions, 2)
    full.weight.data = across.weight * in_space.weight.transpose(0, 1)
    full.bias.data = across.bias.data
    maps = maps_of(dimensions)
    assert torch.allclose(light(maps), full(maps), atol=1e-5)


@BOTH
def test_a_grouped_convolution_is_several_that_do_not_see_each_other(dimensions):
    grouped = convolution(4, 6, (3,) * dimensions, groups=2)
    maps = maps_of(dimensions)
    convolve = functional.conv2d if dimensions == 2 else functional.conv3d
    halves = [
        convolve(half, weight, bias, padding=1)
        for half, weight, bias in zip(maps.split(2, 1), grouped.weight.split(3), grouped.bias.split(3), strict=True)
    ]
    assert torch.allclose(grouped(maps), torch.cat(halves, 1), atol=1e-5)


def test_a_dilated_convolution_is_one_with_holes_in_its_kernel():
    dilated = convolution(2, 3, (3, 3), dilation=2)
    holes = convolution(2, 3, (5, 5))
    holes.weight.data.zero_()
    holes.weight.data[:, :, ::2, ::2] = dilated.weight.data
    holes.bias.data = dilated.bias.data
    maps = maps_of(2, 2, 9)
    assert torch.allclose(dilated(maps), holes(maps), atol=1e-5)


def test_a_convolution_leaves_thick_slices_alone():
    flat = convolution(2, 3, (1, 3, 3))
    volume = maps_of(3, 2)
    slices = [functional.conv2d(volume[:, :, z], flat.weight[:, :, 0], flat.bias, padding=1) for z in range(6)]
    assert torch.allclose(flat(volume), torch.stack(slices, 2), atol=1e-5)


@BOTH
@pytest.mark.parametrize("norm", ["batch", "group", "instance", "layer", "none"])
def test_a_unit_is_convolution_norm_activation(dimensions, norm):
    unit = ConvUnit(4, 8, (3,) * dimensions, norm=norm, activation="gelu")
    assert (unit.conv.bias is not None) == (norm == "none")
    maps = maps_of(dimensions)
    between = unit.conv(maps)
    axes = tuple(range(2, dimensions + 2))
    over = {"batch": (0, *axes), "instance": axes, "layer": (1,), "group": None, "none": ()}[norm]
    if norm == "group":
        between = functional.group_norm(between, 8)
    elif over:
        mean, variance = between.mean(over, keepdim=True), between.var(over, correction=0, keepdim=True)
        epsilon = 1e-5
        between = (between - mean) / (variance + epsilon).sqrt()
    assert torch.allclose(unit(maps), functional.gelu(between), atol=1e-4)


@BOTH
def test_the_pre_activation_block_bends_before_it_convolves(dimensions):
    block = PreActivationBlock(4, 6, dimensions, 2).eval()
    maps = maps_of(dimensions)
    bent = functional.relu(block.first_norm(maps))
    wanted = block.match(bent) + block.second(functional.relu(block.second_norm(block.first(bent))))
    assert torch.allclose(block(maps), wanted, atol=1e-6)
    straight = PreActivationBlock(4, 4, dimensions)
    assert straight.match is None
    nn.init.zeros_(straight.second.weight)
    assert torch.equal(straight(maps), maps), "nothing bends the shortcut"


@pytest.mark.parametrize("make", [lambda d: BasicBlock(4, 4, d), lambda d: Bottleneck(4, 2, 4, d)])
@BOTH
def test_residual_blocks_start_as_their_shortcut(make, dimensions):
    block = make(dimensions)
    he_initialise(block, slope=0.0)
    maps = maps_of(dimensions)
    assert torch.equal(block(maps), functional.relu(maps))


def test_self_attention_is_that_of_torch():
    theirs, ours = nn.MultiheadAttention(8, 2, batch_first=True), SelfAttention(8, 2)
    ours.ask.weight.data, ours.ask.bias.data = theirs.in_proj_weight.data, theirs.in_proj_bias.data
    ours.answer.load_state_dict(theirs.out_proj.state_dict())
    tokens = torch.randn(2, 5, 8)
    answer, weights = theirs(tokens, tokens, tokens, average_attn_weights=False)
    assert torch.allclose(ours(tokens), answer, atol=1e-5)
    assert torch.allclose(ours.weights_of(tokens), weights, atol=1e-6)


def test_the_transformer_block_is_that_of_torch():
    theirs = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
    ours = TransformerBlock(8, 2)
    attention = theirs.self_attn
    ours.attention.ask.weight.data, ours.attention.ask.bias.data = attention.in_proj_weight.data, attention.in_proj_bias.data
    for mine, other in (
        (ours.attention.answer, attention.out_proj),
        (ours.norm_before_attention, theirs.norm1),
        (ours.norm_before_layers, theirs.norm2),
        (ours.layers[0], theirs.linear1),
        (ours.layers[3], theirs.linear2),
    ):
        mine.load_state_dict(other.state_dict())
    tokens = torch.randn(2, 5, 8)
    assert torch.allclose(ours(tokens), theirs(tokens), atol=1e-5)


def test_attention_over_maps_knows_no_order_of_places():
    block, maps = OverMaps(SelfAttention(4, 2)), maps_of(2)
    turned = block(maps.transpose(2, 3)).transpose(2, 3)
    assert torch.allclose(block(maps), turned, atol=1e-5)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(OverreadError, match="a width of 6 does not fall into 4 heads"):
        SelfAttention(6, 4)


@BOTH
def test_spatial_attention_weighs_places_alone(dimensions):
    block, maps = SpatialAttention(dimensions, 3), maps_of(dimensions)
    weights = block.weights_of(maps)
    assert weights.shape == (2, 1, *maps.shape[2:])
    convolve = functional.conv2d if dimensions == 2 else functional.conv3d
    summary = torch.stack([maps.mean(1), maps.max(1).values], 1)
    assert torch.allclose(weights, torch.sigmoid(convolve(summary, block.conv.weight, padding=1)), atol=1e-6)
    assert torch.allclose(block(maps), maps * weights)


@BOTH
def test_the_attention_gate_is_the_formula_of_its_paper_on_any_grid(dimensions):
    gate = AttentionGate(4, 6, 3, dimensions)
    skip, deep = maps_of(dimensions), maps_of(dimensions, 6)
    wanted = torch.sigmoid(gate.score(torch.relu(gate.of_skip(skip) + gate.of_gate(deep))))
    assert torch.allclose(gate.weights_of(skip, deep), wanted)
    assert torch.allclose(gate(skip, deep), skip * wanted)
    coarse = deep.mean(tuple(range(2, dimensions + 2)), keepdim=True)
    assert torch.allclose(gate(skip, coarse), gate(skip, coarse.expand_as(deep)), atol=1e-6)


@BOTH
def test_pooling(dimensions):
    maps = maps_of(dimensions)
    corners = product((slice(0, None, 2), slice(1, None, 2)), repeat=dimensions)
    blocks = torch.stack([maps[(..., *corner)] for corner in corners], 2)
    assert torch.equal(max_pool(dimensions, 2)(maps), blocks.amax(2))
    assert torch.allclose(average_pool(dimensions, 2)(maps), blocks.mean(2), atol=1e-6)
    axes = tuple(range(2, dimensions + 2))
    assert torch.allclose(GlobalAverage()(maps), maps.mean(axes), atol=1e-6)
    assert torch.equal(GlobalMax()(maps), maps.amax(axes))
    ones = torch.ones_like(maps)
    assert torch.allclose(average_pool(dimensions, 3, 2, 1)(ones), average_pool(dimensions, 2)(ones)), (
        "padding counts for nothing"
    )


@BOTH
def test_pyramid_pooling_tells_every_place_of_the_whole_image(dimensions):
    block = PyramidPooling(4, 5, (1, 2), dimensions).eval()
    maps = maps_of(dimensions)
    mode = "bilinear" if dimensions == 2 else "trilinear"
    views = [maps]
    for size, narrow in zip((1, 2), block.narrow, strict=True):
        grid = functional.interpolate(narrow(average_pool(dimensions, 6 // size)(maps)), maps.shape[2:], mode=mode)
        views.append(grid)
    assert torch.allclose(block(maps), block.join(torch.cat(views, 1)), atol=1e-5)


@BOTH
def test_interpolation_is_that_of_torch(dimensions):
    mode = "bilinear" if dimensions == 2 else "trilinear"
    maps, scale = maps_of(dimensions), (1, 2, 3)[-dimensions:]
    assert torch.allclose(Interpolated(scale)(maps), nn.Upsample(scale_factor=scale, mode=mode)(maps), atol=1e-6)


@BOTH
def test_pixel_shuffle_is_that_of_monai_and_starts_without_a_checkerboard(dimensions):
    block, maps = PixelShuffle(4, 3, 2, dimensions), maps_of(dimensions)
    enlarged = block(maps)
    nearest = functional.interpolate(enlarged[(..., *(slice(None, None, 2),) * dimensions)], scale_factor=2, mode="nearest")
    assert torch.equal(enlarged, nearest)
    nn.init.normal_(block.conv.weight)
    assert torch.allclose(block(maps), pixelshuffle(block.conv(maps), dimensions, 2))
    he_initialise(block)
    enlarged = block(maps)
    assert torch.equal(enlarged[..., ::2], enlarged[..., 1::2]), "drawing weights anew keeps the even start"


@BOTH
def test_unpooling_is_that_of_torch(dimensions):
    maps = maps_of(dimensions)
    pooled, places = PoolWithPlaces(dimensions)(maps)
    theirs = (nn.MaxUnpool2d if dimensions == 2 else nn.MaxUnpool3d)(2)
    assert torch.equal(Unpool()(pooled, places, maps.shape[2:]), theirs(pooled, places))
    with pytest.raises(OverreadError, match=r"the shape that was pooled, \(4, .*\); got \(3, "):
        Unpool()(pooled[:, :3], places, maps.shape[2:])


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_a_shorter_exam_is_read_as_if_it_were_alone(kind):
    unit, slices = Recurrent(4, 3, kind), torch.randn(2, 5, 4)
    present = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    read = unit(slices, present)
    assert read.shape == (2, 5, unit.outputs)
    assert torch.allclose(read[0], unit(slices[:1])[0], atol=1e-6)
    assert torch.allclose(read[1, :3], unit(slices[1:, :3])[0], atol=1e-6)


def test_an_unknown_recurrent_unit_is_refused():
    with pytest.raises(OverreadError, match="choose one of lstm, gru, rnn"):
        Recurrent(4, 3, "transformer")


def test_attention_pooling_is_equation_9_of_ilse_2018():
    pooling, slices = AttentionPooling(4, 3), torch.randn(2, 5, 4)
    present = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    exam, weights = pooling(slices, present)
    assert torch.allclose(weights.sum(1), torch.ones(2))
    assert weights[1, 3:].tolist() == [0.0, 0.0]
    alone = slices[1, :3]
    scores = (torch.tanh(pooling.content(alone)) * torch.sigmoid(pooling.gate(alone))) @ pooling.score.weight[0]
    by_hand = torch.exp(scores) / torch.exp(scores).sum()
    assert torch.allclose(weights[1, :3], by_hand, atol=1e-6)
    assert torch.allclose(exam[1], by_hand @ alone, atol=1e-6)


@pytest.mark.parametrize(("kind", "silent"), [("elements", (8, 50, 400)), ("channels", (8, 50)), ("path", (8,))])
def test_dropout_silences_what_it_says_and_keeps_the_mean(kind, silent):
    layer = make_dropout(kind, 0.25, 2)
    maps = torch.ones(800, 50, 2, 4)
    dropped = layer(maps)
    whole = {"elements": (), "channels": (2, 3), "path": (1, 2, 3)}[kind]
    if whole:
        assert torch.equal(dropped.amin(whole), dropped.amax(whole)), "whole or not at all"
    assert dropped.mean().item() == pytest.approx(1, abs=0.08)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.06)
    assert torch.equal(layer.eval()(maps), maps)


def test_dropout_that_is_no_share_and_unknown_kinds_are_refused():
    with pytest.raises(OverreadError, match=r"a dropout rate of 1\.0 is no share"):
        make_dropout("elements", 1.0, 2)
    with pytest.raises(OverreadError, match="choose one of elements, channels, path"):
        make_dropout("pixels", 0.1, 2)
    with pytest.raises(OverreadError, match="choose one of instance, batch, group, layer, none"):
        make_norm("spectral", 4, 2, activate=False)
    with pytest.raises(OverreadError, match="no activation is called 'swish9'"):
        make_activation("swish9")
    assert DropPath(0.0)(torch.ones(2)).tolist() == [1, 1]
