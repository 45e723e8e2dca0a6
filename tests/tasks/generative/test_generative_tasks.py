"""Every task that answers with images or makes them, on the network that it is meant for, 2D and 3D."""

from __future__ import annotations

import pytest
import torch

from overread.core.question import Question
from overread.networks.table import build
from overread.tasks import make
from overread.tasks.generative.turns import LOOKING, TakesTurns, Turn

EDGE = {2: (16, 16), 3: (8, 16, 16)}
SMALL = {
    "autoencoder": {"latent": 6, "features": (8, 8)},
    "variational_autoencoder": {"latent": 6, "features": (8, 8)},
    "pix2pix": {"base_features": 4, "critic_features": 4},
    "cycle_gan": {"base_features": 4, "blocks": 1, "critic_features": 4},
    "dcgan": {"latent": 5, "features": (8, 8)},
    "wasserstein_gan": {"latent": 5, "features": (8, 8)},
    "diffusion_unet": {"features": (8, 8), "blocks": 1, "heads": 1},
    "latent_diffusion": {"codes": 2, "autoencoder_features": (8,), "features": (8,), "blocks": 1, "heads": 1},
}
WAYS = (
    ("autoencode", "autoencoder", "l1"),
    ("autoencode", "autoencoder", "l1_ssim"),
    ("vae", "variational_autoencoder", "l2"),
    ("translate", "pix2pix", "pix2pix"),
    ("translate", "cycle_gan", "cycle"),
    ("restore", "autoencoder", "l2"),
    ("synthesize", "dcgan", "dcgan"),
    ("synthesize", "wasserstein_gan", "wgan_gp"),
    ("synthesize", "diffusion_unet", "velocity"),
    ("synthesize", "diffusion_unet", "noise"),
    ("synthesize", "latent_diffusion", "latent_velocity"),
)
MAKING = [(asked, name, loss) for asked, name, loss in WAYS if asked in ("vae", "synthesize")]


def posed(asked: str, name: str, loss: str, dimensions: int, classes: int = 0):
    """Task, network, images and targets."""
    is_made = asked == "synthesize"
    question = Question(asked, ("t2",), given=() if is_made else ("t1",))
    route = "made" if is_made else "pictures"
    task = make(question, loss=loss, route=route)
    torch.manual_seed(0)
    size = {"patch": EDGE[dimensions]} if name == "pix2pix" else {"image_size": EDGE[dimensions]}
    options, inputs = {**SMALL[name], **size}, classes if is_made else 1
    network = build(name, in_channels=inputs, out_channels=1, dimensions=dimensions, serves=route, options=options)
    random = torch.Generator().manual_seed(1)
    images = torch.randn(4, 1, *EDGE[dimensions], generator=random)
    targets = torch.eye(4)[:, :classes] if is_made else images.roll(1, -1)
    return task, network, images, targets


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("asked", "name", "loss"), WAYS)
def test_each_phase_teaches_all_of_its_part_by_terms_that_are_told(asked, name, loss, dimensions):
    task, network, images, targets = posed(asked, name, loss, dimensions)
    assert isinstance(task, TakesTurns)
    turns = [(step, progress) for step in range(5) for progress in (0.1, 0.9)]
    phases = {phase: (step, progress) for step, progress in turns for phase in task.phases(step, progress)}
    told: dict[str, torch.Tensor] = {}
    taught = set()
    for phase, (step, progress) in phases.items():
        own = {id(parameter) for parameter in task.parameters(network, phase)}
        for parameter in network.parameters():
            parameter.grad = None
            parameter.requires_grad_(id(parameter) in own)
        terms = task.losses(network, images, targets, Turn(phase, step, progress))
        torch.stack(list(terms.values())).sum().backward()
        silent = [n for n, p in network.named_parameters() if id(p) in own and p.grad is None]
        assert not silent, f"{phase} does not reach {silent}"
        told |= terms
        taught |= own
    assert taught == {id(parameter) for parameter in network.parameters()}
    assert set(told) == set(task.term_weights)
    assert all(torch.isfinite(term) for term in told.values())


@pytest.mark.parametrize(("asked", "name", "loss"), WAYS)
def test_a_look_is_always_the_same_and_a_step_hangs_on_its_number(asked, name, loss):
    task, network, images, targets = posed(asked, name, loss, 2)
    network.eval()
    with torch.no_grad():
        looks = [task.losses(network, images, targets) for _ in range(2)]
        assert looks[0].keys() == looks[1].keys()
        assert all(torch.equal(looks[0][term], looks[1][term]) for term in looks[0])
        phase = task.phases(4, 0.9)[-1]
        one, again, other = (task.losses(network, images, targets, Turn(phase, step, 0.9)) for step in (4, 4, 9))
    assert all(torch.equal(one[term], again[term]) for term in one)
    draws = asked in ("vae", "synthesize")
    assert any(not torch.equal(one[term], other[term]) for term in one) == draws


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize(("asked", "name", "loss"), MAKING)
def test_images_are_made_by_a_seed(asked, name, loss, classes):
    task, network, _, _ = posed(asked, name, loss, 2, classes)
    network.eval()
    steps = 3 if "diffusion" in name else None
    condition = torch.eye(3)[:, :classes] if classes and asked == "synthesize" else None
    made = [task.make(network, 3, torch.Generator().manual_seed(seed), condition=condition, steps=steps) for seed in (0, 0, 1)]
    assert made[0].shape == (3, 1, 16, 16)
    assert made[0].dtype == torch.float32
    assert torch.isfinite(made[0]).all()
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


@pytest.mark.parametrize(("asked", "name", "loss"), [way for way in WAYS if way[0] == "synthesize"])
def test_classes_of_the_images_are_learned_with(asked, name, loss):
    task, network, images, targets = posed(asked, name, loss, 2, 3)
    for step, progress in ((4, 0.1), (4, 0.9)):
        for phase in task.phases(step, progress):
            assert all(torch.isfinite(v) for v in task.losses(network, images, targets, Turn(phase, step, progress)).values())
    assert all(torch.isfinite(term) for term in task.losses(network, images, targets, LOOKING).values())
