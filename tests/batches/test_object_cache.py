"""The cache of a question of objects: tables beside the images, voxels by number where they are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from overread.batches import cache as module
from overread.batches.cache import open_cache
from overread.batches.objects import boxes_of_numbers
from overread.core.kinds import Boxes, Instances
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Question
from overread.tasks import make
from workflow.balls import volume_project

PREPARATION = Preparation(("image",), "a.u.", 3, (2.0, 1.0, 1.0), None, (16, 16, 16), False, (Normalisation("per-image"),))
QUESTION = Question("instances", ("ball",), (1,))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return replace(volume_project(tmp_path_factory.mktemp("objects")).cohort(), question=QUESTION)


@pytest.fixture(autouse=True)
def truths(monkeypatch):
    """Two blocks in every case but those whose number is even, which are clean."""

    def load_truth(cohort, case):
        grid = module.load_image(cohort, case).grid
        masks = np.zeros((2, *grid.shape), bool)
        masks[0, 2:5, 2:6, 2:6] = masks[1, 4:6, 8:12, 8:12] = True
        if case.case_id[-1] in "02468":
            masks = masks[:0]
        truth = Instances.of_masks(masks, ("ball",) * len(masks), np.ones(len(masks)), grid)
        return truth if cohort.question.task == "instances" else Boxes(truth.corners, truth.classes, truth.scores, grid)

    monkeypatch.setattr(module, "load_truth", load_truth)


def opened(cohort, folder, route="centres", **changes):
    encoder = make(cohort.question, route=route)
    return open_cache(cohort, PREPARATION, encoder, folder=folder, encoding={"route": route}, **changes)


def test_tables_and_numbers_come_back_as_written(cohort, tmp_path):
    opened(cohort, tmp_path)
    cases = opened(cohort, tmp_path).cases.values()
    assert {len(c.objects) for c in cases} == {0, 2}
    for case in cases:
        assert case.target.ndim == 4
        assert case.target.shape[1:] == case.image.shape[1:]
        np.testing.assert_array_equal(boxes_of_numbers(case.target, len(case.objects)), case.objects.boxes)
        assert case.objects.classes.dtype == np.int32


def test_boxes_alone_have_no_layer_and_outlines_are_kept_where_asked(cohort, tmp_path):
    boxes = replace(cohort, question=replace(QUESTION, task="detection"))
    alone = opened(boxes, tmp_path / "a", "objects")
    assert all(len(case.target) == 0 for case in alone.cases.values())
    outlined = opened(boxes, tmp_path / "b", "objects", has_outlines=True)
    assert any(case.target.any() for case in outlined.cases.values())
    dense = opened(boxes, tmp_path / "c", "dense", has_outlines=True)
    held = [case for case in dense.cases.values() if len(case.objects)]
    assert held[0].target.ndim == 3
    assert set(held[0].points) == {1}


def test_a_table_cut_short_is_built_anew(cohort, tmp_path):
    place = opened(cohort, tmp_path).folder / "objects.f32"
    whole = place.read_bytes()
    place.write_bytes(whole[:-4])
    opened(cohort, tmp_path)
    assert place.read_bytes() == whole
    place.unlink()
    assert len(opened(cohort, tmp_path).cases)
    assert place.exists()
