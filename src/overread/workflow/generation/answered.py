"""What a run answered to a case, beside the case's own picture, each in its units."""

from __future__ import annotations

from overread.cohort.index import Cohort
from overread.cohort.load import load_whole_image
from overread.cohort.pictures import answered_units, true_picture
from overread.core.case import Case
from overread.core.image import Image
from overread.core.kinds import Picture
from overread.evaluation.sources.pictures_file import read_picture
from overread.evaluation.sources.predictions import Predictions


def own_and_answered(cohort: Cohort, case: Case, predictions: Predictions) -> tuple[Image, Image]:
    """The true image of a case, and the one that was answered, on its grid, with the channels that are answered.

    Without pairs the first is the image that was read; the second is in the units of the kind that was wanted. Where both have
    the same units, the second has the origin of the first: what the file says of its modality holds for what is made of it.
    """
    question, whole = cohort.question, load_whole_image(cohort, case)
    own = true_picture(whole, question, case.case_id)
    units = answered_units(question) if question.is_unpaired else own.units
    made = read_picture(case.case_id, predictions.picture(case.case_id), question, own.grid, units)
    source = dict(whole.source) if units == own.units else {}
    return as_image(own, question.classes, dict(whole.source)), as_image(made, question.classes, source)


def as_image(picture: Picture, channels: tuple[str, ...], source: dict[str, object]) -> Image:
    """A picture as a model reads it; `source` tells whether its file can hold Hounsfield units at all."""
    return Image(picture.array, picture.grid, picture.units, channels, source)
