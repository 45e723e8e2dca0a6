"""Every way to pose a task to a network, and the cover of them that `make test` takes; `make test-all` takes all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import Any

import tiny_image_networks
import tiny_voxel_networks
from overread.networks.table import ARCHITECTURES
from overread.tasks import routes_of
from toys import SHAPES

POSED = (
    ("classification", {}),
    ("classification", {"exclusive": False}),
    ("classification", {"ordered": True}),
    ("regression", {}),
    ("segmentation", {}),
    ("segmentation", {"exclusive": False}),
)
OF_SLICES = {"encoder": "resnet10", "encoder_options": {"width": 4}, "features": 8, "hidden": 4}
COMPOSED = {
    "image": ["conv 4", "max_pool 2", "residual 8", "global_average", "linear"],
    "dense": ["conv 4 as fine", "max_pool 2", "residual 8", "upsample 2", "concat fine", "conv 4"],
}
OTHERS: tuple[tuple[str, int, str, dict[str, Any]], ...] = (  # of the libraries, by name
    ("timm:resnet10t", 2, "classification", {}),
    ("torchvision:lraspp_mobilenet_v3_large", 2, "segmentation", {}),
    ("monai:UNet", 3, "segmentation", {"channels": (4, 8), "strides": (2,), "num_res_units": 1}),
)
PLAINEST = ("resnet10", "unet")  # pose every task in every number of dimensions
ONE_OF_EACH = (  # family of networks; in the dimensions named, with one task each in turn
    *(("perceptron", 3), ("mlp", 2), ("lenet", 3), ("alexnet", 2), ("vgg11", 2), ("googlenet", 2), ("plain18", 2)),
    *(("resnet18_preactivation", 3), ("resnext50", 2), ("se_resnet18", 3), ("cbam_resnet18", 2), ("densenet40", 2)),
    *(("mobilenet_v2", 2), ("mobilenet_v3_small", 3), ("efficientnet_b0", 2), ("convnext_tiny", 2), ("vit_tiny", 3)),
    *(("slices_attention", 3), ("slices_lstm", 3)),
    *(("residual_unet", 2), ("residual_unet", 3), ("attention_unet", 3), ("unet_plus_plus", 2), ("vnet", 3), ("segnet", 2)),
    *(("segnet", 3), ("fcn", 2), ("deeplab_v3_plus", 3), ("pspnet", 2), ("fc_densenet", 2), ("segresnet", 2)),
    *(("voxelwise", 2), ("composed", 2)),
)
LARGER = {"swin_unetr": (64, 32, 32), "unetr": (32, 16, 16)}  # windows; what is smaller leaves one voxel somewhere


@dataclass(frozen=True)
class Way:
    """One task, posed in one way, to one network in 2D or 3D."""

    name: str
    dimensions: int
    task: str
    options: tuple[tuple[str, Any], ...] = ()
    network: tuple[tuple[str, Any], ...] = ()  # options of a network of a library

    @property
    def id(self) -> str:
        return f"{self.name}-{self.dimensions}d-{self.task}-{'-'.join(k for k, _ in self.options) or 'plain'}"

    @property
    def serves(self) -> str:
        return routes_of(self.task)[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Z, Y, X of the toy images, as small as the network reads."""
        if self.name in tiny_image_networks.NAMES:
            edge = max(tiny_image_networks.size_for(self.name, 2)[0], 32 if self.dimensions == 2 else 16)
            edge = edge if self.name in tiny_image_networks.EDGES else SHAPES[self.dimensions][2]
            return (1, edge, edge) if self.dimensions == 2 else (edge, edge, edge)
        wide = LARGER.get(self.name)
        if wide is None:
            return SHAPES[self.dimensions]
        return wide if self.dimensions == 3 else (1, wide[0], 32)

    def described(self, outputs: int) -> dict[str, Any]:
        """What a model card says of the network."""
        return {
            "name": self.name,
            "in_channels": 1,
            "out_channels": outputs,
            "dimensions": self.dimensions,
            "serves": self.serves,
            "options": self._options(),
        }

    def _options(self) -> dict[str, Any]:
        size = self.shape[3 - self.dimensions :]
        if self.name in tiny_voxel_networks.NAMES:
            return tiny_voxel_networks.options_for(self.name, self.dimensions, size)
        if self.name in tiny_image_networks.NAMES:
            return {**tiny_image_networks.options_for(self.name, self.dimensions), "image_size": size}
        if self.name.startswith(("slices", "stack")):
            return OF_SLICES
        return {"blocks": COMPOSED[self.serves]} if self.name == "composed" else dict(self.network)


def every_way() -> list[Way]:
    """All of the table, and one network of each library."""
    of_table = [
        Way(name, dimensions, task, tuple(options.items()))
        for name, row in ARCHITECTURES.items()
        for dimensions in sorted(row.dimensions)
        for task, options in POSED
        if routes_of(task)[0] in row.serves
    ]
    return [*of_table, *(Way(name, axes, task, (), tuple(options.items())) for name, axes, task, options in OTHERS)]


def the_cover() -> list[Way]:
    """Every task in every number of dimensions on the plainest networks, every family of networks with one task in turn."""
    turns = {serves: cycle([p for p in POSED if routes_of(p[0])[0] == serves]) for serves in ("image", "dense")}
    cover = [way for way in every_way() if way.name in PLAINEST or ":" in way.name]
    for name, dimensions in ONE_OF_EACH:
        for serves in sorted(ARCHITECTURES[name].serves):
            task, options = next(turns[serves])
            cover.append(Way(name, dimensions, task, tuple(options.items())))
    return cover
