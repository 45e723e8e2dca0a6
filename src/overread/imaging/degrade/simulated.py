"""What a restoring model reads: an image made worse in one way, written as text: ``low_dose:0.25``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.imaging.degrade.bias_field import BIAS_FIELD
from overread.imaging.degrade.blur import BLUR
from overread.imaging.degrade.coarse import LOW_RESOLUTION, THICK_SLICES
from overread.imaging.degrade.degradation import Degradation, random_of
from overread.imaging.degrade.jpeg import JPEG
from overread.imaging.degrade.k_space import K_SPACE
from overread.imaging.degrade.low_dose import LOW_DOSE
from overread.imaging.degrade.motion import MOTION
from overread.imaging.degrade.noise import NOISE

LARGEST_SHARE = 2.0  # amounts of noise up to this are shares of the spread of an image, larger ones are HU


@dataclass(frozen=True)
class Restorable:
    """A degradation that can be undone in place, and the amounts at which it makes sense.

    example  as written in project.toml
    limits   least and largest amount
    meaning  what the amount is, as in "the share of the dose that is left"
    words    amount -> how the plan and the report say it, a sentence without its full stop
    """

    degradation: Degradation
    example: str
    limits: tuple[float, float]
    meaning: str
    words: Callable[[float], str]


ROWS = (
    Restorable(
        LOW_DOSE, "low_dose:0.25", (0.01, 0.95), "the share of the dose that is left",
        lambda v: f"CT at {100 * v:g} % of its dose: quantum noise is added with the texture and spread of the scan's own, "
        f"so that noise is {1 / np.sqrt(v):.3g} times as strong",
    ),
    Restorable(
        LOW_RESOLUTION, "low_resolution:4", (1.5, 16), "how many times larger the pixels become",
        lambda v: f"pixels {v:g} times larger in the plane of the slices, each the mean of what it covers",
    ),
    Restorable(
        THICK_SLICES, "thick_slices:4", (1.5, 16), "how many times thicker the slices become",
        lambda v: f"slices {v:g} times thicker, each the mean of what it covers",
    ),
    Restorable(
        K_SPACE, "k_space:4", (1.2, 16), "the undersampling factor",
        lambda v: f"magnetic resonance with 1 line of k-space in {v:g}, the middle kept whole, the others filled with zeros",
    ),
    Restorable(
        NOISE, "noise:30", (0.01, 1000), "the SD in HU; of images without HU as a share of their spread (noise:0.2)",
        lambda v: f"normal noise of SD {v:g} HU, independent from voxel to voxel" if v > LARGEST_SHARE
        else f"normal noise of SD {100 * v:g} % of the spread of the image, Rician in magnetic resonance",
    ),
    Restorable(
        BLUR, "blur:1", (0.1, 20), "sigma in mm; in pixels where there is no spacing",
        lambda v: f"smoothed by a Gaussian of sigma {v:g} mm, or pixels where there is no spacing",
    ),
    Restorable(
        MOTION, "motion:1.5", (0.1, 30), "mm moved; in pixels where there is no spacing",
        lambda v: f"motion by {v:g} mm, or pixels where there is no spacing: ghosts in magnetic resonance, else a smear",
    ),
    Restorable(
        BIAS_FIELD, "bias_field:0.4", (0.05, 1.5), "from its weakest to its strongest place, as a share",
        lambda v: f"magnetic resonance with a bias field of {100 * v:g} % across the image",
    ),
    Restorable(
        JPEG, "jpeg:10", (1, 95), "the quality",
        lambda v: f"saved as JPEG of quality {v:g} in 8 bits of the display range",
    ),
)  # fmt: skip
BY_CHANCE = ("low_dose", "k_space", "noise", "motion", "bias_field")  # come out otherwise each time
RESTORABLE = {row.degradation.name.replace("-", "_"): row for row in ROWS}


@dataclass(frozen=True)
class Simulated:
    """One degradation at one amount. The same case is degraded in the same way in every run."""

    name: str
    amount: float

    @property
    def text(self) -> str:
        """As in project.toml."""
        return f"{self.name}:{self.amount:g}"

    @property
    def is_by_chance(self) -> bool:
        """Whether the same image can be made worse in many ways."""
        return self.name in BY_CHANCE

    @property
    def sentence(self) -> str:
        """What is read, for plan and report."""
        words = RESTORABLE[self.name].words(self.amount)
        return f"{words[0].upper()}{words[1:]}. Simulated from the image itself."

    @property
    def source(self) -> str:
        """Where the model of the fault is from; "" where there is nothing to cite."""
        return RESTORABLE[self.name].degradation.source

    def obstacle(self, image: Image) -> str:
        """Why this makes no sense for an image like this one; "" where it does."""
        if self.name == "noise" and image.units == "HU" and self.amount <= LARGEST_SHARE:
            return f"noise of images in HU is given in HU, and {self.amount:g} HU would hardly be seen (for example noise:30)"
        if self.name == "noise" and image.units != "HU" and self.amount > LARGEST_SHARE:
            return (
                f"noise of images in {image.units} is a share of their spread, at most {LARGEST_SHARE:g} (for example noise:0.2)"
            )
        return RESTORABLE[self.name].degradation.obstacle(image)

    def apply(self, image: Image, case_id: str) -> Image:
        """The image made worse: same grid, same type, same channels."""
        if why := self.obstacle(image):
            raise OverreadError(
                f"{case_id}: {self.text} cannot be simulated on its image: {why}.",
                f"choose another degradation ({examples()}), or leave the case out",
            )
        return RESTORABLE[self.name].degradation.change(image, self.amount, random_of(self.name, case_id))


def parse_degradation(text: str) -> Simulated:
    """ "low_dose:0.25" -> what is done to an image before it is read."""
    name, _, amount = (part.strip() for part in text.partition(":"))
    name = name.lower().replace("-", "_")
    row = RESTORABLE.get(name)
    if row is None:
        near = get_close_matches(name, RESTORABLE, 1)
        asked = f"There is no degradation '{name}' to restore from." if name else "The degradation to restore from is not named."
        raise OverreadError(asked + (f" Did you mean '{near[0]}'?" if near else ""), f"write one such as {examples()}")
    try:
        value = float(amount)
    except ValueError:
        value = float("nan")
    low, high = row.limits
    if not low <= value <= high:
        raise OverreadError(
            f"The degradation '{text}' needs an amount from {low:g} to {high:g}: {row.meaning}.",
            f'for example degradation = "{row.example}"',
        )
    return Simulated(name, value)


def examples() -> str:
    """One of each, for messages."""
    return ", ".join(row.example for row in ROWS)
