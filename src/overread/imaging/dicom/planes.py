"""Where one frame lies in the patient, from a classic header or from functional groups.

Source: DICOM PS3.3 C.7.6.2 (Image Plane) and C.7.6.16 (Multi-frame Functional Groups).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from overread.imaging.dicom.multiframe import dimensions, frame_values, functional_groups, group
from overread.imaging.dicom.values import floats, number
from overread.imaging.dicom.varying import Value, classic_values


@dataclass(frozen=True, slots=True)
class Plane:
    """One frame.

    position     (3,) LPS mm of the centre of the first pixel
    orientation  (6,) direction along a row (towards higher columns), then along a column
    spacing      (row, column) mm
    varies       name -> value of what may tell this frame from another in the same place
    frame        index of the frame inside its file
    """

    position: tuple[float, float, float]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    slope: float | None = None
    intercept: float | None = None
    varies: tuple[tuple[str, Value], ...] = ()
    frame: int = 0

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plane:
        return cls(
            tuple(values["position"]),
            tuple(values["orientation"]),
            tuple(values["spacing"]),
            values["slope"],
            values["intercept"],
            tuple((name, value) for name, value in values["varies"]),
            values["frame"],
        )


def plane_of(tags: Dataset) -> tuple[Plane, ...]:
    """The plane of a classic single-frame file; empty where position, orientation or spacing is missing."""
    return _plane(tags, tags, tags, tags, classic_values(tags), 0)


def frame_planes(tags: Dataset, frames: int) -> tuple[Plane, ...]:
    """The plane of every frame of an enhanced file; empty where one of them cannot be placed."""
    index = dimensions(tags)
    planes: list[Plane] = []
    for frame, (own, shared) in enumerate(functional_groups(tags, frames)):
        planes += _plane(
            group(own, shared, "PlanePositionSequence"),
            group(own, shared, "PlaneOrientationSequence"),
            group(own, shared, "PixelMeasuresSequence"),
            group(own, shared, "PixelValueTransformationSequence"),
            frame_values(own, shared, index),
            frame,
        )
    return tuple(planes) if len(planes) == frames else ()


def _plane(
    place: Dataset, direction: Dataset, measures: Dataset, rescale: Dataset, varies: tuple[tuple[str, Value], ...], frame: int
) -> tuple[Plane, ...]:
    position = floats(place, "ImagePositionPatient", 3)
    orientation = floats(direction, "ImageOrientationPatient", 6)
    spacing = floats(measures, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None or min(spacing) <= 0:
        return ()
    slope, intercept = number(rescale, "RescaleSlope"), number(rescale, "RescaleIntercept")
    x, y, z = position
    return (Plane((x, y, z), orientation, (spacing[0], spacing[1]), slope, intercept, varies, frame),)
