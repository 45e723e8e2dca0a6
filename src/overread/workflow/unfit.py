"""Questions that a verb has nothing to say to, refused before anything is loaded."""

from __future__ import annotations

from overread.core.errors import OverreadError
from overread.workflow.project import Project

CODED = ("autoencode", "vae")  # tasks that answer by way of a code of the image


def refuse_images(project: Project) -> None:
    """What asks about answers that are right or wrong has nothing to say where the answer is an image."""
    refuse_unscored(project)
    if project.question.is_of_images:
        raise OverreadError(
            f"This is for findings, numbers, outlines and boxes; this project answers with images ({project.question.task}).",
            _instead(project),
        )


def _instead(project: Project) -> str:
    """What can be asked of images."""
    told = [f"see how good the images are: `{project.command('evaluate')}`"]
    told.append(f"how they are on images from elsewhere: `{project.command('external', 'NAME', '--images', 'FOLDER')}`")
    if project.question.task in CODED:
        told.append(f"what the codes hold: `{project.command('latent')}`")
    else:
        told.append(f"what was erased or invented: `{project.command('structures', '--by', 'MODEL')}`")
    return "; ".join(told)


def refuse_unscored(project: Project) -> None:
    """A model that makes images of random numbers answers no case, and without pairs no case has a truth: nothing is scored."""
    if project.question.task == "synthesize":
        raise OverreadError(
            "A model that makes images answers no case, so there is no answer to look at.",
            f"see how good its images are: `{project.command('fidelity')}`",
        )
    if project.question.is_unpaired:
        kind, other = project.question.conditions
        raise OverreadError(
            f"No case has images of both {kind} and {other}, so no answer has a true picture that it could be scored by.",
            f"see whether answers look like {other}: `{project.command('fidelity')}`; whether they keep the anatomy: "
            f"`{project.command('structures', '--by', 'MODEL')}`",
        )
