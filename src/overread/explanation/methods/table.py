"""Every attribution method by name."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any

from overread.core.errors import OverreadError
from overread.explanation.methods.attention import AttentionRollout
from overread.explanation.methods.class_activation import ClassActivation
from overread.explanation.methods.gates import AttentionGates
from overread.explanation.methods.grad_cam import GradCam, GradCamPlusPlus
from overread.explanation.methods.guided import GuidedBackpropagation
from overread.explanation.methods.integrated import IntegratedGradients
from overread.explanation.methods.method import Method
from overread.explanation.methods.occlusion import Occlusion
from overread.explanation.methods.regions import Regions
from overread.explanation.methods.saliency import Saliency
from overread.explanation.methods.slices import SliceWeights
from overread.explanation.methods.smoothgrad import SmoothGrad

_ROWS: tuple[type[Method], ...] = (
    Saliency,
    GuidedBackpropagation,
    SmoothGrad,
    IntegratedGradients,
    GradCam,
    GradCamPlusPlus,
    ClassActivation,
    AttentionRollout,
    Occlusion,
    Regions,
    SliceWeights,
    AttentionGates,
)
METHODS: dict[str, type[Method]] = {method.name: method for method in _ROWS}


def make(name: str, **parameters: Any) -> Method:
    """The method of this name with its parameters; an unknown name or parameter is refused with the nearest there is."""
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"choose among {', '.join(METHODS)}"
        raise OverreadError(f"No attribution method is called '{name}'.", hint)
    method = METHODS[name]
    known = [field.name for field in fields(method)]  # type: ignore[arg-type]
    for parameter in parameters:
        if parameter not in known:
            raise OverreadError(f"{method.title} takes no '{parameter}'.", f"it takes {', '.join(known) or 'no parameters'}")
    return method(**parameters)
