"""overread phantom"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command
from overread.cohort.phantom.options import FAULTS, KINDS
from overread.workflow.phantom import PhantomSummary
from overread.workflow.phantom import phantom as draw

EXAMPLE = """\
overread phantom phantom --patients 24
overread phantom films --kind chest --format png --fault marker
overread phantom crowded --patients 24 --format nifti --touching"""


@click.command(cls=Verb, example=EXAMPLE)
@click.argument("out", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--kind", type=click.Choice(KINDS), default="abdomen", show_default=True, help="CT of the upper abdomen, or chest films."
)
@click.option("--patients", type=int, default=40, show_default=True, help="Patients to draw; some come more than once.")
@click.option(
    "--format", type=click.Choice(["dicom", "nifti", "png"]), default="dicom", show_default=True, help="PNG holds films only."
)
@click.option("--size", type=int, default=128, show_default=True, help="Pixels in each direction of the plane.")
@click.option("--slices", type=int, help="Slices per CT; each scanner's own spacing where it is not given.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed draws the same patients.")
@click.option("--fault", "faults", type=click.Choice(FAULTS), multiple=True, help="Plant a known fault. May be repeated.")
@click.option("--touching", is_flag=True, help="Metastases in clusters that touch; nodules that overlap on a film.")
def phantom(out: Path, faults: tuple[str, ...], **words: object) -> Outcome:
    """Make a digital phantom: images with known truth, and planted faults if wanted.

    Writes images, masks, DICOM SEG, boxes and a sheet of labels into the empty FOLDER. Every file is marked
    as synthetic. Says what a plain threshold reaches on it, so that nobody takes an easy task for a good model.
    """
    drawn = draw(out, faults=faults, progress=reporter(), **words)  # type: ignore[arg-type]
    return Outcome(str(drawn), drawn.as_dict(), command("init", *_init_words(drawn)))


def _init_words(drawn: PhantomSummary) -> list[object]:
    """Segmentation for the abdomen, classification for the chest."""
    words: list[object] = ["project", "--images", drawn.images, "--sheet", drawn.sheet, "--group-by", "patient_id"]
    if drawn.kind == "abdomen":
        return [*words, "--truth", drawn.masks]
    return [*words, "--label", "pneumonia", "--positive", "yes"]
