"""What is particular of tasks that make images: turns of a critic, what is asked, guidance, the scale of codes, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from overread.core.errors import OverreadError
from overread.core.question import Decisions, Question
from overread.tasks.generative.adversarial import Adversarial
from overread.tasks.generative.asked import Asked, asked_of
from overread.tasks.generative.diffusing import Diffusing, guided
from overread.tasks.generative.latent_diffusing import LatentDiffusing
from overread.tasks.generative.signs import DIVERSITY, active_numbers, diversity, energy_distance
from overread.tasks.generative.turns import Turn

QUESTION = Question("synthesize", ("film",))
GUIDES = 3


class Told(nn.Module):
    """A denoiser that says what it was asked: the number of its class, or of its masks, everywhere."""

    guide_channels, image_shape = GUIDES, (1, 4, 4)

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.asked: list[torch.Tensor | None] = []

    def denoise(self, noisy, times, condition=None, guide=None):
        told = condition if condition is not None else guide
        self.asked.append(told)
        weight = torch.zeros(len(noisy)) if told is None else told.flatten(1).sum(1)
        return self.factor * (noisy * 0 + weight[:, None, None, None])


class Pair(nn.Module):
    """Images that are one number each; a critic that looks at their mean."""

    latent, classes = 1, 0

    def __init__(self, spread: float = 1.0) -> None:
        super().__init__()
        self.generator, self.critic = Numbers(spread), Mean()


class Numbers(nn.Module):
    def __init__(self, spread: float) -> None:
        super().__init__()
        self.spread = nn.Parameter(torch.tensor(spread))

    def forward(self, latents, condition=None):
        return (self.spread * latents)[:, :, None, None].expand(-1, 1, 4, 4)


class Mean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0))

    def forward(self, images, condition=None):
        return self.slope * images.flatten(1).mean(1)


def images(count: int = 6) -> torch.Tensor:
    return torch.randn(count, 1, 4, 4, generator=torch.Generator().manual_seed(0))


NOTHING = torch.zeros(6, 0)


def test_a_wasserstein_generator_learns_at_every_fifth_step():
    phases = [Adversarial(QUESTION).phases(step, 0.5) for step in range(10)]
    assert phases == 2 * [*4 * [("critic",)], ("critic", "generator")]
    assert Adversarial(QUESTION, "dcgan").phases(0, 0.0) == ("critic", "generator")


def test_the_terms_of_a_critic_are_its_means_and_its_penalty():
    terms = Adversarial(QUESTION).losses(Pair(), images(), NOTHING, Turn("critic"))
    assert terms["critic real"].item() == pytest.approx(-2 * images().mean().item(), rel=1e-5)
    steepness = 2 / 4  # slope 2 over a mean of 16 values: 16 partial derivatives of 2 / 16
    assert terms["penalty"].item() == pytest.approx(10 * (steepness - 1) ** 2, rel=1e-4)


def test_alike_images_have_no_diversity_and_a_distance():
    task, real = Adversarial(QUESTION), images(32)
    signs = [task.signs(Pair(spread), real, torch.zeros(32, 0))[DIVERSITY] for spread in (0.0, 1.0)]
    assert signs[0] == pytest.approx(0.0, abs=1e-4)
    assert signs[1] > 0.5
    assert diversity(real[:1], real[:1]) == 1.0
    assert active_numbers(torch.tensor([[0.0, 1.0], [0.0, 2.0]])) == 1
    assert active_numbers(torch.zeros(1, 5)) == 5


def test_the_energy_distance_is_zero_for_the_same_and_that_of_two_points_for_two():
    assert energy_distance(images(), images()).item() == pytest.approx(0.0, abs=1e-6)
    one, other = torch.zeros(3, 1, 4, 4), torch.ones(3, 1, 4, 4)
    assert energy_distance(one, other).item() == pytest.approx(2.0)


def test_a_generator_asked_for_a_mask_or_for_steps_is_refused():
    random = torch.Generator()
    with pytest.raises(OverreadError, match=r"cannot follow a mask(?s:.*)diffusion_unet"):
        Adversarial(QUESTION).make(Pair(), 2, random, guide=torch.zeros(2, 1, 4, 4))
    with pytest.raises(OverreadError, match=r"at once, not in 7 steps(?s:.*)leave the number of steps out"):
        Adversarial(QUESTION).make(Pair(), 2, random, steps=7)


def test_classes_are_a_condition_and_masks_a_guide():
    assert asked_of(NOTHING, Told()).is_anything
    assert torch.equal(asked_of(torch.eye(3), Told()).condition, torch.eye(3))
    masks = torch.rand(2, GUIDES, 4, 4)
    assert torch.equal(asked_of(masks, Told()).guide, masks)
    numbers = torch.tensor([0, 2, 1, 0], dtype=torch.uint8).reshape(1, 1, 2, 2)
    guide = asked_of(numbers, Told()).guide
    assert guide.shape == (1, GUIDES, 2, 2)
    assert torch.equal(guide.argmax(1), numbers[:, 0].long())
    with pytest.raises(OverreadError, match=r"structure 3, and this network is guided by 3 masks(?s:.*)numbers 0 to 2"):
        asked_of(numbers + 1, Told())


def test_a_share_of_what_is_asked_is_hidden_while_learning_and_never_in_a_look():
    network, task = Told(), Diffusing(QUESTION, forgotten=0.3)
    many, targets = images(400), torch.ones(400, 1)
    task.losses(network, many, targets, Turn("whole"))
    task.losses(network, many, targets)
    hidden = [float((asked == 0).float().mean()) for asked in network.asked]
    assert hidden[0] == pytest.approx(0.3, abs=0.07)
    assert hidden[1] == 0.0
    masks = Asked(guide=torch.ones(400, 1, 2, 2)).kept(0.5, torch.Generator().manual_seed(0)).guide
    assert set(masks.flatten(1).sum(1).tolist()) == {0.0, 4.0}, "a mask is hidden as a whole"
    assert Asked().kept(0.5, torch.Generator()) == Asked()


@pytest.mark.parametrize(("guidance", "said"), [(1.0, 1.0), (2.5, 2.5), (0.0, 0.0)])
def test_guidance_pushes_beyond_what_is_asked(guidance, said):
    answer = guided(Told(), Asked(condition=torch.eye(6)), guidance)(images(), torch.zeros(6))
    torch.testing.assert_close(answer, torch.full_like(answer, said))
    plain = guided(Told(), Asked(), guidance)(images(), torch.zeros(6))
    assert torch.equal(plain, torch.zeros_like(plain))


def test_an_image_is_asked_for_by_its_mask():
    network = Told()
    numbers = torch.ones(2, 1, 4, 4, dtype=torch.uint8)
    made = Diffusing(QUESTION, guidance=1.0).make(network, 2, torch.Generator().manual_seed(0), guide=numbers, steps=2)
    assert made.shape == (2, 1, 4, 4)
    assert all(torch.equal(asked.argmax(1), numbers[:, 0].long()) for asked in network.asked)


class Coder(nn.Module):
    """Codes that are the images, many times as large."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(20.0))

    def encode(self, pictures):
        return self.factor * pictures, torch.full_like(pictures, -20.0)

    def decode(self, codes):
        return codes / self.factor


