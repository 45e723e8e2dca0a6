"""What is tried on a model: which degradations, at which amounts, on which cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level
from overread.imaging.degrade.table import DEGRADATIONS

ADVERSARIAL = "adversarial"
ADVERSARIAL_TITLE = "Adversarial step"
ADVERSARIAL_WHAT = "every voxel of the prepared image goes up or down by one small step, against the model's own answer"
EPSILONS = (0.01, 0.05)  # of the spread that the preparation brings to 1
NAMES = (*DEGRADATIONS, ADVERSARIAL)


@dataclass(frozen=True)
class Condition:
    """One degradation at one amount; `degradation` is None for the adversarial step, which needs the network."""

    name: str
    title: str
    level: Level
    degradation: Degradation | None

    @property
    def words(self) -> str:
        return f"{self.title}, {self.level.words}"


def chosen_names(only: Sequence[str]) -> tuple[str, ...]:
    """The names asked for, in the order of the suite; all where none was named."""
    for name in only:
        if name not in NAMES:
            near = get_close_matches(name, NAMES, 1)
            raise OverreadError(
                f"There is no degradation '{name}'." + (f" Did you mean '{near[0]}'?" if near else ""),
                f"--only takes, joined by commas: {', '.join(NAMES)}",
            )
    return tuple(name for name in NAMES if not only or name in only)


def conditions(names: Sequence[str], image: Image) -> tuple[list[Condition], list[dict[str, str]]]:
    """What is to be read, and what makes no sense for images like this one, with the reason."""
    tried: list[Condition] = []
    not_run: list[dict[str, str]] = []
    for name in names:
        if name == ADVERSARIAL:
            steps = (Level(v, f"epsilon {100 * v:g} % of the spread") for v in EPSILONS)
            tried += [Condition(name, ADVERSARIAL_TITLE, level, None) for level in steps]
            continue
        degradation = DEGRADATIONS[name]
        if why := degradation.obstacle(image):
            not_run.append({"degradation": name, "title": degradation.title, "reason": why})
            continue
        tried += [Condition(name, degradation.title, level, degradation) for level in degradation.levels(image)]
    return tried, not_run


def what_was_done(tried: Sequence[Condition]) -> list[dict[str, str]]:
    """Title, sentence and source of every degradation that was tried."""
    rows = {}
    for condition in tried:
        of = condition.degradation
        rows[condition.name] = {
            "degradation": condition.name,
            "title": condition.title,
            "what": of.what if of else ADVERSARIAL_WHAT,
            "source": of.source if of else "fast gradient sign method, Goodfellow 2015",
        }
    return list(rows.values())
