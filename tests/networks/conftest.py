"""What the tests of networks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from overread.networks.small_maps import SmallMaps


@pytest.fixture
def as_in_training() -> Iterator[None]:
    """Small maps are convolved as the loop has it: without this torch's gradients of them are, now and then, garbage."""
    with SmallMaps():
        yield
