"""Where the attention of a transformer is found: ours, and those of timm, MONAI and torchvision that attend to all patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from overread.explanation.asked import Asked
from overread.networks.blocks.self_attention import SelfAttention
from overread.networks.image.network import ImageNetwork
from overread.networks.image.vit import PatchEmbedding
from overread.networks.libraries.adapters import ImageAdapter

_POOLING = {"token": True, "avg": False}  # of timm: whether the answer is read from the first token
_REFUSAL = "attention rollout needs a transformer in which all patches of the image attend to each other, and this network {}"


@dataclass(frozen=True)
class Transformer:
    """How a transformer attends.

    layers       the attention modules, first to last
    fused        names of the switches of each that must be off for its attention to be seen
    seen_in      name of the module, within each, that is handed the attention (B, heads, N, N); None: the module gives it
                 itself where it is asked, ours by `weights_of`
    prefix       tokens before those of the patches
    reads_first  the answer is read from the first token, else from the mean over the patches
    grid         patches along [z,] y, x
    """

    layers: tuple[nn.Module, ...]
    fused: str | None
    seen_in: str | None
    prefix: int
    reads_first: bool
    grid: tuple[int, ...]


def transformer_of(asked: Asked) -> Transformer | str:
    """The transformer behind an answer per image; else why there is none, in words."""
    if asked.task.serves != "image":
        return _REFUSAL.format("answers per voxel or with objects")
    if isinstance(asked.network, ImageNetwork) and (ours := _of_ours(asked.network)) is not None:
        return ours
    if not isinstance(asked.network, ImageAdapter):
        return _REFUSAL.format("has no attention")
    size = tuple(asked.images.shape[2:])
    for family in (_of_timm, _of_monai, _of_torchvision):
        if (found := family(asked.network.inner, size)) is not None:
            return found
    return _REFUSAL.format("has none, attends in windows, or gathers its patches by attention")


def attentions(asked: Asked, transformer: Transformer) -> list[Tensor]:
    """(heads, N, N) of every layer, first to last; rows are the tokens that attend and add up to 1."""
    seen: list[Tensor] = []
    with torch.no_grad(), ExitStack() as stack:
        for layer in transformer.layers:
            stack.enter_context(_unfused(layer, transformer.fused))
            stack.enter_context(_listening(layer, transformer.seen_in, seen))
        asked.score(asked.images)
    return [maps[0] for maps in seen]


@contextmanager
def _unfused(layer: Any, switch: str | None) -> Iterator[None]:
    """A layer that reckons its attention in steps for a while."""
    before = getattr(layer, switch) if switch else None
    try:
        if switch:
            setattr(layer, switch, False)
        yield
    finally:
        if switch:
            setattr(layer, switch, before)


@contextmanager
def _listening(layer: nn.Module, seen_in: str | None, seen: list[Tensor]) -> Iterator[None]:
    if isinstance(layer, SelfAttention):
        hooks = [layer.register_forward_pre_hook(lambda _module, entry: seen.append(layer.weights_of(entry[0])))]
    elif seen_in is not None:
        within = layer.get_submodule(seen_in)
        hooks = [within.register_forward_pre_hook(lambda _module, entry: seen.append(entry[0]))]
    else:  # torch's own layer, which averages over heads
        ask: Callable[..., Any] = lambda _module, entry, named: (entry, {**named, "need_weights": True})  # noqa: E731
        hooks = [
            layer.register_forward_pre_hook(ask, with_kwargs=True),
            layer.register_forward_hook(lambda _module, _entry, output: seen.append(output[1][:, None])),
        ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _of_ours(network: ImageNetwork) -> Transformer | None:
    """ViT, in 2D and 3D."""
    embedding = network.stages[0]
    if not isinstance(embedding, PatchEmbedding):
        return None
    layers = tuple(module for module in network.stages.modules() if isinstance(module, SelfAttention))
    return Transformer(layers, None, None, 1, True, embedding.grid)


def _of_timm(inner: Any, size: tuple[int, ...]) -> Transformer | None:
    """ViT, DeiT, BEiT, EVA and their like: Dosovitskiy 2021, arXiv:2010.11929."""
    layers: list[Any] = [getattr(block, "attn", None) for block in getattr(inner, "blocks", ())]
    can_be_seen = layers and all(hasattr(layer, "fused_attn") and hasattr(layer, "attn_drop") for layer in layers)
    if not can_be_seen or not hasattr(inner, "num_prefix_tokens") or getattr(inner, "global_pool", None) not in _POOLING:
        return None
    grid = _grid(size, inner.patch_embed.patch_size)
    return Transformer(tuple(layers), "fused_attn", "attn_drop", inner.num_prefix_tokens, _POOLING[inner.global_pool], grid)


def _of_monai(inner: Any, size: tuple[int, ...]) -> Transformer | None:
    """ViT, in 2D and 3D."""
    layers: list[Any] = [getattr(block, "attn", None) for block in getattr(inner, "blocks", ())]
    patches = getattr(getattr(inner, "patch_embedding", None), "patch_embeddings", None)
    can_be_seen = layers and all(hasattr(layer, "use_flash_attention") for layer in layers)
    if not can_be_seen or not hasattr(inner, "cls_token") or not isinstance(patches, nn.Conv2d | nn.Conv3d):
        return None
    return Transformer(tuple(layers), "use_flash_attention", "drop_weights", 1, True, _grid(size, patches.stride))


def _of_torchvision(inner: Any, size: tuple[int, ...]) -> Transformer | None:
    """VisionTransformer."""
    blocks = getattr(getattr(inner, "encoder", None), "layers", ())
    layers: list[Any] = [getattr(block, "self_attention", None) for block in blocks]
    if not layers or not all(isinstance(layer, nn.MultiheadAttention) for layer in layers):
        return None
    return Transformer(tuple(layers), None, None, 1, True, _grid(size, (inner.patch_size,) * len(size)))


def _grid(size: Sequence[int], patch: Sequence[int]) -> tuple[int, ...]:
    return tuple(-(-n // p) for n, p in zip(size, patch, strict=True))
