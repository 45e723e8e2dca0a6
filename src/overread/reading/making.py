"""A trained network makes images of random numbers: in the units and on the grid of the images that it learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from overread.batches.prepare import prepare_mask
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Picture, Structure
from overread.core.preparation import Preparation
from overread.core.question import Question
from overread.reading.predictor import Predictor
from overread.tasks.generative.adversarial import Adversarial
from overread.tasks.generative.diffusing import Diffusing
from overread.tasks.generative.latent_diffusing import LatentDiffusing
from overread.tasks.generative.making import MakingTask
from overread.tasks.generative.variational import Vae
from overread.tasks.segmentation import numbered

AT_ONCE = 16


@dataclass(frozen=True)
class Guide:
    """A mask as the network takes it.

    numbers  (Z, Y, X) uint8, 0 background, k + 1 for the structure k of `question.guides`
    grid     where it lies, and the image that is made along it
    """

    numbers: np.ndarray
    grid: Grid

    def as_mask(self, question: Question) -> LabelMap:
        """With the values that the truth has."""
        values = np.array([0, *question.values])
        names = zip(question.guides, question.values, strict=True)
        return LabelMap(values[self.numbers][None], tuple(Structure(name, value, 0) for name, value in names), self.grid)


@dataclass
class ImageMaker:
    """A network with everything that it needs to make images."""

    network: nn.Module
    task: MakingTask | Vae
    preparation: Preparation
    precision: str = "float32"
    device: str = "cpu"

    @classmethod
    def of(cls, predictor: object) -> ImageMaker:
        """Of the reader that a model file was loaded as; one that makes nothing is refused."""
        if not isinstance(predictor, Predictor) or not isinstance(predictor.task, MakingTask | Vae):
            raise OverreadError(
                "This model answers cases; it makes no images.",
                "train one with --task synthesize or --task vae, or let this one read with `overread read`",
            )
        return cls(predictor.network, predictor.task, predictor.preparation, predictor.precision, predictor.device)

    @property
    def takes_steps(self) -> bool:
        """Whether an image is made in steps, whose number can be chosen."""
        return isinstance(self.task, Diffusing | LatentDiffusing)

    @property
    def question(self) -> Question:
        return self.task.question

    def guide_of(self, mask: LabelMap) -> Guide:
        """A mask on the grid of the images that are made, prepared as those were from which the network learned."""
        layers, grid = prepare_mask(mask, self.preparation)
        return Guide(numbered(mask, layers, self.question.guides), grid)

    def make(
        self, count: int, seed: int, *, steps: int | None = None, classes: Sequence[str] = (), guides: Sequence[Guide] = ()
    ) -> list[Picture]:
        """`count` pictures; the same seed gives the same ones, however many are asked for.

        steps    diffusion: from noise to image; None for the usual number
        classes  of each picture, where the network was taught classes: one for all, or one for each; none takes any, and of
                 an adversarial network each in turn
        guides   the masks along which they are made, one for each; none asks for nothing
        """
        condition = self._condition(count, classes)
        self._refuse_guides(count, guides)
        made = []
        for first in range(0, count, AT_ONCE):
            some = min(AT_ONCE, count - first)
            random = torch.Generator().manual_seed(_seed_of(seed, first))
            asked = None if condition is None else condition[first : first + some]
            along = guides[first : first + some]
            raw = self._raw(some, random, asked, steps, self._masks(some, along))
            made += [self._picture(each, along[k].grid if along else None) for k, each in enumerate(raw)]
        return made

    def _refuse_guides(self, count: int, guides: Sequence[Guide]) -> None:
        if guides and not self.question.guides:
            raise OverreadError(
                "This model was taught no masks, so it cannot follow any.", "make a project with --task synthesize --by-mask"
            )
        if guides and len(guides) != count:
            raise OverreadError(f"{len(guides)} masks were given for {count} images.", "give one for each")

    def _masks(self, count: int, guides: Sequence[Guide]) -> Tensor | None:
        """(B, 1, [Z,] Y, X) numbers of structures; (B, 1 + structures, [Z,] Y, X) of 0 where nothing is asked."""
        if not self.question.guides:
            return None
        if not guides:
            network: Any = self.network
            return torch.zeros(count, 1 + len(self.question.guides), *network.image_shape[1:])
        stacked = torch.from_numpy(np.stack([guide.numbers for guide in guides]))[:, None]
        return stacked[:, :, 0] if self.preparation.dimensions == 2 else stacked

    def _raw(
        self, count: int, random: torch.Generator, condition: Tensor | None, steps: int | None, guide: Tensor | None
    ) -> np.ndarray:
        """(count, C, Z, Y, X) scaled intensities."""
        kind = self.device.partition(":")[0]
        asked = None if condition is None else condition.to(self.device)
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bfloat16"):
            raw = self.task.make(self.network.eval(), count, random, condition=asked, guide=guide, steps=steps)
        made = raw.float().cpu().numpy()
        return made[:, :, None] if self.preparation.dimensions == 2 else made

    def _picture(self, raw: np.ndarray, along: Grid | None) -> Picture:
        """(C, Z, Y, X) scaled intensities in their units, on the grid of their mask, or on one of the usual spacing."""
        rules = self.preparation.normalisation
        array = np.stack([np.clip(v * r.std + r.mean, r.low, r.high) for v, r in zip(raw, rules, strict=True)])
        spacing = self.preparation.spacing
        grid = along or Grid.from_spacing(
            raw.shape[1:],
            spacing or (1.0, 1.0, 1.0),
            spacing_known=spacing is not None,
            is_planar=self.preparation.is_planar,
        )
        return Picture(array.astype(np.float32), grid, self.preparation.units)

    def _condition(self, count: int, classes: Sequence[str]) -> Tensor | None:
        known = self.question.conditions
        if not classes:
            return self._any_class(count) if known else None
        unknown = [name for name in classes if name not in known]
        if unknown:
            listed = f"it knows {', '.join(known)}" if known else "it was taught none"
            raise OverreadError(
                f"This model cannot be asked for '{unknown[0]}': {listed}.",
                "name one of them" if known else "make a project with --task synthesize --by-class",
            )
        each = list(classes) * count if len(classes) == 1 else list(classes)
        if len(each) != count:
            raise OverreadError(f"{len(classes)} classes were named for {count} images.", "name one for all, or one for each")
        return torch.stack([torch.tensor([float(name == other) for other in known]) for name in each])

    def _any_class(self, count: int) -> Tensor:
        """(count, classes): zeros, which a denoiser was taught as any class; each in turn for a generator, never taught zeros."""
        known = len(self.question.conditions)
        return torch.eye(known)[torch.arange(count) % known] if isinstance(self.task, Adversarial) else torch.zeros(count, known)


def _seed_of(seed: int, first: int) -> int:
    return int(np.random.SeedSequence([seed, first]).generate_state(1, np.uint64)[0] >> 1)
