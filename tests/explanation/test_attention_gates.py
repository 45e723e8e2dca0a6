"""The gates of an attention U-Net as a map of a case."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asked_toys import Way, asked_of
from overread.explanation.methods.table import make


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_map_says_what_the_gates_let_through(dimensions: int) -> None:
    asked = asked_of(Way("segmentation", dimensions, "attention_unet", "dense", {"base_features": 4}))
    method = make("attention_gates")
    assert method.refusal(asked) is None
    gates = asked.network.attention(asked.images)
    shown = method(asked)
    assert shown.shape == asked.patch
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert shown.mean() == pytest.approx(np.mean([float(gate.detach().mean()) for gate in gates]), abs=1e-3)
    with torch.no_grad():  # gates that are shut at the finest resolution and open at all others
        for k, gate in enumerate(asked.network.gates):
            gate.score.weight.zero_()
            gate.score.bias.fill_(-50.0 if k == len(gates) - 1 else 50.0)
    np.testing.assert_allclose(method(asked), (len(gates) - 1) / len(gates), atol=1e-5)
