"""An answer on a DICOM image to the objects that were asked for, each where the kind of the answer allows it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overread.core.errors import OverreadError, Refused
from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Map, Measurements
from overread.imaging.dicom.codes import Code
from overread.imaging.dicom.evidence import Evidence, read_evidence
from overread.imaging.dicom.parametric_map import write_parametric_map
from overread.imaging.dicom.secondary_capture import write_captures
from overread.imaging.dicom.seg import WrittenSeg, write_fractional_seg, write_seg
from overread.imaging.dicom.sr import write_sr
from overread.imaging.dicom.write_common import Algorithm, Written

OBJECTS = ("seg", "sr", "sc", "fractional", "map")
NEEDS_MAPS = frozenset({"fractional", "map"})
TILT = "gantry tilt"  # how `repair` begins the sentence on a tilt that it undid


@dataclass(frozen=True)
class Answered:
    """An answer and all that its objects say.

    stem      begins the names of the files
    image     that was read, on the grid of the answer
    files     every file of its series
    index     the one frame that was read from a multi-frame file
    maps      probability maps of structures, where asked for
    called    findings called at the operating point, None where there is none
    asked     boxes and instances: every class that was looked for
    lines     words for the picture
    warnings  sentences that the reader must see
    """

    stem: str
    answer: Kind
    image: Image
    files: Sequence[Path]
    algorithm: Algorithm
    index: int | None = None
    maps: tuple[Map, ...] = ()
    called: Collection[str] | None = None
    asked: Collection[str] = ()
    lines: Sequence[str] = ()
    warnings: Sequence[str] = ()
    codes: Mapping[str, Code] = field(default_factory=dict)


def parse_objects(text: str) -> tuple[str, ...]:
    """``"seg,sr"`` -> ``("seg", "sr")``; ``"none"`` -> ``()``; an unknown name is refused."""
    names = tuple(dict.fromkeys(word.strip().lower() for word in text.split(",") if word.strip()))
    if names == ("none",):
        return ()
    unknown = [name for name in names if name not in OBJECTS]
    if unknown or not names:
        what = f"There is no DICOM object '{', '.join(unknown) or text}'; expected some of {', '.join(OBJECTS)}, or none."
        raise OverreadError(what, "for example --dicom seg,sr")
    return names


def write_objects(folder: Path, answered: Answered, objects: Collection[str]) -> tuple[tuple[Written, ...], tuple[str, ...]]:
    """Write the objects into `folder`.

    objects  some of `OBJECTS`; those that the kind of the answer has no form for are not written
    returns  what was written, and sentences for the user: private codes, and objects that could not be written
    """
    is_straightened = any(str(repair).startswith(TILT) for repair in answered.image.source.get("repairs", ()))
    evidence = read_evidence(answered.files, answered.image.grid, index=answered.index, is_straightened=is_straightened)
    writer = _Writer(Path(folder), answered, evidence)
    for name in OBJECTS:  # in this order: a report points to the segmentation
        if name in objects:
            writer.write(name)
    notes = [note for each in writer.written for note in each.notes] + writer.notes
    return tuple(writer.written), tuple(dict.fromkeys(notes))


class _Writer:
    def __init__(self, folder: Path, answered: Answered, evidence: Evidence) -> None:
        self.folder, self.answered, self.evidence = folder, answered, evidence
        self.written: list[Written] = []
        self.notes: list[str] = []
        self.seg: WrittenSeg | None = None

    def write(self, name: str) -> None:
        makers: dict[str, Callable[[], None]] = {
            "seg": self._seg,
            "sr": self._sr,
            "sc": self._captures,
            "fractional": self._fractional,
            "map": self._maps,
        }
        try:
            makers[name]()
        except Refused as refusal:
            self.notes.append(f"{self.answered.stem}: no {name.upper()} was written: {refusal.what}")

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self.answered.stem}_{suffix}.dcm"

    def _description(self) -> str:
        answer = self.answered.answer
        if isinstance(answer, LabelMap):
            return ", ".join(answer.names)
        if isinstance(answer, Findings):
            return ", ".join(answer.probabilities)
        if isinstance(answer, Measurements):
            return ", ".join(answer.values)
        if isinstance(answer, Boxes | Instances):
            return ", ".join(dict.fromkeys(answer.classes)) or "no finding"
        return self.answered.algorithm.name

    def _seg(self) -> None:
        answer = self.answered.answer
        if isinstance(answer, LabelMap | Instances):
            self.seg = write_seg(
                self._path("seg"),
                answer,
                self.answered.files,
                description=self._description(),
                algorithm=self.answered.algorithm,
                structure_codes=self.answered.codes,
                evidence=self.evidence,
            )
            self.written.append(self.seg.written)

    def _sr(self) -> None:
        answer = self.answered.answer
        if isinstance(answer, Findings | Measurements | LabelMap | Boxes | Instances):
            written = write_sr(
                self._path("sr"),
                answer,
                self.answered.files,
                self.answered.image.grid,
                description=self._description(),
                algorithm=self.answered.algorithm,
                structure_codes=self.answered.codes,
                called=self.answered.called,
                asked=self.answered.asked,
                warnings=self.answered.warnings,
                seg=self.seg,
                evidence=self.evidence,
            )
            self.written.append(written)

    def _captures(self) -> None:
        answer = self.answered.answer
        if isinstance(answer, Findings | Measurements | LabelMap | Boxes | Instances | Map):
            self.written += write_captures(
                self.folder,
                f"{self.answered.stem}_sc",
                answer,
                self.answered.image,
                self.answered.files,
                description=self._description(),
                algorithm=self.answered.algorithm,
                lines=self.answered.lines,
                evidence=self.evidence,
            )

    def _fractional(self) -> None:
        if self.answered.maps:
            written = write_fractional_seg(
                self._path("fractional"),
                self.answered.maps,
                self.answered.files,
                description=f"probability of {', '.join(each.target for each in self.answered.maps)}",
                algorithm=self.answered.algorithm,
                structure_codes=self.answered.codes,
                evidence=self.evidence,
            )
            self.written.append(written.written)

    def _maps(self) -> None:
        for each in self.answered.maps:
            written = write_parametric_map(
                self._path(f"{_safe(each.target)}_map"),
                each,
                self.answered.files,
                algorithm=self.answered.algorithm,
                structure_codes=self.answered.codes,
                evidence=self.evidence,
            )
            self.written.append(written)


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
