"""overread read"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, pairs
from overread.core.question import Reading
from overread.core.slices import shares_in_words

EXAMPLE = """\
overread read liver-first.overread new_study --out answers
overread read liver-first.overread scan.nii.gz another.nii.gz --out answers
overread read liver-first.overread new_study --out answers --dicom seg,sr,sc
overread read nodule-fused.overread film.png --out answers --clinical age=63,sex=F
overread read nodule-fused.overread films --out answers --clinical patients.csv"""
NAMED = 3  # studies in the line of a warning; answers.csv has all
LISTED = 10  # studies whose most influential slices are told; answers.csv has all


@click.command(cls=Verb, example=EXAMPLE)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("studies", metavar="STUDY...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the answers.")
@click.option("--probabilities", is_flag=True, help="Also write a probability map for each structure.")
@click.option(
    "--series", metavar="FIELD=PATTERN", multiple=True, callback=pairs, help="Where series are called otherwise than in training."
)
@click.option(
    "--dicom",
    metavar="NAMES",
    default="seg",
    show_default=True,
    help="DICOM objects to write for DICOM input, with commas between: seg (masks and instances), sr (report with "
    "measurements, or boxes; also that nothing was found), sc (pictures with the answer drawn in), fractional "
    "(probabilities as a segmentation), map (probabilities as a parametric map); or none.",
)
@click.option(
    "--refusal",
    type=click.Choice(("on", "warn", "off")),
    default=None,
    help="What becomes of images unlike those of training: refused (on), answered with a warning (warn), or not looked for "
    "(off). By default as the model was frozen. What was asked for stands in answers.json.",
)
@click.option(
    "--clinical",
    metavar="SHEET|NAME=VALUE,...",
    help="For a model that reads clinical values beside the image: a CSV or Excel sheet with a row for each study, or the values "
    "of the one patient. What is missing is read as missing, and the answer says so.",
)
@click.option("--id-column", metavar="COLUMN", help="Column of the sheet of --clinical that names the study.")
def read(
    model: Path,
    studies: tuple[Path, ...],
    out: Path,
    probabilities: bool,
    series: dict[str, str],
    dicom: str,
    refusal: str | None,
    clinical: str | None,
    id_column: str | None,
) -> Outcome:
    """Let a model read studies that it has never seen.

    Takes DICOM folders, NIfTI, PNG and JPEG. Answers lie on the grid of the source: a mask as NIfTI (for
    DICOM also as DICOM SEG), or probabilities and measurements; always a CSV and a JSON of all of them. Detection and
    instances list each object in objects.csv, in millimetres of the patient, and in coco.json.
    A study that cannot be answered is listed with the reason; that is not a negative answer. So is one that is not of the kind
    that the model was trained on: another modality, body part or view, missing slices, or content far from the training images.
    """
    from overread.imaging.dicom.outputs import parse_objects

    objects = parse_objects(dicom)

    from overread.workflow.read import read as read_studies
    from overread.workflow.readings.clinical import given

    readings = read_studies(
        model,
        studies,
        out,
        reporter(),
        probabilities=probabilities,
        series=series,
        dicom=objects,
        refusal=refusal,
        clinical=given(clinical, id_column),
    )
    refused = {reading.case_id: reading.refusal for reading in readings if reading.refusal}
    warned: dict[str, list[str]] = {}
    for reading in readings:
        for warning in reading.warnings:
            warned.setdefault(warning, []).append(reading.case_id)
    lines = [f"{len(readings) - len(refused)} of {len(readings)} studies read. Answers: {out / 'answers.csv'}"]
    lines += [f"Not answered: {r.case_id} ({r.code}): {r.refusal}" for r in readings if r.refusal]
    lines += [f"Warning{_of(warned[warning], len(readings))}: {warning}" for warning in sorted(warned)]
    lines += _slices(readings, out)
    codes = {reading.case_id: reading.code for reading in readings if reading.refusal}
    values = {
        "out": str(out),
        "read": len(readings) - len(refused),
        "refused": refused,
        "codes": codes,
        "warnings": sorted(warned),
        "slices": {reading.case_id: [share.as_dict() for share in reading.slices] for reading in readings if reading.slices},
        "clinical_missing": {reading.case_id: list(reading.missing) for reading in readings if reading.missing},
    }
    return Outcome("\n".join(lines), values)


def _slices(readings: Sequence[Reading], out: Path) -> list[str]:
    """The slices that answers rest on most; answers.csv has those of all studies."""
    told = [f"{reading.case_id}: {shares_in_words(reading.slices)}" for reading in readings if reading.slices]
    more = [f"  {len(told) - LISTED} more studies: {out / 'answers.csv'}"] if len(told) > LISTED else []
    return ["Most influential slices:", *(f"  {line}" for line in told[:LISTED]), *more] if told else []


def _of(names: list[str], studies: int) -> str:
    """Which studies a warning is about, where it is not about all."""
    if len(names) == studies:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f" ({', '.join(names[:NAMED])}{more})"
