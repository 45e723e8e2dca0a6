"""Questions whose answer is an image, in words: what kind of study it is, and where its truth comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.imaging.degrade.simulated import parse_degradation

KINDS = {  # task -> as a heading, and as what a network does
    "autoencode": ("Coding of images", "codes images and makes them again"),
    "vae": ("Coding of images, variational", "codes images as distributions and makes them again"),
    "translate": ("Translation of images", "translates images"),
    "restore": ("Restoration of images", "restores images"),
    "synthesize": ("Synthesis of images", "makes images"),
}


def task_title(task: str) -> str:
    """The task as a heading."""
    return KINDS[task][0] if task in KINDS else task.capitalize()


def technique(task: str) -> str:
    """``Deep learning for classification.``, ``Deep learning that restores images.``"""
    return f"Deep learning that {KINDS[task][1]}." if task in KINDS else f"Deep learning for {task}."


def is_unpaired(question: Mapping[str, Any]) -> bool:
    """Images of one kind become images of another, and no case has both."""
    return question["task"] == "translate" and bool(question.get("conditions"))


def own_truth(question: Mapping[str, Any]) -> str:
    """Where the truth of a case comes from, in a sentence, where nobody gave it; "" where somebody did, as masks are given."""
    task = question["task"]
    if task not in KINDS or question.get("guides"):
        return ""
    if task == "synthesize":
        return "A made image shows nobody, so it has no truth; made images are compared with real ones as a whole."
    if is_unpaired(question):
        first, second = question["conditions"]
        return (
            f"No case has images of both {first} and {second}, so none has a true image; translated images are compared "
            "with real ones as a whole."
        )
    if task == "translate":
        return f"The truth of a case is its own image: {_channels(question)} as acquired. Nobody annotated it."
    if question.get("degradation"):
        worse = parse_degradation(question["degradation"]).sentence.rstrip(".")
        return f"The truth of a case is its own image as it came, before it was made worse ({worse}). Nobody annotated it."
    return "The truth of a case is the image that was read, itself. Nobody annotated it."


def _channels(question: Mapping[str, Any]) -> str:
    names = list(question["classes"])
    return f"the channel{'s' if len(names) > 1 else ''} {' and '.join(names)}"


def sealed(question: Mapping[str, Any]) -> tuple[str, str]:
    """What was put under seal, with its verb, and the pronoun for it with its verb."""
    if is_unpaired(question):
        return "Of which kind each image of the internal test is was", "It was"
    if question.get("guides"):
        return "The masks of the internal test were", "They were"
    if question["task"] in KINDS:
        return "The true images of the internal test were", "They were"
    return "The reference standard of the internal test was", "It was"
