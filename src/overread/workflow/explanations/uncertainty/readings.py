"""Every case of a partition is answered several times; maps of voxels are written, the least sure cases kept for pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.evaluation.uncertainty.relation import Judged
from overread.imaging.nifti import write_nifti
from overread.reading.model import Model
from overread.reading.uncertain import CaseUncertainty, Ways, uncertainty_of
from overread.reporting.explanation.uncertainty_words import UNITS, name_of
from overread.reporting.pictures.figures import case_panel
from overread.reporting.pictures.heat import Scale
from overread.reporting.pictures.uncertain import Layer, uncertain_panel

SHOWN = 3  # least sure cases that are drawn
MAPS = {"entropy": "predictive entropy", "mutual_information": "mutual information"}


@dataclass
class Readings:
    """Cases that were read.

    found    case_id -> how unsure, without its maps
    refused  case_id -> why it could not be read
    least    the cases least sure of first, with their maps
    """

    found: dict[str, CaseUncertainty] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    least: list[tuple[float, Case, CaseUncertainty]] = field(default_factory=list)

    def add(self, case: Case, one: CaseUncertainty, measure: str) -> None:
        self.found[case.case_id] = replace(one, maps={})
        value = one.values.get(measure)
        if value is not None:
            self.least = sorted([*self.least, (value, case, one)], key=lambda row: (-row[0], row[1].case_id))[:SHOWN]


def read_several(
    model: Model,
    cohort: Cohort,
    cases: Sequence[Case],
    ways: Ways,
    matching: str,
    measure: str,
    folder: Path,
    progress: Progress | None,
) -> Readings:
    """Read each case as often as the ways say; images only.

    measure  by which the least sure cases are chosen
    folder   for maps of voxels, `<case_id>_<map>.nii.gz` on the grid of the image as it came
    """
    if progress is not None:
        progress.start(len(cases), "Answering several times")
    readings = Readings()
    for case in cases:
        try:
            prepared = model.predictor.prepare(load_image(cohort, case))
        except OverreadError as refusal:  # its sentence may name a file: the code alone is kept
            readings.refused[case.case_id] = getattr(refusal, "code", "") or "could not be read"
            continue
        one = uncertainty_of(model.predictor, prepared, ways, matching)
        _write_maps(folder, case.case_id, one, prepared.source, is_phantom=cohort.is_phantom)
        readings.add(case, one, measure)
        if progress is not None:
            progress.advance(1, case.case_id)
    if progress is not None:
        progress.finish()
    return readings


def _write_maps(folder: Path, case_id: str, one: CaseUncertainty, grid: Grid, *, is_phantom: bool) -> None:
    for name, values in one.maps.items():
        words = f"{MAPS[name]} in bits, for research"
        description = f"PHANTOM, {words}" if is_phantom else words
        write_nifti(folder / f"{case_id}_{name}.nii.gz", values, grid, description=description)


def table(readings: Readings, judged: Sequence[Judged], patients: dict[str, str]) -> str:
    """CSV: a row per case, a column per measure, per part and measure; empty where not defined.

    patients  case_id -> pseudonym of the patient
    """
    errors = {one.case_id: one for one in judged}
    measures = list(dict.fromkeys(name for one in readings.found.values() for name in one.values))
    parts = list(
        dict.fromkeys((m, part) for one in readings.found.values() for part, values in one.parts.items() for m in values)
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", "patient_id", "passes", *measures, *(f"{m}/{part}" for m, part in parts), "error", "wrong"])
    for case_id, one in readings.found.items():
        own = errors.get(case_id)
        values = [one.values.get(name) for name in measures] + [one.parts.get(part, {}).get(m) for m, part in parts]
        wrong = None if own is None or own.is_wrong is None else int(own.is_wrong)
        cells = [*values, None if own is None else own.error, wrong]
        writer.writerow([case_id, patients[case_id], one.passes, *("" if v is None else f"{v:.6g}" for v in cells)])
    return text.getvalue()


def drawn(model: Model, cohort: Cohort, readings: Readings, measure: str, partition: str) -> dict[str, tuple[bytes, str]]:
    """File name -> PNG and caption of the cases least sure of; the truth of a sealed case is not drawn."""
    maps = [one.maps for _, _, one in readings.least if one.maps]
    scales = {
        name: Scale(max(float(np.percentile(each[name], 99.9)) for each in maps) or 1.0, False, "bit") for name in MAPS if maps
    }
    made = {}
    for rank, (value, case, one) in enumerate(readings.least, 1):
        image = load_image(cohort, case)
        answer = model.predictor.answer(model.predictor.prepare(image))
        truth = load_truth(cohort, case) if partition == "tuning" else None
        title = f"{case.case_id}, least sure {rank} of {len(readings.found)}"
        if isinstance(answer, LabelMap):
            layers = {name: Layer(one.maps[name], scales[name], words) for name, words in MAPS.items()}
            outlined = truth if isinstance(truth, LabelMap) else None
            png = uncertain_panel(image, answer, outlined, layers, title=title, is_phantom=cohort.is_phantom)
        else:
            png = case_panel(image, truth, answer, title=title, is_phantom=cohort.is_phantom)
        caption = f"{case.case_id}: {name_of(measure)} {value:.3g} {UNITS.get(measure, '')}".rstrip()
        made[f"{partition}-{rank}-{case.case_id}.png"] = (png, caption)
    return made
