"""One case through a model of normal images: the image as the network sees it, what is made of it, and where the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from overread.batches.prepare import Prepared, prepare_picture
from overread.cohort.index import Cohort
from overread.cohort.load import load_whole_image
from overread.cohort.pictures import given_image, of_channels, true_picture
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.reading.model import Model
from overread.reading.predictor import Predictor
from overread.workflow.anomalies.codes import code_of
from overread.workflow.anomalies.noised import DRAWS, PART, is_denoiser, made_normal
from overread.workflow.read import as_trained

ANSWERING = {
    "autoencode": "the image is coded by a network that learned normal images alone, and made again from its code",
    "vae": "the image is coded by a network that learned normal images alone, and made again from the mean of its code",
    "restore": "the image is made worse ({}) and restored by a network that learned normal images alone",
    "synthesize": "noise is added {} of the way and taken away again by a diffusion network that learned normal images alone; "
    "mean of {} draws of the noise",
}


@dataclass(frozen=True)
class Looked:
    """A case on the grid of the network, all (Z, Y, X) float32 and normalised.

    seen    the image, first channel
    answer  what is made of it, first channel
    error   how far the two differ, mean over the channels
    code    (L,) where the network makes one
    """

    seen: np.ndarray
    answer: np.ndarray
    error: np.ndarray
    prepared: Prepared
    code: np.ndarray | None


@dataclass(frozen=True)
class Looker:
    """A model that learned normal images: it looks at a case and makes a normal one of it."""

    model: Model

    @classmethod
    def of(cls, model: Model) -> Looker:
        """A model that does not answer with the image that it read is refused."""
        question = model.card.question
        if question.task not in ANSWERING or (question.task == "synthesize" and not is_denoiser(model.predictor)):
            raise OverreadError(
                f"This model ({question.task}, {model.card.network.get('name', '')}) does not make an image again that it has "
                "read, so there is no error to look at.",
                "train one on normal images with --task autoencode, vae or restore, or --task synthesize with diffusion_unet",
            )
        return cls(model)

    @property
    def words(self) -> str:
        """How an answer is made."""
        question = self.model.card.question
        return ANSWERING[question.task].format(*((question.degradation,) if question.degradation else (f"{PART:.0%}", DRAWS)))

    def look(self, image: Image, case_id: str) -> Looked:
        """Any image of the kind that was learned; of one with more channels, those that were learned, by their names."""
        question, predictor = self.model.card.question, self.model.predictor
        wanted = question.given or question.classes
        if len(image.channels) != len(wanted):
            image = of_channels(image, wanted, case_id)
        image = as_trained(image, self.model.card)[0]
        if question.task == "synthesize":
            prepared = predictor.prepare(image)
            truth = prepared.array
            answer = made_normal(cast(Predictor, predictor), truth)
        else:
            prepared = predictor.prepare(given_image(image, question, case_id))
            truth = prepare_picture(true_picture(image, question, case_id), prepared, predictor.preparation)
            answer = predictor.raw_of(prepared)
        error = np.abs(truth - answer).mean(axis=0, dtype=np.float32)
        return Looked(truth[0], answer[0], error, prepared, code_of(predictor, prepared.array))

    def look_at(self, cohort: Cohort, case: Case) -> Looked:
        return self.look(load_whole_image(cohort, case), case.case_id)
