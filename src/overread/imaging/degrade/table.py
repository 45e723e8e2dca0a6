"""The suite: every degradation by name, in the order in which it is tried."""

from __future__ import annotations

from overread.imaging.degrade.bias_field import BIAS_FIELD
from overread.imaging.degrade.blur import BLUR
from overread.imaging.degrade.contrast import CONTRAST
from overread.imaging.degrade.degradation import Degradation
from overread.imaging.degrade.jpeg import JPEG
from overread.imaging.degrade.k_space import K_SPACE
from overread.imaging.degrade.low_dose import LOW_DOSE
from overread.imaging.degrade.motion import MOTION
from overread.imaging.degrade.noise import NOISE
from overread.imaging.degrade.resolution import RESOLUTION
from overread.imaging.degrade.rotation import ROTATION
from overread.imaging.degrade.slices import MISSING_SLICES

DEGRADATIONS: dict[str, Degradation] = {
    d.name: d for d in (NOISE, BLUR, CONTRAST, LOW_DOSE, BIAS_FIELD, ROTATION, MOTION, K_SPACE, RESOLUTION, JPEG, MISSING_SLICES)
}
