"""An answer drawn on its image as a picture that every viewer shows, with a label that says what it is.

Source: DICOM PS3.3 A.8.1 (Secondary Capture Image IOD), written through highdicom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, LabelMap, Map, Measurements
from overread.imaging.dicom.drawing import Drawing, draw
from overread.imaging.dicom.evidence import Evidence, SourceFrame, read_evidence
from overread.imaging.dicom.write_common import About, Algorithm, Written, build, digest_of, finish, pack

SERIES_NUMBER = 920
Answer = Findings | Measurements | LabelMap | Boxes | Instances | Map


def write_captures(
    folder: Path,
    stem: str,
    answer: Answer,
    image: Image,
    source_files: Sequence[Path],
    *,
    description: str = "overlay",
    algorithm: Algorithm | str = "Overread model",
    lines: Sequence[str] = (),
    evidence: Evidence | None = None,
) -> tuple[Written, ...]:
    """Write one colour picture per slice that shows something of the answer, or of the middle slice where none does.

    image    that was read; shown with its window
    lines    words burned in under the label: probabilities, volumes
    returns  the pictures `folder/stem_001.dcm` ..., one series
    """
    made_by = algorithm if isinstance(algorithm, Algorithm) else Algorithm(algorithm)
    evidence = evidence or read_evidence(source_files, image.grid)
    about = About("SC", evidence, made_by, description, SERIES_NUMBER, digest_of(tuple(lines)))
    if evidence.unassessed:
        lines = [*lines, f"{len(evidence.unassessed)} interpolated slices not assessed"]
    shown = _shown(answer, evidence)
    written = []
    for number, frame in enumerate(shown, start=1):
        drawing = draw(answer, image, frame, made_by, lines)
        own = replace(about, instance=number, content=digest_of(drawing.pixels))
        path = Path(folder) / (f"{stem}.dcm" if len(shown) == 1 else f"{stem}_{number:03d}.dcm")
        written.append(_write(path, drawing, frame, own))
    return tuple(written)


def _shown(answer: Answer, evidence: Evidence) -> list[SourceFrame]:
    frames = list(evidence.frames)
    if isinstance(answer, LabelMap):
        found = [frame for frame in frames if frame.take(answer.layers).any()]
    elif isinstance(answer, Instances):
        shape = answer.grid.shape
        found = [f for f in frames if any(f.take_piece(piece, shape) is not None for piece in answer.pieces)]
    elif isinstance(answer, Boxes):
        found = [frame for frame in frames if any(frame.rectangle(box) for box in answer.corners)]
    elif isinstance(answer, Map):
        found = [max(frames, key=lambda frame: float(frame.take(answer.array).max()))]
    else:
        found = []
    return found or [frames[len(frames) // 2]]


def _write(path: Path, drawing: Drawing, frame: SourceFrame, about: About) -> Written:
    evidence = about.evidence
    tags = next(tags for tags in evidence.tags if str(tags.SOPInstanceUID) == frame.header.sop_uid)
    made: Dataset = build("secondary capture", evidence, lambda: _capture(drawing, frame, tags, about))
    pack(made)
    made.BurnedInAnnotation = "YES"
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.ManufacturerModelName = about.algorithm.name[:64]
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = frame.header.sop_class, frame.header.sop_uid
    if frame.number:
        source.ReferencedFrameNumber = frame.number
    made.SourceImageSequence = [source]
    if frame.plane is None:
        del made.PatientOrientation  # `finish` takes the source's
    else:
        made.PatientOrientation = _orientation(frame)
    return finish(made, about, path, words=drawing.words)


def _capture(drawing: Drawing, frame: SourceFrame, tags: Dataset, about: About) -> SCImage:
    spacing = frame.header.pixel_spacing or (frame.plane.spacing if frame.plane else None)
    fine: Any = (spacing[0] / drawing.scale, spacing[1] / drawing.scale) if spacing else None
    return SCImage.from_ref_dataset(
        ref_dataset=tags,
        pixel_array=drawing.pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),  # a stand-in: highdicom knows no oblique ones
        pixel_spacing=fine,
        **about.identity(),
    )


def _orientation(frame: SourceFrame) -> list[str]:
    """Where rows and columns run to, e.g. ["L", "P"] (PS3.3 C.7.6.1.1.1)."""
    assert frame.plane is not None
    cosines = np.array(frame.plane.orientation).reshape(2, 3)
    return [_direction(cosines[0]), _direction(cosines[1])]


def _direction(vector: np.ndarray) -> str:
    letters = [("R", "L"), ("A", "P"), ("F", "H")]
    order = [axis for axis in np.argsort(-np.abs(vector)) if abs(vector[axis]) > 0.1]
    return "".join(letters[axis][int(vector[axis] > 0)] for axis in order)
