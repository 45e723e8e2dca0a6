"""Which slices an answer rests on, back on the source: turned, mirrored, oblique, resampled, padded, cropped, with gaps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from overread import networks
from overread.batches.prepare import prepare_image
from overread.core.clinical import Clinical, Variable
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions
from overread.core.slices import NUMBERS, SliceShare, shares_in_words
from overread.networks.exam.told import slice_weights
from overread.networks.fusion.fused import Fused
from overread.reading.ensemble import Ensemble
from overread.reading.predictor import Predictor
from overread.reading.slices import influential, on_source, planes_of, reads_slices, told_by
from toys import question, toy_task

SHAPE = (9, 16, 20)


def source_grid(order, flips, *, degrees=0.0, spacing=(4.0, 1.5, 1.0), shape=SHAPE):
    """A grid whose array axes are those of the patient permuted and mirrored, then tilted about the patient's x axis."""
    plain = Grid.from_spacing(shape, spacing)
    turned = plain.reoriented(order, flips)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ turned.affine[:3, :3]
    affine[:3, 3] = (12.0, -40.0, 7.0)
    return Grid(turned.shape, affine)


def bright(grid, axis, index):
    """Noise, and one bright plane across an array axis of the source."""
    array = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    array[(*(slice(None),) * axis, index)] += 50
    return Image(array[None], grid)


def preparation(spacing, shape):
    return Preparation(("image",), "a.u.", 3, spacing, shape, shape, False, (Normalisation("per-image"),))


TURNED = [
    pytest.param((0, 1, 2), (False, False, False), 0.0, id="axial"),
    pytest.param((0, 1, 2), (True, False, False), 0.0, id="head first"),
    pytest.param((0, 1, 2), (True, True, False), 25.0, id="oblique and mirrored"),
    pytest.param((2, 0, 1), (False, True, True), 10.0, id="sagittal"),
    pytest.param((1, 0, 2), (True, False, False), 0.0, id="coronal"),
]
SEEN = [
    pytest.param((4.0, 1.5, 1.0), (12, 16, 24), id="as it is, padded"),
    pytest.param((2.5, 2.0, 2.0), (20, 16, 16), id="finer"),
    pytest.param((6.0, 3.0, 3.0), (8, 8, 8), id="coarser"),
    pytest.param((4.0, 3.0, 3.0), (7, 8, 8), id="cropped"),
]


@pytest.mark.parametrize(("order", "flips", "degrees"), TURNED)
@pytest.mark.parametrize(("spacing", "shape"), SEEN)
@pytest.mark.parametrize("place", [2, 4, 6])
def test_the_plane_that_weighs_most_is_the_plane_of_the_source(order, flips, degrees, spacing, shape, place):
    grid = source_grid(order, flips, degrees=degrees)
    canonical, _ = grid.canonical_axes()
    along = canonical[0]
    prepared = prepare_image(bright(grid, along, place), preparation(spacing, shape))
    brightness = (prepared.array[0] - prepared.array.min()).mean((1, 2))
    weights = (brightness / brightness.max()) ** 6  # a network that sees brightness, whatever the grid
    planes = on_source(weights / weights.sum(), prepared, 0)
    assert planes.axis == along
    assert planes.shares.sum() == pytest.approx(1.0)
    assert planes.largest(bright(grid, along, place))[0].index == place


def test_padding_and_planes_that_were_cropped_away_share_nothing():
    image = bright(source_grid((0, 1, 2), (False, False, False)), 0, 4)
    padded = on_source(np.ones(15), prepare_image(image, preparation((4.0, 1.5, 1.0), (15, 16, 20))), 0)
    np.testing.assert_allclose(padded.shares, np.full(9, 1 / 9))
    cropped = on_source(np.ones(5), prepare_image(image, preparation((4.0, 1.5, 1.0), (5, 16, 20))), 0)
    np.testing.assert_allclose(cropped.shares, [0, 0, *[0.2] * 5, 0, 0])


def test_finer_planes_give_their_weight_to_those_they_overlap():
    """Equal weights stay equal: no plane gains because two of the network's happen to lie in it."""
    image = bright(source_grid((0, 1, 2), (False, False, False)), 0, 4)
    planes = on_source(np.ones(13), prepare_image(image, preparation((36 / 13, 1.5, 1.0), (13, 16, 20))), 0)
    np.testing.assert_allclose(planes.shares, np.full(9, 1 / 9), atol=1e-6)


