"""Findings, measurements, structures, boxes and instances to a structured report that a viewer can jump through.

Source: DICOM PS3.16 TID 1500 (Measurement Report) with TID 1410, 1411 and 1501, as Comprehensive SR, written through
highdicom. Nobody has looked at it: the report is UNVERIFIED and preliminary, and says so in words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom.sr as sr
import numpy as np
import pydicom
from highdicom.sr import RelationshipTypeValues
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Findings, Instances, LabelMap, Measurements, Piece
from overread.imaging.dicom.codes import PRIVATE_SCHEME, Code, Concept, concept_of, private_notes
from overread.imaging.dicom.evidence import Evidence, SourceFrame, read_evidence
from overread.imaging.dicom.seg import WrittenSeg, instance_names
from overread.imaging.dicom.write_common import (
    DISCLAIMER,
    MANUFACTURER,
    About,
    Algorithm,
    Written,
    build,
    coded,
    digest_of,
    finish,
    tracking_uid,
)
from overread.imaging.dicom.write_ct import uid_of

SERIES_NUMBER = 910
PROCEDURES = {  # PS3.16 CID 100; what is reported on
    "CT": Code("77477000", "SCT", "Computed tomography"),
    "MR": Code("113091000", "SCT", "Magnetic resonance imaging"),
    "US": Code("16310003", "SCT", "Ultrasonography"),
    "PT": Code("82918005", "SCT", "Positron emission tomography"),
    **dict.fromkeys(("CR", "DX", "RG", "IO", "PX"), Code("168537006", "SCT", "Plain radiography")),
}
IMAGING = Code("363679005", "SCT", "Imaging procedure")
UNITS = {"year": "a", "years": "a", "HU": "[hnsf'U]", "": "1", "mL": "ml", "pixels": "{pixels}", "SUV": "{SUVbw}g/ml"}
UCUM = frozenset(
    {"mm", "mm2", "mm3", "cm", "cm2", "cm3", "ml", "%", "a", "mo", "d", "h", "s", "ms", "g", "kg", "g/ml", "1", "deg"}
)
PRESENT, ABSENT = Code("52101004", "SCT", "Present"), Code("272519000", "SCT", "Absent")
CALLED = Code("CALLED", PRIVATE_SCHEME, "Called at the operating point of the model")
Answer = Findings | Measurements | LabelMap | Boxes | Instances
Group = (
    sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
    | sr.MeasurementsAndQualitativeEvaluations
)


def write_sr(
    path: Path,
    answer: Answer,
    source_files: Sequence[Path],
    grid: Grid,
    *,
    description: str = "measurements",
    algorithm: Algorithm | str = "Overread model",
    structure_codes: Mapping[str, Code] | None = None,
    called: Collection[str] | None = None,
    asked: Collection[str] = (),
    warnings: Sequence[str] = (),
    seg: WrittenSeg | None = None,
    evidence: Evidence | None = None,
) -> Written:
    """Write one report on one image.

    answer           probabilities, numbers, structures, boxes or instances
    grid             of the image that was read
    structure_codes  class, structure or quantity -> standard code
    called           findings: those called at the operating point; None where there is none
    asked            boxes and instances: every class that was looked for; one without an object is reported as absent
    warnings         sentences that the reader of the report must see
    seg              structures and instances: the segmentation of the same answer, to which the report points
    """
    made_by = algorithm if isinstance(algorithm, Algorithm) else Algorithm(algorithm)
    evidence = evidence or read_evidence(source_files, grid)
    writer = _Groups(evidence, made_by, structure_codes or {}, seg)
    absent = [name for name in asked if name not in answer.classes] if isinstance(answer, Boxes | Instances) else []
    groups = [*writer.groups(answer, called), *(writer.absent(name) for name in absent)]
    parts = [*_parts(answer), sorted(called or ()), *([tuple(absent)] if absent else [])]
    content = digest_of(*parts, tuple(warnings), seg.written.sop_uid if seg else "")
    about = About("SR", evidence, made_by, description, SERIES_NUMBER, content)
    negative = [f"Looked for by the model and not called at its operating point: {', '.join(absent)}."] if absent else []
    sentences = [DISCLAIMER, made_by.sentence + ".", *negative, *filter(None, [evidence.unassessed_text()]), *warnings]
    sources = list(evidence.tags)
    if seg:
        sources.append(pydicom.dcmread(seg.written.path, stop_before_pixels=True))

    def make() -> sr.ComprehensiveSR:
        content = _report(about, groups, sentences)
        return sr.ComprehensiveSR(evidence=sources, content=content, is_complete=True, **about.identity())

    report = build("SR", evidence, make)
    report.ManufacturerModelName = made_by.name[:64]
    report.DeviceSerialNumber = about.serial_number
    names = [*writer.concepts, *warnings]
    return finish(report, about, path, private_notes(writer.concepts), names)


class _Groups:
    """Measurement groups of an answer; collects the concepts that it used."""

    def __init__(self, evidence: Evidence, algorithm: Algorithm, given: Mapping[str, Code], seg: WrittenSeg | None) -> None:
        self.evidence, self.algorithm, self.given, self.seg = evidence, algorithm, given, seg
        self.concepts: dict[str, Concept] = {}
        self.algorithm_id = sr.AlgorithmIdentification(
            name=algorithm.name,
            version=algorithm.version,
            parameters=[f"model {algorithm.model}"] if algorithm.model else None,
            manufacturer=MANUFACTURER,
        )

    def groups(self, answer: Answer, called: Collection[str] | None) -> list[Group]:
        if isinstance(answer, Findings):
            known = {name: value for name, value in answer.probabilities.items() if value is not None}
            return [self._finding(name, value, called) for name, value in known.items()]
        if isinstance(answer, Measurements):
            return [self._quantity(n, v, answer.units.get(n, "")) for n, v in answer.values.items() if v is not None]
        if isinstance(answer, LabelMap):
            return [self._structure(s.name, s.name, Piece.of(answer.mask(s.name)), answer.grid, None) for s in answer.structures]
        names = instance_names(answer.classes)
        scores = [float(score) for score in answer.scores]
        if isinstance(answer, Instances):
            items = zip(names, answer.classes, answer.pieces, scores, strict=True)
            return [self._structure(name, kind, piece, answer.grid, score) for name, kind, piece, score in items]
        boxes = zip(names, answer.classes, answer.corners, scores, strict=True)
        return [self._box(name, kind, corners, score) for name, kind, corners, score in boxes]

    def _common(self, name: str, class_name: str, otherwise: str = "structure") -> dict[str, Any]:
        """What every group says: which finding, what it is, on which side, and by what algorithm."""
        concept = self.concepts.setdefault(class_name, concept_of(class_name, self.given, otherwise=otherwise))
        site = [sr.FindingSite(coded(concept.code), laterality=coded(concept.side))] if concept.side else None
        return {
            "tracking_identifier": sr.TrackingIdentifier(tracking_uid(self.evidence, self.algorithm, name), name),
            "finding_type": coded(concept.code),
            "finding_category": coded(concept.category_code),
            "finding_sites": site,
            "algorithm_id": self.algorithm_id,
        }

    def _finding(self, name: str, value: float, called: Collection[str] | None) -> Group:
        calls = None
        if called is not None:
            calls = [sr.QualitativeEvaluation(coded(CALLED), coded(PRESENT if name in called else ABSENT))]
        return sr.MeasurementsAndQualitativeEvaluations(
            **self._common(name, name, "finding"),
            measurements=[_certainty(value)],
            qualitative_evaluations=calls,
            source_images=self._images(),
        )

    def absent(self, class_name: str) -> Group:
        """A class that was looked for, and of which no object was called."""
        return sr.MeasurementsAndQualitativeEvaluations(
            **self._common(f"no {class_name}", class_name),
            qualitative_evaluations=[sr.QualitativeEvaluation(coded(CALLED), coded(ABSENT))],
            source_images=self._images(),
        )

    def _quantity(self, name: str, value: float, unit: str) -> Group:
        common = self._common(name, name)
        del common["finding_type"], common["finding_category"]  # the measurement itself is what was found
        measured = sr.Measurement(coded(self.concepts[name].code), float(f"{value:.9g}"), coded(_unit(unit)))
        return sr.MeasurementsAndQualitativeEvaluations(
            **common,
            measurements=[measured],
            source_images=self._images(),
        )

    def _images(self) -> list[sr.SourceImageForMeasurementGroup] | None:
        """The image itself where it is one file; a series is named as the report's evidence."""
        if len(self.evidence.headers) > 1:
            return None
        header, frames = self.evidence.first, None  # every frame
        if self.evidence.is_multiframe and len(self.evidence.frames) < header.frames:
            frames = [frame.number for frame in self.evidence.frames if frame.number]
        return [sr.SourceImageForMeasurementGroup(header.sop_class, header.sop_uid, frames)]

    def _structure(self, name: str, class_name: str, piece: Piece, grid: Grid, score: float | None) -> Group:
        size = _size(piece, grid)
        measurements = [*size, *([_certainty(score)] if score is not None else [])]
        common = self._common(name, class_name)
        through = self.evidence.through
        filled = np.flatnonzero(piece.mask.any(axis=tuple(axis for axis in range(3) if axis != through)))
        slices = set((filled + piece.start[through]).tolist())
        shown = [frame for frame in self.evidence.frames if int(frame.place.start[through]) in slices]
        number = next((n for n, s in enumerate(self.seg.segments, 1) if s.name == name), 0) if self.seg else 0
        if not number or not shown or not self.seg:
            return sr.MeasurementsAndQualitativeEvaluations(
                **common,
                measurements=measurements,
                source_images=self._images(),
            )
        written = self.seg.written
        if grid.is_planar:
            images = sr.SourceImageForSegmentation(*_reference(shown[0]))
            frame = sr.ReferencedSegmentationFrame(written.sop_class, written.sop_uid, [self._seg_frame(number)], number, images)
            del frame[0].ReferencedSOPSequence[0].ReferencedSegmentNumber  # the frame says it (PS3.3 table 10-3)
            return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                **common,
                referenced_segment=frame,
                measurements=measurements,
            )
        series = sr.SourceSeriesForSegmentation(self.evidence.first.series_uid)
        segment = sr.ReferencedSegment(written.sop_class, written.sop_uid, number, source_series=series)
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            **common,
            referenced_segment=segment,
            measurements=measurements,
        )

    def _seg_frame(self, segment: int) -> int:
        """Number of the frame of a planar SEG that shows a segment; segments without a pixel have none."""
        assert self.seg is not None
        tags = pydicom.dcmread(self.seg.written.path, stop_before_pixels=True)
        shared = tags.SharedFunctionalGroupsSequence[0]
        for number, group in enumerate(tags.PerFrameFunctionalGroupsSequence, start=1):
            items = group.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence
            if items[0].ReferencedSegmentNumber == segment:
                return number
        raise OverreadError(f"The segmentation has no frame for segment {segment}.", "write it again")

    def _box(self, name: str, class_name: str, corners: np.ndarray, score: float) -> Group:
        regions = []
        for frame in self.evidence.frames:
            rectangle = frame.rectangle(corners)
            if rectangle is not None:
                regions.append(_polyline(frame, rectangle))
        common = self._common(name, class_name)
        if not regions:  # only on interpolated slices
            return sr.MeasurementsAndQualitativeEvaluations(
                **common,
                measurements=[_certainty(score)],
            )
        if self.evidence.grid.is_planar:
            return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                **common,
                referenced_region=regions[0],
                measurements=[_certainty(score)],
            )
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            **common,
            referenced_regions=regions,
            measurements=[_certainty(score)],
        )


