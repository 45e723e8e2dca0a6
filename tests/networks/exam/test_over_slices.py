"""Networks over slices against their formulas, and what may not change their answer: padding, chunks, the order of slices."""

import copy

import pytest
import torch
from torch import nn

from overread import networks
from overread.batches.clinical import with_clinical
from overread.core.errors import OverreadError
from overread.networks.count import cost
from overread.networks.exam.gather import AttentionOverSlices, MaxOfSlices, MeanOfSlices, RecurrentOverSlices
from overread.networks.exam.rows import NAMES, slices_axis
from overread.networks.exam.slices import present, with_neighbours
from overread.networks.exam.told import axis_of, slice_weights
from overread.networks.fusion.fused import Fused

pytestmark = pytest.mark.usefixtures("as_in_training")

SIZE = (6, 12, 12)
HOLDS = torch.tensor([[True, True, True, True, True], [False, True, True, True, False]])


def make(name, channels=1, **options):
    torch.manual_seed(0)
    tiny = {"encoder": "resnet10", "encoder_options": {"width": 4}, "features": 6, "hidden": 5, **options}
    return networks.build(name, in_channels=channels, out_channels=3, dimensions=3, serves="image", options=tiny)


def volumes(count=2, channels=1, size=SIZE):
    return torch.randn(count, channels, *size, generator=torch.Generator().manual_seed(1))


def rows():
    return torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(2))


def test_attention_is_the_formula_of_the_paper():
    """Ilse 2018, equations 8 and 9, written out for each volume and each slice that it has."""
    torch.manual_seed(0)
    gather, given = AttentionOverSlices(6, 4), rows()
    v, u, w = gather.attention.content, gather.attention.gate, gather.attention.score.weight[0]
    for volume, holds, pooled, weights in zip(given, HOLDS, gather(given, HOLDS), gather.weights(given, HOLDS), strict=True):
        own = volume[holds]
        scores = torch.stack([w @ (torch.tanh(v.weight @ h + v.bias) * torch.sigmoid(u.weight @ h + u.bias)) for h in own])
        share = scores.exp() / scores.exp().sum()
        torch.testing.assert_close(weights[holds], share)
        torch.testing.assert_close(pooled, (share[:, None] * own).sum(0))
        assert weights[~holds].abs().sum() == 0


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_recurrent_layer_walks_through_the_slices_that_are_there(kind):
    torch.manual_seed(0)
    gather, given = RecurrentOverSlices(6, 4, kind), rows()
    layer = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](6, 4, batch_first=True, bidirectional=True)
    layer.load_state_dict(gather.walk.unit.state_dict())
    by_hand = torch.stack([layer(volume[holds][None])[0][0].amax(0) for volume, holds in zip(given, HOLDS, strict=True)])
    torch.testing.assert_close(gather(given, HOLDS), by_hand)


