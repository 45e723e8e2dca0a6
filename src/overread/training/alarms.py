"""Alarms of networks that make images: what went wrong is told while there is time to stop.

Pure functions of what was seen so far, and one value that tells each alarm once, until it has been quiet.

Sources: collapse of the images that are made: Goodfellow 2016, arXiv:1701.00160, section 5.1.1; a code that says nothing
(posterior collapse): Bowman et al., CoNLL 2016, arXiv:1511.06349; active dimensions: Burda et al., ICLR 2016, arXiv:1509.00519;
training images that are repeated: Carlini et al., USENIX Security 2023, arXiv:2301.13188.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from overread.metrics.generation.memorisation import COPY
from overread.tasks.generative.signs import ACTIVE, DIVERSITY, KL, NEAREST

IN_A_ROW = 3  # looks that must agree, for one batch may be odd
ALIKE = 0.2  # made images lie this much closer together than real ones
SILENT = 0.5  # nats of an image's code, below which it says next to nothing
BOUND, TIMES = 100.0, 10.0  # a critic's term explodes beyond the bound and beyond so many times what it was
EARLY = 0.1  # share of the budget in which nothing is told: at first every network makes noise
PENALTY = "penalty"  # the term by which WGAN-GP is known
JUDGING = ("critic", PENALTY)  # how the names of a critic's terms begin

AGAINST_COLLAPSE = 'try loss = "wgan_gp", a lower learning_rate, or more images'
AGAINST_ALIKE = 'try a lower learning_rate, or learn by regression, without a critic (an architecture that takes loss = "l1")'
AGAINST_REPEATS = "do not hand out the model before `overread fidelity` has looked; train shorter, or give more images"
AGAINST_BLAND = "train longer, or give more images"
AGAINST_PENALISED = (
    "the loss, WGAN-GP, resists this best of those with a critic: try a lower learning_rate or more images, or make images "
    'without a critic (architecture = "diffusion_unet")'
)


def collapse(diversity: Sequence[float], remedy: str) -> str | None:
    """Images made of different random numbers, or of different images, are nearly alike.

    diversity  oldest first: mean distance between two made images, over that between two real ones
    """
    last = diversity[-IN_A_ROW:]
    if len(last) < IN_A_ROW or max(last) >= ALIKE:
        return None
    return (
        f"the images that are made are nearly alike: they differ {last[-1]:.2f} times as much as real ones (collapse); {remedy}"
    )


def against_collapse(terms: Iterable[str]) -> str:
    """What helps, by the loss that is in use, which its terms tell."""
    names = list(terms)
    if PENALTY in names:
        return AGAINST_PENALISED
    if any(name.startswith("adversarial") for name in names):
        return AGAINST_ALIKE
    return AGAINST_COLLAPSE if any(name.startswith(JUDGING) for name in names) else AGAINST_BLAND


def exploding(name: str, values: Sequence[float]) -> str | None:
    """A term of the critic grows without end.

    values  oldest first, the term at each look
    """
    if len(values) < IN_A_ROW + 2:
        return None
    sizes = [abs(value) for value in values]
    before, last = sizes[:-IN_A_ROW], sizes[-IN_A_ROW - 1 :]
    is_growing = all(later > earlier for earlier, later in pairwise(last))
    if not is_growing or last[-1] <= max(BOUND, TIMES * median(before)):
        return None
    return f"the term '{name}' grows without end: {values[-1]:.4g} (exploding critic); try a lower learning_rate"


def repeating(nearest: Sequence[float]) -> str | None:
    """An image that is made repeats one of those that are learned from.

    nearest  oldest first: smallest distance to a training image, over the smallest that a tuning image keeps
    """
    last = nearest[-IN_A_ROW:]
    if len(last) < IN_A_ROW or max(last) >= COPY:
        return None
    return (
        f"an image that is made lies {last[-1]:.2f} times as far from a training image as the nearest tuning image does "
        f"(memorising); {AGAINST_REPEATS}"
    )


def vanished(kl: Sequence[float], active: Sequence[float]) -> str | None:
    """The code of an image no longer depends on the image.

    kl      oldest first: nats of the code of an image beyond the normal distribution, a mean over images
    active  numbers of the code that differ from image to image
    """
    nats, numbers = kl[-IN_A_ROW:], active[-IN_A_ROW:]
    if len(nats) < IN_A_ROW or (max(nats) >= SILENT and max(numbers) > 0):
        return None
    return (
        f"the code says nothing of the image: {nats[-1]:.2f} nats, {numbers[-1]:.0f} numbers in use (posterior collapse); "
        'train longer; of the losses "l1" weighs most beside the code'
    )


class Watch:
    """Hears of every look; tells what is wrong once, and again only after it was right in between."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}
        self.told: set[str] = set()

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"seen": {name: list(values) for name, values in self.seen.items()}, "told": sorted(self.told)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.seen = {name: list(values) for name, values in state.get("seen", {}).items()}
        self.told = set(state.get("told", ()))

    def hear(self, terms: Mapping[str, float], signs: Mapping[str, float], progress: float) -> list[str]:
        """The alarms that are new.

        terms     of the loss, by name
        signs     of a look, by name (see `overread.tasks.generative.signs`); empty where nobody looked or there are none
        progress  share of the budget that is spent
        """
        judged = {name: value for name, value in terms.items() if name.startswith(JUDGING)}
        for name, value in (judged | dict(signs)).items():
            self.seen.setdefault(name, []).append(value)
        found = {name: exploding(name, self.seen[name]) for name in judged}
        found[DIVERSITY] = collapse(self.seen.get(DIVERSITY, ()), against_collapse(terms))
        found[NEAREST] = repeating(self.seen.get(NEAREST, ()))
        found[KL] = vanished(self.seen.get(KL, ()), self.seen.get(ACTIVE, ()))
        if progress < EARLY:
            return []
        alarms = {name: text for name, text in found.items() if text}
        new = [text for name, text in alarms.items() if name not in self.told]
        self.told = set(alarms)
        return new
