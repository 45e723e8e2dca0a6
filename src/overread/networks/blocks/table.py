"""Every block by name, with its paper and what it is for.

    BLOCKS: dict[str, Block]        in the order in which a reader meets them
    BLOCKS["residual"].title, .dimensions (frozenset of 2, 3), .paper, .purpose (one sentence)
    .first                          what the bare value means ("features", "size", "rate" ...), as inspect.Parameter or None
    .options                        {name: default} of what is written as name=value
    .reads, .joins, .needs_size     kinds of shape it takes; reads labels too; built for one size of image
    .build(((16, 32, 32),), 32, stride=2)   the module, for 16 maps of 32 x 32

A shape leaves the batch out: (C, [Z,] Y, X), (slices, F) or (F,). Blocks are written as text in a composed network
(`networks/composed/grammar.py`); `docs/explanation/blocks.md` shows how.
"""

from overread.networks.blocks.block import Block
from overread.networks.blocks.rows import attention, branched, convolutions, grids, joins, layers

BLOCKS: dict[str, Block] = {
    row.name: row for row in (*convolutions.ROWS, *branched.ROWS, *grids.ROWS, *attention.ROWS, *joins.ROWS, *layers.ROWS)
}
