"""What the planner starts from: what the settings say about training, and what the machine allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Budget:
    """What the machine allows.

    patch_voxels, batch_voxels  of a window, and of the windows of one step
    base_features               channels of a U-Net at full resolution
    windows                     per case when reading
    object_edge_2d              longest edge of a film in which objects are looked for
    """

    patch_voxels: int
    batch_voxels: int
    base_features: int
    windows: float
    image_edge_2d: int
    image_edge_3d: int
    object_edge_2d: int


CPU = Budget(
    patch_voxels=420_000,
    batch_voxels=420_000,
    base_features=16,
    windows=6,
    image_edge_2d=224,
    image_edge_3d=64,
    object_edge_2d=320,
)
GPU = Budget(
    patch_voxels=2_100_000,
    batch_voxels=4_200_000,
    base_features=32,
    windows=64,
    image_edge_2d=448,
    image_edge_3d=128,
    object_edge_2d=800,
)
PLANE_VOXELS = {"cpu": 300_000, "cuda": 4_000_000}  # per batch of 2D images


@dataclass(frozen=True)
class Wishes:
    """What the settings say about training; "auto" leaves it to the plan. Field names as in [training]."""

    architecture: str = "auto"
    network: dict[str, Any] = field(default_factory=dict)
    task: dict[str, float | str] = field(default_factory=dict)
    weights: str = "random"
    freeze: str = "none"
    unfreeze: float = 0.0
    layer_decay: float = 1.0
    clinical: tuple[str, ...] = ()
    fusion: str = "concatenation"
    semi: str = "none"
    dimensions: int | str = "auto"
    spacing: tuple[float, float, float] | str = "auto"
    patch: Shape | str = "auto"
    batch: int | str = "auto"
    loss: str = "auto"
    optimizer: str = "auto"
    schedule: str = "auto"
    learning_rate: float | str = "auto"
    weight_decay: float | str = "auto"
    class_weights: str = "none"
    sampling: str = "auto"
    deep_supervision: bool | str = "auto"
    dropout: float = 0.0
    ema: float = 0.0
    early_stopping: int = 0
    gradient_clip: float = 12.0
    precision: str = "auto"
    seed: int = 0
    augmentation: dict[str, Any] = field(default_factory=dict)
