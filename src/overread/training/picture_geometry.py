"""Questions of images: the grid and the intensities at which a picture is read and answered, each with its reason."""

from __future__ import annotations

from dataclasses import replace

from overread.cohort.fingerprint import Fingerprint, Intensity
from overread.core.errors import OverreadError
from overread.core.preparation import Normalisation
from overread.core.question import Question
from overread.training.wishes import Budget

UNPAIRED = "cycle_gan"  # the network that learns from two heaps
FIXED = ("HU", "SUV")  # units that mean the same on every scanner
WINDOW = {"restore": 32_768, "translate": 131_072}  # voxels of a volume that a processor learns from at once


def usual_network(question: Question, stages: int, reasons: dict[str, str]) -> str:
    """stages  of a U-Net for the window"""
    if question.is_unpaired:
        reasons["architecture"] = (
            f"cycle_gan: no case has images of both kinds, so {question.conditions[0]} is taught to look like "
            f"{question.conditions[1]} by critics, and to come back the same"
        )
        return UNPAIRED
    reasons["architecture"] = f"U-Net with {stages} stages: each axis is halved while it has 8 voxels or more"
    return "unet"


def refuse_pairs(question: Question, what: str, asked: str, fitting: str) -> None:
    """Whatever learns by comparing an answer with the truth of its case has nothing to learn from without pairs.

    what     "architecture" or "loss"
    fitting  the one that learns without pairs
    """
    if question.is_unpaired and asked != fitting:
        raise OverreadError(
            f"The {what} '{asked}' learns from pairs, and here no case has images of both {' and '.join(question.conditions)}.",
            f'set [training] {what} = "{fitting}", or leave it at "auto"',
        )


def tell_voxels_are_kept(reasons: dict[str, str]) -> None:
    """A picture is answered voxel for voxel: there is no spacing that all images would be brought to."""
    reasons["spacing"] = "each image keeps its voxels: resampled to another grid and back, the picture would be blurred"


def with_small_windows(question: Question, architecture: str, budget: Budget, dimensions: int, device: str) -> Budget:
    """On a processor a window of a volume is small: what a voxel looked like before noise is told by those near it, and every
    voxel of a picture is a truth, so that a short training needs steps more than surroundings.

    A step of the network of two heaps asks four networks eight times, so its windows are the smallest.
    """
    if dimensions == 2 or device != "cpu" or question.task not in WINDOW:
        return budget
    of_two_heaps = question.is_unpaired or architecture == UNPAIRED
    most = min(WINDOW.values()) if of_two_heaps else WINDOW[question.task]
    return replace(budget, patch_voxels=min(budget.patch_voxels, most))


def picture_normalisation(
    question: Question, facts: Fingerprint, reasons: dict[str, str]
) -> tuple[tuple[Normalisation, ...], tuple[Normalisation, ...]]:
    """How the image that is read, and the picture that is answered, are scaled; nothing within the range of training is cut.

    Images that are coded or made anew need one scale for all, or what is made of a code could not be shown.
    """
    read = tuple(_fixed(each) for each in (_widened(facts) if question.task == "restore" else facts.intensity))
    if question.task == "synthesize":
        reasons["normalisation"] = "one scale for all images, fitted on the training cases: what is made is shown by it"
        return read, ()
    answered = tuple(_fixed(each) for each in facts.answered)
    as_read = tuple(Normalisation("as-read") for _ in question.classes)
    if question.task in ("autoencode", "vae") or all(unit in FIXED for unit in facts.units.split(", ")):
        whose = "all images of a kind" if question.is_unpaired else "all images"
        reasons["normalisation"] = f"one scale for {whose}, fitted on the training cases; nothing between their extremes is cut"
        return read, as_read if question.task == "restore" else answered
    own = tuple(Normalisation("unclipped") for _ in facts.channels)
    if question.task == "restore":
        reasons["normalisation"] = (
            "intensities have no fixed scale here: each image is scaled by its own mean and spread, the answer back by the same"
        )
        return own, as_read
    reasons["normalisation"] = (
        "intensities have no fixed scale here: what is read is scaled by its own mean and spread; what is answered has the mean "
        "and the spread of the training cases"
    )
    return own, answered


def _widened(facts: Fingerprint) -> tuple[Intensity, ...]:
    """The range of what is read, widened to that of the truth: the answer is clipped to it."""
    pairs = zip(facts.intensity, facts.answered, strict=True)
    return tuple(replace(read, min=min(read.min, true.min), max=max(read.max, true.max)) for read, true in pairs)


def _fixed(seen: Intensity) -> Normalisation:
    return Normalisation("window", seen.min, seen.max, seen.mean, max(seen.std, 1e-6))
