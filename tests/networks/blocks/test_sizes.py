"""Sizes for any kernel, stride, scale and image: what comes out is what the docstrings say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from networks.blocks.instances import shape_after
from overread.core.errors import OverreadError
from overread.networks.blocks.block import in_words, odd, per_axis, written
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.table import BLOCKS

SIZES = some.integers(5, 23)
FEW = settings(max_examples=25)


@FEW
@given(SIZES, SIZES, some.sampled_from([1, 3, 5]), some.integers(1, 3), some.integers(1, 3))
def test_a_convolution_keeps_the_size_before_its_stride(rows, columns, kernel, stride, dilation):
    with torch.device("meta"):
        maps = convolution(2, 4, (kernel, kernel), stride, dilation=dilation, groups=2)(torch.empty(1, 2, rows, columns))
    assert tuple(maps.shape[2:]) == (-(-rows // stride), -(-columns // stride))


@FEW
@given(some.sampled_from([2, 3]), some.integers(1, 4), some.integers(1, 4), some.data())
def test_blocks_step_as_their_row_says(dimensions, by, times, data):
    """On an image that the step divides, the grid is divided by exactly the step."""
    names = [name for name, block in BLOCKS.items() if (block.coarser or block.finer) and dimensions in block.dimensions]
    name = data.draw(some.sampled_from(names))
    block = BLOCKS[name]
    option = block.finer or block.coarser[0]
    option = block.first.name if block.first and block.first.name in block.coarser else option
    values = {option: by}
    needs_features = block.first is not None and block.first.default is block.first.empty
    if needs_features and option != block.first.name:
        values[block.first.name] = 16
    size = (4 * by * times,) * dimensions
    after = shape_after(name, ((8, *size),), **values)
    step = block.step(dimensions, values)
    assert after[1:] == tuple(int(voxels / each) for voxels, each in zip(size, step, strict=True))


def test_numbers_per_axis():
    assert per_axis(2, 3, "stride") == (2, 2, 2)
    assert per_axis((1, 2, 2), 3, "stride") == (1, 2, 2)
    assert (written((2, 2)), written((1, 2, 2))) == ("2", "1x2x2")
    with pytest.raises(OverreadError, match="stride=1x2 does not fit images of 3 axes"):
        per_axis((1, 2), 3, "stride")
    with pytest.raises(OverreadError, match="a kernel of 4 x 4 has no voxel in its middle"):
        odd(4, 2)


def test_shapes_in_words():
    assert in_words((64, 32, 16)) == "64 maps of 32 x 16"
    assert in_words((20, 64)) == "20 slices of 64 features"
    assert in_words((64,)) == "a vector of 64"
