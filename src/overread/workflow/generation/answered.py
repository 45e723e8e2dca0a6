"""What a run answered to a case, beside the case's own picture, each in its units."""

from __future__ import annotations

from overread.cohort.index import Cohort
from overread.cohort.load import load_truth
from overread.cohort.pictures import answered_units
from overread.core.case import Case
from overread.core.kinds import Picture
from overread.evaluation.sources.pictures_file import read_picture
from overread.evaluation.sources.predictions import Predictions


def own_and_answered(cohort: Cohort, case: Case, predictions: Predictions) -> tuple[Picture, Picture]:
    """The true picture of a case, and the one that was answered, on its grid.

    Without pairs the first is the image that was read; the second is in the units of the kind that was wanted.
    """
    own, question = load_truth(cohort, case), cohort.question
    assert isinstance(own, Picture)
    units = answered_units(question) if question.is_unpaired else own.units
    return own, read_picture(case.case_id, predictions.picture(case.case_id), question, own.grid, units)