def _polyline(frame: SourceFrame, rectangle: tuple[float, float, float, float]) -> sr.ImageRegion:
    """A closed rectangle on one frame; in SCOORD the corner of the first pixel is (0, 0) (PS3.3 C.18.6.1.2)."""
    rows, columns = frame.shape
    top, left, bottom, right = np.clip(np.array(rectangle) + 0.5, 0, [rows, columns, rows, columns])
    points = np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
    return sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, points, sr.SourceImageForRegion(*_reference(frame)))


def _reference(frame: SourceFrame) -> tuple[str, str, list[int] | None]:
    return frame.header.sop_class, frame.header.sop_uid, [frame.number] if frame.number else None


def _certainty(probability: float) -> sr.Measurement:
    """The probability as DICOM has it: certainty of a finding, in percent (PS3.16 DCM 111012)."""
    return sr.Measurement(codes.DCM.CertaintyOfFinding, round(float(probability) * 100, 6), codes.UCUM.Percent)


def _size(piece: Piece, grid: Grid) -> list[sr.Measurement]:
    """Volume in ml, or area in mm2 of a planar image; nothing where the spacing is unknown."""
    if not grid.spacing_known:
        return []
    voxels = piece.voxels
    if grid.is_planar:
        area = round(voxels * grid.spacing[1] * grid.spacing[2], 4)
        return [sr.Measurement(codes.SCT.Area, area, codes.UCUM.SquareMillimeter)]
    return [sr.Measurement(codes.SCT.Volume, round(voxels * grid.voxel_ml, 6), coded(Code("ml", "UCUM", "milliliter")))]