def test_planes_are_called_as_their_series_counts_them():
    grid = source_grid((0, 1, 2), (False, False, False))
    image = bright(grid, 0, 3)
    numbered = Image(image.array, grid, source={NUMBERS: (9, 8, 7, 6, None, 4, 3, 2, 1)})
    prepared = prepare_image(image, preparation((4.0, 1.5, 1.0), (9, 16, 20)))
    planes = on_source(np.eye(9)[3] * 0.6 + np.eye(9)[4] * 0.4, prepared, 0)
    first, second = planes.largest(numbered)
    assert (first.number, first.index, first.name) == (6, 3, "slice 6")
    assert (second.number, second.name) == (None, "interpolated slice 5")
    assert planes.largest(image)[0].number == 4
    assert shares_in_words((first,)) == "slice 6 (60 %); each would have 50 % if all were alike"
    assert shares_in_words(()) == ""
    assert SliceShare(2, 4, 5, 1.0, 1.0).name == "column 5"


def reader(name, *, mirror=(), spacing=(4.0, 1.5, 1.0), shape=(9, 16, 16), axis=0, seed=0):
    torch.manual_seed(seed)
    options = {"encoder": "resnet10", "encoder_options": {"width": 4}, "features": 6, "hidden": 5, "axis": axis}
    options = options if name.startswith("slices") else {"width": 4}
    network = networks.build(name, in_channels=1, out_channels=2, dimensions=3, serves="image", options=options).eval()
    return Predictor(network, toy_task(question("classification")), preparation(spacing, shape), Decisions(), mirror=mirror)


def test_a_reader_tells_what_its_network_tells_and_mirrored_as_it_answers():
    image = bright(source_grid((0, 1, 2), (True, False, False), shape=(9, 16, 16)), 0, 3)
    plain = reader("slices_lstm")
    prepared = plain.prepare(image)
    weights = plain.network.slice_weights(torch.from_numpy(prepared.array)[None])[0]
    np.testing.assert_allclose(planes_of(plain, prepared).shares, weights.flip(0), atol=1e-6)
    turned = plain.network.slice_weights(torch.from_numpy(prepared.array[:, ::-1].copy())[None])[0]
    mirrored = planes_of(reader("slices_lstm", mirror=(0,)), prepared)
    np.testing.assert_allclose(mirrored.shares, (weights.flip(0) + turned) / 2, atol=1e-6)
    assert told_by(plain) == "share in the change of the answer when one slice is left out"


def test_a_reader_that_reads_clinical_values_tells_of_the_answer_about_the_patient():
    age = Clinical((Variable("age", "number", mean=60.0, sd=10.0, low=20.0, high=90.0),))
    plain = reader("slices_max")
    torch.manual_seed(1)
    fused = Fused(plain.network, channels=1, values=2, outputs=2, dimensions=3, by="modulation", summary=2).eval()
    fused.head[1] = torch.nn.Tanh()  # so that no number is cut off, and every change depends on the patient
    told = Predictor(fused, plain.task, replace(plain.preparation, clinical=age), Decisions())
    grid = source_grid((0, 1, 2), (False, False, False), shape=(9, 16, 16))
    image = Image(np.random.default_rng(0).normal(size=(1, *grid.shape)).astype(np.float32), grid)
    shares = []
    for years in (20, 90):
        prepared = told.prepare(replace(image, clinical={"age": years}))
        shares.append(planes_of(told, prepared).shares)
        about = fused.about(prepared.clinical)
        np.testing.assert_allclose(shares[-1], slice_weights(about, torch.from_numpy(prepared.array)[None])[0], atol=1e-6)
    assert np.abs(shares[0] - shares[1]).max() > 1e-3  # another patient, another answer


def test_an_ensemble_tells_the_mean_of_its_members_that_tell():
    image = bright(source_grid((0, 1, 2), (False, False, False), shape=(9, 16, 16)), 0, 3)
    members = [
        reader("slices_attention"),
        reader("slices_max", spacing=(8.0, 2.0, 2.0), shape=(5, 8, 8), seed=1),
        reader("resnet10"),
    ]
    together = Ensemble.of(members, (1.0, 3.0, 4.0), Decisions())
    prepared = together.prepare(image)
    first, second = (planes_of(member, member.prepare(image)).shares for member in members[:2])
    np.testing.assert_allclose(planes_of(together, prepared).shares, first / 4 + second * 3 / 4, atol=1e-6)
    assert len(influential(together, prepared, image)) == 3
    assert told_by(together) == (
        "share in the change of the answer when one slice is left out; in other members share of the network's attention"
    )
    crossed = Ensemble.of([members[0], reader("slices_mean", axis=1)], (1.0, 1.0), Decisions())
    assert influential(crossed, crossed.prepare(image), image) == ()


def test_a_network_that_sees_the_whole_volume_tells_nothing():
    plain = reader("resnet10")
    image = bright(source_grid((0, 1, 2), (False, False, False), shape=(9, 16, 16)), 0, 3)
    assert not reads_slices(plain)
    assert influential(plain, plain.prepare(image), image) == ()
    assert told_by(plain) == ""
