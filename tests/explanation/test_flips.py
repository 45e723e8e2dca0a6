"""Smallest changes against what is known of planes, every task turned, noise beside it, degradations by bisection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from asked_toys import WAYS, image_of, predictor_of
from overread.batches.prepare import prepare_image
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.question import Decisions, OperatingPoint, Question
from overread.explanation.flips.answered import Answered, answered
from overread.explanation.flips.smallest import noise_flips, size_of, smallest_change
from overread.explanation.flips.units import units_of
from overread.explanation.flips.worsened import amount_words, least_worsening
from overread.imaging.degrade.degradation import Level
from overread.imaging.degrade.table import DEGRADATIONS
from overread.reading.predictor import Predictor
from overread.tasks import make

FLAT = next(way for way in WAYS if str(way) == "classification-2d-resnet10")
BIAS = 30.0


class Plane(nn.Module):
    """A linear score whose distance from every image is known: one weight per pixel."""

    def __init__(self, bias: float = BIAS, outputs: str = "two") -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(64, 64, generator=torch.Generator().manual_seed(0)))
        self.bias, self.outputs = bias, outputs

    def forward(self, images: Tensor) -> Tensor:
        score = (images[:, 0] * self.weight).sum((1, 2)) + self.bias
        none = torch.zeros_like(score)
        return torch.stack(
            {"two": [none, score], "three": [none, score, score / 2], "grades": [score + 3, score - 3]}[self.outputs], 1
        )


def of_plane(network: nn.Module, question: Question | None = None, threshold: float = 0.5) -> tuple[Answered, Image]:
    predictor = predictor_of(FLAT)
    asked = question or predictor.task.question
    decisions = Decisions(tuple(OperatingPoint(name, threshold, "set") for name in asked.classes))
    predictor = replace(predictor, network=network.eval(), task=make(asked), decisions=decisions)
    image = image_of(FLAT)
    found = answered(predictor, prepare_image(image, predictor.preparation))
    assert found is not None
    return found, image


def test_of_a_plane_the_distance_is_found() -> None:
    """Of a linear score s, the nearest image on the other side is |s| / sum|w| away in L-infinity, |s| / |w| in L2."""
    network = Plane()
    found, _ = of_plane(network)
    with torch.no_grad():
        score = float(network(found.asked.images)[0, 1])
    weight = network.weight
    assert isinstance(weight, Tensor)
    largest = smallest_change(found, "largest")
    mean = smallest_change(found, "mean")
    assert largest is not None
    assert mean is not None
    assert largest.size == pytest.approx(abs(score) / float(weight.abs().sum()), rel=0.03)
    assert mean.size == pytest.approx(abs(score) / float(weight.norm()) / 64, rel=0.03)  # root mean square over 64 x 64 pixels
    assert size_of(mean.values, "mean") <= size_of(largest.values, "mean")
    for change in (largest, mean):
        assert found.flipped(found.asked.images + change.values)
        assert not found.flipped(found.asked.images + 0.9 * change.values)
        assert noise_flips(found, change, 0) == 0
    assert found.before.words.startswith("present (") == (score > 0)


def test_the_frozen_threshold_decides() -> None:
    found, _ = of_plane(Plane(), threshold=0.5)
    strict, _ = of_plane(Plane(-BIAS), threshold=1e-6)
    change = smallest_change(strict, "mean")
    assert change is not None
    now = strict.now(strict.asked.images + change.values)
    assert now.value != strict.before.value
    share = float(now.words.split()[-1].strip("()"))
    assert share == pytest.approx(0.0, abs=0.01)
    assert found.before.value in ("present", "absent")


@pytest.mark.parametrize(
    "question",
    [
        Question("classification", ("a", "b", "c")),
        Question("classification", ("a", "b", "c"), exclusive=False),
        Question("classification", ("low", "mid", "high"), ordered=True),
    ],
    ids=["classes", "findings", "grades"],
)
def test_classes_findings_and_grades_are_turned(question: Question) -> None:
    found, _ = of_plane(Plane(outputs="grades" if question.ordered else "three"), question)
    change = smallest_change(found, "largest")
    assert change is not None
    assert found.flipped(found.asked.images + change.values)
    assert change.size < 0.2


@pytest.mark.parametrize("name", ["segmentation-2d-unet", "detection-2d-unet", "detection-2d-centre_detector"])
def test_outlines_and_objects_are_lost(name: str) -> None:
    way = next(way for way in WAYS if str(way) == name)
    predictor = predictor_of(way)
    prepared = prepare_image(image_of(way), predictor.preparation)
    if way.task == "detection":
        scores = predictor.found(prepared.array).scores if way.serves == "objects" else np.array([0.5])
        points = tuple(OperatingPoint(c, float(scores.max()) * 0.9, "set") for c in predictor.task.question.classes)
        predictor = replace(
            predictor, decisions=Decisions(points if way.serves == "objects" else predictor.decisions.operating_points)
        )
    found = answered(predictor, prepared)
    assert found is not None
    change = smallest_change(found, "mean")
    assert change is None or found.flipped(found.asked.images + change.values)
    assert not found.flipped(found.asked.images)


def test_a_number_and_an_ensemble_are_refused() -> None:
    way = next(way for way in WAYS if way.task == "regression")
    predictor = predictor_of(way)
    with pytest.raises(OverreadError, match="A measured number has no other side") as refusal:
        answered(predictor, prepare_image(image_of(way), predictor.preparation))
    assert "overread robustness" in refusal.value.next


def test_an_answer_that_does_not_depend_on_the_image_stays() -> None:
    class Deaf(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.sum((1, 2, 3))[:, None] * torch.tensor([[0.0, 0.0]]) + torch.tensor([[0.0, 1.0]])

    found, _ = of_plane(Deaf())
    assert smallest_change(found, "largest") is None


class Roughness(nn.Module):
    """Present where neighbours differ: noise makes it so, blur takes it away."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, images: Tensor) -> Tensor:
        rough = (images[..., 1:] - images[..., :-1]).square().mean((1, 2, 3))
        return torch.stack([torch.full_like(rough, self.limit), rough], 1) * 10


