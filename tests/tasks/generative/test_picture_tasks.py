"""What is particular of tasks whose answer is an image: noise, warm-up, critics, cycles, signs, the answer as a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Picture
from overread.core.question import Decisions, Question
from overread.tasks.generative.autoencoding import Autoencoding
from overread.tasks.generative.paired import Restoring, Translating
from overread.tasks.generative.signs import ACTIVE, DIVERSITY, KL
from overread.tasks.generative.turns import LOOKING, Turn
from overread.tasks.generative.unpaired import CycleTranslating
from overread.tasks.generative.variational import Vae
from overread.tasks.target import Target


class Seen(nn.Module):
    """Remembers what it was given, and gives it back times a weight."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.given: list[torch.Tensor] = []

    def forward(self, images):
        self.given.append(images)
        return images * self.factor


class Coded(nn.Module):
    """A code of two numbers: the first the mean of the image, the second nothing; as sure as told."""

    latent = 2

    def __init__(self, log_variance: float) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.tensor(log_variance))

    def encode(self, images):
        mean = torch.stack([images.flatten(1).mean(1), torch.zeros(len(images))], 1)
        return mean, self.log_variance.expand_as(mean)

    def decode(self, codes):
        return codes[:, :1, None, None].expand(-1, 1, 4, 4)


def question(asked: str) -> Question:
    return Question(asked, ("t2",), units=("HU",), given=("t1",))


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_denoising_adds_noise_to_what_is_read_and_not_to_the_truth():
    network = Seen()
    error = Autoencoding(question("autoencode"), "l2", denoising=0.5).losses(network, images(256), images(256), Turn("whole"))
    added = network.given[0] - images(256)
    assert float(added.std()) == pytest.approx(0.5, rel=0.05)
    assert error["l2"].item() == pytest.approx(0.25, rel=0.1)
    Autoencoding(question("autoencode")).losses(network, images(), images(), Turn("whole"))
    assert torch.equal(network.given[1], images())


def test_the_weight_of_the_code_rises_while_a_vae_warms_up():
    task, network = Vae(question("vae"), beta=0.2, warm_up=0.4), Coded(0.0)
    kl = [task.losses(network, images(), images(), Turn("whole", 3, progress))["kl"].item() for progress in (0.0, 0.2, 0.4, 1.0)]
    nats = 0.5 * images().flatten(1).mean(1).square().mean().item()
    assert kl == pytest.approx([0.0, 0.1 * nats / 16, 0.2 * nats / 16, 0.2 * nats / 16])
    assert task.losses(network, images(), images(), LOOKING)["kl"].item() == pytest.approx(kl[-1])
    always = Vae(question("vae"), warm_up=0.0).losses(network, images(), images(), Turn("whole", 0, 0.0))
    assert always["kl"].item() == pytest.approx(nats / 16)


def test_signs_of_a_vae_tell_its_nats_and_the_numbers_in_use():
    many = images(64) + torch.linspace(-2, 2, 64)[:, None, None, None]
    signs = Vae(question("vae")).signs(Coded(-2.0), many, many)
    assert signs[ACTIVE] == 1
    assert signs[KL] == pytest.approx(0.5 * many.flatten(1).mean(1).square().mean().item() + 0.5 * (np.exp(-2) + 1) * 2, rel=1e-4)


def pix2pix(factor: float) -> nn.Module:
    network = Seen(factor)
    network.generator = nn.Identity()
    network.critic = nn.Conv2d(2, 1, 3)
    return network


def test_pix2pix_weighs_the_error_a_hundredfold_and_shows_the_critic_both():
    task, network, truth = Translating(question("translate"), "pix2pix", route="pictures"), pix2pix(0.0), images().roll(1, 2)
    terms = task.losses(network, images(), truth, Turn("generator"))
    assert terms["l1"].item() == pytest.approx(100 * truth.abs().mean().item())
    judged = task.losses(network, images(), truth, Turn("critic"))
    scores = network.critic(torch.cat([images(), truth], 1))
    assert judged["critic real"].item() == pytest.approx(0.5 * nn.functional.softplus(-scores).mean().item(), rel=1e-5)
    assert not judged["critic made"].requires_grad or network.factor.grad is None
    assert set(task.losses(network, images(), truth)) == {"l1"}, "a look needs no critic"


