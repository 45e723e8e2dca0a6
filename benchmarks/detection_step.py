"""A training step and an answer of torchvision's detectors: through Overread, beside torchvision's plain float32 loop.

    python benchmarks/detection_step.py
    python benchmarks/detection_step.py --networks retinanet --size 320 --batch 2 --rounds 5

Both sides have the same network with the same weights, anchors, numbers of proposals and limits of answers; images and truth
are the same, and nothing but the step is timed. Theirs is torchvision's own class as its reference recipe trains it: float32,
the usual memory layout, its transform (which resizes nothing here), SGD with momentum. Ours is what the training loop
does: bfloat16 where coordinates and scores allow it, channels-last, our RoI align, gradients clipped, the moving average. Rounds
alternate (ours, theirs, ours, theirs ...), because a shared machine changes from minute to minute: only the ratio within one
run means something.

Answers are timed after the steps, with our weights on both sides, so that both find about the same boxes. There are more of them
than a trained network finds, since a few steps on noise leave many scores above the limit.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from common import Started, parser, run, say_result, spread_of, table, write_result
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

from overread import networks
from overread.networks.layout import to_channels_last
from overread.networks.memory import keep_freed_memory
from overread.networks.torchvision_objects.generators import FineAnchors
from overread.networks.torchvision_objects.norms import FrozenNorm
from overread.networks.torchvision_objects.precision import ExactConv, ExactLinear
from overread.networks.torchvision_objects.roi import ChannelsLastRoIAlign
from overread.networks.torchvision_objects.targets import to_torchvision
from overread.training.average import Average

AIMS = {"retinanet": 2.5, "mask_rcnn": 1.5}
CHANNELS, CLASSES, OBJECTS = 3, 3, 3


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--networks", nargs="+", default=["retinanet", "mask_rcnn"])
    options.add_argument("--backbone", default="resnet50")
    options.add_argument("--norm", default="frozen", help="frozen, as torchvision's recipe has it, or group")
    options.add_argument("--size", type=int, default=320, help="pixels of each axis")
    options.add_argument("--batch", type=int, default=2)
    options.add_argument("--rounds", type=int, default=5, help="steps of each side, after one to warm up")
    asked, started = options.parse_args(), Started()
    keep_freed_memory()
    figures: dict[str, Any] = {}
    spread: dict[str, Any] = {}
    for name in asked.networks:
        pair = make_pair(name, asked.backbone, asked.norm, asked.size, asked.batch)
        seconds = measured(pair, asked.rounds)
        figures[name] = judged(name, seconds, asked.batch)
        spread |= {f"{name}, {what}": spread_of(values) for what, values in seconds.items()}
    settings = {key: getattr(asked, key) for key in ("backbone", "norm", "size", "batch", "rounds")}
    settings["threads"] = torch.get_num_threads()
    path = write_result("detection-step", started, settings=settings, figures=figures, spread=spread)
    say_result(path, lines_of(figures))


@dataclass(frozen=True)
class Pair:
    """Steps and answers of both sides, each a function that is timed; share_weights gives them ours."""

    ours_step: Callable[[], None]
    theirs_step: Callable[[], None]
    ours_answer: Callable[[], None]
    theirs_answer: Callable[[], None]
    share_weights: Callable[[], object]


def make_pair(name: str, backbone: str, norm: str, size: int, batch: int) -> Pair:
    torch.manual_seed(0)
    ours = networks.build(
        name,
        in_channels=CHANNELS,
        out_channels=CLASSES,
        dimensions=2,
        serves="objects",
        options={"backbone": backbone, "norm": norm},
    )
    plain = as_torchvision(copy.deepcopy(ours.inner), size)  # type: ignore[arg-type]
    images, targets = torch.randn(batch, CHANNELS, size, size), truth(size, batch)
    first_class: Any = ours.first_class
    wanted = to_torchvision(targets, (size, size), first_class=first_class, with_masks=name == "mask_rcnn", source=name)
    our_step, our_answer = our_sides(to_channels_last(ours), images, targets)
    their_step, their_answer = their_sides(plain, list(images), wanted)
    return Pair(our_step, their_step, our_answer, their_answer, lambda: plain.load_state_dict(ours.inner.state_dict()))


def as_torchvision(inner: nn.Module, size: int) -> nn.Module:
    """The network as torchvision makes it: its transform, anchors, pooling, frozen norms and layers, with the same weights."""
    inner.transform = GeneralizedRCNNTransform(size, size, [0.0] * CHANNELS, [1.0] * CHANNELS)
    for parent in list(inner.modules()):
        for name, part in list(parent.named_children()):
            fresh = theirs_for(part)
            if fresh is not None:
                if part.state_dict():
                    fresh.load_state_dict(part.state_dict())
                setattr(parent, name, fresh)
    return inner


def theirs_for(part: nn.Module) -> nn.Module | None:
    """torchvision's or torch's own form of one of our layers."""
    if isinstance(part, FineAnchors):
        return AnchorGenerator(part.sizes, part.aspect_ratios)
    if isinstance(part, ChannelsLastRoIAlign):
        return MultiScaleRoIAlign(part.featmap_names, part.output_size, part.sampling_ratio)
    if isinstance(part, FrozenNorm):
        return FrozenBatchNorm2d(len(part.weight))
    if isinstance(part, ExactConv):
        sizes: Any = (part.kernel_size, part.stride, part.padding)
        return nn.Conv2d(part.in_channels, part.out_channels, *sizes)
    return nn.Linear(part.in_features, part.out_features) if isinstance(part, ExactLinear) else None


def truth(size: int, batch: int) -> list[dict[str, Tensor]]:
    """A few objects per image, with outlines."""
    found = []
    for image in range(batch):
        draws = torch.Generator().manual_seed(image)
        corners = torch.randint(0, size // 2, (OBJECTS, 2), generator=draws)
        edges = torch.randint(size // 16, size // 3, (OBJECTS, 2), generator=draws)
        flat = torch.full((OBJECTS, 1), 0.5)
        numbers = torch.zeros(OBJECTS, size, size, dtype=torch.int16)
        for k, ((y, x), (height, width)) in enumerate(zip(corners.tolist(), edges.tolist(), strict=True)):
            numbers[k, y : y + height, x : x + width] = k + 1
        boxes = torch.cat([-flat, corners - 0.5, flat, corners + edges - 0.5], dim=1)
        found.append({"boxes": boxes, "classes": torch.arange(OBJECTS) % CLASSES, "numbers": numbers})
    return found


def our_sides(
    network: nn.Module, images: Tensor, targets: list[dict[str, Tensor]]
) -> tuple[Callable[[], None], Callable[[], None]]:
    learned = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=1e-3, momentum=0.9, weight_decay=1e-4)
    average = Average(network)
    images = images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        network.train()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = torch.stack(list(network(images, targets).values())).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 12.0)
        optimizer.step()
        average.follow(network, 1, 0.99)

    def answer() -> None:
        network.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            network(images)

    return step, answer


def their_sides(
    network: nn.Module, images: list[Tensor], targets: list[dict[str, Tensor]]
) -> tuple[Callable[[], None], Callable[[], None]]:
    learned = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=1e-3, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        network.train()
        optimizer.zero_grad(set_to_none=True)
        loss = sum(network(images, targets).values())
        loss.backward()
        optimizer.step()

    def answer() -> None:
        network.eval()
        with torch.inference_mode():
            network(images)

    return step, answer


def measured(pair: Pair, rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, then of each answer, in turn; the first of each warms up and is left out."""
    seconds = in_turn({"ours, step": pair.ours_step, "theirs, step": pair.theirs_step}, rounds)
    pair.share_weights()
    return seconds | in_turn({"ours, answer": pair.ours_answer, "theirs, answer": pair.theirs_answer}, rounds)


