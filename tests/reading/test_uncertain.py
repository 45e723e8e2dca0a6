"""Several answers to one case: dropout really on and off again, mirrored and moved answers come back, ensembles, every task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from asked_toys import WAYS, Way, image_of, predictor_of
from overread.core.errors import OverreadError
from overread.core.kinds import Piece
from overread.core.question import Decisions, Question
from overread.metrics.entropy import entropy
from overread.reading.ensemble import Ensemble
from overread.reading.predictor import Predictor
from overread.reading.uncertain import Ways, possible, uncertainty_of
from overread.reading.uncertain_passes import Change, Pass, count_of, moved_by, objects_of, raws_of, turned_back
from overread.reading.uncertain_voxels import dice_loss, shared
from overread.reading.uncertain_ways import dropout_on
from overread.tasks.found import Found

FILMS, SCANS = WAYS[0], next(way for way in WAYS if str(way) == "segmentation-3d-unet")
DROPOUT = {"dropout": 0.3}
FLIP = (2,)


def with_dropout(way: Way, seed: int = 0) -> Predictor:
    return predictor_of(replace(way, options={**way.options, **DROPOUT}), seed)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_task_says_how_unsure_it_is(way: Way) -> None:
    reader = predictor_of(way)
    prepared = reader.prepare(image_of(way))
    found = uncertainty_of(reader, prepared, Ways(("mirror", "changes"), passes=2, mirror=FLIP))
    assert found.passes == 2
    assert all(value is None or np.isfinite(value) for value in found.values.values())
    assert {name for name, value in found.values.items() if value is None} <= set(found.reasons)
    if way.task == "segmentation":
        assert {name: volume.shape for name, volume in found.maps.items()} == {
            name: image_of(way).grid.shape for name in ("entropy", "mutual_information")
        }
        assert (found.maps["mutual_information"] >= 0).all()
        assert (found.maps["mutual_information"] <= found.maps["entropy"] + 1e-5).all()
    if reader.task.question.is_of_objects:
        assert 0 <= found.values["disagreement"] <= 1  # type: ignore[operator]
        assert all(0 <= each["share"] <= 1 for each in found.objects)


def test_the_parts_of_the_entropy_add_up() -> None:
    reader = with_dropout(FILMS)
    prepared = reader.prepare(image_of(FILMS))
    ways = Ways(("dropout",), passes=6)
    found = uncertainty_of(reader, prepared, ways).values
    answers = np.stack([raw for _, raw in raws_of(reader, prepared, ways)])
    assert found["entropy"] == pytest.approx(float(entropy(answers.mean(0), exclusive=True)), rel=1e-5)
    assert found["expected_entropy"] == pytest.approx(float(entropy(answers, exclusive=True).mean()), rel=1e-5)
    assert found["mutual_information"] == pytest.approx(found["entropy"] - found["expected_entropy"])  # type: ignore[operator]
    assert found["mutual_information"] > 0  # type: ignore[operator]


@pytest.mark.parametrize("way", [FILMS, SCANS], ids=str)
def test_dropout_is_on_and_off_again_and_repeats_by_its_seed(way: Way) -> None:
    reader = with_dropout(way)
    prepared = reader.prepare(image_of(way))
    before, state = reader.raw(prepared.array), torch.get_rng_state()
    first, second, other = (
        [raw for _, raw in raws_of(reader, prepared, Ways(("dropout",), passes=3, seed=seed))] for seed in (0, 0, 1)
    )
    assert len({raw.tobytes() for raw in first}) == 3
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert np.array_equal(reader.raw(prepared.array), before)
    assert not any(layer.training for layer in reader.network.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_ends_with_an_error_too() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5)).eval()
    seen = []

    def stop() -> None:
        seen.extend(layer.training for layer in network)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"), dropout_on(network, 0):
        stop()
    assert seen == [False, True]  # running means and variances stay as they were learned
    assert not network[1].training


class Middle(nn.Module):
    """Says the same of an image and of its mirror image."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.square().mean(dim=(1, 2, 3))
        return torch.stack([mean, -mean], 1)


