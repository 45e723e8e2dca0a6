"""What holds for every block in the table: its gradient, its stated shape, its row, both layouts and bfloat16."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch.func import functional_call

from networks.blocks.instances import GIVEN, NAMES, instance, shape_after, tensors
from overread.networks.blocks.table import BLOCKS
from overread.networks.layout import memory_format

pytestmark = pytest.mark.usefixtures("as_in_training")

TRAILS = ("arXiv:", "doi:", "jmlr.org", "Nair 2010")


@pytest.mark.parametrize(("name", "dimensions"), NAMES)
def test_the_gradient_of_a_block_is_that_of_finite_differences(name, dimensions):
    torch.manual_seed(1)
    module, shapes = instance(name, dimensions)
    if name == "deformable":  # away from whole shifts, where bilinear interpolation bends
        torch.nn.init.uniform_(module[0].shifts.bias, 0.2, 0.4)
    module = module.double()
    parameters = {key: value.detach().clone().requires_grad_() for key, value in module.named_parameters()}
    maps = [each.requires_grad_() for each in tensors(shapes, dtype=torch.float64)]

    def ask(*values):
        given, learned = values[: len(maps)], dict(zip(parameters, values[len(maps) :], strict=True))
        return functional_call(module, learned, given)

    assert torch.autograd.gradcheck(ask, (*maps, *parameters.values()), fast_mode=True, atol=1e-5)


@pytest.mark.parametrize(("name", "dimensions"), NAMES)
def test_a_block_gives_one_shape_on_no_device_in_both_layouts_and_in_bfloat16(name, dimensions):
    torch.manual_seed(0)
    module, shapes = instance(name, dimensions)
    given, options = GIVEN.get(name, ((), {}))
    stated = shape_after(name, shapes, *given, **options)
    maps = tensors(shapes)
    module.eval()
    with torch.no_grad():
        plain = module(*maps)
        last = [each.contiguous(memory_format=memory_format(each.ndim)) if each.ndim > 3 else each for each in maps]
        assert torch.allclose(module(*last), plain, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            half = module(*[each[:1] for each in last])
    assert tuple(plain.shape[1:]) == stated
    assert tuple(half.shape[1:]) == stated
    assert (half.float() - plain[:1]).abs().max() < 0.1 * max(1.0, plain.abs().max().item())


@pytest.mark.parametrize("name", BLOCKS)
def test_a_row_says_what_a_reader_needs(name):
    row = BLOCKS[name]
    assert row.name == name
    assert any(trail in row.paper for trail in TRAILS), "no paper that can be found"
    assert row.purpose.endswith(".")
    assert "\n" not in row.purpose
    first = row.first.name if row.first else None
    for option in (*row.coarser, row.finer):
        assert not option or option in row.options or option == first
    assert row.types.keys() >= row.options.keys()


def test_every_file_of_a_block_names_its_source():
    for name in BLOCKS:
        module = inspect.getmodule(type(instance(name, max(BLOCKS[name].dimensions))[0]))
        if module is not None and module.__name__.startswith("overread.networks.blocks.") and ".rows." not in module.__name__:
            text = inspect.getsource(module)
            assert "ource" in text, f"{module.__name__} names no source"
