"""`overread phantom`: a digital phantom with known truth, and planted faults if wanted."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.cohort.phantom.build import Built, build
from overread.cohort.phantom.options import Options, checked
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.record.files import named_if_full


@dataclass(frozen=True)
class PhantomSummary:
    """What was written.

    positive   exams with a liver lesion (abdomen) or pneumonia (chest)
    faults     what was planted where, as in phantom.json
    threshold  how far a plain threshold gets, as in phantom.json
    """

    folder: Path
    kind: str
    format: str
    patients: int
    exams: int
    files: int
    positive: int
    faults: dict[str, dict[str, Any]]
    threshold: dict[str, Any]

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def masks(self) -> Path:
        return self.folder / "masks"

    @property
    def sheet(self) -> Path:
        return self.folder / "labels.csv"

    def as_dict(self) -> dict[str, Any]:
        values = {k: v for k, v in self.__dict__.items() if k != "folder"}
        return {"folder": str(self.folder), **values}

    def __str__(self) -> str:
        what = "a liver lesion" if self.kind == "abdomen" else "pneumonia"
        lines = [
            f"PHANTOM of the {self.kind}: {self.exams} exams of {self.patients} patients, {self.positive} with {what}; "
            f"{self.files} {self.format} files in {self.images}",
            *(f"  planted fault: {name}" for name in self.faults),
            *(f"  {line}" for line in _threshold_lines(self.threshold)),
        ]
        return "\n".join(lines)


def phantom(
    out: Path | str,
    *,
    kind: str = "abdomen",
    patients: int = 40,
    format: str = "dicom",
    size: int = 128,
    slices: int | None = None,
    seed: int = 7,
    faults: Sequence[str] = (),
    touching: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> PhantomSummary:
    """Write a phantom cohort into the new or empty folder `out`.

    kind     "abdomen": CT of the upper abdomen; "chest": films
    format   "dicom", "nifti", or "png" (chest)
    size     pixels in each direction of the plane;  slices  per CT, None for each scanner's own spacing
    seed     the same seed gives the same patients, however many are asked for
    faults   "marker", "label-noise", "duplicate-studies", "split-patient", "renamed-patient", "missing-slices",
             "site-follows-label"
    touching   metastases stand in clusters that touch (chest: nodules overlap on the film), for counting one by one
    workers  processes; None takes all processors
    """
    folder = Path(out)
    options = checked(Options(kind, patients, format, size, slices, seed, tuple(faults), touching))
    if kind == "chest" and slices is not None:
        raise OverreadError(f"A chest film has no slices; got slices = {slices}.", "leave --slices out")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OverreadError(f"{folder} is not an empty folder; a phantom is never mixed with other images.", "name a new folder")
    with named_if_full(f"the phantom {folder} could not be written; nothing of it is left", folder.absolute().parent):
        built = _whole_or_not(folder, options, workers, progress)
    return PhantomSummary(
        folder, kind, format, built.patients, built.exams, built.files, built.positive, built.faults, built.threshold
    )


def _whole_or_not(folder: Path, options: Options, workers: int | None, progress: Progress | None) -> Built:
    """What was begun and could not be ended is cleared, so that the same command can be run again.

    It is built in its place and not beside it: an empty folder that was given may be a mounted one, which nothing replaces.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return build(folder, options, workers, progress)
    except BaseException:
        for path in folder.iterdir() if folder.exists() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if is_new and folder.exists():
            folder.rmdir()
        raise


def _threshold_lines(threshold: dict[str, Any]) -> list[str]:
    if "liver" in threshold:
        liver, spread = threshold["liver"], threshold["metastasis"]
        band, below = f"{liver['low_hu']} to {liver['high_hu']} HU", f"below {spread['below_hu']} HU in the true liver"
        lines = [f"a plain threshold ({band}) finds the liver with a mean Dice of {liver['mean_dice']:.2f}"]
        if spread["mean_dice"] is not None:
            lines.append(f"a plain threshold ({below}) finds metastases with a mean Dice of {spread['mean_dice']:.2f}")
        if spread["auc_any_metastasis"] is not None:
            lines.append(f"and tells exams with metastases with an AUC of {spread['auc_any_metastasis']:.2f}")
        wrong = threshold["tumour_burden"]
        within = f"the volume of the true liver below {wrong['below_hu']} HU"
        lines.append(f"and {within} misses the tumour burden by {wrong['mean_absolute_error_ml']:.1f} ml on average")
        return lines
    told = threshold["auc_pneumonia_by_brightness_of_lungs"]
    return [f"the mean brightness of the lungs alone tells pneumonia with an AUC of {told:.2f}"] if told is not None else []
