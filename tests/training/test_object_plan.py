"""The plan of a question of objects: grid, stride, anchors, sampling and augmentation follow from the sizes of the objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from overread.cohort.fingerprint import Fingerprint, Intensity
from overread.cohort.object_facts import ObjectFacts
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.reading.model import build_network
from overread.training.object_geometry import seen_sizes, stride_of
from overread.training.plan import make_plan
from overread.training.teaching import OBJECT_RATE
from overread.training.wishes import Wishes
from overread.workflow.learning.plan_file import read_plan, write_plan

BOXES = Question("detection", ("caries", "filling"))
NODULES = Question("detection", ("nodule",))
CELLS = Question("instances", ("cell",))


def of_size(extent: tuple[float, float, float], count: int = 100, cases: int = 50) -> ObjectFacts:
    """Objects about `extent` (Z, Y, X) voxels large: half of it to twice of it."""
    sizes = tuple(tuple(v if v == 1 else v * f for v in extent) for f in (0.5, 0.7, 1.0, 1.5, 2.0))
    return ObjectFacts(count, cases, sizes, (1, 2, 3, 4, 5), (1, 1, 2, 3, 4))  # type: ignore[arg-type]


def facts(shape, objects, *, spacing=None, cases=100, without=0, voxels=False) -> Fingerprint:
    level = (Intensity(50.0, 40.0, -100.0, 200.0, -1000.0, 1500.0),)
    shapes = tuple(tuple(float(n) for n in shape) for _ in range(5))
    spacings = tuple(tuple(float(n) for n in spacing) for _ in range(5)) if spacing else ()
    counts = {name: found.cases for name, found in objects.items()}
    made = Fingerprint(cases, cases, shape[0] == 1, bool(spacing), shapes, spacings, ("image",), "a.u.", "", level, level, counts)
    return replace(made, objects=objects, cases_without=without, have_voxels=voxels)


FILMS = facts((1, 640, 640), {"caries": of_size((1, 30, 30), cases=40), "filling": of_size((1, 60, 60), cases=80)})
SCANS = facts((200, 300, 300), {"nodule": of_size((8, 10, 10))}, spacing=(1.5, 1.0, 1.0), voxels=True)


def test_a_film_is_scaled_whole_where_its_small_objects_survive():
    plan = make_plan(BOXES, FILMS, Wishes())
    assert plan.preparation.shape == plan.preparation.patch == (1, 320, 320)
    assert plan.network["name"] == "centre_detector"
    assert plan.network["serves"] == "objects"
    assert plan.network["out_channels"] == 2
    assert plan.network["options"]["coarsest"] == [4, 4]
    np.testing.assert_allclose(seen_sizes(FILMS, plan.preparation)["caries"][2, 1:], 15)
    assert "21 pixels across, and 10 there" in plan.reasons["patch"]
    build_network(plan.network)


def test_small_objects_have_a_finer_stride_and_still_smaller_ones_are_read_by_windows():
    finer = make_plan(NODULES, facts((1, 640, 640), {"nodule": of_size((1, 16, 16))}), Wishes())
    assert finer.preparation.shape == (1, 320, 320)
    assert finer.network["options"]["coarsest"] == [2, 2]
    tiny = make_plan(NODULES, facts((1, 3000, 2400), {"nodule": of_size((1, 16, 16))}), Wishes())
    assert tiny.preparation.shape is None
    assert tiny.preparation.spacing is None
    assert max(tiny.preparation.patch) < 500
    assert tiny.sampling.foreground == 0.5
    assert "windows are read of the pixels as they are" in tiny.reasons["spacing"]
    known = facts((1, 3000, 2400), {"nodule": of_size((1, 30, 30))}, spacing=(1.0, 0.1, 0.1))
    coarser = make_plan(NODULES, known, Wishes())
    assert coarser.preparation.spacing == pytest.approx((1.0, 0.21, 0.21))
    np.testing.assert_allclose(seen_sizes(known, coarser.preparation)["nodule"][1, 1:], 10, rtol=0.01)


def test_large_objects_need_no_large_film():
    plan = make_plan(NODULES, facts((1, 640, 640), {"nodule": of_size((1, 120, 120))}), Wishes())
    assert plan.preparation.shape == (1, 192, 192), "84 pixels across in the film, 25 there"
    assert "more steps in the time teach more" in plan.reasons["patch"]


def test_long_films_keep_their_shape():
    plan = make_plan(BOXES, replace(FILMS, shapes=((1.0, 500.0, 1000.0),) * 5), Wishes())
    assert plan.preparation.shape == (1, 160, 320)


def test_a_scan_is_made_no_coarser_than_its_small_objects_allow():
    plan = make_plan(NODULES, SCANS, Wishes())
    assert plan.preparation.dimensions == 3
    assert plan.preparation.shape is None
    seen = seen_sizes(SCANS, plan.preparation)["nodule"]
    assert (seen[1] >= 4.99).all()
    assert np.prod(np.array(plan.preparation.spacing)) > 1.5, "a scan of 18 million voxels is not read as it is on a processor"
    assert plan.network["options"]["coarsest"] == [2, 2, 2]
    large = make_plan(NODULES, replace(SCANS, objects={"nodule": of_size((40, 60, 60))}), Wishes())
    assert np.prod(large.preparation.spacing) > np.prod(plan.preparation.spacing)
    assert large.network["options"]["coarsest"] == [4, 4, 4]
    build_network(plan.network)


def test_instances_are_told_apart_by_centres_and_need_outlines():
    cells = facts((1, 200, 200), {"cell": of_size((1, 20, 20))}, voxels=True)
    plan = make_plan(CELLS, cells, Wishes())
    assert (plan.network["name"], plan.network["serves"]) == ("centre_offset_unet", "centres")
    assert plan.has_outlines
    assert plan.augmentation.elastic > 0
    assert plan.augmentation.copy_paste > 0
    with pytest.raises(OverreadError, match="boxes without an outline") as error:
        make_plan(CELLS, replace(cells, have_voxels=False), Wishes())
    assert "ask for detection" in str(error.value.next)


@pytest.mark.parametrize("name", ["faster_rcnn", "retinanet", "fcos", "ssd"])
def test_detectors_of_torchvision_get_anchors_from_the_sizes(name):
    plan = make_plan(BOXES, FILMS, Wishes(architecture=name))
    assert plan.network["serves"] == "objects"
    if name != "fcos":
        assert plan.network["options"]["anchor_sizes"][0] == pytest.approx(10.5, abs=1)
    assert "10 to" in plan.reasons["anchors"]
    assert plan.optimizer == "adamw"


def test_the_second_route_segments_and_needs_outlines():
    plan = make_plan(BOXES, replace(FILMS, have_voxels=True), Wishes(architecture="unet"))
    assert plan.network["serves"] == "dense"
    assert plan.network["out_channels"] == 3
    with pytest.raises(OverreadError, match="taught voxel by voxel"):
        make_plan(BOXES, FILMS, Wishes(architecture="unet"))


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (Wishes(architecture="centre_detectr"), "centre_detectr"),
        (Wishes(architecture="resnet18"), "does not answer detection"),
        (Wishes(sampling="balanced"), "means nothing for detection"),
        (Wishes(class_weights="balanced"), "has no meaning for detection"),
        (Wishes(deep_supervision=True), "answers by object"),
        (Wishes(loss="dice"), "no loss for detection"),
        (Wishes(spacing=(1.0, 0.2, 0.2)), "carry no spacing"),
        (Wishes(augmentation={"elastic": 1.0}), "needs the outline of every object"),
        (Wishes(augmentation={"copy_paste": 0.5}), "needs the outline of every object"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wishes, words):
    with pytest.raises(OverreadError, match=words) as error:
        make_plan(BOXES, FILMS, wishes)
    assert error.value.next


def test_planar_networks_refuse_volumes():
    with pytest.raises(OverreadError, match="planar images only"):
        make_plan(NODULES, SCANS, Wishes(architecture="retinanet"))
    with pytest.raises(OverreadError, match="2D network for volumes"):
        make_plan(NODULES, SCANS, Wishes(dimensions=2))


def test_images_without_findings_and_rare_classes_change_the_sampling():
    assert make_plan(BOXES, FILMS, Wishes()).sampling.foreground == 0
    rare = replace(FILMS, objects={**FILMS.objects, "caries": of_size((1, 30, 30), cases=10)})
    assert make_plan(BOXES, rare, Wishes()).sampling.foreground == 0.5
    assert make_plan(BOXES, rare, Wishes(sampling="natural")).sampling.foreground == 0
    few = make_plan(BOXES, replace(FILMS, cases_without=30), Wishes())
    assert few.sampling.clean is None
    assert "their own share (30%)" in few.reasons["sampling"]
    assert make_plan(BOXES, replace(FILMS, cases_without=80), Wishes()).sampling.clean == pytest.approx(1 / 3)


def test_mirroring_is_off_where_the_side_is_part_of_the_answer():
    assert make_plan(BOXES, FILMS, Wishes()).augmentation.mirror == (2,)
    sided = make_plan(replace(BOXES, sided=True), FILMS, Wishes())
    assert sided.augmentation.mirror == ()
    assert "sides" in sided.reasons["mirror"]


def test_a_plan_of_objects_survives_being_written_and_read(tmp_path):
    for plan in (make_plan(BOXES, replace(FILMS, cases_without=80), Wishes()), make_plan(NODULES, SCANS, Wishes())):
        write_plan(tmp_path / "plan.toml", plan)
        assert read_plan(tmp_path / "plan.toml") == plan


def test_choices_for_objects_are_no_part_of_other_plans():
    """So that runs from before there were such choices can be resumed."""
    level = replace(SCANS, objects={}, class_counts={"liver": 50})
    plan = make_plan(Question("segmentation", ("liver",), (1,)), level, Wishes())
    changed = replace(
        plan,
        has_outlines=True,
        augmentation=replace(plan.augmentation, copy_paste=0.5),
        sampling=replace(plan.sampling, clean=0.5),
    )
    assert changed.identity == plan.identity
    objects = make_plan(NODULES, SCANS, Wishes())
    assert replace(objects, has_outlines=not objects.has_outlines).identity != objects.identity


def test_the_answer_in_a_volume_is_as_coarse_as_small_objects_allow_and_its_rate_is_that_of_objects():
    for across, stride in ((4.0, 2), (8.0, 2), (10.0, 4), (2.0, 1)):
        small = np.array([across, across, across])
        assert stride_of(small, 3) == (stride,) * 3
    assert stride_of(np.array([2.0, 8.0, 8.0]), 3) == (1, 2, 2)
    assert stride_of(np.array([1.0, 9.0, 9.0]), 2) == (2, 2)
    plan = make_plan(NODULES, SCANS, Wishes())
    assert (plan.optimizer, plan.learning_rate) == ("muon", OBJECT_RATE)
    assert make_plan(NODULES, SCANS, Wishes(learning_rate=1e-3)).learning_rate == 1e-3


def test_windows_of_a_volume_are_small_on_a_processor_and_hold_the_large_objects():
    few = make_plan(NODULES, SCANS, Wishes())
    assert np.prod(few.preparation.patch) < 160_000
    assert "more steps in the time teach more" in few.reasons["patch"]
    large = facts((200, 300, 300), {"nodule": of_size((40, 60, 60))}, spacing=(1.5, 1.0, 1.0), voxels=True)
    assert np.prod(make_plan(NODULES, large, Wishes()).preparation.patch) > 250_000
    assert np.prod(make_plan(NODULES, SCANS, Wishes(), device="cuda").preparation.patch) > 1_000_000
