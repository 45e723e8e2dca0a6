"""What a network over slices is given: fine planes, all slices, thick ones as they are, and a reason for each."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from overread.batches.cache import PreparedCase
from overread.core.errors import OverreadError
from overread.training.plan import make_plan
from overread.training.wishes import Wishes
from overread.workflow.learning.plan_file import read_plan, write_plan
from overread.workflow.plan import batches_of
from training.test_plan import PNEUMONIA, facts

ATTENTION = Wishes(architecture="slices_attention")


def test_thick_slices_stay_and_their_plane_is_finer_than_a_cube_would_be():
    given = facts((24, 512, 512), (5.0, 0.7, 0.7), units="HU")
    cube, slices = make_plan(PNEUMONIA, given, Wishes()), make_plan(PNEUMONIA, given, ATTENTION)
    assert slices.preparation.shape == (24, 128, 128)
    assert slices.preparation.spacing == pytest.approx((5.0, 2.8, 2.8))
    assert cube.preparation.spacing[1] > 1.9 * slices.preparation.spacing[1]
    assert slices.network["options"] == {
        "axis": 0,
        "image_size": [24, 128, 128],
        "encoder_options": {"width": 32},
    }
    assert "slices as they are" in slices.reasons["spacing"]
    assert "a network over slices (slices_attention) suits such volumes" in cube.reasons["architecture"]


def test_a_gpu_keeps_more_pixels_and_the_published_width():
    plan = make_plan(PNEUMONIA, facts((24, 512, 512), (5.0, 0.7, 0.7)), ATTENTION, device="cuda")
    assert plan.preparation.shape == (24, 384, 384)
    assert plan.network["options"]["encoder_options"] == {}


def test_the_longest_case_is_seen_whole_up_to_a_limit():
    given = facts((20, 100, 100), (5.0, 1.0, 1.0))
    longer = replace(given, shapes=(*given.shapes[:4], (36.0, 100.0, 100.0)))
    plan = make_plan(PNEUMONIA, longer, ATTENTION)
    assert plan.preparation.shape[0] == 36
    assert "padding around shorter volumes has no say" in plan.reasons["patch"]
    endless = replace(given, shapes=(*given.shapes[:3], (96.0, 100.0, 100.0), (900.0, 100.0, 100.0)))
    plan = make_plan(PNEUMONIA, endless, ATTENTION)
    assert plan.preparation.shape[0] == 48
    assert plan.preparation.spacing[0] == pytest.approx(10.0)
    assert "longer ones lose their ends" in plan.reasons["patch"]
    assert "joined to 10 mm" in plan.reasons["spacing"]


def test_slices_follow_each_other_along_the_thick_axis():
    plan = make_plan(PNEUMONIA, facts((256, 256, 30), (0.6, 0.6, 4.0)), ATTENTION)
    assert plan.network["options"]["axis"] == 2
    assert plan.preparation.shape == (128, 128, 30)
    assert plan.reasons["slices"] == "slices follow each other from right to left, as most were acquired"
    asked = make_plan(PNEUMONIA, facts((256, 256, 30), (0.6, 0.6, 4.0)), replace(ATTENTION, network={"axis": 0}))
    assert asked.network["options"]["axis"] == 0


def test_batches_are_told_along_which_axis_padding_lies():
    case = PreparedCase("1", np.zeros((1, 4, 8, 8), np.float16), np.float32([1, 0]), {})
    kept = SimpleNamespace(of=lambda wanted: [case for _ in wanted])
    cohort = SimpleNamespace(question=PNEUMONIA, of=lambda partition: [SimpleNamespace(case_id="1")])
    given = facts((256, 256, 30), (0.6, 0.6, 4.0))
    assert batches_of(make_plan(PNEUMONIA, given, ATTENTION), kept, cohort, "cpu").slices == 2
    assert batches_of(make_plan(PNEUMONIA, given, Wishes()), kept, cohort, "cpu").slices is None


def test_large_steps_keep_the_maps_of_some_slices_at_a_time():
    plan = make_plan(PNEUMONIA, facts((48, 512, 512), (2.0, 0.7, 0.7)), replace(ATTENTION, batch=16))
    assert plan.network["options"]["chunk"] * 128 * 128 <= 8_000_000
    assert "maps of" in plan.reasons["chunk"]


def test_volumes_without_spacing_are_scaled_by_one_factor():
    plan = make_plan(PNEUMONIA, facts((30, 256, 256), (1, 1, 1), known=False), ATTENTION)
    assert plan.preparation.spacing is None
    assert plan.preparation.shape == (15, 128, 128)


def test_what_is_set_is_kept_and_a_written_plan_reads_back_the_same(tmp_path):
    wishes = replace(ATTENTION, network={"encoder": "timm:resnet10t", "features": 32, "encoder_options": {"drop_rate": 0.1}})
    plan = make_plan(PNEUMONIA, facts((24, 100, 100), (5.0, 1.0, 1.0)), replace(wishes, spacing=(5.0, 2.0, 2.0)))
    assert plan.network["options"]["encoder_options"] == {"drop_rate": 0.1}
    assert plan.preparation.shape == (24, 56, 56)
    write_plan(tmp_path / "plan.toml", plan)
    assert read_plan(tmp_path / "plan.toml").identity == plan.identity
    shaped = make_plan(PNEUMONIA, facts((24, 100, 100), (5.0, 1.0, 1.0)), replace(wishes, patch=(16, 64, 64)))
    assert shaped.preparation.shape == (16, 64, 64)


def test_films_have_no_slices_and_a_plane_network_does_not_read_volumes_alone():
    with pytest.raises(OverreadError, match="reads the slices of volumes, and the images are planar"):
        make_plan(PNEUMONIA, facts((1, 300, 300), (1, 1, 1), planar=True), ATTENTION)
    with pytest.raises(OverreadError, match='architecture = "slices_attention" takes a 2D network to each slice'):
        make_plan(PNEUMONIA, facts((24, 100, 100), (5.0, 1.0, 1.0)), Wishes(dimensions=2))


def test_cubes_are_said_to_suit_a_whole_volume():
    plan = make_plan(PNEUMONIA, facts((100, 100, 100), (1.0, 1.0, 1.0)), ATTENTION)
    assert "nearly cubes, in which a 3D network sees shapes across slices" in plan.reasons["architecture"]
