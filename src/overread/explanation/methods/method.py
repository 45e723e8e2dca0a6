"""What an attribution method is: from one question to one number per voxel of the window."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, Protocol

import numpy as np

from overread.explanation.asked import Asked


class Method(Protocol):
    """A frozen dataclass whose fields are the method's parameters.

    name      as it is asked for: "grad_cam"
    title     as it is shown: "Grad-CAM"
    source    paper
    is_signed values below 0 speak against the target; else 0 means no part in the answer
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    is_signed: ClassVar[bool]

    def refusal(self, asked: Asked) -> str | None:
        """Why the method cannot be asked of this network, in words; None where it can."""
        ...

    def __call__(self, asked: Asked) -> np.ndarray:
        """(Z, Y, X) float32 of the window; larger where the voxel speaks for the target. The same at every call."""
        ...


def parameters_of(method: Method) -> dict[str, Any]:
    """The parameters as plain values, stored beside every map."""
    return {field.name: getattr(method, field.name) for field in fields(method)}  # type: ignore[arg-type]


def one_channel(gradient: Any) -> Any:
    """(C, [Z,] Y, X) -> ([Z,] Y, X): of several channels the value that lies furthest from 0 (Simonyan 2014, section 3.1)."""
    strongest = gradient.abs().argmax(0, keepdim=True)
    return gradient.gather(0, strongest)[0]
