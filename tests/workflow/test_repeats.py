"""Images of a look against training images, on small pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from overread.batches.cache import PreparedCase
from overread.workflow.generation.repeats import Repeats


def cases(seed: int, count: int, shape: tuple[int, ...]) -> list[PreparedCase]:
    random = np.random.default_rng(seed)
    nothing = np.zeros(0, np.float32)
    return [PreparedCase(f"c{k}", random.normal(size=(1, *shape)).astype(np.float16), nothing) for k in range(count)]


@pytest.mark.parametrize(("shape", "dimensions"), [((1, 40, 24), 2), ((12, 20, 8), 3)])
def test_a_copy_is_near_and_a_new_image_is_not(shape: tuple[int, int, int], dimensions: int) -> None:
    training, tuning = cases(0, 20, shape), cases(1, 8, shape)
    repeats = Repeats.of(training, tuning, shape, dimensions)
    assert repeats is not None
    copies, fresh = (
        torch.from_numpy(np.stack([each.image for each in some])).float() for some in (training[:3], cases(2, 6, shape))
    )
    if dimensions == 2:
        copies, fresh = copies[:, :, 0], fresh[:, :, 0]
    assert repeats.nearest(copies + 0.01 * torch.randn(copies.shape)) < 0.1
    assert repeats.nearest(fresh) > 0.8
    assert repeats.nearest(torch.cat([fresh, copies])) < 0.01, "one copy is enough"


def test_a_cohort_that_holds_its_images_twice_tells_no_copy() -> None:
    training = cases(0, 6, (1, 8, 8))
    assert Repeats.of(training, training, (1, 8, 8), 2) is None
    some = Repeats.of(training, [*training[:2], *cases(1, 2, (1, 8, 8))], (1, 8, 8), 2)
    assert some is not None
    assert some.held_out > 0
