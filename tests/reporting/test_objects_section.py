"""Detection and instances on the page: curves, tables, pictures, and the browser of errors."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from overread.core.image import reorient
from overread.metrics.objects.criterion import Criterion
from overread.reporting.charts.froc import at_rate, froc_chart
from overread.reporting.charts.matching import matching_chart
from overread.reporting.charts.training import score_chart
from overread.reporting.paper.cards import data_card, model_card
from overread.reporting.paper.methods import as_text
from overread.reporting.pictures.close_ups import thumbnail
from overread.reporting.pictures.figures import case_panel
from overread.reporting.pictures.objects import LOOKS
from overread.reporting.report import render
from overread.reporting.sections.objects import error_rows
from overread.reporting.sections.results import score_rows
from overread.workflow.learning.thumbnails import OF_EACH, chosen_errors
from reporting import fakes_objects


@pytest.mark.parametrize(("task", "planar"), [("detection", True), ("detection", False), ("instances", True)])
def test_a_report_of_objects_says_what_was_found_missed_and_false(task, planar):
    given = fakes_objects.objects(task, planar=planar)
    page = render(given)
    assert "overlap by at least" in page
    assert "FROC curve" in page
    assert "18 of 24" in page
    assert page.count('data-state="missed"') == 6
    assert page.count('data-state="false positive"') == 12
    assert ("Panoptic quality" in page) == (task == "instances")
    assert "5 to 10 mm" in page
    assert "Of two of one class that overlap" in page
    assert "184" in page
    assert "http" not in page.split("</style>")[1].split("<script>")[0].replace("http://www.w3.org", "")


@pytest.mark.parametrize("task", ["detection", "instances"])
def test_the_papers_texts_name_the_task(task):
    given = fakes_objects.objects(task)
    assert "metastasis" in as_text(given)
    assert data_card(given)
    assert ("boxes with scores" if task == "detection" else "an outline with a score") in model_card(given)


def test_errors_stand_the_surest_false_positive_first_and_misses_behind():
    evaluation = fakes_objects.objects().evaluations["internal"]
    rows = error_rows(evaluation)
    scores = [row.score for row in rows if row.state == "false"]
    assert scores == sorted(scores, reverse=True)
    assert rows[0].score == 0.72
    assert [row.state for row in rows] == ["false"] * 12 + ["missed"] * 6
    sizes = [row.size_value for row in rows if row.state == "missed"]
    assert sizes == sorted(sizes, reverse=True)


def test_pictures_are_made_of_the_same_errors_that_stand_first():
    def objects(k):
        return [{"state": "false", "score": k / 100, "size_px": 1}, {"state": "missed", "score": None, "size_px": k}]

    rows = [{"case_id": f"C-{k}", "objects": objects(k)} for k in range(OF_EACH + 6)]
    wanted = chosen_errors(rows)
    assert set(wanted) == {f"C-{k}" for k in range(6, OF_EACH + 6)}
    assert all(v == [0, 1] for v in wanted.values())


@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("masks", [True, False])
def test_every_state_has_its_own_colour_in_the_picture(planar, masks):
    image, truth, answer, listed = fakes_objects.scene(1, planar=planar, masks=masks)
    panel = case_panel(image, truth, answer, title="C-0001", is_phantom=True, objects=listed)
    pixels = np.asarray(PIL.Image.open(io.BytesIO(panel)).convert("RGB")).reshape(-1, 3).astype(int)
    for look in LOOKS.values():
        colour = np.array([int(look.colour[k : k + 2], 16) for k in (1, 3, 5)])
        assert (np.abs(pixels - colour).sum(1) < 40).any(), look.words
    assert len({look.style for look in LOOKS.values()}) == len(LOOKS)


def test_a_box_is_drawn_where_the_object_lies_whatever_the_axes_of_the_file():
    """A volume stored head to foot and right to left shows the same picture as one stored the usual way."""
    image, truth, answer, listed = fakes_objects.scene(2, planar=False)
    plain = case_panel(image, truth, answer, title="C", is_phantom=False, objects=listed)
    turned = _flipped(image, truth, answer, listed)
    assert _differ(plain, case_panel(*turned[:3], title="C", is_phantom=False, objects=turned[3])) < 0.002


def _flipped(image, truth, answer, listed):
    order, flips = (0, 2, 1), (True, False, True)
    sizes = [image.grid.shape[k] for k in order]

    def turn(corners):
        moved = corners[..., list(order)].copy()
        for axis, flip in enumerate(flips):
            if flip:
                moved[..., axis] = sizes[axis] - 1 - moved[..., ::-1, axis]
        return moved

    grid = image.grid.reoriented(order, flips)
    kinds = [replace(kind, corners=turn(kind.corners), grid=grid) for kind in (truth, answer)]
    moved = [{**item, "box": turn(np.array(item["box"]).reshape(2, 3)).ravel().tolist()} for item in listed]
    return replace(image, array=reorient(image.array, order, flips), grid=grid), *kinds, moved


def _differ(one, other):
    a, b = (np.asarray(PIL.Image.open(io.BytesIO(p)).convert("L"), dtype=float) for p in (one, other))
    return float((np.abs(a - b) > 60).mean()) if a.shape == b.shape else 1.0


def test_a_thumbnail_shows_the_box_in_its_middle():
    image, _, _, listed = fakes_objects.scene(3, planar=True)
    picture = np.asarray(PIL.Image.open(io.BytesIO(thumbnail(image, listed[-1]))).convert("RGB")).astype(int)
    orange = np.abs(picture - (0xE6, 0x9F, 0x00)).sum(-1) < 60
    rows, columns = np.nonzero(orange)
    assert abs(rows.mean() - 65.5) < 8
    assert abs(columns.mean() - 65.5) < 8


def test_froc_reads_the_highest_sensitivity_at_most_so_many():
    curve = fakes_objects.froc()
    assert at_rate(curve, 1.0) == 0.8
    assert at_rate(curve, 1 / 8) == 0.45
    chart = froc_chart("metastasis", curve, (1.5, 0.83))
    assert "0.800 at 1 false positives" in chart
    assert "frozen operating point" in chart
    assert 'class="band"' in chart
    empty = {"fp_per_case": [], "sensitivity": [], "low": [], "high": [], "threshold": []}
    assert "no answer" in froc_chart("metastasis", empty)


@pytest.mark.parametrize("text", ["iou 0.5", "iou 0.1", "distance 10 mm", "distance 4 px", "hit"])
def test_every_criterion_can_be_drawn(text):
    assert "What counts as found" in matching_chart(Criterion.parse(text).words)


def test_the_drawn_overlap_is_the_limit():
    chart = matching_chart(Criterion.parse("iou 0.5").words)
    boxes = [tuple(map(float, m)) for m in re.findall(r'<rect class="\S+" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', chart)]
    (x0, y0, side), (x1, y1, _) = boxes[:2]
    both = (side - (x1 - x0)) * (side - (y1 - y0))
    assert both / (2 * side**2 - both) == pytest.approx(0.5, abs=0.01)


def test_shares_of_objects_rest_on_objects_and_other_scores_on_cases():
    rows = {row.name: row.counts for row in score_rows(fakes_objects.objects().evaluation)}
    assert re.fullmatch(r"\d+ objects, \d+ patients", rows["Lesion sensitivity"])
    assert re.fullmatch(r"\d+ cases, \d+ patients", rows["Average precision at IoU 0.5"])


def test_the_only_class_has_no_curve_of_its_own_beside_the_mean():
    scores = {"ap50/nodule": 0.5, "ap50": 0.5}
    one = score_chart([{"event": "epoch", "epoch": 1, "scores": scores}])
    two = score_chart([{"event": "epoch", "epoch": 1, "scores": {**scores, "ap50/cyst": 0.4}}])
    assert "AP50, nodule" not in one
    assert "AP50, nodule" in two
    assert "AP50, cyst" in two
