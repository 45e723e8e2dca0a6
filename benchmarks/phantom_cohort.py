"""A phantom of chest films as the audit sees a project: headers, sheet, and a random division by patient.

No benchmark itself: what worker processes are given must be importable, so it does not stand in the script.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from overread.audit.audited import Audited, AuditedCase
from overread.core.image import Image
from overread.core.question import Question
from overread.imaging.door import open_image
from overread.imaging.scan import scan
from overread.record.files import digest_bytes

QUESTION = Question("classification", ("healthy", "pneumonia"), positive="pneumonia")
ACQUIRED = ("vendor", "model", "kvp", "view", "burned_in")


@dataclass(frozen=True)
class Films:
    """Opens a film by its exam; it travels to worker processes."""

    folder: Path

    def __call__(self, case_id: str) -> Image:
        return open_image([self.folder / f"{case_id}.dcm"], "dicom")


def audited_of(folder: Path, seed: int) -> Audited:
    """The cohort as a project with a random division by patient would show it."""
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    headers = {found.files[0]: found for found in scan(folder / "images").found}
    patients = sorted({row["patient_id"] for row in rows})
    training = set(np.random.default_rng(seed).permutation(patients)[: round(0.7 * len(patients))])
    cases = []
    for row in rows:
        about = headers[Path(row["image"]).name]
        acquisition = {name: about.attributes[name] for name in ACQUIRED if name in about.attributes}
        ill = float(row["pneumonia"] == "yes")
        cases.append(
            AuditedCase(
                row["exam_id"],
                row["patient_id"],
                "training" if row["patient_id"] in training else "internal",
                truth={"healthy": 1 - ill, "pneumonia": ill},
                truth_digest=str(ill),
                identifiers={"study": digest_bytes([row["study_uid"].encode()])},
                acquisition={**acquisition, "rows": about.shape[1], "columns": about.shape[2], "spacing_mm": about.spacing},
                covariates={"age": int(row["age"]), "sex": row["sex"]},
                site=row["site"],
                scanner=row["scanner"],
            )
        )
    return Audited(tuple(cases), Films(folder / "images"), QUESTION, is_phantom=True)


def planted_pairs(faults: dict[str, Any], audited: Audited) -> list[set[str]]:
    """Exams that belong to one another and lie under two patients; of a split patient, one of each spelling."""
    copies = [*faults.get("duplicate-studies", {}).get("exams", ()), *faults.get("renamed-patient", {}).get("patients", ())]
    pairs = [{pair["exam_id"], pair["same_pixels_as"]} for pair in copies]
    first: dict[str, str] = {}
    for case in audited.cases:
        first.setdefault(case.patient_id, case.case_id)
    split = faults.get("split-patient", {}).get("patients", ())
    return pairs + [{first[pair["patient_id"]], first[pair["also_as"]]} for pair in split]
