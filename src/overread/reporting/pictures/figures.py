"""Pictures of one case: the image with the reference standard and the model's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Measurements, Picture
from overread.core.slices import SliceShare
from overread.reporting.pictures.objects import objects_panel
from overread.reporting.pictures.outlines import outlined_panel
from overread.reporting.pictures.picture_panel import picture_panel
from overread.reporting.pictures.readings import reading_panel


def case_panel(
    image: Image,
    truth: Kind | None,
    answer: Kind | None,
    *,
    title: str,
    is_phantom: bool,
    window: tuple[float, float] | None = None,
    objects: Sequence[Mapping[str, Any]] = (),
    named: bool = False,
    slices: Sequence[SliceShare] = (),
) -> bytes:
    """Draw one case as PNG.

    image   (C, Z, Y, X) on its own grid
    truth   the reference standard, on the same grid where it is a label map; None where unknown
    answer  the model's answer, likewise
    window  lowest and highest value shown; None chooses by units
    objects the objects of the case as the evaluation lists them: matched, missed or false
    named   say the class beside each object: the question has several
    slices  findings and numbers: the slices that the answer rests on, shown with their share
    """
    shape = truth if truth is not None else answer
    if isinstance(shape, LabelMap):
        return outlined_panel(image, truth, answer, title, is_phantom, window)
    if shape is None or isinstance(shape, Findings | Measurements):
        return reading_panel(image, truth, answer, title, is_phantom, window, slices)
    if isinstance(shape, Boxes | Instances):
        drawn = [k if isinstance(k, Boxes | Instances) else None for k in (truth, answer)]
        return objects_panel(image, drawn[0], drawn[1], objects, title, is_phantom, window, named=named)
    if isinstance(shape, Picture):
        pictures = [k if isinstance(k, Picture) else None for k in (truth, answer)]
        return picture_panel(image, pictures[0], pictures[1], title, is_phantom, window)
    known = "LabelMap, Boxes, Instances, Findings, Measurements, Picture"
    raise OverreadError(f"A panel of {type(shape).__name__} cannot be drawn; known are {known}.")
