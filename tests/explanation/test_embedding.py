"""Features of a case, their pictures in two dimensions, and whether a group of cases is told from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from asked_toys import WAYS, Way, image_of, predictor_of
from overread.batches.prepare import prepare_image
from overread.batches.sampler import flatten
from overread.batches.windows import centred_start, cut
from overread.evaluation.intervals.patients import Patients
from overread.explanation.embedding import projections as drawing
from overread.explanation.embedding.gathered import embed, small_picture
from overread.explanation.embedding.projections import projections, standardised
from overread.explanation.embedding.told import Told, _p, corrected, exchanged_within, strata_of, tell
from overread.reading.features import features_of, features_of_several

SOME = [way for way in WAYS if str(way) in ("classification-2d-resnet10", "segmentation-3d-unet", "detection-2d-centre_detector")]


@pytest.mark.parametrize("way", SOME, ids=str)
def test_features_are_those_of_the_last_layer_averaged_over_windows(way: Way) -> None:
    predictor = predictor_of(way)
    prepared = [prepare_image(image_of(way, seed), predictor.preparation) for seed in (0, 1)]
    patch, array = predictor.preparation.patch, prepared[0].array
    if way.serves == "image":
        starts = [centred_start(array.shape[1:], patch)]
    else:  # 8 voxels larger than the window: two windows along each axis that has more than one voxel
        axes = [(0, n - p) if n > p else (0,) for n, p in zip(array.shape[1:], patch, strict=True)]
        starts = [(z, y, x) for z in axes[0] for y in axes[1] for x in axes[2]]
    with torch.no_grad():
        windows = torch.from_numpy(np.stack([cut(array, start, patch) for start in starts])).float()
        by_hand = predictor.network.features(flatten(windows, way.dimensions)).mean(0).numpy()
    found = features_of(predictor, prepared[0])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand, atol=1e-5)
    np.testing.assert_allclose(features_of_several(predictor, prepared, 3)[0], found, atol=1e-5)
    assert np.abs(features_of_several(predictor, prepared, 3)[1] - found).max() > 1e-4


def test_cases_are_embedded_in_their_order_and_told_of() -> None:
    way = WAYS[0]
    predictor, seen = predictor_of(way), []
    found = embed(predictor, ["C-2", "C-1"], lambda case_id: image_of(way, int(case_id[-1])), seen.append)
    assert seen == ["C-2", "C-1"]
    alone = prepare_image(image_of(way, 1), predictor.preparation)
    np.testing.assert_allclose(found.features[1], features_of(predictor, alone), atol=1e-5)
    np.testing.assert_allclose(found.answers[1], predictor.raw(alone.array), atol=1e-5)
    turned = found.of(["C-1", "C-2"])
    np.testing.assert_array_equal(turned.features[0], found.features[1])
    assert len(found.and_also(turned)) == 4
    assert len(embed(predictor, [], lambda _: image_of(way))) == 0


def test_the_product_of_small_pictures_is_their_correlation() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 1, 1, 24, 24)).astype(np.float32)
    pair = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert float(small_picture(one, is_planar=True) @ small_picture(other, is_planar=True)) == pytest.approx(pair, abs=1e-5)
    assert float(small_picture(one, is_planar=True) @ small_picture(3 * one + 7, is_planar=True)) == pytest.approx(1.0, abs=1e-5)
    assert small_picture(np.zeros((1, 4, 9, 7)), is_planar=False).tolist() == [0.0] * 12 * 24 * 24


# ---- pictures ---------------------------------------------------------------------------------------


def clouds(count: int = 60, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 12)) + 6 * (np.arange(count) % 2)[:, None]


def test_pictures_are_the_same_at_every_call_and_keep_near_cases_near() -> None:
    pytest.importorskip("umap")
    features = clouds()
    features[:, 3] = 5.0  # the same in all
    first, again = projections(features), projections(features)
    assert [p.name for p in first] == ["pca", "tsne", "umap"]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.points, other.points)
        assert one.points is not None
        distance = np.linalg.norm(one.points[:, None] - one.points[None], axis=2) + np.eye(60) * 1e9
        same = np.arange(60) % 2 == (np.arange(60) % 2)[distance.argmin(1)]
        assert same.all()
    values = standardised(features)
    assert values.shape == (60, 11)
    oracle = PCA(2).fit(values)
    assert first[0].told == pytest.approx(oracle.explained_variance_ratio_, abs=1e-4)
    np.testing.assert_allclose(np.abs(first[0].points), np.abs(oracle.transform(values)), atol=1e-8)
    assert first[1].parameters["perplexity"] == pytest.approx(19.7)


def test_umap_that_is_not_installed_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(drawing, "import_module", missing)
    found = {p.name: p for p in projections(clouds())}
    assert found["umap"].points is None
    assert found["umap"].refusal == "UMAP is not installed: `pip install umap-learn`, then run this again"
    assert found["tsne"].points is not None


def test_few_cases_are_not_drawn() -> None:
    assert {p.refusal for p in projections(clouds(6))} == {"6 cases are too few"}
    assert {p.refusal for p in projections(np.ones((20, 4)))} == {"the features hardly differ between cases"}


# ---- groups -----------------------------------------------------------------------------------------


def patients_with(count: int, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray, np.random.Generator]:
    """Two cases of each patient; the label, and a site that goes with the label in four of five patients."""
    random = np.random.default_rng(seed)
    ill = random.random(count) < 0.5
    site = np.where(random.random(count) < 0.8, ill, ~ill)
    return [f"P{k // 2}" for k in range(2 * count)], np.repeat(ill, 2), np.repeat(site, 2), random


def names(codes: np.ndarray) -> list[str]:
    return ["South" if code else "North" for code in codes]


def test_a_site_in_the_features_is_told_beyond_the_label() -> None:
    ids, ill, site, random = patients_with(60)
    features = random.normal(size=(120, 8))
    features[:, 0] += 3 * ill
    features[:, 1] += 3 * site
    found = tell("site", names(site), "not known", names(ill), features, ids)
    assert found.verdict == "beyond the label"
    assert found.interval is not None
    assert found.interval.estimate is not None
    assert found.interval.estimate > 0.9
    assert (found.n_cases, found.n_patients) == (120, 60)


def test_a_site_that_shows_only_by_the_label_is_not_told_beyond_it() -> None:
    ids, ill, site, random = patients_with(60)
    features = random.normal(size=(120, 8))
    features[:, 0] += 6 * ill
    found = tell("site", names(site), "not known", names(ill), features, ids)
    assert found.p is not None
    assert found.p < 0.01
    assert found.p_within is not None
    assert found.p_within > 0.05
    assert found.verdict == "not beyond the label"
    assert found.from_label is not None
    assert found.by_chance is not None
    assert abs(found.by_chance - found.from_label) < 0.15


def test_noise_tells_no_site() -> None:
    alarms = 0
    for seed in range(10):
        ids, ill, site, random = patients_with(30, seed)
        noise = np.repeat(random.normal(size=(30, 8)), 2, axis=0)  # two cases of a patient look alike: they are no two patients
        alarms += tell("site", names(site), "not known", names(ill), noise, ids).verdict != "not told"
    assert alarms <= 2


def test_what_cannot_be_tried_says_why() -> None:
    ids, ill, site, random = patients_with(30)
    features = random.normal(size=(60, 4))
    assert tell("site", ["North"] * 60, "not known", names(ill), features, ids).reason == "all cases are of one group"
    few = ["South"] * 4 + ["North"] * 50 + ["not known"] * 6
    found = tell("site", few, "not known", names(ill), features, ids)
    assert found.reason == "too few patients to say (North 25, South 2); 10 in each of two groups are the least"
    assert found.verdict == "not tried"
    same = tell("site", names(site), "not known", names(ill), np.ones((60, 4)), ids)
    assert same.reason == "the features do not differ between cases"


def test_an_area_that_is_not_defined_is_no_evidence() -> None:
    chance = np.array([0.5, 0.6, np.nan])
    assert _p(0.9, chance) == pytest.approx(2 / 4)
    assert _p(0.55, chance) == pytest.approx(3 / 4)
    assert _p(float("nan"), chance) == 1.0


def test_groups_change_places_within_their_stratum_alone() -> None:
    random = np.random.default_rng(3)
    patients = Patients.of([f"P{k}" for k in np.repeat(np.arange(20), random.integers(1, 4, 20))])
    labels = [f"{int(k) % 3}" for k in patients.number]
    strata = strata_of(labels, patients)
    received = exchanged_within(patients, strata, 50, random)
    assert (strata[patients.number[received]] == strata[patients.number][None]).all()
    assert (received != np.arange(patients.cases)).any()
    assert strata_of(["a", "b", "a"], Patients.of(["P", "P", "Q"])).tolist() == [1, 0]


def test_p_values_are_corrected_over_the_columns_that_were_tried() -> None:
    rows = [
        Told("site", p=0.01, p_within=0.04),
        Told("sex", p=0.03),
        Told("age", reason="too few"),
        Told("kernel", p=0.2, p_within=0.01),
    ]
    found = {row.column: row for row in corrected(rows)}
    assert [found[c].p for c in ("site", "sex", "kernel")] == pytest.approx([0.03, 0.06, 0.2])
    assert [found[c].p_within for c in ("site", "kernel")] == pytest.approx([0.04, 0.02])
    assert found["sex"].p_within is None
    assert found["age"].p is None
