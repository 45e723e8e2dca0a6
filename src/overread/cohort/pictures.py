"""Pictures as answers: what is read of a case's own image, and what of it is the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Picture
from overread.core.question import Question
from overread.imaging.degrade.simulated import parse_degradation


def given_image(image: Image, question: Question, case_id: str) -> Image:
    """The channels of a case that are read; to be restored, made worse as the question says. The grid stays.

    A channel that this exam lacks stays 0 and is named in source["missing_channels"], as `overlay` leaves it.
    """
    given = of_channels(image, question.given, case_id)
    return parse_degradation(question.degradation).apply(given, case_id) if question.degradation else given


def true_picture(image: Image, question: Question, case_id: str = "") -> Picture:
    """The picture that a model should answer: the channels in `question.classes`, float32 in their units."""
    absent = [name for name in question.classes if name in image.source.get("missing_channels", ())]
    if absent:
        raise OverreadError(
            f"{case_id or 'A case'}: this exam lacks {_named(absent)}, which the model is to answer, so it has no truth.",
            "add its image, or leave the case out",
        )
    wanted = of_channels(image, question.classes, case_id)
    return Picture(wanted.array.astype(np.float32), wanted.grid, wanted.units)


def answered_units(question: Question) -> str:
    """The units of a picture that a model answers; those of every channel in turn where they differ."""
    return _joined(question.units) or "a.u."


def of_channels(image: Image, names: Sequence[str], case_id: str = "") -> Image:
    """Some channels of an image, in the order in which they are named, with their own units."""
    unknown = [name for name in names if name not in image.channels]
    if unknown or not names:
        what = f"has no {_named(unknown)}" if unknown else "is asked for no channel"
        raise OverreadError(
            f"{case_id or 'A case'}: the image {what}; its channels are {', '.join(image.channels)}.",
            "name channels that the images have, in project.toml under question.given and question.classes",
        )
    if tuple(names) == image.channels:
        return image
    places = [image.channels.index(name) for name in names]
    return replace(
        image,
        array=image.array[places],
        channels=tuple(names),
        units=_units(image, places),
        source=_source(image.source, names),
    )


def _units(image: Image, places: Sequence[int]) -> str:
    """Images of several kinds (CT with PET) name the units of every channel in turn."""
    units = image.units.split(", ")
    if len(units) != len(image.channels):
        return image.units
    return _joined([units[k] for k in places])


def _joined(units: Sequence[str]) -> str:
    return units[0] if len(set(units)) == 1 else ", ".join(units)


def _source(source: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What is known of the origin, of these channels alone."""
    known = dict(source)
    if missing := [name for name in source.get("missing_channels", ()) if name in names]:
        known["missing_channels"] = missing
    else:
        known.pop("missing_channels", None)
    if covered := {name: share for name, share in source.get("covered", {}).items() if name in names}:
        known["covered"] = covered
    else:
        known.pop("covered", None)
    return known


def _named(names: Sequence[str]) -> str:
    return f"channel{'s' if len(names) > 1 else ''} {', '.join(repr(name) for name in names)}"
