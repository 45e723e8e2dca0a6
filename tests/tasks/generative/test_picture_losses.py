"""Losses of images against MONAI, scikit-image, torch's distributions and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.losses import SSIMLoss
from skimage.metrics import structural_similarity
from torch import distributions, nn

from overread.tasks.losses.adversarial import LEAST_SQUARES, NON_SATURATING, WASSERSTEIN, gradient_penalty
from overread.tasks.losses.latent import drawn_code, kl_to_normal
from overread.tasks.losses.pictures import BY_NAME, WEIGHTS, range_of, ssim


def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    truth = torch.randn(2, 2, *shape, generator=random).cumsum(-1)
    return truth + 0.3 * torch.randn(2, 2, *shape, generator=random), truth


@pytest.mark.parametrize("shape", [(24, 20), (14, 16, 18)])
def test_ssim_is_that_of_monai(shape):
    answer, truth = pair(*shape)
    theirs = 1 - SSIMLoss(spatial_dims=len(shape), data_range=7.0)(answer, truth)
    torch.testing.assert_close(ssim(answer, truth, 7.0), theirs, rtol=1e-5, atol=1e-5)


def test_ssim_is_that_of_scikit_image_where_the_window_fits():
    answer, truth = (each[0, 0].numpy().astype(np.float64) for each in pair(30, 26))
    _, places = structural_similarity(
        truth, answer, data_range=9.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    ours = ssim(torch.from_numpy(answer)[None, None], torch.from_numpy(truth)[None, None], 9.0)
    assert float(ours) == pytest.approx(places[5:-5, 5:-5].mean(), abs=1e-4)


def test_ssim_fits_flat_volumes_and_can_be_learned_by():
    answer, truth = pair(3, 12, 12)
    answer.requires_grad_()
    assert ssim(truth, truth, 5.0).item() == pytest.approx(1.0, abs=1e-6)
    ssim(answer, truth, range_of(truth)).backward()
    assert torch.isfinite(answer.grad).all()
    empty = torch.zeros(1, 1, 12, 12, requires_grad=True)
    BY_NAME["l1_ssim"](empty, torch.zeros(1, 1, 12, 12))["ssim"].backward()
    assert torch.isfinite(empty.grad).all()


@pytest.mark.parametrize("name", BY_NAME)
def test_terms_are_named_and_weighted_as_told(name):
    answer, truth = pair(16, 16)
    assert set(BY_NAME[name](answer, truth)) == set(WEIGHTS[name])
    assert sum(float(term) for term in BY_NAME[name](truth, truth).values()) == pytest.approx(0.0, abs=1e-5)


def test_kl_is_that_of_torch():
    random = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(3, 2, 4, 4, generator=random), torch.randn(3, 2, 4, 4, generator=random)
    theirs = distributions.kl_divergence(
        distributions.Normal(mean, (0.5 * log_variance).exp()), distributions.Normal(torch.zeros(()), torch.ones(()))
    )
    torch.testing.assert_close(kl_to_normal(mean, log_variance), theirs.flatten(1).sum(1), rtol=1e-5, atol=1e-5)


def test_a_drawn_code_has_the_mean_and_spread_it_was_told():
    mean, log_variance = torch.full((4000, 2), 3.0), torch.full((4000, 2), float(np.log(4.0)))
    code = drawn_code(mean, log_variance, torch.Generator().manual_seed(0))
    assert float(code.mean()) == pytest.approx(3.0, abs=0.1)
    assert float(code.std()) == pytest.approx(2.0, abs=0.1)


def test_the_gradient_penalty_is_that_of_finite_differences():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    real, made = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3)
    share = torch.rand(4, 1, 1, 1, generator=torch.Generator().manual_seed(5)).double()
    between = share * real.double() + (1 - share) * made.double()
    slopes = torch.zeros(4, 9, dtype=torch.float64)
    for k in range(9):
        step = torch.zeros(9, dtype=torch.float64)
        step[k] = 1e-5
        step = step.reshape(1, 1, 3, 3)
        slopes[:, k] = ((critic(between + step) - critic(between - step)) / 2e-5)[:, 0].detach()
    expected = ((slopes.norm(dim=1) - 1) ** 2).mean()
    single = critic.float()
    ours = gradient_penalty(lambda images: single(images)[:, 0], real, made, torch.Generator().manual_seed(5))
    assert ours.item() == pytest.approx(expected.item(), rel=1e-4)
    ours.backward()
    assert all(torch.isfinite(p.grad).all() for p in single.parameters() if p.grad is not None)


def test_the_gradient_penalty_stays_in_full_precision():
    seen = []
    critic = nn.Conv2d(1, 1, 3)

    def judge(images):
        scores = critic(images)
        seen.append(scores.dtype)
        return scores.flatten(1).sum(1)

    with torch.autocast("cpu", torch.bfloat16):
        gradient_penalty(judge, torch.randn(2, 1, 6, 6), torch.randn(2, 1, 6, 6), torch.Generator().manual_seed(0))
    assert seen == [torch.float32]


@pytest.mark.parametrize("rule", [NON_SATURATING, LEAST_SQUARES, WASSERSTEIN])
def test_a_critic_and_a_generator_pull_at_the_same_rope(rule):
    scores = torch.zeros(5, requires_grad=True)
    pulls = [torch.autograd.grad(part(scores), scores)[0].sum() for part in (rule.real, rule.made, rule.fools)]
    assert pulls[0] < 0, "a critic wants high scores of real images"
    assert pulls[1] >= 0, "and low ones of made images"
    assert pulls[2] < 0, "a generator wants high ones of made images"


def test_non_saturating_losses_are_binary_cross_entropies():
    scores = torch.tensor([-2.0, 0.5, 3.0])
    entropy = nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(NON_SATURATING.real(scores), entropy(scores, torch.ones(3)))
    torch.testing.assert_close(NON_SATURATING.made(scores), entropy(scores, torch.zeros(3)))
    torch.testing.assert_close(NON_SATURATING.fools(scores), entropy(scores, torch.ones(3)))
