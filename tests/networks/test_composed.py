"""A network written as a list of blocks: what it becomes, what it refuses and with which words, and that it is read back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from networks.blocks.instances import NAMES
from overread.core.errors import OverreadError
from overread.networks import ARCHITECTURES, build
from overread.networks.blocks.table import BLOCKS
from overread.networks.composed.grammar import parse
from overread.networks.composed.walk import Style, divisor_of, walk
from overread.networks.count import cost, count_parameters

pytestmark = pytest.mark.usefixtures("as_in_training")

ISSUE = [
    "conv 8",
    "residual 8 x2",
    "max_pool 2",
    "residual 16 x2 as half",
    "squeeze_excitation",
    "self_attention heads=4",
    "global_average",
    "dropout 0.2",
    "linear",
]
SEGMENTS = [
    "conv 8 as fine",
    "max_pool 2",
    "residual 16 as half",
    "max_pool 2",
    "aspp 16",
    "upsample 2",
    "attention_gate half",
    "conv 16",
    "transposed 8 scale=2",
    "concat fine",
    "conv 8",
]


def make(blocks, serves="image", dimensions=2, **options):
    asked = {"blocks": blocks, **options}
    return build("composed", in_channels=1, out_channels=3, dimensions=dimensions, serves=serves, options=asked)


def taught(network, images):
    """Names of parameters that no gradient reaches."""
    network(images).square().sum().backward()
    return [name for name, parameter in network.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("blocks", "serves"), [(ISSUE, "image"), (SEGMENTS, "dense"), (None, "image"), (None, "dense")])
def test_a_list_becomes_a_network_that_learns(blocks, serves, dimensions):
    torch.manual_seed(0)
    network, images = make(blocks, serves, dimensions), torch.randn(2, 1, *(16,) * dimensions)
    assert taught(network, images) == []
    network.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        answer = network(images[:1])
    assert answer.shape == ((1, 3) if serves == "image" else (1, 3, *images.shape[2:]))
    assert network.features(images).ndim == 2
    assert network.dimensions == dimensions


def test_the_list_of_the_issue_is_what_it_says():
    network = make(ISSUE)
    images = torch.randn(2, 1, 16, 16)
    assert list(network.blocks)[:4] == ["1_conv", "2_residual", "3_max_pool", "4_residual"]
    assert len(network.blocks["4_residual"]) == 2
    assert network.features(images).shape == (2, 16)
    assert [place.goes for place in network.placed] == [
        (8, 64, 64),
        (8, 64, 64),
        (8, 32, 32),
        (16, 32, 32),
        (16, 32, 32),
        (16, 32, 32),
        (16,),
        (16,),
    ]


def test_labels_bring_earlier_maps_back():
    network = make(["conv 1 kernel=1 norm=none activation=none as fine", "activation relu", "add fine image"], "dense").eval()
    images = torch.randn(1, 1, 8, 8)
    fine = network.blocks["1_conv"](images)
    seen = []
    network.dropout.register_forward_pre_hook(lambda _, entry: seen.append(entry[0]))
    network(images)
    assert torch.allclose(seen[0], fine.relu() + fine + images)


@pytest.mark.parametrize(
    ("blocks", "dimensions", "size"),
    [
        (["patches 8 size=4", "position", "transformer heads=2 ratio=2 x2", "global_average"], 2, [16, 16]),
        (["flatten", "linear 8", "activation tanh", "linear"], 2, [8, 12]),
        (["conv 4 kernel=1x3x3", "max_pool 1x2x2", "slices", "recurrent 4 kind=gru", "attention_pooling 4"], 3, [6, 8, 8]),
        (["inception 16", "dense_block 4 layers=2", "transition", "inverted 8 squeeze=0.5", "global_max"], 2, [16, 16]),
    ],
)
def test_other_families_can_be_written(blocks, dimensions, size):
    network = make(blocks, dimensions=dimensions, image_size=size)
    assert taught(network, torch.randn(3, 1, *size)) == []


def test_a_stride_is_taken_by_the_first_of_several():
    network = make(["conv 4 stride=2 x3", "global_average"])
    assert [module.conv.stride for module in network.blocks["1_conv"]] == [(2, 2), (1, 1), (1, 1)]
    assert make(["max_pool 2 x3", "global_average"]).placed[0].goes == (1, 8, 8)


def test_style_is_for_blocks_that_name_none_of_their_own():
    network = make(["conv 4", "conv 4 norm=batch activation=relu", "inverted 4"], "dense", norm="group", activation="gelu")
    kinds = {type(module).__name__ for module in network.modules()}
    assert {"GroupNorm", "BatchNorm2d", "GELU", "ReLU"} <= kinds
    assert "ReLU6" not in kinds
    assert "InstanceNorm" in {type(module).__name__ for module in make(["conv 4"], "dense").modules()}


def test_the_same_seed_gives_the_same_network_and_the_check_draws_no_number():
    torch.manual_seed(3)
    first = make(SEGMENTS, "dense")
    torch.manual_seed(3)
    walk(parse(SEGMENTS), 1, 2, None, Style())
    second = make(SEGMENTS, "dense")
    for (name, mine), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(mine, other), name


def test_parameters_and_multiplications_are_those_of_the_network():
    network = make(SEGMENTS, "dense")
    head = count_parameters(network.head)
    assert sum(place.parameters for place in network.placed) == count_parameters(network) - head
    macs = sum(place.macs for place in network.placed)
    assert macs + 8 * 3 * 64 * 64 == cost(network, (1, 1, 64, 64)).macs


GRIDS = some.lists(
    some.sampled_from(["conv 4", "conv 4 stride=2", "max_pool 2", "max_pool 3", "residual 4 stride=1x2", "separable 4"]),
    min_size=1,
    max_size=4,
)


@settings(max_examples=8)
@given(GRIDS, some.integers(2, 3), some.integers(2, 3))
def test_any_multiple_of_the_divisor_fits_and_nothing_else(blocks, rows, columns):
    """Down by some blocks, up at once by what they took, and the input laid behind."""
    lines = parse(blocks)
    divisor = divisor_of(lines, 2)
    up = ["upsample " + "x".join(map(str, divisor)), "concat image"]
    with torch.device("meta"):
        network = make([*blocks, *up], "dense")
        assert network.divisor == divisor
        size = (rows * divisor[0], columns * divisor[1])
        assert network(torch.empty(2, 1, *size)).shape[2:] == size
        if max(divisor) > 1:
            with pytest.raises(OverreadError, match="each axis must be a multiple of"):
                network(torch.empty(2, 1, size[0] + 1, size[1] + 1))
            with pytest.raises(OverreadError, match="leaves one voxel on the coarsest grid"):
                network(torch.empty(2, 1, *divisor))


def test_the_divisor_is_known_before_the_network_is_built():
    row = ARCHITECTURES["composed"]
    assert row.divisor(3, {"blocks": ["conv 4 as fine", "max_pool 1x2x2", "conv 4 stride=3", "unpool fine"]}) == (3, 6, 6)
    assert row.divisor(2, {}) == (2, 2)


WRONG = [
    (["resdual 8"], "dense", "block 1, \"resdual 8\": no block is called 'resdual'", "did you mean residual?"),
    (["conv 8", "zzz"], "dense", "block 2, \"zzz\": no block is called 'zzz'", "the blocks are conv, "),
    (["conv"], "dense", "conv needs its features", 'write "conv 32"'),
    (["conv eight"], "dense", "features is a whole number, and 'eight' came", "write it as NAME"),
    (["conv 8 9"], "dense", "'9' is too much", "write it as NAME"),
    (["conv 8 strid=2"], "dense", "conv takes no option 'strid'", "did you mean stride?"),
    (["conv 8 kernel=4"], "dense", "a kernel of 4 x 4 has no voxel in its middle", "take odd sizes"),
    (["conv 8 kernel=3x3x3"], "dense", "kernel=3x3x3 does not fit images of 2 axes", "2 joined by x, such as 2x2"),
    (["conv 8 dropout=1x2"], "dense", "dropout is a number, and '1x2' came", "write it as NAME"),
    (["conv 8 groups=3"], "dense", "1 maps of 64 x 64 came; in_channels must be divisible by groups", ""),
    (["conv 8 x0"], "dense", "x0 is no number of times from 1 to 100", "write it as NAME"),
    (["conv 8 as Half"], "dense", '"as" is followed by one label of small letters', "write it as NAME"),
    (["conv 8 as image"], "dense", "the label 'image' is taken", "choose another"),
    (["conv 8 as fine", "concat fin"], "dense", "no earlier block has the label 'fin'", "did you mean fine?"),
    (["conv 8", "concat"], "dense", "concat needs the label of an earlier block", 'write "concat LABEL"'),
    (["conv 8 as a", "concat a x2"], "dense", "a block that joins labels stands once", "write it in several lines"),
    (
        ["conv 8 as fine", "max_pool 2", "conv 12", "concat fine"],
        "dense",
        'block 4, "concat fine": 12 maps of 32 x 32 came, and the label holds 8 maps of 64 x 64',
        'put "upsample 2" before it',
    ),
    (["conv 8 stride=2 as a", "upsample 4", "add a"], "dense", "8 maps of 128 x 128 came", 'put "max_pool 4" before it'),
    (["conv 8 as a", "conv 6", "add a"], "dense", "6 maps of 64 x 64 came, and the label holds 8", 'put "conv 8 kernel=1"'),
    (["conv 8 as a", "max_pool 2", "conv 6", "unpool a"], "dense", "unpooling keeps the maps", 'put "conv 8" before it'),
    (["conv 8 as a", "conv 8 as b", "attention_gate a b"], "dense", "it reads one label and got 2", "name the label of one"),
    (["max_pool 2 as a", "upsample 2", "feature_pyramid 8 a"], "dense", "stand before", "from fine to coarse"),
    (["slices"], "dense", "slices reads 3D images, and these are 2D", "take another block"),
    (
        ["conv 8", "linear 4"],
        "image",
        "8 maps of 64 x 64 came, and linear reads slices or a vector",
        '"global_average" or "flatten"',
    ),
    (
        ["conv 8", "global_average", "conv 4"],
        "image",
        "a vector of 8 came, and conv reads maps",
        "before the maps become a vector",
    ),
    (["conv 8", "flatten"], "image", "flatten ties the network to one size of image", "set image_size"),
    (["linear", "conv 8"], "image", "linear without a number gives the answer, and is not the last block", 'write "linear 64"'),
    (["linear"], "image", "there is no block before the answer", 'put "flatten"'),
    (
        ["conv 8"],
        "image",
        "ends in 8 maps of 64 x 64, and an answer per image is made of a vector",
        '"global_average" at the end',
    ),
    (["conv 8", "global_average"], "dense", "ends in a vector of 8, and an answer per voxel is made of maps", "leave out"),
    (["conv 8 stride=2"], "dense", "ends in 8 maps of 32 x 32 for an image of 64 x 64", 'put "upsample 2" at the end'),
    (["upsample 2"], "dense", "ends in 1 maps of 128 x 128 for an image of 64 x 64", 'put "max_pool 2" at the end'),
    (["max_pool 2 x7", "global_average"], "image", "1 maps of 1 x 1 came; ", "take larger images"),
    (["norm spectral"], "dense", "no normalisation is called 'spectral'", "choose one of instance"),
    (["conv 8", "dropout 0.1 kind=path"], "dense", "dropping the path loses the image", "path=0.1"),
    (["residual 8 attention=all"], "dense", "no attention of a block is called 'all'", "squeeze_excitation or spatial_attention"),
    (["inception 20"], "dense", "20 features do not fall into the branches", "take a multiple of 16"),
    (["conv 90000", "conv 90000"], "dense", 'block 2, "conv 90000": the network needs', "take fewer features"),
    ("conv 8", "dense", "a list of texts, and 'conv 8' came", "write blocks = ["),
    ([], "dense", "a list of texts", "write blocks = ["),
    (5, "dense", "a list of texts, and 5 came", "write blocks = ["),
    (True, "image", "a list of texts, and True came", "write blocks = ["),
    ({"conv 8": 1}, "dense", "a list of texts, and {'conv 8': 1} came", "write blocks = ["),
    (["conv 8", 2], "image", "a list of texts, and ['conv 8', 2] came", "write blocks = ["),
]


@pytest.mark.parametrize(("blocks", "serves", "what", "next_step"), WRONG, ids=[str(row[0]) for row in WRONG])
def test_what_does_not_fit_is_refused_with_the_block_and_both_shapes(blocks, serves, what, next_step):
    options = {"image_size": [66, 66]} if "x7" in str(blocks) else {}
    with pytest.raises(OverreadError) as refused:
        make(blocks, serves, **options)
    assert what in refused.value.what
    assert next_step in refused.value.next


def test_a_network_of_one_size_refuses_others():
    network = make(["flatten"], image_size=[8, 8])
    with pytest.raises(OverreadError, match=r'block 1, "flatten": .*images of 8 x 8, and one of 8 x 9 came'):
        network(torch.zeros(1, 1, 8, 9))
    with pytest.raises(OverreadError, match=r"image_size = \[8\] has 1 numbers, and the images have 2 axes"):
        make(["flatten"], image_size=[8])
    with pytest.raises(OverreadError, match="built for 2D images, and got one of size"):
        make(["conv 4", "global_average"])(torch.zeros(1, 1, 8, 8, 8))


def test_answers_of_another_kind_and_unknown_options_are_refused():
    with pytest.raises(OverreadError, match="composed does not answer with a list of objects"):
        make(["conv 4"], "objects")
    with pytest.raises(OverreadError, match="composed has no option 'block'"):
        make(["conv 4"], "dense", block=["conv 4"])


def test_every_block_of_the_table_can_be_written():
    """The names that a list can hold are those of the table, and a walk knows them all."""
    written = {
        line.block.name for line in parse([f"{name} 4" if BLOCKS[name].first else name for name, _ in NAMES if _plain(name)])
    }
    assert written == {name for name in BLOCKS if _plain(name)}


def _plain(name: str) -> bool:
    return not BLOCKS[name].joins