def test_mean_and_maximum_are_of_the_slices_that_are_there():
    given = rows()
    mean = torch.stack([volume[holds].mean(0) for volume, holds in zip(given, HOLDS, strict=True)])
    highest = torch.stack([volume[holds].amax(0) for volume, holds in zip(given, HOLDS, strict=True)])
    torch.testing.assert_close(MeanOfSlices(6)(given, HOLDS), mean)
    torch.testing.assert_close(MaxOfSlices(6)(given, HOLDS), highest)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_weight_learns_and_half_precision_answers_alike(name):
    network = make(name, channels=2, chunk=4).train()
    images = volumes(channels=2).contiguous(memory_format=torch.channels_last_3d)
    answer = network(images)
    assert answer.shape == (2, 3)
    answer.square().sum().backward()
    assert [n for n, parameter in network.named_parameters() if parameter.grad is None] == []
    network.eval()
    assert network(images[:1]).shape == (1, 3)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(images)
    torch.testing.assert_close(rough.float(), network(images), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_padding_has_no_say(name):
    """Slices of one value before and behind change neither the answer nor the weights, in a batch with a longer volume too."""
    network, images = make(name).eval(), volumes()
    short = images[:, :, 1:5]
    padded = torch.full_like(images, -0.7)
    padded[:, :, 2:] = short
    other = images.flip(0)
    alone, padded_alone = network(short), network(padded)
    torch.testing.assert_close(padded_alone, alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network(torch.cat([padded, other]))[:2], alone, atol=1e-5, rtol=1e-5)
    weights = network.slice_weights(padded)
    assert weights[:, :2].abs().sum() == 0
    torch.testing.assert_close(weights[:, 2:], network.slice_weights(short), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", sorted(NAMES - {"stack_2_5d"}))
def test_the_order_of_slices_matters_to_recurrent_layers_alone(name):
    network, images = make(name).eval(), volumes()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    change = (network(images[:, :, order]) - network(images)).abs().max()
    assert change > 1e-4 if name in ("slices_lstm", "slices_gru") else change < 1e-5


@pytest.mark.parametrize("name", sorted(NAMES))
def test_weights_are_shares_and_follow_a_lesion(name):
    """A slice far unlike the others is not overlooked by leaving out; every volume's weights make 1."""
    network, images = make(name).eval(), volumes(3)
    weights = network.slice_weights(images)
    assert weights.shape == (3, 6)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert (weights >= 0).all()


def test_leaving_a_slice_out_is_what_it_says():
    """Without attention, a weight is the change of the answer to the volume without that slice."""
    network, images = make("slices_mean").eval(), volumes(1)
    changes = []
    for place in range(6):
        without = images[:, :, [k for k in range(6) if k != place]]
        changes.append((network(without) - network(images)).abs().sum())
    torch.testing.assert_close(network.slice_weights(images)[0], torch.stack(changes) / sum(changes), atol=1e-5, rtol=1e-4)


def test_a_single_slice_carries_everything():
    images = torch.zeros(1, 1, *SIZE)
    images[:, :, 4] = torch.randn(12, 12)
    for name in ("slices_attention", "slices_max"):
        assert make(name).eval().slice_weights(images).tolist() == [[0, 0, 0, 0, 1, 0]]


def test_slices_of_one_value_are_padding_unless_all_are():
    images = volumes(3)
    images[0, :, :2] = 5.0
    images[1] = 5.0
    assert present(images).tolist() == [[False] * 2 + [True] * 4, [True] * 6, [True] * 6]
    assert present(images.to("meta")).shape == (3, 6)


def test_neighbours_beyond_the_ends_repeat_the_last_slice_that_is_there():
    images = volumes(1, 2)
    images[:, :, 0] = 0.0
    holds = present(images)
    cases, places = torch.zeros(5, dtype=torch.long), torch.arange(1, 6)
    seen = with_neighbours(images, holds, cases, places, 1)
    assert seen.shape == (5, 6, 12, 12)
    shown = [[1, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 5]]
    for picture, numbers in zip(seen, shown, strict=True):
        torch.testing.assert_close(picture, torch.cat([images[0, :, k] for k in numbers]))


def test_chunks_answer_and_learn_as_all_slices_at_once():
    """With a norm that knows no batch; and batch normalisation counts each pass once, though it is computed twice."""
    images = volumes()
    whole = make("slices_lstm", encoder_options={"width": 4, "norm": "group", "keeps_size": True}).train()
    parts = copy.deepcopy(whole)
    parts.chunk = 5
    for network in (whole, parts):
        network(images).square().sum().backward()
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)
    counted = make("slices_mean", chunk=4).train()
    counted(images).sum().backward()
    assert counted.encoder.stem[1].num_batches_tracked == 3
    assert counted.encoder.stem[1].momentum == 0.1


def test_chunks_need_less_memory():
    shape = (2, 1, 16, 32, 32)
    assert cost(make("slices_lstm", chunk=4), shape).activation_bytes < 0.4 * cost(make("slices_lstm"), shape).activation_bytes


def test_slices_may_follow_each_other_along_any_axis():
    network, images = make("slices_lstm").eval(), volumes(size=(6, 12, 12))
    sagittal = make("slices_lstm", axis=2).eval()
    torch.testing.assert_close(sagittal(images.permute(0, 1, 3, 4, 2)), network(images))
    assert axis_of(sagittal) == 2
    assert slices_axis({"name": "slices_lstm", "options": {"axis": 2}}) == 2
    assert slices_axis({"name": "stack_2_5d", "options": {}}) == 0
    assert slices_axis({"name": "resnet10", "options": {}}) is None


def test_an_encoder_of_a_library_and_a_network_with_clinical_values_around():
    network = make("stack_2_5d", encoder="timm:resnet10t", encoder_options={}).eval()
    assert network.encoder.inner.conv1[0].in_channels == 3
    assert network(volumes(size=(3, 32, 32))).shape == (2, 3)
    inner = make("slices_attention").eval()
    fused = Fused(inner, channels=1, values=2, outputs=2, dimensions=3, summary=3)
    torch.testing.assert_close(slice_weights(fused, volumes()), inner.slice_weights(volumes()))
    assert axis_of(nn.Linear(2, 2)) is None


@pytest.mark.parametrize("by", ["concatenation", "modulation"])
def test_with_clinical_values_leaving_out_changes_the_answer_about_the_patient(by):
    """The change is that of what `Fused` answers with the patient's values, not of the summary that it reads."""
    inner = make("slices_max").eval()
    fused = Fused(inner, channels=1, values=2, outputs=2, dimensions=3, by=by, summary=3).eval()
    fused.head[1] = nn.Tanh()  # so that no number is cut off, and every change depends on the patient
    images, patients = volumes(), torch.tensor([[1.5, -1.0], [-2.0, 0.5]])
    weights = slice_weights(fused, with_clinical(images, patients))
    for picture, patient, found in zip(images, patients, weights, strict=True):
        about = fused.about(patient.numpy())
        changes = []
        for place in range(6):
            without = picture[None][:, :, [k for k in range(6) if k != place]]
            changes.append((about(without) - about(picture[None])).abs().sum())
        torch.testing.assert_close(found, torch.stack(changes) / sum(changes), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(slice_weights(about, picture[None])[0], found)
    assert (weights - inner.slice_weights(images)).abs().max() > 0.01
    with pytest.raises(ValueError, match="rests on 2 clinical values too, and none came"):
        slice_weights(fused, images)


def test_published_weights_go_into_the_encoder(monkeypatch):
    monkeypatch.setattr("timm.create_model", _as_if_published(__import__("timm").create_model))
    network = networks.build(
        "slices_attention",
        in_channels=1,
        out_channels=2,
        dimensions=3,
        serves="image",
        options={"encoder": "timm:resnet10t", "features": 6},
        weights="hub",
    )
    assert (network.encoder.inner.bn1.weight == 3.0).all()
    assert "follows the encoder" in str(network.weights_loaded)


def _as_if_published(create):
    def made(name, pretrained=False, **options):
        network = create(name, pretrained=False, **options)
        if pretrained:
            nn.init.constant_(network.bn1.weight, 3.0)
        return network

    return made


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": 3}, "a volume has three axes\n  Next: set axis = 0"),
        ({"neighbours": -1}, "neither can be negative"),
        ({"encoder": "resnet19"}, "has no network called 'resnet19'\n  Next: did you mean resnet"),
        ({"encoder": "keras:resnet18"}, "no library of networks is called 'keras'"),
        ({"encoder_options": {"wdth": 4}}, "the encoder resnet10 has no option 'wdth'\n  Next: did you mean width"),
        ({"encoder": "torchvision:r3d_18", "encoder_options": {}}, "reads 3D images only"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(OverreadError, match=message):
        make("slices_attention", **options)


def test_an_image_without_slices_and_an_encoder_without_published_weights_are_refused():
    with pytest.raises(OverreadError, match=r"reads volumes, and got an image of size \(12, 12\)"):
        make("slices_mean")(torch.zeros(1, 1, 12, 12))
    with pytest.raises(OverreadError, match="this encoder has no published weights"):
        make("slices_mean").load_published()


@pytest.mark.parametrize("name", ["slices_attention", "slices_max"])
def test_labels_of_volumes_alone_teach_which_slice_it_is(name):
    """A spot in one slice of half the volumes; of new ones the slice that weighs most is the one with the spot."""
    random = torch.Generator().manual_seed(0)

    def some(count):
        images, has = torch.randn(count, 1, 8, 12, 12, generator=random) * 0.3, torch.arange(count) % 2 == 0
        places = torch.randint(8, (count,), generator=random)
        images[has, 0, places[has], 4:8, 4:8] += 2
        return images, has, places

    network = make(name, encoder_options={"width": 4, "keeps_size": True}).train()
    steps = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(40):
        images, has, _ = some(12)
        loss = nn.functional.cross_entropy(network(images)[:, :2], has.long())
        steps.zero_grad()
        loss.backward()
        steps.step()
    images, has, places = some(24)
    top = network.eval().slice_weights(images).argmax(1)
    assert (top[has] == places[has]).float().mean() > 0.9
