"""overread structures"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, run_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread structures flair --by lesions.overread --lesion lesion
overread structures lowdose --run second --by liver.overread
overread structures --true masks_on_true --made masks_on_made --patients patients.csv --lesion lesion"""
FILE = click.Path(exists=True, path_type=Path)


@click.command(cls=Verb, example=EXAMPLE)
@click.argument("project", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--by", type=FILE, metavar="MODEL", help="A model of segmentation that reads such images.")
@run_option
@fold_option("Projects of folds: the fold whose tuning cases are meant.")
@click.option("--lesion", "lesions", metavar="NAME", multiple=True, help="A structure whose parts are counted. May be repeated.")
@click.option("--true", type=FILE, metavar="FOLDER", help="Without DIR: masks on the true images.")
@click.option("--made", type=FILE, metavar="FOLDER", help="Without DIR: masks on the made images, under the same names.")
@click.option("--patients", type=FILE, metavar="SHEET", help="Without DIR: which case is of which patient.")
def structures(
    project: Path | None,
    by: Path | None,
    run_name: str | None,
    fold: int | None,
    lesions: tuple[str, ...],
    true: Path | None,
    made: Path | None,
    patients: Path | None,
) -> Outcome:
    """Does a made image keep the anatomy, or are lesions erased and invented?

    One model segments the true and the made image of each tuning case: Dice and change of volume by structure, lesions
    erased and invented, each with an interval by patient. Scores of similarity cannot tell this. Of images made along
    masks, the mask stands in place of the true image. The model of segmentation errs, too; look at it first.
    """
    from overread.workflow.structures import structures as compare  # loads torch: not for --help
    from overread.workflow.structures import structures_in

    if project is None:
        if true is None or made is None or by is not None:
            raise click.UsageError("Give DIR and --by MODEL, or --true FOLDER and --made FOLDER.")
        record = structures_in(true, made, patients, lesions, reporter())
        return Outcome(describe(record), record)
    if by is None or true is not None or made is not None:
        raise click.UsageError("DIR needs --by MODEL; --true and --made stand without DIR.")
    record = compare(Project.open(project), by, run_name, fold=fold, lesions=lesions, progress=reporter())
    return Outcome(describe(record), record, command("report", project, "--run", record["run"]))


def describe(record: Mapping[str, Any]) -> str:
    """A line for each score, then what became of the lesions."""
    lines = [PHANTOM] if record.get("is_phantom") else []
    lines.append(f"{record['n_cases']} cases of {record['n_patients']} patients. {record['rule']}")
    lines += [f"{record['refused']} more were refused, and are in no score."] if record.get("refused") else []
    lines += [f"  {row['name']:<44} {row['subject']:<14} {Interval.from_dict(row['interval']).short}" for row in record["scores"]]
    notes = [f"Note: {note}" for note in record.get("notes", ())]
    return "\n".join([*lines, "", *record["sentences"], *notes]).rstrip()
