"""How an image becomes a network's input: one value, fitted on training cases, kept in the model.

It is applied and undone in `overread.batches.prepare`, nowhere else, so training and reading
cannot differ.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Normalisation:
    """How intensities are scaled, per channel.

    scheme  "window": clip to [low, high], then (value - mean) / std, all fitted on training cases;
            "per-image": clip to the image's own 0.5 and 99.5 percentiles, then z-score by its own
            mean and standard deviation
    """

    scheme: str
    low: float = 0.0
    high: float = 1.0
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True)
class Preparation:
    """Channels, orientation, grid and intensities of a network's input.

    channels       names of the input channels, in order
    units          units that the images must have; another unit is refused
    dimensions     2 or 3: what the network sees
    spacing        (Z, Y, X) target spacing in mm, or None where spacing is unknown: then the pixels stay
    shape          fixed (Z, Y, X) input shape for one answer per case (classification, regression);
                   None for windows over the whole grid (segmentation)
    patch          (Z, Y, X) window that the network sees; equals `shape` where that is set
    is_planar      cases are 2D images
    normalisation  one per channel
    """

    channels: tuple[str, ...]
    units: str
    dimensions: int
    spacing: tuple[float, float, float] | None
    shape: tuple[int, int, int] | None
    patch: tuple[int, int, int]
    is_planar: bool
    normalisation: tuple[Normalisation, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preparation:
        def as_tuple(value: Any) -> Any:
            return None if value is None else tuple(value)

        return cls(
            tuple(values["channels"]),
            values["units"],
            values["dimensions"],
            as_tuple(values["spacing"]),
            as_tuple(values["shape"]),
            tuple(values["patch"]),
            values["is_planar"],
            tuple(Normalisation(**n) for n in values["normalisation"]),
        )
