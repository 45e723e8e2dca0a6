"""Explanations of networks over slices: their own weights as a map, methods of maps, and which slice a map points to."""

import numpy as np
import pytest

from asked_toys import Way, asked_of
from overread.explanation.methods.table import make
from overread.explanation.trial.localise import locate
from overread.reporting.explanation.trial import _places

TINY = {"encoder": "resnet10", "encoder_options": {"width": 4}, "features": 6, "hidden": 4}


@pytest.mark.parametrize(("name", "axis"), [("slices_attention", 0), ("slices_gru", 2)])
def test_the_weights_of_slices_are_a_map_of_their_planes(name, axis):
    asked = asked_of(Way("classification", 3, name, "image", {**TINY, "axis": axis}))
    values = make("slice_weights")(asked)
    weights = asked.network.slice_weights(asked.images)[0].numpy()
    assert values.shape == asked.patch
    np.testing.assert_allclose(values.sum(tuple(k for k in range(3) if k != axis)), weights, rtol=1e-4)
    assert np.ptp(np.moveaxis(values, axis, 0).reshape(len(weights), -1), axis=1).max() == 0


def test_methods_that_need_no_maps_inside_explain_a_network_over_slices_and_grad_cam_says_why_not():
    asked = asked_of(Way("classification", 3, "slices_max", "image", TINY))
    for name in ("saliency", "occlusion"):
        assert make(name).refusal(asked) is None
        assert np.abs(make(name)(asked)).max() > 0
    assert make("grad_cam").refusal(asked) is not None
    assert make("class_activation").refusal(asked) is not None


def test_the_fullest_slice_of_a_map_holds_the_drawing_or_not():
    drawn = np.zeros((4, 5, 5), bool)
    drawn[1, 2, 2] = True
    weights = np.array([0.1, 0.4, 0.3, 0.2])
    assert locate(np.broadcast_to(weights[:, None, None], drawn.shape), drawn).slice == 1.0
    assert locate(np.broadcast_to(weights[::-1, None, None], drawn.shape), drawn).slice == 0.0
    assert locate(np.ones(drawn.shape), drawn).slice == 0.25  # what knows nothing hits by chance
    assert locate(np.ones((1, 5, 5)), drawn[1:2]).slice is None


def test_the_table_of_places_names_the_fullest_slice_where_volumes_were_drawn():
    def record(*keys):
        beside = {
            f"{key}{suffix}": {"estimate": 0.5, "low": None, "high": None} for key in keys for suffix in ("", "_even", "_middle")
        }
        row = {"title": "Slice weights", "criteria": [{"criterion": "localisation", "beside": beside}]}
        return {"methods": [row], "controls": [], "human": [], "n_drawn": 4}

    (volumes,) = _places(record("energy", "pointing", "slice", "iou"))
    assert volumes.columns[3] == "fullest slice holds it"
    assert len(volumes.rows[2]) == 5
    (films,) = _places(record("energy", "pointing", "iou"))  # and trials of earlier versions
    assert "fullest slice holds it" not in films.columns
