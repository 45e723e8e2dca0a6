"""Questions of whole images at a fixed shape: images that are coded, and images that are made of noise."""

from __future__ import annotations

from typing import Any

from overread.cohort.fingerprint import Fingerprint
from overread.core.errors import OverreadError
from overread.core.preparation import Preparation
from overread.core.question import Question
from overread.networks import needs
from overread.networks.table import ARCHITECTURES
from overread.training.asked_network import refuse_unfit_network
from overread.training.geometry import network_row, whole_batch, whole_shape
from overread.training.picture_geometry import picture_normalisation
from overread.training.wishes import Budget, Wishes

USUAL = {"autoencode": "autoencoder", "vae": "variational_autoencoder", "synthesize": "diffusion_unet"}
WHY = {
    "autoencode": "a short code of the whole image is learned, and the image made from it again",
    "vae": "a short code of the whole image is learned whose distribution is known, so that codes can be drawn",
    "synthesize": "learns steadily in a short budget; adversarial networks are faster to draw from, and harder to teach",
}


def for_whole_pictures(
    question: Question, facts: Fingerprint, wishes: Wishes, budget: Budget, dimensions: int, device: str, reasons: dict[str, str]
) -> tuple[Preparation, dict[str, Any], int]:
    if dimensions == 2 and not facts.is_planar:
        raise OverreadError(
            f"A 2D network for whole volumes is not offered for {question.task}.",
            'leave [training] dimensions at "auto", or give slices as images of their own',
        )
    shape, spacing = whole_shape(facts, wishes, budget, reasons)
    batch = whole_batch(shape, facts, wishes, budget, device, reasons)
    name = USUAL[question.task] if wishes.architecture == "auto" else wishes.architecture
    serves = "made" if question.task == "synthesize" else "pictures"
    refuse_unfit_network(question.task, name)
    reasons["architecture"] = f"{name}: {WHY[question.task]}" if wishes.architecture == "auto" else "set in project.toml"
    options: dict[str, Any] = dict(needs.on_processor(name)) if device == "cpu" else {}
    if "image_size" in ARCHITECTURES[name].options:
        options["image_size"] = list(shape[3 - dimensions :])
    options |= wishes.network
    if question.guides:
        _refuse_deaf(name)
        options["guide_channels"] = 1 + len(question.guides)  # the background's first
    read = len(question.conditions) if question.task == "synthesize" else len(facts.channels)
    network = network_row(name, read, len(question.classes), dimensions, serves, options)
    normalisation, answer = picture_normalisation(question, facts, reasons)
    preparation = Preparation(
        tuple(facts.channels), facts.units, dimensions, spacing, shape, shape, facts.is_planar, normalisation, answer=answer
    )
    return preparation, network, batch


def _refuse_deaf(name: str) -> None:
    """Refuse a network that cannot follow a mask."""
    if "guide_channels" in ARCHITECTURES[name].options:
        return
    fitting = ", ".join(n for n, row in ARCHITECTURES.items() if "made" in row.serves and "guide_channels" in row.options)
    raise OverreadError(
        f"'{name}' makes images of random numbers; it cannot follow a mask.",
        f"choose one of {fitting} in [training] architecture",
    )
