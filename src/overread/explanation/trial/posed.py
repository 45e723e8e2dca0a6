"""The question about one case, as the trial asks it again and again: of the network, of changed networks, of changed images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.methods.method import Method
from overread.reading.predictor import Predictor

Voices = tuple[tuple[Asked, float], ...]


@dataclass(frozen=True)
class Posed:
    """One case on trial.

    voices   the question to the network, or to every member of an ensemble with its share of the answer
    truth    (Z, Y, X) bool of the window: where what is asked about was drawn; None where nobody drew it
    readers  (Z, Y, X) bool of the window each: the same, drawn by other readers; None for one who did not draw this case
    """

    case_id: str
    patient_id: str
    voices: Voices
    truth: np.ndarray | None = None
    readers: tuple[np.ndarray | None, ...] = ()

    @property
    def asked(self) -> Asked:
        return self.voices[0][0]

    @property
    def images(self) -> Tensor:
        """(1, C, [Z,] Y, X) of the window; the same for every member."""
        return self.asked.images

    def map(self, method: Method) -> np.ndarray:
        """(Z, Y, X) float32; of an ensemble the mean of its members' maps by their shares."""
        total = np.zeros(self.asked.patch, dtype=np.float32)
        for asked, share in self.voices:
            total += np.float32(share) * method(asked)
        return total

    def worth(self, images: Tensor) -> Tensor:
        """(B, C, [Z,] Y, X) -> (B,): what the network makes of the target, see `worth`."""
        return torch.stack([share * worth(asked, images) for asked, share in self.voices]).sum(0)

    def has_question(self) -> bool:
        """False where a network that lists objects lists none near the target, so that nothing is left to explain."""
        if self.asked.task.serves != "objects":
            return True
        with torch.no_grad():
            return any(float(asked.score(asked.images)) != 0 for asked, _ in self.voices)

    def with_networks(self, networks: Sequence[nn.Module]) -> Posed:
        """The same asked of other networks, one per voice."""
        pairs = zip(self.voices, networks, strict=True)
        return replace(self, voices=tuple((asked.with_network(network.eval()), share) for (asked, share), network in pairs))

    def with_models(self, members: Sequence[tuple[Predictor, float]]) -> Posed:
        """The same asked of another model, which must prepare images alike."""
        voices = tuple((replace(self.asked.with_network(p.network.eval()), task=p.task), share) for p, share in members)
        return replace(self, voices=voices)

    def one_voice(self, number: int) -> Posed:
        """The same asked of one member of an ensemble alone."""
        return replace(self, voices=((self.voices[number][0], 1.0),))

    def shifted(self, step: tuple[int, int, int]) -> Posed:
        """The same with image and target moved by so many voxels (z, y, x); at the rim the last values are repeated."""
        voices = tuple((_moved(asked, step), share) for asked, share in self.voices)
        return replace(self, voices=voices, truth=None, readers=())


def worth(asked: Asked, images: Tensor) -> Tensor:
    """(B, C, [Z,] Y, X) -> (B,): a probability where the task knows one.

    Findings and grades: the probability of the target. Structures, and objects that are answered per voxel: the mean
    probability over the voxels of the answer. Listed objects: score times overlap. Quantities: the number in standard deviations
    of the training cases.
    """
    task, target, question = asked.task, asked.target, asked.task.question
    if task.serves == "objects":
        return asked.score(images)
    if question.task == "regression":
        return asked.score(images) / (task.scaling.scale[target.number] or 1.0)
    if question.task == "classification":
        if question.exclusive and not question.ordered and len(question.classes) > 2:
            response: Tensor = task.respond(asked.network, images)
            return response[:, target.number]
        return torch.sigmoid(asked.score(images))  # of two classes the score is the lead, so this is the probability
    assert target.voxels is not None
    first = 1 if question.is_of_objects or question.exclusive else 0
    answer: Tensor = task.respond(asked.network, images)[:, target.number + first]
    inside = torch.from_numpy(target.voxels).to(answer.device).reshape(answer.shape[1:])
    return (answer * inside).flatten(1).sum(1) / max(1, int(target.voxels.sum()))


def refuse_unlike(members: Sequence[tuple[Predictor, float]]) -> None:
    """The maps of an ensemble can be averaged only where all members see the same window."""
    first = members[0][0].preparation
    if any(member.preparation != first for member, _ in members):
        raise OverreadError(
            "The members of this ensemble prepare images differently, so their maps lie on different grids and have no mean.",
            "put the run of one member on trial with --run",
        )


def _moved(asked: Asked, step: tuple[int, int, int]) -> Asked:
    target = asked.target
    voxels = None if target.voxels is None else moved(target.voxels, step)
    box = None if target.box is None else (target.box + np.tile(np.asarray(step), 2)).astype(np.float32)
    images = asked.images
    for axis, by in zip(range(1, images.ndim - 1), step[-(images.ndim - 2) :], strict=True):
        places = torch.arange(images.shape[axis + 1], device=images.device) - by
        images = images.index_select(axis + 1, places.clamp(0, images.shape[axis + 1] - 1))
    return replace(asked, images=images, target=replace(target, voxels=voxels, box=box))


def moved(volume: np.ndarray, step: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) moved by so many voxels; at the rim the last values are repeated."""
    for axis, by in enumerate(step):
        if by:
            places = np.clip(np.arange(volume.shape[axis]) - by, 0, volume.shape[axis] - 1)
            volume = np.take(volume, places, axis)
    return volume
