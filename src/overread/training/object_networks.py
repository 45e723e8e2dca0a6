"""Which network looks for objects, by which route, and with which options: stages, stride, anchors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from overread.cohort.fingerprint import Fingerprint
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.networks.stages import Stages
from overread.networks.table import ARCHITECTURES
from overread.networks.torchvision_objects.anchors import STRIDES, anchors_for, options_for
from overread.tasks import routes_of
from overread.training.asked_network import refuse_unfit_network
from overread.training.voxel_networks import fit_network
from overread.training.wishes import Shape, Wishes

OWN = {"detection": "centre_detector", "instances": "centre_offset_unet"}
PER_VOXEL = ("centre_detector", *(name for name, row in ARCHITECTURES.items() if row.serves & {"dense", "centres"}))
WHY = {
    "centre_detector": "finds the middle of each object and the way to its sides, in 2D and 3D alike; needs no anchors",
    "centre_offset_unet": "says of each voxel what it is and where the middle of its object lies, so that objects that touch "
    "stay apart; in 2D and 3D alike",
}


def choose_network(
    question: Question, facts: Fingerprint, wishes: Wishes, dimensions: int, reasons: dict[str, str]
) -> tuple[str, str]:
    """Name and route ("objects", "centres", "dense"); what does not fit the question or its truth is refused."""
    name = OWN[question.task] if wishes.architecture == "auto" else wishes.architecture
    reasons["architecture"] = WHY[name] if wishes.architecture == "auto" else "set in project.toml"
    refuse_unfit_network(question.task, name)
    served = frozenset({"dense"}) if ":" in name else ARCHITECTURES[name].serves
    route = next(r for r in routes_of(question.task) if r in served)
    if ":" not in name and dimensions not in ARCHITECTURES[name].dimensions:
        raise OverreadError(
            f"{name} reads planar images only, and the images are volumes.",
            f"choose {OWN[question.task]} in [training] architecture",
        )
    if route != "objects" and not facts.have_voxels:
        raise OverreadError(
            f"{name} is taught voxel by voxel, and some objects of the truth are boxes without an outline.",
            f'set [training] architecture = "{OWN["detection"]}", which is taught by boxes'
            if question.task == "detection"
            else "give every object an outline or a mask, or ask for detection",
        )
    if question.task == "instances" and not facts.have_voxels:
        raise OverreadError(
            "Instances are asked for, and some objects of the truth are boxes without an outline.",
            "give every object an outline or a mask, or ask for detection",
        )
    return name, route


def options_of(
    name: str,
    wishes: Wishes,
    stages: Stages,
    patch: Shape,
    device: str,
    seen: Mapping[str, np.ndarray],
    stride: tuple[int, ...],
    reasons: dict[str, str],
) -> tuple[dict[str, Any], Shape]:
    """The options of the network, and the window, made a multiple of what it needs.

    seen    class -> (5, 3) percentiles of the objects' extents in voxels that the network sees
    stride  largest step of the answer along each axis
    """
    if name in STRIDES:
        rows = [tuple(row) for sizes in seen.values() for row in sizes]
        anchors = anchors_for(rows, STRIDES[name])
        reasons["anchors"] = anchors.reason
        dropout = {"dropout": wishes.dropout} if wishes.dropout else {}
        return {**options_for(name, wishes.weights, anchors), **dropout, **wishes.network}, patch
    options, patch = fit_network(name, len(stride), stages, patch, wishes, device, reasons)
    if name == "centre_detector":
        options.setdefault("coarsest", list(stride))
        small = min(float(np.prod(sizes[1, 3 - len(stride) :]) ** (1 / len(stride))) for sizes in seen.values())
        reasons["coarsest"] = (
            f"an answer every {' x '.join(str(s) for s in stride)} voxels: the small objects (10th percentile) are {small:.0f} "
            "voxels across, and two should not share one place"
        )
    return options, patch
