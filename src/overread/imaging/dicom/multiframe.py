"""What the functional groups of an enhanced object say of each frame; legacy-converted objects too.

Source: DICOM PS3.3 C.7.6.16 (Multi-frame Functional Groups), C.7.6.17 (Multi-frame Dimension),
C.7.6.16.2.25.2 (unassigned attributes of converted objects).
"""

from __future__ import annotations

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from overread.imaging.dicom.values import floats, items, number, text
from overread.imaging.dicom.varying import Value, classic_values, clock, image_type_values

KEYWORDS = (
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "DimensionIndexSequence",
    "ConcatenationUID",
)
NUMBERS = (  # trait, functional group, keyword
    ("echo time", "MREchoSequence", "EffectiveEchoTime"),
    ("b-value", "MRDiffusionSequence", "DiffusionBValue"),
    ("inversion time", "MRModifierSequence", "InversionTimes"),
    ("flip angle", "MRTimingAndRelatedParametersSequence", "FlipAngle"),
    ("repetition time", "MRTimingAndRelatedParametersSequence", "RepetitionTime"),
    ("temporal position", "TemporalPositionSequence", "TemporalPositionTimeOffset"),
    ("temporal position", "FrameContentSequence", "TemporalPositionIndex"),
    ("cardiac percentage", "CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    ("trigger time", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("tube voltage", "CTXRayDetailsSequence", "KVP"),
    ("thickness", "PixelMeasuresSequence", "SliceThickness"),
    ("acquisition", "FrameContentSequence", "FrameAcquisitionNumber"),
)
TEXTS = (
    ("stack", "FrameContentSequence", "StackID"),
    ("kernel", "CTReconstructionSequence", "ConvolutionKernel"),
)
FRAME_TYPES = (
    "MRImageFrameTypeSequence",
    "CTImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "XRay3DFrameTypeSequence",
)
# Dimensions that say where a frame lies, not which volume it belongs to.
PLACES = frozenset(
    {"ImagePositionPatient", "InStackPositionNumber", "StackID", "ImageOrientationPatient", "ImagePositionVolume", "FrameType"}
)


def functional_groups(tags: Dataset, frames: int) -> list[tuple[Dataset, Dataset]]:
    """(own, shared) groups of every frame; empty where their number is not the number of frames."""
    shared = next(iter(items(tags, "SharedFunctionalGroupsSequence")), Dataset())
    per_frame = items(tags, "PerFrameFunctionalGroupsSequence")
    return [(own, shared) for own in per_frame] if len(per_frame) == frames else []


def group(own: Dataset, shared: Dataset, name: str) -> Dataset:
    """The first item of a functional group, the frame's own before the shared one."""
    for groups in (own, shared):
        held = items(groups, name)
        if held:
            return held[0]
    return Dataset()


def dimensions(tags: Dataset) -> tuple[str, ...]:
    """The name of each dimension of the index, in order; "" for those that say where a frame lies."""
    names = []
    for item in items(tags, "DimensionIndexSequence"):
        pointer = item.get("DimensionIndexPointer")
        keyword = keyword_for_tag(pointer) if pointer is not None else ""
        label = text(item, "DimensionDescriptionLabel").lower() or keyword or "private"
        names.append("" if keyword in PLACES else f"dimension {label}")
    return tuple(names)


def frame_values(own: Dataset, shared: Dataset, index: tuple[str, ...]) -> tuple[tuple[str, Value], ...]:
    """What may tell a frame from another in the same place, by name.

    index  names from `dimensions`
    """
    values: dict[str, Value] = dict(classic_values(group(own, shared, "UnassignedPerFrameConvertedAttributesSequence")))
    for name, where, keyword in NUMBERS:
        value = number(group(own, shared, where), keyword)
        if value is not None:
            values[name] = value
    for name, where, keyword in TEXTS:
        word = text(group(own, shared, where), keyword)
        if word:
            values[name] = word
    values |= _types(own, shared) | _direction(own, shared) | _time(own, shared)
    content = group(own, shared, "FrameContentSequence")
    for name, position in zip(index, floats(content, "DimensionIndexValues") or (), strict=False):
        if name:
            values[name] = position
    return tuple(values.items())


def _types(own: Dataset, shared: Dataset) -> dict[str, Value]:
    for name in FRAME_TYPES:
        item = group(own, shared, name)
        if len(item):
            found = image_type_values(item, "FrameType")
            return {k: v for k, v in found.items() if v not in ("", "MIXED")}
    return {}


def _direction(own: Dataset, shared: Dataset) -> dict[str, Value]:
    """The gradient's direction, or that there is none (isotropic)."""
    diffusion = group(own, shared, "MRDiffusionSequence")
    directions = items(diffusion, "DiffusionGradientDirectionSequence")
    vector = floats(directions[0], "DiffusionGradientOrientation", 3) if directions else None
    if vector:
        return {"direction": " ".join(f"{v:.4f}" for v in vector)}
    word = text(diffusion, "DiffusionDirectionality").lower()
    return {"direction": word} if word else {}


def _time(own: Dataset, shared: Dataset) -> dict[str, Value]:
    content = group(own, shared, "FrameContentSequence")
    for keyword in ("FrameReferenceDateTime", "FrameAcquisitionDateTime"):
        moment = clock(text(content, keyword))
        if moment is not None:
            return {"acquisition time": moment}
    return {}
