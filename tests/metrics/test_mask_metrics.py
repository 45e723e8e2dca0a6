"""Metrics of masks against SimpleITK, MONAI and a distance transform over the whole grid."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.metrics import overlap, surface
from overread.metrics.label_maps import score_label_maps

SPACING = (2.5, 0.8, 1.1)
STRUCTURES = (Structure("liver", 1), Structure("lesion", 2))


def blob(seed: int, shape: tuple[int, ...] = (14, 24, 20)) -> np.ndarray:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.5)
    return field > np.quantile(field, 0.85)


def label_map(layer: np.ndarray, **grid: object) -> LabelMap:
    return LabelMap(layer[None].astype(np.uint8), STRUCTURES, Grid.from_spacing(layer.shape, SPACING, **grid))


def scores(truth: np.ndarray, answer: np.ndarray, tolerance: float = 1.0, **grid: object) -> dict:
    found = score_label_maps(label_map(truth, **grid), label_map(answer, **grid), ("liver",), tolerance)
    return found["liver"].scores


def itk(mask: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(SPACING[::-1])
    return image


def whole_grid_distances(truth: np.ndarray, answer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The definition itself: erosion for the surface, a distance transform over the whole grid."""
    cross = ndimage.generate_binary_structure(3, 1)
    edges = [m & ~ndimage.binary_erosion(m, cross, border_value=0) for m in (truth, answer)]
    away = [ndimage.distance_transform_edt(~e, sampling=SPACING) for e in edges]
    return away[1][edges[0]], away[0][edges[1]]


@pytest.mark.parametrize("seed", range(4))
def test_overlap_equals_simple_itk(seed) -> None:
    truth, answer = blob(seed), blob(seed) ^ (blob(seed + 50) & blob(seed + 60))
    measure = SimpleITK.LabelOverlapMeasuresImageFilter()
    measure.Execute(itk(answer), itk(truth))  # source, then target, whose voxels are the truth
    found = scores(truth, answer)
    assert found["dice"].value == pytest.approx(measure.GetDiceCoefficient())
    assert found["iou"].value == pytest.approx(measure.GetJaccardCoefficient())
    assert found["voxel_sensitivity"].value == pytest.approx(1 - measure.GetFalseNegativeError())
    volume = (answer.sum() - truth.sum()) * np.prod(SPACING) / 1000
    assert found["volume_error_ml"].value == pytest.approx(volume)
    assert found["volume_error_percent"].value == pytest.approx(100 * (answer.sum() / truth.sum() - 1))
    assert found["absolute_volume_error_percent"].value == pytest.approx(abs(found["volume_error_percent"].value))


@pytest.mark.parametrize("seed", range(4))
def test_distances_equal_a_transform_over_the_whole_grid(seed) -> None:
    truth, answer = blob(seed), blob(seed + 1)
    forth, back = whole_grid_distances(truth, answer)
    found = scores(truth, answer, tolerance=1.5)
    assert found["hd95"].value == pytest.approx(max(np.percentile(forth, 95), np.percentile(back, 95)))
    assert found["assd"].value == pytest.approx(np.r_[forth, back].mean())
    assert found["surface_dice"].value == pytest.approx((np.r_[forth, back] <= 1.5).mean())


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@pytest.mark.parametrize("seed", range(3))
def test_distances_equal_monai(seed) -> None:
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    truth, answer = np.zeros((18, 28, 24), bool), np.zeros((18, 28, 24), bool)
    truth[2:-2, 2:-2, 2:-2], answer[2:-2, 2:-2, 2:-2] = blob(seed), blob(seed + 9)
    pair = [torch.tensor(m[None, None].astype(np.float32)) for m in (answer, truth)]
    words = {"include_background": True, "spacing": list(SPACING)}
    found = scores(truth, answer, tolerance=2.0)
    assert found["hd95"].value == pytest.approx(float(monai.compute_hausdorff_distance(*pair, percentile=95, **words)), rel=1e-5)
    assd = monai.compute_average_surface_distance(*pair, symmetric=True, **words)
    assert found["assd"].value == pytest.approx(float(assd), rel=1e-5)
    near = monai.compute_surface_dice(*pair, class_thresholds=[2.0], **words)
    assert found["surface_dice"].value == pytest.approx(float(near), rel=1e-5)


def test_whole_hausdorff_equals_simple_itk() -> None:
    truth, answer = blob(1), blob(2)
    filled = [ndimage.binary_fill_holes(m) for m in (truth, answer)]
    distances = surface.surface_distances(*filled, SPACING)
    measure = SimpleITK.HausdorffDistanceImageFilter()
    measure.Execute(itk(surface.surface(filled[0])), itk(surface.surface(filled[1])))
    assert max(distances.from_truth[-1], distances.from_answer[-1]) == pytest.approx(measure.GetHausdorffDistance(), rel=1e-5)


