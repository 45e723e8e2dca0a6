"""overread anomaly"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, fold_option, project_argument, run_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread anomaly normals --images pneumonia
overread anomaly normals --images lesions --lesion lesion --rate 0.05
overread anomaly normals new_films --out ranked"""
LISTED = 10


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@click.argument("studies", metavar="[STUDY]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--images",
    "other",
    metavar="PROJECT",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A labelled project; its tuning cases are judged and scored.",
)
@click.option(
    "--normal", metavar="CLASS", default="", help="Which class is normal; by default the one that is not the positive one."
)
@click.option("--lesion", "lesions", metavar="NAME", multiple=True, help="What is drawn that is a lesion. May be repeated.")
@click.option(
    "--rate", type=float, default=0.1, show_default=True, help="Share of normal patients in whom an alarm may be raised."
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="With STUDY: a new folder for maps, tables and page."
)
@run_option
@fold_option("Projects of folds: the fold whose model is meant.")
def anomaly(
    project: Path,
    studies: tuple[Path, ...],
    other: Path | None,
    normal: str,
    lesions: tuple[str, ...],
    rate: float,
    out: Path | None,
    run_name: str | None,
    fold: int | None,
) -> Outcome:
    """What does not look like the normal images that a model learned from?

    DIR is a project of normal images alone (autoencode, vae, restore, or synthesize with a diffusion network). Its model makes
    each image again; where that fails more than is usual with normal ones, a region is found. With --images the tuning cases
    of a labelled project are scored: area under the ROC curve, FROC where lesions are drawn. Given studies are ranked.
    No sealed truth is read.
    """
    if bool(studies) == (other is not None):
        raise click.UsageError("Give --images PROJECT, or studies and --out FOLDER.")
    if bool(studies) != (out is not None):
        raise click.UsageError("--out FOLDER goes with studies, and studies with --out FOLDER.")
    if studies and (normal or lesions):
        raise click.UsageError("--normal and --lesion go with --images PROJECT.")
    from overread.workflow.anomaly import anomaly as judge  # loads torch: not for --help
    from overread.workflow.anomaly import anomaly_of_studies

    opened = Project.open(project)
    if other is not None:
        record = judge(
            opened,
            Project.open(other),
            run_name,
            fold=fold,
            normal=normal,
            lesions=lesions,
            rate=rate,
            progress=reporter(),
        )
    else:
        assert out is not None
        record = anomaly_of_studies(opened, studies, out, run_name, fold=fold, rate=rate, progress=reporter())
    return Outcome(describe(record), record)


def describe(record: Mapping[str, Any]) -> str:
    """The scores where truths are known; then the most abnormal cases."""
    lines = [PHANTOM] if record["is_phantom"] else []
    if "scores" in record:
        scores = record["scores"]
        lines.append(f"{scores['n_cases']} tuning cases of {record['of']}, {scores['n_abnormal']} abnormal; {record['rule']}.")
        if record["known_to_the_model"]:
            lines.append(f"{record['known_to_the_model']} more left out: the model knows their images or patients.")
        rows = {
            "area under the ROC curve": "auc",
            "abnormal cases with alarm": "sensitivity",
            "normal cases with alarm": "false_alarms",
        }
        rows |= {"area by the distance of codes": "auc_by_code"} if scores["auc_by_code"] else {}
        lines += [f"  {words:<44} {Interval.from_dict(scores[key]).short}" for words, key in rows.items()]
    if record.get("lesions"):
        froc = Interval.from_dict(record["lesions"]["froc"]).short
        lines.append(f"  {'lesions, mean sensitivity (FROC)':<44} {froc}")
    lines.append("")
    for case in record["cases"][:LISTED]:
        said = "alarm" if case["alarm"] else "no alarm"
        lines.append(f"  {case['case_id']:<24} {case['score']:>8.2f}  {said}, {len(case['regions'])} regions")
    lines += [f"  {one['case_id']:<24} not looked at: {one['refusal']}" for one in record.get("refused", [])]
    return "\n".join([*lines, "", f"Page: {record['page']}"])
