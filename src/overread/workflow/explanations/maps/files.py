"""Maps as files for other programs: NIfTI and DICOM on the grid of the source, PNG with a colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Map
from overread.imaging.archive import unpacked
from overread.imaging.dicom.outputs import Answered, write_objects
from overread.imaging.dicom.write_common import Algorithm
from overread.imaging.nifti import write_nifti
from overread.reading.model import ModelCard
from overread.record.files import write_bytes
from overread.workflow.explanations.maps.cases import Picked
from overread.workflow.readings.dicom_results import VERSION_LENGTH

FORMATS = ("png", "nifti", "dicom")


@dataclass(frozen=True)
class Files:
    """Where maps are written as files, and in which formats.

    model  name of the model
    """

    folder: Path
    formats: tuple[str, ...]
    card: ModelCard
    model: str

    def write(self, stem: str, values: Map, picked: Picked, image: Image, picture: bytes, verdict: str) -> tuple[str, ...]:
        """Write one map; returns what has to be said of it.

        stem     begins the names of the files
        verdict  of the trial, in words that stand in every file
        """
        if "png" in self.formats:
            write_bytes(self.folder / f"{stem}.png", picture)
        if "nifti" in self.formats:
            mark = "PHANTOM, " if image.source.get("is_simulated") else ""
            note = f"{mark}research, {verdict}: {values.method} of {values.target}"  # the field is short: the verdict comes first
            write_nifti(self.folder / f"{stem}.nii.gz", values.array, values.grid, description=note)
        return self._dicom(stem, values, picked, image, verdict) if "dicom" in self.formats else ()

    def _dicom(self, stem: str, values: Map, picked: Picked, image: Image, verdict: str) -> tuple[str, ...]:
        """A parametric map; a picture where the source has no place in the patient."""
        if picked.reference.format != "dicom":
            return (f"{picked.name}: no DICOM map was written: its image is no DICOM, so there is no series to lay it on",)
        digest = self.card.sha256.removeprefix("sha256:")
        with unpacked([picked.folder / file for file in picked.reference.files]) as files:
            answered = Answered(
                stem=stem,
                answer=values,
                image=image,
                files=files,
                algorithm=Algorithm(self.model, digest[:VERSION_LENGTH] or "unknown", self.card.sha256),
                index=picked.reference.index,
                maps=(values,),
                lines=(verdict.upper() if "FAILED" in verdict.upper() else verdict,),
            )
            try:
                written, notes = write_objects(self.folder, answered, ["map"])
                if written:
                    return ()
                why = "; ".join(note.removeprefix(f"{stem}: ") for note in notes)
                written, notes = write_objects(self.folder, answered, ["sc"])
                return (f"{picked.name}: a picture was written in place of a DICOM map: {why}",) if written else notes
            except OverreadError as error:
                return (f"{picked.name}: no DICOM map was written: {error.what}",)


def parse_formats(text: str) -> tuple[str, ...]:
    """``"png,nifti"`` -> ``("png", "nifti")``; an unknown name is refused."""
    names = tuple(dict.fromkeys(word.strip().lower() for word in text.split(",") if word.strip()))
    unknown: Sequence[str] = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise OverreadError(
            f"There is no format '{', '.join(unknown) or text}' for maps; expected some of {', '.join(FORMATS)}.",
            "for example --format png,nifti",
        )
    return names