class Bright(nn.Module):
    """Outlines what is bright, each voxel for itself: what moves with the image."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([-2 * images, 2 * images, images - 3], 1)


def test_mirrored_passes_of_a_symmetric_network_are_equal() -> None:
    reader = replace(predictor_of(FILMS), network=Middle().eval())
    prepared = reader.prepare(image_of(FILMS))
    ways = Ways(("mirror",), mirror=(1, 2))
    answers = [raw for _, raw in raws_of(reader, prepared, ways)]
    assert len(answers) == 4
    for raw in answers[1:]:
        assert raw == pytest.approx(answers[0], abs=1e-6)
    assert uncertainty_of(reader, prepared, ways).values["mutual_information"] == pytest.approx(0, abs=1e-6)


def test_mirrored_and_moved_maps_lie_where_the_image_lies() -> None:
    reader = replace(predictor_of(SCANS), network=Bright().eval())
    prepared = reader.prepare(image_of(SCANS))
    plain = reader.raw(prepared.array)
    turned = Pass(reader, 1.0, axes=(0, 2)).raw(prepared)
    assert turned == pytest.approx(plain, abs=1e-5)
    back = Pass(reader, 1.0, change=Change((2, -1, 0))).raw(prepared)
    inner = (slice(None), *(slice(3, -3),) * 3)
    assert back[inner] == pytest.approx(plain[inner], abs=1e-5)
    assert uncertainty_of(reader, prepared, Ways(("mirror",), mirror=(0, 1, 2))).values["dice_loss"] == pytest.approx(0, abs=1e-6)


def test_moving_repeats_the_edge() -> None:
    array = np.arange(5, dtype=np.float32)[None, None, None]
    assert moved_by(array, (0, 0, 2)).ravel().tolist() == [0, 0, 0, 1, 2]
    assert moved_by(array, (0, 0, -1)).ravel().tolist() == [1, 2, 3, 4, 4]


def test_mirrored_objects_lie_where_they_were() -> None:
    mask = np.zeros((4, 6, 8), bool)
    mask[1:3, 0:2, 5:8] = True
    seen = np.flip(mask, (1, 2))
    piece = Piece.of(seen)
    first = np.array(piece.start) - 0.5
    box = np.concatenate([first, first + piece.mask.shape])[None].astype(np.float32)
    found = turned_back(Found(box, np.ones(1, np.float32), np.zeros(1, np.int64), (piece,)), (1, 2), mask.shape)
    assert found.boxes[0].tolist() == [0.5, -0.5, 4.5, 2.5, 1.5, 7.5]
    assert found.pieces is not None
    again = np.zeros_like(mask)
    again[found.pieces[0].place] = found.pieces[0].mask
    assert np.array_equal(again, mask)


def test_members_of_an_ensemble_disagree_by_their_shares() -> None:
    members = [predictor_of(FILMS, seed) for seed in range(3)]
    joint = Ensemble.of(members, [1, 1, 2], Decisions())
    image = image_of(FILMS)
    found = uncertainty_of(joint, joint.prepare(image), Ways(("members",)))
    answers = np.stack([member.raw_of(member.prepare(image)) for member in members])
    mean = np.average(answers, axis=0, weights=[1, 1, 2])
    assert found.passes == 3
    assert found.parts["present"]["mean"] == pytest.approx(mean[1], rel=1e-5)
    assert found.values["entropy"] == pytest.approx(float(entropy(mean, exclusive=True)), rel=1e-5)
    assert found.values["mutual_information"] > 0  # type: ignore[operator]


def test_members_that_outline_are_compared_on_one_grid() -> None:
    members = [predictor_of(SCANS, seed) for seed in range(2)]
    coarse = replace(members[1], preparation=replace(members[1].preparation, spacing=(1.5, 1.5, 1.5)))
    joint = Ensemble.of([members[0], coarse], [1, 1], Decisions())
    prepared = joint.prepare(image_of(SCANS))
    assert {raw.shape for _, raw in raws_of(joint, prepared, Ways(("members",)))} == {(3, *prepared.array.shape[1:])}


def test_a_single_member_is_asked_where_members_are_not_told_apart() -> None:
    joint = Ensemble.of([with_dropout(FILMS, seed) for seed in range(2)], [1, 3], Decisions())
    assert count_of(joint, Ways(("dropout",), passes=5)) == 5
    assert count_of(joint, Ways(("members", "dropout"), passes=5)) == 10
    assert count_of(joint, Ways(("members", "dropout", "mirror"), passes=5, mirror=(1, 2))) == 16
    assert possible(joint, FLIP) == ("members", "dropout", "mirror", "changes")


def test_weights_of_all_passes_make_one() -> None:
    joint = Ensemble.of([with_dropout(FILMS, seed) for seed in range(2)], [1, 3], Decisions())
    prepared = joint.prepare(image_of(FILMS))
    weights = [weight for weight, _ in raws_of(joint, prepared, Ways(("members", "dropout", "changes"), passes=3))]
    assert sum(weights) == pytest.approx(1)


def test_numbers_disagree_in_their_units() -> None:
    way = next(w for w in WAYS if w.task == "regression")
    reader = with_dropout(way)
    found = uncertainty_of(reader, reader.prepare(image_of(way)), Ways(("dropout",), passes=4))
    part = found.parts["burden"]
    assert part["variance_between"] == pytest.approx(part["sd"] ** 2)  # type: ignore[operator]
    assert found.values["sd"] == pytest.approx(part["sd"] / 2.0)  # type: ignore[operator]
    assert part["variance_within"] is None
    assert "one number" in found.reasons["variance_within"]


def test_masks_of_passes_are_compared_in_pairs() -> None:
    random = np.random.default_rng(0)
    masks = random.random((4, 3, 7, 11)) < 0.3
    both = shared(np.stack([np.packbits(mask) for mask in masks]), masks[0].size)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    dices = [2 * (masks[i] & masks[j]).sum() / (masks[i].sum() + masks[j].sum()) for i, j in pairs]
    assert np.diag(both).tolist() == [mask.sum() for mask in masks]
    assert dice_loss(both) == pytest.approx(1 - np.mean(dices))
    assert dice_loss(np.zeros((3, 3))) is None


def test_objects_that_a_pass_does_not_find_again_are_told() -> None:
    way = next(w for w in WAYS if str(w) == "detection-2d-unet")
    reader = predictor_of(way)
    prepared = reader.prepare(image_of(way))
    same = [answer for _, answer in objects_of(reader, prepared, Ways(("changes",), passes=2))]
    assert np.array_equal(same[0].corners, reader.candidates(prepared).corners)  # the first pass sees the image as it is
    found = uncertainty_of(reader, prepared, Ways(("changes",), passes=2))
    assert all(each["share"] in (0.5, 1.0) for each in found.objects)


# ---------------------------------------------------------------- what is refused


def test_what_a_model_does_not_have_is_refused_with_the_way_to_it() -> None:
    reader = predictor_of(FILMS)
    prepared = reader.prepare(image_of(FILMS))

    def said(*by: str, passes: int = 4) -> str:
        with pytest.raises(OverreadError) as refused:
            uncertainty_of(reader, prepared, Ways(by, passes=passes))
        return f"{refused.value.what} {refused.value.next}"

    assert "set dropout = 0.2 under [training]" in said("dropout")
    assert "one network" in said("members")
    assert 'mirror = ["x"]' in said("mirror")
    assert "There is no way 'drop'" in said("drop")
    assert "members, dropout, mirror, changes" in said()
    assert "1 passes cannot disagree" in said("changes", passes=1)
    assert possible(reader) == ("changes",)


def test_sides_are_not_mirrored() -> None:
    reader = predictor_of(FILMS)
    question = Question("classification", ("absent", "present"), positive="present", sided=True)
    sided = replace(reader, task=replace(reader.task, question=question))  # type: ignore[type-var]
    with pytest.raises(OverreadError, match="has sides: a mirrored left would be read as a right"):
        uncertainty_of(sided, sided.prepare(image_of(FILMS)), Ways(("mirror",), mirror=FLIP))
