"""Learning from images without labels: hidden parts to be filled in, and views of one image to be told from others."""

from overread.tasks.pretraining.batches import contrastive_batch, masked_batch
from overread.tasks.pretraining.contrastive import Contrastive, Projecting, nt_xent
from overread.tasks.pretraining.masked import MaskedImages, Reconstructing, masked_error
from overread.tasks.pretraining.masks import HIDDEN, block_mask, block_shape

__all__ = [
    "HIDDEN",
    "Contrastive",
    "MaskedImages",
    "Projecting",
    "Reconstructing",
    "block_mask",
    "block_shape",
    "contrastive_batch",
    "masked_batch",
    "masked_error",
    "nt_xent",
]
