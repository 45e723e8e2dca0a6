"""The page about blocks says what the table says, and its lists are networks."""

from __future__ import annotations

import tomllib

import pytest
import torch

from docs.pages import ROOT, steps
from overread.networks import build
from overread.networks.blocks.table import BLOCKS

PAGE = ROOT / "docs" / "explanation" / "blocks.md"
LISTS = [tomllib.loads(step.text)["training"]["network"]["blocks"] for step in steps(PAGE) if step.language == "toml"]


@pytest.mark.parametrize("name", BLOCKS)
def test_the_page_has_a_line_for_every_block(name):
    row = BLOCKS[name]
    dimensions = " ".join(f"{axes}D" for axes in sorted(row.dimensions))
    assert f"| `{name}` | {row.title} | {row.purpose} | {dimensions} | {row.paper} |" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("blocks", "serves", "dimensions"), list(zip(LISTS, ("image", "dense", "image"), (2, 2, 3), strict=True))
)
def test_the_lists_of_the_page_are_networks(blocks, serves, dimensions):
    options = {"blocks": blocks}
    network = build("composed", in_channels=1, out_channels=2, dimensions=dimensions, serves=serves, options=options)
    answer = network(torch.zeros(2, 1, *(16,) * dimensions))
    assert answer.shape[:2] == (2, 2)
    assert network.divisor == {"image": (2,) * 2, "dense": (4, 4)}[serves] if dimensions == 2 else (1, 2, 2)


def test_the_refusal_of_the_page_is_the_one_that_is_given():
    (text,) = [step.text for step in steps(PAGE) if step.language == "text"]
    blocks = ["conv 16 as fine", "max_pool 2", "conv 32", "concat fine"]
    with pytest.raises(Exception, match="block 4") as refused:
        build("composed", in_channels=1, out_channels=2, dimensions=2, serves="dense", options={"blocks": blocks})
    assert str(refused.value) == text.rstrip("\n")
