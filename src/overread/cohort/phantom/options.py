"""What a phantom cohort is asked to be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from overread.core.errors import OverreadError

KINDS = ("abdomen", "chest")
FORMATS = {"abdomen": ("dicom", "nifti"), "chest": ("dicom", "nifti", "png")}
FAULTS = (
    "marker",
    "label-noise",
    "duplicate-studies",
    "split-patient",
    "renamed-patient",
    "missing-slices",
    "site-follows-label",
)


@dataclass(frozen=True)
class Options:
    """The cohort in numbers.

    size    pixels in each direction of the plane
    slices  per CT, None for each scanner's own spacing
    touching   plant clusters of metastases that touch (chest: nodules that overlap on the film)
    """

    kind: str
    patients: int
    format: str
    size: int
    slices: int | None
    seed: int
    faults: tuple[str, ...]
    touching: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "faults": list(self.faults)}


def checked(options: Options) -> Options:
    """The options, or an error that says what cannot be."""
    _one_of("kind of phantom", options.kind, KINDS)
    if options.format not in FORMATS[options.kind]:
        why = " (a CT is a volume; PNG holds one plane)" if options.format == "png" else ""
        choices = " or ".join(FORMATS[options.kind])
        raise OverreadError(f"A phantom of the {options.kind} cannot be written as '{options.format}'{why}.", f"choose {choices}")
    for fault in options.faults:
        _one_of("fault", fault, FAULTS)
    if "missing-slices" in options.faults and (options.kind, options.format) != ("abdomen", "dicom"):
        raise OverreadError(
            f"'missing-slices' needs a series of slices; a {options.kind} as {options.format} has none.",
            "choose --kind abdomen --format dicom, or leave the fault out",
        )
    limits = {
        "patients": (1, 9999),
        "size": (64 if options.kind == "chest" else 32, 1024),
        "slices": (8, 1000),
        "seed": (0, 2**31),
    }
    for name, (low, high) in limits.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise OverreadError(f"{name} = {value}: expected {low} to {high}.")
    return options


def _one_of(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(known)}"
        raise OverreadError(f"There is no {what} '{name}'.", hint)