def in_turn(sides: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {what: [] for what in sides}
    for number in range(rounds + 1):
        for what, side in sides.items():
            began = time.perf_counter()
            side()
            if number:
                seconds[what].append(time.perf_counter() - began)
    return seconds


def judged(name: str, seconds: dict[str, list[float]], batch: int) -> dict[str, Any]:
    """Medians per image, and how many times faster ours is."""
    found: dict[str, Any] = {what: round(statistics.median(values) / batch, 4) for what, values in seconds.items()}
    for what in ("step", "answer"):
        found[f"times faster, {what}"] = round(found[f"theirs, {what}"] / found[f"ours, {what}"], 2)
    if name in AIMS:
        found |= {"aim": AIMS[name], "met": found["times faster, step"] >= AIMS[name]}
    return found


def lines_of(figures: dict[str, Any]) -> list[str]:
    rows = []
    for name, row in figures.items():
        for what in ("step", "answer"):
            aim = f"{row['aim']}, {'met' if row['met'] else 'NOT met'}" if what == "step" and "aim" in row else "-"
            rows.append([f"{name}, {what}", row[f"ours, {what}"], row[f"theirs, {what}"], row[f"times faster, {what}"], aim])
    return table(["median seconds per image", "ours", "torchvision", "times faster", "aim"], rows)


if __name__ == "__main__":
    run(main)
