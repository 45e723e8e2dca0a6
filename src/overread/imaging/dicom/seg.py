"""Masks and probabilities to a DICOM SEG that a PACS takes, with references to the images they were drawn on.

Source: DICOM PS3.3 A.51 and C.8.20, written through highdicom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from pydicom.dataset import Dataset

from overread.core.errors import OverreadError, Refused
from overread.core.kinds import Instances, LabelMap, Map
from overread.imaging.dicom.codes import Code, Concept, concept_of, private_notes
from overread.imaging.dicom.evidence import Evidence, SourceFrame, read_evidence
from overread.imaging.dicom.write_common import (
    DESCRIPTION_LENGTH,
    DISCLAIMER,
    About,
    Algorithm,
    Written,
    build,
    coded,
    digest_of,
    finish,
    pack,
    tracking_uid,
)

SERIES_NUMBER = 900
LARGEST_BYTES = 1 << 30  # of the stack of masks that is handed over at once
FRACTIONS = 255  # a probability of 1; steps of 0.4 %


@dataclass(frozen=True)
class Segment:
    """One segment to be written.

    name      tells it from the others of the object, and names it for tracking
    class_name, concept
              what it is, in words and codes
    """

    name: str
    class_name: str
    concept: Concept


@dataclass(frozen=True)
class WrittenSeg:
    """A SEG on disk, and what a report needs to point at its segments."""

    written: Written
    segments: tuple[Segment, ...]
    evidence: Evidence


def write_seg(
    path: Path,
    answer: LabelMap | Instances,
    source_files: Sequence[Path],
    *,
    description: str = "segmentation",
    algorithm: Algorithm | str = "Overread model",
    structure_codes: Mapping[str, Code] | None = None,
    evidence: Evidence | None = None,
) -> WrittenSeg:
    """Write structures, or instances each as a segment of its own, as one binary SEG beside its source images.

    answer           on the grid of the source series, or one that holds its slices (interpolated slices have
                     no source: they are left out, and the object says so)
    source_files     every file of the series, in any order
    description      what follows RESEARCH in the series description
    algorithm        who drew it; a name alone is enough
    structure_codes  class or structure -> standard code; others get the table's, or a private code with the name
    evidence         the sources, where they were read already
    """
    made_by = algorithm if isinstance(algorithm, Algorithm) else Algorithm(algorithm)
    evidence = evidence or read_evidence(source_files, answer.grid)
    segments, pixels, content = _binary(answer, evidence, structure_codes)
    if not pixels.any():
        raise Refused("empty-segmentation", f"{Path(path).name}: no structure has a voxel, and an empty SEG is no SEG.")
    about = About("SEG", evidence, made_by, description, SERIES_NUMBER, content)
    seg = build("SEG", evidence, lambda: _segmentation(about, pixels, segments, SegmentationTypeValues.BINARY))
    return WrittenSeg(_finish(seg, about, path, segments), segments, evidence)


def write_fractional_seg(
    path: Path,
    maps: Sequence[Map],
    source_files: Sequence[Path],
    *,
    description: str = "probabilities",
    algorithm: Algorithm | str = "Overread model",
    structure_codes: Mapping[str, Code] | None = None,
    evidence: Evidence | None = None,
) -> WrittenSeg:
    """Write probability maps (0 to 1) of one grid as one fractional SEG, in steps of 1/255.

    Run-length coded where that is smaller; an exact copy of the numbers is a parametric map.
    """
    if not maps:
        raise OverreadError("A fractional SEG needs at least one probability map.", "read with probabilities")
    for each in maps:
        if not (np.isfinite(each.array).all() and each.array.min() >= 0 and each.array.max() <= 1):
            what = f"The map of {each.target} holds values outside 0 to 1; a fractional SEG holds probabilities."
            raise Refused("not-probabilities", what, "write it as a parametric map")
    made_by = algorithm if isinstance(algorithm, Algorithm) else Algorithm(algorithm)
    evidence = evidence or read_evidence(source_files, maps[0].grid)
    segments = tuple(Segment(m.target, m.target, concept_of(m.target, structure_codes)) for m in maps)
    _refuse_huge(evidence, len(maps), 4)
    pixels = np.stack([np.stack([frame.take(m.array) for m in maps], -1) for frame in evidence.frames]).astype(np.float32)
    if not np.rint(pixels * FRACTIONS).any():
        raise Refused("empty-segmentation", f"{Path(path).name}: no probability is above 0, and an empty SEG is no SEG.")
    content = digest_of(*(part for m in maps for part in (m.array, m.target)))
    about = About("SEG-FRACTIONAL", evidence, made_by, description, SERIES_NUMBER + 1, content)

    seg = build("SEG", evidence, lambda: _segmentation(about, pixels, segments, SegmentationTypeValues.FRACTIONAL))
    pack(seg)
    return WrittenSeg(_finish(seg, about, path, segments), segments, evidence)


def _binary(
    answer: LabelMap | Instances, evidence: Evidence, given: Mapping[str, Code] | None
) -> tuple[tuple[Segment, ...], np.ndarray, str]:
    """Segments, their pixels as highdicom takes them, and the digest of the content."""
    if isinstance(answer, Instances):
        names = instance_names(answer.classes)
        segments = tuple(Segment(n, c, concept_of(c, given)) for n, c in zip(names, answer.classes, strict=True))
        _refuse_none(segments)
        parts = (part for piece in answer.pieces for part in (piece.start, piece.mask))
        content = digest_of(*parts, answer.classes, answer.scores)
        return segments, _of_pieces(evidence, answer), content
    segments = tuple(Segment(s.name, s.name, concept_of(s.name, given)) for s in answer.structures)
    _refuse_none(segments)
    content = digest_of(answer.layers, *((s.name, s.value, s.layer) for s in answer.structures))
    if answer.layers.shape[0] == 1:
        return segments, _numbered(evidence, answer), content

    def masks(frame: SourceFrame) -> np.ndarray:
        labels = frame.take(answer.layers)
        return np.stack([labels[s.layer] == s.value for s in answer.structures])

    return segments, _stack(evidence, len(segments), masks), content


def instance_names(classes: Sequence[str]) -> tuple[str, ...]:
    """``("lesion", "lesion")`` -> ``("lesion 1", "lesion 2")``: a name for each instance."""
    seen: dict[str, int] = {}
    names = []
    for name in classes:
        seen[name] = seen.get(name, 0) + 1
        names.append(f"{name} {seen[name]}")
    return tuple(names)


def _of_pieces(evidence: Evidence, answer: Instances) -> np.ndarray:
    """Segment numbers where no two objects share a pixel, which takes one array for all of them; else a mask each."""
    frames, first, shape = evidence.frames, evidence.first, answer.grid.shape
    numbers = np.zeros((len(frames), first.rows, first.columns), np.uint8 if len(answer.pieces) < 256 else np.uint16)
    for number, piece in enumerate(answer.pieces, start=1):
        for k, frame in enumerate(frames):
            shown = frame.take_piece(piece, shape)
            if shown is None:
                continue
            if numbers[k][shown].any():
                return _stack(evidence, len(answer.pieces), lambda frame: _masks_of(frame, answer))
            numbers[k][shown] = number
    return numbers


def _masks_of(frame: SourceFrame, answer: Instances) -> np.ndarray:
    """(segments, rows, columns) bool of the objects on one frame."""
    masks = np.zeros((len(answer.pieces), *frame.shape), bool)
    for k, piece in enumerate(answer.pieces):
        shown = frame.take_piece(piece, answer.grid.shape)
        if shown is not None:
            masks[k] = shown
    return masks


def _numbered(evidence: Evidence, answer: LabelMap) -> np.ndarray:
    """(frames, rows, columns) segment numbers, where structures do not overlap."""
    dtype = np.uint8 if len(answer.structures) < 256 else np.uint16
    largest = max(int(answer.layers.max()), *(s.value for s in answer.structures))
    table = np.zeros(largest + 1, dtype)
    for number, structure in enumerate(answer.structures, start=1):
        table[structure.value] = number
    return np.stack([table[np.maximum(frame.take(answer.layers[0]), 0)] for frame in evidence.frames])


def _stack(evidence: Evidence, count: int, masks_of: Callable[[SourceFrame], np.ndarray]) -> np.ndarray:
    """(frames, rows, columns, segments) masks, where structures may overlap."""
    _refuse_huge(evidence, count, 1)
    pixels = np.zeros((len(evidence.frames), evidence.first.rows, evidence.first.columns, count), np.uint8)
    for k, frame in enumerate(evidence.frames):
        pixels[k] = np.moveaxis(masks_of(frame), 0, -1)
    return pixels


def _refuse_none(segments: Sequence[Segment]) -> None:
    if not segments:
        raise OverreadError("The label map has no structures to write.", "name at least one structure")


def _refuse_huge(evidence: Evidence, count: int, bytes_each: int) -> None:
    size = len(evidence.frames) * evidence.first.rows * evidence.first.columns * count * bytes_each
    if size > LARGEST_BYTES:
        what = f"{count} overlapping segments on {len(evidence.frames)} frames need {size / 2**30:.1f} GiB at once."
        raise Refused("too-many-segments", what, "write fewer structures into one SEG")


def _segmentation(about: About, pixels: np.ndarray, segments: Sequence[Segment], kind: SegmentationTypeValues) -> Segmentation:
    evidence = about.evidence
    return Segmentation(
        source_images=sources_of(evidence),
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=[_description(n, segment, about) for n, segment in enumerate(segments, start=1)],
        max_fractional_value=FRACTIONS,
        **about.identity(),
        **about.equipment(),
    )


def sources_of(evidence: Evidence) -> list[Dataset]:
    """The source files as highdicom wants them, frame by frame as in `evidence.frames`.

    Of a multi-frame file only the frames in use remain, in order; `restore_frames` puts their own numbers back.
    """
    if not evidence.is_multiframe:
        by_uid = {str(tags.SOPInstanceUID): tags for tags in evidence.tags}
        return [by_uid[frame.header.sop_uid] for frame in evidence.frames]
    tags = deepcopy(evidence.tags[0])
    if "SharedFunctionalGroupsSequence" not in tags:
        tags.SharedFunctionalGroupsSequence = [Dataset()]
    own = [tags.PerFrameFunctionalGroupsSequence[(frame.number or 1) - 1] for frame in evidence.frames]
    shared = tags.SharedFunctionalGroupsSequence[0]
    for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if name not in shared and name in own[0]:
            setattr(shared, name, own[0][name].value)
    tags.PerFrameFunctionalGroupsSequence = own
    tags.NumberOfFrames = len(own)
    return [tags]


def restore_frames(made: Dataset, evidence: Evidence) -> None:
    """Let references to frames say the numbers that the source file has."""
    if not evidence.is_multiframe:
        return
    items: dict[int, Dataset] = {}  # frames of several segments share the item of their source
    for group in made.PerFrameFunctionalGroupsSequence:
        for derivation in group.get("DerivationImageSequence", ()):
            items |= {id(source): source for source in derivation.get("SourceImageSequence", ())}
    for source in items.values():
        if "ReferencedFrameNumber" in source:
            source.ReferencedFrameNumber = evidence.frames[int(source.ReferencedFrameNumber) - 1].number


def _description(number: int, segment: Segment, about: About) -> SegmentDescription:
    concept = segment.concept
    described = SegmentDescription(
        segment_number=number,
        segment_label=segment.name[:DESCRIPTION_LENGTH],
        segmented_property_category=coded(concept.category_code),
        segmented_property_type=coded(concept.code),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=about.algorithm.identification(),
        tracking_uid=tracking_uid(about.evidence, about.algorithm, segment.name),
        tracking_id=segment.name[:DESCRIPTION_LENGTH],
    )
    if concept.side:
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [coded(concept.side)]
    described.SegmentDescription = " ".join(filter(None, (DISCLAIMER, about.evidence.unassessed_text())))[:1024]
    return described


def _finish(seg: Dataset, about: About, path: Path, segments: Sequence[Segment]) -> Written:
    restore_frames(seg, about.evidence)
    concepts = {segment.class_name: segment.concept for segment in segments}
    return finish(seg, about, path, private_notes(concepts), [segment.name for segment in segments])
