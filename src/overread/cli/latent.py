"""overread latent"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, run_option
from overread.core.errors import OverreadError
from overread.workflow.project import Project

EXAMPLE = """\
overread latent films
overread latent films --run second --walk 10
overread latent films --between C-0003,C-0117
overread latent films --encode"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@run_option
@fold_option("Projects of folds: the fold whose model encodes.")
@click.option("--between", metavar="CASE,CASE", default="", help="Two cases; left out, the two tuning cases most unlike.")
@click.option("--walk", type=int, default=6, show_default=True, metavar="N", help="Numbers of the code to walk along.")
@click.option("--encode", is_flag=True, help="Only write the codes: no pictures, no page.")
@click.option("--limit", type=int, metavar="N", help="At most N cases of each partition, the same ones every time.")
def latent(
    project: Path, run_name: str | None, fold: int | None, between: str, walk: int, encode: bool, limit: int | None
) -> Outcome:
    """How do images sit in the code of an autoencoder, and what does it draw between them?

    For models of --task autoencode, --task vae and latent diffusion: writes the codes of training and tuning cases, how many
    numbers of the code are in use, the way between two cases, walks along the most varied numbers, and the nearest training case
    of each tuning case. A walk shows what the decoder draws, not what causes a disease. The internal test stays sealed.
    """
    from overread.workflow.latent import latent as look  # loads torch: not for --help

    if encode and between:
        raise OverreadError("--encode draws nothing, so --between has no use.", "leave one of them out")
    named = tuple(name.strip() for name in between.split(",") if name.strip())
    record = look(
        Project.open(project), run_name, fold=fold, between=named, walk=walk, encode=encode, limit=limit, progress=reporter()
    )
    lines = [PHANTOM] if record["is_phantom"] else []
    if record["active"] is not None:
        active = record["active"]
        lines.append(
            f"Active numbers of the code: {active['training']} of {record['length']} by training cases, {active['tuning']} by "
            f"tuning cases; {record['nats']['tuning']:.2f} nats for a tuning image."
        )
    lines.append(f"The codes of training cases use {record['directions']:.1f} of {record['length']} directions.")
    lines += [*record["notes"], "", f"Codes: {record['codes']} (whoever has the model can draw the images from them)"]
    if not encode:
        lines += [f"Between: {' and '.join(record['way']['cases'])}", f"Page: {record['page']}"]
    return Outcome("\n".join(lines), record, command("report", project, "--run", record["run"]))
