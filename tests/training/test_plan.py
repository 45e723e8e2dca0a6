"""The plan: every choice follows from the data and the machine, has a reason, and survives being written and read."""

from __future__ import annotations

import numpy as np
import pytest

from overread.cohort.fingerprint import Fingerprint, Intensity
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.training.plan import make_plan
from overread.training.wishes import CPU, Wishes
from overread.workflow.learning.plan_file import read_plan, write_plan

LIVER = Question("segmentation", ("liver", "lesion"), (1, 2))
AGE = Question("regression", ("age",), units=("months",))
PNEUMONIA = Question("classification", ("normal", "pneumonia"), positive="pneumonia")


def facts(shape, spacing, *, planar=False, known=True, units="a.u.", cases=100, low_spacing=None) -> Fingerprint:
    shapes = tuple(tuple(float(n) for n in shape) for _ in range(5))
    spacings = tuple(tuple(float(n) for n in spacing) for _ in range(5)) if known else ()
    if low_spacing is not None:
        spacings = (spacings[0], tuple(low_spacing), *spacings[2:])
    level = (Intensity(50.0, 40.0, -100.0, 200.0, -1000.0, 1500.0),)
    counts = {"liver": cases, "lesion": cases // 5, "normal": cases // 4, "pneumonia": cases - cases // 4}
    numbers = {"age": {"mean": 120.0, "std": 30.0, "known": float(cases)}}
    return Fingerprint(cases, cases, planar, known, shapes, spacings, ("image",), units, "", level, level, counts, numbers)


def test_small_volumes_are_taken_whole():
    plan = make_plan(LIVER, facts((35, 51, 36), (1, 1, 1)), Wishes())
    assert plan.preparation.patch == (40, 56, 40)
    assert plan.preparation.spacing == (1, 1, 1)
    assert plan.network["options"]["strides"][1:] == [[2, 2, 2]] * 3
    assert plan.reasons["patch"] == "the median case fits whole"


def test_a_large_ct_is_coarsened_for_a_processor_and_the_reason_says_so():
    plan = make_plan(LIVER, facts((300, 512, 512), (1.0, 0.7, 0.7), units="HU"), Wishes())
    spacing = np.array(plan.preparation.spacing)
    voxels = np.prod(np.array([300, 358.4, 358.4]) / spacing)
    assert voxels <= 1.05 * CPU.patch_voxels * CPU.windows
    assert spacing.max() / spacing.min() < 1.1  # towards cubes
    assert np.prod(plan.preparation.patch) <= 1.5 * CPU.patch_voxels
    assert "million voxels" in plan.reasons["spacing"]
    assert plan.preparation.normalisation[0].scheme == "window"


def test_a_gpu_keeps_more_of_a_large_ct():
    given = facts((300, 512, 512), (1.0, 0.7, 0.7), units="HU")
    small, large = make_plan(LIVER, given, Wishes()), make_plan(LIVER, given, Wishes(), device="cuda")
    assert np.prod(large.preparation.spacing) < np.prod(small.preparation.spacing)
    assert np.prod(large.preparation.patch) > np.prod(small.preparation.patch)
    assert large.network["options"]["features"][0] > small.network["options"]["features"][0]


def test_thick_slices_keep_the_finer_tenth_and_flat_kernels():
    plan = make_plan(LIVER, facts((20, 320, 320), (8.0, 0.6, 0.6), low_spacing=(5.0, 0.6, 0.6)), Wishes())
    assert plan.preparation.spacing[0] == 5.0
    assert plan.network["options"]["kernels"][0] == [1, 3, 3]
    assert plan.augmentation.in_plane


def test_planar_images_get_two_dimensions():
    plan = make_plan(LIVER, facts((1, 300, 400), (1, 1, 1), planar=True, known=False), Wishes())
    assert plan.preparation.dimensions == plan.network["dimensions"] == 2
    assert plan.preparation.spacing is None
    assert plan.preparation.patch[0] == 1
    with pytest.raises(OverreadError, match="planar"):
        make_plan(LIVER, facts((1, 300, 400), (1, 1, 1), planar=True), Wishes(dimensions=3))


@pytest.mark.parametrize(("edge", "side"), [(28, 28), (224, 224), (1000, 224), (100, 128)])
def test_films_are_scaled_to_a_square(edge, side):
    plan = make_plan(PNEUMONIA, facts((1, edge, edge), (1, 1, 1), planar=True, known=False), Wishes())
    assert plan.preparation.shape == (1, side, side)
    assert plan.loss == "cross_entropy"


def test_one_answer_per_volume():
    plan = make_plan(PNEUMONIA, facts((300, 512, 512), (1.0, 0.7, 0.7), units="HU"), Wishes())
    assert plan.network["name"].startswith("resnet")
    assert max(plan.preparation.shape) <= CPU.image_edge_3d + 8


def test_regression_is_scaled_by_training_cases():
    plan = make_plan(AGE, facts((1, 64, 64), (1, 1, 1), planar=True), Wishes())
    assert (plan.centre, plan.scale) == ((120.0,), (30.0,))


def test_balanced_weights_follow_the_counts():
    plan = make_plan(PNEUMONIA, facts((1, 64, 64), (1, 1, 1), planar=True), Wishes(class_weights="balanced"))
    assert plan.class_weights == pytest.approx((2.0, 0.6667))


def test_weights_that_nothing_would_use_are_refused():
    overlapping = Question("segmentation", ("liver", "lesion"), (1, 2), exclusive=False)
    given = facts((40, 40, 40), (1, 1, 1))
    assert make_plan(overlapping, given, Wishes()).class_weights == ()
    for question, what in ((overlapping, "structures that overlap"), (AGE, "a number")):
        with pytest.raises(
            OverreadError, match=rf'class_weights = "balanced" has no meaning for {what}(?s:.*)class_weights = "none"'
        ):
            make_plan(question, given, Wishes(class_weights="balanced"))


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes(loss="dise"), "'dise' is no loss"),
        (Wishes(optimizer="lamb"), "'lamb' is no optimizer"),
        (Wishes(schedule="steps"), "'steps' is no schedule"),
        (Wishes(sampling="balanced", class_weights="none"), None),
    ],
)
def test_names_are_checked_before_anything_runs(wishes, message):
    given = facts((35, 51, 36), (1, 1, 1))
    if message is None:
        assert make_plan(PNEUMONIA, given, wishes).sampling.is_balanced
        return
    with pytest.raises(OverreadError, match=message):
        make_plan(LIVER, given, wishes)


