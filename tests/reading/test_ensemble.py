"""Several models answer together: averaged, fused, gated, and written as one file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from overread.batches.prepare import Prepared, prepare_image, undo_map
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, Piece
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions, OperatingPoint, Question
from overread.reading.adversarial import Attacked, attacked
from overread.reading.card import FORMAT_OF_SEVERAL, Member, ModelCard
from overread.reading.ensemble import Ensemble, moved
from overread.reading.model import build_network, load_model, pack_model, side_by_side, write_model
from overread.reading.predictor import Predictor
from overread.tasks import make
from toys import question, toy_preparation

LESIONS = Question("detection", ("lesion",))


def image(shape: tuple[int, int, int] = (12, 14, 16), seed: int = 0) -> Image:
    values = np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)
    return Image(values, Grid.from_spacing(shape, (2.0, 1.0, 1.0)), "a.u.", ("image",))


class Steep(nn.Module):
    """Says by how much a voxel is brighter than nothing."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([-self.slope * images, self.slope * images, 0 * images], 1)


class Mean(nn.Module):
    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, images: Tensor) -> Tensor:
        mean = self.slope * (images.mean(dim=(1, 2, 3)) - 0.3)
        return torch.stack([-mean, mean], 1)


def outliner(slope: float, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), middle: float = 0.0) -> Predictor:
    preparation = Preparation(
        ("image",), "a.u.", 3, spacing, None, (8, 8, 8), False, (Normalisation("window", -9, 9, middle, 1.0),)
    )
    return Predictor(Steep(slope).eval(), make(question("segmentation")), preparation, Decisions())


def judge(slope: float, threshold: float = 0.5, middle: float = 0.0) -> Predictor:
    rules = (Normalisation("window", -9, 9, middle, 1.0),)
    preparation = replace(toy_preparation(2, dense=False), normalisation=rules)
    points = (OperatingPoint("large", threshold, "0.5"),)
    return Predictor(Mean(slope).eval(), make(question("classification")), preparation, Decisions(points))


def film(value: float, edge: int = 32) -> Image:
    pixels = np.full((1, 1, edge, edge), value, np.float32)
    return Image(pixels, Grid.from_spacing((1, edge, edge), spacing_known=False, is_planar=True), "a.u.", ("image",))


def test_maps_are_the_plain_mean() -> None:
    members, scan = [outliner(0.5), outliner(2.0), outliner(-1.0)], image()
    together = Ensemble.of(members, [1, 1, 1], Decisions())
    prepared = together.prepare(scan)
    mean = np.mean([member.raw_of(prepared) for member in members], axis=0)
    np.testing.assert_allclose(together.raw_of(prepared), mean, atol=1e-6)
    labels = together.labels(together.raw_of(prepared), prepared)
    voted = np.stack([undo_map(channel, prepared) for channel in mean]).argmax(0)
    assert (labels != voted).mean() < 1e-3


def test_weights_are_shares() -> None:
    members, prepared = [outliner(0.5), outliner(2.0)], prepare_image(image(), outliner(1.0).preparation)
    together = Ensemble.of(members, [3, 1], Decisions())
    wanted = 0.75 * members[0].raw_of(prepared) + 0.25 * members[1].raw_of(prepared)
    np.testing.assert_allclose(together.raw_of(together.prepare(image())), wanted, atol=1e-6)


def test_a_member_without_weight_changes_nothing() -> None:
    one, other, scan = outliner(0.5), outliner(2.0, (2.0, 2.0, 2.0)), image()
    together = Ensemble.of([one, other], [1, 0], Decisions())
    np.testing.assert_array_equal(together.raw_of(together.prepare(scan)), one.raw_of(one.prepare(scan)))


def test_members_prepare_for_themselves_and_meet_on_the_first_ones_grid() -> None:
    """The other member sees the image in other voxels and other intensities."""
    one, other, scan = outliner(0.7), outliner(0.7, (2.0, 1.5, 1.5), middle=1.0), image()
    together = Ensemble.of([one, other], [1, 1], Decisions())
    prepared, own = together.prepare(scan), other.prepare(scan)
    assert prepared.grid.is_same(one.prepare(scan).grid)
    assert not own.grid.is_same(prepared.grid)
    raw = together.raw_of(prepared)
    wanted = (one.raw_of(one.prepare(scan)) + moved(other.raw_of(own), own.grid, prepared.grid)) / 2
    np.testing.assert_allclose(raw, wanted, atol=1e-6)
    np.testing.assert_allclose(raw.sum(0), 1.0, atol=1e-5)


def test_a_map_moved_there_keeps_a_slope() -> None:
    coarse, fine = Grid.from_spacing((1, 10, 10), (1.0, 2.0, 2.0)), Grid.from_spacing((1, 19, 19))
    slope = np.broadcast_to(np.arange(10, dtype=np.float32) * 2, (1, 1, 10, 10))
    np.testing.assert_allclose(moved(slope, coarse, fine)[0, 0, 5], np.arange(19), atol=1e-4)


