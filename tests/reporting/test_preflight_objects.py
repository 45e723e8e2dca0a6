"""The preflight page of a question of objects: boxes on the prepared image and the examples, sizes against the network's step."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Boxes
from overread.reporting.charts.sizes import size_chart
from overread.reporting.pictures.prepared_objects import ObjectsShown
from overread.reporting.preflight import ObjectPages, write_preflight


def test_the_page_shows_boxes_and_sizes(tmp_path: Path) -> None:
    grid = Grid.from_spacing((1, 40, 40), spacing_known=False, is_planar=True)
    array = np.random.default_rng(0).normal(size=(1, *grid.shape)).astype(np.float32)
    box = np.array([[[-0.5, 4.5, 6.5], [0.5, 14.5, 20.5]]])
    shown = ObjectsShown(array, box.reshape(1, 6), ("nodule",), ("nodule",), None)
    clean = ObjectsShown(array, np.zeros((0, 6)), (), ("nodule",), np.zeros((1, *grid.shape), int))
    path = write_preflight(
        tmp_path / "preflight.html",
        case_id="C-0001",
        image=Image(array, grid),
        truth=Boxes(box, ("nodule",), np.ones(1), grid),
        prepared=array,
        prepared_label=None,
        examples=[],
        plan={"question": {"task": "detection", "classes": ["nodule"], "unit": "exam"}, "reasons": {}, "expected": {}},
        is_phantom=False,
        objects=ObjectPages(shown, [shown, clean], {"nodule": [5, 8, 12, 16, 30]}, [4.0], [8.0, 16.0]),
    )
    page = path.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "Sizes of the objects, and what the network can tell apart" in page
    assert "step 4" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_sizes_run_from_small_to_large() -> None:
    chart = size_chart({"nodule": [5, 8, 12, 16, 30], "mass": [30, 40, 50, 60, 90]}, [2.0, 4.0], [])
    assert "10th percentile 8, median 12, 90th percentile 16" in chart
    assert "an answer every 2, 4 voxels" in chart
    assert "anchors" not in chart
