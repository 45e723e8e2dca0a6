"""Every network by name, gathered from its family's rows; and how one is built."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.architecture import Architecture
from overread.networks.composed import rows as of_blocks
from overread.networks.dense import rows as of_voxels
from overread.networks.exam import rows as of_exams
from overread.networks.generative import rows as of_pictures
from overread.networks.image import rows as of_images
from overread.networks.libraries.adapters import refuse_unknown_options, unknown_name
from overread.networks.libraries.table import library_of
from overread.networks.objects import rows as of_objects
from overread.networks.weights import load_weights
from overread.networks.weights.published import has_published, load_published

WANTED = {
    "dense": "per voxel",
    "image": "per image",
    "objects": "with a list of objects",
    "centres": "with classes, centres and offsets per voxel",
    "pictures": "with an image",
    "made": "with images that it makes",
}
ARCHITECTURES: dict[str, Architecture] = {
    row.name: row
    for row in (*of_voxels.ROWS, *of_objects.ROWS, *of_images.ROWS, *of_exams.ROWS, *of_blocks.ROWS, *of_pictures.ROWS)
}


def build(
    name: str,
    *,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    serves: str,
    options: Mapping[str, Any] | None = None,
    weights: str | Path = "random",
) -> nn.Module:
    """The network of a name, ours or "timm:NAME", "torchvision:NAME", "monai:NAME".

    serves   "dense": forward gives (B, out_channels, [Z,] Y, X); "image": (B, out_channels); "objects": a list of objects per
             image, or losses by name where targets are given; "centres": (B, out_channels + 2 + dimensions, [Z,] Y, X);
             "pictures": (B, out_channels, [Z,] Y, X); "made": as many images as it is given
    in_channels   for "made": the number of classes that can be asked for, 0 for none
    out_channels  for "objects" and "centres": the number of classes, without background
    options  of the network; an unknown one is refused
    weights  "random", "hub" (the library's own pretrained), or a file; what a file gave is in ``weights_loaded``
    """
    options = dict(options or {})
    library = library_of(name)
    question = {"in_channels": in_channels, "out_channels": out_channels, "dimensions": dimensions}
    if library is not None:
        make, inner_name = library
        network = make(inner_name, serves=serves, options=options, is_pretrained=str(weights) == "hub", **question)
    else:
        network = _build_own(name, question, serves, options, weights)
    if str(weights) not in ("random", "hub"):
        network.weights_loaded = load_weights(network, Path(weights))  # type: ignore[assignment]
    return network


def _build_own(name: str, question: dict[str, int], serves: str, options: dict[str, Any], weights: str | Path) -> nn.Module:
    if name not in ARCHITECTURES:
        raise unknown_name(name, "Overread", ARCHITECTURES)
    row = ARCHITECTURES[name]
    if serves not in row.serves:
        fitting = ", ".join(other for other, entry in ARCHITECTURES.items() if serves in entry.serves)
        wanted = WANTED[serves]
        raise OverreadError(f"{name} does not answer {wanted}", next=f"choose one of {fitting}")
    if question["dimensions"] not in row.dimensions:
        own = " or ".join(f"{axes}D" for axes in sorted(row.dimensions))
        raise OverreadError(
            f"{name} reads {own} images, and the images are {question['dimensions']}D", next="choose another network"
        )
    own_way = name in (*of_objects.OF_TORCHVISION, *of_exams.NAMES)
    if str(weights) == "hub" and not own_way and not has_published(name):
        raise OverreadError(f"{name} has no published weights", next='give a file, or set weights = "random"')
    refuse_unknown_options(options, row.options, name)
    told = {"serves": serves} if len(row.serves) > 1 else {}
    network = row.build(**question, **told, **options)
    if str(weights) == "hub":
        network.weights_loaded = network.load_published() if own_way else load_published(network, name)  # type: ignore
    return network
