"""What one case costs a frozen model: parameters, multiplications, seconds. All models read the same tuning case."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from torch.utils.flop_counter import FlopCounterMode

from overread.core.image import Image
from overread.explanation.asked import single
from overread.networks.count import count_parameters
from overread.networks.memory import keep_freed_memory
from overread.reading.model import Model


def cost_of(model: Model, image: Image, repeats: int) -> dict[str, Any]:
    """An ensemble costs what its members cost together.

    image    of one case, as it was loaded; preparing it is not timed
    repeats  readings, of which the median counts
    """
    keep_freed_memory()
    predictor = model.predictor
    prepared = predictor.prepare(image)

    def read() -> None:
        if predictor.task.question.is_of_objects:
            predictor.candidates(prepared)
        else:
            predictor.raw_of(prepared)

    with FlopCounterMode(display=False) as counter:  # the first reading warms up, and is counted
        read()
    seconds = [_timed(read) for _ in range(repeats)]
    members = single(predictor)
    return {
        "networks": sorted({card.network["name"] for card in _cards(model)}),
        "members": len(members),
        "parameters": sum(count_parameters(member.network) for member, _ in members),
        "macs": counter.get_total_flops() // 2,
        "seconds": statistics.median(seconds),
        "seconds_range": [min(seconds), max(seconds)],
    }


def _cards(model: Model) -> list[Any]:
    return [member.card for member in model.card.members] or [model.card]


def _timed(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
