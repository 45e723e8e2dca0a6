"""Deep supervision learns in the number format of the run."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from overread.training.scales import format_scales


class TwoScales(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.seen = nn.Conv2d(1, 1, 1), []

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_scales(images)[0]

    def forward_scales(self, images: Tensor) -> list[Tensor]:
        answer = self.layer(images)
        self.seen.append(answer.dtype)
        return [answer, answer[..., ::2, ::2]]


def test_coarser_answers_are_asked_in_the_format_of_the_run() -> None:
    """Fabric alone leaves the method in float32, so that bfloat16 would make nothing faster."""
    for precision, dtype in (("bf16-mixed", torch.bfloat16), ("32-true", torch.float32)):
        fabric, network = Fabric(accelerator="cpu", devices=1, precision=precision), TwoScales()
        taught = fabric.setup(network)
        format_scales(network, fabric)
        scales = taught.forward_scales(torch.zeros(1, 1, 4, 4))
        assert network.seen == [dtype]
        assert {scale.dtype for scale in scales} == {torch.float32}


def test_a_network_of_one_answer_is_left_alone() -> None:
    network = nn.Conv2d(1, 1, 1)
    format_scales(network, Fabric(accelerator="cpu", devices=1))
    assert not hasattr(network, "forward_scales")