def _unit(unit: str) -> Code:
    """The unit in UCUM; one that UCUM lacks becomes an annotation in braces, which UCUM allows."""
    value = UNITS.get(unit, unit)
    if value in UCUM or value in UNITS.values():
        return Code(value, "UCUM", unit or "no units")
    return Code(("{" + "".join(c for c in unit if c.isascii() and c.isprintable() and c not in "{}"))[:15] + "}", "UCUM", unit)


def _report(about: About, groups: Sequence[Group], sentences: Sequence[str]) -> sr.MeasurementReport:
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=uid_of(about.algorithm.key, "device"),
        name=about.algorithm.name,
        manufacturer_name=MANUFACTURER,
        model_name=about.algorithm.name,
        serial_number=about.serial_number,
    )
    observer = sr.ObserverContext(codes.DCM.Device, device)
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=coded(PROCEDURES.get(about.evidence.first.modality, IMAGING)),
        imaging_measurements=list(groups) or None,
        title=codes.DCM.ImagingMeasurementReport,
    )
    report[0].ContentSequence.append(_said(sentences))
    return report


def _said(sentences: Sequence[str]) -> Dataset:
    """Sentences for people, under Qualitative Evaluations (TID 1500)."""
    container = sr.ContainerContentItem(
        coded(Code("C0034375", "UMLS", "Qualitative Evaluations")), relationship_type=RelationshipTypeValues.CONTAINS
    )
    comment = coded(Code("121106", "DCM", "Comment"))
    container.ContentSequence = sr.ContentSequence(
        [sr.TextContentItem(comment, text, RelationshipTypeValues.CONTAINS) for text in sentences]
    )
    return container


def _parts(answer: Answer) -> list[object]:
    """What the digest of an answer is made of."""
    if isinstance(answer, Findings):
        return [*sorted(answer.probabilities.items())]
    if isinstance(answer, Measurements):
        return [*sorted(answer.values.items()), *sorted(answer.units.items())]
    if isinstance(answer, LabelMap):
        return [answer.layers, *((s.name, s.value, s.layer) for s in answer.structures)]
    if isinstance(answer, Boxes):
        return [np.asarray(answer.corners), answer.classes, np.asarray(answer.scores)]
    parts: list[object] = [part for piece in answer.pieces for part in (piece.start, piece.mask)]
    return [*parts, answer.classes, np.asarray(answer.scores)]
