"""How an image becomes a network's input: one value, fitted on training cases, kept in the model.

It is applied and undone in `overread.batches.prepare`, nowhere else, so training and reading
cannot differ.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from overread.core.clinical import Clinical
from overread.core.region import Region


@dataclass(frozen=True)
class Normalisation:
    """How intensities are scaled, per channel.

    scheme  "window": clip to [low, high], then (value - mean) / std, all fitted on training cases;
            "per-image": clip to the image's own 0.5 and 99.5 percentiles, then z-score by its own
            mean and standard deviation
            "unclipped": z-score by the image's own mean and standard deviation
            "as-read": of a picture that is answered: scaled as the image was that is read, so that what the network says can be
            brought back to the image's own scale
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
    also           further units that they may have, where images of two kinds are described alike; each is then scaled by itself
    dimensions     2 or 3: what the network sees
    spacing        (Z, Y, X) target spacing in mm, or None where spacing is unknown: then the pixels stay
    shape          fixed (Z, Y, X) input shape for one answer per case (classification, regression);
                   None for windows over the whole grid (segmentation)
    patch          (Z, Y, X) window that the network sees; equals `shape` where that is set
    is_planar      cases are 2D images
    normalisation  one per channel
    clinical       columns of a sheet that are read beside the image; None where there are none
    region         the part of an image that is read, where a first model finds it; None where all of it is
    answer         of questions of pictures: one normalisation per channel of the picture that is answered
    """

    channels: tuple[str, ...]
    units: str
    dimensions: int
    spacing: tuple[float, float, float] | None
    shape: tuple[int, int, int] | None
    patch: tuple[int, int, int]
    is_planar: bool
    normalisation: tuple[Normalisation, ...]
    clinical: Clinical | None = None
    region: Region | None = None
    answer: tuple[Normalisation, ...] = ()
    also: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what is newer is left out where there is none of it, so that plans and caches keep their names."""
        values = {k: v for k, v in asdict(self).items() if k not in ("clinical", "region") and (k not in ("answer", "also") or v)}
        newer = {"clinical": self.clinical, "region": self.region}
        return values | {name: each.as_dict() for name, each in newer.items() if each is not None}

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
            Clinical.from_dict(values["clinical"]) if values.get("clinical") else None,
            Region(**values["region"]) if values.get("region") else None,
            tuple(Normalisation(**n) for n in values.get("answer", ())),
            tuple(values.get("also", ())),
        )
