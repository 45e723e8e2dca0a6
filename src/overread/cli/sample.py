"""overread sample"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.verb import Outcome, Verb

EXAMPLE = """\
overread sample runs/first/films-first.overread --out made
overread sample films-first.overread --count 200 --class PNEUMONIA --out made --seed 4
overread sample runs/first/phantoms-first.overread --along masks --count 2 --out made
overread sample films-first.overread --steps 20 --format dicom --out made"""


@click.command(cls=Verb, example=EXAMPLE)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="A new folder.")
@click.option("--count", type=int, help="How many images: 16 if left out; along masks so many for each, 1 if left out.")
@click.option("--along", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of masks to be followed.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same images.")
@click.option(
    "--class", "classes", metavar="NAME", multiple=True, help="Ask for images of a class; one for all, or one for each."
)
@click.option("--each-class", is_flag=True, help="Make --count images of every class that the model was taught.")
@click.option("--steps", type=int, metavar="N", help="Diffusion: steps from noise to image; fewer are faster and coarser.")
@click.option("--guidance", type=float, metavar="W", help="Diffusion: how far a class or mask pushes; 1 plainly asks for it.")
@click.option(
    "--format", "form", type=click.Choice(["png", "nifti", "dicom"]), help="PNG for films, NIfTI for volumes if left out."
)
@click.option("--no-corner", metavar="REASON", default="", help="Why no word is drawn into the corner of a PNG; it is recorded.")
def sample(
    model: Path,
    out: Path,
    count: int | None,
    along: Path | None,
    seed: int,
    classes: tuple[str, ...],
    each_class: bool,
    steps: int | None,
    guidance: float | None,
    form: str | None,
    no_corner: str,
) -> Outcome:
    """Let a model make new images, every one marked as synthetic.

    MODEL is the file of a run of --task synthesize or --task vae. The mark stands in the DICOM header, the NIfTI description,
    or the text of a PNG and a word in its corner. `init` takes such images into training only.
    Where classes were asked for, labels.csv in the folder says which image is of which.
    """
    from overread.workflow.sample import Wanted, link_of, masks_of, sheet_of  # loads torch: not for --help
    from overread.workflow.sample import sample as make

    record: dict[str, Any] = make(model, out, Wanted(count, seed, classes, steps, form, no_corner, each_class, along, guidance))
    masks = f"; the mask of each: {masks_of(out)}, the file that it came from: {link_of(out)}" if along else ""
    repeats = record["repeats"]
    warning = f"\nWarning: {repeats['sentence']}" if repeats and repeats["fires"] else ""
    return Outcome(f"{record['count']} synthetic images in {out}{masks}; a sheet of them: {sheet_of(out)}{warning}", record)