@pytest.mark.parametrize("question", [LIVER, AGE, PNEUMONIA], ids=["segmentation", "regression", "classification"])
def test_a_plan_survives_being_written_and_read(tmp_path, question):
    made = make_plan(question, facts((40, 60, 50), (1, 1, 2)), Wishes(dropout=0.1))
    made = made.with_speed("bfloat16", True, "the fastest here", {"seconds_per_step": 0.1})
    write_plan(tmp_path / "plan.toml", made)
    again = read_plan(tmp_path / "plan.toml")
    assert again.identity == made.identity
    assert again.preparation == made.preparation
    assert again.precision == "bfloat16"
    assert again.reasons == made.reasons


def test_every_choice_has_its_reason():
    made = make_plan(LIVER, facts((300, 512, 512), (1.0, 0.7, 0.7), units="HU"), Wishes())
    for choice in ("spacing", "patch", "batch", "architecture", "normalisation", "optimizer", "loss", "mirror", "sampling"):
        assert len(made.reasons[choice]) > 10, choice


def test_a_plan_changed_by_hand_is_refused(tmp_path):
    path = tmp_path / "plan.toml"
    write_plan(path, make_plan(LIVER, facts((35, 51, 36), (1, 1, 1)), Wishes()))
    path.write_text(path.read_text().replace('loss = "dice_ce"', 'loss = "dice"'))
    with pytest.raises(OverreadError, match=r"changed by hand(?s:.*)project.toml"):
        read_plan(path)
    path.write_text("format = ")
    with pytest.raises(OverreadError, match="damaged"):
        read_plan(path)