def test_answers_that_are_all_alike_are_a_sign_where_a_critic_teaches():
    truth = images(8) + torch.linspace(-2, 2, 8)[:, None, None, None]
    task = Translating(question("translate"), "pix2pix", route="pictures")
    assert task.signs(pix2pix(0.0), truth, truth)[DIVERSITY] == pytest.approx(0.0, abs=1e-6), "nothing, whatever is read"
    assert task.signs(pix2pix(1.0), truth, truth)[DIVERSITY] == pytest.approx(1.0)
    assert Translating(question("translate"), "l1").signs(Seen(0.0), truth, truth) == {}


def test_a_network_without_a_critic_is_refused():
    task = Translating(question("translate"), "pix2pix", route="pictures")
    with pytest.raises(OverreadError, match=r'Seen has no critic, which this loss teaches(?s:.*)loss = "l1"'):
        list(task.parameters(Seen(), "critic"))


def cycle(forth: float, back: float) -> nn.Module:
    network = nn.Module()
    network.forth, network.back = Seen(forth), Seen(back)
    network.critic_a, network.critic_b = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)
    return network


def test_there_and_back_again_is_no_error():
    task, network, a, b = CycleTranslating(question("translate")), cycle(2.0, 0.5), images(), images().roll(1, 2) * 2
    terms = task.losses(network, a, b, Turn("generator"))
    assert terms["cycle"].item() == pytest.approx(0.0, abs=1e-5)
    assert terms["identity"].item() == pytest.approx(5 * (b.abs().mean() + 0.5 * a.abs().mean()).item(), rel=1e-5)
    assert task.losses(cycle(2.0, 1.0), a, b)["cycle"].item() > 1
    shuffled = task.losses(network, a, b.flip(0), Turn("generator"))
    for name in terms:  # which images belong to one case does not matter
        torch.testing.assert_close(terms[name], shuffled[name], rtol=1e-4, atol=1e-5)


def test_unlike_channels_have_no_identity():
    asked = Question("translate", ("t2",), given=("t1", "pd"))
    assert "identity" not in CycleTranslating(asked).term_weights


def test_a_picture_answers_on_its_grid_in_its_units():
    task, grid = Restoring(question("restore")), Grid.from_spacing((1, 4, 4), (1.0, 1.0, 1.0))
    raw = np.ones((1, 1, 4, 4))
    answer = task.decode_map(raw, grid, Decisions())
    assert isinstance(answer, Picture)
    assert (answer.units, answer.array.dtype, answer.grid) == ("HU", np.float32, grid)
    assert np.array_equal(task.encode(answer, None), answer.array)
    with pytest.raises(TypeError, match="per voxel"):
        task.decode(raw, Decisions())


def test_a_score_is_the_intensity_where_it_is_asked_about():
    task, voxels = Restoring(question("restore")), np.zeros((1, 4, 4), bool)
    voxels[0, 1, 2] = True
    translating = Translating(question("translate"))
    torch.testing.assert_close(translating.score(Seen(3.0), images(), Target("t2", 0, voxels)), 3 * images()[:, 0, 1, 2])
    torch.testing.assert_close(translating.score(Seen(3.0), images(), Target("t2", 0)), 3 * images().flatten(1).mean(1))
    torch.testing.assert_close(task.score(Seen(3.0), images(), Target("t2", 0, voxels)), 4 * images()[:, 0, 1, 2])


def test_a_weaker_restoration_takes_over_a_share_of_the_change_and_learns_all_of_it():
    whole, weak = (Restoring(question("restore"), "l1", strength=strength) for strength in (1.0, 0.25))
    change = whole.respond(Seen(0.4), images()) - images()
    torch.testing.assert_close(weak.respond(Seen(0.4), images()), images() + 0.25 * change)
    losses = [task.losses(Seen(0.4), images(), images().roll(1, 2))["l1"].item() for task in (whole, weak)]
    assert losses[0] == losses[1]
    for strength in (0.0, 1.5):
        with pytest.raises(OverreadError, match="is no share of what is changed"):
            Restoring(question("restore"), "l1", strength=strength)


def test_a_restoration_begins_with_what_was_read():
    task, truth = Restoring(question("restore"), "l1"), images().roll(1, 2)
    assert torch.equal(task.respond(Seen(0.0), images()), images())
    assert task.losses(Seen(0.0), images(), truth)["l1"].item() == pytest.approx((images() - truth).abs().mean().item())