def test_the_edge_of_the_image_is_a_surface() -> None:
    mask = np.ones((4, 5, 6), bool)
    cross = ndimage.generate_binary_structure(3, 1)
    assert (surface.surface(mask) == (mask & ~ndimage.binary_erosion(mask, cross, border_value=0))).all()


def test_empty_masks_by_the_stated_rule() -> None:
    nothing, something = np.zeros((6, 6, 6), bool), np.zeros((6, 6, 6), bool)
    something[2:4, 2:4, 2:4] = True
    both = scores(nothing, nothing)
    assert {s.reason for s in both.values()} == {"empty in truth and answer"}
    missed = scores(something, nothing)
    assert missed["dice"].value == 0
    assert missed["hd95"].value is None
    assert missed["hd95"].reason == "missed: nothing in the answer"
    assert missed["voxel_ppv"].value is None
    assert missed["volume_error_percent"].value == -100
    false = scores(nothing, something)
    assert false["dice"].value == 0
    assert false["assd"].reason == "false positive: nothing in the truth"
    assert false["volume_error_percent"].value is None
    assert false["volume_error_ml"].value == pytest.approx(8 * np.prod(SPACING) / 1000)


def test_millimetres_are_refused_where_spacing_is_not_known() -> None:
    found = scores(blob(1), blob(2), spacing_known=False)
    assert "no spacing" in found["hd95"].reason
    assert "no spacing" in found["volume_error_ml"].reason
    assert found["dice"].value is not None
    assert found["volume_error_percent"].value is not None


def test_a_flat_image_has_distances_in_its_plane_and_no_volume() -> None:
    truth, answer = blob(3, (1, 40, 40)), blob(4, (1, 40, 40))
    found = scores(truth, answer, is_planar=True)
    cross = ndimage.generate_binary_structure(2, 1)
    edges = [m[0] & ~ndimage.binary_erosion(m[0], cross, border_value=0) for m in (truth, answer)]
    away = [ndimage.distance_transform_edt(~e, sampling=SPACING[1:]) for e in edges]
    both = np.r_[away[1][edges[0]], away[0][edges[1]]]
    assert found["assd"].value == pytest.approx(both.mean())
    assert found["volume_error_ml"].reason == "a 2D image has no volume"


def test_structures_may_lie_in_other_layers_of_the_answer() -> None:
    layers = np.zeros((2, 8, 8, 8), np.uint8)
    layers[0, 1:6, 1:6, 1:6] = 1
    layers[1, 2:4, 2:4, 2:4] = 2
    grid = Grid.from_spacing((8, 8, 8))
    truth = LabelMap(layers, (Structure("liver", 1, 0), Structure("lesion", 2, 1)), grid)
    answer = LabelMap(layers[::-1].copy(), (Structure("liver", 1, 1), Structure("lesion", 2, 0)), grid)
    found = score_label_maps(truth, answer, ("liver", "lesion"), 1.0)
    assert found["liver"].scores["dice"].value == found["lesion"].scores["dice"].value == 1
    assert found["liver"].truth_ml == pytest.approx(0.125)


def test_grids_of_other_shape_are_refused() -> None:
    with pytest.raises(OverreadError, match="different grids"):
        score_label_maps(label_map(blob(1)), label_map(blob(1, (10, 24, 20))), ("liver",), 1.0)


def masks() -> st.SearchStrategy[np.ndarray]:
    return st.binary(min_size=36, max_size=36).map(lambda b: np.frombuffer(b, np.uint8).reshape(3, 4, 3) % 2 == 1)


@settings(max_examples=60)
@given(masks(), masks())
def test_symmetric_metrics_do_not_ask_which_mask_is_the_truth(first, second) -> None:
    there, back = scores(first, second), scores(second, first)
    for key in ("dice", "iou", "hd95", "assd", "surface_dice"):
        assert there[key].value == (None if back[key].value is None else pytest.approx(back[key].value)), key
    if there["dice"].value is not None:
        assert 0 <= there["iou"].value <= there["dice"].value <= 1
        assert there["dice"].value == pytest.approx(2 * there["iou"].value / (1 + there["iou"].value))


@settings(max_examples=30)
@given(masks())
def test_a_mask_agrees_with_itself(mask) -> None:
    found = scores(mask, mask)
    if mask.any():
        assert [found[k].value for k in ("dice", "iou", "hd95", "assd", "surface_dice")] == [1, 1, 0, 0, 1]


def test_counts_are_integers_and_say_what_is_absent() -> None:
    counts = overlap.count(np.ones(3, bool), np.zeros(3, bool))
    assert (counts.truth, counts.answer, counts.both, counts.absence) == (3, 0, 0, overlap.MISSED)
