"""MONAI's own diffusion network, scheduler and inferer trained the plain way, as a peer: float32, Adam, from random weights.

The sizes are those of MONAI's tutorial of two-dimensional DDPM (Project-MONAI/tutorials, generation/2d_ddpm): channels 64, 128,
128, one residual block, attention in the last stage, 1000 steps of a linear schedule, predicted noise, Adam at 2.5e-5. Images
are scaled to 0..1 as there. Drawn by DDIM in as many steps as ours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from monai.inferers import DiffusionInferer
from monai.networks.nets import DiffusionModelUNet
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from torch import nn
from torch.nn import functional

RATE, BATCH, STEPS = 2.5e-5, 64, 1000
EDGE = 32  # the network halves twice: 28 pixels are padded


@dataclass(frozen=True)
class Trained:
    network: nn.Module
    steps: int
    minutes: float


def train(images: np.ndarray, minutes: float, seed: int = 0, rate: float = RATE) -> Trained:
    """images (N, Y, X) from 0 to 1, at most 32 pixels along an edge; reading files is not counted."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = DiffusionModelUNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        channels=(64, 128, 128),
        attention_levels=(False, False, True),
        num_res_blocks=1,
        num_head_channels=128,
    )
    inferer = DiffusionInferer(DDPMScheduler(num_train_timesteps=STEPS))
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    padded = torch.from_numpy(_padded(images))[:, None]
    began, steps = time.monotonic(), 0
    network.train()
    while time.monotonic() - began < 60 * minutes:
        some = padded[random.integers(0, len(padded), BATCH)]
        noise = torch.randn_like(some)
        times = torch.randint(0, STEPS, (len(some),))
        optimizer.zero_grad(set_to_none=True)
        predicted = inferer(inputs=some, diffusion_model=network, noise=noise, timesteps=times)
        functional.mse_loss(predicted, noise).backward()
        optimizer.step()
        steps += 1
    return Trained(network.eval(), steps, (time.monotonic() - began) / 60)


@torch.inference_mode()
def make(trained: Trained, count: int, edge: int, steps: int, seed: int = 0) -> np.ndarray:
    """(count, edge, edge) float32 from 0 to 1."""
    scheduler = DDIMScheduler(num_train_timesteps=STEPS)
    scheduler.set_timesteps(steps)
    inferer = DiffusionInferer(scheduler)
    torch.manual_seed(seed)
    made = []
    for first in range(0, count, BATCH):
        noise = torch.randn(min(BATCH, count - first), 1, EDGE, EDGE)
        drawn = inferer.sample(input_noise=noise, diffusion_model=trained.network, scheduler=scheduler, verbose=False)
        made.append(drawn[:, 0].numpy())
    margin = (EDGE - edge) // 2
    return np.clip(np.concatenate(made)[:, margin : margin + edge, margin : margin + edge], 0, 1)


def _padded(images: np.ndarray) -> np.ndarray:
    short = EDGE - np.array(images.shape[1:])
    before = short // 2
    return np.pad(images.astype(np.float32), [(0, 0), *zip(before, short - before, strict=True)], mode="edge")
