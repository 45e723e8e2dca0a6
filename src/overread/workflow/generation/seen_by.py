"""The network by whose features real and made images are compared: which one it is, decides what the numbers mean.

Without a word it is an encoder of the project's own, which learned from the training images to tell each from the others (SimCLR)
and is kept, so that every model of the project is judged by the same eyes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from overread.batches.prepare import prepare_image
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.question import Decisions, Question
from overread.imaging.window import shown
from overread.networks.device import best_device
from overread.reading.features import features_of_several
from overread.reading.model import build_network, load_model
from overread.reading.predictor import Predictor
from overread.record.run import RunFolder
from overread.tasks import make
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.pretrain import pretrain
from overread.workflow.project import Project
from overread.workflow.starts.pretrained import PLAN, is_pretraining, read_pretrained, read_record

ENCODER = "encoder"  # the run that holds the project's own
INCEPTION = "inception:"
MINUTES = 5.0  # of learning, once for a project
BATCH = 16
INCEPTION_EDGE = 299


@dataclass(frozen=True)
class Eyes:
    """words     what the features come from, for the record
    features  images -> (N, F) float32
    """

    words: str
    predictor: Predictor | None = None
    inception: nn.Module | None = None

    def features(self, images: Sequence[Image], progress: Progress | None = None, text: str = "") -> np.ndarray:
        if progress is not None:
            progress.start(len(images), text)
        found = []
        for k in range(0, len(images), BATCH):
            some = images[k : k + BATCH]
            found.append(self._by_inception(some) if self.inception is not None else self._by_predictor(some))
            if progress is not None:
                progress.advance(len(some))
        if progress is not None:
            progress.finish()
        return np.concatenate(found)

    def _by_predictor(self, images: Sequence[Image]) -> np.ndarray:
        assert self.predictor is not None
        prepared = [prepare_image(image, self.predictor.preparation) for image in images]
        return features_of_several(self.predictor, prepared, BATCH)

    @torch.inference_mode()
    def _by_inception(self, images: Sequence[Image]) -> np.ndarray:
        assert self.inception is not None
        pictures = np.concatenate([_as_photograph(image) for image in images])
        answer = self.inception(torch.from_numpy(pictures))
        return np.asarray(answer.float().numpy())


def eyes_of(project: Project, asked: str, minutes: float, fold: int | None, progress: Progress | None) -> Eyes:
    """asked  "" for the project's own encoder, a model file of Overread, the folder of a pretraining (that of another project),
    or "inception:FILE" with weights of torchvision
    """
    if asked.startswith(INCEPTION):
        return Eyes(f"Inception v3 of torchvision, weights {Path(asked.removeprefix(INCEPTION)).name}", None, _inception(asked))
    if asked and is_pretraining(RunFolder(Path(asked))):
        return _of_pretraining(RunFolder(Path(asked)))
    if asked:
        model = load_model(Path(asked))
        if not isinstance(model.predictor, Predictor) or not hasattr(model.predictor.network, "features"):
            raise OverreadError(f"{asked} has no features of an image.", "name a model of one network that answers cases")
        return Eyes(
            f"{model.card.network['name']} that learned {model.card.question.task} ({model.card.sha256})", model.predictor
        )
    run = project.run(ENCODER, fold)
    if not is_pretraining(run) or not read_record(run).get("ended"):
        pretrain(project, "contrastive", minutes=minutes, fold=fold, name=ENCODER, progress=progress)
    return _of_pretraining(run)


def _of_pretraining(run: RunFolder) -> Eyes:
    record, tensors = read_pretrained(run)
    plan = read_plan(run.path / PLAN)
    network = build_network(plan.network)
    network.load_state_dict(tensors)
    asks = Question("classification", ("image",), exclusive=False)
    predictor = Predictor(network.eval(), make(asks), plan.preparation, Decisions(), device="cpu")
    learned = f"{record['steps']} steps on {record['images']['training']} training images"
    words = f"{plan.network['name']}, an encoder that learned without labels ({learned})"
    return Eyes(words, _on(predictor, best_device()))


def _on(predictor: Predictor, device: str) -> Predictor:
    predictor.network.to(device)
    predictor.device = device
    return predictor


def _inception(asked: str) -> nn.Module:
    """Inception v3 up to its last average; the weights are a file of tensors, which runs no code."""
    from torchvision.models import inception_v3

    path = Path(asked.removeprefix(INCEPTION))
    if not path.is_file():
        raise OverreadError(f"There are no weights at {path}.", "download inception_v3_google-0cc3c7bd.pth of torchvision first")
    network = inception_v3(weights=None, aux_logits=True, transform_input=False, init_weights=False)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, KeyError, ValueError) as error:
        raise OverreadError(f"{path.name} does not hold torchvision's Inception v3: {str(error).splitlines()[0]}.") from error
    network.fc = nn.Identity()
    return network.eval()


def _as_photograph(image: Image) -> np.ndarray:
    """(Z, 3, 299, 299) float32, each slice in its display window, scaled as torchvision's weights expect."""
    grey = torch.from_numpy(np.ascontiguousarray(shown(image)[0], dtype=np.float32))[:, None]
    middle = grey if image.grid.is_planar else grey[len(grey) // 2 :][:1]
    sized = functional.interpolate(middle, (INCEPTION_EDGE, INCEPTION_EDGE), mode="bilinear", antialias=True, align_corners=False)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return np.asarray(((sized.expand(-1, 3, -1, -1) - mean[:, None, None]) / std[:, None, None]).numpy())