def latent() -> nn.Module:
    network = Told()
    network.autoencoder, network.denoiser = Coder(), nn.Linear(1, 1)
    network.register_buffer("scale", torch.ones(()))
    return network


def test_the_spread_of_codes_is_brought_to_one_before_the_denoiser_learns():
    task, network = LatentDiffusing(QUESTION, autoencoder=0.4), latent()
    assert [task.phases(0, progress) for progress in (0.0, 0.39, 0.4)] == [("autoencoder",), ("autoencoder",), ("denoiser",)]
    for step in range(150):
        task.losses(network, images(), NOTHING, Turn("autoencoder", step))
    assert float(network.scale) == pytest.approx(1 / (20 * images().std().item()), rel=0.01)
    before = network.scale.clone()
    task.losses(network, images(), NOTHING, Turn("denoiser", 150))
    assert set(task.losses(network, images(), NOTHING)) == {"velocity", "reconstruction", "kl"}
    assert torch.equal(network.scale, before), "neither the denoiser nor a look changes it"


def test_a_maker_of_images_answers_no_case():
    for ask in (
        lambda task: task.respond(Told(), images()),
        lambda task: task.decode(np.zeros(1), Decisions()),
    ):
        with pytest.raises(TypeError, match="no case is answered"):
            ask(Diffusing(QUESTION))
    assert Diffusing(QUESTION).encode(None, None).size == 0