def test_values_of_cases_are_averaged_each_member_with_its_own_preparation() -> None:
    members = [judge(1.0), judge(4.0, middle=0.5)]
    together = Ensemble.of(members, [1, 2], Decisions())
    films = [film(v) for v in (0.0, 0.4, 1.0)]
    raws = together.raws_of([together.prepare(f) for f in films], 2)
    wanted = [
        np.average([m.raw_of(m.prepare(f)) for m in members], axis=0, weights=[1, 2]) for f in films
    ]  # fmt: skip
    np.testing.assert_allclose(raws, wanted, atol=1e-6)
    answer = together.answer(together.prepare(films[2]))
    assert isinstance(answer, Findings)
    assert answer.probabilities["large"] == pytest.approx(wanted[2][1], abs=1e-6)


@dataclass
class Lists(Predictor):
    """A member whose objects are given, on the source grid."""

    given: Any = None

    def candidates(self, prepared: Prepared) -> Boxes | Instances:
        return self.given


def finder(boxes: Sequence[Sequence[float]], scores: Sequence[float], edge: int = 32) -> Lists:
    grid = Grid.from_spacing((1, edge, edge), spacing_known=False, is_planar=True)
    corners = np.array([[[-0.5, y, x], [0.5, y2, x2]] for y, x, y2, x2 in boxes], float).reshape(-1, 2, 3)
    given = Boxes(corners, ("lesion",) * len(scores), np.array(scores), grid)
    network = nn.Identity()
    return Lists(network, make(LESIONS), toy_preparation(2, dense=True), Decisions(), given=given)


def test_boxes_are_fused_on_the_source_grid() -> None:
    members = [finder([(2, 2, 10, 10), (20, 20, 28, 28)], [0.8, 0.6]), finder([(2, 4, 10, 12)], [0.4])]
    answer = Ensemble.of(members, [1, 1], Decisions()).answer(Ensemble.of(members, [1, 1], Decisions()).prepare(film(0)))
    found = Ensemble.of(members, [1, 1], Decisions()).candidates(Ensemble.of(members, [1, 1], Decisions()).prepare(film(0)))
    assert isinstance(found, Boxes)
    np.testing.assert_allclose(found.scores, [0.6, 0.3], atol=1e-6)  # found by both: the mean; found by one of two: half
    between = (0.8 * 2 + 0.4 * 4) / 1.2  # where the boxes begin, weighted by their scores
    np.testing.assert_allclose(found.corners[0], [[-0.5, 2, between], [0.5, 10, between + 8]], atol=1e-5)
    assert isinstance(answer, Boxes)
    assert len(answer.scores) == 1  # decided at 0.5


def test_a_finder_without_weight_changes_nothing() -> None:
    one, other = finder([(2, 2, 10, 10), (3, 2, 10, 10)], [0.8, 0.7]), finder([(2, 2, 10, 11)], [0.9])
    together = Ensemble.of([one, other], [1, 0], Decisions())
    assert together.candidates(together.prepare(film(0))) is one.given


def test_instances_keep_the_voxels_of_half_the_weight() -> None:
    asked = replace(LESIONS, task="instances")
    members = []
    for first in (4, 6):
        piece = Piece((0, 4, first), np.ones((1, 8, 8), bool))
        member = finder([], [])
        member.task = make(asked)
        member.given = Instances((piece,), ("lesion",), np.array([0.5]), member.given.grid)
        members.append(member)
    weights = [3.0, 1.0]
    together = Ensemble.of(members, weights, Decisions())
    found = together.candidates(together.prepare(film(0)))
    assert isinstance(found, Instances)
    assert found.pieces[0].start == (0, 4, 4)
    assert found.pieces[0].mask.shape == (1, 8, 8)


def test_a_gate_silences_the_cases_that_it_does_not_call() -> None:
    members = [finder([(2, 2, 10, 10)], [0.9])]
    gate = judge(2.0, threshold=0.6)
    together = Ensemble.of(members, [1], Decisions(), gate)
    for value in (-1.0, 0.3, 0.38, 0.42, 0.6, 2.0):
        probability = 1 / (1 + np.exp(-4.0 * (value - 0.3)))
        found = together.candidates(together.prepare(film(value)))
        assert len(found.scores) == int(probability >= 0.6), value
    asked = replace(LESIONS, task="instances")
    together.task = make(asked)
    silent = together.candidates(together.prepare(film(-1.0)))
    assert isinstance(silent, Instances)
    assert silent.pieces == ()


def test_an_image_that_one_member_cannot_take_is_refused_when_it_is_prepared() -> None:
    blind = replace(outliner(1.0).preparation, spacing=None)
    first = outliner(1.0)
    first.preparation = blind
    together = Ensemble.of([first, outliner(1.0)], [1, 1], Decisions())
    scan = image()
    lost = replace(scan, grid=replace(scan.grid, spacing_known=False))
    with pytest.raises(OverreadError, match="no pixel spacing"):
        together.prepare(lost)


