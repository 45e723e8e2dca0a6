"""Questions that a verb has nothing to say to, refused before anything is loaded."""

from __future__ import annotations

from overread.core.errors import OverreadError
from overread.workflow.project import Project


def refuse_images(project: Project) -> None:
    """What asks about answers that are right or wrong has nothing to say where the answer is an image."""
    refuse_makers(project)
    if project.question.is_of_images:
        raise OverreadError(
            f"This is for findings, numbers, outlines and boxes; this project answers with images ({project.question.task}).",
            f"see how good the images are: `{project.command('evaluate')}`",
        )


def refuse_makers(project: Project) -> None:
    """A model that makes images of random numbers answers no case: there is nothing to score, and nothing to compare by."""
    if project.question.task == "synthesize":
        raise OverreadError(
            "A model that makes images answers no case, so there is no answer to look at.",
            f"see how good its images are: `{project.command('fidelity')}`",
        )
