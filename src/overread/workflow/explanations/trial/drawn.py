"""Drawings that were made for the trial: masks, boxes or outlines in files of their own, joined to cases by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.cohort.draft import Draft
from overread.cohort.identity import read_links
from overread.cohort.index import Cohort
from overread.cohort.labels.drawn import drawn_format
from overread.cohort.labels.find import find_objects, scan_truth
from overread.cohort.labels.masks import join_masks, join_segmentations
from overread.cohort.labels.object_truth import open_objects
from overread.cohort.labels.objects import Objects
from overread.core.case import Case, TruthReference
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.record.files import digest_bytes, digest_json

PLAIN = ("nifti", "nrrd", "mha", "raster")


@dataclass(frozen=True)
class Drawings:
    """One reader's drawings.

    references  case_id -> where its drawing lies
    folder      what the files are relative to
    classes     what may be drawn, in the order of the label values 1, 2 ...; empty where files are plain masks
    """

    references: Mapping[str, TruthReference]
    folder: Path
    classes: tuple[str, ...]

    def mask(self, case: Case, grid: Grid, target: str) -> np.ndarray | None:
        """(Z, Y, X) bool on the grid of the image; None where nothing is known of this case.

        Of several named classes the one that is asked about where it is among them, else all: who gives drawings for a finding
        drew that finding.
        """
        reference = self.references.get(case.case_id)
        if reference is None:
            return None
        found = open_objects(case.case_id, reference, self.folder, grid)
        kept = [o for o in found.objects if target not in self.classes or self.classes[o.value - 1] == target]
        drawn = np.zeros(grid.shape, bool)
        for each in kept:
            drawn |= _voxels(each.corners, None if each.piece is None else (each.piece.place, each.piece.mask), grid)
        return drawn

    @property
    def digest(self) -> str:
        """Of what is drawn, and of what."""
        files = sorted({file for reference in self.references.values() for file in reference.files})
        contents = [digest_bytes([(self.folder / file).read_bytes()]) for file in files if (self.folder / file).is_file()]
        return digest_json([contents, {name: reference.format for name, reference in sorted(self.references.items())}])


def read_drawings(path: Path, cohort: Cohort, cases: Sequence[Case]) -> Drawings:
    """The drawings at a path: a folder of masks, or labels in any form that `overread init` takes as truth."""
    path = Path(path)
    if not path.exists():
        raise OverreadError(f"There is nothing at {path}.", "give the folder or the label file of the drawings with --drawn")
    drafts = _drafts(cohort, cases)
    objects = find_objects(path, drafts, cohort.images_folder, leave_out=True)
    if objects is not None:
        return _of_objects(objects)
    root = path.resolve() if path.is_dir() else path.resolve().parent
    found = scan_truth(path).found
    segmentations = [f for f in found if f.format == "dicom" and f.attributes.get("modality") == "SEG"]
    joined = join_segmentations(segmentations, drafts, (root, cohort.images_folder)).joined
    references = {drafts[d].name: TruthReference({}, segmentations[s].files, "dicom-seg") for s, d in joined.items()}
    files = {f.files[0]: f.format for f in found if f.format in PLAIN}
    names = list(files)
    for mask, draft in join_masks(names, drafts).joined.items():
        references.setdefault(drafts[draft].name, TruthReference({}, (names[mask],), files[names[mask]]))
    if not references:
        raise OverreadError(
            f"None of the drawings at {path.name} is called like one of the {len(cases)} cases on trial.",
            "call each mask like its image; see cohort/private/link.csv for the names that the images came in with",
        )
    return Drawings(references, root, ())


def _of_objects(objects: Objects) -> Drawings:
    values: dict[str, float | None] = {name: float(k) for k, name in enumerate(objects.classes, start=1)}
    references = {
        name: TruthReference(values, drawings[0].files, drawn_format(objects.form, drawings[0].places))
        for name, drawings in objects.by_name.items()
    }
    return Drawings(references, objects.root, objects.classes)


def _drafts(cohort: Cohort, cases: Sequence[Case]) -> list[Draft]:
    """The cases under every name that they may have in the user's files; these names stay here."""
    links = {link.case_id: link for link in read_links(cohort.folder)}
    drafts = []
    for case in cases:
        link = links.get(case.case_id)
        known = () if link is None else (link.original_name, link.sheet_id)
        files = tuple(file for image in case.images for file in image.files[:1])
        aliases = tuple(dict.fromkeys(name for name in (*files, *known, case.case_id) if name))
        patient, exam = (None, None) if link is None else (link.original_patient, link.original_exam)
        drafts.append(Draft(case.case_id, aliases, case.images, patient=patient, exam=exam))
    return drafts


def _voxels(corners: np.ndarray, piece: tuple[tuple[slice, slice, slice], np.ndarray] | None, grid: Grid) -> np.ndarray:
    inside = np.zeros(grid.shape, bool)
    if piece is not None:
        place, mask = piece
        inside[place] = mask
        return inside
    first = np.maximum(np.ceil(corners[0]), 0).astype(int)
    last = np.floor(corners[1]).astype(int) + 1
    inside[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = True
    return inside
