"""A first model in a plan: which part of every image the second one reads, with its reason."""

from __future__ import annotations

from dataclasses import replace

from overread.cohort.fingerprint import Fingerprint
from overread.core.preparation import Preparation


def with_region(facts: Fingerprint, preparation: Preparation, reasons: dict[str, str]) -> Preparation:
    """The preparation of the part that a first model finds; as it is where all of an image is read."""
    if facts.region is None:
        return preparation
    unit = "mm" if facts.spacing_known else "pixels"
    reasons["region"] = (
        f"set in project.toml: a first model outlines {facts.region.structure}, and the second one reads it with "
        f"{facts.region.margin_mm:g} {unit} around; sizes and intensities here are of that part. The first model outlines its "
        "own training patients better than new ones: are these among the tuning or test patients here, scores flatter"
    )
    return replace(preparation, region=facts.region)