def test_each_member_is_attacked_against_its_own_answer() -> None:
    together = Ensemble.of([judge(1.0), judge(3.0)], [1, 1], Decisions())
    stepped = attacked(together, 0.01)
    assert isinstance(stepped, Ensemble)
    assert all(isinstance(member, Attacked) for member in stepped.members)
    clean, worse = (float(r.raw_of(r.prepare(film(1.0)))[1]) for r in (together, stepped))
    assert worse < clean


# ---------------------------------------------------------------- the file

NETWORK = {"name": "resnet10", "in_channels": 1, "out_channels": 2, "dimensions": 2, "serves": "image"}
NETWORK |= {"options": {"width": 4, "image_size": (32, 32)}}


def card(**changes: Any) -> ModelCard:
    made = ModelCard(
        question("classification"), toy_preparation(2, dense=False), Decisions(), NETWORK,
        {"loss": "cross_entropy", "centre": [], "scale": []}, {"overlap": 0.5, "mirror": [], "precision": "float32"},
        {"steps": 1}, "toy", True, "frozen",
    )  # fmt: skip
    return replace(made, **changes)


def written(folder: Path) -> tuple[list[Predictor], ModelCard]:
    """Two models, each in its folder, and an ensemble of them."""
    networks, cards, members = [], [], []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = build_network(NETWORK)
        networks.append(network)
        cards.append(write_model(folder / f"single{seed}", network, card(training={"steps": seed})))
        loaded = load_model(folder / f"single{seed}").predictor
        assert isinstance(loaded, Predictor)
        members.append(loaded)
    shares = (0.25, 0.75)
    together = card(members=tuple(Member(f"run{k}", shares[k], one) for k, one in enumerate(cards)))
    return members, write_model(folder / "model", side_by_side(networks, None), together)


def test_a_reloaded_ensemble_answers_alike(tmp_path: Path) -> None:
    members, _ = written(tmp_path)
    file = pack_model(tmp_path / "model", tmp_path / "both.overread")
    again = load_model(file).predictor
    assert isinstance(again, Ensemble)
    assert again.shares == (0.25, 0.75)
    direct = Ensemble.of(members, [1, 3], Decisions())
    for value in (0.0, 1.0):
        picture = film(value)
        np.testing.assert_array_equal(again.raw_of(again.prepare(picture)), direct.raw_of(direct.prepare(picture)))
    assert pack_model(tmp_path / "model", tmp_path / "twice.overread").read_bytes() == file.read_bytes()


def test_only_ensembles_have_the_newer_form(tmp_path: Path) -> None:
    _, both = written(tmp_path)
    forms = {name: json.loads((tmp_path / name / "model.json").read_text()) for name in ("single0", "model")}
    assert forms["single0"]["format"] == 1
    assert {"members", "gate"}.isdisjoint(forms["single0"])
    assert forms["model"]["format"] == FORMAT_OF_SEVERAL == 2
    assert [m["card"]["sha256"] for m in forms["model"]["members"]] == [m.card.sha256 for m in both.members]
    names = {name.partition(".")[0] for name in load_tensor_names(tmp_path / "model")}
    assert names == {"0", "1"}


def load_tensor_names(folder: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        return list(file.keys())


def test_a_gate_travels_in_the_file(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network, gate = nn.Identity(), build_network(NETWORK)
    points = Decisions((OperatingPoint("large", 0.2, "0.2"),))
    together = card(members=(Member("run", 1.0, card()),), gate=card(decisions=points))
    torch.manual_seed(3)
    network = build_network(NETWORK)
    write_model(tmp_path / "model", side_by_side([network], gate), together)
    loaded = load_model(tmp_path / "model").predictor
    assert isinstance(loaded, Ensemble)
    assert loaded.gate is not None
    assert loaded.gate.finding == "large"
    assert loaded.gate.reader.decisions == points
    state = loaded.gate.reader.network.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(value, state[name]) for name, value in gate.state_dict().items())


def test_damage_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    file = pack_model(tmp_path / "model", tmp_path / "both.overread")
    with zipfile.ZipFile(file) as archive:
        text, tensors = archive.read("model.json"), bytearray(archive.read("model.safetensors"))
    tensors[-1] ^= 1
    for broken, why in (
        ((text, bytes(tensors)), "the weights do not match their digest"),
        ((text.replace(b"0.25", b"0.35"), archive_bytes(file)), "model.json does not match its digest"),
    ):
        with zipfile.ZipFile(tmp_path / "broken.overread", "w") as archive:
            archive.writestr("model.json", broken[0])
            archive.writestr("model.safetensors", broken[1])
        with pytest.raises(OverreadError, match=f"broken.overread is damaged: {why}"):
            load_model(tmp_path / "broken.overread")
    values = json.loads(text) | {"format": 5}
    (tmp_path / "model" / "model.json").write_text(json.dumps(values))
    with pytest.raises(OverreadError, match=r"made by a newer version of Overread \(form 5; this one reads 4\)"):
        load_model(tmp_path / "model")


def archive_bytes(file: Path) -> bytes:
    with zipfile.ZipFile(file) as archive:
        return archive.read("model.safetensors")
