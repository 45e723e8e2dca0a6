"""overread init"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, column_options, command, pairs, summary_outcome
from overread.core.question import OBJECTS, TASKS
from overread.workflow.init import init as make_project
from overread.workflow.project import Project

EXAMPLE = """\
overread init liver --images studies --truth masks --sheet patients.xlsx --group-by patient
overread init pneumonia --images films --sheet labels.csv --label pneumonia --positive yes --group-by mrn
overread init liver --images studies --truth masks --folds 5 --dry-run
overread init harmonise --images films --task translate --unpaired siemens:ge
overread init phantoms-made --images studies --truth masks --task synthesize --by-mask --name 1=liver --group-by patient
overread init lesions --images studies --truth coco.json --task detection --group-by patient --sheet patients.xlsx
overread init liver --images studies --dry-run"""

PATH = click.Path(exists=True, path_type=Path)
SECTIONS = {
    "What is there": ("images", "truth", "sheet"),
    "The question": (
        "task", "label", "positive", "names", "classes", "objects", "answer", "degradation", "by_class", "by_mask", "unpaired",
        "multi_label", "ordered", "units", "unit", "aggregation", "index_exam",
    ),
    "Columns of the sheet": ("group_by", "id_column", "site", "scanner", "date", "side", "covariates"),
    "The split": ("splits", "folds", "split_by", "split_after", "tuning", "internal", "stratify_by", "seed", "leak_override"),
    "What is let in": ("series", "missing", "gaps", "tilt", "leave_out_faulty", "region"),
}  # fmt: skip


@click.command(cls=Verb, example=EXAMPLE, sections=SECTIONS)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--images", required=True, type=PATH, help="Folder of images, searched to its depth, or one .npz or .zip file.")
@click.option("--truth", type=PATH, help="Folder of masks, or a file of labels.")
@click.option("--sheet", type=PATH, help="CSV or Excel: ids, patients, covariates, labels.")
@click.option("--task", type=click.Choice(TASKS), help="Where it does not show by itself.")
@click.option("--label", metavar="COLUMN", multiple=True, help="Column to be learned; several are findings. May be repeated.")
@click.option("--positive", metavar="CLASS", help="Which class is the disease; never guessed.")
@click.option(
    "--name", "names", metavar="VALUE=NAME", multiple=True, callback=pairs, help="What a value of the truth means, e.g. 1=liver."
)
@click.option(
    "--class",
    "classes",
    metavar="NAME",
    multiple=True,
    help="Of the drawn classes, one that is asked; the others are background. May be repeated; without it all are asked.",
)
@click.option(
    "--objects",
    type=click.Choice(OBJECTS),
    help="Detection and instances from masks: connected voxels are one object, or every value is.",
)
@click.option(
    "--answer", metavar="CHANNEL", multiple=True, help="Translate: the channel that is made from the others. May be repeated."
)
@click.option(
    "--degradation",
    metavar="NAME:AMOUNT",
    default="",
    help="Restore: what is done to an image before it is read, e.g. low_dose:0.25, low_resolution:4, noise:30.",
)
@click.option(
    "--by-class", is_flag=True, help="Synthesize: images can be asked for by class; --label, folders or the archive tell it."
)
@click.option("--by-mask", is_flag=True, help="Synthesize: images are made along masks, which --truth holds.")
@click.option(
    "--unpaired",
    metavar="KIND:KIND",
    help="Translate without pairs: from the first kind to the second; --label, folders or the archive tell of which an image is.",
)
@click.option("--multi-label", is_flag=True, help="A column of 0 and 1 is a finding of its own, not one of two classes.")
@click.option("--ordered", is_flag=True, help="The classes are grades, in the order of their values.")
@click.option("--units", metavar="UNIT", multiple=True, help="Unit of a measured quantity, in the order of --label.")
@column_options
@click.option("--unit", type=click.Choice(["lesion", "side", "exam", "patient"]), help="Unit of analysis.")
@click.option(
    "--aggregation",
    type=click.Choice(["none", "any", "max", "mean"]),
    default="none",
    show_default=True,
    help="How several rows or exams make one truth and one answer.",
)
@click.option(
    "--index-exam",
    metavar="RULE",
    default="all",
    show_default=True,
    help="all, first, last, or 'nearest to COLUMN within N days'.",
)
@click.option(
    "--series",
    metavar="FIELD=PATTERN",
    multiple=True,
    callback=pairs,
    help="Which series of an exam counts, e.g. kernel=B30f; several as channels: flair.file=_flair, art.phase=arterial.",
)
@click.option(
    "--missing",
    type=click.Choice(["refuse", "zeros"]),
    default="refuse",
    show_default=True,
    help="Exams that lack a channel: leave them out, or fill it with zeros.",
)
@click.option(
    "--gaps", type=click.Choice(["refuse", "resample"]), default="refuse", show_default=True, help="Series with missing slices."
)
@click.option(
    "--tilt", type=click.Choice(["refuse", "resample"]), default="refuse", show_default=True, help="Series with a tilted gantry."
)
@click.option(
    "--splits",
    metavar="FILE|COLUMN|none",
    help="A given split, checked for leaks; none: draw a new one though the data bring one.",
)
@click.option("--folds", type=click.IntRange(min=2), help="So many folds instead of training, tuning and internal test.")
@click.option(
    "--split-by",
    metavar="COLUMN",
    help="A fold for each site: leave one site out. Any column; that of the date, or 'date': the newest patients are the test.",
)
@click.option(
    "--split-after",
    metavar="DATE",
    help="Patients whose first exam is of this day or later are the internal test, e.g. 2020-01-01.",
)
@click.option("--tuning", type=click.FloatRange(0, 1), default=0.15, show_default=True, help="Share of the patients for tuning.")
@click.option(
    "--internal",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Share of the patients for the internal test; 0 makes none, and then nothing can be claimed.",
)
@click.option("--stratify-by", metavar="COLUMN", help="Column that shall be alike in all partitions, besides the label.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws another split.")
@click.option(
    "--leak-override", metavar="REASON", default="", help="Why a leak in the given split is accepted; goes into the ledger."
)
@click.option("--leave-out-faulty", is_flag=True, help="Leave out cases whose mask does not fit the image, instead of stopping.")
@click.option("--region", type=PATH, metavar="MODEL", help="A first model: every image is cut to the structure that it outlines.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show each series with pass or the reason, and what would be made; needs only --images. Writes nothing.",
)
def init(folder: Path, images: Path, dry_run: bool, **words: Any) -> Outcome:
    """Make a project from a folder of images and what is known of them.

    Opens DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF and MedMNIST files, in folders and in .zip archives,
    matches truth to images with nothing renamed and says what stayed over and why. Splits by patient, seals
    the internal test, and writes DIR/project.toml with a reason beside each line that was inferred.

    With --dry-run it first lists patients, studies and series as the files name them. Those are names and
    numbers of real patients, on the terminal and in --json: look before you share them. Nothing of it is kept.
    """
    project = make_project(folder, images, dry_run=dry_run, progress=reporter(), **words)
    return summary_outcome(project.summary, _after_rehearsal(project) if dry_run else command("plan", folder))


def _after_rehearsal(project: Project) -> str:
    assert project.summary is not None
    return "the same command without --dry-run" if project.summary.facts["ready"] else "the same command with what is missing"
