"""Schedules and steps of diffusion against MONAI, and a perfect denoiser of a known distribution."""

from __future__ import annotations

import pytest
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler

from overread.core.errors import OverreadError
from overread.tasks.generative.draws import normal_like, spread_times
from overread.tasks.generative.sampling import ddim_step, ddpm_step, from_noise, times_of
from overread.tasks.generative.schedule import NOISE, VELOCITY, Schedule

THEIR_SCHEDULE = {"linear": "linear_beta", "cosine": "cosine"}
THEIR_PREDICTION = {NOISE: "epsilon", VELOCITY: "v_prediction"}
BOTH = [(name, prediction) for name in THEIR_SCHEDULE for prediction in THEIR_PREDICTION]
CPU = torch.device("cpu")


def images(seed: int = 0) -> torch.Tensor:
    return torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def in_double(kind, *given, **named):
    """Their scheduler in double precision: near time 0 single precision leaves four digits."""
    torch.set_default_dtype(torch.float64)
    try:
        theirs = kind(*given, **named)
    finally:
        torch.set_default_dtype(torch.float32)
    theirs.betas = theirs.betas.double()
    theirs.alphas = 1 - theirs.betas
    theirs.alphas_cumprod = theirs.alphas.cumprod(0)
    return theirs


@pytest.mark.parametrize("name", THEIR_SCHEDULE)
def test_schedules_are_those_of_monai(name):
    theirs = DDPMScheduler(1000, schedule=THEIR_SCHEDULE[name])
    torch.testing.assert_close(Schedule(name).added.float(), theirs.betas, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(Schedule(name).left[1:].float(), theirs.alphas_cumprod, rtol=0, atol=1e-5)
    times = torch.tensor([0, 431, 998])
    ours = Schedule(name).noisy(images(), images(1), times)
    torch.testing.assert_close(ours, theirs.add_noise(images(), images(1), times), rtol=0, atol=1e-5)
    ours = Schedule(name).wanted(VELOCITY, images(), images(1), times)
    torch.testing.assert_close(ours, theirs.get_velocity(images(), images(1), times), rtol=0, atol=1e-5)
    assert torch.equal(Schedule(name).wanted(NOISE, images(), images(1), times), images(1))


@pytest.mark.parametrize(("name", "prediction"), BOTH)
def test_steps_of_ddpm_are_those_of_monai(name, prediction):
    theirs = in_double(DDPMScheduler, 1000, THEIR_SCHEDULE[name], prediction_type=THEIR_PREDICTION[prediction])
    schedule = Schedule(name)
    for time in (1, 37, 500, 950):
        now = torch.full((3,), time)
        clean = schedule.clean(prediction, images(1), images(), now).clamp(-1, 1)
        noise = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(9))
        before, their_clean = theirs.step(images(1), time, images(), generator=torch.Generator().manual_seed(9))
        torch.testing.assert_close(clean, their_clean, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ddpm_step(schedule, images(), clean, time, noise), before, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "prediction"), BOTH)
def test_steps_of_ddim_are_those_of_monai(name, prediction):
    kind = THEIR_PREDICTION[prediction]
    theirs = in_double(DDIMScheduler, 1000, THEIR_SCHEDULE[name], prediction_type=kind, clip_sample=False)
    theirs.set_timesteps(50)
    schedule = Schedule(name)
    for time in (0, 13, 20, 500, 900):
        now = torch.full((3,), time)
        clean = schedule.clean(prediction, images(1), images(), now)
        before = ddim_step(schedule, clean, schedule.noise_in(images(), clean, now), max(-1, time - 20))
        theirs_before, _ = theirs.step(images(1), time, images())
        torch.testing.assert_close(before, theirs_before, rtol=1e-5, atol=1e-5)


def test_a_step_of_ddpm_from_the_first_time_leaves_the_image():
    clean = images(1)
    torch.testing.assert_close(ddpm_step(Schedule(), images(), clean, 0, images(2)), clean, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "prediction", "steps"), [*((*each, 100) for each in BOTH), ("cosine", VELOCITY, 1000), ("linear", NOISE, 1000)]
)
def test_a_perfect_denoiser_makes_images_of_the_right_mean_and_spread(name, prediction, steps):
    mean, spread = 1.5, 0.5
    schedule = Schedule(name)

    def denoise(noisy, times):
        signal, noise = schedule.shares(times, noisy)
        expected = mean + signal * spread**2 / (signal**2 * spread**2 + noise**2) * (noisy - signal * mean)
        return schedule.wanted(prediction, expected, schedule.noise_in(noisy, expected, times), times)

    random = torch.Generator().manual_seed(0)
    made = from_noise(denoise, (5000, 1), schedule, prediction, random, CPU, steps=steps, limits=(-6.0, 6.0))
    assert float(made.mean()) == pytest.approx(mean, abs=0.03)
    assert float(made.std()) == pytest.approx(spread, rel=0.05)


def test_one_seed_makes_the_same_images_and_limits_hold():
    def make(seed):
        random = torch.Generator().manual_seed(seed)
        return from_noise(lambda noisy, _: noisy * 9, (2, 1, 4, 4), Schedule(), NOISE, random, CPU, steps=7, limits=(-1.0, 2.0))

    assert torch.equal(make(3), make(3))
    assert not torch.equal(make(3), make(4))
    assert make(3).min() >= -1
    assert make(3).max() <= 2


def test_times_go_from_the_last_to_the_image():
    assert times_of(Schedule(), 1000) == list(range(999, -2, -1))
    assert times_of(Schedule(), 3) == [999, 500, 0, -1]
    with pytest.raises(OverreadError, match=r"cannot be made in 2000 steps: the diffusion has 1000(?s:.*)from 1 to 1000"):
        times_of(Schedule(), 2000)
    with pytest.raises(OverreadError, match=r"'sine' is no schedule of noise(?s:.*)cosine, linear"):
        Schedule("sine").left  # noqa: B018


def test_training_times_are_spread_evenly():
    times = spread_times(10, 1000, torch.Generator().manual_seed(0), CPU)
    assert sorted(int(time) // 100 for time in times) == list(range(10))
    assert not torch.equal(times, times.sort().values)
    assert normal_like(torch.zeros(2, 3), torch.Generator().manual_seed(0)).shape == (2, 3)
