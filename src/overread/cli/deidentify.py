"""overread deidentify"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command
from overread.workflow.deidentify import confirm as confirm_review
from overread.workflow.deidentify import deidentify as write_copy

EXAMPLE = """\
overread deidentify studies shared --link ~/private/link.csv --retain-dates-modified --sheet labels.csv
overread deidentify studies shared2 --link ~/private/link.csv --mask shared/review/regions.json
overread deidentify shared --confirm"""

OPTIONS = {
    "retain_dates_modified": ("dates_modified", "Keep dates, moved by the same number of days for all of a patient."),
    "retain_dates_full": ("dates_full", "Keep dates as they are."),
    "retain_patient_characteristics": ("patient", "Keep sex, age (90 where above 89), size, weight; clean their text."),
    "retain_device": ("device", "Keep which scanner it was, its serial number among that."),
    "retain_institution": ("institution", "Keep the name and the address of the hospital."),
    "retain_uids": ("uids", "Keep the original UIDs, which whoever has the originals can look up."),
    "retain_safe_private": ("safe_private", "Keep the private numbers of physics that the standard calls safe."),
    "clean_descriptors": ("descriptors", "Keep descriptions, only their harmless words of radiology."),
    "clean_structured_content": ("structured", "Keep the content of structured reports: numbers, codes, references."),
    "clean_graphics": ("graphics", "Keep drawn annotations, their text cleaned; overlays go."),
}
SECTIONS = {"Options of the profile (PS3.15 Annex E)": tuple(OPTIONS)}


def profile_options(function: click.decorators.FC) -> click.decorators.FC:
    for name, (_, text) in reversed(OPTIONS.items()):
        function = click.option(f"--{name.replace('_', '-')}", is_flag=True, help=text)(function)
    return function


@click.command(cls=Verb, example=EXAMPLE, sections=SECTIONS)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", required=False, type=click.Path(path_type=Path))
@click.option(
    "--profile", type=click.Choice(["basic"]), default="basic", show_default=True, help="The one profile of the standard."
)
@profile_options
@click.option(
    "--link", type=click.Path(path_type=Path), help="Re-link table: new ids back to old ones. Never beside or below OUT."
)
@click.option("--mask", type=click.Path(path_type=Path), help="JSON file with regions to be blackened.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Sheet of labels that gets the new ids, as OUT/sheet.csv.")
@click.option("--sheet-keep", metavar="COLUMN", multiple=True, help="Column of the sheet that is harmless. May be repeated.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes; chosen by the number of files where it is not given.")
@click.option("--confirm", is_flag=True, help="Write into IN, an earlier output, that you looked at its review page.")
def deidentify(source: Path, out: Path | None, confirm: bool, profile: str, **words: object) -> Outcome:
    """Copy a folder of images without what identifies people.

    IN is not touched; OUT is new or empty. After DICOM PS3.15 Annex E, basic profile: names, ids, dates, free text
    and private attributes go, UIDs are replaced alike everywhere, at every depth. NIfTI, PNG, JPEG, NRRD and MHA lose
    their text and their names. What cannot be judged (PDF, vendor objects, damaged files) is not copied. Text in pixels
    has to be looked for by you.
    """
    given = [name for name in OPTIONS if words.pop(name)]
    if confirm:
        if out is not None:
            raise click.UsageError("--confirm takes one folder: the output of an earlier run.")
        path = confirm_review(source)
        return Outcome(
            f"{source} is marked as reviewed.",
            {"status": "reviewed", "log": str(path)},
            command("init", "project", "--images", source),
        )
    if out is None:
        raise click.UsageError("Give two folders: IN with the originals, and OUT, which is new or empty.")
    options = [OPTIONS[name][0] for name in given]
    summary = write_copy(source, out, profile=profile, options=options, progress=reporter(), **words)  # type: ignore[arg-type]
    follow = f"look at {summary.review}, then: {command('deidentify', out, '--confirm')}"
    return Outcome(str(summary), summary.as_dict(), follow)
