"""Where one frame lies in the patient, from a classic header or from functional groups.

Source: DICOM PS3.3 C.7.6.2 (Image Plane) and C.7.6.16 (Multi-frame Functional Groups).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from overread.imaging.dicom.values import floats, number

# What tells volumes apart that lie in one place: (name, functional group, keyword). The keyword alone in classic files.
VARYING = (
    ("echo time", "MREchoSequence", "EffectiveEchoTime"),
    ("b-value", "MRDiffusionSequence", "DiffusionBValue"),
    ("temporal position", "TemporalPositionSequence", "TemporalPositionTimeOffset"),
    ("temporal position", "FrameContentSequence", "TemporalPositionIndex"),
    ("trigger time", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
)
CLASSIC = (
    ("echo time", "EchoTime"),
    ("b-value", "DiffusionBValue"),
    ("temporal position", "TemporalPositionIdentifier"),
    ("acquisition", "AcquisitionNumber"),
    ("trigger time", "TriggerTime"),
    ("flip angle", "FlipAngle"),
)


@dataclass(frozen=True, slots=True)
class Plane:
    """One frame.

    position     (3,) LPS mm of the centre of the first pixel
    orientation  (6,) direction along a row (towards higher columns), then along a column
    spacing      (row, column) mm
    varies       name -> value of what may tell this frame from another in the same place
    """

    position: tuple[float, float, float]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    slope: float | None = None
    intercept: float | None = None
    varies: tuple[tuple[str, float], ...] = ()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plane:
        return cls(
            tuple(values["position"]),
            tuple(values["orientation"]),
            tuple(values["spacing"]),
            values["slope"],
            values["intercept"],
            tuple((name, value) for name, value in values["varies"]),
        )


def plane_of(tags: Dataset) -> tuple[Plane, ...]:
    """The plane of a classic single-frame file; empty where position, orientation or spacing is missing."""
    varies = tuple((name, value) for name, keyword in CLASSIC if (value := number(tags, keyword)) is not None)
    return _plane(tags, tags, tags, tags, varies)


def frame_planes(tags: Dataset, frames: int) -> tuple[Plane, ...]:
    """The plane of every frame of an enhanced file; empty where one of them cannot be placed."""
    shared = next(iter(tags.get("SharedFunctionalGroupsSequence") or ()), Dataset())
    per_frame = list(tags.get("PerFrameFunctionalGroupsSequence") or ())
    if len(per_frame) != frames:
        return ()
    planes: list[Plane] = []
    for own in per_frame:
        varies = []
        for name, group, keyword in VARYING:
            value = number(_group(own, shared, group), keyword)
            if value is not None:
                varies.append((name, value))
        planes += _plane(
            _group(own, shared, "PlanePositionSequence"),
            _group(own, shared, "PlaneOrientationSequence"),
            _group(own, shared, "PixelMeasuresSequence"),
            _group(own, shared, "PixelValueTransformationSequence"),
            tuple(varies),
        )
    return tuple(planes) if len(planes) == frames else ()


def _group(own: Dataset, shared: Dataset, name: str) -> Dataset:
    """The first item of a functional group, the frame's own before the shared one."""
    for groups in (own, shared):
        items = groups.get(name)
        if items:
            return items[0]
    return Dataset()


def _plane(
    place: Dataset, direction: Dataset, measures: Dataset, rescale: Dataset, varies: tuple[tuple[str, float], ...]
) -> tuple[Plane, ...]:
    position = floats(place, "ImagePositionPatient", 3)
    orientation = floats(direction, "ImageOrientationPatient", 6)
    spacing = floats(measures, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None or min(spacing) <= 0:
        return ()
    slope, intercept = number(rescale, "RescaleSlope"), number(rescale, "RescaleIntercept")
    x, y, z = position
    return (Plane((x, y, z), orientation, (spacing[0], spacing[1]), slope, intercept, varies),)
