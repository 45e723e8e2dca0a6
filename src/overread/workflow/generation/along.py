"""Images made along the masks of tuning cases, and what a model of segmentation finds in them; a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_truth, load_whole_image
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import LabelMap, Picture, Structure
from overread.evaluation.pictures.structures import MaskedPair
from overread.reading.making import AT_ONCE, ImageMaker
from overread.reading.model import Model
from overread.workflow.generation.answered import as_image
from overread.workflow.read import as_trained

RULE = "An image was made along the mask of each case, one program segmented it, and what it drew is compared with that mask."
RULE_OF_LESIONS = (
    f"{RULE} A lesion is a connected component (26 neighbours); erased: less than 10 % of its voxels are drawn on the made "
    "image; invented: less than 10 % of its voxels lie in the mask. What the program itself misses or draws by chance counts as "
    "well: run it on real images with masks to see how much that is."
)
Draw = Callable[[Picture], tuple[LabelMap, tuple[str, ...]]]


@dataclass(frozen=True)
class KeptMasks:
    """The mask along which an image was made, and the one that was drawn on it, in a file until they are compared."""

    case_id: str
    patient_id: str
    file: Path
    grid: Grid
    asked: tuple[Structure, ...]
    drawn: tuple[Structure, ...]

    @classmethod
    def of(cls, case: Case, asked: LabelMap, drawn: LabelMap, file: Path) -> KeptMasks:
        np.savez_compressed(file, asked=asked.layers, drawn=drawn.layers)
        return cls(case.case_id, case.patient_id, file, asked.grid, asked.structures, drawn.structures)

    def load(self) -> tuple[LabelMap, LabelMap]:
        with np.load(self.file) as kept:
            return LabelMap(kept["asked"], self.asked, self.grid), LabelMap(kept["drawn"], self.drawn, self.grid)


@dataclass
class Followed:
    """pairs    the cases whose made image was segmented
    refused  case_id -> why no image was made along its mask, or why it was not segmented
    notes    what was assumed of the images, each sentence once
    """

    pairs: list[MaskedPair] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)


def followed(maker: ImageMaker, segmenter: Model, cohort: Cohort, folder: Path, progress: Progress | None) -> Followed:
    """Make an image along the mask of each tuning case and segment it.

    folder  takes the masks until they are compared: those of a large cohort of volumes exceed memory
    """
    found, cases = Followed(), [case for case in cohort.of("tuning") if not case.is_made]
    source = dict(load_whole_image(cohort, cases[0]).source) if cases else {}

    def draw(picture: Picture) -> tuple[LabelMap, tuple[str, ...]]:
        return drawn_on(as_image(picture, cohort.question.classes, source), segmenter)

    if progress is not None:
        progress.start(len(cases), "making images along masks")
    for first in range(0, len(cases), AT_ONCE):
        some = cases[first : first + AT_ONCE]
        _follow(maker, draw, cohort, some, first, folder, found)
        if progress is not None:
            progress.advance(len(some))
    if progress is not None:
        progress.finish()
    return found


def _follow(maker: ImageMaker, draw: Draw, cohort: Cohort, cases: list[Case], seed: int, folder: Path, found: Followed) -> None:
    guides = {}
    for case in cases:
        mask = load_truth(cohort, case)
        assert isinstance(mask, LabelMap)
        try:
            guides[case.case_id] = maker.guide_of(mask)
        except Refused as refusal:
            found.refused[case.case_id] = refusal.what
    asked = [case for case in cases if case.case_id in guides]
    made = maker.make(len(asked), seed, guides=list(guides.values()))
    for case, picture in zip(asked, made, strict=True):
        try:
            drawn, assumed = draw(picture)
        except Refused as refusal:
            found.refused[case.case_id] = refusal.what
            continue
        found.notes |= dict.fromkeys(assumed)
        mask = guides[case.case_id].as_mask(cohort.question)
        found.pairs.append(KeptMasks.of(case, mask, drawn, folder / f"{case.case_id}.npz"))


def drawn_on(image: Image, segmenter: Model) -> tuple[LabelMap, tuple[str, ...]]:
    """The mask that a model of segmentation draws on an image, and what was assumed of the image."""
    image, assumed = as_trained(image, segmenter.card)
    answer = segmenter.predictor.answer(segmenter.predictor.prepare(image))
    assert isinstance(answer, LabelMap)
    return answer, assumed
