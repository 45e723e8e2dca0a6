"""Every task can be asked: the score is one number per image, it can be differentiated, and maps find the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asked_toys import WAYS, Way, asked_of, image_of, predictor_of
from overread.batches.prepare import prepare_image
from overread.core.errors import OverreadError
from overread.explanation.methods.saliency import Saliency, input_gradient
from overread.explanation.targets import targets_of


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_score_of_every_task_is_one_number_per_image_with_a_gradient(way: Way) -> None:
    asked = asked_of(way)
    score = asked.score(torch.cat([asked.images, asked.images + 0.1]))
    assert score.shape == (2,)
    gradient = input_gradient(asked, asked.images)
    assert gradient.shape == asked.images.shape
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
    step = 1e-3 * gradient.sign()
    with torch.no_grad():
        assert asked.score(asked.images + step) >= asked.score(asked.images)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_map_lies_on_the_grid_of_the_image_as_it_came(way: Way) -> None:
    asked = asked_of(way)
    values = Saliency()(asked)
    assert values.shape == asked.patch
    assert values.min() >= 0
    assert asked.on_source(values).shape == image_of(way).grid.shape
    assert asked.on_grid(values).sum() == pytest.approx(values.sum(), rel=1e-4)


def test_a_window_is_centred_on_the_object_that_is_asked_about() -> None:
    way = next(w for w in WAYS if str(w) == "segmentation-3d-unet")
    asked = asked_of(way)
    assert asked.target.voxels is not None
    assert asked.target.voxels.shape == asked.patch
    assert asked.target.voxels.any()


def test_an_unknown_target_is_refused_with_the_nearest() -> None:
    predictor = predictor_of(WAYS[0])
    prepared = prepare_image(image_of(WAYS[0]), predictor.preparation)
    with pytest.raises(OverreadError, match="no target 'presnt'; it answers absent, present") as refusal:
        targets_of(predictor, prepared, "presnt")
    assert "present" in refusal.value.next


def test_scores_are_those_of_the_answer() -> None:
    way = WAYS[0]
    asked = asked_of(way)
    predictor = predictor_of(way)
    probability = predictor.raw(prepare_image(image_of(way), predictor.preparation).array)[1]
    with torch.no_grad():
        lead = float(asked.score(asked.images))
    assert 1 / (1 + np.exp(-lead)) == pytest.approx(probability, rel=1e-4)