def rough(image: Image, predictor: Predictor) -> float:
    array = torch.from_numpy(prepare_image(image, predictor.preparation).array)
    return float((array[..., 1:] - array[..., :-1]).square().mean())


def test_the_least_blur_is_found_by_halving() -> None:
    image, predictor = image_of(FLAT), predictor_of(FLAT)
    limit = 0.5 * rough(image, predictor)
    found, _ = of_plane(Roughness(limit))
    rows = {row.name: row for row in least_worsening(found, image, "C-1")}
    assert set(rows) >= {"noise", "blur", "contrast", "rotation", "motion", "resolution", "jpeg"}
    assert not {"missing-slices", "bias-field"} & set(rows)
    assert rows["noise"].window is None
    assert rows["noise"].words == "SD 40 % of the spread"
    blur = rows["blur"]
    assert blur.window is not None
    assert found.flipped(blur.window)
    sigma = float(blur.words.split()[1])
    change = DEGRADATIONS["blur"].change
    none = np.random.default_rng(0)
    assert rough(change(image, sigma * 1.01, none), predictor) < limit
    assert rough(change(image, sigma - 4.0 / 64 - 0.01, none), predictor) > limit
    assert 0 < blur.change < 1


def test_amounts_are_said_in_the_words_of_the_suite() -> None:
    assert amount_words(Level(4.0, "sigma 4 pixels"), 1.25) == "sigma 1.25 pixels"
    assert amount_words(Level(0.4, "SD 40 % of the spread"), 0.125) == "SD 12.5 % of the spread"
    assert amount_words(Level(0.67, "gamma 0.67, brighter"), 0.9) == "gamma 0.9, brighter"


def test_sizes_in_grey_levels_and_shares_of_the_window() -> None:
    random = np.random.default_rng(0)
    films = np.clip(random.normal(120, 30, (1, 1, 64, 64)), 0, 255).astype(np.uint8)
    image = replace(image_of(FLAT), array=films)
    units = units_of(image, predictor_of(FLAT).preparation)
    low, high = np.percentile(films, (0.5, 99.5))
    assert units.per_sd == pytest.approx(np.clip(films.astype(float), low, high).std(), rel=1e-3)
    assert units.words(0.1) == f"0.1 SD = {0.1 * units.per_sd:.2g} grey levels, {10 * units.per_sd / 255:.2g} % of the window"
